"""What counts as standing out, on series whose values are known."""

import pytest

from pipeline.metrics.config import FlickerConfig
from pipeline.metrics.judge import judge
from pipeline.metrics.meter import Measured
from pipeline.metrics.series import Series


@pytest.mark.parametrize(("jerk", "frames"), [(1.0, (3,)), (2.2, ())], ids=["calm", "jerk"])
def test_a_pop_must_rise_more_where_the_input_jerks(jerk, frames):
    """As in frame 3 of the talking head, whose style knows no other frame; its usual jerk is 10 levels."""
    series = Series(0, "inside")
    for frame in range(1, 20):
        series.put(frame, input_pop=0.9, output_pop=1.05 + 0.02 * (frame % 5), input_energy=100.0, output_energy=100.0)
    series.put(3, input_pop=1.16, output_pop=2.1, input_energy=100.0 * jerk**2)
    verdicts = judge(Measured([0], [series], 20), FlickerConfig(), lossless=True)
    assert next(verdict.frames for verdict in verdicts if verdict.metric == "pop") == frames
