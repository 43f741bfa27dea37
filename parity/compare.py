"""Compares `cure evaluate`'s per-sample CSV with the outcomes that `outcomes.py` stored.

    python parity/compare.py parity/outcomes-resnet20-akamaster.json RUN/per_sample.csv

Columns are found by their headers: `index`, `label`, `clean_prediction` (or `prediction`), and one
column an attack whose header is its spec (`fgsm:norm=linf,eps=1/255`, …) with 1 for robust. Exit
code 1 when an attack agrees on less than --at-least of the samples, or none could be compared.
"""

import argparse
import csv
import json
import sys
from fractions import Fraction
from pathlib import Path

TRUE, FALSE = {"1", "true", "robust", "yes"}, {"0", "false", "fooled", "no"}


def number(text):
    """`8/255` and `0.0314` alike, near enough to tell one ε from another."""
    return float(Fraction(text)) if "/" in text else float(text)


def parse_spec(header):
    """`pgd:norm=linf,eps=8/255,steps=20` as its name and its fields."""
    name, _, rest = header.strip().lower().partition(":")
    pairs = (pair.partition("=") for pair in rest.split(",") if pair)
    return name.strip(), {key.strip(): value.strip() for key, _, value in pairs}


def is_same_attack(header, attack):
    """Same name and ε; whatever else the header states must agree, what it omits may."""
    name, fields = parse_spec(header)
    size = fields.get("eps", fields.get("epsilon"))
    if name != attack["attack"] or size is None or not is_close(size, attack["eps"]):
        return False
    return (
        fields.get("norm", attack["norm"]) == attack["norm"]
        and int(fields.get("steps", attack["steps"])) == attack["steps"]
        and is_close(fields.get("step", attack["step"]), attack["step"])
        and fields.get("random-start", "false") not in ("true", "1", "yes")
        and int(fields.get("restarts", 1)) == 1
    )


def is_close(a, b):
    return abs(number(a) - number(b)) < 1e-5


def column_for(attack, headers):
    """The one header that names this attack."""
    matches = [header for header in headers if is_same_attack(header, attack)]
    if len(matches) > 1:
        raise SystemExit(f"{attack['attack']} at {attack['eps']} fits several columns: {matches}")
    return matches[0] if matches else None


def outcome(text):
    text = text.strip().lower()
    if text in TRUE or text in FALSE:
        return text in TRUE
    raise SystemExit(f"{text!r} is not an outcome; expected one of {sorted(TRUE | FALSE)}")


def fraction_line(name, ours, theirs, indices):
    differ = [i for i, a, b in zip(indices, ours, theirs) if a != b]
    share = 1 - len(differ) / len(indices)
    shown = f"; differ at {differ[:20]}" if differ else ""
    print(f"{name}: {100 * share:.2f} % equal of {len(indices)}{shown}")
    return share


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference", type=Path)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--at-least", type=float, default=0.995)
    options = parser.parse_args()
    reference = json.loads(options.reference.read_text())
    with options.csv.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["index"]) < reference["n"]]
    if not rows:
        raise SystemExit(f"{options.csv} has no row with an index below {reference['n']}")
    headers = rows[0].keys()
    indices = [int(row["index"]) for row in rows]
    wrong = [i for i, row in zip(indices, rows) if row["label"].strip() != reference["labels"][i]]
    if wrong:
        raise SystemExit(f"labels differ at {wrong[:10]}: these are not the same images")

    shares = []
    prediction = next((h for h in headers if h in ("clean_prediction", "prediction")), None)
    if prediction:
        ours = [row[prediction].strip() for row in rows]
        theirs = [reference["clean_predictions"][i] for i in indices]
        shares.append(fraction_line("clean prediction", ours, theirs, indices))
    compared = 0
    for attack in reference["attacks"]:
        column = column_for(attack, headers)
        if column is None:
            print(f"{attack['attack']} at {attack['eps']}: no such column", file=sys.stderr)
            continue
        compared += 1
        ours = [outcome(row[column]) for row in rows]
        print(f"{column}: robust {sum(ours)}, reference {attack['robust']}")
        for source, stored in attack["outcomes"].items():
            theirs = [stored[i] == "1" for i in indices]
            shares.append(fraction_line(f"  against {source}", ours, theirs, indices))
    if compared == 0:
        print("no attack of the reference is in the CSV", file=sys.stderr)
    return 0 if compared and min(shares) >= options.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
