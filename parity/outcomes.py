"""Per-sample outcomes of FGSM and PGD by Foolbox 3.3.4 and by plain PyTorch, as compact JSON.

    pip install torch==2.11.0 foolbox==3.3.4 numpy
    python parity/outcomes.py --out parity/outcomes-resnet20-akamaster.json

ℓ∞, ε in pixels of [0, 1], no random start, 20 steps of ε/4. A sample is robust (1) when the clean
image and the attack's last iterate are both classified correctly; `plain` also says whether any
iterate fooled the network (`any_iterate`), as a program that keeps the best would report.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F

from networks import PUBLISHED, load_cifar10_test, load_published

STEPS, REL_STEP = 20, 0.25


def bits(mask):
    return "".join("1" if value else "0" for value in mask.tolist())


def input_gradient(network, x, labels):
    x = x.detach().requires_grad_(True)
    return torch.autograd.grad(F.cross_entropy(network(x), labels, reduction="sum"), x)[0]


def plain_attack(network, images, labels, epsilon, step, steps):
    """The last iterate's outcome and that of all iterates together (the last among them)."""
    x, ever_fooled = images, torch.zeros(len(labels), dtype=torch.bool)
    for _ in range(steps):
        x = x + step * input_gradient(network, x, labels).sign()
        x = torch.max(torch.min(x, images + epsilon), images - epsilon).clamp(0, 1)
        with torch.no_grad():
            fooled = network(x).argmax(1) != labels
        ever_fooled |= fooled
    return ~fooled, ~ever_fooled


def foolbox_attack(network, images, labels, epsilon, steps):
    import foolbox

    model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    if steps == 1:
        attack = foolbox.attacks.LinfFastGradientAttack(random_start=False)
    else:
        attack = foolbox.attacks.LinfPGD(rel_stepsize=REL_STEP, steps=steps, random_start=False)
    _, clipped, _ = attack(model, images, labels, epsilons=epsilon)
    # Judged by our own forward on the returned images, not by the library's flag.
    with torch.no_grad():
        return network(clipped).argmax(1) == labels


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--network", choices=list(PUBLISHED), default="resnet20-akamaster")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--epsilons", type=int, nargs="+", default=[1, 2, 8], help="in 1/255")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--skip-foolbox", action="store_true", help="plain PyTorch only")
    parser.add_argument("--precision", choices=["float32", "float64"], default="float32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network = load_published(options.network, options.shared / "weights").requires_grad_(False)
    images, labels = load_cifar10_test(options.shared / "data/cifar10", options.limit)
    precision = getattr(torch, options.precision)
    network, images = network.to(precision), images.to(precision)
    batches = list(zip(images.split(options.batch), labels.split(options.batch)))

    with torch.no_grad():
        clean = torch.cat([network(x).argmax(1) for x, _ in batches])
    correct = clean == labels
    attacks = []
    for name, steps in (("fgsm", 1), ("pgd", STEPS)):
        for epsilon in options.epsilons:
            size = epsilon / 255
            step = size if steps == 1 else REL_STEP * size
            plain = [plain_attack(network, x, y, size, step, steps) for x, y in batches]
            outcome = {
                "plain": torch.cat([last for last, _ in plain]) & correct,
                "any_iterate": torch.cat([every for _, every in plain]) & correct,
            }
            if not options.skip_foolbox:
                foolbox = [foolbox_attack(network, x, y, size, steps) for x, y in batches]
                outcome["foolbox"] = torch.cat(foolbox) & correct
            attacks.append(
                {
                    "attack": name,
                    "norm": "linf",
                    "eps": f"{epsilon}/255",
                    "steps": steps,
                    "step": f"{epsilon}/255" if steps == 1 else f"{epsilon}/1020",
                    "robust": {key: int(value.sum()) for key, value in outcome.items()},
                    "outcomes": {key: bits(value) for key, value in outcome.items()},
                }
            )
            print(name, f"{epsilon}/255", attacks[-1]["robust"], flush=True)

    result = {
        "network": options.network,
        "data": "cifar10 test, the first n images",
        "precision": options.precision,
        "n": len(labels),
        "clean_correct": int(correct.sum()),
        "labels": "".join(map(str, labels.tolist())),
        "clean_predictions": "".join(map(str, clean.tolist())),
        "attacks": attacks,
    }
    temporary = options.out.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    temporary.replace(options.out)


if __name__ == "__main__":
    main()
