"""How exact F(4×4, 3×3) is in single precision, by the points it evaluates at.

    pip install numpy
    python benchmarks/winograd_points.py

Root mean square and largest error over the outputs' own root mean square, against sums in double
precision, for half-normal inputs (what a ReLU lets through) and normal weights.
"""

import numpy as np

TILES = 400


def transforms(inner, outer):
    """Aᵀ, G and Bᵀ for the points 0, ±inner, ±outer and ∞ (Toom–Cook, transposed)."""
    a, b = inner, outer
    points = ((0.0, a * a * b * b), (a, 2 * a * a * (a * a - b * b)), (-a, 2 * a * a * (a * a - b * b)),
              (b, 2 * b * b * (b * b - a * a)), (-b, 2 * b * b * (b * b - a * a)))
    at = [[p**i for p, _ in points] + [float(i == 3)] for i in range(4)]
    g = [[1 / n, p / n, p * p / n] for p, n in points] + [[0, 0, 1]]

    def row(point, other):
        return [0, -point * other**2, -(other**2), point, 1, 0]

    product, total = (a * b) ** 2, a * a + b * b
    bt = [[product, 0, -total, 0, 1, 0], row(a, b), row(-a, b), row(b, a), row(-b, a),
          [0, product, 0, -total, 0, 1]]
    return (np.array(matrix, dtype=np.float32) for matrix in (at, g, bt))


def errors(rng, channels, points):
    data = np.maximum(rng.standard_normal((TILES, channels, 6, 6)), 0).astype(np.float32)
    weights = rng.standard_normal((channels, 3, 3)).astype(np.float32)
    exact = np.zeros((TILES, 4, 4))
    plain = np.zeros((TILES, 4, 4), np.float32)
    for c in range(channels):
        for i in range(3):
            for j in range(3):
                window = data[:, c, i : i + 4, j : j + 4]
                exact += window.astype(float) * float(weights[c, i, j])
                plain += window * weights[c, i, j]
    if points is None:
        found = plain
    else:
        at, g, bt = transforms(*points)
        kernel = g @ weights @ g.T
        patches = bt @ data @ bt.T
        sums = np.zeros((TILES, 6, 6), np.float32)
        for c in range(channels):
            sums += kernel[c] * patches[:, c]
        found = at @ sums @ at.T
    scale = np.sqrt((exact**2).mean())
    return np.sqrt(((found - exact) ** 2).mean()) / scale, np.abs(found - exact).max() / scale


def main():
    rows = (("plain sums", None), ("0, ±1, ±2, ∞", (1, 2)), ("0, ±1, ±1/2, ∞", (1, 0.5)),
            ("0, ±√½, ±√2, ∞", (0.5**0.5, 2**0.5)))
    for channels in (16, 64, 512):
        for name, points in rows:
            mean, largest = errors(np.random.default_rng(0), channels, points)
            print(f"{channels:4} channels  {name:16} {mean:.1e}  {largest:.1e}")


if __name__ == "__main__":
    main()
