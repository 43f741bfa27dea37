"""Compares `cure evaluate --csv`'s outcomes with those that `outcomes.py` stored.

    python parity/compare.py parity/outcomes-resnet20-akamaster-float64.json ours.csv

The CSV has a row for each image and attack: `index`, `label`, `clean_prediction`, `attack` (its
specification) and `verdict`. A reference in float64 is compared with attacks on the exact
cross-entropy, one in float32 with attacks that say `loss=ce-f32`. Exit code 1 when an attack agrees
on less than --at-least of the samples, or none could be compared.
"""

import argparse
import csv
import json
import sys
from pathlib import Path

VERDICTS = {"robust": True, "fooled": False, "misclassified": False, "undecided": False}


def number(text):
    """`8/255` and `0.0314` alike, near enough to tell one ε from another."""
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)


def parse_spec(header):
    """`pgd:norm=linf,eps=8/255,steps=20` as its name and its fields."""
    name, _, rest = header.strip().lower().partition(":")
    pairs = (pair.partition("=") for pair in rest.split(",") if pair)
    return name.strip(), {key.strip(): value.strip() for key, _, value in pairs}


def is_same_attack(header, attack, loss):
    """Same name and ε; whatever else the header states must agree, what it omits may."""
    name, fields = parse_spec(header)
    size = fields.get("eps")
    if name != attack["attack"] or size is None or not is_close(size, attack["eps"]):
        return False
    return (
        fields.get("loss", "ce") == loss
        and fields.get("norm", attack["norm"]) == attack["norm"]
        and int(fields.get("steps", attack["steps"])) == attack["steps"]
        and is_close(fields.get("step", attack["step"]), attack["step"])
        and fields.get("random-start", "false") == "false"
    )


def is_close(a, b):
    return abs(number(a) - number(b)) < 1e-5


def read_outcomes(path, count):
    """The clean predictions and labels by index, and by attack the verdicts by index."""
    clean, labels, attacks = {}, {}, {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            index = int(row["index"])
            if index >= count:
                continue
            clean[index], labels[index] = row["clean_prediction"], row["label"]
            if row["attack"]:
                attacks.setdefault(row["attack"], {})[index] = VERDICTS[row["verdict"]]
    return clean, labels, attacks


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
    loss = "ce" if reference["precision"] == "float64" else "ce-f32"
    clean, labels, attacks = read_outcomes(options.csv, reference["n"])
    if not clean:
        raise SystemExit(f"{options.csv} has no row with an index below {reference['n']}")
    indices = sorted(clean)
    wrong = [i for i in indices if labels[i] != reference["labels"][i]]
    if wrong:
        raise SystemExit(f"labels differ at {wrong[:10]}: these are not the same images")

    theirs = [reference["clean_predictions"][i] for i in indices]
    shares = [fraction_line("clean prediction", [clean[i] for i in indices], theirs, indices)]
    compared = 0
    for attack in reference["attacks"]:
        ours = next((a for a in attacks if is_same_attack(a, attack, loss)), None)
        if ours is None:
            print(f"{attack['attack']} at {attack['eps']}: not in the CSV", file=sys.stderr)
            continue
        compared += 1
        verdicts = [attacks[ours][i] for i in indices]
        print(f"{ours}: robust {sum(verdicts)}, reference {attack['robust']}")
        for source, stored in attack["outcomes"].items():
            theirs = [stored[i] == "1" for i in indices]
            shares.append(fraction_line(f"  against {source}", verdicts, theirs, indices))
    if compared == 0:
        print("no attack of the reference is in the CSV", file=sys.stderr)
    return 0 if compared and min(shares) >= options.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
