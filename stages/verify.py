"""Check a finished file with a second implementation: the ffprobe of whatever FFmpeg is installed."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg

from stages.output import CONTAINERS

_COLOR_KEYS = ("color_space", "color_range", "color_primaries", "color_transfer")


def verify(source: str | Path, output: str | Path, whole: bool = True) -> list[str]:
    """What is wrong with `output` as a rendering of `source`, in sentences; empty when nothing is.

    Decodes both files once. Compared are: frame count, length, rate, number of sound streams, and the colour tags that
    the source states. Without ffprobe, and for images, the one sentence says that nothing was checked.

    Args:
        whole: False when only a range was rendered, so that count, times and sound differ by intention.
    """
    source, output = Path(source), Path(output)
    if output.suffix.lower() not in CONTAINERS or not source.is_file():
        return [f"not verified: {output.name} is not a video made from a video"]
    if shutil.which("ffprobe") is None:
        return ["not verified: there is no ffprobe here (install FFmpeg)"]
    try:
        before, after = _inspect(source), _inspect(output)
    except ffmpeg.Error as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines() if error.stderr else []
        return [f"ffprobe cannot read a file: {lines[-1] if lines else error}"]
    return _compare(before, after, whole)


def _inspect(path: Path) -> dict[str, Any]:
    data = ffmpeg.probe(str(path), count_frames=None)
    pictures = [s for s in data["streams"] if s["codec_type"] == "video" and not _is_cover(s)]
    return {
        "video": pictures[0] if pictures else None,
        "num_audio": sum(s["codec_type"] == "audio" for s in data["streams"]),
    }


def _is_cover(stream: dict[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _compare(before: dict[str, Any], after: dict[str, Any], whole: bool) -> list[str]:
    video, result = before["video"], after["video"]
    if result is None:
        return ["the output has no picture stream"]
    if video is None:
        return ["ffprobe sees no picture stream in the source"]
    problems = []
    if whole:
        counts = int(video.get("nb_read_frames", 0)), int(result.get("nb_read_frames", 0))
        if counts[0] != counts[1]:
            problems.append(f"the source has {counts[0]} frames, the output {counts[1]}")
        lengths = _seconds(video), _seconds(result)
        if all(lengths) and abs(lengths[0] - lengths[1]) > 0.05:
            problems.append(f"the source lasts {lengths[0]:.3f} s, the output {lengths[1]:.3f} s")
    rates = Fraction(video["r_frame_rate"]), Fraction(result["r_frame_rate"])
    if whole and rates[0] != rates[1] and Fraction(video["avg_frame_rate"]) == rates[0]:
        problems.append(f"the source has {rates[0]} frames per second, the output {rates[1]}")
    if after["num_audio"] != before["num_audio"]:
        problems.append(f"the source has {before['num_audio']} sound streams, the output {after['num_audio']}")
    for key in _COLOR_KEYS:
        stated, found = video.get(key, "unknown"), result.get(key, "unknown")
        if stated not in ("unknown", "gbr", "reserved") and found != stated and not _is_rgb(video):
            problems.append(f"{key} is {stated} in the source and {found} in the output")
    return problems


def _seconds(stream: dict[str, Any]) -> float:
    """Length of the picture stream; 0 when the container does not say, as in Matroska."""
    return float(stream.get("duration", 0) or 0)


def _is_rgb(stream: dict[str, Any]) -> bool:
    return str(stream.get("pix_fmt", "")).startswith(("gbr", "rgb", "bgr", "argb", "abgr", "pal"))
