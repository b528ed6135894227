from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from models.config import SIZES, ModelConfig
from models.errors import ModelError
from models.styleganex import StyleGANEX


def test_the_published_numbers() -> None:
    config = SIZES["full"]
    assert config.generator_channels == (512, 512, 512, 512, 512, 256, 128, 64, 32)
    assert (config.num_styles, config.num_noises, config.output_scale) == (18, 17, 4)
    assert config.tap_units == {"c128": 2, "c1": 6, "c21": 10, "c22": 15, "c2": 20, "c3": 23}
    assert config.skip_taps == ("c2", "c2", "c22", "c21", "c1", "c128", "c256")
    assert config.skip_channels == (256, 256, 256, 256, 128, 64, 64)
    assert config.output_size(320, 192) == (1280, 768)


@pytest.mark.parametrize("config", [*SIZES.values(), ModelConfig(resolution=256, num_skips=0, learn_in_w=True)])
def test_json_round_trip(config: ModelConfig) -> None:
    assert ModelConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"resolution": "1024"}', '{"colour": 1}', '{"body_units": [1, 2, 3, 4.5]}', '{"res_blocks": true}'],
)
def test_json_that_is_not_a_config(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        ModelConfig.from_json(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"resolution": 100},
        {"resolution": 32},
        {"resolution": 2048},
        {"generator_channels": (8, 8)},
        {"body_units": (1, 1, 1)},
        {"body_units": (1, 1, 0, 1)},
        {"num_skips": 8},
        {"resolution": 64, "num_skips": 5},
        {"has_encoder": False},
        {"attention": 2},
        {"feature_index": 2},
        {"style_dim": 0},
    ],
)
def test_numbers_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"ModelConfig\.\w+"):
        ModelConfig(**wrong)


@pytest.mark.parametrize("resolution", [64, 128, 256, 512])
@pytest.mark.parametrize("units", [(1, 1, 1, 1), (2, 1, 5, 2)])
def test_any_size_can_be_built_and_run(resolution: int, units: tuple[int, ...]) -> None:
    blocks = resolution.bit_length() - 3
    config = replace(
        SIZES["tiny"],
        resolution=resolution,
        generator_channels=(4,) * (blocks + 1),
        body_units=units,
        num_skips=min(7, blocks),
    )
    net = StyleGANEX(config).eval()
    with torch.inference_mode():
        image = net.synthesize(net.invert(torch.zeros(1, 3, 24, 40)))
    assert tuple(image.shape[2:]) == config.output_size(24, 40)
    if resolution < 256:
        with pytest.raises(ValueError, match="output_size"):
            _ = config.output_scale
    else:
        assert tuple(image.shape[2:]) == (24 * config.output_scale, 40 * config.output_scale)
