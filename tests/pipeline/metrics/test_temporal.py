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
    assert found["inside"] == pytest.approx({"input_change": 4, "output_change": 3, "change_error": 7}, abs=1e-3)
    assert found["outside"] == pytest.approx({"input_change": 0, "output_change": 2, "change_error": 2}, abs=1e-3)


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
