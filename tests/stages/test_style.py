"""style: which w+ a face gets by each rule, with codes that say where they come from."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from models.config import SIZES
from models.styleganex import StyleGANEX
from stages.codes import EncoderCodes
from stages.content import Rgb
from stages.style import CLIP_KEY, Style, StyleConfig
from stages.types import FaceSource
from tests.stages.makers import face, face_frame


class Numbered:
    """The w+ of a face is its frame's number in every place, plus a hundredth of its track."""

    def __init__(self, pins=None):
        self.asked = []
        self.pins = pins or {}

    def wplus(self, item, face):
        self.asked.append(item.frame.index)
        return np.full((14, 8), item.frame.index + face.track_id / 100, np.float32)

    def pinned(self, shot, track_id):
        return self.pins.get((shot, track_id))


def run(config, items, codes=None):
    pulled = []

    def source():
        for item in items:
            pulled.append(item)
            yield item

    return Style(config, codes or Numbered()).stream(source()), pulled


def number(item, face=0, layer=0) -> float:
    wplus = item.styles[face].wplus
    assert wplus is not None
    return float(wplus[0, layer, 0])


def values(config, items, codes=None, layer=0) -> list[float]:
    """The number that each frame's first face is rendered with."""
    stream, _ = run(config, items, codes)
    return [number(item, layer=layer) for item in stream]


def test_shot_takes_the_median_of_the_best_views_once():
    items = [face_frame(i, i // 20, [face(i // 20)]) for i in range(30)]
    codes = Numbered()
    found = values(StyleConfig(views=5, wait_frames=12), items, codes)
    assert found == [2.0] * 20 + [pytest.approx(22.01)] * 10  # of frames 0–4, and of 20–24 after the cut
    assert codes.asked == [0, 1, 2, 3, 4, 20, 21, 22, 23, 24]


def test_frontal_views_come_first_and_bad_ones_never():
    turned = face(1)
    turned.landmarks[30] = turned.landmarks[36]  # the nose over the corner of an eye: a profile
    half = face(1)
    half.landmarks[30] = half.landmarks[[36, 45]].mean(axis=0) + np.array([2, 6], np.float32)
    bad = [turned, face(1, source=FaceSource.FILLED), face(1, outside=0.4)]
    items = [face_frame(i, 0, [f]) for i, f in enumerate([*bad, half, face(1)])]
    codes = Numbered()
    values(StyleConfig(views=5), items, codes)
    assert codes.asked == [4, 3]
    codes = Numbered()
    assert values(StyleConfig(), items[:3], codes) == [pytest.approx(0.01)] * 3
    assert codes.asked == [0]


def test_views_with_a_low_score_are_left_out_and_alone_give_way_to_the_first():
    low = [replace(face(1), score=0.79) for _ in range(3)]
    items = [face_frame(i, 0, [f]) for i, f in enumerate([*low, replace(face(1), score=0.8), face(1)])]
    assert values(StyleConfig(), items) == [pytest.approx(3.51)] * 5  # the median of frames 3 and 4
    assert values(StyleConfig(), items[:3]) == [pytest.approx(0.01)] * 3
    assert values(StyleConfig(min_score=0.5), items[:3]) == [pytest.approx(1.01)] * 3


def test_waiting_is_bounded_and_ends_at_a_cut():
    items = [face_frame(i, 0, [face(1)]) for i in range(20)] + [face_frame(20, 1, [face(2)])]
    stream, pulled = run(StyleConfig(wait_frames=5), items)
    next(stream)
    assert len(pulled) == 6
    assert [item.face_frame.frame.index for item in stream] == list(range(1, 21))


def test_a_face_that_comes_later_waits_for_its_own_views():
    items = [face_frame(i, 0, [face(1)] if i < 4 else [face(1), face(2)]) for i in range(10)]
    stream, _ = run(StyleConfig(wait_frames=3, views=3), items)
    second = [number(item, 1) for item in stream if len(item.styles) == 2]
    assert second == [pytest.approx(5.02)] * 6  # the median of frames 4, 5, 6


def test_frames_without_faces_pass_at_once():
    stream, pulled = run(StyleConfig(), [face_frame(i) for i in range(3)])
    assert next(stream).styles == ()
    assert len(pulled) == 1


def test_clip_takes_the_first_good_view_for_everything():
    items = [face_frame(i, i // 2, [face(i // 2)]) for i in range(6)]
    stream, _ = run(StyleConfig(latents="clip"), items)
    found = [(item.styles[0].key, number(item)) for item in stream]
    assert found == [(CLIP_KEY, 0.0)] * 6


def test_frame_takes_each_its_own():
    items = [face_frame(i, 0, [face(0)]) for i in range(4)]
    assert values(StyleConfig(latents="frame"), items) == [0, 1, 2, 3]


def test_smooth_filters_inside_the_shot_alone():
    items = [face_frame(i, int(i >= 10), [face(int(i >= 10))]) for i in range(20)]
    config = StyleConfig(latents="smooth", smooth_s=3 / 25)
    found = values(config, items)
    assert found[3:7] == pytest.approx([3, 4, 5, 6])  # a symmetric filter keeps a straight line
    assert 0 < found[0] < 1.5  # clipped to the shot, it leans inwards
    assert 8 < found[9] < 9
    assert 10 < found[10] < 11.5  # nothing comes over the cut
    assert found == values(config, items)


def test_smooth_leaves_out_frames_where_the_face_was_not_seen():
    sources = [FaceSource.FILLED if i in (4, 5) else FaceSource.DETECTED for i in range(10)]
    items = [face_frame(i, 0, [face(0, source=source)]) for i, source in enumerate(sources)]
    codes = Numbered()
    found = values(StyleConfig(latents="smooth", smooth_s=3 / 25), items, codes)
    assert sorted(codes.asked) == [0, 1, 2, 3, 6, 7, 8, 9]
    assert found[4] < 4.5 < found[5]


def test_smooth_is_bounded():
    items = [face_frame(i, 0, [face(0)]) for i in range(40)]
    stream, pulled = run(StyleConfig(latents="smooth", smooth_s=5 / 25), items)
    next(stream)
    assert len(pulled) == 6


def test_fine_layers_take_the_shots_own():
    items = [face_frame(i, 0, [face(0)]) for i in range(30)]
    config = StyleConfig(latents="smooth", smooth_s=2 / 25, fine_from=9)
    codes = Numbered()
    assert values(config, items, codes, layer=13) == [6.0] * 30  # the mean of frames 0 to 12
    assert values(config, items, layer=8)[10:20] == pytest.approx(range(10, 20))
    assert codes.asked == list(range(30)), "each is encoded once"


def test_fine_layers_average_good_views_alone():
    bad = [face(0, source=FaceSource.FILLED), face(0, outside=0.4)]
    items = [face_frame(i, 0, [f]) for i, f in enumerate([*bad, *[face(0)] * 8])]
    config = StyleConfig(latents="smooth", smooth_s=2 / 25, fine_from=9, wait_frames=3)
    assert values(config, items, layer=13) == [2.5] * 10  # frames 2 and 3
    assert values(config, items[:2], layer=13) == [0.0] * 2  # none is good: the first
    pin = np.full((14, 8), 7.5, np.float32)
    assert values(config, items, Numbered({(0, 0): pin}), layer=13) == [7.5] * 10


def distances(config, items, codes=None):
    """What every frame's first face carries away, and which frames were encoded."""
    codes = codes or Numbered()
    stream, _ = run(config, items, codes)
    return [item.face_frame.faces[0].wplus_distance for item in stream], codes.asked


def test_shot_knows_the_distance_of_its_views_alone():
    items = [face_frame(i, i // 6, [face(i // 6)]) for i in range(12)]
    found, asked = distances(StyleConfig(views=3), items)
    assert found == [1, 0, 1, None, None, None, pytest.approx(1), 0, pytest.approx(1), None, None, None]
    assert asked == [0, 1, 2, 6, 7, 8], "nothing is encoded for it"
    found, asked = distances(StyleConfig(latents="clip"), items)
    assert found == [0] + [None] * 11
    assert asked == [0]
    pin = np.full((14, 8), 7.5, np.float32)
    assert distances(StyleConfig(), items[:6], Numbered({(0, 0): pin})) == ([None] * 6, [])


def test_smooth_knows_the_distance_from_what_is_rendered():
    items = [face_frame(i, 0, [face(0)]) for i in range(9)]
    items[4] = face_frame(4, 0, [face(0, source=FaceSource.FILLED)])
    config = StyleConfig(latents="smooth", smooth_s=2 / 25)
    found, asked = distances(config, items)
    rendered = values(config, items)
    assert found[4] is None
    for i in (0, 1, 2, 3, 5, 6, 7, 8):
        assert found[i] == pytest.approx(abs(i - rendered[i]), abs=1e-6)
    assert asked == [0, 1, 2, 3, 5, 6, 7, 8]


def test_frame_knows_the_distance_from_the_first_of_the_shot():
    items = [face_frame(i, i // 3, [face(i // 3)]) for i in range(5)]
    items.append(face_frame(5, 1, [face(1, source=FaceSource.HELD)]))
    found, asked = distances(StyleConfig(latents="frame"), items)
    assert found == [0, 1, 2, 0, pytest.approx(1), None]
    assert asked == [0, 1, 2, 3, 4]
    stream = Style(StyleConfig(latents="frame"), None).stream(item for item in items)
    assert [item.face_frame.faces[0].wplus_distance for item in stream] == [None] * 6


def test_one_euro_never_looks_ahead():
    items = [face_frame(i, 0, [face(0)]) for i in range(10)]
    stream, pulled = run(StyleConfig(latents="smooth", filter="one_euro"), items)
    next(stream)
    assert len(pulled) == 1
    found = values(StyleConfig(latents="smooth", filter="one_euro"), items)
    assert found[0] == 0
    assert all(a < b <= k for k, (a, b) in enumerate(itertools.pairwise(found), start=1))  # it lags


def test_a_pinned_frame_decides():
    pin = np.full((14, 8), 7.5, np.float32)
    items = [face_frame(i, 0, [face(3)]) for i in range(5)]
    assert values(StyleConfig(), items, Numbered({(0, 3): pin})) == [7.5] * 5


def test_without_codes_keys_alone_are_given():
    items = [face_frame(i, 0, [face(0)]) for i in range(3)]
    stream = Style(StyleConfig(), None).stream(x for x in items)
    assert [(s.styles[0].key, s.styles[0].wplus, s.styles[0].reused) for s in stream] == [((0, 0), None, True)] * 3


def test_a_held_face_keeps_its_last_codes():
    items = [face_frame(0, 0, [face(0)]), face_frame(1, 0, [face(0, source=FaceSource.HELD)])]
    assert values(StyleConfig(latents="frame"), items) == [0, 0]


def test_the_encoder_sees_the_aligned_square():
    net = StyleGANEX(SIZES["tiny"]).eval()
    codes = EncoderCodes(net, Rgb(), 64.0)
    item = face_frame(0, 0, [face(0)])
    assert codes.aligned(item, item.faces[0]).shape == (3, 256, 256)
    wplus = codes.wplus(item, item.faces[0])
    assert wplus.shape == (net.config.num_styles, net.config.style_dim)
    assert np.array_equal(wplus, codes.wplus(item, item.faces[0]))
