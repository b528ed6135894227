"""crop.frame: published: what the published scripts cut, and that it goes back to where it was cut from."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from stages.composite import Composite, CompositeConfig
from stages.content import Degraded
from stages.crop import Crop, CropConfig
from stages.errors import UserError
from stages.geometry import published_window
from stages.pixels import ColorTags
from stages.types import RenderedFrame, StyledFrame, StyleRef
from tests.stages.makers import clip, face, face_frame, opening
from tests.stages.scripted import track

CONFIG = CropConfig(frame="published")
INFO = replace(clip(301, 207, "gbrp16le"), color=ColorTags(matrix=0, range=2))


def cut(*frames):
    styled = (StyledFrame(f, tuple(StyleRef((0, x.track_id), None) for x in f.faces)) for f in frames)
    return list(Crop(CONFIG).stream(styled))


def test_it_is_the_resized_frame_bilinear_and_cut_at_multiples_of_8():
    first = face(center=(150.0, 100.0), eye_distance=27.0)
    frame = face_frame(0, 0, [first], INFO)
    ((got,),) = (item.crops for item in cut(frame))
    scale = 64 / 27
    tall, wide = round(207 * scale), round(301 * scale)
    resized = cv2.resize(frame.frame.rgb8(), (wide, tall), interpolation=cv2.INTER_LINEAR)
    top, left = 0, round(150 * scale - 256) // 8 * 8
    bottom, right = tall // 8 * 8, round(150 * scale + 256) // 8 * 8
    expected = resized[top:bottom, left:right].transpose(2, 0, 1) / 127.5 - 1
    np.testing.assert_allclose(got.image, expected, atol=1e-6)
    assert (got.window.width, got.window.height) == (right - left, bottom - top)


def test_the_window_is_that_of_the_clips_first_face_whatever_comes_later():
    first = face(0, (150.0, 100.0), 64.0)
    later = [face(3, (60.0, 50.0), 40.0)]
    frames = [face_frame(0, 0, [first], INFO), face_frame(1, 0, [], INFO, begins=opening([first]))]
    frames += [face_frame(2, 1, later, INFO, begins=opening([first]))]
    one, none, other = cut(*frames)
    assert none.crops == ()
    assert one.crops[0].window == other.crops[0].window


def test_settle_hands_the_first_face_through_cuts_and_late_arrivals():
    script = [[]] * 8 + [[(100 + k, 100, 20)] for k in range(6)] + [[(200, 150, 40)]] * 6
    out = track(script, cuts=(14,))
    held = [item.opening.clip_landmarks for item in out if item.opening is not None]
    first = next(item for item in out if item.faces).faces[0]
    assert len({id(points) for points in held}) == 1
    assert held[0] is first.landmarks
    sizes = [item.opening.eye_distance for item in out[14:] if item.opening is not None]
    assert sizes == pytest.approx([40.0] * 6, abs=1e-3)


def test_pasted_back_it_lies_where_it_was_cut():
    """A ramp across and down comes back as it was, also where width and height were rounded by different factors."""
    y, x = np.mgrid[:207, :301].astype(np.float32)
    ramp = np.stack([x / 301, y / 207, (x + y) / 508], axis=-1)
    first = face(center=(150.0, 100.0), eye_distance=97.0)
    frame = face_frame(0, 0, [first], INFO, ramp)
    (item,) = cut(frame)
    window = item.crops[0].window
    assert window.stretch != 1.0
    bounds = published_window(first.landmarks, 207, 301)
    across, down = bounds.width / 301, bounds.height / 207
    # The picture that an exact network of scale 4 would draw.
    u, v = ((np.arange(4 * n) + 0.5) / 4 for n in (window.width, window.height))
    at_x, at_y = (u + bounds.left) / across - 0.5, (v + bounds.top) / down - 0.5
    exact = np.stack(np.broadcast_arrays(at_x / 301, (at_y / 207)[:, None], (at_x + at_y[:, None]) / 508))
    rendered = RenderedFrame(frame, (window,), (torch.from_numpy(exact.astype(np.float32) * 2 - 1),))
    planes = (INFO.layout, INFO.color)
    (out,) = Composite(CompositeConfig(), (301, 207), *planes).stream(x for x in [rendered])
    back = out.rgb8().astype(np.float32) / 255
    error = back - frame.frame.rgb()
    for strip in (np.s_[8:-8, 8:40], np.s_[8:-8, 250:280]):  # mean over many roundings, in pixels
        assert abs(error[strip][..., 0].mean()) * 301 < 0.05
    for strip in (np.s_[8:40, 8:-30], np.s_[160:190, 8:-30]):
        assert abs(error[strip][..., 1].mean()) * 207 < 0.05


def test_no_window_and_other_contents_are_said():
    upside_down = face(center=(150.0, 100.0), eye_distance=30.0)
    upside_down.landmarks[36:48, 0] = 300 - upside_down.landmarks[36:48, 0]
    with pytest.raises(UserError, match="turned too far"):
        cut(face_frame(0, 0, [upside_down], INFO))
    with pytest.raises(UserError, match="photographs as they are"):
        Crop(CONFIG, Degraded(16))
