"""A stage with an egg on it, built once."""

import pytest


@pytest.fixture(scope="session")
def stage():
    pytest.importorskip("numba", reason="the rasteriser is compiled by numba (requirements-train.txt)")
    from models.training.heads.geometry import Stage
    from tests.models.training.heads.egg import make_egg

    return Stage(make_egg())


@pytest.fixture(scope="session")
def scene():
    """Head on, both eyes open, hair that leaves the face free, nothing before the face."""
    pytest.importorskip("numba", reason="the rasteriser is compiled by numba (requirements-train.txt)")
    from dataclasses import replace

    from models.training.heads.sampling import sample_scene

    scene = sample_scene(12)
    hair = replace(scene.hair, comb="back", length=0.05, fringe=0.0, strands=150, curl=0.0)
    skin = replace(scene.skin, stubble=0.0)
    return replace(
        scene, head=(0.0, 0.0, 0.0), hair=hair, skin=skin, actions={}, eye_distance=50.0, offset=(0.0, 0.0), smile=0.0
    )
