"""Which input frame an output frame shows."""

import numpy as np

from pipeline.metrics.timing import Likeness, gains
from tests.pipeline.metrics.makers import clip, locked, render


def scores(source, result, reach=2):
    likeness = Likeness(reach)
    found = []
    for index, (x, y) in enumerate(zip(source, result, strict=True)):
        picture = None if y is None else y.astype(np.float32) / 255
        found += likeness.push(index, x.astype(np.float32) / 255, picture)
    return dict([*found, *likeness.finish()])


def test_each_frame_is_likest_to_its_own():
    frames = clip(12)
    found = scores(frames, render(frames))
    assert sorted(found) == list(range(12))
    assert all(max(near, key=lambda step: near[step]) == 0 for near in found.values())


def test_ends_have_fewer_neighbours():
    frames = clip(6)
    found = scores(frames, frames)
    assert [sorted(found[i]) for i in (0, 1, 5)] == [[0, 1, 2], [-1, 0, 1, 2], [-2, -1, 0]]


def test_a_late_output_is_likest_to_the_frame_before():
    frames = clip(12)
    found = scores(frames, [frames[0], *render(frames)[:-1]])
    for index in range(2, 10):
        gain = gains(found[index])
        assert max(gain, key=lambda step: gain[step]) == -1
        assert gain[-1] > 0.1


def test_a_still_background_does_not_hide_a_late_output():
    frames = locked(12)
    found = scores(frames, [frames[0], *render(frames)[:-1]])
    late = [gains(found[index])[-1] for index in range(2, 12)]
    assert sum(late) / len(late) > 0.2


def test_missing_outputs_are_left_out():
    frames = clip(6)
    found = scores(frames, [*frames[:3], None, *frames[4:]])
    assert sorted(found) == [0, 1, 2, 4, 5]
