"""The networks that `cure` is compared with, in plain PyTorch.

Written from the papers and from the key layouts of published weight files; used by
`golden/make_golden.py`, `parity/outcomes.py` and `benchmarks/pytorch.py`.

Every network takes pixels in [0, 1] of shape [N, 3, H, W] and returns logits [N, classes];
the normalisation belongs to the network, so that a perturbation is always in pixels.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR10_PYHESSIAN = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
CIFAR10_ABCROWN = ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616))
CIFAR10 = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


class Normalized(nn.Module):
    """`network((x - mean) / std)`; without statistics it is `network(x)`."""

    def __init__(self, network, statistics=None):
        super().__init__()
        self.network = network
        self.statistics = statistics

    def forward(self, x):
        if self.statistics is not None:
            mean, std = (torch.tensor(s, dtype=x.dtype, device=x.device) for s in self.statistics)
            x = (x - mean[None, :, None, None]) / std[None, :, None, None]
        return self.network(x)


class OptionA(nn.Module):
    """He et al.'s parameter-free shortcut: every second pixel, new channels zero."""

    def __init__(self, planes_in, planes):
        super().__init__()
        # The published CIFAR code pads planes/4 each side because planes doubles.
        self.pad = (planes - planes_in) // 2

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))


class BasicBlock(nn.Module):
    """conv-BN-σ-conv-BN, plus the shortcut, then σ (ResNet, He et al. 2016)."""

    def __init__(self, planes_in, planes, stride, shortcut, activation, shortcut_name="shortcut"):
        super().__init__()
        self.conv1 = nn.Conv2d(planes_in, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.activation = activation
        self.shortcut_name = shortcut_name
        if stride == 1 and planes_in == planes:
            bypass = nn.Sequential()
        elif shortcut == "option_a":
            bypass = OptionA(planes_in, planes)
        else:
            bypass = nn.Sequential(
                nn.Conv2d(planes_in, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )
        setattr(self, shortcut_name, bypass)

    def forward(self, x):
        out = self.activation(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.activation(out + getattr(self, self.shortcut_name)(x))


class ResNet(nn.Module):
    """A CIFAR ResNet of basic blocks: stride 1 in the first stage, 2 in the others."""

    def __init__(
        self,
        widths,
        blocks,
        classes=10,
        shortcut="convolution",
        activation=F.relu,
        shortcut_name="shortcut",
        linear_name="linear",
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.activation = activation
        self.stages = []
        planes_in = widths[0]
        for stage, (planes, count) in enumerate(zip(widths, blocks), start=1):
            layers = []
            for block in range(count):
                stride = 2 if stage > 1 and block == 0 else 1
                layers.append(
                    BasicBlock(planes_in, planes, stride, shortcut, activation, shortcut_name)
                )
                planes_in = planes
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
            self.stages.append(f"layer{stage}")
        self.linear_name = linear_name
        setattr(self, linear_name, nn.Linear(planes_in, classes))

    def forward(self, x):
        x = self.activation(self.bn1(self.conv1(x)))
        for stage in self.stages:
            x = getattr(self, stage)(x)
        return getattr(self, self.linear_name)(x.mean((2, 3)))


class PreActBlock(nn.Module):
    """BN-σ-conv-BN-σ-conv; a convolution shortcut sees the pre-activated input, an identity
    shortcut sees the input itself."""

    def __init__(self, planes_in, planes, stride, activation):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(planes_in)
        self.conv1 = nn.Conv2d(planes_in, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.activation = activation
        if stride != 1 or planes_in != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(planes_in, planes, 1, stride, bias=False))

    def forward(self, x):
        out = self.activation(self.bn1(x))
        bypass = self.shortcut(out) if hasattr(self, "shortcut") else x
        out = self.conv1(out)
        return self.conv2(self.activation(self.bn2(out))) + bypass


class PreActResNet(nn.Module):
    """conv1, pre-activation stages (strides 1, 2, 2, …), final BN and σ, average, linear."""

    def __init__(self, widths, blocks, classes=10, activation=F.relu):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.activation = activation
        self.stages = []
        planes_in = widths[0]
        for stage, (planes, count) in enumerate(zip(widths, blocks), start=1):
            layers = []
            for block in range(count):
                stride = 2 if stage > 1 and block == 0 else 1
                layers.append(PreActBlock(planes_in, planes, stride, activation))
                planes_in = planes
            setattr(self, f"layer{stage}", nn.Sequential(*layers))
            self.stages.append(f"layer{stage}")
        self.bn = nn.BatchNorm2d(planes_in)
        self.linear = nn.Linear(planes_in, classes)

    def forward(self, x):
        x = self.conv1(x)
        for stage in self.stages:
            x = getattr(self, stage)(x)
        return self.linear(self.activation(self.bn(x)).mean((2, 3)))


class PlainBlock(nn.Module):
    """conv-ReLU-conv, plus the shortcut, then ReLU; biases, no BatchNorm."""

    def __init__(self, planes_in, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(planes_in, planes, 3, stride, 1)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1)
        self.shortcut = nn.Sequential()
        if stride != 1 or planes_in != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(planes_in, planes, 1, stride))

    def forward(self, x):
        return F.relu(self.conv2(F.relu(self.conv1(x))) + self.shortcut(x))


class ResNet2b(nn.Module):
    """The `resnet2b` of α,β-CROWN's benchmarks: 32² → 16² → 8², then two linear layers."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, 1)
        self.layer1 = nn.Sequential(PlainBlock(8, 16, 2), PlainBlock(16, 16, 1))
        self.linear1 = nn.Linear(16 * 8 * 8, 100)
        self.linear2 = nn.Linear(100, 10)

    def forward(self, x):
        x = self.layer1(F.relu(self.conv1(x)))
        return self.linear2(F.relu(self.linear1(x.flatten(1))))


def resnet18():
    return ResNet((64, 128, 256, 512), (2, 2, 2, 2))


# name -> (file, constructor, normalisation)
PUBLISHED = {
    "resnet20-akamaster": (
        "resnet20-akamaster.th",
        lambda: ResNet((16, 32, 64), (3, 3, 3), shortcut="option_a"),
        IMAGENET,
    ),
    "resnet20-pyhessian": (
        "resnet20-pyhessian.pkl",
        lambda: ResNet(
            (16, 32, 64), (3, 3, 3), shortcut_name="downsample", linear_name="fc"
        ),
        CIFAR10_PYHESSIAN,
    ),
    "resnet18-pyautoattack": ("resnet18-pyautoattack.pt", resnet18, None),
    "resnet2b-abcrown": ("resnet2b-abcrown.pth", ResNet2b, CIFAR10_ABCROWN),
}


def load_published(name, folder):
    """One of the published networks, in eval mode. Nothing in the pickle is executed."""
    file, constructor, statistics = PUBLISHED[name]
    state = torch.load(Path(folder) / file, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    network = constructor()
    state = {key.removeprefix("module."): value for key, value in state.items()}
    # Files older than PyTorch 0.4.1 have no `num_batches_tracked`; eval mode does not use it.
    for key, value in network.state_dict().items():
        if key.endswith("num_batches_tracked"):
            state.setdefault(key, value)
    network.load_state_dict(state, strict=True)
    return Normalized(network, statistics).eval()


def load_cifar10_test(folder, limit=10_000):
    """Images [N, 3, 32, 32] in [0, 1] and labels [N], in the file's order."""
    import numpy

    rows = numpy.fromfile(Path(folder) / "test_batch.bin", dtype=numpy.uint8).reshape(-1, 3073)
    images = torch.from_numpy(rows[:limit, 1:].astype(numpy.float32) / numpy.float32(255))
    return images.reshape(-1, 3, 32, 32), torch.from_numpy(rows[:limit, 0].astype(numpy.int64))
