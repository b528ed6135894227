"""Two passes, one result: streaming = analyse + render = any split, for every rule of w+; edits by hand; refusals."""

import hashlib
import json

import numpy as np
import pytest

from models.latent_file import load_latents
from pipeline.analyze import analyze
from pipeline.config import load_config
from pipeline.errors import ConfigError
from pipeline.resources import Loader
from pipeline.run import stream
from stages.analysis import Analysis
from stages.errors import AnalysisError
from tests.helpers import write_clip

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
    changes = {"style__latents": mode, "style__smooth_s": 0.12, "style__wait_frames": 3}
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


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"version": 99}, "version 99"),
        ({"source": {"name": "other.mp4", "sha256": "0"}}, "made from another file"),
        ({"model": {"name": "m", "encoder_sha256": "0"}}, "made with the encoder of m"),
        ({"pin": [{"track": 9, "frame": 1}]}, "track 9 is not in frame 1"),
        ({"drop": [{"trak": 1}]}, "drop.0"),
        ({"cuts": "none"}, "cuts"),
    ],
)
def test_what_does_not_belong_is_refused(two_shots, analysis, loader, tmp_path, changes, what):
    folder = edited(analysis, tmp_path, **changes)
    with pytest.raises(AnalysisError, match=what):
        next(stream(two_shots, config=settings(analysis=str(folder)), loader=loader))


def test_other_settings_are_refused_by_name(two_shots, analysis, loader):
    with pytest.raises(AnalysisError, match=r"track\.smooth_s was 0\.25, is 0\.5"):
        next(stream(two_shots, config=settings(analysis=str(analysis), track__smooth_s=0.5), loader=loader))


def test_a_causal_filter_is_refused(two_shots, analysis, loader):
    changes = {"analysis": str(analysis), "style__latents": "smooth", "style__filter": "one_euro"}
    with pytest.raises(ConfigError, match="one_euro is causal"):
        next(stream(two_shots, config=settings(**changes), loader=loader))


def test_nothing_is_left_of_an_analysis_that_failed(tmp_path, loader):
    broken = tmp_path / "broken.mp4"
    broken.write_text("not a clip")
    with pytest.raises(Exception, match=r"broken\.mp4"):
        analyze(broken, tmp_path / "x.analysis", config=settings(), loader=loader)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.mp4"]
