"""PyTorch and the libraries on top of it, on the CPU or a GPU: the rivals of `cure bench`.

    pip install -r benchmarks/requirements.txt
    python benchmarks/pytorch.py --check      # all forms of a CURE step give the same gradients

`cure bench --against python3` runs `pytorch.py --job JSON` in a process for each measurement, with
the JSON that it gives to its own process, and the same files with network and images.

A step is everything up to the parameter gradients (no optimiser). C is one pass of the
convolutions: forward C, back to the input C, weight gradient C.

  authors        the published procedure: z by its own backward, which fills weight gradients that
                 are thrown away; then x + hz and x again; clean loss in train mode     18 C
  careful        g(x) is kept: it gives z and is one of the two gradients                15 C
  careful-frozen the clean loss shares the eval-mode pass                                12 C
  folded, folded-frozen
                 the same two with eval-mode BatchNorm folded into the convolutions
                 differentiably, which spares its slow double backward               15, 12 C
  fused, loop    forwards, input gradients and attacks with BatchNorm folded once; a compiled
                 forward has its weights frozen, too

Measure on an idle machine: OpenMP's threads wait by spinning, and one other busy process can make a
step ten times slower.
"""

import argparse
import copy
import hashlib
import json
import pickle
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "parity"))
from networks import OptionA, PreActBlock, PreActResNet, ResNet, resnet18  # noqa: E402

# The authors' λ = 4 and h = 3 over inputs normalised by CIFAR-10's std, in pixels of [0, 1].
GAMMA, H = 0.8, 0.6
EPSILON, STEPS = 8 / 255, 20
# The step of a curvature profile.
H_PROFILE = 0.1


class WideResNet(nn.Module):
    """WRN-depth-widen, with RobustBench's names but for `convShortcut`, which is `shortcut.0`."""

    def __init__(self, depth, widen, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        planes_in, self.stages = 16, []
        for stage, planes in enumerate((16 * widen, 32 * widen, 64 * widen), start=1):
            layer = nn.Sequential()
            for block in range((depth - 4) // 6):
                stride = 2 if stage > 1 and block == 0 else 1
                layer.append(PreActBlock(planes_in, planes, stride, F.relu))
                planes_in = planes
            setattr(self, f"block{stage}", nn.ModuleDict({"layer": layer}))
            self.stages.append(layer)
        self.bn1 = nn.BatchNorm2d(planes_in)
        self.fc = nn.Linear(planes_in, classes)

    def forward(self, x):
        x = self.conv1(x)
        for stage in self.stages:
            x = stage(x)
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


def make(model):
    """The network that `cure` calls `model`."""
    if model == "resnet18":
        return resnet18()
    if model == "preact18":
        return PreActResNet((64, 128, 256, 512), (2, 2, 2, 2))
    if model.startswith("wrn-"):
        return WideResNet(*map(int, model.split("-")[1:]))
    depth = model.removeprefix("resnet").removesuffix("-conv")
    if not (model.startswith("resnet") and depth.isdigit() and (int(depth) - 2) % 6 == 0):
        sys.exit(f"pytorch.py does not know the network {model}")
    shortcut = "convolution" if model.endswith("-conv") else "option_a"
    return ResNet((16, 32, 64), [(int(depth) - 2) // 6] * 3, shortcut=shortcut)


class Normalized(nn.Module):
    """`network((x - mean) / std)`, nothing but the network where that is the identity."""

    def __init__(self, network, mean, std):
        super().__init__()
        self.network = network
        self.identity = not any(mean) and all(value == 1 for value in std)
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, x):
        return self.network(x if self.identity else (x - self.mean) / self.std)


def fused(model):
    """A copy for evaluation with BatchNorm folded where it follows a convolution."""
    model = copy.deepcopy(model).eval()

    def fuse(holder, convolution, norm):
        joined = fuse_conv_bn_eval(getattr(holder, convolution), getattr(holder, norm))
        setattr(holder, convolution, joined)
        setattr(holder, norm, nn.Identity())

    if isinstance(model.network, ResNet):
        fuse(model.network, "conv1", "bn1")
    for block in list(model.modules()):
        if isinstance(block, PreActBlock):
            fuse(block, "conv1", "bn2")
        elif hasattr(block, "conv2"):
            fuse(block, "conv1", "bn1")
            fuse(block, "conv2", "bn2")
            if isinstance(block.shortcut, nn.Sequential) and len(block.shortcut):
                fuse(block.shortcut, "0", "1")
    return model


def unit_sign(gradient):
    sign = gradient.sign()
    return sign / sign.flatten(1).norm(dim=1)[:, None, None, None]


def mean_norm(difference):
    """The un-squared regulariser."""
    return difference.flatten(1).norm(dim=1).mean()


class FoldedNetwork:
    """An eval-mode network with each BatchNorm folded into its convolution, once for both points; the
    fold is part of the graph, so gradients reach every parameter."""

    def __init__(self, model):
        self.model = model
        self.folds = {}

    def fold(self, norm):
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        return scale, norm.bias - norm.running_mean * scale

    def convolve(self, convolution, norm, x):
        if convolution not in self.folds:
            scale, shift = self.fold(norm)
            self.folds[convolution] = (convolution.weight * scale[:, None, None, None], shift)
        weight, bias = self.folds[convolution]
        return F.conv2d(x, weight, bias, convolution.stride, convolution.padding)

    def normalize(self, norm, x):
        """Where no convolution comes before."""
        scale, shift = self.fold(norm)
        return x * scale[:, None, None] + shift[:, None, None]

    def basic(self, block, x):
        out = F.relu(self.convolve(block.conv1, block.bn1, x))
        out = self.convolve(block.conv2, block.bn2, out)
        shortcut = block.shortcut
        if isinstance(shortcut, OptionA):
            return F.relu(out + shortcut(x))
        return F.relu(out + (self.convolve(*shortcut, x) if len(shortcut) else x))

    def preactivation(self, block, x):
        pre = F.relu(self.normalize(block.bn1, x))
        bypass = block.shortcut(pre) if hasattr(block, "shortcut") else x
        return block.conv2(F.relu(self.convolve(block.conv1, block.bn2, pre))) + bypass

    def __call__(self, x):
        model, network = self.model, self.model.network
        x = x if model.identity else (x - model.mean) / model.std
        if isinstance(network, ResNet):
            x = F.relu(self.convolve(network.conv1, network.bn1, x))
            for stage in network.stages:
                for block in getattr(network, stage):
                    x = self.basic(block, x)
            return network.linear(x.mean((2, 3)))
        x = network.conv1(x)
        for stage in network.stages:
            for block in getattr(network, stage) if isinstance(stage, str) else stage:
                x = self.preactivation(block, x)
        norm, linear = ("bn1", "fc") if hasattr(network, "fc") else ("bn", "linear")
        x = F.relu(self.normalize(getattr(network, norm), x))
        return getattr(network, linear)(x.mean((2, 3)))


def forward(network, x, labels):
    with torch.no_grad():
        return network(x)


def inference(network, x, labels):
    """As `forward`, without what a later backward could need."""
    with torch.inference_mode():
        return network(x)


def input_gradient(network, x, labels):
    x = x.detach().requires_grad_(True)
    return torch.autograd.grad(F.cross_entropy(network(x), labels, reduction="sum"), x)[0]


def standard_step(network, x, labels):
    F.cross_entropy(network.train()(x), labels).backward()


def authors_regularizer(network, x, labels):
    network.eval()
    x = x.detach().requires_grad_(True)
    F.cross_entropy(network(x), labels, reduction="sum").backward()
    z = unit_sign(x.grad)
    network.zero_grad(set_to_none=True)
    moved = F.cross_entropy(network(x + H * z), labels, reduction="sum")
    here = F.cross_entropy(network(x), labels, reduction="sum")
    return mean_norm(torch.autograd.grad(moved - here, x, create_graph=True)[0])


def authors(network, x, labels):
    # The train-mode pass comes first, as published. After the eval-mode passes it would change the
    # running statistics that their backward still reads, and PyTorch 2.11 does not notice.
    clean = F.cross_entropy(network.train()(x), labels)
    (clean + GAMMA * authors_regularizer(network, x, labels)).backward()


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


def pgd_loop(network, x, labels):
    adversarial = x
    low, high = (x - EPSILON).clamp(min=0), (x + EPSILON).clamp(max=1)
    for _ in range(STEPS):
        gradient = input_gradient(network, adversarial, labels)
        moved = adversarial + EPSILON / 4 * gradient.sign()
        adversarial = torch.minimum(torch.maximum(moved, low), high)
    return adversarial, forward(network, adversarial, labels).argmax(1) != labels


def deepfool_loop(network, x, labels, steps=50, overshoot=0.02, candidates=10):
    """Foolbox's iteration; images leave the batch as they are fooled."""
    rivals = forward(network, x, labels).argsort(1, descending=True)[:, 1:candidates]
    found, solved = x.clone(), torch.zeros_like(labels, dtype=torch.bool)
    rows, points, total = torch.arange(len(x), device=x.device), x, torch.zeros_like(x)
    for _ in range(steps):
        point = points.detach().requires_grad_(True)
        logits = network(point)
        gaps = logits.gather(1, rivals[rows]) - logits.gather(1, labels[rows, None])
        gradients = [
            torch.autograd.grad(gaps[:, k].sum(), point, retain_graph=True)[0]
            for k in range(gaps.shape[1])
        ]
        gaps = gaps.detach()
        sizes = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients], 1)
        distances = gaps.abs() / (sizes + 1e-8)
        nearest = distances.argmin(1)
        slots = torch.arange(len(rows), device=x.device)
        normal = torch.stack(gradients)[nearest, slots]
        scale = (distances[slots, nearest] + 1e-4) / (sizes[slots, nearest] + 1e-8)
        total[rows] += scale[:, None, None, None] * normal
        points = (x[rows] + (1 + overshoot) * total[rows]).clamp(0, 1)
        fooled = forward(network, points, None).argmax(1) != labels[rows]
        found[rows] = points
        solved[rows[fooled]] = True
        rows, points = rows[~fooled], points[~fooled]
        if not len(rows):
            break
    return found, solved


def foolbox_attack(network, attack, epsilon):
    import foolbox

    device = next(network.parameters()).device
    model = foolbox.PyTorchModel(network, bounds=(0, 1), device=device)
    attack = attack(foolbox.attacks)

    def run(_, x, labels):
        _, clipped, solved = attack(model, x, labels, epsilons=epsilon)
        return clipped, solved

    return run


def torchattacks_pgd(network):
    import torchattacks

    attack = torchattacks.PGD(
        network, eps=EPSILON, alpha=EPSILON / 4, steps=STEPS, random_start=False
    )
    return lambda _, x, labels: (attack(x, labels), None)


# Of attacks: (row, form) -> what makes a run from a network.
ATTACKS = {
    ("pgd-20", "loop"): lambda network: pgd_loop,
    ("pgd-20", "foolbox"): lambda network: foolbox_attack(
        network,
        lambda a: a.LinfPGD(rel_stepsize=0.25, steps=STEPS, random_start=False),
        EPSILON,
    ),
    ("pgd-20", "torchattacks"): torchattacks_pgd,
    ("deepfool", "loop"): lambda network: deepfool_loop,
    ("deepfool", "foolbox"): lambda network: foolbox_attack(
        network, lambda a: a.L2DeepFoolAttack(), None
    ),
}
# Of passes and steps: form -> function.
FORMS = {
    "forward": inference,
    "input-gradient": input_gradient,
    "standard-step": standard_step,
    "authors": authors,
    "careful": careful,
    "careful-frozen": lambda *a: careful(*a, frozen=True),
    "folded": lambda *a: careful(*a, folded=True),
    "folded-frozen": lambda *a: careful(*a, folded=True, frozen=True),
}


def profile_of(network, x, labels, batch):
    """All eigenvalues of the symmetrised finite-difference Hessian at one image, `batch` directions a
    pass."""
    d = x[0].numel()
    here = input_gradient(network, x, labels)
    hessian = torch.empty(d, d, dtype=torch.float64)
    for first in range(0, d, batch):
        count = min(batch, d - first)
        points = x.repeat(count, 1, 1, 1)
        points.view(count, d)[torch.arange(count), torch.arange(first, first + count)] += H_PROFILE
        points = points.contiguous(memory_format=memory_format_of(x))
        gradients = input_gradient(network, points, labels.repeat(count))
        hessian[first : first + count] = (gradients - here).reshape(count, d).double() / H_PROFILE
    return torch.linalg.eigvalsh((hessian + hessian.T) / 2)


def exact_profile_of(network, x, labels, batch):
    """The eigenvalues that are not 0 of a piecewise linear network's Hessian, from class gradients."""
    x = x.detach().requires_grad_(True)
    logits = network(x)[0]
    rows = [torch.autograd.grad(logit, x, retain_graph=True)[0].flatten() for logit in logits]
    jacobian, p = torch.stack(rows).double(), logits.detach().double().softmax(0)
    factor = p.sqrt()[:, None] * (jacobian - p @ jacobian)
    return torch.linalg.eigvalsh(factor @ factor.T)


def memory_format_of(x):
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format


def measure_profile(job, model, x, labels):
    # Nothing warms up: each repeat is thousands of passes, or runs as it would for one image.
    model = fused(model).eval().requires_grad_(False)
    run = exact_profile_of if job["row"] == "exact-profile" else profile_of
    batch = 1 if job["form"] == "one direction at a time" else job["batch"]
    baseline, milliseconds = memory_mib(), []
    for _ in range(job["repeats"]):
        start = time.perf_counter()
        run(model, x, labels, batch)
        milliseconds.append(1e3 * (time.perf_counter() - start))
    return {"ms": milliseconds, "baseline_mib": baseline}


def memory_mib():
    """The most memory this process has had; none where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)


def forget_peak():
    """Lets the peak begin anew from what is held now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def device_of(job):
    """Where `cure` calls it cpu, torch:cpu or torch:cuda:INDEX."""
    return torch.device(job["device"].removeprefix("torch:"))


def timed(job, once):
    """Runs once to warm up, which may compile, and then as often as asked."""
    baseline = memory_mib()
    automatic = torch.autocast(device_of(job).type, torch.bfloat16, job["precision"] == "bf16")

    def once_there():
        with automatic:
            once()
        if device_of(job).type == "cuda":
            torch.cuda.synchronize()

    once_there()
    if job["compile"]:
        forget_peak()
    milliseconds = []
    for _ in range(job["repeats"]):
        start = time.perf_counter()
        once_there()
        milliseconds.append(1e3 * (time.perf_counter() - start))
    return {"ms": milliseconds, "baseline_mib": baseline}


def load_state(network, state, **how):
    names = (key.removeprefix("module.").replace("convShortcut", "shortcut.0") for key in state)
    state = dict(zip(names, state.values()))
    for key, value in network.state_dict().items():
        if key.endswith("num_batches_tracked"):
            state.setdefault(key, torch.zeros_like(value, device="cpu"))
    network.load_state_dict(state, **how)
    return network


def load_checkpoint(job, meta=False):
    """From a checkpoint's file to a network ready to classify."""
    if job["source"].endswith(".safetensors"):
        from safetensors.torch import load_file

        state = load_file(job["source"])
    else:
        state = torch.load(job["source"], map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
    if not meta:
        network = load_state(make(job["model"]), state)
    else:
        with torch.device("meta"):
            network = make(job["model"])
        network = load_state(network, state, assign=True)
    return Normalized(network, job["mean"], job["std"]).eval()


def read_images(job):
    from safetensors.torch import load_file

    found = load_file(job["images"])
    return found["images"].to(device_of(job)), found["labels"].long().to(device_of(job))


def read_cifar10(folder, checked):
    """Both splits as `torchvision.datasets.CIFAR10` reads them, from either layout."""
    import numpy

    folder = Path(folder)
    for inner in ("cifar-10-batches-py", "cifar-10-batches-bin"):
        folder = folder / inner if (folder / inner).is_dir() else folder
    python = (folder / "test_batch").is_file()
    splits = []
    for names in ([f"data_batch_{i}" for i in range(1, 6)], ["test_batch"]):
        data, labels = [], []
        for name in names:
            path = folder / (name if python else f"{name}.bin")
            if checked:
                with path.open("rb") as file:
                    hashlib.file_digest(file, "md5").hexdigest()
            if python:
                with path.open("rb") as file:
                    entry = pickle.load(file, encoding="latin1")
                data.append(entry["data"])
                labels.extend(entry["labels"])
            else:
                rows = numpy.fromfile(path, dtype=numpy.uint8).reshape(-1, 3073)
                data.append(rows[:, 1:])
                labels.extend(rows[:, 0].tolist())
        pixels = numpy.vstack(data).reshape(-1, 3, 32, 32).transpose((0, 2, 3, 1))
        splits.append((pixels, labels))
    return splits


def measure_step(job, model, x, labels):
    form = job["form"]
    if form in ("forward", "input-gradient", "fused"):
        model = (fused(model) if form == "fused" else model).eval().requires_grad_(False)
        form = job["row"]
    function = FORMS[form]
    if job["gradients"]:
        from safetensors.torch import save_file

        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.0
        function(model, x, labels)
        named = model.network.named_parameters()
        found = {name: p.grad.float().contiguous() for name, p in named}
        if isinstance(model.network, WideResNet):
            found = {k.replace("shortcut.0", "convShortcut"): v for k, v in found.items()}
        save_file(found, job["gradients"])
        return {}
    if job["row"] == "forward" and job["form"] == "fused":
        # Weights become constants, laid out once as the kernels read them.
        import torch._inductor.config as inductor

        inductor.freezing = True
    run = torch.compile(model) if job["compile"] else model

    def once():
        model.zero_grad(set_to_none=True)
        function(run, x, labels)

    return timed(job, once)


def measure_attack(job, model, x, labels):
    form = job["form"]
    model = (fused(model) if form == "loop" else model).eval().requires_grad_(False)
    network = torch.compile(model) if job["compile"] else model
    run = ATTACKS[job["row"], form](model)
    last = []

    def once():
        last[:] = run(network, x, labels)

    found = timed(job, once)
    adversarial, solved = last
    if solved is None:
        solved = forward(model, adversarial, labels).argmax(1) != labels
    return found | {"fooled": int(solved.sum())}


def measure(job):
    row = job["row"]
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = job["precision"] == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = job["precision"] == "tf32"
    if row == "data-loading":
        checked = job["form"] == "as torchvision"
        return timed(job, lambda: read_cifar10(job["source"], checked))
    if row == "model-loading":
        meta = job["form"] != "torch.load"
        return timed(job, lambda: load_checkpoint(job, meta))
    if row == "first-image":
        network = load_checkpoint(job, meta=True).to(device_of(job))
        forward(network, read_images(job)[0], None).argmax(1).tolist()
        return {}
    from safetensors.torch import load_file

    layout = torch.channels_last if job["layout"] == "channels-last" else torch.contiguous_format
    network = load_state(make(job["model"]), load_file(job["network"]))
    model = Normalized(network, job["mean"], job["std"]).to(device_of(job), memory_format=layout)
    x, labels = read_images(job)
    x = x.to(memory_format=layout)
    if job["double"]:
        model, x = model.double(), x.double()
    if row in ("pgd-20", "deepfool"):
        return measure_attack(job, model, x, labels)
    if row in ("profile", "exact-profile"):
        return measure_profile(job, model, x, labels)
    return measure_step(job, model, x, labels)


def versions():
    def version(package):
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return None

    try:
        from torch._inductor.cpp_builder import get_cpp_compiler

        said = subprocess.run([get_cpp_compiler(), "--version"], capture_output=True, text=True)
        compiler = said.stdout.splitlines()[0]
    except Exception:  # whatever is missing, there is no compiler then
        compiler = None
    return {
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "foolbox": version("foolbox"),
        "torchattacks": version("torchattacks"),
        "compiler": compiler,
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def check():
    """Every form's gradients against each other, in float64 on a narrow ResNet-18."""
    torch.manual_seed(0)
    network = Normalized(ResNet((4, 8, 16, 32), (2, 2, 2, 2)), [0.5] * 3, [0.25] * 3).double()
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
        FORMS[form](network, x, labels)
        return [parameter.grad.clone() for parameter in named.values()]

    reference = gradients(authors_regularizer(network, x, labels))
    for folded in (False, True):
        found = gradients(careful_regularizer(network, x, labels, folded)[0])
        compare("regulariser, folded" if folded else "regulariser", reference, found, 1e-9)
    # With BatchNorm frozen every form must make clean + γ·L_r of one and the same function.
    network.eval()
    frozen = gradients(
        F.cross_entropy(network(x), labels) + GAMMA * authors_regularizer(network, x, labels)
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
    parser.add_argument("--check", action="store_true", help="compare the forms' gradients")
    parser.add_argument("--versions", action="store_true", help="of everything that is measured")
    parser.add_argument("--job", metavar="JSON", help="measure this, print the measurement")
    options = parser.parse_args()
    if options.check:
        check()
    elif options.versions:
        print(json.dumps(versions()))
    elif options.job:
        found = measure(json.loads(options.job))
        print(json.dumps(found | {"peak_mib": memory_mib()}))
    else:
        parser.print_help()


if __name__ == "__main__":
    main()
