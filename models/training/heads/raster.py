"""A z-buffer in compiled code: triangles → which triangle each sample sees, and where in it. Needs numba.

Screen coordinates are pixel indices (centre of the first pixel = 0). Interpolation is perspective-correct: barycentric
coordinates are weighted by the inverse depth of the corners (Heckbert 1989, "Fundamentals of Texture Mapping", §2.3.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the samples of a picture see."""

    triangle: NDArray[np.int32]
    """[H, W]: index of the nearest triangle, −1 where there is none."""
    weights: Floats
    """[H, W, 2]: perspective-correct barycentric weights of the second and third corner."""
    inverse_depth: Floats
    """[H, W]: 1 / distance along the optical axis, 0 where there is nothing."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[H, W]: where something is seen."""
        return self.triangle >= 0

    def corners(self) -> tuple[NDArray[np.int32], Floats]:
        """Of the covered samples, in scan order: triangle index [P] and weights of its three corners [P, 3]."""
        mask = self.mask
        two = self.weights[mask]
        return self.triangle[mask], np.concatenate([1 - two.sum(axis=1, keepdims=True), two], axis=1)


def rasterise(screen: Floats, inverse_depth: Floats, triangles: NDArray[np.int32], height: int, width: int) -> Coverage:
    """Resolve visibility at the pixel centres.

    Args:
        screen: [V, 2] projected vertices (x, y), pixels.
        inverse_depth: [V], positive in front of the camera; triangles with a corner ≤ 0 are left out. For a parallel
            projection pass any value that falls with distance and read the weights as they are.
        triangles: [F, 3] vertex indices. Both sides are seen.
        height: of the picture.
        width: of the picture.

    Of two triangles at the same depth the earlier one is seen, so the result does not depend on anything but the order.
    """
    triangle = np.full((height, width), -1, np.int32)
    weights = np.zeros((height, width, 2), np.float32)
    nearest = np.zeros((height, width), np.float32)
    _fill(
        np.ascontiguousarray(screen, np.float32),
        np.ascontiguousarray(inverse_depth, np.float32),
        np.ascontiguousarray(triangles, np.int32),
        triangle,
        weights,
        nearest,
    )
    return Coverage(triangle, weights, nearest)


def interpolate(coverage: Coverage, triangles: NDArray[np.int32], values: Floats) -> Floats:
    """Values at the covered samples, in scan order: [V, K] at the vertices → [P, K] float32."""
    index, corners = coverage.corners()
    return _gather(index, corners, np.ascontiguousarray(triangles, np.int32), np.ascontiguousarray(values, np.float32))


def vertex_normals(vertices: Floats, triangles: NDArray[np.int32]) -> Floats:
    """Unit normals [V, 3], area-weighted over the triangles around each vertex; zero where a vertex has none."""
    total = np.zeros(vertices.shape, np.float64)
    _add_normals(np.ascontiguousarray(vertices, np.float64), np.ascontiguousarray(triangles, np.int32), total)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return (total / np.maximum(length, 1e-30)).astype(np.float32)


def dot(a: Floats, b: Floats) -> Floats:
    """[P, 3] · [P, 3] → [P]."""
    return np.einsum("pc,pc->p", a, b)


def unit(vectors: Floats) -> Floats:
    """[P, 3] brought to length 1."""
    return vectors / np.sqrt(np.maximum(dot(vectors, vectors), 1e-12))[:, None]


@njit(cache=True)
def _fill(screen, inverse_depth, triangles, triangle, weights, nearest):  # pragma: no cover - compiled
    height, width = triangle.shape
    for f in range(triangles.shape[0]):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        wa, wb, wc = inverse_depth[a], inverse_depth[b], inverse_depth[c]
        if wa <= 0 or wb <= 0 or wc <= 0:
            continue
        ax, ay = float(screen[a, 0]), float(screen[a, 1])
        bx, by = float(screen[b, 0]), float(screen[b, 1])
        cx, cy = float(screen[c, 0]), float(screen[c, 1])
        x0 = max(int(np.ceil(min(ax, bx, cx))), 0)
        x1 = min(int(np.floor(max(ax, bx, cx))), width - 1)
        y0 = max(int(np.ceil(min(ay, by, cy))), 0)
        y1 = min(int(np.floor(max(ay, by, cy))), height - 1)
        if x0 > x1 or y0 > y1:
            continue
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-12:
            continue
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                sb = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
                sc = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
                if sb < -1e-7 or sc < -1e-7 or sb + sc > 1 + 1e-7:  # no cracks between neighbours
                    continue
                w = (1 - sb - sc) * wa + sb * wb + sc * wc
                if w > nearest[y, x]:
                    nearest[y, x] = w
                    triangle[y, x] = f
                    weights[y, x, 0] = sb * wb / w
                    weights[y, x, 1] = sc * wc / w


@njit(cache=True)
def _gather(index, corners, triangles, values):  # pragma: no cover - compiled
    count, channels = index.shape[0], values.shape[1]
    out = np.empty((count, channels), np.float32)
    for p in range(count):
        f = index[p]
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        for k in range(channels):
            out[p, k] = corners[p, 0] * values[a, k] + corners[p, 1] * values[b, k] + corners[p, 2] * values[c, k]
    return out


@njit(cache=True)
def _add_normals(vertices, triangles, total):  # pragma: no cover - compiled
    for f in range(triangles.shape[0]):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        ux, uy, uz = vertices[b] - vertices[a]
        vx, vy, vz = vertices[c] - vertices[a]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (a, b, c):
            total[v, 0] += nx
            total[v, 1] += ny
            total[v, 2] += nz
