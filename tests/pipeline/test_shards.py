"""render --shard-dir and concat: what is joined is the render in one go, and what is wrong is named."""

import json
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from pipeline.analyze import analyze
from pipeline.config import load_config
from pipeline.resources import Loader
from pipeline.shards import concat, render_shard
from run_pipeline import run
from tests.helpers import decode_all, frames_of, payloads, timing, write_clip
from tests.pipeline.tiny import tiny_model

COUNT, CUT = 9, 5
EDGES = (0, 4, 6, COUNT)
SMALL = {"crop.max_pixels": 20_000, "crop.eye_distance_px": 32, "crop.frame": "full", "report.preview_frames": 0}
T30000 = Fraction(1, 30000)
PTS = [777 + 1000 * k + 90 * (k % 3) for k in range(COUNT)]


@pytest.fixture(scope="module")
def loader():
    return Loader()


@pytest.fixture(scope="module")
def work(portrait, tmp_path_factory, loader):
    """A clip with two shots, variable rate, an offset and sound; its analysis, its render, and its parts."""
    folder = tmp_path_factory.mktemp("shards")
    small = portrait[::2, ::2]
    pictures = [np.roll(small, (k, 2 * k), (0, 1)) for k in range(CUT)]
    pictures += [np.ascontiguousarray(np.roll(small, -3 * k, 1)[:, ::-1] // 2 + 60) for k in range(COUNT - CUT)]
    source = write_clip(folder / "clip.mp4", pictures, time_base=T30000, pts=PTS, sound=True, last_duration=1500)
    tiny_model(folder, "toonify")
    config = settings(folder)
    analyze(source, folder / "clip.analysis", config=config.model_copy(update={"analysis": None}), loader=loader)
    for start, end in pairwise(EDGES):
        part(folder, loader, start, end)
    return folder


def settings(folder, **changes):
    model = {"model": str(folder / "tiny_toonify.safetensors"), "analysis": str(folder / "clip.analysis")}
    return load_config(None, {**SMALL, **model, "write.codec": "ffv1", **changes})


def part(folder, loader, start, end, parts="parts", **more):
    changes = {"read.start": start, "read.end": end, **more.pop("changes", {})}
    config = settings(folder, **changes)
    return render_shard(folder / "clip.mp4", folder / parts, config=config, output="x.mkv", loader=loader, **more)


def command_line(work, parts):
    """What a render farm runs, less the range."""
    model = ["--model", work / "tiny_toonify.safetensors", "--analysis", work / "clip.analysis", "--codec", "ffv1"]
    small = [f"--set={key}={value}" for key, value in SMALL.items()]
    return ["render", work / "clip.mp4", "-o", "x.mkv", "--shard-dir", parts, "--quiet", *model, *small]


def copy_parts(work, tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for path in (work / "parts").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def report_of(path):
    return json.loads(path.with_name(f"{path.name}.report.json").read_text())


def refused(capsys, *argv):
    """The two lines that a user sees."""
    capsys.readouterr()
    assert run([str(word) for word in argv]) == 2
    return capsys.readouterr().err


def test_the_joined_clip_is_the_render_in_one_go(work, tmp_path, capsys):
    model = work / "tiny_toonify.safetensors"
    words = ["--model", model, "--codec", "ffv1", *(f"--set={key}={value}" for key, value in SMALL.items())]
    whole, joined = tmp_path / "whole.mkv", tmp_path / "joined.mkv"
    assert run([str(word) for word in ("render", work / "clip.mp4", "-o", whole, "--quiet", *words)]) == 0
    assert run(["concat", str(work / "parts"), "-o", str(joined), "--quiet"]) == 0
    assert capsys.readouterr().out.strip() == str(joined)
    frames = decode_all(joined)
    assert len(frames) == COUNT
    assert all(np.array_equal(a, b) for a, b in zip(frames, decode_all(whole), strict=True))
    assert not np.array_equal(frames[0], decode_all(work / "clip.mp4")[0])
    assert timing(joined) == timing(whole)
    assert payloads(joined, "audio") == payloads(whole, "audio")
    assert payloads(joined, "audio")
    for name in ("frames", "rendered", "shots", "decisions", "per_frame", "clip", "model"):
        assert report_of(joined)[name] == report_of(whole)[name], name
    assert report_of(joined)["config"]["read"] == report_of(whole)["config"]["read"]
    assert (report_of(joined)["wplus"], report_of(whole)["wplus"]) == ("analysis", "encoder")
    known = [value is not None for value in report_of(joined)["per_frame"]["faces"]["wplus_distance"]]
    assert known == [True] * COUNT  # both shots are shorter than the five views that are wanted
    assert "exists already" in refused(capsys, "concat", work / "parts", "-o", joined)


def test_a_part_with_a_report_of_another_release_is_joined_without_one(work, tmp_path, capsys):
    folder, joined = copy_parts(work, tmp_path), tmp_path / "joined.mkv"
    path = sorted(folder.glob("*.report.json"))[1]
    report = json.loads(path.read_text())
    del report["per_frame"]["faces"]["wplus_distance"], report["wplus"]
    path.write_text(json.dumps(report))
    concat(folder, joined)
    distances = report_of(joined)["per_frame"]["faces"]["wplus_distance"]
    assert distances[3] is not None
    assert distances[4:6] == [None, None]  # a column that came later

    del report["shots"][0]["number"]
    for text in (json.dumps(report), "[]", "{"):
        path.write_text(text)
        alone = tmp_path / f"joined{len(text)}.mkv"
        assert run(["concat", str(folder), "-o", str(alone)]) == 0
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "not a report of this release" in line]
        assert path.name in line
        assert len(decode_all(alone)) == COUNT
        assert not alone.with_name(f"{alone.name}.report.json").exists()


def test_a_part_says_what_it_is(work):
    names = sorted(path.name for path in (work / "parts").iterdir() if path.name.endswith(".shard.json"))
    stems = [f"clip.{start:07d}-{end:07d}.mkv" for start, end in pairwise(EDGES)]
    assert names == [f"{stem}.shard.json" for stem in stems]
    tables = [json.loads((work / "parts" / name).read_text()) for name in names]
    assert [time for table in tables for time in table["pts"]] == PTS
    assert [table["end_pts"] for table in tables] == [
        PTS[4],
        PTS[6],
        PTS[-1] + frames_of(work / "clip.mp4")[-1].duration,
    ]
    assert len({table["fingerprint"] for table in tables}) == 1
    assert len({table["sha256"] for table in tables}) == 3
    assert {table["total"] for table in tables} == {COUNT}
    assert tables[0]["settings"]["write"]["codec"] == "ffv1"
    (shot,) = report_of(work / "parts" / stems[-1])["shots"]
    assert (shot["number"], shot["first_frame"], shot["frames"]) == (1, 6, 3)


def test_a_finished_part_is_left_alone_and_another_is_not(work, loader, tmp_path):
    folder = copy_parts(work, tmp_path)
    path = folder / f"clip.{6:07d}-{COUNT:07d}.mkv"
    before, data = path.stat().st_mtime_ns, path.read_bytes()
    assert part(work, loader, 6, 99, folder, resume=True) == path  # an end behind the clip's is the clip's
    assert path.stat().st_mtime_ns == before
    path.write_bytes(data[:-9])
    assert run([str(word) for word in (*command_line(work, folder), "--start", 6, "--end", COUNT, "--resume")]) == 0
    assert np.array_equal(decode_all(path), decode_all(work / "parts" / path.name))  # however often it is rendered
    with pytest.raises(OSError, match="exists already"):
        part(work, loader, 6, COUNT, folder)
    (folder / f"{path.name}.shard.json").unlink()  # killed before it was done
    part(work, loader, 6, COUNT, folder)
    assert (folder / f"{path.name}.shard.json").exists()


def test_parts_that_make_no_clip_are_named(work, loader, tmp_path, capsys):
    folder, output = copy_parts(work, tmp_path), tmp_path / "x.mkv"
    _, middle, last = sorted(folder.glob("*.mkv"))
    note = folder / f"{middle.name}.shard.json"

    held, text = middle.read_bytes(), note.read_text()
    note.unlink()
    assert "missing of 9 frames: 4 to 5\n" in refused(capsys, "concat", folder, "-o", output)
    (folder / f"{last.name}.shard.json").rename(tmp_path / "kept")
    said = refused(capsys, "concat", folder, "-o", output)
    assert "missing of 9 frames: 4 to 8\n" in said
    assert "--start 4 --end 9" in said
    (tmp_path / "kept").rename(folder / f"{last.name}.shard.json")
    note.write_text(text)

    middle.unlink()
    assert "missing of 9 frames: 4 to 5\n" in refused(capsys, "concat", folder, "-o", output)
    middle.write_bytes(held[:-1] + b"x")
    assert "damaged (frames 4 to 5)" in refused(capsys, "concat", folder, "-o", output)
    middle.write_bytes(held)

    note.write_text(text[:50])
    assert "damaged, or of a later version" in refused(capsys, "concat", folder, "-o", output)
    note.write_text(text.replace('"end": 6', '"end": 7').replace('"pts": [', '"pts": [0, '))
    assert "frames 6 are in two parts" in refused(capsys, "concat", folder, "-o", output)
    note.write_text(text)

    part(work, loader, 4, 6, folder, resume=True, changes={"style.latents": "frame"})
    assert "different renders" in (said := refused(capsys, "concat", folder, "-o", output))
    assert "style.latents was shot, is frame" in said
    assert not output.exists()


def test_the_source_must_be_the_clip(work, tmp_path, capsys):
    moved, other, output = tmp_path / "moved.mp4", tmp_path / "other.mp4", tmp_path / "joined.mkv"
    folder = copy_parts(work, tmp_path)
    moved.write_bytes((work / "clip.mp4").read_bytes())
    other.write_bytes(moved.read_bytes() + b"\0")
    for note in folder.glob("*.json"):
        note.write_text(note.read_text().replace(str(work / "clip.mp4"), "/nowhere/clip.mp4"))
    assert "/nowhere/clip.mp4: the source" in refused(capsys, "concat", folder, "-o", output)
    assert "not the clip" in refused(capsys, "concat", folder, "-o", output, "--source", other)
    concat(folder, output, source=moved)
    assert len(decode_all(output)) == COUNT
    assert "joined into a video" in refused(capsys, "concat", folder, "-o", tmp_path / "frames")


def test_what_cannot_be_a_part(work, loader, tmp_path, capsys):
    clip, analysis = work / "clip.mp4", work / "clip.analysis"
    words = ("render", clip, "--shard-dir", tmp_path)
    assert "parts need an analysis" in (said := refused(capsys, *words))
    assert "run_pipeline.py analyze" in said
    assert "need no shards" in refused(capsys, *words, "--analysis", analysis, "-o", "frames")
    assert "the clip has 9 frames" in refused(capsys, *words, "--analysis", analysis, "--start", 9)
    assert not list(tmp_path.iterdir())
