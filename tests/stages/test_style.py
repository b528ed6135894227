import pytest

from stages.style import CLIP_KEY, Style, StyleConfig
from stages.types import FaceSource
from tests.stages.makers import face, face_frame


def run(config, items):
    pulled = []

    def source():
        for item in items:
            pulled.append(item)
            yield item

    return Style(config), source(), pulled


def keys_and_crops(stream):
    return [[(s.key, s.aligned is not None) for s in item.styles] for item in stream]


def test_one_crop_per_face_and_shot():
    items = [face_frame(i, i // 3, [face(10 + i // 3)]) for i in range(6)]
    stage, source, _ = run(StyleConfig(), items)
    found = keys_and_crops(stage.stream(source))
    assert found == [[(10, True)], [(10, False)], [(10, False)], [(11, True)], [(11, False)], [(11, False)]]


def test_waits_for_a_good_view_and_takes_the_crop_there():
    filled = face(1, source=FaceSource.FILLED)
    items = [face_frame(0, 0, [filled]), face_frame(1, 0, [filled]), face_frame(2, 0, [face(1)])]
    stage, source, _ = run(StyleConfig(), items)
    first = next(iter(stage.stream(source)))
    stage, source, _ = run(StyleConfig(), items[2:])
    direct = next(iter(stage.stream(source)))
    assert (first.styles[0].aligned == direct.styles[0].aligned).all()
    assert first.face_frame is items[0]


def test_waiting_is_bounded_and_ends_at_a_cut():
    filled = face(1, source=FaceSource.FILLED)
    items = [face_frame(i, 0, [filled]) for i in range(20)] + [face_frame(20, 1, [face(2)])]
    stage, source, pulled = run(StyleConfig(wait_frames=5), items)
    stream = stage.stream(source)
    next(stream)
    assert len(pulled) == 6
    assert [item.face_frame.frame.index for item in stream] == list(range(1, 21))


def test_frames_without_faces_pass_at_once():
    items = [face_frame(i) for i in range(3)]
    stage, source, pulled = run(StyleConfig(), items)
    assert next(stage.stream(source)).styles == ()
    assert len(pulled) == 1


@pytest.mark.parametrize(("mode", "crops"), [("clip", [True, False, False]), ("frame", [True, True, True])])
def test_other_modes(mode, crops):
    items = [face_frame(i, i, [face(i)]) for i in range(3)]
    stage, source, _ = run(StyleConfig(latents=mode), items)
    found = [item.styles[0] for item in stage.stream(source)]
    assert [s.aligned is not None for s in found] == crops
    assert all(s.key == CLIP_KEY for s in found) == (mode == "clip")
