"""The human model itself; release tests, because loading it takes up to a minute, and two the first time."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba", reason="the rasteriser is compiled by numba (requirements-train.txt)")
pytest.importorskip("anny", reason="the parametric human is not installed (requirements-train.txt)")

from models.training.heads.clips import make_clip
from models.training.heads.geometry import Stage
from models.training.heads.human import load_human
from models.training.heads.sample import Renderer
from models.training.heads.sampling import sample_scene
from stages.geometry import inter_ocular_distance

pytestmark = pytest.mark.release


@pytest.fixture(scope="module")
def people():
    return Stage(load_human())


@pytest.fixture(scope="module")
def scene():
    scene = sample_scene(104)
    return replace(scene, head=(0.0, 0.0, 0.0), actions={}, smile=0.0, eye_distance=60.0, offset=(0.0, 0.0))


def test_landmarks_lie_in_their_classes(people, scene):
    sample = Renderer(people, 256).sample(scene)
    x, y = np.rint(sample.landmarks).astype(int).T
    kinds = sample.parsing[y.clip(0, 255), x.clip(0, 255)]
    assert set(kinds[18:21]) <= {3}
    assert set(kinds[23:26]) <= {2}
    assert set(kinds[28:31]) == {10}
    left, right = (sample.landmarks[span].mean(axis=0).round().astype(int) for span in (slice(36, 42), slice(42, 48)))
    assert sample.parsing[left[1], left[0]] == 5
    assert sample.parsing[right[1], right[0]] == 4
    assert abs(inter_ocular_distance(sample.landmarks) - 60) < 6


def test_people_differ_and_expressions_move_what_they_should(people, scene):
    human = people.human
    first, eyes = human.build({**scene.phenotypes, "age": 0.7}, scene.local, {})
    old, _ = human.build({**scene.phenotypes, "age": 1.0}, scene.local, {})
    assert np.abs(first - old).max() > 0.003
    assert eyes[0, 0] < 0 < eyes[1, 0]
    smiling, same = human.build(
        {**scene.phenotypes, "age": 0.7}, scene.local, {"mouthSmileLeft": 1, "mouthSmileRight": 1}
    )
    corners = human.landmarks[[48, 54]]
    assert (smiling[corners, 2] - first[corners, 2] > 0.003).all()
    assert np.array_equal(eyes, same)
    nose = human.landmarks[27]
    assert np.abs(smiling[nose] - first[nose]).max() < 1e-3


def test_flow_carries_landmarks(people, scene):
    clip = make_clip(people, replace(scene, hair=replace(scene.hair, comb="bald")), 2, 256)
    inner = np.r_[27:36, 48:60]
    now, then = clip.landmarks[0][inner], clip.landmarks[1][inner]
    x, y = np.rint(now).astype(int).T
    assert np.linalg.norm(now + clip.flow[0][y, x] - then, axis=1).max() < 0.5
