"""What flows through the pipeline: one type per border, each holding the one before it.

    ClipInfo → Frame → ShotFrame → TrackedFrame → FaceFrame → StyledFrame → CroppedFrame
             → EncodedFrame → RenderedFrame → OutputFrame

All are frozen. No face is an empty tuple, never None. Time is integer pts in the clip's time base. Arrays are never
written to after they were put into one of these; what holds arrays compares by identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, cuda

from models.latent import Latent
from stages.geometry import Similarity
from stages.pixels import Box, ColorTags, PlaneLayout, planes_to_rgb, quantize

PlaneArray = NDArray[np.generic]
"""uint8 for 8-bit planes, uint16 (low-aligned) for 9 to 16 bits, float32 for float formats."""


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What is known of a clip before its first frame is decoded."""

    path: Path
    """The file, or the folder of an image sequence."""
    kind: Literal["video", "image", "sequence"]
    width: int
    height: int
    """Coded size in pixels, before `rotation` is applied."""
    rotation: int
    """Degrees counter-clockwise by which the coded picture must be turned to stand upright: 0, 90, 180 or 270."""
    time_base: Fraction
    """Seconds per pts unit."""
    rate: Fraction
    """Nominal frames per second; VFR clips carry their guessed rate. Never used to compute a pts."""
    num_frames: int | None
    """Frames that the container promises, or None when it does not say. A promise, not a fact."""
    layout: PlaneLayout
    """How the decoded planes are laid out."""
    color: ColorTags
    """Matrix, range, primaries, transfer and chroma location, with the policy for untagged clips applied."""
    color_guessed: bool
    """True when the file does not say its matrix and the size decided it."""
    codec: str
    """The decoder's name, e.g. h264, prores, png."""
    has_audio: bool

    @property
    def smooth_rate(self) -> Fraction:
        """Frames per second that windows in seconds are counted by; 25 where the clip has no rate."""
        return self.rate if self.rate > 0 else Fraction(25)

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) of the picture as a viewer sees it."""
        return (self.height, self.width) if self.rotation in (90, 270) else (self.width, self.height)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Frame:
    """A decoded frame with its samples as they came."""

    planes: tuple[PlaneArray, ...]
    """One array [h, w] per plane, in the layout's order (Y, U, V or G, B, R; then alpha)."""
    layout: PlaneLayout
    color: ColorTags
    rotation: int
    pts: int
    """Presentation time in units of `clip.time_base`."""
    duration: int
    """In units of `clip.time_base`; 0 when the container does not say."""
    index: int
    """Position in display order, counted from the first frame of the clip (not of the rendered range)."""
    clip: ClipInfo
    corrupt: bool = False
    """True when the decoder reported damage and the picture may be partly wrong or a repetition."""
    name: str = ""
    """File name of the image, for a sequence."""

    def rgb(self, box: Box | None = None) -> NDArray[np.float32]:
        """Upright R'G'B' [H, W, 3], nominal range [0, 1], not clipped. Computed anew at each call.

        Args:
            box: the part that is wanted (left, top, right, bottom), not empty and inside the picture; None: all of it.
        """
        return planes_to_rgb(self.planes, self.layout, self.color, self.rotation, box)

    def rgb8(self, box: Box | None = None) -> NDArray[np.uint8]:
        """Upright R'G'B' [H, W, 3] uint8, rounded and clipped: for detectors and previews. `box` as for `rgb`."""
        return quantize(self.rgb(box))

    @property
    def time_s(self) -> float:
        """Seconds, for text only."""
        return float(self.pts * self.clip.time_base)


@dataclass(frozen=True, slots=True, eq=False)
class ShotFrame:
    """A frame that knows its shot."""

    frame: Frame
    shot: int
    """Counted from 0; grows by one at each hard cut."""


class FaceSource(StrEnum):
    """Where a face's geometry in a frame came from: the per-frame decision that the report shows."""

    DETECTED = "detected"
    FILLED = "filled"
    """No detection here; interpolated between detections of the same shot, or held at its ends for a short while."""
    HELD = "held"
    """No detection for long; the last geometry of the shot is kept because `track.no_face: hold` says so."""
    ASSUMED = "assumed"
    """Not looked for: the picture (a drawing, a label map) is taken to be a face at face scale."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFace:
    """A face in one frame as it was found or filled in, nothing smoothed; upright pixel-index coordinates."""

    track_id: int
    """Stable within a shot; never reused across a cut."""
    source: FaceSource
    landmarks: NDArray[np.float32]
    """[68, 2] (x, y), iBUG order."""
    score: float
    """Presence in [0, 1]; 0 when the face was not detected in this frame."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """A frame with every face that is known to be in it."""

    frame: Frame
    shot: int
    faces: tuple[TrackedFace, ...]
    num_seen: int
    """How many faces the detector found here."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A face in one frame, in upright pixel coordinates of the frame (pixel-index: centre of the first pixel = 0)."""

    track_id: int
    """Stable within a shot; never reused across a cut."""
    source: FaceSource
    landmarks: NDArray[np.float32]
    """[68, 2] (x, y), iBUG order, as detected or interpolated; not smoothed."""
    score: float
    """Presence in [0, 1]; 0 when the face was not detected in this frame."""
    center: tuple[float, float]
    eye_distance: float
    """Between the eyes: the point, and their distance in pixels, robust for profiles; both smoothed over time."""
    outside: float
    """Share of the landmarks that lie outside the picture, in [0, 1]."""
    aligned: Similarity
    """The FFHQ-aligned square, smoothed over time."""
    wplus_distance: float | None = None
    """Root mean square by which this frame's own w+ lies off the reference, as `style` says; None: not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """What the first frame with faces settles for the rest of its shot, and of the clip."""

    eye_distance: float
    num_faces: int
    """Of its largest rendered face, in pixels; and how many are rendered there."""
    clip_landmarks: NDArray[np.float32]
    """[68, 2]: of the largest rendered face in the clip's first frame with faces; the same for every shot."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceFrame:
    """A frame with the faces that will be rendered, and what was seen in it."""

    frame: Frame
    shot: int
    faces: tuple[Face, ...]
    """The selected faces (`track.face`), largest first; empty: the frame passes untouched."""
    num_seen: int
    """How many faces the detector found here, selected or not."""
    opening: Opening | None = None
    """Of this shot; None before its first face."""


@dataclass(frozen=True, slots=True, eq=False)
class StyleRef:
    """The w+ that a face is rendered with."""

    key: tuple[int, int]
    """Faces with the same key share one w+."""
    wplus: Tensor | None
    """[1, L, style_dim] float32 on the CPU; None: w+ comes from x1, of the first window with this key."""
    reused: bool = True
    """False: no later face has this key."""


@dataclass(frozen=True, slots=True, eq=False)
class StyledFrame:
    face_frame: FaceFrame
    styles: tuple[StyleRef, ...]
    """One per face, in the order of `face_frame.faces`."""


@dataclass(frozen=True, slots=True)
class CropWindow:
    """The part of the upright frame that the network sees, at face scale.

    Window pixel (u, v) samples the frame at ((u + ½)/scale + left − ½, (v + ½)/scale + top − ½).
    """

    scale: float
    """Window pixels per frame pixel."""
    left: float
    """Left edge in frame pixels (edge coordinates: 0 = left edge of the first pixel); may be negative."""
    top: float
    width: int
    height: int
    """Both in window pixels, multiples of 8."""
    full: bool
    """True when the window covers the whole frame, so that no matte is needed."""
    stretch: float = 1.0
    """Scale down the frame over `scale`, which is across it; 1 but for the published window, whose sizes are rounded.
    Where it is not 1, `scale` above reads `scale · stretch` for v."""


@dataclass(frozen=True, slots=True, eq=False)
class CroppedFace:
    """One face's inputs for the network."""

    face: Face
    style: StyleRef
    window: CropWindow
    image: NDArray[np.float32] | Tensor
    """[C, h, w] float32: the unaligned window x1; RGB in [−1, 1], a sketch in [0, 1] or a one-hot label map."""


@dataclass(frozen=True, slots=True, eq=False)
class CroppedFrame:
    face_frame: FaceFrame
    crops: tuple[CroppedFace, ...]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedFrame:
    cropped: CroppedFrame
    latents: tuple[Latent, ...]
    """One per crop, batch size 1 each, on the network's device."""
    offset: Tensor | None = None
    """[1, L, style_dim]: editing vector of this frame, added to w+ and shown to the attention; None: no edit."""
    noises: tuple[tuple[Tensor, ...], ...] = ()
    """One set of noise maps per crop, where they were optimised; (): zero noise."""


@dataclass(frozen=True, slots=True, eq=False)
class RenderedFrame:
    """The network's pictures, before they are put back."""

    face_frame: FaceFrame
    windows: tuple[CropWindow, ...]
    images: tuple[Tensor, ...]
    """One [3, S·h, S·w] float32 per window, nominally in [−1, 1], not clamped; S = the model's scale."""
    ready: cuda.Event | None = None
    """Where they are drawn on a GPU: what another stream than the network's waits for (stages/device_stream.py)."""


@dataclass(frozen=True, slots=True, eq=False)
class OutputFrame:
    """A finished frame, ready for the encoder."""

    planes: tuple[PlaneArray, ...]
    layout: PlaneLayout
    color: ColorTags
    rotation: int
    """Rotation tag to write; 0 when the planes stand upright already."""
    source: FaceFrame
    touched: bool = True
    """False when the planes are the source's own."""

    @property
    def pts(self) -> int:
        return self.source.frame.pts

    def rgb8(self) -> NDArray[np.uint8]:
        """Upright R'G'B' [H, W, 3] uint8."""
        return quantize(planes_to_rgb(self.planes, self.layout, self.color, self.rotation))
