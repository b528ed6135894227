"""What is measured and what is too much: the shape of configs/flicker.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from pipeline.config import read_yaml, validation_error
from stages.base import Section

Limit = Annotated[float, Field(ge=0)] | None


class Check(Section):
    """Limits of one metric. null switches a limit off; the metric is still measured and reported."""

    mean: Limit = None
    """Most that a shot may have on average (for ratios: output over input)."""
    frame: Limit = None
    """Most that a single frame may have."""
    outlier: Limit = None
    """Robust deviations (1.4826 · median absolute deviation) above the shot's median that make a frame stand out."""
    rise: float = Field(default=0.0, ge=0)
    """Least rise, in the unit of single values, that counts: of a frame above what is usual in its shot, and, for
    ratios, of the shot's root mean square above the input's."""


class StaticCheck(Section):
    """A repeated input frame must give the same output frame."""

    lossless: float = Field(default=0.0, ge=0)
    """Largest difference of any sample, in 8-bit levels, where the output's codec is lossless."""
    lossy: float = Field(default=0.5, ge=0)
    """Mean difference, in 8-bit levels, where it is lossy: an encoder changes still pictures a little, too."""


class FrozenCheck(Section):
    """An output that stands still while the input moves."""

    share: float = Field(default=0.15, ge=0, le=1)
    """Share of its usual change below which the output stands still."""
    moving: float = Field(default=1.5, gt=0)
    """Change of the input, in 8-bit levels, from which on it moves: a mean that each pixel's own change weighs, so that
    a still background does not hide what moves before it."""


class TimingCheck(Section):
    """The output must show the frame that belongs there, not a neighbour of it."""

    allowed: int = Field(default=0, ge=0)
    """Frames that may be missing, and as many that may be extra."""
    reach: int = Field(default=2, ge=0, le=8)
    """Frames to either side among which the likest input frame is searched; 0: no search."""
    evidence: float = Field(default=0.1, gt=0)
    """Mean gain of correlation, as a share of what is missing to 1, from which on a run of frames shows a neighbour."""


class IdentityCheck(Section):
    """Identity over time (STIT). Without weights: reported as not measured."""

    weights: Path | None = None
    """ArcFace-like ONNX file, [1, 3, 112, 112] → [1, D]."""
    mean: float = 127.5
    """Subtracted from the code values, 0 to 255, before the network."""
    scale: float = Field(default=1 / 127.5, gt=0)
    """Then multiplied."""
    tl_id: Limit = 0.95
    """Least temporally local identity: similarity of neighbours in the output over that in the input."""
    tg_id: Limit = 0.9
    """Least temporally global identity: the same over all pairs of a shot."""


class LpipsCheck(Section):
    """Temporal LPIPS (tLP). Without weights: reported as not measured."""

    backbone: Path | None = None
    """AlexNet as torchvision publishes it, alexnet-owt-7be5be79.pth."""
    heads: Path | None = None
    """alex.pth of the package lpips, v0.1."""
    most: Limit = 3.0
    """Highest mean of 100 · |LPIPS(x, x') − LPIPS(y, y')| over neighbours."""


class FlickerConfig(Section):
    """Every setting of the flicker gates. Differences are in 8-bit levels of R'G'B', shifts in pixels of the input."""

    max_side: int = Field(default=1920, ge=64)
    """Longer side, in pixels, at which pictures are compared."""
    flow_side: int = Field(default=512, ge=64)
    """Longer side, in pixels, at which optical flow is computed."""
    static: StaticCheck = StaticCheck()
    frozen: FrozenCheck = FrozenCheck()
    timing: TimingCheck = TimingCheck()
    frame_difference_ratio: Check = Check(mean=1.8, rise=0.5)
    """mean|Δy| / mean|Δx|."""
    frame_difference_error: Check = Check(outlier=8, rise=3)
    """mean|Δy − Δx|, in levels."""
    warping_error: Check = Check(mean=2.5, outlier=8, rise=2)
    """Ratio of Lai's warping errors, output over input; single frames by its root, in levels."""
    high_frequency_energy: Check = Check(mean=2.5, outlier=8, rise=5)
    """Ratio of the energies of second temporal differences, output over input; single frames by its root, in levels."""
    pop: Check = Check(outlier=6, rise=0.6)
    """Difference of a frame from both its neighbours, over areas and with motion taken away, in levels. Where the input
    jerks more than is usual in its shot, `rise` is that many times larger."""
    tint: Check = Check(outlier=6, rise=0.3)
    """Difference of a frame's colours from both its neighbours that the input has not, over large areas, in levels."""
    shake: Check = Check(mean=0.2, frame=0.4)
    """Shift of a whole region that the input's motion does not explain, in pixels of the input."""
    color_offset: Check = Check(mean=0.8, frame=1.5)
    """Change of a whole region's colour that the input's motion does not explain: its worst channel, in levels."""
    landmark_jitter: Check = Check(mean=3, outlier=10, rise=0.02)
    """Second differences of the landmarks over the eye distance: ratio output over input; single frames as they are."""
    identity: IdentityCheck = IdentityCheck()
    temporal_lpips: LpipsCheck = LpipsCheck()
    eq_t: float | None = None
    """Least shift equivariance, in dB, where a model is given; null: reported only."""
    eq_r: float | None = None
    """Least rotation equivariance, in dB, where a model is given; null: reported only."""


def load_flicker_config(path: str | Path | None = None) -> FlickerConfig:
    """Read a thresholds file such as configs/flicker.yaml; None: the defaults, which are the same.

    Raises:
        ConfigError: the file is missing or not YAML; a setting does not exist or cannot be.
    """
    data: dict[str, Any] = read_yaml(Path(path)) if path is not None else {}
    try:
        return FlickerConfig.model_validate(data)
    except ValidationError as error:
        raise validation_error(error, FlickerConfig, str(path)) from error
