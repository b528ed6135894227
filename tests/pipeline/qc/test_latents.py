"""Which w+ distances a page shows: those of this render, by the best that is known of it."""

from dataclasses import replace

import pytest
import torch

from models.latent import Latent
from models.latent_file import FaceLatent, LatentFrame, LatentInfo, save_latents
from pipeline.qc.latents import OF_FILES, OF_MODES, known_distances, wplus_distances
from pipeline.qc.record import read_record
from stages.analysis import NUMBERS
from tests.pipeline.qc.makers import COUNT, CUT, WRONG


@pytest.fixture
def record(clips):
    return read_record(clips[1])


@pytest.fixture
def folder(record, tmp_path):
    """An analysis in which one frame's w+ lie 2 off; the same file stands for saved latents."""
    frames = []
    for index in range(COUNT):
        here = [track for i, track in zip(record.faces["index"], record.faces["track_id"], strict=True) if i == index]
        offset = 2.0 if index == WRONG else 0.0
        faces = [FaceLatent(Latent(torch.full((1, 4, 8), float(track + offset))), track_id=track) for track in here]
        frames.append(LatentFrame(index, index, tuple(faces), int(index >= CUT)))
    save_latents(tmp_path / NUMBERS, frames, LatentInfo(model="tiny"))
    return tmp_path


def of_render(record, origin, mode, **config):
    changes = {"style": {"latents": mode}} | config
    return replace(record, report=record.report | {"wplus": origin, "config": record.report["config"] | changes})


def test_distance_to_the_reference_of_the_shot(record, folder):
    distances = wplus_distances(folder / NUMBERS, record)
    for index, distance in zip(record.faces["index"], distances, strict=True):
        assert distance == (2.0 if index == WRONG else 0.0)


def test_an_analysis_is_shown_where_its_wplus_were_taken_as_stored(record, folder):
    shown = known_distances(of_render(record, "analysis", "shot", analysis=str(folder)))
    assert shown is not None
    assert (max(filter(None, shown.values)), shown.note, shown.sparse) == (2.0, OF_FILES, False)


@pytest.mark.parametrize("mode", OF_MODES)
def test_never_those_of_another_encoder(record, folder, mode):
    shown = known_distances(of_render(record, "encoder", mode, analysis=str(folder)))
    assert shown is not None
    assert shown.values == record.faces["wplus_distance"]
    assert (shown.note, shown.sparse) == (OF_MODES[mode], mode in ("clip", "shot"))
    assert known_distances(of_render(record, "replaced", mode, analysis=str(folder))) is None


def test_an_analysis_that_is_gone_leaves_what_the_render_knew(record, folder, caplog):
    render = of_render(record, "analysis", "shot", analysis=str(folder))
    (folder / NUMBERS).write_bytes(b"damaged")
    for damage in (lambda: None, (folder / NUMBERS).unlink):
        damage()
        shown = known_distances(render)
        assert shown is not None
        assert shown.values == record.faces["wplus_distance"]
    assert "w+ distances are not taken from there" in caplog.text


def test_saved_latents_are_shown_where_they_differ_within_a_shot(record, folder):
    saved = {"latents": {"save": str(folder / NUMBERS)}}
    for origin, mode, note in (
        ("encoder", "shot", OF_MODES["shot"]),
        ("encoder", "frame", OF_FILES),
        ("", "shot", OF_FILES),
    ):
        shown = known_distances(of_render(record, origin, mode, **saved))
        assert shown is not None
        assert shown.note == note
    assert known_distances(of_render(record, "", "shot")) is None


def test_nothing_known_is_nothing_shown(record):
    bare = replace(record, faces=record.faces | {"wplus_distance": [None] * len(record.faces["index"])})
    assert known_distances(of_render(bare, "encoder", "shot")) is None
