"""How exact F(4×4, 3×3), or with an argument F(4×4, 2×2), is in single precision, by the points it evaluates at.

    pip install numpy
    python benchmarks/winograd_points.py [2]

Root mean square and largest error over the outputs' own root mean square, against sums in double
precision, for half-normal inputs (what a ReLU lets through) and normal weights.
"""

import sys

import numpy as np

TILES = 400
OUTPUTS = 4

HALF, TWO = 0.5**0.5, 2**0.5
CHOICES = {
    3: {
        "0, ±1, ±2, ∞": (0, 1, -1, 2, -2),
        "0, ±1, ±1/2, ∞": (0, 1, -1, 0.5, -0.5),
        "0, ±√½, ±√2, ∞": (0, HALF, -HALF, TWO, -TWO),
    },
    2: {
        "±1, ±2, ∞": (1, -1, 2, -2),
        "0, ±1, ½, ∞": (0, 1, -1, 0.5),
        "±√½, ±√2, ∞": (HALF, -HALF, TWO, -TWO),
        "±½, ±1, ∞": (0.5, -0.5, 1, -1),
    },
}


def transforms(points, taps):
    """Aᵀ, G and Bᵀ for some points and ∞ (Toom–Cook, transposed)."""
    at = [[p**i for p in points] + [float(i == OUTPUTS - 1)] for i in range(OUTPUTS)]
    others = [[q for q in points if q != p] for p in points]
    scale = [np.prod([p - q for q in rest]) for p, rest in zip(points, others)]
    g = [[p**i / n for i in range(taps)] for p, n in zip(points, scale)]
    g.append([float(i == taps - 1) for i in range(taps)])
    bt = [list(np.poly(rest)[::-1]) + [0.0] for rest in others] + [list(np.poly(points)[::-1])]
    return (np.array(matrix, dtype=np.float32) for matrix in (at, g, bt))


def errors(rng, channels, taps, points):
    side = OUTPUTS + taps - 1
    data = np.maximum(rng.standard_normal((TILES, channels, side, side)), 0).astype(np.float32)
    weights = rng.standard_normal((channels, taps, taps)).astype(np.float32)
    exact = np.zeros((TILES, OUTPUTS, OUTPUTS))
    plain = np.zeros((TILES, OUTPUTS, OUTPUTS), np.float32)
    for c in range(channels):
        for i in range(taps):
            for j in range(taps):
                window = data[:, c, i : i + OUTPUTS, j : j + OUTPUTS]
                exact += window.astype(float) * float(weights[c, i, j])
                plain += window * weights[c, i, j]
    if points is None:
        found = plain
    else:
        at, g, bt = transforms(points, taps)
        kernel = g @ weights @ g.T
        patches = bt @ data @ bt.T
        sums = np.zeros((TILES, side, side), np.float32)
        for c in range(channels):
            sums += kernel[c] * patches[:, c]
        found = at @ sums @ at.T
    scale = np.sqrt((exact**2).mean())
    return np.sqrt(((found - exact) ** 2).mean()) / scale, np.abs(found - exact).max() / scale


def main():
    taps = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    for channels in (16, 64, 512):
        for name, points in {"plain sums": None, **CHOICES[taps]}.items():
            mean, largest = errors(np.random.default_rng(0), channels, taps, points)
            print(f"{channels:4} channels  {name:16} {mean:.1e}  {largest:.1e}")


if __name__ == "__main__":
    main()
