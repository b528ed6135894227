from dataclasses import replace

import numpy as np
import pytest

from stages.crop import Crop, CropConfig, full_window
from stages.types import StyledFrame, StyleRef
from tests.stages.makers import clip, face, face_frame, opening


def crop(config, *frames):
    styled = (StyledFrame(f, tuple(StyleRef((0, x.track_id), None) for x in f.faces)) for f in frames)
    return list(Crop(config).stream(styled))


@pytest.mark.parametrize(("kind", "config"), [("video", {"filter": "sharp"}), ("image", {})])
def test_sharp_whole_frame_at_scale_one_is_the_frame_itself(kind, config):
    frame = face_frame(0, 0, [face(eye_distance=64.0)], replace(clip(), kind=kind))
    ((got,),) = (item.crops for item in crop(CropConfig(margin_px=0, **config), frame))
    assert got.window.full
    assert got.window.scale == 1.0
    assert got.image.shape == (3, 48, 64)
    np.testing.assert_array_equal(got.image, frame.frame.rgb().transpose(2, 0, 1) * 2 - 1)


def test_scale_brings_the_eyes_to_64_pixels_and_sizes_to_multiples_of_8():
    frame = face_frame(0, 0, [face(eye_distance=40.0)])
    (item,) = crop(CropConfig(margin_px=0), frame)
    window = item.crops[0].window
    assert window.scale == pytest.approx(1.6)
    assert (window.width, window.height) == (104, 80)  # 102.4 and 76.8, rounded up
    assert item.crops[0].image.shape == (3, 80, 104)


def test_clips_are_cut_softly_and_images_sharply_unless_told():
    def grain(kind, **config):
        frame = face_frame(0, 0, [face(eye_distance=40.0)], replace(clip(), kind=kind))
        return float(crop(CropConfig(**config), frame)[0].crops[0].image.std())

    assert grain("video") == grain("sequence") == grain("image", filter="soft") < 0.8 * grain("image")
    assert grain("image") == grain("video", filter="sharp")


def test_snaps_to_one_when_close():
    (item,) = crop(CropConfig(margin_px=0), face_frame(0, 0, [face(eye_distance=65.5)]))
    assert item.crops[0].window.scale == 1.0


def test_whole_frame_keeps_its_scale_through_the_shot_and_takes_a_new_one_after_a_cut():
    first = face(0, eye_distance=32)
    frames = [face_frame(0, 0, [first]), face_frame(1, 0, [face(0, eye_distance=40)], begins=opening([first]))]
    frames += [face_frame(2, 1, [face(1, eye_distance=40)])]
    scales = [item.crops[0].window.scale for item in crop(CropConfig(margin_px=0), *frames)]
    assert scales == pytest.approx([2.0, 2.0, 1.6])


def test_window_when_the_frame_does_not_fit_or_there_are_several_faces():
    config = CropConfig(max_pixels=5000, window_px=128)
    (item,) = crop(config, face_frame(0, 0, [face(center=(10.0, 20.0), eye_distance=32)]))
    window = item.crops[0].window
    assert not window.full
    assert (window.width, window.height) == (128, 128)
    assert (window.left + 32, window.top + 32) == (10.5, 20.5)  # its middle is the face's
    (item,) = crop(CropConfig(margin_px=0), face_frame(0, 0, [face(0), face(1, center=(50.0, 20.0))]))
    assert [c.window.full for c in item.crops] == [False, False]


def test_no_face_no_crop_and_rotated_frames_are_upright():
    (item,) = crop(CropConfig(margin_px=0), face_frame(0))
    assert item.crops == ()
    info = clip(64, 48, rotation=90)
    (item,) = crop(CropConfig(margin_px=0), face_frame(0, 0, [face(eye_distance=64)], info))
    assert item.crops[0].image.shape == (3, 64, 48)


def test_margin_is_reflected_and_changes_nothing_inside():
    frame = face_frame(0, 0, [face(eye_distance=64.0)])
    (bare,), (wide,) = (crop(CropConfig(margin_px=m), frame)[0].crops for m in (0, 16))
    assert wide.image.shape == (3, 48 + 32, 64 + 32)
    np.testing.assert_allclose(wide.image[:, 16:-16, 16:-16], bare.image, atol=1e-6)
    np.testing.assert_allclose(wide.image[:, 16:-16, :16], bare.image[:, :, 15::-1], atol=1e-6)


def test_full_window_never_vanishes():
    assert full_window(3, 2, 0.01).width == 8
