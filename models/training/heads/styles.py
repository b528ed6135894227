"""Drawn counterparts of a picture, from the same buffers: an animated film, ink and flat tones, a sketch."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.heads.human import EYES, HAIR, LASHES, SKIN
from models.training.heads.raster import Coverage, dot, unit
from models.training.heads.scene import Light
from models.training.heads.shade import Seen
from models.training.heads.skin import CLOTH, EARRING, FACE, L_BROW, L_EYE, L_LIP, MOUTH, NOSE, R_BROW, R_EYE, U_LIP

Floats = NDArray[np.floating]


def film(seen: Seen, light: Light) -> Floats:
    """[P, 3] linear: smooth shading with soft, warm shadows and a rim, saturated colours: an animated film."""
    direction, key = np.array(light.direction, np.float32), np.array(light.key, np.float32)
    facing = seen.normal @ direction
    rim = 1 - np.clip(dot(seen.normal, seen.view), 0, 1)
    up = seen.normal[:, 2:3] * 0.5 + 0.5
    dome = np.array(light.ground, np.float32) * (1 - up) + np.array(light.sky, np.float32) * up
    albedo = _saturate(seen.albedo, 1.35) * np.float32(1.06)
    soft = np.clip(
        (facing[:, None] + np.array([0.55, 0.38, 0.32], np.float32)) / np.array([1.55, 1.38, 1.32], np.float32), 0, 1
    )
    lit = (0.25 + 0.75 * seen.lit)[:, None] ** np.array([0.7, 1.0, 1.05], np.float32)
    sky = (0.3 + 0.7 * seen.open_sky)[:, None] ** np.array([0.6, 1.0, 1.0], np.float32)
    color = albedo * (soft * lit * key * 0.95 + dome * sky * 1.15)
    half = unit(seen.view + direction)
    glint = np.clip(dot(seen.normal, half), 0, 1)
    color += ((0.03 + 0.10 * seen.gloss) * glint**20 * lit[:, 1])[:, None] * key * (seen.material != HAIR)[:, None]
    color += (0.35 * rim**2.5 * np.clip(seen.normal[:, 2] + 0.5, 0, 1))[:, None] * albedo**0.7 * dome
    at = seen.material == HAIR
    along, tint = seen.own[at, 4], seen.own[at, 5]
    band = np.exp(-(((glint[at] - 0.86 - 0.10 * (tint - 0.5)) / 0.07) ** 2)) * (0.4 + 0.6 * np.sin(along * 3.1))
    color[at] += (0.5 * band * seen.lit[at])[:, None] * albedo[at] ** 0.6 * key * 0.5
    _glints(color, seen, direction, 0.966)
    return color


def flat(seen: Seen, light: Light) -> Floats:
    """[P, 3] linear: cel shading in two tones and a highlight; the lines are drawn by `lines`."""
    direction = np.array(light.direction, np.float32)
    level = (np.array(light.key, np.float32) * 0.8 + np.array(light.sky, np.float32) * 0.6).mean()
    tint = np.array(light.key, np.float32) / np.mean(light.key)
    albedo = _posterise(_saturate(seen.albedo, 1.45), seen.kind)
    facing = seen.normal @ direction
    half = unit(seen.view + direction)
    bright = _step(np.minimum(facing + 0.05, (seen.lit - 0.5) * 0.6 + 0.15), 0.0, 0.03)
    bright = np.minimum(bright, _step(seen.open_sky, 0.18, 0.03))
    bright = np.where(seen.material == EYES, _step(seen.open_sky, 0.62, 0.05), bright)
    shadow = np.array([0.50, 0.44, 0.56], np.float32) * (0.5 + 0.5 * tint)
    color = albedo * (shadow + (tint * 1.05 - shadow) * bright[:, None]) * min(level, 1.15)
    glint = np.clip(dot(seen.normal, half), 0, 1)
    at = seen.material == HAIR
    streak = _step(seen.own[at, 5], 0.62, 0.05) * 0.28
    ring = _step(glint[at] + 0.08 * (seen.own[at, 5] - 0.5), 0.93, 0.015) * bright[at]
    color[at] *= 1 - streak[:, None]
    color[at] += 0.35 * ring[:, None] * (albedo[at] ** 0.5)
    at = seen.kind == L_LIP
    color[at] += 0.18 * _step(glint[at], 0.96, 0.01)[:, None]
    at = seen.kind == FACE
    if at.any():  # as bright as the picture: drawn skin would else look tanned
        wanted = (seen.albedo[at].mean(axis=1) * np.clip(facing[at], 0.3, 1) * 1.25).mean() * level
        color *= np.clip(wanted / max(float(color[at].mean()), 1e-3), 0.8, 2.2)
    _glints(color, seen, direction, 0.966)
    return color


def lines(seen: Seen, coverage: Coverage, width: float) -> tuple[Floats, Floats]:
    """Where ink goes, from depth, normals and classes.

    Args:
        seen: of the covered samples.
        coverage: of the samples [H, W].
        width: of a line, samples.

    Returns:
        Strength of the outlines and of the finer inner lines, each [H, W] in [0, 1].
    """
    mask = coverage.mask
    normal = np.zeros((*mask.shape, 3), np.float32)
    normal[mask] = np.where((seen.material == HAIR)[:, None], np.array([0, -1, 0], np.float32), seen.normal)
    kind = np.zeros(mask.shape, np.uint8)
    kind[mask] = np.where(seen.kind == NOSE, FACE, seen.kind)
    depth = np.where(mask, 1 / np.maximum(coverage.inverse_depth, 1e-3), 9.0).astype(np.float32)
    hair = np.zeros(mask.shape, np.float32)
    hair[mask] = np.where(seen.material == HAIR, np.round(seen.own[:, 5] * 6) / 6, -1.0)
    jump = np.maximum(*(np.abs(d) for d in _differences(depth)))
    is_hair = hair >= 0
    outline = np.clip((jump - np.where(is_hair, 0.030, 0.010)) / 0.01, 0, 1)
    important = np.isin(kind, (L_EYE, R_EYE, MOUTH, U_LIP, L_LIP, CLOTH, L_BROW, R_BROW, EARRING))
    labels = np.where(important, kind, np.where(kind == 17, 17, np.where(mask, 1, 0))).astype(np.float32)
    edge = np.maximum(*(np.abs(d) > 0 for d in _differences(labels))).astype(np.float32)
    outline = np.maximum(outline, edge)
    lash = np.zeros(mask.shape, np.float32)
    lash[mask] = seen.material == LASHES
    bend = np.maximum(
        *(np.abs(d).sum(axis=2) for d in _differences(np.asarray(cv2.GaussianBlur(normal, (0, 0), 1.0), np.float32)))
    )
    skin = np.zeros(mask.shape, bool)
    skin[mask] = seen.material == SKIN
    inner = np.clip((bend - 0.16) / 0.14, 0, 1) * skin * (kind != CLOTH)
    strand = np.maximum(*(np.abs(d) > 0.3 for d in _differences(hair))) * is_hair * 0.35
    return _thick(np.maximum(outline, lash), width), np.maximum(_thick(inner, width * 0.7), strand).astype(np.float32)


def inked(color: Floats, outline: Floats, inner: Floats) -> Floats:
    """sRGB samples [H, W, 3] with lines drawn in a dark shade of what they cross."""
    ink = color * 0.18
    amount = np.maximum(outline * 0.95, inner * 0.5)[..., None]
    return color + (ink - color) * amount


def sketch(outline: Floats, inner: Floats, shade: Floats) -> Floats:
    """[H, W] in [0, 1]: dark lines on white paper, with a little tone where `shade` [H, W] is dark."""
    tone = np.clip((0.32 - shade) / 0.32, 0, 1) * 0.22
    return np.clip(1 - np.maximum(outline * 0.92, inner * 0.7) - tone, 0, 1).astype(np.float32)


def _differences(values: Floats) -> tuple[Floats, Floats]:
    """To the right and down, same shape, 0 at the border."""
    right, down = np.zeros_like(values), np.zeros_like(values)
    right[:, :-1] = values[:, 1:] - values[:, :-1]
    down[:-1] = values[1:] - values[:-1]
    return right, down


def _thick(edge: Floats, width: float) -> Floats:
    size = max(round(width), 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.GaussianBlur(cv2.dilate(edge.astype(np.float32), kernel), (0, 0), 0.5), np.float32)


def _saturate(color: Floats, amount: float) -> Floats:
    grey = color @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return np.clip(grey[:, None] + (color - grey[:, None]) * amount, 0.002, 1).astype(np.float32)


def _posterise(albedo: Floats, kind: NDArray[np.uint8]) -> Floats:
    """Flatten colours within each class towards their median; eyes keep their iris."""
    out = albedo.copy()
    for label in np.unique(kind):
        at = kind == label
        if label in (L_EYE, R_EYE, CLOTH):
            continue
        keep = 0.35 if label == FACE else 0.15
        out[at] = np.median(albedo[at], axis=0) * (1 - keep) + albedo[at] * keep
    return out


def _step(values: Floats, at: float, width: float) -> Floats:
    return np.clip((values - at) / width + 0.5, 0, 1).astype(np.float32)


def _glints(color: Floats, seen: Seen, direction: Floats, size: float) -> None:
    at = seen.material == EYES
    light = np.array([direction[0] * 0.75, min(direction[1], -0.45), max(direction[2], 0.3)], np.float32)
    light /= np.linalg.norm(light)
    mirrored = 2 * dot(seen.normal[at], seen.view[at])[:, None] * seen.normal[at] - seen.view[at]
    color[at] += 0.9 * _step(mirrored @ light, size, 0.012)[:, None]
