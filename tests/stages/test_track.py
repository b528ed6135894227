"""track: who is who, gaps and the order of detections, with scripted detections."""

from fractions import Fraction

import numpy as np
import pytest
from pydantic import ValidationError

from stages.geometry import eye_centers
from stages.settle import Settle
from stages.track import Track, TrackConfig
from tests.stages.scripted import CONFIG, FILL, RADIUS, Scripted, followed, frames, sources, track


def test_short_gap_is_interpolated():
    script = [[(60 + 4 * k, 100, 20)] if not 8 <= k < 8 + FILL else [] for k in range(24)]
    out = track(script)
    assert sources(out) == "d" * 8 + "f" * FILL + "d" * (16 - FILL)
    assert [item.frame.index for item in out] == list(range(24))
    assert {item.faces[0].track_id for item in out} == {0}
    for k, item in enumerate(out):
        np.testing.assert_allclose(eye_centers(item.faces[0].landmarks).mean(axis=0), (60 + 4 * k, 100), atol=1e-3)
        assert item.faces[0].score == pytest.approx(0.9 if k not in range(8, 8 + FILL) else 0)
        assert item.num_seen == len(script[k])


def test_gap_is_interpolated_by_time_not_by_count():
    pts = [0, 1, 2, 12, 14]  # frame 2 lies at an eleventh of the way from frame 1 to 3
    out = track([[(100, 100, 20)], [(100, 100, 20)], [], [(111, 100, 20)], [(111, 100, 20)]], pts=pts)
    assert eye_centers(out[2].faces[0].landmarks).mean(axis=0)[0] == pytest.approx(101, abs=1e-3)


def test_long_gap_is_held_at_its_ends_and_passes_between():
    gap = 2 * FILL + 4
    script = [[(100, 100, 20)]] * 6 + [[]] * gap + [[(110, 100, 20)]] * 6
    out = track(script)
    assert sources(out) == "d" * 6 + "f" * FILL + "-" * 4 + "f" * FILL + "d" * 6
    assert np.array_equal(out[6].faces[0].landmarks, out[5].faces[0].landmarks)
    assert np.array_equal(out[5 + gap].faces[0].landmarks, out[6 + gap].faces[0].landmarks)
    assert {item.faces[0].track_id for item in out if item.faces} == {0}  # the one who comes back is the same


def test_face_found_late_is_held_to_the_start():
    assert sources(track([[]] * 3 + [[(100, 100, 20)]] * 5)) == "fff" + "d" * 5
    assert sources(track([[]] * 8 + [[(100, 100, 20)]] * 5)) == "---" + "f" * FILL + "d" * 5


def test_nothing_crosses_a_cut():
    script = [[(100, 100, 20)]] * 8 + [[]] * 8 + [[(100, 100, 20)]] * 8
    out = track(script, cuts=(8, 16))
    assert sources(out) == "d" * 8 + "-" * 8 + "d" * 8
    assert [item.shot for item in out] == [0] * 8 + [1] * 8 + [2] * 8
    assert out[0].faces[0].track_id != out[16].faces[0].track_id


def test_two_people_who_pass_each_other_keep_their_names():
    config = CONFIG.model_copy(update={"face": "all"})
    script = [[(60 + 8 * k, 100, 22), (260 - 8 * k, 112, 18)] for k in range(25)]
    for k in (11, 12, 13, 14):  # the one behind is hidden
        script[k] = script[k][:1]
    rng = np.random.default_rng(0)
    script = [[people[i] for i in rng.permutation(len(people))] for people in script]
    names = set()
    for k, item in enumerate(track(script, config)):
        large, small = item.faces
        names.add((large.track_id, small.track_id))
        assert large.eye_distance == pytest.approx(22, abs=1e-2)
        assert small.eye_distance == pytest.approx(18, abs=1e-2)
        assert eye_centers(large.landmarks).mean(axis=0)[0] == pytest.approx(60 + 8 * k, abs=1e-2)
        assert eye_centers(small.landmarks).mean(axis=0)[0] == pytest.approx(260 - 8 * k, abs=1e-2)
    assert len(names) == 1


def test_clip_without_faces_passes():
    out = track([[]] * 20)
    assert [item.faces for item in out] == [()] * 20
    assert [item.num_seen for item in out] == [0] * 20


@pytest.mark.parametrize(
    ("person", "update"),
    [((326.0, 100.0, 20.0), {}), ((100.0, 100.0, 10.0), {}), ((100.0, 100.0, 20.0), {"min_score": 0.95})],
    ids=["more than half outside", "too small", "too doubtful"],
)
def test_unusable_faces_are_not_seen(person, update):
    good = (160.0, 120.0, 20.0)
    out = track([[good]] * 3 + [[person]] * 3 + [[good]] * 3, CONFIG.model_copy(update=update))
    seen = 0 if update else 3
    assert [item.num_seen for item in out[:3]] == [min(seen, 1)] * 3
    assert [item.num_seen for item in out[3:6]] == [0] * 3


@pytest.mark.parametrize("count", [30, 120])
def test_frames_in_flight_do_not_grow_with_the_clip(count):
    taken = 0

    def counted():
        nonlocal taken
        for item in frames(count):
            taken += 1
            yield item

    behind = 0
    for given, _ in enumerate(followed(CONFIG, Scripted([[(100, 100, 20)]] * count), counted()), start=1):
        behind = max(behind, taken - given)
    assert behind == FILL + RADIUS
    assert taken == count


def test_lookahead_of_high_frame_rates_is_capped():
    config = TrackConfig(fill_s=2, smooth_s=2)
    assert config.fill_frames(Fraction(24)) == config.smooth_frames(Fraction(1000)) == 32
    assert Track(config, Scripted([])).lookahead == Settle(config).lookahead == 32
    still = TrackConfig(fill_s=0, smooth_s=0)
    assert Track(still, Scripted([])).lookahead == Settle(still).lookahead == 0


def test_is_lazy_and_closes_its_source():
    closed = []

    def source():
        try:
            yield from frames(50)
        finally:
            closed.append(True)

    detector = Scripted([[(100, 100, 20)]] * 50)
    stream = followed(CONFIG, detector, source())
    assert detector.detected == []
    next(stream)
    assert len(detector.detected) == FILL + RADIUS + 1
    stream.close()
    assert closed == [True]


def test_faces_are_followed_between_detections():
    script = [[(100 + k, 100, 20)] for k in range(20)]
    script[7] = []  # lost: detected at once, there and on the next frame
    script[12] = [*script[12], (250, 100, 25)]  # a newcomer waits for the next detection at 15
    for k in range(13, 20):
        script[k] = [*script[k], (250, 100, 25)]
    detector = Scripted(script)
    out = list(followed(CONFIG.model_copy(update={"detect_every": 5}), detector, frames(20)))
    assert detector.detected == [0, 5, 7, 8, 10, 15]
    assert set(detector.refined) == set(range(20)) - {0, 5, 8, 10, 15}  # on 8 nobody was there to follow
    assert sources(out) == "d" * 7 + "f" + "d" * 12
    assert [item.num_seen for item in out[12:]] == [1, 1, 1, 2, 2, 2, 2, 2]


def test_same_object_streams_twice():
    found, settled = Track(CONFIG, Scripted([[(100, 100, 20)]] * 12)), Settle(CONFIG)
    first, second = (list(settled.stream(found.stream(frames(12)))) for _ in range(2))
    assert [a.faces[0].track_id for a in first] == [b.faces[0].track_id for b in second]
    assert [a.faces[0].center for a in first] == [b.faces[0].center for b in second]


def test_settings_are_checked():
    assert TrackConfig.model_validate({"face": "1"}).face == 1
    for wrong in ({"face": "second"}, {"face": -1}, {"smooth_s": -0.1}, {"detector": "dlib"}, {"smoth_s": 1}):
        with pytest.raises(ValidationError):
            TrackConfig.model_validate(wrong)
