"""track: who is who, gaps, smoothing, selection and policies, with scripted detections."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

import numpy as np
import pytest
from pydantic import ValidationError

from models.faces import Detection, Region, bounds
from stages.errors import NoFaceError
from stages.geometry import eye_centers
from stages.pixels import ColorTags
from stages.settle import Settle
from stages.track import Track, TrackConfig
from stages.types import FaceFrame, ShotFrame
from tests.stages.makers import clip, face, frame

CLIP = replace(clip(320, 240, "gbrp"), color=ColorTags(matrix=0, range=2))
FILL, RADIUS = 5, 3
CONFIG = TrackConfig(fill_s=FILL / 25, smooth_s=RADIUS / 25, detect_every=1)

Person = tuple[float, float, float]
"""x, y of the point between the eyes; eye distance."""
Script = Sequence[Sequence[Person]]
"""Who is to be seen in every frame."""


def detection(x: float, y: float, size: float, score: float = 0.9) -> Detection:
    landmarks = face(center=(x, y), eye_distance=size).landmarks.copy()
    landmarks[:17, 0] += np.linspace(-size, size, 17, dtype=np.float32)
    landmarks[8, 1] += size * 1.2
    return Detection(bounds(landmarks), score, landmarks, Region(x, y, 3 * size, 0))


class Scripted:
    """Finds what the script says; the frame's number is its picture's grey value."""

    name = "scripted"
    version = "0"
    weights_sha256: Mapping[str, str] = MappingProxyType({})

    def __init__(self, script: Script) -> None:
        self.script = script
        self.detected: list[int] = []
        self.refined: list[int] = []

    def detect(self, image: np.ndarray) -> list[Detection]:
        self.detected.append(int(image[0, 0, 0]))
        return [detection(*person) for person in self.script[self.detected[-1]]]

    def refine(self, image: np.ndarray, previous: Detection) -> Detection | None:
        number = int(image[0, 0, 0])
        self.refined.append(number)
        near = [detection(*p) for p in self.script[number]]
        near = [d for d in near if np.abs(d.box - previous.box).max() < 20]
        return near[0] if near else None


def frames(count: int, cuts: tuple[int, ...] = (), pts: list[int] | None = None) -> Generator[ShotFrame, None, None]:
    for number in range(count):
        picture = np.full((240, 320, 3), number / 255, np.float32)
        made = replace(frame(number, picture, CLIP), pts=pts[number] if pts else number)
        yield ShotFrame(made, sum(number >= cut for cut in cuts))


def followed(config: TrackConfig, detector: Scripted, items: Generator[ShotFrame, None, None]):
    return Settle(config).stream(Track(config, detector).stream(items))


def track(script: Script, config: TrackConfig = CONFIG, **kwargs) -> list[FaceFrame]:
    return list(followed(config, Scripted(script), frames(len(script), **kwargs)))


def sources(out: list[FaceFrame]) -> str:
    """One letter a frame: d(etected), f(illed), h(eld), - (no face)."""
    return "".join(item.faces[0].source[0] if item.faces else "-" for item in out)


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


def test_smoothing_stops_at_a_cut():
    script = [[(100, 100, 20)]] * 8 + [[(200, 150, 40)]] * 8
    out = track(script, cuts=(8,))
    assert {(item.faces[0].center, round(item.faces[0].eye_distance, 3)) for item in out} == {
        ((100.0, 100.0), 20.0),
        ((200.0, 150.0), 40.0),
    }


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
