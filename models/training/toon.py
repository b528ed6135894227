"""The cartoon look that the demonstration model learns: a deterministic classical stylisation of a picture.

Cel shading in three steps, each smooth in its input so that a video does not flicker: edge-preserving flattening
(iterated bilateral filter, Tomasi & Manduchi 1998), tone bands with soft steps and line work from a difference of
Gaussians (Winnemöller, Olsen & Gooch 2006; XDoG: Winnemöller 2012). Lengths are in pixels at face scale, where the eyes
are 64 px apart. The bands stand relative to the aligned style crop (`ToneAnchor`), so shadows fall on the face and not
on whatever else is in the frame: this is what the network has to read from w+.
"""

from typing import NamedTuple

import cv2
import numpy as np


class ToonStyle(NamedTuple):
    """Numbers of the look; L is CIELAB lightness, 0-100."""

    flatten_rounds: int = 5
    flatten_sigma_color: float = 7.0
    flatten_sigma_px: float = 3.0
    band_edges: tuple[float, ...] = (-1.9, -0.6, 0.75)
    band_levels: tuple[float, ...] = (-2.6, -1.3, 0.1, 1.4)
    band_sharpness: float = 5.0
    band_mix: float = 0.68
    contrast: float = 1.12
    saturation: float = 1.55
    warmth: float = 5.0
    line_sigma_px: float = 1.0
    line_ratio: float = 1.6
    line_gain: float = 1.25
    line_threshold: float = 0.9
    line_strength: float = 0.92
    ink: tuple[float, float, float] = (12.0, 6.0, 2.0)


class ToneAnchor(NamedTuple):
    """Lightness statistics of the style crop: where the shading bands stand."""

    middle: float
    spread: float


def tone_anchor(aligned: np.ndarray) -> ToneAnchor:
    """Centre-weighted mean and deviation of the lightness of a style crop.

    Args:
        aligned: uint8 [h, w, 3] RGB, the aligned crop (256×256 for a face).
    """
    light = cv2.cvtColor(aligned.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)[..., 0]
    h, w = light.shape
    y, x = np.mgrid[0:h, 0:w]
    weight = np.exp(-(((y / h - 0.55) / 0.22) ** 2) / 2 - ((x / w - 0.5) / 0.18) ** 2 / 2)
    weight /= weight.sum()
    middle = float((weight * light).sum())
    deviation = float(np.sqrt((weight * (light - middle) ** 2).sum()))
    return ToneAnchor(middle=float(np.clip(middle, 25.0, 75.0)), spread=float(np.clip(0.7 * deviation, 7.0, 14.0)))


def toon(image: np.ndarray, anchor: ToneAnchor, style: ToonStyle | None = None) -> np.ndarray:
    """Cartoon of a picture at face scale.

    Args:
        image: uint8 [H, W, 3] RGB.
        anchor: from `tone_anchor` of the style crop that goes with it.

    Returns:
        uint8 [H, W, 3] RGB.
    """
    style = style or ToonStyle()
    lab = cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)
    flat = _flatten(lab, style)
    tone = _bands(flat[..., 0], anchor, style)
    chroma = _colours(flat[..., 1:], tone, style)
    ink = _lines(flat, style)[..., None]
    painted = np.dstack([tone, chroma])
    inked = painted * (1 - ink) + np.array(style.ink, np.float32) * ink
    rgb = cv2.cvtColor(inked.astype(np.float32), cv2.COLOR_Lab2RGB)
    return np.clip(np.rint(rgb * 255.0), 0, 255).astype(np.uint8)


def _flatten(lab: np.ndarray, style: ToonStyle) -> np.ndarray:
    for _ in range(style.flatten_rounds):
        lab = cv2.bilateralFilter(lab, -1, style.flatten_sigma_color, style.flatten_sigma_px)
    return lab


def _bands(light: np.ndarray, anchor: ToneAnchor, style: ToonStyle) -> np.ndarray:
    """Soft steps of lightness about the anchor, mixed with the continuous tone."""
    level = (light - anchor.middle) / anchor.spread
    stepped = np.full_like(light, style.band_levels[0])
    for edge, low, high in zip(style.band_edges, style.band_levels[:-1], style.band_levels[1:], strict=True):
        stepped += (high - low) * 0.5 * (1 + np.tanh(style.band_sharpness * (level - edge)))
    inside = np.exp(-((np.abs(level) / 2.6) ** 4))
    mixed = level + style.band_mix * inside * (stepped - level)
    out = anchor.middle + style.contrast * anchor.spread * mixed + 2.0
    return 100.0 / (1 + np.exp(-(out - 50.0) / 21.0)) * 0.25 + np.clip(out, 0, 100) * 0.75


def _colours(chroma: np.ndarray, tone: np.ndarray, style: ToonStyle) -> np.ndarray:
    """More saturation where there is little, warm light and cool shadow."""
    size_sq = (chroma**2).sum(-1, keepdims=True)
    out = chroma * (1 + (style.saturation - 1) * np.exp(-size_sq / 45.0**2))
    balance = np.tanh((tone - 45.0) / 25.0)[..., None]
    return out + balance * np.array([0.25, 1.0], np.float32) * style.warmth


def _lines(flat: np.ndarray, style: ToonStyle) -> np.ndarray:
    """Ink coverage in [0, 1]: dark side of the edges of the flattened picture, soft threshold."""
    light = flat[..., 0]
    narrow = cv2.GaussianBlur(light, (0, 0), style.line_sigma_px)
    wide = cv2.GaussianBlur(light, (0, 0), style.line_sigma_px * style.line_ratio)
    response = (wide - narrow) - style.line_threshold
    return style.line_strength * np.clip(np.tanh(style.line_gain * np.maximum(response, 0.0)), 0.0, 1.0)
