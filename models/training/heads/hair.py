"""Hair: strands grown from the scalp as they are combed, under gravity, kept outside the head, drawn as ribbons.

Everything is in the space of the head at rest (`human.py`): hair turns with the head in one piece, so flow is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import KDTree

from models.training.heads.human import SKIN, Human

Floats = NDArray[np.floating]
Ints = NDArray[np.int32]

CENTRE = np.array([0.0, 7.0, 2.5], np.float32)
"""Of the skull, canonical centimetres."""
HAIRLINE = np.array(
    [
        [0, 6.2], [20, 6.1], [34, 5.6], [47, 4.2], [56, 2.2], [64, 0.2],
        [71, -0.6], [76, 1.4], [96, 1.2], [106, -2.5], [125, -6.0], [180, -7.5],
    ]
)  # fmt: skip
"""Degrees from the front around the skull → canonical height of the hairline."""


@dataclass(frozen=True, slots=True)
class HairStyle:
    """How hair is cut and combed."""

    comb: str
    """Which way it is combed: back, side, centre, forward, up; `bald` for none."""
    length: float
    """Metres, of the longest strands."""
    fringe: float
    """0: none … 1: the front hangs over the forehead."""
    part: float
    """x of the parting, metres."""
    volume: float
    """Metres that the outermost layer stands off the skull."""
    curl: float
    """Amplitude of the curls, metres."""
    recede: float
    """Canonical centimetres by which the front hairline has gone back."""
    taper: float
    """0: one length … 1: the sides and the nape are cropped short."""
    strands: int
    seed: int


@dataclass(frozen=True, slots=True)
class Ribbons:
    """A mesh of ribbons, and what shading asks of each of its vertices."""

    vertices: Floats
    """[V, 3] metres."""
    triangles: Ints
    """[F, 3]."""
    tangents: Floats
    """[V, 3] unit, from root to tip."""
    normals: Floats
    """[V, 3] unit, out of the head of hair, not of the ribbon."""
    across: Floats
    """[V] in [−1, 1]: place across the ribbon."""
    along: Floats
    """[V] in [0, 1]: place from root to tip."""
    tint: Floats
    """[V] in [0, 1]: one random value per strand."""


def hairline(canonical: Floats, recede: float = 0.0) -> Floats:
    """[P]: canonical centimetres above the hairline, negative below it."""
    x, y = canonical[:, 0], canonical[:, 1] - CENTRE[1]
    degrees = np.degrees(np.arctan2(np.abs(x), -y))
    line = np.interp(degrees, HAIRLINE[:, 0], HAIRLINE[:, 1])
    temple = np.exp(-(((degrees - 32) / 14) ** 2)) * 1.3 + np.exp(-((degrees / 30) ** 2)) * 0.8
    return (canonical[:, 2] - line - recede * temple).astype(np.float32)


def scalp_roots(human: Human, count: int) -> tuple[Ints, Floats]:
    """Places on the head where hair can grow, spread evenly: triangle indices [count] and corner weights [count, 3].

    A fixed sequence: every style takes its roots from the front of it.
    """
    corners = human.canonical[human.triangles]
    center = corners.mean(axis=1)
    grows = (human.material == SKIN) & (hairline(center, 0.0) > -0.8) & (human.head_weight[human.triangles[:, 0]] > 0.5)
    grows &= human.region.ears[human.triangles].max(axis=1) < 0.5
    grows &= np.linalg.norm(center - CENTRE, axis=1) > 6
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) * grows
    rng = np.random.default_rng(20)
    place = np.searchsorted(np.cumsum(area) / area.sum(), rng.random(count))
    place = place.clip(0, len(area) - 1).astype(np.int32)
    a, b = np.sqrt(rng.random(count)), rng.random(count)
    return place, np.stack([1 - a, a * (1 - b), a * b], axis=1).astype(np.float32)


class Salon:
    """Grows hair on the heads of one `Human`."""

    def __init__(self, human: Human, pool: int = 9000) -> None:
        self._human = human
        self._triangle, self._weights = scalp_roots(human, pool)
        corners = human.canonical[human.triangles[self._triangle]]
        self._canonical = np.einsum("pk,pkc->pc", self._weights, corners)
        skull = (human.head_weight > 0.5) & (
            human.region.mouth_cavity + human.region.eye_cavity + human.region.ears < 0.5
        )
        self._skull = np.flatnonzero(skull & (human.canonical[:, 2] > -14))
        grid = np.stack(np.meshgrid(np.arange(72) * 5 - 180 + 2.5, np.arange(36) * 5 - 90 + 2.5), axis=-1)
        turn, rise = np.radians(grid[..., 0]), np.radians(grid[..., 1])
        rays = np.stack([np.sin(turn) * np.cos(rise), -np.cos(turn) * np.cos(rise), np.sin(rise)], axis=-1)
        offsets = human.canonical[self._skull] - CENTRE
        tree = KDTree(offsets / np.linalg.norm(offsets, axis=1, keepdims=True))
        self._nearest = tree.query(rays.reshape(-1, 3), k=3)[1]

    def grow(self, vertices: Floats, style: HairStyle, width: float = 1.0) -> Ribbons:
        """Hair for the person whose head at rest has `vertices` [V, 3].

        Args:
            vertices: metres.
            style: cut and comb.
            width: factor on the ribbons' width (drawn styles like it broader).
        """
        rng = np.random.default_rng(style.seed)
        height = hairline(self._canonical, style.recede)
        ragged = rng.normal(0, 0.25, len(height))
        rows = np.flatnonzero(height + ragged > 0)[: style.strands]
        place = self._human.triangles[self._triangle[rows]]
        roots = np.einsum("pk,pkc->pc", self._weights[rows], vertices[place])
        center = vertices[self._skull].mean(axis=0) * [0, 1, 0] + [0, 0, CENTRE[2] / 100]
        center = center.astype(np.float32)
        radius = self._radius(vertices, center)
        points = _strands(rng, roots, self._canonical[rows], center, radius, style)
        return _ribbons(rng, points, center, style, width)

    def _radius(self, vertices: Floats, center: Floats) -> Floats:
        """[36, 72]: distance of the skin from `center`, metres, by elevation and azimuth in steps of 5°."""
        distance = np.linalg.norm(vertices[self._skull] - center, axis=1)[self._nearest].mean(axis=1)
        grid = gaussian_filter1d(distance.reshape(36, 72).astype(np.float32), 1.0, axis=0, mode="nearest")
        return gaussian_filter1d(grid, 1.0, axis=1, mode="wrap")


def _strands(
    rng: np.random.Generator, roots: Floats, canonical: Floats, center: Floats, radius: Floats, style: HairStyle
) -> Floats:
    """[N, S, 3] points from root to tip."""
    count = len(roots)
    steps = int(np.clip(style.length * 90, 7, 16))
    out = roots - center
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    front = np.clip((-canonical[:, 1] + 3.0) / 4, 0, 1) * np.clip((canonical[:, 2] - 4.5) / 2.5, 0, 1)
    azimuth = np.degrees(np.arctan2(np.abs(canonical[:, 0]), CENTRE[1] - canonical[:, 1]))
    low = np.clip((5.5 - canonical[:, 2]) / 6, 0, 1) * (1 - front)
    length = style.length * rng.uniform(0.72, 1.0, count) * (1 - style.taper * 0.8 * low)
    if style.fringe > 0:
        length = np.where(
            front > 0.5, np.minimum(length, (0.045 + 0.03 * style.fringe) * rng.uniform(0.8, 1, count)), length
        )
    burn = (azimuth > 52) & (azimuth < 84) & (canonical[:, 2] < 2.2)  # hair before the ear does not cross it
    length = np.maximum(np.where(burn, np.minimum(length, 0.014), length), 0.006)
    comb = _comb(roots, canonical, front, style) + rng.normal(0, 0.10, (count, 3))
    comb[burn] = [0.0, 0.3, -1.0]
    stand_off = style.volume * rng.random(count) ** 0.7 + 0.001
    side = np.where(roots[:, 0] > style.part, 1.0, -1.0)
    hangs = (front > 0.5) & (style.fringe > 0)
    points = np.empty((count, steps + 1, 3), np.float32)
    points[:, 0] = roots - out * 0.002
    now, heading = points[:, 0].copy(), out.copy()
    lift = np.clip(style.volume / 0.02, 0.1, 0.8) * (2.5 if style.comb == "up" else 0.45)
    for step in range(1, steps + 1):
        s = step / steps
        outward = now - center
        outward /= np.linalg.norm(outward, axis=1, keepdims=True)
        along = comb - outward * (comb * outward).sum(axis=1, keepdims=True) * (0.0 if style.comb == "up" else 1.0)
        pull = np.minimum(length / 0.10, 1.3)[:, None] * s * np.array([0, 0, -1.6], np.float32)
        target = along + outward * (lift * 0.5 * (1 - s) ** 2 - 0.3 * s) + pull
        if step == 1:
            heading = along + outward * lift
        heading = heading * 0.55 + 0.6 * target / np.maximum(np.linalg.norm(target, axis=1, keepdims=True), 1e-6)
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        now = now + heading * (length / steps)[:, None]
        now = _outside(now, center, radius, stand_off * min(1.0, 2.5 * s))
        now = _beside(now, center, side, hangs)
        points[:, step] = now
    kin = np.stack([burn, hangs, side > 0], axis=1).astype(np.float32) * 0.2
    return _curl(rng, points, np.concatenate([roots, kin], axis=1), out, style)


def _comb(roots: Floats, canonical: Floats, front: Floats, style: HairStyle) -> Floats:
    """[N, 3]: the way each strand is combed, not yet along the skin."""
    side = np.sign(roots[:, 0] - style.part)
    one = np.ones(len(roots))
    back = np.clip((canonical[:, 1] - 6) / 6, 0, 1)
    if style.comb == "back":
        ways = np.stack([0.25 * np.sign(roots[:, 0]), one, -0.2 * one - 0.6 * back], axis=1)
    elif style.comb == "side":
        ways = np.stack([side * 0.9, -0.25 + 0.9 * back, -0.35 - 0.6 * back], axis=1)
    elif style.comb == "centre":
        ways = np.stack([side * 0.8, 0.35 + 0.4 * back, -0.6 - 0.5 * back], axis=1)
    elif style.comb == "forward":
        ways = np.stack([0.25 * np.sign(roots[:, 0]), -1 + 1.6 * back, -0.4 - 0.6 * back], axis=1)
    else:
        ways = np.stack([roots[:, 0] * 4, -0.2 * one, 1.0 * one], axis=1)
    hang = np.stack([0.35 * np.sign(roots[:, 0] - style.part * 0.3), -1 * one, -0.9 * one], axis=1)
    share = (front * style.fringe)[:, None]
    return (ways * (1 - share) + hang * share).astype(np.float32)


def _outside(points: Floats, center: Floats, radius: Floats, clearance: Floats) -> Floats:
    """Push points that are inside the head (plus clearance, metres) out along the ray from its centre."""
    offset = points - center
    distance = np.linalg.norm(offset, axis=1)
    unit = offset / np.maximum(distance, 1e-6)[:, None]
    column = (np.degrees(np.arctan2(unit[:, 0], -unit[:, 1])) + 180 - 2.5) / 5
    row = np.clip((np.degrees(np.arcsin(np.clip(unit[:, 2], -1, 1))) + 90 - 2.5) / 5, 0, 34.999)
    c0, r0 = np.floor(column).astype(int), np.floor(row).astype(int)
    fc, fr = column - c0, row - r0
    c0, c1 = c0 % 72, (c0 + 1) % 72
    skin = (radius[r0, c0] * (1 - fc) + radius[r0, c1] * fc) * (1 - fr)
    skin += (radius[r0 + 1, c0] * (1 - fc) + radius[r0 + 1, c1] * fc) * fr
    steep = np.clip((unit[:, 2] + 0.85) / 0.25, 0, 1)  # below the jaw there is no skull to stay out of
    least = (np.minimum(skin, 0.16) + clearance) * steep
    return (center + unit * np.maximum(distance, least)[:, None]).astype(np.float32)


def _beside(points: Floats, center: Floats, side: NDArray[np.floating], hangs: NDArray[np.bool_]) -> Floats:
    """Turn points that would hang before the face to its side; a fringe may end above the eyes."""
    offset = points - center
    azimuth = np.arctan2(offset[:, 0], -offset[:, 1])
    reach = np.hypot(offset[:, 0], offset[:, 1])
    edge = np.radians(np.interp(points[:, 2], [-0.09, -0.03, 0.02, 0.06], [62.0, 56.0, 44.0, 0.0]))
    blocked = (np.abs(azimuth) < edge) & ~hangs
    azimuth = np.where(blocked, side * edge, azimuth)
    turned = np.stack([reach * np.sin(azimuth), -reach * np.cos(azimuth), offset[:, 2]], axis=1) + center
    return np.where(blocked[:, None], turned, points).astype(np.float32)


def _curl(rng: np.random.Generator, points: Floats, kin: Floats, out: Floats, style: HairStyle) -> Floats:
    """Gather strands in locks, and curl each lock; `kin` [N, K]: near each other where strands may share one."""
    count, total = points.shape[:2]
    locks = max(count // 14, 8)
    lock = KDTree(kin[:locks]).query(kin)[1]
    s = np.linspace(0, 1, total, dtype=np.float32)[None, :, None]
    hold = 0.62 * s**0.8 * rng.uniform(0.6, 1.0, (count, 1, 1)).astype(np.float32)
    guide = points[lock]
    points = points * (1 - hold) + guide * hold + rng.normal(0, 0.0012, (count, 1, 3)).astype(np.float32) * s
    amplitude = style.curl * s**0.5
    turns = np.clip(style.length / 0.035, 1.0, 7.0)
    phase = rng.uniform(0, 2 * np.pi, locks)[lock][:, None, None] + rng.normal(0, 0.35, (count, 1, 1))
    angle = (2 * np.pi * turns * s + phase).astype(np.float32)
    first = np.cross(out, [0.0, 1.0, 0.3])
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-6)
    second = np.cross(out, first)
    offset = np.cos(angle) * first[:, None] + np.sin(angle) * (0.4 * second + 0.9 * out)[:, None]
    return (points + amplitude * offset).astype(np.float32)


def _ribbons(rng: np.random.Generator, points: Floats, center: Floats, style: HairStyle, width: float) -> Ribbons:
    count, total = points.shape[:2]
    tangents = np.gradient(points, axis=1)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=2, keepdims=True), 1e-9)
    outward = points - center
    outward[..., 2] *= 0.8
    outward /= np.maximum(np.linalg.norm(outward, axis=2, keepdims=True), 1e-9)
    sideways = np.cross(tangents, outward)
    length = np.linalg.norm(sideways, axis=2, keepdims=True)
    sideways = np.where(length > 0.2, sideways / np.maximum(length, 1e-9), [1.0, 0.0, 0.0])
    s = np.linspace(0, 1, total, dtype=np.float32)
    half = (0.0011 + 0.0035 * min(style.length / 0.25, 1.0) ** 0.7) * width * rng.uniform(0.6, 1.2, (count, 1, 1))
    half = half * (np.minimum(1, 0.2 + 3.5 * s) * (1 - 0.85 * s**2.2))[None, :, None]
    vertices = np.stack([points - sideways * half, points + sideways * half], axis=2)  # [N, S, 2, 3]
    base = np.arange(count * total * 2, dtype=np.int32).reshape(count, total, 2)
    a, b, c, d = base[:, :-1, 0], base[:, :-1, 1], base[:, 1:, 0], base[:, 1:, 1]
    triangles = np.stack([np.stack([a, b, c], -1), np.stack([b, d, c], -1)], axis=2).reshape(-1, 3)

    def spread(values: NDArray[np.floating]) -> Floats:
        return np.ascontiguousarray(np.broadcast_to(values, (count, total, 2, *values.shape[3:])), np.float32)

    return Ribbons(
        vertices=vertices.reshape(-1, 3).astype(np.float32),
        triangles=triangles.astype(np.int32),
        tangents=spread(tangents[:, :, None]).reshape(-1, 3),
        normals=spread(outward[:, :, None]).reshape(-1, 3),
        across=spread(np.array([-1.0, 1.0])[None, None, :]).ravel(),
        along=spread(s[None, :, None]).ravel(),
        tint=spread(rng.random((count, 1, 1))).ravel(),
    )
