"""A `Scene` → meshes before the camera, realistic or with the proportions of a cartoon, and their projection.

Axes in front of the camera: x right, y away, z up, metres; the origin is the point between the eyes of the first frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from models.training.heads.cartoon import Cartoon, enlarged_eyes
from models.training.heads.hair import Ribbons, Salon
from models.training.heads.human import EYES, HAIR, LASHES, PIVOT, SKIN, Human
from models.training.heads.raster import vertex_normals
from models.training.heads.scene import Scene
from models.training.heads.skin import cloth_height

Floats = NDArray[np.floating]
Ints = NDArray[np.int32]

ATTRIBUTES = 15
"""Of a vertex: canonical place 3, normal 3, position 3, and six whose meaning is the material's (`Mesh.attributes`)."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole; pixel-index coordinates."""

    distance: float
    """From the origin, metres."""
    focal: float
    """Pixels."""
    center: tuple[float, float]
    """Where the origin is seen, pixels: x, y."""

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """[V, 3] metres → pixels [V, 2] and inverse depth [V] (0 behind the camera)."""
        depth = points[:, 1] + self.distance
        inverse = np.where(depth > 0.05, 1 / np.maximum(depth, 0.05), 0).astype(np.float32)
        x = self.center[0] + self.focal * points[:, 0] * inverse
        y = self.center[1] - self.focal * points[:, 2] * inverse
        return np.stack([x, y], axis=1).astype(np.float32), inverse

    def zoomed(self, factor: int) -> Camera:
        """The same view with `factor`² samples per pixel."""
        x, y = (c * factor + (factor - 1) / 2 for c in self.center)
        return Camera(self.distance, self.focal * factor, (x, y))


@dataclass(frozen=True, slots=True)
class Mesh:
    """Everything there is before the camera, in its axes."""

    triangles: Ints
    """[F, 3]."""
    material: Ints
    """[F]: see `human.py`."""
    attributes: Floats
    """[V, 15]: canonical place (cm), unit normal, position (m), then

    - skin, teeth, tongue, lashes: lips, ears, eyelids, mouth cavity, eye cavity, open sky, all in [0, 1];
    - eyes: direction on the eyeball against its own axis, and against the head's, unit vectors;
    - hair: unit tangent, place across [−1, 1], place along [0, 1], one random value per strand.
    """
    landmarks: Floats
    """[68, 3] metres."""
    solid: int
    """Triangles before this one are skin and what it holds; behind it come eyes, then hair."""

    @property
    def positions(self) -> Floats:
        """[V, 3] metres."""
        return self.attributes[:, 6:9]


@dataclass(frozen=True, slots=True)
class Rest:
    """One person at rest, which every frame of a clip shares."""

    hair: Ribbons | None
    eye_distance: float
    """Metres between the eyeballs' centres."""


class Stage:
    """Builds what is in a scene; keeps what costs time: the human model and the salon."""

    def __init__(self, human: Human) -> None:
        self.human = human
        self._salon = Salon(human)
        self._ball, self._ball_triangles = _eyeball()
        self._cartoon = Cartoon(human)
        self._lashes = np.unique(human.triangles[human.material == LASHES])
        skin = np.unique(human.triangles[human.material == SKIN])
        upper = human.canonical[self._lashes, 2] > -0.22
        self._lash_cut = np.where(upper, 0.60, 0.86).astype(np.float32)  # the model's are those of a doll
        self._lash_roots = skin[KDTree(human.canonical[skin]).query(human.canonical[self._lashes])[1]]

    def rest(self, scene: Scene, toon: bool = False) -> Rest:
        """The person of the scene, with hair, before any expression."""
        vertices, eyes = self._person(scene, {}, toon)
        hair = None
        if scene.hair.comb != "bald":
            hair = self._salon.grow(vertices, scene.hair, 1.5 if toon else 1.0)
        return Rest(hair, float(eyes[1, 0] - eyes[0, 0]))

    def anchor(self, scene: Scene) -> Floats:
        """[3]: where the scene's head turn takes the point between the eyes; subtracting it keeps the face in place."""
        turn, torso = _rotations(scene)
        del torso
        return (turn.apply(-PIVOT) + PIVOT).astype(np.float32)

    def camera(self, scene: Scene, rest: Rest, size: int) -> Camera:
        """The camera for a picture of `size`² pixels."""
        focal = scene.eye_distance * size / 256 * scene.distance / rest.eye_distance
        x, y = ((size - 1) / 2 + shift * size for shift in scene.offset)
        return Camera(scene.distance, focal, (x, y))

    def mesh(self, scene: Scene, rest: Rest, anchor: Floats, toon: bool = False) -> Mesh:
        """Everything in the scene, posed; `anchor` from the clip's first frame."""
        human = self.human
        vertices, eyes = self._person(scene, _actions(scene), toon)
        cloth = np.clip(-cloth_height(human.canonical, scene.cloth) / 1.2, 0, 1)[:, None]
        body = np.isin(np.arange(human.count), human.triangles[human.material == SKIN].ravel())[:, None]
        vertices = vertices + vertex_normals(vertices, human.triangles) * cloth * body * 0.009
        vertices[self._lashes] += (vertices[self._lash_roots] - vertices[self._lashes]) * self._lash_cut[:, None]
        turn, torso = _rotations(scene)
        vertices = _bend(vertices, human.head_weight, turn, torso) - anchor
        normals = vertex_normals(vertices, human.triangles)
        marks = human.region
        own = np.stack(
            [marks.lips, marks.ears, marks.eyelids, marks.mouth_cavity, marks.eye_cavity, human.occlusion], axis=1
        )
        parts = [np.concatenate([human.canonical, normals, vertices, own], axis=1)]
        triangles, material = [human.triangles], [human.material]
        offset = human.count
        gaze = Rotation.from_euler("zx", [scene.gaze[0], -scene.gaze[1]])
        for eye in eyes:
            looked = gaze.apply(self._ball)
            bulge = 1 + 0.055 * np.clip(1 - (np.arccos(np.clip(-self._ball[:, 1], -1, 1)) / 0.43) ** 2, 0, 1)
            place = turn.apply(eye[:3] + looked * bulge[:, None] * eye[3] - PIVOT) + PIVOT - anchor
            normal = turn.apply(looked)
            parts.append(np.concatenate([looked, normal, place, self._ball, looked], axis=1))
            triangles.append(self._ball_triangles + offset)
            material.append(np.full(len(self._ball_triangles), EYES, np.int32))
            offset += len(self._ball)
        if rest.hair is not None:
            hair = rest.hair
            place = turn.apply(hair.vertices - PIVOT) + PIVOT - anchor
            rest_columns = np.stack([hair.across, hair.along, hair.tint], axis=1)
            columns = [hair.vertices * 100, turn.apply(hair.normals), place, turn.apply(hair.tangents), rest_columns]
            parts.append(np.concatenate(columns, axis=1))
            triangles.append(hair.triangles + offset)
            material.append(np.full(len(hair.triangles), HAIR, np.int32))
        return Mesh(
            triangles=np.concatenate(triangles).astype(np.int32),
            material=np.concatenate(material),
            attributes=np.concatenate(parts).astype(np.float32),
            landmarks=vertices[human.landmarks].astype(np.float32),
            solid=len(human.triangles),
        )

    def _person(self, scene: Scene, actions: dict[str, float], toon: bool) -> tuple[Floats, Floats]:
        phenotypes = {**scene.phenotypes, "age": _phenotype_age(scene.years)}
        local = {**scene.local, "head-age-incr": float(np.clip((scene.years - 38) / 45, 0, 0.8))}
        local |= {f"{side}-eye-scale-incr": float(np.clip(scene.eye_size, -1, 1)) for side in "lr"}
        vertices, eyes = self.human.build(phenotypes, local, actions)
        if scene.eye_size:
            vertices, eyes = enlarged_eyes(vertices, eyes, self.human.canonical, 1 + 0.16 * scene.eye_size)
        if toon:
            vertices, eyes = self._cartoon(vertices, eyes)
        return vertices, eyes


def _phenotype_age(years: float) -> float:
    """anny's age: 1/3 a child, 2/3 a young adult, 1 old."""
    return float(np.interp(years, [8, 24, 45, 80], [0.36, 0.655, 0.78, 1.0]))


def _actions(scene: Scene) -> dict[str, float]:
    """The scene's facial actions with the smile, and lids that follow the gaze."""
    actions = dict(scene.actions)
    for side in ("Left", "Right"):
        actions[f"eyeBlink{side}"] = min(1.0, actions.get(f"eyeBlink{side}", 0.0) + 0.10)  # the model at rest stares
        actions[f"mouthSmile{side}"] = min(1.0, actions.get(f"mouthSmile{side}", 0.0) + 0.85 * scene.smile)
        actions[f"cheekSquint{side}"] = min(1.0, actions.get(f"cheekSquint{side}", 0.0) + 0.5 * scene.smile)
        actions[f"eyeSquint{side}"] = min(1.0, actions.get(f"eyeSquint{side}", 0.0) + 0.25 * scene.smile)
        up = scene.gaze[1] / 0.5
        actions[f"eyeLookUp{side}"], actions[f"eyeLookDown{side}"] = max(up, 0.0), max(-up, 0.0)
    return actions


def _rotations(scene: Scene) -> tuple[Rotation, Rotation]:
    yaw, pitch, roll = scene.head
    head = Rotation.from_euler("XZX", [0, 0, -pitch])
    head = Rotation.from_rotvec([0, roll, 0]) * Rotation.from_rotvec([0, 0, yaw]) * head
    torso = Rotation.from_rotvec([0, scene.torso[1], 0]) * Rotation.from_rotvec([0, 0, scene.torso[0]])
    return head, torso


def _bend(vertices: Floats, weight: Floats, head: Rotation, torso: Rotation) -> Floats:
    """Turn each vertex by its share of the way from the torso's rotation to the head's."""
    bent = np.empty_like(vertices)
    offset = vertices - PIVOT
    whole = weight > 0.999
    bent[whole] = head.apply(offset[whole])
    between = (torso.inv() * head).as_rotvec()
    rest = ~whole
    bent[rest] = torso.apply(Rotation.from_rotvec(weight[rest, None] * between).apply(offset[rest]))
    return bent + PIVOT


def _eyeball(rings: int = 22, sectors: int = 36) -> tuple[Floats, Ints]:
    """A unit sphere [V, 3] around the axis −y, finer in front, and its triangles."""
    polar = np.pi * np.linspace(0, 1, rings + 1) ** 1.5
    turn = 2 * np.pi * np.arange(sectors) / sectors
    points = np.stack(
        [
            np.sin(polar)[:, None] * np.cos(turn),
            np.broadcast_to(-np.cos(polar)[:, None], (rings + 1, sectors)),
            np.sin(polar)[:, None] * np.sin(turn),
        ],
        axis=-1,
    )
    index = np.arange((rings + 1) * sectors).reshape(rings + 1, sectors)
    a, b = index[:-1], np.roll(index, -1, axis=1)[:-1]
    c, d = index[1:], np.roll(index, -1, axis=1)[1:]
    triangles = np.stack([np.stack([a, b, c], -1), np.stack([b, d, c], -1)], axis=2).reshape(-1, 3)
    return points.reshape(-1, 3).astype(np.float32), triangles.astype(np.int32)
