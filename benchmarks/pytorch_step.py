"""Times one CURE training step in PyTorch on the CPU: the rival of `cure bench step`.

    pip install torch==2.11.0
    python benchmarks/pytorch_step.py --model resnet18 --batch 64 --repeats 5 --threads 2
    python benchmarks/pytorch_step.py --check      # all forms give the same gradients

A step here is everything up to the parameter gradients (no optimiser). C is one pass of the
convolutions: forward C, back to the input C, weight gradient C.

  authors        the published procedure: z by its own backward, which fills weight gradients that
                 are thrown away; then x + hz and x again; clean loss in train mode     18 C
  authors-train  the same with the regulariser's passes in train-mode BatchNorm too      18 C
  careful        g(x) is kept: it gives z and is one of the two gradients                15 C
  careful-frozen the clean loss shares the eval-mode pass                                12 C
  folded, folded-frozen
                 the same two with eval-mode BatchNorm folded into the convolutions
                 differentiably, which spares its slow double backward               15, 12 C

Each form runs in a process of its own, so that peak memory is its own. Measure on an idle machine:
OpenMP's threads wait by spinning, and one other busy process can make a step ten times slower.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "parity"))
from networks import ResNet, resnet18  # noqa: E402

# The authors' λ = 4 and h = 3 over inputs normalised by CIFAR-10's std, in pixels of [0, 1].
GAMMA, H = 0.8, 0.6
MODELS = {
    "resnet18": resnet18,
    "resnet20": lambda: ResNet((16, 32, 64), (3, 3, 3)),
    "small": lambda: ResNet((4, 8, 16), (1, 1, 1)),
}
FORMATS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}


def unit_sign(gradient):
    sign = gradient.sign()
    return sign / sign.flatten(1).norm(dim=1)[:, None, None, None]


def mean_norm(difference):
    """The un-squared regulariser."""
    return difference.flatten(1).norm(dim=1).mean()


class FoldedNetwork:
    """Eval-mode `ResNet` with each BatchNorm folded into its convolution, once for both points;
    the fold is part of the graph, so gradients reach every parameter."""

    def __init__(self, network):
        self.network = network
        self.folds = {}

    def convolve(self, convolution, norm, x):
        if convolution not in self.folds:
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            self.folds[convolution] = (
                convolution.weight * scale[:, None, None, None],
                norm.bias - norm.running_mean * scale,
            )
        weight, bias = self.folds[convolution]
        return F.conv2d(x, weight, bias, convolution.stride, convolution.padding)

    def __call__(self, x):
        network = self.network
        x = F.relu(self.convolve(network.conv1, network.bn1, x))
        for stage in network.stages:
            for block in getattr(network, stage):
                out = F.relu(self.convolve(block.conv1, block.bn1, x))
                out = self.convolve(block.conv2, block.bn2, out)
                shortcut = block.shortcut
                x = F.relu(out + (self.convolve(*shortcut, x) if len(shortcut) else x))
        return network.linear(x.mean((2, 3)))


def forward(network, x, labels):
    with torch.no_grad():
        return network.eval()(x)


def input_gradient(network, x, labels):
    network.eval()
    x = x.detach().requires_grad_(True)
    return torch.autograd.grad(F.cross_entropy(network(x), labels, reduction="sum"), x)[0]


def standard_step(network, x, labels):
    F.cross_entropy(network.train()(x), labels).backward()


def authors_regularizer(network, x, labels, train):
    network.eval()
    x = x.detach().requires_grad_(True)
    F.cross_entropy(network(x), labels, reduction="sum").backward()
    z = unit_sign(x.grad)
    network.zero_grad(set_to_none=True)
    network.train(train)
    moved = F.cross_entropy(network(x + H * z), labels, reduction="sum")
    here = F.cross_entropy(network(x), labels, reduction="sum")
    return mean_norm(torch.autograd.grad(moved - here, x, create_graph=True)[0])


def authors(network, x, labels, train=False):
    # The train-mode pass comes first, as published. After the eval-mode passes it would change the
    # running statistics that their backward still reads, and PyTorch 2.11 does not notice.
    clean = F.cross_entropy(network.train()(x), labels)
    (clean + GAMMA * authors_regularizer(network, x, labels, train)).backward()


def careful_regularizer(network, x, labels, folded):
    """The regulariser and the clean eval-mode loss that came with it."""
    network.eval()
    function = FoldedNetwork(network) if folded else network

    def gradient(point):
        point = point.detach().requires_grad_(True)
        loss = F.cross_entropy(function(point), labels, reduction="sum")
        return torch.autograd.grad(loss, point, create_graph=True)[0], loss

    here, loss = gradient(x)
    moved, _ = gradient(x + H * unit_sign(here.detach()))
    return mean_norm(moved - here), loss / len(labels)


def careful(network, x, labels, folded=False, frozen=False):
    if not frozen:
        # Its own backward at once: the same work, and its graph is gone before the big one grows.
        F.cross_entropy(network.train()(x), labels).backward()
    regularizer, loss = careful_regularizer(network, x, labels, folded)
    total = GAMMA * regularizer + (loss if frozen else 0.0)
    # `inputs`: nothing asks for the gradient of x, which costs a pass of the first convolution.
    total.backward(inputs=list(network.parameters()))


# name -> (function, convolution passes)
FORMS = {
    "forward": (forward, 1),
    "input-gradient": (input_gradient, 2),
    "standard-step": (standard_step, 3),
    "authors": (authors, 18),
    "authors-train": (lambda *a: authors(*a, train=True), 18),
    "careful": (careful, 15),
    "careful-frozen": (lambda *a: careful(*a, frozen=True), 12),
    "folded": (lambda *a: careful(*a, folded=True), 15),
    "folded-frozen": (lambda *a: careful(*a, folded=True, frozen=True), 12),
}
COMPILABLE = ("forward", "input-gradient", "standard-step")


def convolution_macs(network):
    """Multiply-adds of all convolutions for one 3×32×32 image."""
    macs = 0

    def count(module, _, output):
        nonlocal macs
        per_output = module.weight[0].numel()
        macs += output[0].numel() * per_output

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    forward(network, torch.zeros(1, 3, 32, 32), None)
    for hook in hooks:
        hook.remove()
    return macs


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB


def measure(options, form, layout):
    """One form in this process; the result as a dictionary."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = MODELS[options.model]().to(memory_format=FORMATS[layout])
    macs = convolution_macs(network)
    x = torch.rand(options.batch, 3, 32, 32).to(memory_format=FORMATS[layout])
    labels = torch.randint(10, (options.batch,))
    # A trained network's statistics are not its initial ones: take one look at data.
    with torch.no_grad():
        network.train()(x[:8])
    baseline = peak_mib()
    function, passes = FORMS[form]
    run = torch.compile(network) if options.compile and form in COMPILABLE else network
    milliseconds = []
    for repeat in range(options.repeats + 1):
        network.zero_grad(set_to_none=True)
        start = time.perf_counter()
        function(run, x, labels)
        if repeat:  # the first is the warm-up
            milliseconds.append(1e3 * (time.perf_counter() - start))
    median = statistics.median(milliseconds)
    return {
        "form": form,
        "memory_format": layout,
        "median_ms": median,
        "min_ms": min(milliseconds),
        "gflops": 2 * macs * options.batch * passes / (median * 1e6),
        "passes": passes,
        "peak_mib": peak_mib(),
        "baseline_mib": baseline,
    }


def measure_apart(options, form, layout):
    command = [sys.executable, __file__, "--child", form, layout, "--model", options.model]
    for name in ("batch", "repeats", "threads"):
        command += [f"--{name}", str(getattr(options, name))]
    command += ["--compile"] * options.compile
    environment = dict(os.environ)
    if options.keep_memory:
        # glibc returns big blocks to the kernel at once and faults them in again every step.
        environment |= {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def check():
    """Every form's gradients against each other, in float64 on a narrow ResNet-18."""
    torch.manual_seed(0)
    network = ResNet((4, 8, 16, 32), (2, 2, 2, 2)).double()
    x, labels = torch.rand(4, 3, 32, 32).double(), torch.randint(10, (4,))
    with torch.no_grad():
        network.train()(x)
    named = dict(network.named_parameters())

    def gradients(scalar):
        return torch.autograd.grad(scalar, list(named.values()))

    def compare(label, expected, found, tolerance):
        worst = 0.0
        for name, a, b in zip(named, expected, found):
            assert a.norm() > 0, f"{label}: the gradient of {name} is zero"
            error = float((a - b).norm() / a.norm())
            assert error < tolerance, f"{label}: {name} is off by {error:.1e}"
            worst = max(worst, error)
        print(f"{label}: equal within {worst:.1e} for {len(named)} parameter tensors")

    def total(form):
        network.zero_grad(set_to_none=True)
        FORMS[form][0](network, x, labels)
        return [parameter.grad.clone() for parameter in named.values()]

    reference = gradients(authors_regularizer(network, x, labels, train=False))
    for folded in (False, True):
        found = gradients(careful_regularizer(network, x, labels, folded)[0])
        compare("regulariser, folded" if folded else "regulariser", reference, found, 1e-9)
    # With BatchNorm frozen every form must make clean + γ·L_r of one and the same function.
    network.eval()
    frozen = gradients(
        F.cross_entropy(network(x), labels) + GAMMA * authors_regularizer(network, x, labels, False)
    )
    compare("careful-frozen", frozen, total("careful-frozen"), 1e-9)
    compare("folded-frozen", frozen, total("folded-frozen"), 1e-9)
    # The clean loss's train-mode pass moves the running statistics that eval mode reads: put them
    # back before each form.
    state = {key: value.clone() for key, value in network.state_dict().items()}
    whole = total("authors")
    for form in ("careful", "folded"):
        network.load_state_dict(state)
        compare(form, whole, total(form), 1e-9)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=list(MODELS), default="resnet18")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-format", choices=[*FORMATS, "both"], default="both")
    parser.add_argument("--forms", nargs="+", choices=list(FORMS), default=list(FORMS))
    parser.add_argument("--keep-memory", action="store_true", help="glibc keeps freed memory")
    parser.add_argument(
        "--compile",
        action="store_true",
        help=f"torch.compile for {', '.join(COMPILABLE)} (it has no double backward)",
    )
    parser.add_argument("--check", action="store_true", help="compare the forms' gradients and stop")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.check:
        return check()
    if options.child:
        return print(json.dumps(measure(options, *options.child)))

    layouts = list(FORMATS) if options.memory_format == "both" else [options.memory_format]
    print("form             format          median ms    min ms  GFLOP/s  peak MiB")
    rows = []
    for form in options.forms:
        for layout in layouts:
            row = measure_apart(options, form, layout)
            rows.append(row)
            print(
                f"{form:16} {layout:14} {row['median_ms']:10.1f} {row['min_ms']:9.1f}"
                f" {row['gflops']:8.0f} {row['peak_mib']:9.0f}",
                flush=True,
            )
    baseline = min(row["baseline_mib"] for row in rows)
    print(f"peak memory includes {baseline:.0f} MiB before the first step")
    if options.json:
        names = ("model", "batch", "repeats", "threads", "compile", "keep_memory")
        settings = {name: getattr(options, name) for name in names}
        result = {"torch": torch.__version__, **settings, "rows": rows}
        temporary = options.json.with_suffix(".tmp")
        temporary.write_text(json.dumps(result, indent=1) + "\n")
        temporary.replace(options.json)


if __name__ == "__main__":
    main()
