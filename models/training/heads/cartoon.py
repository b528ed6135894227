"""The proportions of a cartoon: larger eyes, smaller nose, mouth and chin, rounder cheeks, a thinner neck."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix

from models.training.heads.human import Human

Floats = NDArray[np.floating]

TOON_EYES = 1.36
"""Factor on the eyes."""


class Cartoon:
    """Changes anybody's proportions: smooth fields over canonical places, then the folds they leave are relaxed."""

    def __init__(self, human: Human) -> None:
        self._canonical = human.canonical
        a, b, c = human.triangles.T
        rows, columns = np.concatenate([a, b, c, b, c, a]), np.concatenate([b, c, a, a, b, c])
        links = coo_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(human.count,) * 2).tocsr()
        links.data[:] = 1
        degree = np.maximum(np.asarray(links.sum(axis=1)).ravel(), 1)
        self._mean = links.multiply(1 / degree[:, None]).tocsr().astype(np.float32)
        x, y, z = human.canonical.T
        around = np.hypot(np.abs(x) - 3.08, z)
        ring = np.clip((around - 1.75) / 0.5, 0, 1) * np.clip((6.5 - around) / 2.0, 0, 1) * np.clip((3 - y) / 2, 0, 1)
        mouth = np.exp(-((x / 3.0) ** 2) - ((z + 7.3) / 1.5) ** 2)
        fine = human.region.ears + human.region.lips + human.region.mouth_cavity + human.region.eye_cavity
        self._relax = (ring * (1 - mouth) * np.clip(1 - fine, 0, 1) * (np.abs(x) < 8))[:, None].astype(np.float32) * 0.6

    def __call__(self, vertices: Floats, eyes: Floats) -> tuple[Floats, Floats]:
        """Vertices [V, 3] and eyeballs [2, 4] (centre, radius), metres, as `Human.build` returns them."""
        moved, eyes = _stretched(vertices, eyes, self._canonical)
        for _ in range(14):
            moved = moved + (self._mean @ moved - moved) * self._relax
        return moved.astype(np.float32), eyes


def _stretched(vertices: Floats, eyes: Floats, canonical: Floats) -> tuple[Floats, Floats]:
    """Larger eyes, smaller nose, mouth and chin, rounder cheeks, thinner neck: smooth fields over canonical places."""
    moved = vertices.copy()
    z = canonical[:, 2]
    nose = _bump(canonical, 0, -4.4, 1.3, 3.4)
    base = np.array([0, -0.020, -0.036], np.float32)
    moved -= (vertices - base) * nose * np.array([0.30, 0.42, 0.26], np.float32)
    mouth = _bump(canonical, 0, -7.3, 2.6, 4.6)
    moved -= (vertices - np.array([0, -0.02, -0.070], np.float32)) * mouth * np.array([0.12, 0.0, 0.05], np.float32)
    chin = (np.clip((-6.5 - z) / 5, 0, 1) * np.clip((z + 15) / 3, 0, 1))[:, None]
    moved -= np.stack([vertices[:, 0] * 0.16, vertices[:, 1] * 0, (vertices[:, 2] + 0.065) * 0.18], axis=1) * chin
    for side in (-1, 1):
        moved += _bump(canonical, side * 4.9, -4.2, 0.5, 3.6) * np.array([side * 0.003, -0.0035, 0.0], np.float32)
    skull = np.clip((z - 0.5) / 5, 0, 1)[:, None]
    moved += (vertices - np.array([0, 0.07, 0.0], np.float32)) * skull * np.array([0.05, 0.03, 0.07], np.float32)
    neck = (np.clip((-11 - z) / 2, 0, 1) * np.clip((z + 18) / 4, 0, 1))[:, None]
    moved[:, :1] -= vertices[:, :1] * neck * 0.14
    return enlarged_eyes(moved, eyes, canonical, TOON_EYES)


def enlarged_eyes(vertices: Floats, eyes: Floats, canonical: Floats, factor: float) -> tuple[Floats, Floats]:
    """Eyeballs and lids larger by `factor`, the skin around them pushed aside."""
    moved, eyes, grown = vertices.copy(), eyes.copy(), factor - 1
    for eye, side in zip(eyes, (-1, 1), strict=True):
        around, lids = _bump(canonical, side * 3.08, 0.0, 1.9, 4.4), _bump(canonical, side * 3.08, 0.0, 1.7, 3.2)
        fields = np.concatenate([around, lids, around], axis=1)
        back = np.array(
            [side * 0.005 * grown, 0.88 * grown * eye[3], -0.0033 * grown], np.float32
        )  # the front stays where it was
        moved += fields * ((vertices - eye[:3]) * grown + back)
        eye[:3] += back
        eye[3] *= factor
    return moved.astype(np.float32), eyes


def _bump(canonical: Floats, across: float, height: float, inner: float, outer: float) -> Floats:
    """[V, 1]: 1 within `inner` of a place on the front of the face, 0 beyond `outer`, canonical centimetres."""
    x, y, z = canonical.T
    t = np.clip((outer - np.hypot(x - across, z - height)) / (outer - inner), 0, 1)
    return (t * t * (3 - 2 * t) * np.clip((4.0 - y) / 4.0, 0, 1))[:, None].astype(np.float32)
