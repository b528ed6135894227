"""Light on surfaces: from what the samples see to linear colours.

Skin: wrapped diffuse light whose reach differs by channel (light that went through skin comes out red: d'Eon and
Luebke 2007, "Advanced Techniques for Realistic Real-Time Skin Rendering"), two Blinn lobes, a sky of two colours under
ambient occlusion, a depth map for the key light's shadow. Hair: Kajiya and Kay 1989, two shifted lobes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.training.heads.geometry import Mesh
from models.training.heads.hair import hairline
from models.training.heads.human import EYES, HAIR, LASHES, SKIN, TEETH, TONGUE, visible_from
from models.training.heads.noise import Noise
from models.training.heads.raster import Coverage, dot, interpolate, unit
from models.training.heads.scene import Light, Scene
from models.training.heads.skin import (
    CLOTH,
    HAIR_CLASS,
    L_EYE,
    MOUTH,
    R_EYE,
    hair_albedo,
    paint_eyes,
    paint_skin,
    skin_albedo,
)

Floats = NDArray[np.floating]
IRIS_ANGLE = 0.385
"""Radians between the eye's axis and the edge of the iris."""
WRAP = np.array([0.38, 0.17, 0.09], np.float32)
"""How far round the terminator red, green and blue light reaches into skin."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the covered samples of one picture see, in scan order [P]."""

    material: NDArray[np.int32]
    kind: NDArray[np.uint8]
    """Parsing class."""
    albedo: Floats
    """[P, 3] linear."""
    gloss: Floats
    open_sky: Floats
    """[P] in [0, 1]."""
    lit: Floats
    """[P] in [0, 1]: how far the key light reaches."""
    normal: Floats
    """[P, 3] unit, towards the camera."""
    view: Floats
    """[P, 3] unit, towards the camera."""
    own: Floats
    """[P, 6]: the attributes that depend on the material (`Mesh.attributes`)."""
    canonical: Floats
    """[P, 3]."""


def look(mesh: Mesh, coverage: Coverage, scene: Scene, detail: float = 1.0) -> Seen:
    """Gather and paint what the samples see; `detail` of the skin, 1 for real skin, less for drawn skin."""
    index, _ = coverage.corners()
    values = interpolate(coverage, mesh.triangles, mesh.attributes)
    material = mesh.material[index]
    canonical, own = np.ascontiguousarray(values[:, :3]), np.ascontiguousarray(values[:, 9:15])
    view = np.array([0, -scene.distance, 0], np.float32) - values[:, 6:9]
    view, normal = unit(view), unit(values[:, 3:6])
    count = len(index)
    albedo, gloss = np.empty((count, 3), np.float32), np.zeros(count, np.float32)
    kind, sky = np.empty(count, np.uint8), np.ones(count, np.float32)

    at = np.flatnonzero(material == SKIN)
    skin = paint_skin(canonical[at], own[at], scene, detail)
    albedo[at], gloss[at], kind[at] = skin.albedo, skin.gloss, skin.kind
    lips, cavity = own[at, 0], own[at, 3]
    sky[at] = np.where(skin.kind == CLOTH, 0.3 + 0.7 * own[at, 5], np.maximum(own[at, 5], 0.42 * lips)) * (
        1 - skin.crease
    )
    sky[at] = np.maximum(sky[at], 0.12 * cavity)
    _scalp(albedo, kind, at, canonical[at], own[at], scene)

    at = np.flatnonzero(material == EYES)
    left = index[at] >= mesh.solid + (np.count_nonzero(mesh.material == EYES) // 2)
    eyes = paint_eyes(own[at, :3], own[at, 3:], left, scene, IRIS_ANGLE * (1.12 if detail < 1 else 1.0))
    albedo[at], gloss[at], kind[at], sky[at] = eyes.albedo, eyes.gloss, eyes.kind, 1 - eyes.crease

    at = np.flatnonzero((material == TEETH) | (material == TONGUE))
    gaps = 1 - 0.45 * np.exp(-((np.abs(np.mod(canonical[at, 0] / 0.78 + 0.5, 1) - 0.5) / 0.06) ** 2))
    gum = np.clip((np.abs(canonical[at, 2] + 6.85) - 0.75) * 3, 0, 1)[:, None]
    tooth = (np.array([0.78, 0.73, 0.64], np.float32) * gaps[:, None]) * (1 - gum) + np.array(
        [0.42, 0.16, 0.15], np.float32
    ) * gum
    albedo[at] = np.where((material[at] == TEETH)[:, None], tooth, np.array([0.42, 0.15, 0.14], np.float32))
    gloss[at], kind[at] = 0.6, MOUTH
    sky[at] = 0.62 * np.exp(-((canonical[at, 0] / 2.4) ** 2)) + 0.08

    at = np.flatnonzero(material == LASHES)
    lower = (canonical[at, 2] < -0.22)[:, None]
    albedo[at] = np.where(lower, skin_albedo(scene) * (0.62 - 0.4 * scene.skin.makeup), np.array(0.012, np.float32))
    sky[at] = 0.7
    kind[at] = np.where(canonical[at, 0] > 0, L_EYE, R_EYE)

    at = np.flatnonzero(material == HAIR)
    across, along, tint = own[at, 3:].T
    noise = Noise(scene.hair.seed)
    streak = noise(
        np.stack([across * 1.3 + tint * 90, along * 0.7, tint * 40], axis=1).astype(np.float32), (1.6, 1.0, 1.0)
    )
    level = (0.68 + 0.5 * streak) * (0.84 + 0.28 * tint) * (0.9 + 0.25 * along)
    albedo[at] = hair_albedo(scene) * level[:, None]
    gloss[at], kind[at] = 0.7, HAIR_CLASS
    sky[at] = (0.35 + 0.65 * np.clip(along * 1.6, 0, 1)) * (0.55 + 0.45 * (1 - across**2))
    lit = visible_from(
        np.array(scene.light.direction, np.float32),
        mesh.positions,
        mesh.triangles[(mesh.material == SKIN) | (mesh.material == HAIR)],
        values[:, 6:9] + normal * 0.003,
        448,
        bias=0.004,
    )
    behind = dot(normal, view) < 0
    normal = np.where((behind & (material != HAIR))[:, None], -normal, normal)
    return Seen(material, kind, albedo, gloss, sky, lit, normal, view, own, canonical)


def repainted(seen: Seen, scene: Scene, detail: float) -> Seen:
    """The same samples with skin in another degree of detail."""
    at = np.flatnonzero(seen.material == SKIN)
    skin = paint_skin(seen.canonical[at], seen.own[at], scene, detail)
    albedo, kind, gloss = seen.albedo.copy(), seen.kind.copy(), seen.gloss.copy()
    albedo[at], gloss[at] = skin.albedo, skin.gloss
    _scalp(albedo, kind, at, seen.canonical[at], seen.own[at], scene)
    return replace(seen, albedo=albedo, gloss=gloss)


def _scalp(
    albedo: Floats, kind: NDArray[np.uint8], at: NDArray[np.intp], canonical: Floats, own: Floats, scene: Scene
) -> None:
    """Short hair and shadow on the skin between the strands."""
    if scene.hair.comb == "bald":
        return
    noise = Noise(scene.hair.seed + 1)
    height = (
        hairline(canonical, scene.hair.recede) + 1.4 * (noise(canonical, 2.5) - 0.5) + 0.5 * (noise(canonical, 6) - 0.5)
    )
    grows = np.clip(height / 0.9 + 0.3, 0, 1) * (own[:, 1] < 0.4) * (canonical[:, 2] > -9)
    albedo[at] += (hair_albedo(scene) * (0.5 + 0.35 * noise(canonical, 5))[:, None] - albedo[at]) * (0.88 * grows)[
        :, None
    ]
    hairy = (grows > 0.6) & (kind[at] == 1)
    kind[at[hairy]] = HAIR_CLASS


def realistic(seen: Seen, light: Light) -> Floats:
    """[P, 3] linear light."""
    direction = np.array(light.direction, np.float32)
    half = unit(seen.view + direction)
    facing, glint = seen.normal @ direction, np.clip(dot(seen.normal, half), 0, 1)
    rimming = 1 - np.clip(dot(seen.normal, seen.view), 0, 1)
    up = (seen.normal[:, 2:3] * 0.5 + 0.5) ** 1.0
    dome = np.array(light.ground, np.float32) * (1 - up) + np.array(light.sky, np.float32) * up
    key = np.array(light.key, np.float32)

    soft = ((seen.material == SKIN) & (seen.kind != CLOTH))[:, None]
    wrap = np.where(soft, WRAP, np.array(0.12, np.float32))
    diffuse = np.clip((facing[:, None] + wrap) / (1 + wrap), 0, 1) ** 1.15
    shadow = np.where(soft, seen.lit[:, None] ** np.array([0.7, 1.0, 1.15], np.float32), seen.lit[:, None])
    open_sky = np.where(soft, seen.open_sky[:, None] ** np.array([0.75, 1.0, 1.05], np.float32), seen.open_sky[:, None])
    color = seen.albedo * (diffuse * shadow * key + dome * open_sky)

    fresnel = 0.028 + 0.35 * rimming**5
    lobes = 0.75 * glint**14 * 2.2 + 0.5 * glint**48 * 7
    shine = seen.gloss * fresnel * lobes * np.clip(facing * 4, 0, 1) * seen.lit
    color += shine[:, None] * key * 1.1
    color += (seen.gloss * (0.02 + 0.22 * rimming**4) * seen.open_sky)[:, None] * dome
    color += (
        (light.rim * rimming**3 * seen.open_sky * np.clip(seen.normal[:, 2] + 0.3, 0, 1) * 0.5)[:, None]
        * seen.albedo**0.6
        * dome
    )

    at = seen.material == HAIR
    color[at] = _hair(seen, at, direction, key, dome[at])
    at = seen.material == EYES
    mirrored = 2 * dot(seen.normal[at], seen.view[at])[:, None] * seen.normal[at] - seen.view[at]
    window = np.clip((mirrored @ _lifted(direction) - 0.974) / 0.012, 0, 1)
    second = np.clip((mirrored @ _lifted(direction * np.array([-1, 1, 0.6], np.float32)) - 0.985) / 0.01, 0, 1)
    color[at] += (0.75 * window + 0.08 * second)[:, None] * np.maximum(key, 0.4) + 0.035 * dome[at] * np.clip(
        mirrored[:, 2:3] + 0.2, 0, 1
    )
    return color


def _lifted(direction: Floats) -> Floats:
    """A light that eyes can reflect: in front of the face, not under it."""
    light = np.array([direction[0] * 0.75, min(direction[1], -0.45), max(direction[2], 0.25)], np.float32)
    return light / np.linalg.norm(light)


def _hair(seen: Seen, at: NDArray[np.bool_], direction: Floats, key: Floats, dome: Floats) -> Floats:
    tangent, normal, view = seen.own[at, :3], seen.normal[at], seen.view[at]
    tangent = unit(tangent)
    half = unit(view + direction)
    tint = seen.own[at, 5]

    def lobe(shift: Floats | float, power: float) -> Floats:
        across = dot(unit(tangent + normal * np.asarray(shift, np.float32)[..., None]), half)
        return np.sqrt(np.clip(1 - across * across, 0, 1)) ** power

    facing = normal @ direction
    along = np.sqrt(np.clip(1 - (tangent @ direction) ** 2, 0, 1))
    diffuse = along * np.clip((facing + 0.45) / 1.45, 0, 1) * seen.lit[at]
    reach = np.clip(facing * 1.5 + 0.4, 0, 1) * seen.lit[at]
    albedo = seen.albedo[at]
    color = albedo * (diffuse[:, None] * key * 1.15 + dome * seen.open_sky[at, None] * 0.95)
    color += (0.050 * lobe(-0.12 + 0.10 * (tint - 0.5), 90) * reach)[:, None] * key
    return color + albedo**0.75 * (0.38 * lobe(0.16 + 0.12 * (tint - 0.5), 28) * reach)[:, None] * key
