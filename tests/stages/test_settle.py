"""settle: selection, smoothing and policies, with scripted detections."""

import numpy as np
import pytest

from stages.errors import NoFaceError
from tests.stages.scripted import CONFIG, FILL, RADIUS, sources, track


def test_smoothing_stops_at_a_cut():
    script = [[(100, 100, 20)]] * 8 + [[(200, 150, 40)]] * 8
    out = track(script, cuts=(8,))
    assert {(item.faces[0].center, round(item.faces[0].eye_distance, 3)) for item in out} == {
        ((100.0, 100.0), 20.0),
        ((200.0, 150.0), 40.0),
    }


def test_largest_does_not_flip_when_sizes_change():
    script = [[(80, 100, 36 - k * 0.5), (240, 100, 24 + k * 0.5)] for k in range(30)]
    out = track(script)
    assert {item.faces[0].track_id for item in out} == {out[0].faces[0].track_id}
    assert out[0].faces[0].center[0] == pytest.approx(80, abs=0.1)
    assert all(len(item.faces) == 1 and item.num_seen == 2 for item in out)


def test_largest_goes_to_the_next_when_the_first_has_left_and_stays_there():
    left, right = (80.0, 100.0, 30.0), (240.0, 100.0, 20.0)
    script = [[left, right]] * 8 + [[right]] * 15 + [[left, right]] * 8
    out = track(script)
    xs = [round(item.faces[0].center[0]) for item in out]
    assert xs == [80] * (8 + FILL) + [240] * (31 - 8 - FILL)


def test_rank_and_all():
    script = [[(50, 100, 14), (150, 100, 30), (260, 100, 20)]] * 5
    for wanted, expected in ((0, [150]), (1, [260]), (2, [50]), (3, []), ("all", [150, 260, 50]), ("largest", [150])):
        config = CONFIG.model_copy(update={"face": wanted, "min_face_px": 8.0})
        for item in track(script, config):
            assert [round(f.center[0]) for f in item.faces] == expected
            assert item.num_seen == 3


def test_hold_keeps_the_last_geometry():
    out = track(
        [[]] * 8 + [[(100 + k, 100, 20)] for k in range(6)] + [[]] * 12, CONFIG.model_copy(update={"no_face": "hold"})
    )
    assert sources(out) == "---" + "f" * FILL + "d" * 6 + "f" * FILL + "h" * (12 - FILL)
    held, last = out[-1].faces[0], out[13 + FILL].faces[0]
    assert (held.center, held.eye_distance, held.track_id) == (last.center, last.eye_distance, last.track_id)
    assert held.score == 0


def test_fail_names_the_frames():
    script = [[(100, 100, 20)]] * 6 + [[]] * 20
    with pytest.raises(NoFaceError) as caught:
        track(script, CONFIG.model_copy(update={"no_face": "fail"}))
    assert caught.value.what.startswith("made.mp4: no face in frames 11–")
    assert "0.44" in caught.value.what
    assert "track.no_face" in caught.value.remedy
    assert len(track(script[: 6 + FILL], CONFIG.model_copy(update={"no_face": "fail"}))) == 6 + FILL


def test_outside_share_is_reported():
    out = track([[(310, 100, 20)]] * 3)
    assert 0.05 < out[0].faces[0].outside < 0.5


def test_smoothing_keeps_straight_motion_and_removes_jitter():
    rng = np.random.default_rng(1)
    steady = track([[(40 + 3 * k, 100 + k, 20)] for k in range(40)])
    for k in range(RADIUS, 40 - RADIUS):
        assert steady[k].faces[0].center == pytest.approx((40 + 3 * k, 100 + k), abs=1e-3)
    noise = [[(150 + a, 100 + b, 20 * np.exp(0.05 * c))] for a, b, c in rng.normal(size=(60, 3))]
    wide = CONFIG.model_copy(update={"smooth_s": 10 / 25})
    smooth, raw = track(noise, wide), track(noise, CONFIG.model_copy(update={"smooth_s": 0.0}))

    def shake(out):
        return [np.std([f.faces[0].center[0] for f in out]), np.std([np.log(f.faces[0].eye_distance) for f in out])]

    assert np.all(np.array(shake(smooth)) < 0.45 * np.array(shake(raw)))
    for item, ((x, y, size),) in zip(raw, noise, strict=True):
        assert item.faces[0].center == pytest.approx((x, y), abs=1e-3)
        assert item.faces[0].eye_distance == pytest.approx(size, rel=1e-4)
