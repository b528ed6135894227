import json

import pytest
import yaml

from pipeline import batch
from pipeline.errors import ConfigError


def write(folder, **data):
    path = folder / "jobs.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.fixture
def three(tmp_path, sample_clip):
    """A batch of three clips, the second broken; nothing but reading and writing is done to them."""
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("a", "c"):
        (clips / f"{name}.mp4").write_bytes(sample_clip.read_bytes())
    (clips / "b.mp4").write_text("not a video")
    return write(
        tmp_path,
        defaults={"task": {"kind": "none"}, "read": {"end": 6}},
        output="out/{stem}_{task}{suffix}",
        jobs=[{"input": "clips/*.mp4"}],
    )


def test_expands_globs_merges_defaults_and_fills_tokens(tmp_path):
    for name in ("x.mov", "y.mov"):
        (tmp_path / name).touch()
    path = write(
        tmp_path,
        defaults={"task": {"kind": "toonify", "style": "arcane"}, "track": {"smooth_s": 0.1}},
        output="out/{job}_{stem}_{task}_{model}{suffix}",
        jobs=[
            {"input": "*.mov", "track": {"face": "all"}},
            {"input": "x.mov", "task": {"kind": "none"}, "output": "{name}.copy.mov"},
        ],
    )
    first, second, third = batch.load_batch(path).jobs
    assert first.output == tmp_path / "out/1_x_toonify_default.mov"
    assert second.source == tmp_path / "y.mov"
    assert (first.config.track.smooth_s, first.config.track.face) == (0.1, "all")
    assert first.config.task.model_dump()["style"] == "arcane"
    assert third.config.task.kind == "none"
    assert third.output == tmp_path / "x.mov.copy.mov"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"jobs": []}, "expected a list of jobs"),
        ({"jobs": [{"output": "a"}]}, "job 1: no input"),
        ({"jobs": [{"input": "a.mp4", "trak": {}}]}, "job 1: trak: no such setting"),
        ({"jobs": [{"input": "a.mp4"}], "job": 1}, "job: no such key"),
        ({"jobs": [{"input": "a.mp4", "output": "{nmae}"}]}, "no such token"),
        ({"jobs": [{"input": "a.mp4"}, {"input": "a.mp4"}]}, "would both write"),
    ],
)
def test_mistakes_in_the_file(tmp_path, data, message):
    with pytest.raises(ConfigError, match=message):
        batch.load_batch(write(tmp_path, **data))


def test_check_names_the_broken_job_and_renders_nothing(three):
    file = batch.load_batch(three)
    results = batch.check(file)
    assert [r.status for r in results] == ["ready", "failed", "ready"]
    assert "b.mp4" in results[1].error
    assert not (three.parent / "out").exists()


@pytest.mark.expects_error_log
def test_one_broken_job_does_not_stop_the_others_and_resume_renders_nothing_twice(three):
    file = batch.load_batch(three)
    results = batch.run(file, file.jobs, batch.LocalExecutor())
    assert [r.status for r in results] == ["done", "failed", "done"]
    assert [r.frames for r in results] == [6, 0, 6]
    assert sorted(p.name for p in (three.parent / "out").glob("*.mp4")) == ["a_none.mp4", "c_none.mp4"]
    assert json.loads(file.summary_path.read_text())[1]["status"] == "failed"
    assert "b.mp4" in batch.table(results)
    assert "2 done, 1 failed" in batch.table(results)

    stamps = {p: p.stat().st_mtime_ns for p in (three.parent / "out").glob("*.mp4")}
    again = batch.run(file, file.jobs, batch.LocalExecutor(), resume=True)
    assert [r.status for r in again] == ["skipped", "failed", "skipped"]
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}
    assert [r.status for r in batch.status(file)] == ["done", "failed", "done"]
    assert [j.name for j in batch.failed_jobs(file)] == ["2-b"]


def test_resume_renders_again_when_input_or_settings_changed(three, sample_clip):
    (three.parent / "clips" / "b.mp4").unlink()
    file = batch.load_batch(three)
    batch.run(file, file.jobs, batch.LocalExecutor())
    with (three.parent / "clips" / "a.mp4").open("ab") as clip:
        clip.write(b"\0" * 8 + b"free")  # still a clip, other bytes
    data = yaml.safe_load(three.read_text())
    results = batch.run(batch.load_batch(three), file.jobs, batch.LocalExecutor(), resume=True)
    assert [r.status for r in results] == ["done", "skipped"]
    data["defaults"]["read"]["end"] = 5
    three.write_text(yaml.safe_dump(data))
    changed = batch.load_batch(three)
    assert [r.status for r in batch.status(changed)] == ["changed", "changed"]
    assert [r.frames for r in batch.run(changed, changed.jobs, batch.LocalExecutor(), resume=True)] == [5, 5]


@pytest.mark.expects_error_log
def test_a_bug_in_one_job_is_reported_and_the_next_runs(three, monkeypatch):
    (three.parent / "clips" / "b.mp4").unlink()
    file = batch.load_batch(three)
    true_render = batch.render

    def render(source, *args, **kwargs):
        if source.stem == "a":
            raise RuntimeError("a bug")
        return true_render(source, *args, **kwargs)

    monkeypatch.setattr(batch, "render", render)
    results = batch.run(file, file.jobs, batch.LocalExecutor())
    assert [r.status for r in results] == ["failed", "done"]
    assert results[0].error == "RuntimeError: a bug"
