"""One scene → one sample: the picture, its drawn counterparts, and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.training.heads.background import background, drawn
from models.training.heads.color import halved, to_linear, to_srgb, to_uint8
from models.training.heads.geometry import Camera, Mesh, Rest, Stage
from models.training.heads.raster import Coverage, rasterise
from models.training.heads.scene import HAIR_COLORS, Rgb, Scene
from models.training.heads.shade import Seen, look, realistic, repainted
from models.training.heads.styles import film, flat, inked, lines, sketch

Floats = NDArray[np.floating]
Picture = NDArray[np.uint8]

SUPERSAMPLING = 2
"""Samples per pixel and axis."""
VARIANTS = ("age", "smile", "hair", "eye_size")


@dataclass(frozen=True, slots=True)
class View:
    """A posed scene before a camera: what clips share from frame to frame, and what the samples see."""

    rest: Rest
    anchor: Floats
    camera: Camera
    mesh: Mesh
    coverage: Coverage
    """Of SUPERSAMPLING² samples per pixel."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a data set holds of one scene; pixel-index coordinates, classes of `skin.py`."""

    image: Picture
    """[H, W, 3] sRGB."""
    toon3d: Picture
    """[H, W, 3]: as an animated film has it, with other proportions."""
    cartoon: Picture
    """[H, W, 3]: flat tones and outlines, with the proportions of `toon3d`."""
    ink: Picture
    """[H, W, 3]: flat tones and outlines, the same geometry."""
    sketch: Picture
    """[H, W]: dark lines on white."""
    parsing: Picture
    """[H, W]: classes 0–18."""
    landmarks: Floats
    """[68, 2]."""
    toon_landmarks: Floats
    """[68, 2]: of `toon3d` and `cartoon`."""
    attributes: Mapping[str, float]


class Renderer:
    """Draws scenes of one size. Not thread-safe; the same scene always gives the same bits."""

    def __init__(self, stage: Stage, size: int = 256) -> None:
        self._stage, self._size = stage, size

    def view(self, scene: Scene, toon: bool = False, like: View | None = None) -> View:
        """Pose a scene; `like` gives the camera, and for the same person also hair and anchor, of another view."""
        stage = self._stage
        rest = stage.rest(scene, toon)
        anchor = stage.anchor(scene) if like is None else like.anchor
        camera = stage.camera(scene, rest, self._size) if like is None else like.camera
        return self._posed(scene, rest, anchor, camera, toon)

    def moved(self, scene: Scene, like: View) -> View:
        """The same person, hair and camera with another pose or expression: the next frame of a clip."""
        return self._posed(scene, like.rest, like.anchor, like.camera, False)

    def _posed(self, scene: Scene, rest: Rest, anchor: Floats, camera: Camera, toon: bool) -> View:
        mesh = self._stage.mesh(scene, rest, anchor, toon)
        side = self._size * SUPERSAMPLING
        screen, inverse = camera.zoomed(SUPERSAMPLING).project(mesh.positions)
        return View(rest, anchor, camera, mesh, rasterise(screen, inverse, mesh.triangles, side, side))

    def sample(self, scene: Scene) -> Sample:
        """Everything about one scene."""
        view = self.view(scene)
        seen = look(view.mesh, view.coverage, scene)
        behind = background(scene.background, self._size, scene.pan)
        image = self._over(behind, to_srgb(realistic(seen, scene.light)), view.coverage)
        ink, lined = self._ink(scene, view, seen, behind)
        toon = self.view(scene, toon=True, like=view)
        return Sample(
            image=image,
            toon3d=self._film(scene, toon, behind),
            cartoon=self._ink(scene, toon, look(toon.mesh, toon.coverage, scene), behind)[0],
            ink=ink,
            sketch=lined,
            parsing=self._parsing(seen, view.coverage),
            landmarks=view.camera.project(view.mesh.landmarks)[0],
            toon_landmarks=toon.camera.project(toon.mesh.landmarks)[0],
            attributes=scene.attributes(),
        )

    def image(self, scene: Scene, view: View | None = None) -> Picture:
        """The picture alone, [H, W, 3] sRGB."""
        view = view or self.view(scene)
        seen = look(view.mesh, view.coverage, scene)
        behind = background(scene.background, self._size, scene.pan)
        return self._over(behind, to_srgb(realistic(seen, scene.light)), view.coverage)

    def variants(self, scene: Scene) -> dict[str, tuple[Picture, Mapping[str, float]]]:
        """The same scene with one thing changed: name → picture and attributes. The camera stays where it was."""
        base = self.view(scene)
        result = {}
        for name, edited in edits(scene).items():
            if name in ("hair", "smile"):  # neither changes the hair's shape
                view = base if name == "hair" else self.moved(edited, base)
            else:
                view = self.view(edited, like=base)
            result[name] = (self.image(edited, view), edited.attributes())
        return result

    def _over(self, behind: Floats, colors: Floats, coverage: Coverage) -> Picture:
        """Put the samples over the background, in linear light."""
        samples = np.zeros((*coverage.mask.shape, 3), np.float32)
        samples[coverage.mask] = to_linear(colors)
        alpha = halved(coverage.mask.astype(np.float32), SUPERSAMPLING)[..., None]
        mixed = halved(samples, SUPERSAMPLING) + (1 - alpha) * to_linear(behind)
        return to_uint8(_encoded(mixed))

    def _film(self, scene: Scene, view: View, behind: Floats) -> Picture:
        young = replace(scene, skin=replace(scene.skin, gloss=0.5 * scene.skin.gloss))
        seen = look(view.mesh, view.coverage, young, detail=0.25)
        return self._over(drawn(behind, ink=False), to_srgb(film(seen, scene.light)), view.coverage)

    def _ink(self, scene: Scene, view: View, seen: Seen, behind: Floats) -> tuple[Picture, Picture]:
        plain = repainted(seen, scene, detail=0.0)
        tone = to_srgb(flat(plain, scene.light))
        samples = np.kron(drawn(behind, ink=True), np.ones((SUPERSAMPLING, SUPERSAMPLING, 1), np.float32))
        samples[view.coverage.mask] = tone
        outline, inner = lines(seen, view.coverage, width=SUPERSAMPLING * max(self._size / 200, 0.8))
        shade = np.ones(view.coverage.mask.shape, np.float32)
        shade[view.coverage.mask] = tone.mean(axis=1)
        ink = to_uint8(halved(inked(samples, outline, inner), SUPERSAMPLING))
        return ink, to_uint8(halved(sketch(outline, inner, shade), SUPERSAMPLING))

    def _parsing(self, seen: Seen, coverage: Coverage) -> Picture:
        """The class that most samples of a pixel have; of equals the one of the earlier sample."""
        kinds = np.zeros(coverage.mask.shape, np.uint8)
        kinds[coverage.mask] = seen.kind
        size, step = self._size, SUPERSAMPLING
        four = kinds.reshape(size, step, size, step).transpose(0, 2, 1, 3).reshape(size, size, step * step)
        votes = (four[..., :, None] == four[..., None, :]).sum(axis=-1)
        return np.take_along_axis(four, votes.argmax(axis=-1)[..., None], axis=-1)[..., 0]


def edits(scene: Scene) -> dict[str, Scene]:
    """The variants that are written beside a scene: older, smiling, other hair, larger eyes."""
    colors: list[Rgb] = list(HAIR_COLORS.values())
    other = max(colors[:7], key=lambda color: abs(np.log(sum(color) / sum(scene.hair_color))))
    return {
        "age": scene.edited(age=40.0 if scene.years < 50 else -40.0),
        "smile": scene.edited(smile=0.8 if scene.smile < 0.5 else -1.0),
        "hair": scene.edited(hair=other),
        "eye_size": scene.edited(eye_size=0.8),
    }


def _encoded(linear: Floats) -> Floats:
    """Linear → sRGB without the shoulder, which the samples have already been through."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-6) ** (1 / 2.4) - 0.055).astype(
        np.float32
    )
