"""First and second differences against pictures whose differences are known."""

import numpy as np
import pytest

from pipeline.metrics.temporal import changes, still_difference, wobbles

SHAPE = (20, 30, 3)
LEFT = np.zeros(SHAPE[:2], bool)
LEFT[:, :15] = True
REGIONS = {"inside": LEFT, "outside": ~LEFT}


def flat(left, right):
    picture = np.full(SHAPE, right / 255, np.float32)
    picture[:, :15] = left / 255
    return picture


def test_changes_are_means_per_region_in_levels():
    found = changes((flat(10, 100), flat(14, 100)), (flat(20, 50), flat(17, 52)), REGIONS)
    columns = ("input_change", "output_change", "change_error", "input_motion", "output_motion")
    for region, values in (("inside", (4, 3, 7, 4, 3)), ("outside", (0, 2, 2, 0, 0))):
        assert found[region] == pytest.approx(dict(zip(columns, values, strict=True)), abs=1e-3)


def test_motion_is_the_change_where_the_input_changes():
    whole = {"inside": np.ones(SHAPE[:2], bool)}
    found = changes((flat(10, 100), flat(14, 100)), (flat(20, 50), flat(17, 90)), whole)["inside"]
    assert found["input_change"] == pytest.approx(2, abs=1e-3)
    assert (found["input_motion"], found["output_motion"]) == pytest.approx((4, 3), abs=1e-3)


def test_wobbles_cancel_steady_change():
    steady = flat(10, 0), flat(20, 0), flat(30, 0)
    alternating = flat(10, 0), flat(14, 0), flat(10, 0)
    found = wobbles(steady, alternating, REGIONS)
    assert found["inside"]["input_energy"] == pytest.approx(0, abs=1e-3)
    assert found["inside"]["output_energy"] == pytest.approx(64, rel=1e-3)
    assert found["outside"]["output_energy"] == 0


def test_one_sample_is_seen_by_the_static_gate():
    a, b = flat(10, 20), flat(10, 20)
    b[3, 4, 1] += 1 / 255
    found = still_difference((a, b), REGIONS)
    assert found["inside"]["static_max"] == pytest.approx(1, abs=1e-3)
    assert found["inside"]["static_mean"] == pytest.approx(1 / 300, abs=1e-5)
    assert found["outside"] == {"static_mean": 0.0, "static_max": 0.0}
