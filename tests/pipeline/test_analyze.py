"""Two passes, one result: streaming = analyse + render = any split, for every rule of w+; edits by hand; refusals."""

import hashlib
import json
import math
import re
from unittest import mock

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from models.latent_file import load_latents
from pipeline.analyze import analyze
from pipeline.config import load_config
from pipeline.errors import ConfigError, UserError
from pipeline.fingerprint import fingerprint
from pipeline.flow import Flow
from pipeline.resources import Loader
from pipeline.run import render, stream
from pipeline.wire import wire_faces
from stages.analysis import Analysis
from stages.errors import AnalysisError
from stages.media_probe import probe
from tests.helpers import write_clip
from tests.pipeline.tiny import tiny_model

MODES = ["clip", "shot", "smooth", "frame"]
COUNT, CUT = 14, 8


@pytest.fixture(scope="module")
def loader():
    return Loader()


@pytest.fixture(scope="module")
def two_shots(portrait, tmp_path_factory):
    """A face that drifts, and after a cut another view of it."""
    pictures = [np.roll(portrait, (k, 2 * k), (0, 1)) for k in range(CUT)]
    pictures += [np.ascontiguousarray(np.roll(portrait, -3 * k, 1)[:, ::-1] // 2 + 60) for k in range(COUNT - CUT)]
    return write_clip(tmp_path_factory.mktemp("analyze") / "two_shots.mp4", pictures, rate=25)


def settings(**changes):
    small = {"crop.max_pixels": 40_000, "crop.eye_distance_px": 32, "crop.frame": "full"}
    return load_config(None, {**small, **{k.replace("__", "."): v for k, v in changes.items()}})


@pytest.fixture(scope="module")
def analysis(two_shots, loader, tmp_path_factory):
    return analyze(two_shots, tmp_path_factory.mktemp("sidecar") / "c.analysis", config=settings(), loader=loader)


def digests(source, loader, **changes):
    frames = stream(source, config=settings(**changes), loader=loader)
    return {frame.index: hashlib.sha256(frame.image.tobytes()).hexdigest() for frame in frames}


@pytest.mark.parametrize("mode", MODES)
def test_streaming_equals_analysis_equals_shards(two_shots, analysis, loader, mode):
    changes = {"style__latents": mode, "style__smooth_s": 0.12, "style__wait_frames": 3, "style__fine_from": 3}
    whole = digests(two_shots, loader, **changes)
    assert list(whole) == list(range(COUNT))
    assert len(set(whole.values())) == COUNT
    changes["analysis"] = str(analysis)
    joined = {}
    for start, end in ((0, 5), (5, CUT - 1), (CUT - 1, CUT + 1), (CUT + 1, COUNT)):
        joined |= digests(two_shots, loader, read__start=start, read__end=end, **changes)
    assert joined == whole


def test_it_holds_what_a_render_needs_and_reads_as_a_latent_file(two_shots, analysis, loader):
    table = json.loads((analysis / "analysis.json").read_text())
    assert table["cuts"] == [CUT]
    assert table["seen"] == [1] * COUNT
    net = loader.load(settings()).model.net
    with load_latents(analysis / "frames.safetensors", net.config) as latents:
        assert [frame.index for frame in latents] == list(range(COUNT))
        assert {face.track_id for frame in latents for face in frame.faces} == {0, 1}


def test_an_older_one_without_the_geometry_for_information_renders_the_same(two_shots, analysis, loader, tmp_path):
    with safe_open(analysis / "frames.safetensors", framework="pt") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    seen = stream_faces(two_shots, loader)
    told = [tensors.pop(f"geometry.{name}").numpy() for name in ("center", "eye_distance", "aligned")]
    for face, center, eyes, square in zip(seen, *told, strict=True):
        assert face.center == tuple(center)
        assert face.eye_distance == eyes
        x, y, size, angle = face.aligned
        assert square.tolist() == [x, y, math.log(size), angle]
    folder = edited(analysis, tmp_path)
    save_file(tensors, folder / "frames.safetensors", metadata)
    assert digests(two_shots, loader, analysis=str(folder)) == digests(two_shots, loader, analysis=str(analysis))


def stream_faces(source, loader):
    """Every face of a clip, in order, as `settle` gives it."""
    rendering, clip = loader.load(settings()), probe(source)
    assert rendering is not None
    return [face for item in wire_faces(settings(), clip, rendering, Flow({})) for face in item.faces]


def test_every_face_is_kept_and_a_render_chooses(portrait, loader, tmp_path):
    pair = np.zeros((512, 640, 3), np.uint8)
    pair[:, :400], pair[128:, 400:] = portrait[:, 60:460], np.ascontiguousarray(portrait[:384, ::-1])[:, 160:400]
    source = write_clip(tmp_path / "pair.mp4", [pair] * 3)
    folder = analyze(source, tmp_path / "pair.analysis", config=settings(), loader=loader)
    with load_latents(folder / "frames.safetensors") as latents:
        assert {face.track_id for frame in latents for face in frame.faces} == {0, 1}
    for chosen in ("largest", "all", 1):
        changes = {"track__face": chosen, "crop__frame": "window"}
        assert digests(source, loader, analysis=str(folder), **changes) == digests(source, loader, **changes), chosen


def edited(analysis, tmp_path, **changes):
    folder = tmp_path / "edited.analysis"
    folder.mkdir()
    (folder / "frames.safetensors").write_bytes((analysis / "frames.safetensors").read_bytes())
    table = json.loads((analysis / "analysis.json").read_text()) | changes
    (folder / "analysis.json").write_text(json.dumps(table))
    return folder


def test_a_dropped_face_is_not_rendered(two_shots, analysis, loader, tmp_path):
    folder = edited(analysis, tmp_path, drop=[{"track": 0, "first": 2, "last": 4}])
    touched = [f.touched for f in stream(two_shots, config=settings(analysis=str(folder)), loader=loader)]
    assert touched == [k not in (2, 3, 4) for k in range(COUNT)]


def test_a_pinned_frame_and_a_forced_cut_change_their_shot_alone(two_shots, analysis, loader, tmp_path):
    plain = digests(two_shots, loader, analysis=str(analysis))
    pinned = digests(two_shots, loader, analysis=str(edited(analysis, tmp_path, pin=[{"track": 0, "frame": 7}])))
    changed = [k for k in range(COUNT) if pinned[k] != plain[k]]
    assert changed == list(range(CUT))
    (tmp_path / "again").mkdir()
    cut = Analysis(edited(analysis, tmp_path / "again", cuts=[CUT, 5]))
    assert [cut.shot(k) for k in (0, 4, 5, 7, 8)] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("mode", ["shot", "frame"])
def test_another_encoder_keeps_shots_and_faces_and_computes_wplus(two_shots, analysis, tmp_path, caplog, mode):
    loader = Loader()
    changes = {"model": str(tiny_model(tmp_path, "toonify")), "style__latents": mode, "style__wait_frames": 3}
    whole = digests(two_shots, loader, **changes)
    changes["analysis"] = str(analysis)
    with mock.patch("pipeline.wire.Track", side_effect=AssertionError("faces are known")):
        assert digests(two_shots, loader, **changes) == whole
        assert [r.getMessage() for r in caplog.records if "computed anew with tiny_toonify" in r.getMessage()]
        part = digests(two_shots, loader, read__start=CUT - 1, read__end=CUT + 2, **changes)
    assert part == {k: whole[k] for k in range(CUT - 1, CUT + 2)}


def test_the_report_says_whose_wplus_were_rendered_with(two_shots, analysis, loader, tmp_path):
    changes = {"style__latents": "shot", "style__views": 2, "style__wait_frames": 3, "analysis": str(analysis)}
    changes |= {"read__start": CUT, "report__preview_frames": 0, "write__overwrite": True}
    own = render(two_shots, tmp_path / "own.mp4", config=settings(**changes), loader=loader)
    assert own.wplus == "analysis"
    other = settings(model=str(tiny_model(tmp_path, "toonify")), **changes)
    anew = render(two_shots, tmp_path / "anew.mp4", config=other, loader=Loader())
    assert anew.wplus == "encoder"
    for report in (own, anew):
        known = [not math.isnan(value) for value in report.per_frame.faces["wplus_distance"]]
        assert sum(known) == 2, "at the views alone"
    kept = next(row for row, value in enumerate(own.per_frame.faces["wplus_distance"]) if not math.isnan(value))
    assert own.per_frame.faces["wplus_distance"][kept] != anew.per_frame.faces["wplus_distance"][kept]


def test_a_pin_is_computed_anew_too(two_shots, analysis, tmp_path):
    loader = Loader()
    changes = {"model": str(tiny_model(tmp_path, "toonify")), "read__start": 5, "read__end": 8}
    changes["steady__strength"] = 0.0  # or frame 6 has something of its neighbours
    changes["analysis"] = str(edited(analysis, tmp_path, pin=[{"track": 0, "frame": 6}]))
    own = digests(two_shots, loader, style__latents="frame", **changes)
    pinned = digests(two_shots, loader, style__latents="shot", **changes)
    assert [k for k in own if own[k] == pinned[k]] == [6]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"version": 99}, "version 99"),
        ({"source": {"name": "other.mp4", "sha256": "0"}}, "made from another file"),
        ({"source": {"name": "other.mp4"}}, "source.sha256"),
        ({"model": {"name": "m"}}, "model.encoder_sha256"),
        ({"pin": [{"track": 9, "frame": 1}]}, "track 9 is not in frame 1.*the clip has tracks 0, 1"),
        ({"pin": [{"track": 0, "frame": 99}]}, "track 0 is not in frame 99.*found in frames 0 to 7"),
        ({"pin": [{"track": 0, "frame": -1}]}, "track 0 is not in frame -1"),
        ({"pin": [{"track": 0, "frame": 3}, {"track": 0, "frame": 5}]}, "track 0 has frames 3 and 5 in one shot"),
        ({"pin": [{"track": 0, "frame": 3}], "drop": [{"track": 0}]}, "track 0 is dropped in frame 3"),
        ({"drop": [{"trak": 1}]}, "drop.0"),
        ({"drop": [{"track": 77}]}, "track 77 is in none of the frames 0 to 13.*the clip has tracks 0, 1"),
        ({"drop": [{"track": 0, "first": 5, "last": 2}]}, "track 0: first 5 is behind last 2"),
        ({"drop": [{"track": 0, "first": 9}]}, "track 0 is in none of the frames 9 to 13.*found in frames 0 to 7"),
        ({"cuts": "none"}, "cuts"),
        ({"cuts": [CUT, 500]}, "cuts: frame 500 begins no shot"),
        ({"cuts": [-4, CUT]}, "cuts: frame -4 begins no shot"),
        ({"seen": [1, 1, 1]}, "damaged: 3 frames in `seen`, 14 in frames.safetensors.*analyze` again"),
    ],
)
def test_what_does_not_belong_is_refused(two_shots, analysis, loader, tmp_path, changes, what):
    folder = edited(analysis, tmp_path, **changes)
    with pytest.raises(AnalysisError) as caught:
        next(stream(two_shots, config=settings(analysis=str(folder)), loader=loader))
    assert re.search(what, str(caught.value))


def test_a_file_that_cannot_be_read_says_analyse_again(analysis, tmp_path):
    folder = edited(analysis, tmp_path)
    numbers = folder / "frames.safetensors"
    whole = numbers.read_bytes()
    for damage in (lambda: numbers.write_bytes(whole[:-500]), numbers.unlink):
        damage()
        with pytest.raises(AnalysisError, match="not a readable latent file") as caught:
            Analysis(folder)
        assert "analyze` again" in caught.value.remedy
    numbers.write_bytes(whole)
    table = (folder / "analysis.json").read_text()
    (folder / "analysis.json").write_text(table, encoding="utf-8-sig")
    assert len(Analysis(folder)) == COUNT
    (folder / "analysis.json").write_text(table, encoding="utf-16")
    with pytest.raises(AnalysisError, match="not UTF-8"):
        Analysis(folder)


def test_what_else_lies_in_the_folder_does_not_count(two_shots, analysis, tmp_path):
    folder = edited(analysis, tmp_path)
    config = settings(analysis=str(folder))
    before = fingerprint(two_shots, config, "")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / "analysis.json~").write_text("an editor's")
    assert fingerprint(two_shots, config, "") == before
    (folder / "analysis.json").write_text((folder / "analysis.json").read_text() + " ")
    assert fingerprint(two_shots, config, "") != before


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_but_an_analysis_is_ever_replaced(two_shots, analysis, tmp_path, overwrite):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("x")
    (precious / "analysis.json").write_text('{"format": "another program\'s"}')
    file = tmp_path / "file"
    file.write_text("x")
    refusals = {precious: "no analysis", file: "file of this name", file / "below": "cannot be written"}
    if not overwrite:
        refusals[edited(analysis, tmp_path)] = "there is an analysis"
    for target, what in refusals.items():
        with pytest.raises(UserError, match=what):  # the loader is never asked
            analyze(two_shots, target, config=settings(write__overwrite=overwrite), loader=mock.Mock(spec=[]))
    assert (precious / "thesis.txt").read_text() == file.read_text() == "x"


def test_other_settings_are_refused_by_name(two_shots, analysis, loader):
    with pytest.raises(AnalysisError, match=r"track\.smooth_s was 0\.25, is 0\.5"):
        next(stream(two_shots, config=settings(analysis=str(analysis), track__smooth_s=0.5), loader=loader))


def test_a_causal_filter_is_refused(two_shots, analysis, loader):
    changes = {"style__latents": "smooth", "style__filter": "one_euro"}
    for more in ({"analysis": str(analysis)}, {"read__start": 3}):
        with pytest.raises(ConfigError, match="one_euro is causal"):
            next(stream(two_shots, config=settings(**changes, **more), loader=loader))
    next(stream(two_shots, config=settings(read__end=3, **changes), loader=loader))


def test_nothing_is_left_of_an_analysis_that_failed(tmp_path, loader):
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a clip")
    with pytest.raises(Exception, match=r"broken\.mp4"):
        analyze(broken, tmp_path / "x.analysis", config=settings(), loader=loader)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.mp4"]
