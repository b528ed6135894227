from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from models.config import SIZES
from models.errors import UserError
from models.styleganex import StyleGANEX
from models.training.encoder import EncoderLearner, EncoderSettings
from models.training.encoder_losses import LossSettings
from models.training.feature import feature_loss, wanted_feature
from models.training.generated import DEGREES, GeneratedPairs, GeneratedSettings
from models.training.settings import OptimizerSettings
from models.training.transfer import swap_layers, take_generator
from models.training.views import ViewSettings

TINY = SIZES["tiny"]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def generators() -> tuple[StyleGANEX, StyleGANEX]:
    torch.manual_seed(0)
    original = StyleGANEX(TINY)
    return original, swap_layers(original, StyleGANEX(TINY), 32)


def pairs(generators, directions=None, rank=0, world=1, toon=False, **view) -> GeneratedPairs:
    settings = GeneratedSettings(batch=2 // world, view=ViewSettings.model_validate({"crop_px": (64, 96)} | view))
    other = generators[1] if toon else None
    return GeneratedPairs(generators[0], other, directions, settings, TINY, 0, CPU, rank, world)


def test_toonify_pairs_share_w_and_view(generators):
    batch = pairs(generators, toon=True).batch(0)
    assert batch.x.shape == batch.y.shape
    assert batch.x.shape[-1] % 8 == 0
    assert not torch.equal(batch.x, batch.y)
    same = pairs(generators).batch(0)
    assert torch.equal(same.x, batch.x)
    assert torch.equal(same.x, same.y)


def test_processes_share_a_batch(generators):
    whole = pairs(generators).batch(3)
    parts = [pairs(generators, rank=rank, world=2).batch(3) for rank in (0, 1)]
    assert torch.allclose(torch.cat([part.x for part in parts]), whole.x, atol=1e-5)


def test_edit_pairs_have_the_published_degrees(generators):
    directions = 0.5 * torch.randn(2, TINY.num_styles, TINY.style_dim, generator=torch.Generator().manual_seed(1))
    batches = [pairs(generators, directions).batch(step) for step in range(4)]
    strengths = {value for batch in batches for value in batch.strength.tolist()}  # pyright: ignore
    assert strengths <= set(DEGREES)
    for batch in batches:
        for x, y, strength in zip(batch.x, batch.y, batch.strength, strict=True):  # pyright: ignore
            assert torch.allclose(x, y, atol=1e-5) == (strength.item() == 0)


def test_face_matrix_takes_the_upright_picture_out_of_the_view(generators):
    batch = pairs(generators, crop_px=(256, 256), eye_distance_px=(40, 41), rotation_deg=5, reach=0.2).batch(1)
    assert batch.face is not None
    assert batch.aligned is not None
    grid = F.affine_grid(batch.face, [2, 3, 256, 256], align_corners=False)
    found = F.grid_sample(batch.x, grid, align_corners=False)
    inner = slice(90, 160)
    error = (found - batch.aligned)[:, :, inner, inner].abs().mean()
    assert error < 0.25 * batch.aligned[:, :, inner, inner].std()


def test_wanted_feature_of_an_upright_view_is_the_constant(generators):
    batch = pairs(generators).preview()
    wanted = F.adaptive_avg_pool2d(generators[0].generator.constant, 32)
    found = wanted_feature(generators[0], batch)
    assert found.shape == (4, 12, 32, 32)
    assert (found - wanted)[:, :, 4:-4, 4:-4].abs().mean() < 0.1 * wanted.std()
    assert feature_loss(generators[0], found, batch).item() == 0


def test_step_one_brings_the_feature_to_the_constant(generators):
    source = pairs(generators, crop_px=(64, 64))
    losses = LossSettings(l2=0.1, perceptual_weight=0, identity=0, w_norm=0)
    settings = EncoderSettings(train=("encoder",), step_one=1.0)
    rates = OptimizerSettings(learning_rate=0.02, warmup=0, decay="none")
    made = EncoderLearner(TINY, source, losses, rates, settings, init=generators[0])
    batch = source.batch(0)
    source.batch = lambda step: batch  # type: ignore[method-assign]
    found = [made.step(index, 18)["feature"] for index in range(18)]
    assert found[-1] < 0.8 * found[0]


def test_generators_of_two_sizes_do_not_go_together(generators):
    with pytest.raises(UserError, match=r"data\.toonified"):
        GeneratedPairs(generators[0], StyleGANEX(SIZES["lite"]), None, GeneratedSettings(), TINY, 0, CPU)
    narrow = StyleGANEX(replace(TINY, generator_channels=(4,) * 7))
    with pytest.raises(UserError, match=r"data\.toonified"):
        take_generator(generators[0], narrow)
