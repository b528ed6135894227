"""save_latents, from_latents: keep what inversion gave, and render from what was kept (models/latent_file.py)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Generator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.errors import LatentError
from models.latent import Latent
from models.latent_file import FaceLatent, LatentFrame, LatentInfo, Latents, LatentWriter
from stages.base import Section
from stages.types import ClipInfo, CroppedFace, CropWindow, EncodedFrame, Frame


class LatentsConfig(Section):
    """Latents from a file, and into one."""

    source: Path | None = None
    """Latent file whose w+ (and f, skip features and noise, where it has them) take the place of the encoder's; ours,
    or one w+ [L, D] as .pt, .npy or .safetensors. null: the encoder's."""
    save: Path | None = None
    """A .safetensors file that every frame's latents are written to, as they are before a task's edits; null: none."""
    keep: tuple[Literal["feature", "skips", "noise"], ...] | None = None
    """What is saved beside w+; null: feature and noise where step II or a file gave them, else nothing, because a
    render of the same clip makes them again."""

    def check_save(self, overwrite: bool) -> None:
        """See that `save` can be written, before any work is done.

        Raises:
            LatentError: it is there already, or cannot be written.
        """
        if self.save is None:
            return
        LatentWriter(self.save, LatentInfo())
        if self.save.exists() and not overwrite:
            raise LatentError(f"{self.save}: exists already", "add --overwrite, or give another name")


class SaveLatents:
    """EncodedFrame → the same, each written to a latent file on its way. The file appears when the stream has ended.

    Args:
        keep: beside w+, any of feature, skips and noise. A render of the same clip with the same settings makes the
            encoder's feature and skip features again; what step II changed (feature, noise) must be kept.
    """

    name = "save_latents"
    lookahead = 0

    def __init__(self, path: Path, info: LatentInfo, keep: Collection[str] = ()) -> None:
        self._path = path
        self._info = info
        self._keep = keep

    def stream(self, items: Generator[EncodedFrame, None, None]) -> Generator[EncodedFrame, None, None]:
        """Write and pass on, in order; frames without a face are written as such."""
        with contextlib.closing(items), LatentWriter(self._path, self._info, self._keep) as writer:
            for item in items:
                writer.write(_recorded(item))
                yield item


class FromLatents:
    """EncodedFrame → EncodedFrame with the file's latents in place of the encoder's.

    w+ always; f, skip features and noise where the file holds them, else the encoder's stay. What the file kept of a
    window belongs to that window, so then track and crop must give the same one.

    Args:
        latents: open, of this network (`check`); the caller closes it.
    """

    name = "from_latents"
    lookahead = 0

    def __init__(self, latents: Latents) -> None:
        self._latents = latents

    def stream(self, items: Generator[EncodedFrame, None, None]) -> Generator[EncodedFrame, None, None]:
        """Replace, in order.

        Raises:
            LatentError: a frame that is not in the file, or another clip, other faces or another window.
        """
        known: dict[int, Tensor] = {}
        shot = -1
        with contextlib.closing(items):
            for item in items:
                if item.cropped.face_frame.shot != shot:
                    shot, known = item.cropped.face_frame.shot, {}
                yield self._replaced(item, known) if item.latents else item

    def _replaced(self, item: EncodedFrame, known: dict[int, Tensor]) -> EncodedFrame:
        frame, crops = item.cropped.face_frame.frame, item.cropped.crops
        stored = self._latents.frame(frame.index)
        faces = list(stored.faces) * len(crops) if self._latents.every_face else self._matched(stored, frame, crops)
        latents: list[Latent] = []
        noises: list[tuple[Tensor, ...]] = []
        for crop, latent, face in zip(crops, item.latents, faces, strict=True):
            latents.append(_over(latent, face.latent, known, crop.face.track_id))
            if face.noise is not None:
                noises.append(tuple(maps.to(latent.wplus) for maps in face.noise))
        return replace(item, latents=tuple(latents), noises=tuple(noises) or item.noises)

    def _matched(self, stored: LatentFrame, frame: Frame, crops: tuple[CroppedFace, ...]) -> list[FaceLatent]:
        """One face of the file per crop."""
        info = self._latents.info
        if stored.pts is not None and info.source and stored.pts * info.time_base != frame.pts * frame.clip.time_base:
            raise LatentError(
                f"latents: frame {frame.index} comes at {frame.time_s:.3f} s, "
                f"and was recorded at {float(stored.pts * info.time_base):.3f} s",
                f"use the clip that they were recorded from ({info.source.get('path', 'not noted')})",
            )
        faces = _by_place(stored.faces, crops)
        if faces is None:
            raise LatentError(
                f"latents: frame {frame.index}: a face that the file does not have ({len(crops)} here, "
                f"{len(stored.faces)} in it)",
                "render with the track settings that they were recorded with, or record again",
            )
        for crop, face in zip(crops, faces, strict=True):
            bound = face.latent.feature is not None or face.latent.skips or face.noise is not None
            if bound and "window" in face.geometry and stored_window(face) != crop.window:
                raise LatentError(
                    f"latents: frame {frame.index}: what the file has of it belongs to another window",
                    "render with the track and crop settings that they were recorded with, or record w+ alone",
                )
        return faces


def latent_info(clip: ClipInfo, model: str, model_sha256: str, fingerprint: str = "") -> LatentInfo:
    """What a latent file says of a clip and a model."""
    source = {"path": str(clip.path), "width": str(clip.upright_size[0]), "height": str(clip.upright_size[1])}
    if fingerprint:
        source["fingerprint"] = fingerprint
    return LatentInfo(model=model, model_sha256=model_sha256, time_base=clip.time_base, source=source)


def _recorded(item: EncodedFrame) -> LatentFrame:
    frame = item.cropped.face_frame.frame
    faces = tuple(
        FaceLatent(latent, item.noises[k] if item.noises else None, crop.face.track_id, _geometry(crop))
        for k, (crop, latent) in enumerate(zip(item.cropped.crops, item.latents, strict=True))
    )
    return LatentFrame(frame.index, frame.pts, faces, item.cropped.face_frame.shot)


def _geometry(crop: CroppedFace) -> dict[str, NDArray[np.generic]]:
    """What is needed to put the picture back, and what the face was."""
    window, face = crop.window, crop.face
    return {
        "window": np.array([window.scale, window.left, window.top]),
        "window_size": np.array([window.width, window.height, window.full], np.int64),
        "landmarks": face.landmarks,
        "center": np.array(face.center, np.float64),
        "eye_distance": np.array(face.eye_distance, np.float64),
        "score": np.array(face.score, np.float64),
    }


def stored_window(face: FaceLatent) -> CropWindow:
    """The window that a face was recorded in."""
    scale, left, top = map(float, face.geometry["window"])
    width, height, full = map(int, face.geometry["window_size"])
    return CropWindow(scale, left, top, width, height, bool(full))


def _by_place(stored: tuple[FaceLatent, ...], crops: tuple[CroppedFace, ...]) -> list[FaceLatent] | None:
    """For each crop the stored face nearest to it, within the distance of its eyes; None where one has none.

    Track numbers would not do: they depend on where the rendered range begins. Faces without a place go by order.
    """
    if not all("center" in face.geometry for face in stored):
        return list(stored) if len(stored) == len(crops) else None
    left, chosen = list(stored), []
    for crop in crops:
        distances = [math.dist(crop.face.center, face.geometry["center"].tolist()) for face in left]
        if not distances or min(distances) > crop.face.eye_distance:
            return None
        chosen.append(left.pop(distances.index(min(distances))))
    return chosen


def _over(latent: Latent, stored: Latent, known: dict[int, Tensor], track_id: int) -> Latent:
    """`latent` with what the file has, on its device and in its type."""
    wplus = stored.wplus.to(latent.wplus)
    last = known.get(track_id)
    if last is None or not torch.equal(last, wplus):
        known[track_id] = last = wplus  # the same tensor while w+ does not change: what depends on it alone is kept
    feature, rgb = (
        None if tensor is None else tensor.to(last.device) for tensor in (stored.feature, stored.feature_rgb)
    )
    return Latent(
        wplus=last,
        feature=latent.feature if feature is None else feature,
        skips=tuple(skip.to(last.device) for skip in stored.skips) or latent.skips,
        feature_rgb=latent.feature_rgb if rgb is None else rgb,
    )
