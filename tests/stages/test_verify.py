import shutil

import pytest

from stages.verify import verify
from tests.helpers import copy_clip, moving, write_clip

needs_ffprobe = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="there is no ffprobe on this machine")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("v") / "a.mp4", moving(24), sound=True)


@needs_ffprobe
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_faithful_copy_has_no_problems(source, tmp_path, suffix):
    assert verify(source, copy_clip(source, tmp_path / f"out{suffix}")) == []


@needs_ffprobe
def test_what_differs_is_named(source, tmp_path):
    part = copy_clip(source, tmp_path / "part.mp4", {"end": 12}, audio=False)
    problems = " ".join(verify(source, part))
    assert "24 frames, the output 12" in problems
    assert "sound" in problems
    assert "1.000 s" in problems
    assert verify(source, copy_clip(source, tmp_path / "cut.mp4", {"end": 12}), whole=False) == []
    other = write_clip(tmp_path / "other.mp4", moving(24), color=source_tags_changed(), sound=True)
    assert any("color_space is bt709" in problem for problem in verify(source, other))
    (tmp_path / "text.mp4").write_text("no video")
    assert "ffprobe cannot read" in verify(source, tmp_path / "text.mp4")[0]


def source_tags_changed():
    from stages.pixels import ColorTags

    return ColorTags(6, 1, 6, 6, 1)


def test_says_when_it_could_not_be_done(source, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert verify(source, source) == ["not verified: there is no ffprobe here (install FFmpeg)"]
    assert "not a video" in verify(source, tmp_path / "a.png")[0]
