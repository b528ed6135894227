"""The frames that a person should look at first."""

import itertools

import pytest

from pipeline.metrics import FlickerConfig, measure_arrays
from pipeline.qc.worst import suspects
from tests.pipeline.metrics.makers import FAULTS, FAULTY, clip, render


@pytest.fixture(scope="module")
def before():
    return clip()


@pytest.mark.parametrize("fault", ["jump_right", "tinted", "shown_before"])
def test_the_wrong_frame_comes_first(before, fault):
    after = FAULTS[fault](render(before), FAULTY)
    found = suspects(measure_arrays(before, after), FlickerConfig())
    assert found[0].frame == FAULTY
    assert found[0].failed
    assert 1 < len(found) <= 10


def test_an_untouched_render_has_the_frames_that_deviate_most_and_no_neighbours(before):
    found = suspects(measure_arrays(before, render(before)), FlickerConfig(), count=5)
    assert len(found) == 5
    assert not any(suspect.failed for suspect in found)
    deviations = [suspect.deviation for suspect in found]
    assert deviations == sorted(deviations, reverse=True)
    assert 0 < deviations[0] < 12
    frames = sorted(suspect.frame for suspect in found)
    assert all(b - a > 1 for a, b in itertools.pairwise(frames))
