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
        # Gradients are longer sums, and divided by their size: 1e-4, the tolerance of the published goldens.
        tolerance = 1e-4 if key.startswith("grad") else 1e-5
        np.testing.assert_allclose(sampled(values), stored[key], atol=tolerance, rtol=0, err_msg=key)


def test_no_stored_case_is_left_over() -> None:
    with np.load(GOLDENS) as wanted:
        assert {key.split("/")[0] for key in wanted.files} == set(CASES)


def test_cases_that_should_differ_do() -> None:
    with np.load(GOLDENS) as wanted:
        images = {name: wanted[f"{name}/image"] for name, case in CASES.items() if not case.gradients}
    for one, other in [
        ("tiny", "tiny.noise"),
        ("tiny", "tiny.from_x1"),
        ("tiny", "attention.zero"),
        ("attention.zero", "attention.edit"),
        ("tiny", "second_layer"),
        ("tiny", "in_w.max_pooling"),
        ("pooling", "pooling.max"),
        ("tiny", "tiny.train"),
        ("tiny", "own_start"),
        ("edit.no_attention", "attention.edit"),
        ("sketch", "sketch.mixed"),
        ("sketch", "sketch.train"),
        ("mask.batch_stats", "mask.one_block"),
    ]:
        assert np.abs(images[one] - images[other]).max() > 1e-3, (one, other)


def test_train_mode_gives_what_batch_statistics_give() -> None:
    with np.load(GOLDENS) as wanted:
        np.testing.assert_allclose(wanted["mask.train/image"], wanted["mask.batch_stats/image"], atol=1e-5)
        np.testing.assert_allclose(wanted["mask.train/wplus"], wanted["mask.batch_stats/wplus"], atol=1e-5)
