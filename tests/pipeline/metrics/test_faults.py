"""Every fault is caught and named by its frame number; what has none passes."""

import numpy as np
import pytest

from pipeline.metrics import FlickerConfig, measure_arrays
from pipeline.metrics.matte import Difference
from tests.pipeline.metrics.makers import COUNT, FAULTS, FAULTY, alternating, clip, locked, render


@pytest.fixture(scope="module")
def source():
    return clip()


@pytest.fixture(scope="module")
def result(source):
    return render(source)


def named(report):
    """Frames by how many metrics name them, most first."""
    return list(report.bad_frames)


@pytest.mark.parametrize("speed", [0.0, 0.3, 1.0, 3.0], ids=["still", "slow", "plain", "fast"])
@pytest.mark.parametrize("matte", [None, Difference()], ids=["whole", "difference"])
def test_an_untouched_render_passes(speed, matte):
    frames = clip(speed=speed)
    report = measure_arrays(frames, render(frames), matte=matte)
    assert report.passed, report.table()
    assert report.frames == COUNT


def test_a_cut_is_no_fault():
    frames = [*clip(12, seed=1), *clip(12, seed=2)]
    report = measure_arrays(frames, render(frames), cuts=(12,), matte=Difference())
    assert report.passed, report.table()
    assert report.shots == [0, 12]
    for series in report.series:
        assert all((frame >= 12) == (series.shot == 1) for frame in series.rows)
        assert not {"change_error", "output_warp", "output_energy"} & set(series.rows.get(12, {})), "across the cut"


def test_an_input_with_noise_and_a_flash_is_no_fault(source):
    rng = np.random.default_rng(3)
    noisy = [np.clip(f + rng.normal(0, 3, f.shape), 0, 255).astype(np.uint8) for f in source]
    noisy[9] = np.clip(noisy[9].astype(int) + 60, 0, 255).astype(np.uint8)
    report = measure_arrays(noisy, render(noisy), matte=Difference())
    assert report.passed, report.table()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("frame", [FAULTY, 2, COUNT - 2])
def test_a_fault_is_named_by_its_frame(source, result, fault, frame):
    report = measure_arrays(source, FAULTS[fault](result, frame), matte=Difference())
    assert not report.passed
    if fault == "left_out_and_early" and frame == COUNT - 2:  # the frame after it stands in for both
        assert set(named(report)) == {frame, frame + 1}
        return
    assert named(report)[0] == frame, report.table()
    if fault not in ("shown_again_and_late", "left_out_and_early"):
        assert set(named(report)) <= {frame - 1, frame, frame + 1}, report.table()


@pytest.mark.parametrize("noise", [0, 2], ids=["clean", "grain"])
def test_before_a_still_background_the_wrong_moment_is_named(noise):
    """Most of the frame stands still: that must not hide that the rest shows the frame before, or the one after."""
    frames = locked(noise=noise)
    drawn = render(frames)
    report = measure_arrays(frames, drawn, matte=Difference())
    assert report.passed, report.table()
    for fault in ("shown_again_and_late", "left_out_and_early"):
        report = measure_arrays(frames, FAULTS[fault](drawn, 9), matte=Difference())
        assert named(report)[0] == 9, f"{fault}\n{report.table()}"
        assert "timing" in report.bad_frames[9]


@pytest.mark.parametrize("noise", [0, 2], ids=["clean", "grain"])
def test_a_small_thing_that_moves_is_no_fault(noise):
    frames = locked(noise=noise, radius=5)
    report = measure_arrays(frames, render(frames), matte=Difference())
    assert report.passed, report.table()


def test_alternating_offset_is_caught_everywhere(source, result):
    report = measure_arrays(source, alternating(result), matte=Difference())
    failed = {(v.metric, v.region) for v in report.failures}
    assert {("color_offset", "inside"), ("color_offset", "outside")} <= failed
    assert sorted(named(report)) == list(range(COUNT))


def test_alternating_offset_is_caught_on_a_still_clip():
    frames = clip(speed=0.0)
    report = measure_arrays(frames, alternating(render(frames)), matte=Difference())
    failed = {v.metric for v in report.failures}
    assert {"static", "color_offset"} <= failed
    assert set(range(1, COUNT)) <= set(named(report))


def test_alternating_offset_of_a_few_frames_names_those(source, result):
    report = measure_arrays(source, alternating(result, levels=3, first=10, last=15), matte=Difference())
    assert set(named(report)) == set(range(10, 16)), report.table()


def test_ratio_metrics_alone_catch_an_alternating_offset():
    """The recommended minimum, without `color_offset`: on a slow clip the ratios to the input tell it, too."""
    frames = clip(speed=0.3)
    config = FlickerConfig.model_validate({"color_offset": {"mean": None, "frame": None}})
    report = measure_arrays(frames, alternating(render(frames)), config, matte=Difference())
    failed = {v.metric for v in report.failures if v.region == "outside"}
    assert {"warping_error", "high_frequency_energy"} <= failed, report.table()


def test_a_fault_inside_is_not_blamed_on_the_outside(source, result):
    report = measure_arrays(source, FAULTS["jump_right"](result, FAULTY), matte=Difference())
    assert {v.region for v in report.failures} <= {"inside", "frame"}


def test_the_same_pictures_give_the_same_report(source, result):
    first, second = (measure_arrays(source, result, matte=Difference()) for _ in range(2))
    assert [s.rows for s in first.series] == [s.rows for s in second.series]


def test_frozen_output_is_named(source, result):
    held = [*result[:10], *[result[9]] * 4, *result[14:]]
    report = measure_arrays(source, held, matte=Difference())
    frozen = next(v for v in report.failures if v.metric == "frozen" and v.region == "inside")
    assert frozen.frames == (10, 11, 12, 13)


def test_a_repeated_input_frame_must_stay_the_same():
    frames = clip(8)
    frames = [*frames[:4], frames[3], *frames[4:]]
    same = render(frames)
    assert measure_arrays(frames, same).passed
    other = [*same[:4], same[4].copy(), *same[5:]]
    other[4][50, 60, 1] ^= 1
    report = measure_arrays(frames, other)
    verdict = next(v for v in report.verdicts if v.metric == "static")
    assert (verdict.status, verdict.frames) == ("failed", (4,))
    assert verdict.value == pytest.approx(1.0)
