"""Small networks of every architecture give the numbers that were stored."""

from __future__ import annotations

import numpy as np
import pytest

from tests.golden.make_model_goldens import CASES, GOLDENS, run, sampled


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    with np.load(GOLDENS) as wanted:
        stored = {key.split("/")[1]: wanted[key] for key in wanted.files if key.split("/")[0] == name}
    got = run(CASES[name])
    assert stored.keys() == got.keys()
    for key, values in got.items():
        np.testing.assert_allclose(sampled(values), stored[key], atol=1e-5, rtol=0, err_msg=key)


def test_no_stored_case_is_left_over() -> None:
    with np.load(GOLDENS) as wanted:
        assert {key.split("/")[0] for key in wanted.files} == set(CASES)


def test_cases_that_should_differ_do() -> None:
    with np.load(GOLDENS) as wanted:
        images = {name: wanted[f"{name}/image"] for name in CASES}
    for one, other in [
        ("tiny", "tiny.noise"),
        ("tiny", "tiny.from_x1"),
        ("tiny", "attention.zero"),
        ("attention.zero", "attention.edit"),
        ("tiny", "second_layer"),
        ("tiny", "in_w.max_pooling"),
    ]:
        assert np.abs(images[one] - images[other]).max() > 1e-3, (one, other)
