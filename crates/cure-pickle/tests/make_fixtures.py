"""Writes the files in fixtures/, with the programs whose formats are read (run once, by hand):

    python crates/cure-pickle/tests/make_fixtures.py        # PyTorch 2.11, NumPy 2.4

The values are formulas that the Rust tests repeat.
"""

import argparse
import collections
import pathlib
import pickle

import numpy as np
import torch

FOLDER = pathlib.Path(__file__).parent / "fixtures"


def values():
    shared = [1, "naïve ✓", b"\x00\xff"]
    return {
        "none": None,
        "bools": (True, False),
        "integers": [0, 255, 65535, -1, 2**31, -(2**40), 2**70],
        "floats": [0.5, -1e300, float("inf")],
        "shared": [shared, shared],
        "nested": {1: {2.5: (("deep",),)}},
        "set": {7},
        "namespace": argparse.Namespace(epochs=3, name="run"),
        "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
    }


def arrays():
    return {
        "data": (np.arange(24) * 11 % 256).astype(np.uint8).reshape(2, 3, 4),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3) / 4),
        "labels": np.array([3, -1, 2**40], dtype=np.int64),
        "scalar": np.float64(0.25),
    }


def checkpoint():
    base = torch.arange(24, dtype=torch.float32) / 8 - 1
    state = collections.OrderedDict()
    state["module.float32"] = base.reshape(2, 3, 4)
    state["module.transposed"] = base.reshape(2, 3, 4).permute(2, 0, 1)
    state["module.slice"] = base[5:15:3]
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        state["module." + str(dtype)[6:]] = base[:5].to(dtype)
    for dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool):
        state["module." + str(dtype)[6:]] = torch.arange(5).to(dtype)
    state["module.scalar"] = torch.tensor(7)
    state["module.empty"] = torch.zeros(0, 3)
    state["module.parameter"] = torch.nn.Parameter(torch.tensor([1.5, -2.5]))
    state._metadata = collections.OrderedDict(version=1)
    return {
        "epoch": 3,
        "best": np.float64(91.25),
        "args": argparse.Namespace(lr=0.1),
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "state_dict": state,
    }


FOLDER.mkdir(exist_ok=True)
for protocol in range(6):
    (FOLDER / f"values-{protocol}.pkl").write_bytes(pickle.dumps(values(), protocol))
    (FOLDER / f"arrays-{protocol}.pkl").write_bytes(pickle.dumps(arrays(), protocol))
for form, new in (("zip", True), ("legacy", False)):
    kind = dict(_use_new_zipfile_serialization=new)
    torch.save(checkpoint(), FOLDER / f"checkpoint-{form}.pt", **kind)
    torch.save(torch.nn.Linear(2, 1), FOLDER / f"module-{form}.pt", **kind)
