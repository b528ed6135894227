"""An egg that stands in for the human model, so that everything but the person can be tested without anny."""

import numpy as np
import torch

from models.training.heads.human import LASHES, SKIN, Human, Region

LANDMARKS = (
    (-6.9, 0), (-6.7, -2), (-6.8, -3.6), (-6.3, -5.8), (-5.7, -7.8), (-4.6, -9.2), (-3.4, -10.3), (-1.4, -10.9),
    (0, -11), (1.4, -10.9), (3.4, -10.3), (4.6, -9.2), (5.7, -7.8), (6.3, -5.8), (6.8, -3.6), (6.7, -2),
    (6.9, 0), (-4.8, 1.2), (-4.2, 1.6), (-3.4, 1.8), (-2.6, 1.8), (-1.3, 1.3), (1.3, 1.3), (2.6, 1.8),
    (3.4, 1.8), (4.2, 1.6), (4.8, 1.2), (0, 0), (0, -1.4), (0, -2.7), (0, -3.8), (-1.1, -4.5),
    (-0.7, -4.7), (0, -4.9), (0.7, -4.7), (1.1, -4.5), (-4.4, 0), (-3.5, 0.3), (-2.7, 0.3), (-1.9, -0.3),
    (-2.8, -0.6), (-3.6, -0.6), (1.9, -0.3), (2.7, 0.3), (3.5, 0.3), (4.4, 0), (3.6, -0.6), (2.8, -0.6),
    (-2.3, -7.1), (-1.4, -6.3), (-0.5, -6.2), (0, -6.1), (0.5, -6.2), (1.4, -6.3), (2.3, -7.1), (1.3, -8.2),
    (0.6, -8.3), (0, -8.3), (-0.6, -8.3), (-1.3, -8.2), (-2.1, -7.2), (-1, -7), (0, -7), (1, -7),
    (2.1, -7.2), (1.1, -7.4), (0, -7.4), (-1.1, -7.4),
)  # fmt: skip
"""Canonical x and z of the 68 landmarks, centimetres."""
ACTIONS = ("jawOpen", "mouthSmileLeft")


class Coefficients:
    """Takes anny's call and says: the shape of nobody in particular."""

    def get_phenotype_blendshape_coefficients(self, local_changes, **phenotypes):
        return torch.tensor([[phenotypes["weight"] - 0.5, 0.0, 0.0]])


def make_egg(rows: int = 60, columns: int = 90) -> Human:
    """An egg on a stalk, with two eyeballs half in it; `weight` makes it fat, `jawOpen` long."""
    rise, turn = np.meshgrid(np.linspace(-1.5, 1.5, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij")
    x, y = 7.6 * np.cos(rise) * np.sin(turn), 7.0 - 9.5 * np.cos(rise) * np.cos(turn)
    canonical = np.stack([x, y, -0.5 + 12.0 * np.sin(rise)], axis=-1).reshape(-1, 3).astype(np.float32)
    stalk = canonical * np.array([1.6, 0.5, 1], np.float32) + np.array([0, 4, -22], np.float32)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    triangles = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    triangles = np.concatenate([triangles, triangles + len(canonical)]).astype(np.int32)
    material = np.full(len(triangles), SKIN, np.int32)
    material[-2:] = LASHES
    canonical = np.concatenate([canonical, stalk])
    count = len(canonical)
    balls = [_ball(side * 3.08) for side in (-1, 1)]
    template = np.concatenate([canonical, *balls]).astype(np.float32) / 100
    head = (np.arange(count) < count // 2).astype(np.float32)
    zeros = np.zeros(count, np.float32)
    lips = np.clip(1.6 - np.hypot(canonical[:, 0] / 2.4, (canonical[:, 2] + 7.2) / 1.3), 0, 1)
    lips = (lips * (canonical[:, 1] < 2) * head).astype(np.float32)
    shapes = np.zeros((3, *template.shape), np.float32)
    shapes[0, :count, 0] = template[:count, 0] * 0.3
    shapes[1, :count, 2] = np.minimum(canonical[:, 2] + 7.2, 0) * 0.002 * head
    shapes[2, :count, 2] = lips * canonical[:, 0] * 0.002
    marks = []
    front = np.flatnonzero((canonical[:, 1] < 4) & (head > 0))
    for place in LANDMARKS:
        marks.append(front[np.linalg.norm(canonical[front][:, [0, 2]] - place, axis=1).argmin()])
    ball = len(balls[0])
    return Human(
        triangles=triangles,
        material=material,
        canonical=canonical,
        region=Region(lips, zeros, zeros, zeros, zeros),
        occlusion=zeros + 1,
        head_weight=head,
        landmarks=np.array(marks, np.int32),
        eyeballs=(np.arange(count, count + ball, dtype="i4"), np.arange(count + ball, count + 2 * ball, dtype="i4")),
        template=template,
        shapes=shapes,
        action_rows={name: 1 if name == "jawOpen" else 2 for name in _arkit()},
        model=Coefficients(),
    )


def _ball(across: float):
    rng = np.random.default_rng(1)
    points = rng.normal(size=(60, 3))
    points = 1.25 * points / np.linalg.norm(points, axis=1, keepdims=True)
    return points + np.array([across, -1.0, 0.0])  # it stands half a centimetre out of the egg


def _arkit():
    names = ["jawOpen", "jawLeft", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight", "browInnerUp"]
    sided = "mouthSmile cheekSquint eyeSquint eyeLookUp eyeLookDown eyeBlink eyeWide browDown browOuterUp mouthFrown"
    sided += " mouthLowerDown mouthUpperUp mouthStretch mouthDimple noseSneer"
    return names + [f"{name}{side}" for name in sided.split() for side in ("Left", "Right")]
