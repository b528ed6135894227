"""Clips that several test files of the stages use."""

import pytest

from tests.helpers import moving, write_clip


@pytest.fixture(scope="session")
def rich(tmp_path_factory):
    """48 frames with B-frames, sound, subtitles, chapters, a time code and a title."""
    path = tmp_path_factory.mktemp("rich") / "rich.mp4"
    return write_clip(
        path,
        moving(48, 160, 120),
        sound=True,
        subtitles=True,
        chapters=True,
        timecode="01:02:03:04",
        metadata={"title": "a title"},
        options={"bf": "3"},
    )
