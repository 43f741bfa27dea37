"""How near plain float32 PyTorch comes to the golden values: what a tolerance can ask for.

    python golden/check_float32.py
"""

from pathlib import Path

import torch
from safetensors.torch import load_file

import make_golden as golden


def main():
    folder = Path(__file__).resolve().parent
    torch.set_num_threads(1)
    for name, (kind, activation) in golden.EVAL_CASES.items():
        stored = load_file(folder / f"{name}.safetensors")
        network = golden.build(kind, activation, 0)
        prefix = "weights/"
        weights = {k.removeprefix(prefix): v for k, v in stored.items() if k.startswith(prefix)}
        network.network.load_state_dict(weights, strict=False)
        network = network.float()
        images, labels = stored["images"], stored["labels"]
        z = golden.unit_sign(golden.input_gradient(network, images, labels))
        worst = {}
        for squared in ("squared", "unsquared"):
            difference = golden.gradient_difference(network, images, labels, z, create_graph=True)
            mean = golden.regularizer(difference, squared == "squared").mean()
            for key, value in golden.parameter_gradient(network, mean).items():
                expected = stored[f"regularizer_gradient_{squared}/{key}"]
                error = float((value - expected).norm() / expected.norm())
                assert error < 1e-4, f"{name}: {key} is off by {error:.1e}"  # also catches NaN
                worst[squared] = max(worst.get(squared, (0.0, "")), (error, key))
        print(name, {k: f"{error:.1e} at {key}" for k, (error, key) in worst.items()})


if __name__ == "__main__":
    main()
