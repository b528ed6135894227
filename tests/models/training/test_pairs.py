from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from models.config import SIZES
from models.errors import UserError
from models.training.batches import Batch
from models.training.pairs import PairSettings, PairSource
from models.training.samples import SampleFolder
from models.training.views import ViewSettings
from tests.models.training.drawn_heads import make_samples

TINY = SIZES["tiny"]
VIEW = ViewSettings(crop_px=(64, 64))
WHOLE = ViewSettings(crop_px=(64, 64), eye_distance_px=(16, 17), reach=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_samples(tmp_path_factory.mktemp("samples"), 5, 96)


def source(folder, rank=0, world=1, channels=3, **settings: Any) -> PairSource:
    chosen = PairSettings.model_validate({"view": VIEW} | settings)
    return PairSource(SampleFolder(folder), chosen, replace(TINY, input_channels=channels), 0, rank, world)


def equal(a: Batch, b: Batch) -> bool:
    parts = zip(a, b, strict=True)
    return all(p is q if p is None or q is None else torch.equal(p, q) for p, q in parts)


def test_batches_depend_on_their_number_alone(folder):
    settings = {"target": "toon3d", "noise": True, "colour": 1.0}
    first, again = source(folder, **settings), source(folder, **settings)
    wanted = [first.batch(step) for step in range(3)]
    assert equal(again.batch(2), wanted[2])
    assert not equal(wanted[1], wanted[2])
    threaded = source(folder, **settings, workers=2)
    assert all(equal(threaded.batch(step), wanted[step]) for step in range(3))
    threaded.close()


def test_processes_share_a_batch(folder):
    whole = source(folder, scenes=2).batch(3)
    parts = [source(folder, rank, 2, scenes=1).batch(3) for rank in (0, 1)]
    assert torch.equal(torch.cat([part.x for part in parts]), whole.x)


def test_every_sample_comes_once_per_epoch_and_held_out_ones_never(folder):
    pairs = source(folder, scenes=2, crops=1, held_out=1, view=ViewSettings(crop_px=(64, 64), mirror=0, reach=0))
    flat = [tuple(style[:, 128, 128].tolist()) for step in range(2) for style in pairs.batch(step).aligned]  # pyright: ignore
    assert len(set(flat)) == 4
    assert tuple(pairs.preview().aligned[0, :, 128, 128].tolist()) not in flat  # pyright: ignore


def test_variable_resolution_is_one_size_per_batch(folder):
    pairs = source(folder, view=ViewSettings(crop_px=(48, 96)))
    sizes = {tuple(pairs.batch(step).x.shape[2:]) for step in range(8)}
    assert len(sizes) > 2
    assert all(h == w and h % 8 == 0 and 48 <= h <= 96 for h, w in sizes)


@pytest.mark.parametrize(
    ("settings", "channels"),
    [({"input": "sketch"}, 1), ({"input": "parsing"}, 19), ({"target": "ink"}, 3), ({"degrade": (32, 48)}, 3)],
)
def test_inputs_and_targets(folder, settings, channels):
    batch = source(folder, channels=channels, **settings).batch(0)
    assert batch.x.shape == (4, channels, 64, 64)
    assert batch.y.shape == (4, 3, 64, 64)
    assert (batch.aligned is None) == (channels != 3)
    if channels == 19:
        assert set(batch.x.sum(dim=1).unique().tolist()) == {1.0}
    if "degrade" in settings:
        assert (batch.x.diff(dim=3).abs().mean() < 0.8 * batch.y.diff(dim=3).abs().mean()).item()


def test_edit_pairs_go_from_scene_to_variant_back_and_nowhere(folder):
    pairs = source(folder, edits={"hair": {"attributes": ["lightness"], "unit": 0.25}}, crops=1, scenes=1, view=WHOLE)
    batches = [pairs.batch(step) for step in range(24)]
    assert {batch.strength.item() for batch in batches} == {-2.0, 0.0, 2.0}  # pyright: ignore
    for batch in batches:
        brighter = (batch.y - batch.x).mean().item()
        assert np.sign(round(brighter, 6)) == np.sign(batch.strength.item())  # pyright: ignore


def test_shares_of_edits_are_kept(folder):
    edit = {"attributes": ["lightness"], "unit": 0.25}
    edits = {"hair": edit | {"share": 9}, "hair_again": edit}
    known = SampleFolder(folder)

    class Twice(SampleFolder):
        def having(self, name: str) -> list[int]:
            return known.having(name.removesuffix("_again"))

        def load(self, index: int, names: Sequence[str]) -> dict[str, np.ndarray]:
            found = known.load(index, [name.removesuffix("_again") for name in names])
            return {name: found[name.removesuffix("_again")] for name in names}

    pairs = PairSettings.model_validate({"edits": edits, "unchanged": 0, "scenes": 1, "crops": 1, "view": WHOLE})
    made = PairSource(Twice(folder), pairs, TINY, 0)
    drawn = [made.batch(step).direction.item() for step in range(60)]  # pyright: ignore
    assert 1 <= sum(drawn) <= 15


def test_palette_code_tells_the_hair(folder):
    code = source(folder, channels=1, input="sketch", palette=True).batch(0).code
    assert code is not None
    assert code.shape == (4, TINY.style_dim)
    assert torch.equal(code[0], code[1])  # two crops of one scene
    assert code[:, :12].abs().max() <= 2.5


def test_a_backdrop_is_the_targets_alone(folder):
    settings: dict[str, Any] = {"input": "sketch", "palette": True, "view": WHOLE}
    plain, with_wall = (source(folder, channels=1, **settings, backdrop=wall).batch(0) for wall in (False, True))
    assert torch.equal(plain.x, with_wall.x)
    differs = (plain.y != with_wall.y).any(dim=1)
    assert 0.05 < differs.float().mean() < 0.95
    assert plain.code is not None
    assert with_wall.code is not None
    torch.testing.assert_close(plain.code, with_wall.code, atol=0.3, rtol=0)


def test_mistakes_are_named(folder, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        SampleFolder(tmp_path / "none")
    with pytest.raises(UserError, match=r"no \.npz"):
        SampleFolder(tmp_path)
    with pytest.raises(UserError, match="19 channels"):
        source(folder, input="parsing")
    with pytest.raises(UserError, match="'watercolour'"):
        source(folder, target="watercolour").batch(0)
    with pytest.raises(UserError, match="factor of 2"):
        source(folder, degrade=(2, 8))
    with pytest.raises(UserError, match="held_out"):
        source(folder, held_out=5)
    with pytest.raises(UserError, match="no attribute 'height'"):
        source(folder, edits={"hair": {"attributes": ["height"]}}).batch(0)
    (tmp_path / "broken.npz").write_bytes(b"PK nonsense")
    with pytest.raises(UserError, match="cannot be read"):
        SampleFolder(tmp_path).load(0, ["image"])
    np.savez(tmp_path / "broken.npz", image=np.zeros((8, 8, 3), np.uint8))
    assert list(SampleFolder(tmp_path).load(0, ["image", "absent"])) == ["image"]


def test_lines_of_the_picture_stand_in_for_the_drawn_ones(folder):
    """What `--source photo` draws of a picture is denser than a renderer's outlines; a model has to know both."""
    whole = {"channels": 1, "input": "sketch", "scenes": 1, "crops": 1, "view": WHOLE.model_copy(update={"mirror": 0})}
    drawn, lines = source(folder, **whole), source(folder, photo_lines=1, **whole)
    for step in range(3):
        ours = lines.batch(step)
        assert ours.x.shape == (1, 1, 64, 64)
        assert (ours.x > 0.99).float().mean() > 0.5  # paper
        assert (ours.x < 0.3).any()  # ink
    with pytest.raises(UserError, match=r"data\.photo_lines: the input is image"):
        source(folder, photo_lines=0.5)
    mixed = source(folder, photo_lines=0.5, **whole)
    assert equal(mixed.batch(1), source(folder, photo_lines=0.5, **whole).batch(1))
    noisy = source(folder, photo_lines=1, noise=True, **whole)
    assert not all(equal(noisy.batch(step), lines.batch(step)) for step in range(4))
    assert all(torch.equal(source(folder, noise=True, **whole).batch(n).x, drawn.batch(n).x) for n in range(3))
