"""Every task makes of a picture what was stored."""

from __future__ import annotations

import numpy as np
import pytest

from tests.golden.make_task_goldens import CASES, GOLDENS, run


@pytest.mark.parametrize("name", CASES)
def test_golden(tmp_path, name):
    with np.load(GOLDENS) as stored:
        wanted = stored[name].astype(int)
    assert (
        np.abs(run(name, tmp_path).astype(int) - wanted).max() <= 2
    )  # a landmark may differ in its last bit elsewhere


def test_every_case_is_stored_and_has_a_picture_of_its_own():
    with np.load(GOLDENS) as stored:
        assert set(stored.files) == set(CASES)
        pictures = [stored[name].astype(int) for name in CASES]
    for i, one in enumerate(pictures):
        assert one.std() > 1
        assert all(np.abs(one - other).max() > 8 for other in pictures[:i])


def test_every_task_that_renders_has_a_case():
    from stages.tasks import KINDS

    assert {name.split(".")[0] for name in CASES} == set(KINDS) - {"none"}
