"""Training pairs out of samples: which array is the input, which the target, and under which view both are seen."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Annotated, Any, Literal, NamedTuple

import cv2
import numpy as np
import torch
from pydantic import Field

from models.config import ALIGNED_SIZE, ModelConfig
from models.errors import UserError
from models.lines import draw_lines
from models.super_resolution import reduction
from models.training.batches import Batch, as_tensor, mask_tensor, sketch_tensor
from models.training.degrade import apply_table, camera_noise, colour_change, degrade_image
from models.training.palette import palette_code, plain_backdrop
from models.training.proportions import Proportions, bend
from models.training.samples import Samples
from models.training.settings import Settings, ascending
from models.training.views import Face, ViewSettings, aligned_view, draw_view, sampling_grid, take

LINE_PX, LINE_THRESHOLD = (1.0, 1.5), (0.008, 0.03)
"""Ranges of `photo_lines`, about the task's defaults (1.2 and 0.015)."""


class EditSettings(Settings):
    """One attribute that a direction is learned for, from arrays `variant_NAME`."""

    attributes: tuple[str, ...] = Field(min_length=1)
    """Entries of the samples' `attributes`; the mean of their change tells how far a variant is from its scene …"""
    unit: float = Field(default=1.0, gt=0)
    """… and this much change is strength 1."""
    share: float = Field(default=1.0, gt=0)
    """How often it is drawn, against the others."""


class PairSettings(Settings):
    """What a pair is made of."""

    input: Literal["image", "sketch", "parsing"] = "image"
    """Array that the network sees; sketch and parsing need a model of 1 and 19 input channels."""
    target: str = "image"
    """Array that it should draw: toon3d, ink, image, …"""
    proportions: Proportions | None = None
    """How much of the target's own proportions (`toon_landmarks`) is learned; null: all."""
    edits: dict[str, EditSettings] = Field(default_factory=dict)
    """Edits by NAME, whose arrays `variant_NAME` are the targets; one direction is learned for each, in this order."""
    unchanged: float = Field(default=0.3, ge=0, le=1)
    """Share of pairs of strength 0, from any sample: the target is the input itself. The others are from those samples
    that have variants."""
    degrade: Annotated[tuple[float, float], ascending(1)] | None = None
    """Super-resolution: smallest and largest factor that the input is degraded by, within 4 to 48; as the task's."""
    colour: float = Field(default=0.0, ge=0)
    """Strength of the random camera response (gamma, contrast, white balance) of an image input; 1 is strong."""
    colour_target: bool = True
    """The target goes through the same response. False: it must not follow (line art)."""
    noise: bool = False
    """Blur, sensor noise and compression on an image input, and on a picture that `photo_lines` are drawn from."""
    photo_lines: float = Field(default=0.0, ge=0, le=1)
    """Sketch models: share of pairs whose lines are drawn from the picture as the task draws a photograph's
    (`--source photo`, models/lines.py), with lines of other widths and thresholds; the others have array `sketch`."""
    palette: bool = False
    """Sketch and mask models: z tells the target's colours, so that random z give plausible ones."""
    palette_open: float = Field(default=0.0, ge=0, lt=1)
    """Share of batches without z: w+ is what the drawing alone gives, as in use with a style of 0."""
    backdrop: bool = False
    """Sketch and mask models: the target's background is a wall of its median colour."""
    scenes: int = Field(default=2, ge=1)
    """Scenes, hence style crops, in a batch of one process."""
    crops: int = Field(default=2, ge=1)
    """Crops of each scene."""
    held_out: int = Field(default=0, ge=0)
    """The last so many samples are never trained on; the sheets of samples show them."""
    workers: int = Field(default=0, ge=0)
    """Threads that prepare the next batches; 0: none. The batches are the same."""
    view: ViewSettings = ViewSettings()


class Pair(NamedTuple):
    """One scene: source arrays of any resolution that show the same."""

    x: np.ndarray
    y: np.ndarray
    face: Face
    direction: int
    strength: float
    parsing: np.ndarray | None
    lines: bool = False
    """`x` is a picture, and the input its lines."""


class _Draw(NamedTuple):
    """Which scene comes into a batch, and what is random about it."""

    index: int
    edit: str | None
    """None: strength 0."""
    rng: np.random.Generator


class PairSource:
    """Batches of pairs; batch n depends on the seed and n alone, however many processes share it.

    Args:
        samples: the scenes.
        model: decides the output scale and the width of z.
        rank, world: this process and how many there are; each takes its own part of every batch.
    """

    def __init__(
        self, samples: Samples, settings: PairSettings, model: ModelConfig, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        channels = {"image": 3, "sketch": 1, "parsing": 19}[settings.input]
        if model.input_channels != channels:
            raise UserError(
                f"data.input: {settings.input} has {channels} channels, the model takes {model.input_channels}",
                f"set model.input_channels: {channels}",
            )
        if settings.photo_lines and settings.input != "sketch":
            raise UserError(
                f"data.photo_lines: the input is {settings.input}", "set data.input: sketch, or leave it out"
            )
        if settings.held_out >= len(samples):
            raise UserError(f"data.held_out: {settings.held_out} of {len(samples)} samples", "leave some to train on")
        for factor in settings.degrade or ():
            reduction(factor)  # a range outside the task's is refused here, not at some step
        self._samples, self._settings, self._model = samples, settings, model
        self._seed, self._rank, self._world = seed, rank, world
        self._trained = len(samples) - settings.held_out
        self._edited = {edit: samples.having(f"variant_{edit}") for edit in settings.edits}
        for edit, indices in self._edited.items():
            if not indices or indices[0] >= self._trained:
                raise UserError(
                    f"data.edits.{edit}: no sample has an array variant_{edit}", "make the set with variants"
                )
        self._pool = ThreadPoolExecutor(settings.workers) if settings.workers else None
        self._ahead: dict[int, Future[Batch]] = {}

    def batch(self, step: int) -> Batch:
        """See `Source.batch`."""
        if self._pool is None:
            return self._make(step)
        for number in range(step, step + self._settings.workers + 1):
            if number not in self._ahead:
                self._ahead[number] = self._pool.submit(self._make, number)
        return self._ahead.pop(step).result()

    def preview(self) -> Batch:
        """See `Source.preview`: face scale, upright, without noise."""
        settings = self._settings
        view = ViewSettings(crop_px=(256, 256), eye_distance_px=(60, 68), rotation_deg=0, reach=0, mirror=0)
        plain = settings.model_copy(update={"view": view, "crops": 1, "colour": 0.0, "noise": False})
        first = self._trained if settings.held_out else 0
        drawn = []
        for place in range(6):
            edit = list(settings.edits)[place % len(settings.edits)] if settings.edits else None
            known = range(len(self._samples)) if edit is None else self._edited[edit]
            shown = [index for index in known if index >= first] or list(known)
            drawn.append(_Draw(shown[place % len(shown)], edit, np.random.default_rng([7, place])))
        return self._assemble(drawn, plain, 256)

    def state(self) -> dict[str, Any]:
        """See `Source.state`: nothing, for it has none."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """See `Source.load_state`."""

    def close(self) -> None:
        """See `Source.close`."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._ahead.clear()

    def _make(self, step: int) -> Batch:
        settings, total = self._settings, self._settings.scenes * self._world
        low, high = settings.view.crop_px
        px = 8 * int(np.random.default_rng([self._seed, 1, step]).integers(low // 8, high // 8 + 1))
        if settings.palette_open and np.random.default_rng([self._seed, 4, step]).random() < settings.palette_open:
            settings = settings.model_copy(update={"palette": False})
        slots = range(self._rank * settings.scenes, (self._rank + 1) * settings.scenes)
        return self._assemble([self._draw(step, slot, step * total + slot) for slot in slots], settings, px)

    def _draw(self, step: int, slot: int, number: int) -> _Draw:
        settings, rng = self._settings, np.random.default_rng([self._seed, 3, step, slot])
        edit = None
        if settings.edits and rng.random() >= settings.unchanged:
            shares = np.array([kind.share for kind in settings.edits.values()])
            edit = list(settings.edits)[int(rng.choice(len(shares), p=shares / shares.sum()))]
        known = range(self._trained) if edit is None else [i for i in self._edited[edit] if i < self._trained]
        epoch, place = divmod(number, len(known))
        order = np.random.default_rng([self._seed, 2, epoch]).permutation(len(known))
        return _Draw(known[int(order[place])], edit, rng)

    def _assemble(self, drawn: Sequence[_Draw], settings: PairSettings, px: int) -> Batch:
        scale = self._model.resolution / 256
        xs, ys, styles, faces, edits, codes = [], [], [], [], [], []
        for draw in drawn:
            pair, rng = self._pair(draw, settings), draw.rng
            aspect = pair.x.shape[1] / pair.x.shape[0]
            x, y = self._photograph(pair, rng, settings)
            style = aligned_view(pair.face, aspect)
            styles.append(take(x, style, ALIGNED_SIZE, "nearest" if settings.input == "parsing" else "linear"))
            for _ in range(settings.crops):
                view = draw_view(rng, pair.face, aspect, px, settings.view)
                crop = take(x, view, px, "nearest" if settings.input == "parsing" else "cubic")
                crop = camera_noise(crop, rng) if settings.noise and crop.ndim == 3 else crop
                xs.append(_drawn(crop, rng) if pair.lines else crop)
                ys.append(take(y, view, px, scale=scale))
                faces.append(sampling_grid(view, style, px, ALIGNED_SIZE))
                edits.append((pair.direction, pair.strength))
            if settings.palette:
                codes += [palette_code(pair.y, pair.parsing, self._model.style_dim, rng)] * settings.crops
        encode = {"image": as_tensor, "sketch": sketch_tensor, "parsing": mask_tensor}[settings.input]
        batch = Batch(encode(xs), as_tensor(ys), as_tensor(styles) if settings.input == "image" else None)
        if settings.edits:
            directions, strengths = zip(*edits, strict=True)
            batch = batch._replace(direction=torch.tensor(directions), strength=torch.tensor(strengths).float())
        code = torch.from_numpy(np.stack(codes)) if codes else None
        return batch._replace(face=torch.from_numpy(np.stack(faces)), code=code)

    def _pair(self, draw: _Draw, settings: PairSettings) -> Pair:
        edit, rng = draw.edit, draw.rng
        target = settings.target if edit is None else f"variant_{edit}"
        needed = [settings.input, target]
        needed += ["image"] if settings.photo_lines else []
        needed += ["toon_landmarks"] if settings.proportions is not None else []
        needed += ["parsing"] if settings.backdrop else []
        names = [*needed, "landmarks", *(["parsing"] if settings.palette else [])]
        names += ["attributes", f"attributes_{edit}"] if edit is not None else []
        arrays = self._samples.load(draw.index, list(dict.fromkeys(names)))  # each is read once
        for name in needed:
            if name not in arrays:
                raise UserError(f"training sample {draw.index}: no array {name!r}", "make the set with it")
        if settings.proportions is not None:
            drawn = arrays["toon_landmarks"]
            arrays[target] = bend(arrays[target], drawn, settings.proportions.between(arrays["landmarks"], drawn))
        lines = settings.photo_lines > 0 and rng.random() < settings.photo_lines
        x = arrays["image" if lines else settings.input]
        if settings.backdrop:
            arrays[target] = plain_backdrop(arrays[target], arrays["parsing"])
        y, which, strength = arrays[target], 0, 0.0
        if edit is not None:
            which, strength = list(settings.edits).index(edit), self._change(arrays, edit, settings.edits[edit])
            if rng.random() < 0.5:
                x, y, strength = y, x, -strength
        elif settings.edits:
            which = int(rng.integers(len(settings.edits)))
        height, width = x.shape[:2]
        marks = arrays.get("landmarks")
        face = Face.of_aligned() if marks is None else Face.from_landmarks(marks, height, width)
        return Pair(x, y, face, which, strength, arrays.get("parsing"), lines)

    def _change(self, arrays: dict[str, np.ndarray], edit: str, settings: EditSettings) -> float:
        """Strength from a scene to its variant."""
        known = self._samples.attributes
        for name in settings.attributes:
            if name not in known:
                raise UserError(f"data.edits.{edit}: no attribute {name!r}", f"the samples have {', '.join(known)}")
        places = [known.index(name) for name in settings.attributes]
        change = arrays[f"attributes_{edit}"][places] - arrays["attributes"][places]
        return float(change.mean()) / settings.unit

    @staticmethod
    def _photograph(pair: Pair, rng: np.random.Generator, settings: PairSettings) -> tuple[np.ndarray, np.ndarray]:
        x, y = pair.x, pair.y
        if settings.input == "image" and settings.colour:
            table = colour_change(rng, settings.colour)
            x, y = apply_table(x, table), apply_table(y, table) if settings.colour_target else y
        if settings.degrade is not None:
            # Factors are of the picture at face scale; a source may be larger or smaller than that.
            apart = np.linalg.norm((pair.face.eyes[1] - pair.face.eyes[0]) * (x.shape[1], x.shape[0]))
            low, high = np.log(settings.degrade)
            x = degrade_image(x, float(np.exp(rng.uniform(low, high))), 64 / float(apart))
        return x, y


def _drawn(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 RGB [s, s, 3] → its lines, uint8 [s, s], about as the task draws them by default."""
    grey = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) / np.float32(255), np.float32)
    lines = draw_lines(grey, float(np.exp(rng.uniform(*np.log(LINE_PX)))), float(rng.uniform(*LINE_THRESHOLD)))
    return np.rint(lines * 255).astype(np.uint8)
