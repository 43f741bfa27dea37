"""Our attacks and other people's, side by side: same network, same images, one run.

    pip install torch==2.12.1 foolbox==3.3.4 pyautoattack==0.2.0 torchattacks==3.5.1 numpy
    pip install --no-deps advertorch==0.2.3
    cargo build --release
    python parity/attacks.py --network resnet20-akamaster --limit 500 --rows fgsm pgd deepfool apgd
    python parity/attacks.py --network resnet20-akamaster --limit 200 --rows autoattack square fab

For each row: images of the set that stay robust under either program, images on which the two
outcomes differ, the median norm of what a minimal-norm attack found, and seconds. Both programs
use --threads threads, one after the other; images are judged by a fresh forward in PyTorch, ours by
`cure`. Only images classified correctly are attacked, by either. --markdown prints a table for
docs/parity.md.
"""

import argparse
import csv
import json
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from networks import PUBLISHED, load_cifar10_test, load_published

NORMALIZE = {
    "resnet20-akamaster": "imagenet",
    "resnet20-pyhessian": ".4914,.4822,.4465/.2023,.1994,.2010",
    "resnet18-pyautoattack": "none",
    "resnet2b-abcrown": ".4914,.4822,.4465/.2471,.2435,.2616",
}


def foolbox_run(make, epsilon):
    def run(network, images, labels):
        import foolbox

        model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
        _, clipped, _ = make(foolbox.attacks)(model, images, labels, epsilons=epsilon)
        return clipped

    return run


def autoattack_run(epsilon, **settings):
    def run(network, images, labels):
        from pyautoattack import AutoAttack

        logging.getLogger("auto-attack").setLevel(logging.ERROR)
        attack = AutoAttack(network, norm="Linf", eps=epsilon, seed=torch.initial_seed(), **settings)
        attack.apgd.n_restarts = 1
        found = attack.run_standard_evaluation(images, labels, batch_size=len(images))
        return found[0] if isinstance(found, tuple) else found

    return run


def torchattacks_run(make):
    def run(network, images, labels):
        import torchattacks

        return make(torchattacks, network)(images, labels)

    return run


def advertorch_spsa_run(size):
    def run(network, images, labels):
        # AdverTorch asks for a function that PyTorch has since dropped, which SPSA never calls.
        sys.modules["torch.autograd.gradcheck"].zero_gradients = lambda _: None
        from advertorch.attacks import LinfSPSAAttack

        attack = LinfSPSAAttack(
            network, eps=size, delta=0.01, lr=0.01, nb_iter=40, nb_sample=64, max_batch_size=64
        )
        return attack.perturb(images, labels)

    return run


def rows(epsilons):
    """name -> (our specification, their name, their run, norm of a minimal-norm attack or None)"""
    table = {
        "deepfool l2": (
            "deepfool:norm=l2,preset=foolbox",
            "Foolbox L2DeepFoolAttack",
            foolbox_run(lambda a: a.L2DeepFoolAttack(), None),
            2,
        ),
        "deepfool linf": (
            "deepfool:norm=linf,preset=foolbox",
            "Foolbox LinfDeepFoolAttack",
            foolbox_run(lambda a: a.LinfDeepFoolAttack(), None),
            float("inf"),
        ),
        "ddn": ("ddn", "Foolbox DDNAttack", foolbox_run(lambda a: a.DDNAttack(), None), 2),
        "cw": (
            "cw:steps=1000,search-steps=9",
            "Foolbox L2CarliniWagnerAttack",
            foolbox_run(lambda a: a.L2CarliniWagnerAttack(binary_search_steps=9, steps=1000), None),
            2,
        ),
    }
    for text in epsilons:
        size = float(text) / 255
        name = f"{text}/255"
        table[f"fgsm {name}"] = (
            f"fgsm:eps={name},loss=ce-f32",
            "Foolbox LinfFastGradientAttack",
            foolbox_run(lambda a: a.LinfFastGradientAttack(random_start=False), size),
            None,
        )
        table[f"pgd {name}"] = (
            f"pgd:eps={name},steps=20,random-start=false,loss=ce-f32",
            "Foolbox LinfPGD",
            foolbox_run(
                lambda a: a.LinfPGD(rel_stepsize=0.25, steps=20, random_start=False), size
            ),
            None,
        )
        table[f"pgd-torchattacks {name}"] = (
            f"pgd:eps={name},steps=20,random-start=false,loss=ce-f32",
            "torchattacks PGD",
            torchattacks_run(
                lambda t, net, size=size: t.PGD(
                    net, eps=size, alpha=size / 4, steps=20, random_start=False
                )
            ),
            None,
        )
        for ours, theirs in (
            (f"apgd:eps={name}", "apgd-ce"),
            (f"apgd:eps={name},loss=ce-f32", "apgd-ce-f32"),
            (f"apgd:eps={name},loss=dlr", "apgd-dlr"),
            (f"apgd-t:eps={name}", "apgd-t"),
            (f"fab-t:eps={name}", "fab-t"),
            (f"square:eps={name}", "square"),
        ):
            table[f"{theirs} {name}"] = (
                ours,
                f"pyautoattack {theirs.removesuffix('-f32')}",
                autoattack_run(size, version="custom", attacks=[theirs.removesuffix("-f32")]),
                None,
            )
        table[f"autoattack {name}"] = (
            f"autoattack:eps={name},version=standard",
            "pyautoattack standard",
            autoattack_run(size, version="standard"),
            None,
        )
        table[f"spsa {name}"] = (
            f"spsa:eps={name},samples=64,steps=40,early-stop=false",
            "AdverTorch LinfSPSAAttack",
            advertorch_spsa_run(size),
            None,
        )
    return table


def ours(options, spec):
    """Per-image robustness and norms by index, and seconds."""
    file = PUBLISHED[options.network][0]
    with tempfile.TemporaryDirectory() as folder:
        results, table = Path(folder) / "results.json", Path(folder) / "rows.csv"
        command = [
            str(options.cure), "evaluate", "--quiet", "--threads", str(options.threads),
            "--seed", str(options.seed),
            "--weights", str(options.shared / "weights" / file),
            "--normalize", NORMALIZE[options.network],
            "--data", f"cifar10:{options.shared / 'data/cifar10'}", "--limit", str(options.limit),
            "--attack", spec, "--json", str(results), "--csv", str(table),
        ]  # fmt: skip
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        attack = json.loads(results.read_text())["attacks"][0]
        with table.open(newline="") as lines:
            found = list(csv.DictReader(lines))
    robust = torch.tensor([row["verdict"] == "robust" for row in found])
    return robust, attack["median_norm"], attack["seconds"]


def theirs(options, network, images, labels, correct, run, norm):
    start = time.perf_counter()
    attacked = []
    x, y = images[correct], labels[correct]
    for part, names in zip(x.split(options.batch), y.split(options.batch)):
        attacked.append(run(network, part, names).detach())
    seconds = time.perf_counter() - start
    attacked = torch.cat(attacked)
    with torch.no_grad():
        batches = attacked.split(options.batch)
        fooled = torch.cat([network(part).argmax(1) for part in batches]) != y
    robust = correct.clone()
    robust[correct] = ~fooled
    median = None
    if norm is not None and fooled.any():
        median = float((attacked - x)[fooled].flatten(1).norm(p=norm, dim=1).quantile(0.5))
    return robust, median, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=list(PUBLISHED), default="resnet20-akamaster")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--cure", type=Path, default=Path("target/release/cure"))
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epsilons", nargs="+", default=["0.5", "1"], help="in 1/255")
    parser.add_argument("--rows", nargs="+", required=True, help="beginnings of row names")
    parser.add_argument("--seed", type=int, default=0, help="of both programs")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    network = load_published(options.network, options.shared / "weights").requires_grad_(False)
    images, labels = load_cifar10_test(options.shared / "data/cifar10", options.limit)
    with torch.no_grad():
        clean = torch.cat([network(part).argmax(1) for part in images.split(options.batch)])
    correct = clean == labels
    n = len(labels)
    print(f"{options.network}, first {n} test images, {int(correct.sum())} classified correctly")
    if options.markdown:
        print(
            "| attack | rival | robust, ours | robust, theirs | outcomes that differ"
            " | median norm, ours | theirs | s, ours | s, theirs | theirs ÷ ours |\n"
            "|---|---|---|---|---|---|---|---|---|---|"
        )
    for name, (spec, rival, run, norm) in rows(options.epsilons).items():
        if not any(name.startswith(wanted) for wanted in options.rows):
            continue
        mine, my_median, my_seconds = ours(options, spec)
        other, median, seconds = theirs(options, network, images, labels, correct, run, norm)
        differ = int((mine != other).sum())
        medians = ["–" if value is None else f"{value:.5f}" for value in (my_median, median)]
        if norm is None:
            medians = ["–", "–"]
        cells = [
            f"`{spec}`", rival, f"{int(mine.sum())}/{n}", f"{int(other.sum())}/{n}", str(differ),
            *medians, f"{my_seconds:.1f}", f"{seconds:.1f}", f"{seconds / my_seconds:.1f}",
        ]  # fmt: skip
        joint = " | " if options.markdown else "  "
        line = joint.join(cells)
        print(f"| {line} |" if options.markdown else line, flush=True)


if __name__ == "__main__":
    main()
