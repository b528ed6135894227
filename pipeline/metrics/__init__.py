"""Temporal metrics of a render: how much the output flickers beside its input, and in which frames.

from pipeline.metrics import measure
report = measure("in.mp4", "out.mp4")
assert report.passed, report.table()

"""

from pipeline.metrics.config import FlickerConfig, load_flicker_config
from pipeline.metrics.equivariance import eq_r, eq_t
from pipeline.metrics.measure import measure, measure_arrays
from pipeline.metrics.report import FlickerReport
from pipeline.metrics.verdict import Verdict

__all__ = [
    "FlickerConfig",
    "FlickerReport",
    "Verdict",
    "eq_r",
    "eq_t",
    "load_flicker_config",
    "measure",
    "measure_arrays",
]
