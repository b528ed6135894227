"""Three shots, two people, one of whom leaves and comes back: track, settle and style together."""

from collections.abc import Generator
from typing import Any

import numpy as np
import pytest

from stages.style import Style, StyleConfig
from stages.types import Face, FaceFrame, ShotFrame, StyledFrame
from tests.stages.makers import frame
from tests.stages.scripted import CLIP, CONFIG, FILL, Person, Scripted, followed

ANN, BEN = 0.9, 0.2
"""The colour that each of them is painted in."""
LEFT, RIGHT = (90.0, 110.0), (230.0, 120.0)
CUTS = (30, 44)
COUNT = 58


def people(k: int) -> list[tuple[Person, float]]:
    """Who is where in frame k, in an order that says nothing."""
    if k < CUTS[0]:
        here = [((*RIGHT, 24.0), BEN)] + [((LEFT[0] + 0.5 * k, LEFT[1], 30.0), ANN)] * (not 10 <= k < 22)
    elif k < CUTS[1]:
        here = [((*LEFT, 30.0), BEN)]  # where Ann stood, and as large
    else:
        here = [((*RIGHT, 24.0), ANN), ((*LEFT, 30.0), BEN)]
    return here[:: 1 if k % 3 else -1]


def shot_frames() -> Generator[ShotFrame, None, None]:
    for k in range(COUNT):
        picture = np.full((240, 320, 3), 0.5, np.float32)
        for (x, y, size), color in people(k):
            rows, columns = (slice(int(c - size), int(c + 2 * size)) for c in (y, x - size / 2))
            picture[rows, columns] = color + 0.04 * (-1) ** k  # each frame's own w+ flickers a little
        picture[0, 0] = k / 255
        yield ShotFrame(frame(k, picture, CLIP), sum(k >= cut for cut in CUTS))


class Color:
    """A code source whose w+ is the colour of the picture between the eyes."""

    def wplus(self, item: FaceFrame, face: Face) -> np.ndarray:
        x, y = (int(c) for c in face.landmarks[36:48].mean(axis=0))
        return np.full((4, 2), item.frame.rgb()[y, x, 0], np.float32)

    def pinned(self, shot: int, track_id: int) -> None:
        return None


def styled(latents: Any, **style) -> list[StyledFrame]:
    config = CONFIG.model_copy(update={"face": "all"})
    detector = Scripted([[person for person, _ in people(k)] for k in range(COUNT)])
    faces = followed(config, detector, shot_frames())
    return list(Style(StyleConfig(latents=latents, **style), Color()).stream(faces))


def seen(item: StyledFrame) -> dict[float, tuple[int, np.ndarray]]:
    """Person → (track id, w+), of those who are really in this frame."""
    found = {}
    for (x, _, _), who in people(item.face_frame.frame.index):
        for face, style in zip(item.face_frame.faces, item.styles, strict=True):
            if abs(face.center[0] - x) < 40:
                assert style.wplus is not None
                found[who] = face.track_id, style.wplus.numpy()
    return found


def test_names_are_stable_inside_a_shot_and_never_cross_a_cut():
    names: dict[tuple[int, float], set[int]] = {}
    for item in styled("shot"):
        for who, (track, _) in seen(item).items():
            names.setdefault((item.face_frame.shot, who), set()).add(track)
    assert all(len(tracks) == 1 for tracks in names.values())  # also of the one who left and came back
    assert len(set.union(*names.values())) == len(names) == 5
    gone = [item for item in styled("shot") if 10 + FILL <= item.face_frame.frame.index < 22 - FILL]
    assert gone
    assert all(len(item.face_frame.faces) == 1 for item in gone)


@pytest.mark.parametrize("latents", ["shot", "smooth", "frame"])
def test_everybody_keeps_their_own_style_in_every_shot(latents):
    """The window of the filter is longer than what is left of the shots, so a leak would show."""
    for item in styled(latents, smooth_s=0.4, wait_frames=20):
        found = seen(item)
        assert set(found) == {who for _, who in people(item.face_frame.frame.index)}
        for who, (_, wplus) in found.items():
            assert np.abs(wplus - who).max() < 0.05, (item.face_frame.frame.index, who)


def test_a_shots_style_is_one_and_smooth_flickers_less_than_frame():
    changes = {}
    for latents in ("shot", "smooth", "frame"):
        rows = [seen(item)[BEN][1] for item in styled(latents, smooth_s=0.4)[: CUTS[0]]]
        changes[latents] = float(np.abs(np.diff(rows, axis=0)).max())
    assert changes["shot"] == 0
    assert changes["smooth"] < 0.25 * changes["frame"]


def test_clip_gives_everybody_the_first_ones():
    codes = [style.wplus for item in styled("clip") for style in item.styles]
    assert all(code is not None and float(np.ptp(code.numpy())) == 0 for code in codes)
    assert len({float(code[0, 0, 0]) for code in codes if code is not None}) == 1
    assert styled("clip")[0].styles[0].key == (-1, -1)
