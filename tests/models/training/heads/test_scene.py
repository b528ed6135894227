"""Scenes: the same for the same seed, within their ranges, and edited in one thing at a time."""

from dataclasses import fields

import numpy as np
import pytest

pytest.importorskip("numba", reason="the rasteriser is compiled by numba (requirements-train.txt)")

from models.training.heads.errors import HeadsError
from models.training.heads.sampling import sample_scene


def test_the_same_seed_gives_the_same_scene():
    assert sample_scene(7) == sample_scene(7)
    assert sample_scene(7) != sample_scene(8)


def test_ranges():
    scenes = [sample_scene(seed) for seed in range(300)]
    yaw = np.degrees([scene.head[0] for scene in scenes])
    assert np.abs(yaw).max() <= 35
    assert yaw.std() > 10
    ages = np.array([scene.years for scene in scenes])
    assert ages.min() >= 14
    assert ages.max() <= 80
    assert {scene.hair.comb for scene in scenes} == {"back", "side", "centre", "forward", "up", "bald"}
    assert 0.3 < np.mean([scene.phenotypes["gender"] > 0.5 for scene in scenes]) < 0.7
    assert 0.2 < np.mean([scene.smile > 0.3 for scene in scenes]) < 0.7
    for scene in scenes:
        assert all(0 <= value <= 1 for value in scene.actions.values())
        assert all(-1 <= value <= 1 for value in scene.local.values())
        assert np.linalg.norm(scene.light.direction) == pytest.approx(1)
        assert all(np.isfinite(value) for value in scene.attributes().values())


@pytest.mark.parametrize(
    ("edit", "field", "attribute"),
    [
        ({"age": 20.0}, "years", "age"),
        ({"smile": 0.5}, "smile", "smile"),
        ({"eye_size": 0.5}, "eye_size", "eye_size"),
        ({"gaze": 0.2}, "gaze", "gaze_x"),
        ({"hair": (0.3, 0.1, 0.03)}, "hair_color", "hair_r"),
    ],
)
def test_an_edit_changes_one_thing(edit, field, attribute):
    scene = next(s for s in map(sample_scene, range(100)) if s.years < 30 and s.smile < 0.4 and s.hair_color[0] < 0.2)
    edited = scene.edited(**edit)
    assert [f.name for f in fields(scene) if getattr(scene, f.name) != getattr(edited, f.name)] == [field]
    assert edited.attributes()[attribute] > scene.attributes()[attribute]


def test_edits_stay_in_range():
    scene = sample_scene(3).edited(age=500.0, smile=9.0, eye_size=-9.0)
    assert (scene.years, scene.smile, scene.eye_size) == (80, 1, -1)


@pytest.mark.parametrize("edit", [{"nose": 1.0}, {"hair": 1.0}, {"age": (0.1, 0.1, 0.1)}])
def test_an_edit_that_is_none_is_a_user_error(edit):
    with pytest.raises(HeadsError, match="no edit"):
        sample_scene(3).edited(**edit)


def test_old_hair_is_grey():
    scene = sample_scene(3)
    greys = [scene.edited(age=age - scene.years).grey for age in (20.0, 50.0, 65.0, 80.0)]
    assert greys == sorted(greys)
    assert greys[0] == 0
    assert greys[-1] > 0.7
