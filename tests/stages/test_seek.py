"""A range begins at a key frame, and its frames are those of a decode from the start, sample for sample."""

import logging
from fractions import Fraction

import numpy as np
import pytest

from stages.errors import MediaError
from stages.media_probe import open_media, probe, video_stream
from stages.read import Read, ReadConfig
from stages.seek import find_entry
from tests.helpers import frames_of, moving, write_clip

COUNT = 26
VFR = [12345 + 1001 * k + (k * k * 37) % 900 for k in range(COUNT)]
T30000 = Fraction(1, 30000)
OPEN_264 = {"x264-params": "open-gop=1:keyint=6:min-keyint=6:bframes=3:b-adapt=0:scenecut=0"}
OPEN_265 = {"x265-params": "log-level=none:open-gop=1:keyint=6:min-keyint=6:bframes=3:b-adapt=0:scenecut=0"}
CLIPS = {
    "closed.mp4": {"options": {"bf": "3", "g": "6"}},
    "open.mp4": {"options": OPEN_264},
    "open.mkv": {"options": OPEN_264},
    "open.ts": {"options": OPEN_264, "time_base": Fraction(1, 90000)},
    "open_vfr_offset.mp4": {"options": OPEN_264, "time_base": T30000, "pts": VFR},
    "open_hevc.mp4": {"codec": "libx265", "options": OPEN_265},
    "vfr_offset.mkv": {"options": {"bf": "2", "g": "6"}, "time_base": Fraction(1, 1000), "pts": VFR},
    "open_mpeg2.ts": {"codec": "mpeg2video", "options": {"bf": "2", "g": "6", "b": "1M"}},
    "refresh.mp4": {"options": {"x264-params": "intra-refresh=1:keyint=6"}},
    "intra.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "6", "deadline": "realtime", "cpu-used": "8"}},
}


def same(a, b):
    fields = [(f.index, f.pts, f.duration, f.corrupt, f.rotation) for f in (a, b)]
    return fields[0] == fields[1] and all(np.array_equal(x, y) for x, y in zip(a.planes, b.planes, strict=True))


def read(clip, start, end, pts):
    return list(Read(ReadConfig(start=start, end=end), probe(clip), pts).stream())


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_can_be_the_first(tmp_path, name, caplog):
    clip = write_clip(tmp_path / name, moving(COUNT), **CLIPS[name])
    whole = frames_of(clip)
    assert len(whole) == COUNT
    caplog.set_level(logging.INFO, "stages.read")
    for start in range(1, COUNT):
        part = read(clip, start, start + 2, whole[start].pts)
        assert len(part) == min(2, COUNT - start)
        assert all(same(frame, whole[frame.index]) for frame in part)
    assert name == "refresh.mp4" or "from the start" not in caplog.text  # it has no frame that stands alone


@pytest.mark.parametrize("name", ["closed.mp4", "open.ts", "open_hevc.mp4"])
def test_what_lies_before_the_key_frame_is_not_decoded(tmp_path, name):
    clip = write_clip(tmp_path / name, moving(COUNT), **CLIPS[name])
    pts = frames_of(clip)[COUNT - 1].pts
    with open_media(clip) as container:
        entry = find_entry(container, video_stream(container, clip), COUNT - 1, pts)
    assert entry is not None
    assert entry.frames >= COUNT - 10
    assert entry.pts <= pts


def test_a_time_that_is_not_the_frames_is_not_believed(tmp_path, caplog):
    clip = write_clip(tmp_path / "a.mp4", moving(COUNT), **CLIPS["closed.mp4"])
    whole = frames_of(clip)
    caplog.set_level(logging.INFO, "stages.read")
    for pts in (whole[11].pts, whole[12].pts + 1, whole[COUNT - 1].pts + 999_999, -5):
        caplog.clear()
        assert same(read(clip, 12, 13, pts)[0], whole[12])
        assert "from the start" in caplog.text


def test_times_that_jump_back_are_decoded_from_the_start(tmp_path, caplog):
    """Two recordings in one transport stream: each time occurs twice, and only the first may be sought."""
    parts = [
        write_clip(tmp_path / f"{k}.ts", moving(COUNT, cuts=[0] * k), time_base=Fraction(1, 90000)) for k in range(2)
    ]
    clip = tmp_path / "both.ts"
    clip.write_bytes(b"".join(path.read_bytes() for path in parts))
    whole = frames_of(clip)
    assert len(whole) == 2 * COUNT
    for start in (COUNT - 1, COUNT, COUNT + 1, COUNT + 9, 2 * COUNT - 1):
        assert same(read(clip, start, start + 1, whole[start].pts)[0], whole[start])


def test_damage_behind_the_key_frame_is_noticed(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", moving(COUNT), options={"g": "6"})
    pts = frames_of(clip)[20].pts
    with open_media(clip) as container:
        last = [packet for packet in container.demux(video=0) if packet.size][-1]
    assert last.pos is not None
    data = bytearray(clip.read_bytes())
    data[last.pos : last.pos + last.size] = bytes(last.size)
    clip.write_bytes(data)
    said = []
    for known in (pts, None):
        with pytest.raises(MediaError, match="damaged at frame 2") as caught:
            read(clip, 20, None, known)
        said.append(caught.value.what)
    assert said[0] == said[1]
