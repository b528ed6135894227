"""What is measured, and one row of the result."""

from __future__ import annotations

from dataclasses import dataclass

from models.precision import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One way to run the network."""

    model: str = "lite_toon"
    """full, lite or tiny: that size with random weights; else a name or path for the zoo."""
    height: int = 256
    width: int = 256
    batch: int = 1
    """Frames per pass of our side; the reference takes one at a time."""
    precision: Precision = "fp32"
    device: str = "cpu"
    """One device, or several as `cuda:0,1`: what measures the network alone takes the first."""
    threads: int = 2
    repeat: int = 5
    compiled: bool = False
    """Our side through torch.compile."""

    @property
    def first_device(self) -> str:
        """The device of the network alone."""
        return self.device.partition(",")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One row: ours against the reference formulation. Seconds are medians, per frame."""

    name: str
    group: str
    """network, stage or pipeline."""
    median_s: float
    reference_s: float
    ratio: float
    """Median over the pairs of reference / ours."""
    threads: int
    device: str
    precision: str
    batch: int
    compiled: bool
    input: str
    """Width × height in pixels, of the network's input or of the clip."""
    output: str
    fps: float
    floor_s: float | None = None
    """What the machine needs at best for this formulation-free work: see `pipeline.benchmark.floors`."""
    floor: str = ""
    """What sets the floor: arithmetic or bandwidth."""
    floor_fraction: float | None = None
    """floor_s / median_s; above 1 where Winograd's convolutions need fewer multiplications than the direct form."""
    max_error: float | None = None
    """Largest difference of the results, where both sides give one to compare."""
    peak_gib: float | None = None
    """Of the GPU's memory, while our side ran; null on a CPU, see peak_memory_gib."""
