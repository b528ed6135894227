"""A textured clip with a known motion, something like a render of it, and the faults that a render can have."""

import cv2
import numpy as np

COUNT, HEIGHT, WIDTH = 30, 112, 144
FAULTY = 17
"""The frame that every fault sits in, or begins at."""
WINDOW = (20, 96, 32, 112)
"""Top, bottom, left, right of what is rendered."""


def texture(height, width, seed=0):
    """[H, W, 3] float32 in [0, 1]: soft blobs of several sizes."""
    rng = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(rng.standard_normal((height, width, 3)).astype(np.float32), (0, 0), s) for s in (2, 5)]
    mixed = sum(layer / layer.std() * share for layer, share in zip(layers, (0.08, 0.14), strict=True))
    return np.clip(0.5 + mixed, 0, 1).astype(np.float32)


def path(index, speed=1.0):
    """(x, y) in pixels by which the picture has moved at a frame: uneven, never a whole number for long."""
    return speed * (0.7 * index + 2.0 * np.sin(index / 3)), speed * 1.5 * np.sin(index / 4)


def clip(count=COUNT, speed=1.0, seed=0, height=HEIGHT, width=WIDTH):
    """`count` pictures [H, W, 3] uint8 of a texture under a moving camera."""
    margin = 48
    big = texture(height + 2 * margin, width + 2 * margin, seed)
    frames = []
    for index in range(count):
        x, y = path(index, speed)
        matrix = np.array([[1, 0, x - margin], [0, 1, y - margin]], np.float64)
        moved = cv2.warpAffine(big, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        frames.append(to_uint8(moved))
    return frames


def locked(count=20, noise=0.0, radius=22):
    """A still background, and before it a disc of `radius` pixels whose texture moves by about 0.4 pixels a frame."""
    rng = np.random.default_rng(5)
    background, big = texture(HEIGHT, WIDTH, 3), texture(160, 160, 9)
    matte = cv2.circle(np.zeros((HEIGHT, WIDTH), np.float32), (72, 58), radius, 1, -1)
    matte = cv2.GaussianBlur(matte, (0, 0), 1)[..., None]
    frames = []
    for k in range(count):
        matrix = np.array([[1, 0, 0.4 * k + 2 * np.sin(k / 3) - 8], [0, 1, 1.2 * np.sin(k / 4) - 24]], np.float64)
        moved = cv2.warpAffine(big, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
        frames.append(to_uint8(background + matte * (moved - background) + rng.normal(0, noise / 255, moved.shape)))
    return frames


def to_uint8(picture):
    return np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)


def toon(frame, window=WINDOW, tint=(1.05, 1.0, 0.92)):
    """A tone curve, a tint and a blur inside the window, with a soft edge; the rest stays as it is."""
    x = frame.astype(np.float32) / 255
    styled = cv2.GaussianBlur(x * x * (3 - 2 * x), (0, 0), 1.0) * np.array(tint, np.float32) + 0.05
    top, bottom, left, right = window
    matte = np.zeros(x.shape[:2], np.float32)
    matte[top + 4 : bottom - 4, left + 4 : right - 4] = 1
    matte = cv2.GaussianBlur(matte, (0, 0), 1.3)[..., None]
    return to_uint8(x + matte * (styled - x))


def render(frames):
    return [toon(frame) for frame in frames]


def shaken(frame, dx, dy):
    """The window's contents moved by whole pixels."""
    top, bottom, left, right = WINDOW
    moved = frame.copy()
    moved[top:bottom, left:right] = np.roll(frame, (dy, dx), (0, 1))[top:bottom, left:right]
    return moved


def _at(frames, index, picture):
    return [*frames[:index], picture, *frames[index + 1 :]]


def _offset(frame, levels):
    return np.clip(frame.astype(np.int16) + levels, 0, 255).astype(np.uint8)


def _recolored(frame):
    """The window one level redder and less blue: less than anybody sees in a still picture."""
    changed = frame.copy()
    top, bottom, left, right = WINDOW
    changed[top:bottom, left:right] = _offset(frame, np.array([1, 0, -1], np.int16))[top:bottom, left:right]
    return changed


FAULTS = {
    "shown_before": lambda y, k: _at(y, k, y[k - 1]),
    "shown_again_and_late": lambda y, k: [*y[:k], y[k - 1], *y[k:-1]],
    "left_out_and_early": lambda y, k: [*y[:k], *y[k + 1 :], y[-1]],
    "jump_right": lambda y, k: _at(y, k, shaken(y[k], 1, 0)),
    "jump_up": lambda y, k: _at(y, k, shaken(y[k], 0, -1)),
    "lighter": lambda y, k: _at(y, k, _offset(y[k], 4)),
    "tinted": lambda y, k: _at(y, k, toon(y[k], tint=(0.97, 1.0, 1.04))),
    "recolored": lambda y, k: _at(y, k, _recolored(y[k])),
    "twice_as_styled": lambda y, k: _at(y, k, toon(y[k])),
}
"""Name → (frames, number of the faulty one) → faulty frames."""


def alternating(frames, levels=2, first=0, last=None):
    """± `levels` from frame to frame, from frame `first` to `last`."""
    last = len(frames) - 1 if last is None else last
    return [
        _offset(frame, (levels if index % 2 else -levels) if first <= index <= last else 0)
        for index, frame in enumerate(frames)
    ]
