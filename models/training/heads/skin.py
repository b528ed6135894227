"""What skin, lips, brows, clothes, teeth and eyes look like: colours as functions of the canonical place.

All functions take the samples that a picture sees, [P, …], and return linear colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.training.heads.noise import Noise
from models.training.heads.scene import Cloth, Scene

Floats = NDArray[np.floating]

(BACKGROUND, FACE, L_BROW, R_BROW, L_EYE, R_EYE, GLASSES, L_EAR, R_EAR, EARRING, NOSE, MOUTH, U_LIP, L_LIP,
 NECK, NECKLACE, CLOTH, HAIR_CLASS, HAT) = range(19)  # fmt: skip
"""Classes of CelebAMask-HQ in the order of the BiSeNet parsing networks; l is the person's left, the image's right."""
LIP_LINE = -7.2
"""Canonical height between the lips."""
BROW = np.array([[0.9, 1.15], [1.6, 1.47], [2.6, 1.85], [3.6, 1.80], [4.4, 1.50], [5.1, 0.98]])
"""Centre line of a brow, canonical |x| and z."""
FAIR, DARK = np.array([0.70, 0.455, 0.35]), np.array([0.085, 0.043, 0.027])


@dataclass(frozen=True, slots=True)
class Surface:
    """What shading asks of each sample."""

    albedo: Floats
    """[P, 3] linear."""
    gloss: Floats
    """[P] in [0, 1]."""
    kind: NDArray[np.uint8]
    """[P] parsing class."""
    crease: Floats
    """[P] in [0, 1]: how much of the sky a fold hides."""


def cloth_height(canonical: Floats, cloth: Cloth) -> Floats:
    """[P]: canonical centimetres above the edge of the clothes; negative is cloth."""
    x, y, z = np.ascontiguousarray(canonical.T)
    edge = cloth.neckline + 0.40 * (y - 3.0) + 0.12 * np.abs(x) + 2.0 * cloth.collar
    return (z - np.minimum(edge, -12.5)).astype(np.float32)


def paint_skin(canonical: Floats, marks: Floats, scene: Scene, detail: float = 1.0) -> Surface:
    """Skin and clothes.

    Args:
        canonical: [P, 3].
        marks: [P, 6] lips, ears, eyelids, mouth cavity, eye cavity, open sky.
        scene: whose skin.
        detail: 1 for skin with pores and folds, less for drawn skin.
    """
    skin, noise = scene.skin, Noise(scene.skin.seed)
    x, y, z = np.ascontiguousarray(canonical.T)
    side = np.abs(x)
    lips, ears, lids, mouth, socket = np.ascontiguousarray(marks[:, :5].T)
    albedo = np.tile(skin_albedo(scene), (len(x), 1))
    coarse, fine = noise(canonical, 0.35), noise(canonical, 2.2)
    pores = noise(canonical, 7.0)
    mottled = 0.16 * (coarse - 0.5) + 0.10 * (fine - 0.5) + 0.07 * (pores - 0.5)
    albedo *= (1 + detail * mottled)[:, None]
    front = np.clip((3.0 - y) / 3, 0, 1)
    blood = 0.75 * _spot(side - 4.3, z + 3.6, 2.0) * front + 0.6 * _spot(x, z + 4.6, 1.1) * (y < -2) + 0.55 * ears
    blood += 0.22 * _spot(x, z + 10, 1.6) * front
    _redden(albedo, blood * skin.blood * (0.55 + 0.5 * fine))
    _redden(albedo, 0.9 * skin.makeup * _spot(side - 4.8, z + 3.0, 1.6) * front)
    freckle = np.clip((noise(canonical, 4.2) - 0.66) * 9, 0, 1) * _spot(x * 0.5, z + 2.8, 2.6) * front
    albedo *= 1 - (skin.freckles * 0.5 * freckle)[:, None] * np.array([0.55, 0.8, 0.95], np.float32)

    tired = 0.10 + 0.16 * np.clip((scene.years - 30) / 40, 0, 1)
    albedo *= 1 - (tired * _spot((side - 2.9) * 0.75, z + 1.45, 0.85) * front)[:, None] * np.array(
        [0.8, 1.0, 0.9], np.float32
    )
    wrinkles = _wrinkles(canonical, noise, scene) * (lips < 0.3) * detail
    albedo *= 1 - 0.34 * wrinkles[:, None] * np.array([0.75, 1.0, 1.0], np.float32)
    spots = np.clip((noise(canonical + 50, 1.3) - 0.72) * 6, 0, 1) * np.clip((scene.years - 52) / 25, 0, 1)
    albedo *= 1 - 0.3 * detail * spots[:, None] * np.array([0.6, 0.85, 1.0], np.float32)

    hair = hair_albedo(scene)
    _stubble(albedo, canonical, lips, noise, hair, scene)
    _lids(albedo, canonical, lids, socket, scene)
    _lip_color(albedo, canonical, lips, pores, scene)
    brow = _brow_mask(canonical, noise, scene)
    albedo += (np.array(hair * 0.75, np.float32) - albedo) * (brow * (0.55 + 0.45 * skin.brow_density))[:, None]
    albedo += (np.array([0.13, 0.03, 0.03], np.float32) - albedo) * mouth[:, None]
    gloss = skin.gloss * (0.5 + 0.5 * _spot(x * 0.7, z - 1.0, 4.5)) + 0.55 * lips
    gloss = gloss * (1 - 0.7 * brow) * (0.75 + 0.5 * pores)

    kind = np.full(len(x), FACE, np.uint8)
    below = z < -11.2 + 0.62 * np.clip(y + 1.5, 0, 9)
    kind[below & (mouth < 0.5)] = NECK
    width = _interp(z, [-5.3, -4.2, -3.0, -1.0, 0.6], [1.25, 1.95, 1.55, 0.95, 0.75])
    kind[(side < width) & (z > -5.15) & (z < 0.3) & (y < -1.0)] = NOSE
    kind[ears > 0.5] = np.where(x[ears > 0.5] > 0, L_EAR, R_EAR)
    line = np.abs(z - _interp(side, BROW[:, 0], BROW[:, 1])) < 0.42 * skin.brow_thickness * _interp(
        side, [1, 5], [1, 0.6]
    )
    brows = line & (side > 0.9) & (side < 5.15) & (y < 3)
    kind[brows] = np.where(x[brows] > 0, L_BROW, R_BROW)
    kind[lips > 0.45] = np.where(z[lips > 0.45] > LIP_LINE, U_LIP, L_LIP)
    kind[mouth > 0.5] = MOUTH
    cloth = cloth_height(canonical, scene.cloth) < 0
    kind[cloth] = CLOTH
    albedo[cloth] = _cloth_color(canonical[cloth], noise, scene.cloth)
    gloss = np.where(cloth, 0.06, gloss)
    return Surface(albedo.clip(0.003, 0.95), gloss.astype(np.float32), kind, (0.4 * wrinkles).astype(np.float32))


def paint_eyes(own: Floats, head: Floats, left: NDArray[np.bool_], scene: Scene, iris_angle: float) -> Surface:
    """Eyeballs: directions against the eye's axis and the head's [P, 3]; `left`: which are the person's left."""
    angle = np.arccos(np.clip(-own[:, 1], -1, 1)) / iris_angle
    turn = np.arctan2(own[:, 2], own[:, 0])
    noise = Noise(scene.skin.seed + 1)
    sclera = np.array([0.64, 0.60, 0.575], np.float32) * (1 - 0.02 * (scene.years > 60))
    veins = np.clip((noise(own * 9, (1.0, 1.0, 2.5)) - 0.62) * 3, 0, 1) * np.clip(angle - 1.1, 0, 1.2)
    albedo = sclera * (1 - veins[:, None] * np.array([0.05, 0.25, 0.25], np.float32))
    fibre = noise(np.stack([np.cos(turn) * 2.6, np.sin(turn) * 2.6, angle * 0.35], axis=1).astype(np.float32), 3.0)
    fibre2 = noise(np.stack([np.cos(turn) * 6, np.sin(turn) * 6, angle * 0.5], axis=1).astype(np.float32), 3.0)
    ring = 1 - 0.65 * _rise(angle, 0.78, 1.0)
    glow = 0.75 + 0.7 * (1 - np.abs(angle - 0.55) * 2).clip(0, 1)
    color = np.array(scene.iris, np.float32) * (0.55 + 0.55 * fibre + 0.35 * fibre2)[:, None] * (ring * glow)[:, None]
    inner = _rise(angle, scene.pupil - 0.05, scene.pupil + 0.05)[:, None]
    color = color * inner + 0.004 * (1 - inner)
    edge = _rise(angle, 0.93, 1.08)[:, None]
    albedo = color * (1 - edge) + albedo * edge
    shade = 1 - 0.62 * _rise(head[:, 2], 0.02, 0.30) - 0.14 * _rise(-head[:, 2], 0.12, 0.32)
    shade *= 1 - 0.55 * _rise(np.abs(head[:, 0]), 0.38, 0.80)
    kind = np.where(left, L_EYE, R_EYE).astype(np.uint8)
    return Surface((albedo).astype(np.float32), np.ones(len(own), np.float32), kind, (1 - shade).astype(np.float32))


def skin_albedo(scene: Scene) -> Floats:
    """[3]: colour of the skin, before anything is painted on it."""
    return (FAIR ** (1 - scene.skin.melanin) * DARK**scene.skin.melanin).astype(np.float32)


def hair_albedo(scene: Scene) -> Floats:
    """[3]: colour of the hair with its grey."""
    return (np.array(scene.hair_color) * (1 - scene.grey) + np.array([0.45, 0.45, 0.46]) * scene.grey).astype(
        np.float32
    )


def _interp(x: Floats, places: Sequence[float] | Floats, values: Sequence[float] | Floats) -> Floats:
    """Piecewise linear, float32."""
    return np.interp(x, places, values).astype(np.float32)


def _spot(a: Floats, b: Floats, radius: float) -> Floats:
    return np.exp(-(a * a + b * b) / (radius * radius)).astype(np.float32)


def _rise(values: Floats, low: float, high: float) -> Floats:
    t = np.clip((values - low) / (high - low), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _redden(albedo: Floats, amount: Floats) -> None:
    albedo *= 1 - amount[:, None] * np.array([0.02, 0.36, 0.32], np.float32)


def _wrinkles(canonical: Floats, noise: Noise, scene: Scene) -> Floats:
    """[P] in [0, 1]: folds that age and expressions draw."""
    x, y, z = np.ascontiguousarray(canonical.T)
    side, front = np.abs(x), np.clip((3.5 - y) / 3, 0, 1)
    age = float(np.clip((scene.years - 30) / 42, 0, 1))
    fold = _interp(z, [-8.2, -6.6, -5.2, -4.2], [3.45, 3.05, 2.5, 2.05])
    lines = (
        (0.10 + 0.6 * age + 0.35 * scene.smile)
        * _band(side - fold, 0.24)
        * _rise(z, -8.4, -7.2)
        * (1 - _rise(z, -4.6, -3.9))
    )
    wave = 0.22 * np.sin(x * 1.1 + 1) + 0.5 * (noise(canonical, 0.4) - 0.5)
    raised = 0.85 * age + 0.5 * float(scene.actions.get("browInnerUp", 0.0))
    for height in (3.7, 4.6, 5.5):
        lines = lines + raised * 0.75 * _band(z - height - wave, 0.13) * (1 - _rise(side, 2.5, 5))
    angle = np.arctan2(z - 0.1, side - 3.9)
    feet = (
        (0.5 + 0.5 * np.cos(angle * 16)) ** 3
        * _rise(side, 4.75, 5.2)
        * (1 - _rise(side, 6.0, 6.9))
        * (np.abs(angle) < 0.75)
    )
    lines = lines + (0.7 * age + 0.3 * scene.smile * (scene.years > 24)) * 0.8 * feet
    frown = 0.5 * age + 0.6 * float(scene.actions.get("browDownLeft", 0.0))
    lines = lines + frown * _band(side - 0.55, 0.13) * _rise(z, 0.6, 1.2) * (1 - _rise(z, 2.2, 3.0))
    lines = lines + 0.6 * age * _band(z + 2.25 - 0.12 * (side - 3) ** 2, 0.16) * _rise(side, 1.6, 2.4) * (
        1 - _rise(side, 4, 5)
    )
    return (lines * front).clip(0, 1).astype(np.float32)


def _band(values: Floats, width: float) -> Floats:
    return np.exp(-((values / width) ** 2)).astype(np.float32)


def _stubble(albedo: Floats, canonical: Floats, lips: Floats, noise: Noise, hair: Floats, scene: Scene) -> None:
    if scene.skin.stubble == 0:
        return
    x, y, z = np.ascontiguousarray(canonical.T)
    side = np.abs(x)
    top = _interp(side, [0, 1.8, 3.2, 5.5, 7.0], [-5.5, -5.6, -7.4, -6.2, -1.5])
    area = _rise(top - z, -0.2, 0.9) * _rise(z, -14.5, -11.5) * (1 - _rise(y, 4.5, 6.5)) * (1 - _rise(lips, 0.15, 0.5))
    grain = 0.35 + 0.65 * np.clip((noise(canonical, 6.5) - 0.35) * 3, 0, 1)
    amount = (0.62 * scene.skin.stubble * area * grain)[:, None]
    albedo += (np.array(hair * 0.8 + 0.01, np.float32) - albedo) * amount


def _lids(albedo: Floats, canonical: Floats, lids: Floats, socket: Floats, scene: Scene) -> None:
    x, _, z = np.ascontiguousarray(canonical.T)
    shadow = 0.75 * scene.skin.makeup * _spot((np.abs(x) - 3.1) * 0.55, z - 0.75, 0.62)
    tint = np.random.default_rng(scene.skin.seed + 2).uniform(0.35, 0.8, 3)
    albedo *= 1 - shadow[:, None] * (1 - tint.astype(np.float32))
    albedo *= 1 - (0.10 * lids)[:, None] * np.array([0.6, 1, 1], np.float32)
    pink = np.array([0.42, 0.17, 0.15], np.float32) * (1 - 0.5 * scene.skin.melanin)
    albedo += (pink - albedo) * (0.85 * socket)[:, None]


def _lip_color(albedo: Floats, canonical: Floats, lips: Floats, pores: Floats, scene: Scene) -> None:
    skin = scene.skin
    natural = skin_albedo(scene) * np.array([0.86, 0.50, 0.52], np.float32) + np.array([0.02, 0.0, 0.004], np.float32)
    rng = np.random.default_rng(skin.seed + 3)
    stick = np.array([0.42, 0.05, 0.07]) * rng.uniform(0.5, 1.2) + rng.uniform(0, 0.12) * np.array([0.4, 1, 0.9])
    color = natural * (1 - skin.makeup) + stick.astype(np.float32) * skin.makeup
    z = canonical[:, 2]
    inner = np.exp(-(((z - LIP_LINE) / 0.28) ** 2))
    color = color * (0.92 + 0.16 * pores)[:, None] * (1 - 0.35 * inner * lips)[:, None]
    albedo += (color - albedo) * _rise(lips, 0.12, 0.75)[:, None]


def _brow_mask(canonical: Floats, noise: Noise, scene: Scene) -> Floats:
    x, y, z = np.ascontiguousarray(canonical.T)
    side = np.abs(x)
    center = _interp(side, BROW[:, 0], BROW[:, 1])
    half = 0.36 * scene.skin.brow_thickness * _interp(side, [0.9, 2.0, 3.8, 5.2], [0.75, 1.0, 0.75, 0.25])
    slant = np.stack([side * 1.0 - (z - center) * 0.9, y * 0.2, (z - center) * 1.1], axis=1).astype(np.float32)
    strands = noise(slant, (7.0, 1.0, 1.6))
    ragged = half * (0.75 + 0.7 * strands)
    mask = 1 - _rise(np.abs(z - center) / np.maximum(ragged, 1e-3), 0.55, 1.15)
    mask *= _rise(side, 0.75, 1.5) * (1 - _rise(side, 4.6, 5.3)) * (y < 3)
    return (mask * (0.55 + 0.45 * strands)).clip(0, 1).astype(np.float32)


def _cloth_color(canonical: Floats, noise: Noise, cloth: Cloth) -> Floats:
    x, y, z = np.ascontiguousarray(canonical.T)
    color = np.tile(np.array(cloth.color, np.float32), (len(x), 1))
    if cloth.pattern != "plain":
        on = np.sin(z * 2.2) > 0.2
        if cloth.pattern == "check":
            on = on ^ (np.sin((x + 0.3 * y) * 2.0) > 0.2)
        color[on] = np.array(cloth.second, np.float32)
    folds = noise(canonical, (0.16, 0.16, 0.07)) + 0.5 * noise(canonical, (0.4, 0.4, 0.15))
    color *= (0.62 + 0.5 * folds + 0.12 * noise(canonical, 6.0))[:, None]
    edge = np.exp(-((cloth_height(canonical, cloth) + 0.5) ** 2) / 0.5)
    return (color * (1 - 0.25 * edge)[:, None]).astype(np.float32)
