"""The aligned square takes the frame's place: the same pixels as the style crop, the same face, every frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stages.align import Align, place_in_square
from stages.crop import Crop, CropConfig
from stages.errors import UserError
from stages.geometry import Similarity, align_quad
from stages.types import FaceSource, StyledFrame, StyleRef
from tests.stages.makers import clip, face, face_frame, frame

STYLE = StyleRef((0, 0), torch.zeros(1, 4, 8))


def styled(faces=(), info=None, index=0):
    return StyledFrame(face_frame(index, 0, faces, info), (STYLE,) * len(faces))


def aligned(*items):
    return list(Align().stream(item for item in items))


def test_the_square_has_the_pixels_of_the_style_crop():
    info = clip(320, 240, "yuv420p")
    person = face(3, center=(150.0, 100.0), eye_distance=50.0)
    (done,) = aligned(styled([person], info))
    crop = align_quad(frame(0, info=info).rgb8(), person.aligned.quad)
    assert np.array_equal(done.face_frame.frame.rgb8(), crop)
    assert done.face_frame.frame.clip.upright_size == (256, 256)
    assert done.styles == (STYLE,)
    (cropped,) = Crop(CropConfig(frame="aligned", eye_distance_px=40)).stream(x for x in [done])
    x1, window = cropped.crops[0].image, cropped.crops[0].window
    assert (window.scale, window.left, window.width, window.height, window.full) == (1, 0, 256, 256, True)
    assert isinstance(x1, np.ndarray)
    assert np.abs((x1.transpose(1, 2, 0) + 1) * 127.5 - crop).max() < 1e-3


def test_the_face_moves_with_its_square():
    person = face(center=(150.0, 100.0), eye_distance=50.0)
    (done,) = aligned(styled([person], clip(320, 240)))
    moved = done.face_frame.faces[0]
    assert moved.track_id == person.track_id
    assert Similarity.of_face(moved.landmarks).quad == pytest.approx(moved.aligned.quad, abs=1e-2)
    assert moved.eye_distance == pytest.approx(np.ptp(moved.landmarks[[36, 42], 0]), rel=1e-5)
    assert moved.center == pytest.approx(tuple(moved.landmarks[[36, 42]].mean(axis=0)), abs=1e-3)


def test_places_in_a_turned_square():
    square = Similarity(70.0, 50.0, 20.0, 0.3)
    corner, bottom, _, right = square.quad
    for i, j in ((0, 0), (255, 10), (100, 200)):
        point = corner + (i + 0.5) / 256 * (right - corner) + (j + 0.5) / 256 * (bottom - corner)
        assert place_in_square(point[None], square)[0] == pytest.approx([i, j])


@pytest.mark.parametrize("side", [256, 512, 1024])
def test_a_square_without_a_face_is_an_aligned_face(side):
    (done,) = aligned(styled([], clip(side, side)))
    assert done.face_frame.faces[0].source is FaceSource.ASSUMED
    assert done.styles[0].wplus is None
    assert done.face_frame.frame.rgb8().shape == (256, 256, 3)
    if side == 256:
        assert np.array_equal(done.face_frame.frame.rgb8(), frame(0, info=clip(side, side)).rgb8())


@pytest.mark.parametrize("size", [(320, 240), (240, 320), (300, 300)])
def test_other_pictures_without_a_face_show_their_middle(size):
    info = clip(*size)
    width, height = size
    rgb = np.zeros((height, width, 3), np.float32)
    rgb[height // 2 - 20 : height // 2 + 20, width // 2 - 20 : width // 2 + 20] = 1
    (done,) = aligned(StyledFrame(face_frame(0, 0, [], info, rgb), ()))
    assert done.face_frame.faces == ()
    picture = done.face_frame.frame.rgb8()
    bright = np.argwhere(picture[..., 0] > 128)
    assert picture.shape == (256, 256, 3)
    assert bright.mean(axis=0) == pytest.approx([127.5, 127.5], abs=0.6)


def test_of_several_faces_the_first():
    people = [face(0, (100.0, 100.0), 40.0), face(1, (220.0, 100.0), 30.0)]
    (done,) = aligned(styled(people, clip(320, 240)))
    assert [person.track_id for person in done.face_frame.faces] == [0]
    assert len(done.styles) == 1


def test_drawings_must_be_squares():
    wide = styled([face()], clip(320, 240))
    with pytest.raises(UserError, match="320x240"):
        list(Crop(CropConfig(frame="aligned")).stream(x for x in [wide]))


def test_one_in_one_out_and_the_upstream_is_closed():
    pulled, closed = [], []

    def source():
        try:
            for i in range(5):
                pulled.append(i)
                yield styled([face()] if i != 2 else [], index=i)
        finally:
            closed.append(True)

    stream = Align().stream(source())
    assert not pulled
    assert next(stream).face_frame.frame.index == 0
    assert pulled == [0]
    assert [item.face_frame.frame.index for item in stream] == [1, 2, 3, 4]
    assert closed == [True]
