"""Clean accuracy of the published networks on CIFAR-10's test images.

    python parity/accuracy.py [--shared ../shared] [--limit 10000] [NAME ...]
"""

import argparse
from pathlib import Path

import torch

from networks import PUBLISHED, load_cifar10_test, load_published


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images, labels = load_cifar10_test(options.shared / "data/cifar10", options.limit)
    for name in options.names or PUBLISHED:
        network = load_published(name, options.shared / "weights")
        with torch.no_grad():
            predictions = torch.cat([network(batch).argmax(1) for batch in images.split(250)])
        correct = int((predictions == labels).sum())
        print(f"{name:24} {correct} of {len(labels)} = {100 * correct / len(labels):.2f} %")


if __name__ == "__main__":
    main()
