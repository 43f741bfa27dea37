"""Writes the MAT-files in fixtures/ (run once, by hand):

    python crates/cure-data/tests/make_fixtures.py        # SciPy 1.17, NumPy 2.4

The pixels are a formula that the Rust tests repeat. `scipy.io.loadmat` reads every file back and must
find what was to be written, also in the one that SciPy cannot write: it is big-endian, its `X` is
compressed and its `y` is not, and the doubles of `y` are stored as bytes, as MATLAB stores them.
"""

import pathlib
import struct
import zlib

import numpy as np
import scipy.io

FOLDER = pathlib.Path(__file__).parent / "fixtures"
INT8, UINT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 2, 5, 6, 14, 15
DOUBLE_CLASS, UINT8_CLASS = 6, 9


def images(n):
    """[32, 32, 3, N] (row, column, channel, image), from a formula of channel-major places."""
    sample, at = np.ogrid[:n, : 3 * 32 * 32]
    pixels = ((sample * 31 + at * 7 + at // 256) % 256).astype(np.uint8)
    return pixels.reshape(n, 3, 32, 32).transpose(2, 3, 1, 0)


def element(kind, contents):
    """A big-endian element; contents of one to four bytes go into its tag."""
    if 0 < len(contents) <= 4:
        return struct.pack(">HH4s", len(contents), kind, contents)
    return struct.pack(">II", kind, len(contents)) + contents + bytes(-len(contents) % 8)


def matrix(kind, name, array):
    """A big-endian variable of a class, its values stored as bytes."""
    flags = element(UINT32, struct.pack(">II", kind, 0))
    shape = element(INT32, struct.pack(f">{array.ndim}i", *array.shape))
    values = element(UINT8, array.astype(np.uint8).tobytes(order="F"))
    return element(MATRIX, flags + shape + element(INT8, name) + values)


def big_endian(path, x, y):
    inner = zlib.compress(matrix(UINT8_CLASS, b"X", x))
    header = b"MATLAB 5.0 MAT-file, big-endian".ljust(116) + bytes(8) + b"\x01\x00MI"
    compressed = struct.pack(">II", COMPRESSED, len(inner)) + inner
    path.write_bytes(header + matrix(DOUBLE_CLASS, b"y", y) + compressed)


def scipys(compressed):
    def write(path, x, y):
        scipy.io.savemat(path, {"X": x, "y": y}, do_compression=compressed)
        bytes_ = bytearray(path.read_bytes())
        # The date, and nothing else, differs from one writing to the next.
        bytes_[:116] = b"MATLAB 5.0 MAT-file, by scipy.io.savemat".ljust(116)
        path.write_bytes(bytes_)

    return write


FILES = {
    "svhn-compressed.mat": (scipys(True), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 1], np.float64),
    "svhn-plain.mat": (scipys(False), [10, 5, 1], np.uint8),
    "svhn-big-endian.mat": (big_endian, [9, 10, 4], np.float64),
}

for file, (write, labels, dtype) in FILES.items():
    x, y = images(len(labels)), np.array(labels, dtype).reshape(-1, 1)
    write(FOLDER / file, x, y)
    read = scipy.io.loadmat(FOLDER / file, mat_dtype=True)
    assert read["X"].dtype == np.uint8 and np.array_equal(read["X"], x), file
    assert read["y"].dtype.newbyteorder("=") == dtype, (file, read["y"].dtype)
    assert np.array_equal(read["y"], y), file
