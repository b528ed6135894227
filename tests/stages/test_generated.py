"""Pictures of no clip through the write stage."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from stages.errors import MediaError
from stages.generated import write_pictures
from stages.media_probe import probe
from stages.write import WriteConfig
from tests.helpers import decode_all, moving, timing


def read(path):
    return np.asarray(cv2.imread(str(path)))[:, :, ::-1]


def test_one_image_keeps_its_bytes(tmp_path):
    (picture,) = moving(1)
    assert write_pictures([picture], tmp_path / "one.png", (64, 48), WriteConfig()) == 1
    assert np.array_equal(read(tmp_path / "one.png"), picture)


def test_folder_of_named_images(tmp_path):
    pictures = moving(3)
    write_pictures(pictures, tmp_path / "all", (64, 48), WriteConfig(), names=["seed0007", "seed0001", "seed1234"])
    assert sorted(p.name for p in (tmp_path / "all").iterdir()) == ["seed0001.png", "seed0007.png", "seed1234.png"]
    assert np.array_equal(read(tmp_path / "all" / "seed0001.png"), pictures[1])


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_video_has_exact_times_and_true_tags(tmp_path, suffix):
    path, rate, pictures = tmp_path / f"clip{suffix}", Fraction(24000, 1001), moving(5)
    assert write_pictures(pictures, path, (64, 48), WriteConfig(quality=4), rate) == 5
    if suffix != ".mkv":  # Matroska counts milliseconds
        assert timing(path) == [(i / rate, 1 / rate) for i in range(5)]
    clip = probe(path)
    assert (clip.color.primaries, clip.color.transfer, clip.color.range) == (1, 13, 1)
    assert not clip.color_guessed
    assert clip.layout.pix_fmt == "yuv420p"
    assert clip.num_frames == 5
    for ours, theirs in zip(decode_all(path), pictures, strict=True):
        assert np.abs(ours.astype(int) - theirs).mean() < 4


def test_nothing_is_left_when_drawing_fails(tmp_path):
    def failing():
        yield from moving(3)
        raise RuntimeError("the generator broke")

    for name in ("a.mp4", "folder", "one.png"):
        with pytest.raises((RuntimeError, MediaError)):
            write_pictures(failing(), tmp_path / name, (64, 48), WriteConfig())
        assert list(tmp_path.iterdir()) == []


def test_codec_and_container_that_do_not_go_together(tmp_path):
    with pytest.raises(MediaError, match=r"cannot be written into a \.webm"):
        write_pictures(moving(1), tmp_path / "a.webm", (64, 48), WriteConfig(codec="h264"))
    with av.open(str(_prores(tmp_path))) as container:
        assert container.streams.video[0].codec_context.name == "prores"


def _prores(folder):
    path = folder / "a.mov"
    write_pictures(moving(2), path, (64, 48), WriteConfig(codec="prores"))
    return path
