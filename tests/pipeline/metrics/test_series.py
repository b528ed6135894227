"""Finding what stands out, and naming frames from pairs."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.metrics.series import Series, frames_between, outliers, peaks, ranges_text, runs

PAIRS = list(range(1, 20))


@pytest.mark.parametrize(
    ("flagged", "frames"),
    [
        ([], []),
        ([7], [7]),
        ([7, 8], [7]),
        ([7, 8, 9], [7, 8]),
        ([1], [0, 1]),
        ([1, 2], [0, 1]),
        ([19], [19]),
        ([18, 19], [18, 19]),
        (PAIRS, list(range(20))),
        ([3, 4, 9, 14, 15], [3, 9, 14]),
    ],
)
def test_pairs_name_frames(flagged, frames):
    assert frames_between(flagged, PAIRS) == frames


def test_a_pair_after_a_gap_names_both_of_its_frames():
    pairs = {n for n in PAIRS if n != 10}
    assert frames_between([11], pairs) == [10, 11]
    assert frames_between([8, 9], pairs) == [8, 9]


def test_a_spike_stands_out_and_noise_does_not():
    values = np.random.default_rng(0).normal(5, 0.5, 100)
    assert not outliers(values, None, 8, 1.0, 1.0).any()
    values[40] += 6
    assert np.flatnonzero(outliers(values, None, 8, 1.0, 1.0)).tolist() == [40]


def test_motion_of_the_input_excuses_the_output():
    reference = np.full(50, 4.0)
    reference[20:24] = 30
    values = reference * 1.2
    assert not outliers(values, reference, 8, 1.0, 1.0).any()
    values[35] = 12
    assert np.flatnonzero(outliers(values, reference, 8, 1.0, 1.0)).tolist() == [35]


def test_small_rises_and_short_shots_do_not_count():
    values = np.zeros(30)
    values[9] = 0.9
    assert not outliers(values, None, 8, 1.0, 1.0).any()
    assert not outliers(np.array([0.0, 0, 9, 0, 0]), None, 8, 1.0, 1.0).any()


def test_peaks_leave_the_skirts_out():
    values = {4: 1.0, 5: 4.0, 6: 1.0, 9: 2.0, 10: 1.9}
    assert peaks([4, 5, 6, 9, 10], values) == [5, 9, 10]


@given(st.sets(st.integers(0, 60)))
def test_runs_cover_exactly_their_numbers(numbers):
    found = runs(numbers)
    assert [n for first, last in found for n in range(first, last + 1)] == sorted(numbers)
    assert all(b[0] > a[1] + 1 for a, b in itertools.pairwise(found))


def test_ranges_as_text():
    assert ranges_text([3, 7, 8, 9]) == "3, 7–9"
    assert ranges_text(range(0, 60, 2), most=2) == "0, 2 and 28 more"


def test_columns_have_the_frames_that_have_them_all():
    series = Series(0, "inside")
    series.put(3, a=1.0, b=2.0)
    series.put(1, a=5.0)
    series.put(3, c=7.0)
    assert series.column("a")[0] == [1, 3]
    frames, (a, b) = series.columns("a", "b")
    assert (frames, a.tolist(), b.tolist()) == ([3], [1.0], [2.0])
