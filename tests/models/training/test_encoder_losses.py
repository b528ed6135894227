import pytest
import torch

from models.config import SIZES
from models.training.batches import Batch
from models.training.distributed import World
from models.training.encoder_losses import EncoderLosses, LossSettings


def test_the_norm_of_w_is_one_over_all_layers():
    settings = LossSettings(l2=0, perceptual_weight=0, identity=0, w_norm=0.5)
    losses = EncoderLosses(settings, SIZES["tiny"], torch.device("cpu"), World())
    picture, offset = torch.zeros(2, 3, 8, 8), torch.ones(2, 9, 16)
    offset[1] = 0
    total, parts = losses(picture, offset, Batch(picture, picture), 0.0, lambda batch: picture)
    assert parts["w_norm"].item() == pytest.approx(0.5 * (9 * 16) ** 0.5)
    assert total.item() == pytest.approx(0.5 * parts["w_norm"].item())
