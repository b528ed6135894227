"""`run_pipeline.py sample` on a tiny generator."""

import logging
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from models.checkpoint import load_checkpoint, save_checkpoint
from models.config import SIZES
from models.official import to_official
from models.sampling import seed_z
from models.styleganex import StyleGANEX
from pipeline.errors import ConfigError
from pipeline.sample import parse_grid, parse_seeds
from run_pipeline import run
from stages.pixels import to_uint8
from tests.golden.make_model_goldens import fill, normal
from tests.helpers import decode_all, timing

TINY = replace(SIZES["tiny"], resolution=64, generator_channels=(12, 12, 10, 10, 8), has_encoder=False, num_skips=0)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A StyleGAN2 file, with rosinality's key names."""
    path = tmp_path_factory.mktemp("model") / "tiny.pt"
    state = to_official(fill(StyleGANEX(TINY)).state_dict())
    generator = {key.removeprefix("decoder."): value for key, value in state.items() if key.startswith("decoder.")}
    torch.save({"g_ema": generator, "latent_avg": normal("average", (16,))}, path)
    return path


@pytest.fixture(scope="module")
def net(model):
    return load_checkpoint(model).requires_grad_(False)


def sample(model, *words):
    return run(["sample", "--quiet", "--device", "cpu", "--model", str(model), *map(str, words)])


def read(path):
    return np.asarray(cv2.imread(str(path)))[:, :, ::-1]


@torch.inference_mode()
def drawn(net, seed, truncation=1.0):
    return to_uint8(net.sample(seed_z(seed, 16), truncation))[0].permute(1, 2, 0).numpy()


def cell(sheet, row, column, side=64):
    return sheet[row * side : (row + 1) * side, column * side : (column + 1) * side]


def test_grid(here, model, net):
    assert sample(model, "--seeds", "3-6,2", "--truncation", "0.7") == 0
    sheet = read(here / "output" / "tiny_seeds.png")
    assert sheet.shape == (128, 192, 3)
    for i, seed in enumerate([3, 4, 5, 6, 2]):
        assert np.array_equal(cell(sheet, *divmod(i, 3)), drawn(net, seed, 0.7))
    assert (cell(sheet, 1, 2) == 255).all()
    assert sample(model, "--seeds", "2,5", "--truncation", "0.7", "--grid", "1x3", "-o", "b.png") == 0
    assert np.array_equal(cell(read("b.png"), 0, 0), cell(sheet, 1, 1))
    assert np.array_equal(cell(read("b.png"), 1, 0), cell(sheet, 0, 2))


def test_folder_and_tile(here, model, net):
    assert sample(model, "--seeds", "0,12", "-o", "seeds", "--tile", "32") == 0
    assert sorted(p.name for p in (here / "seeds").iterdir()) == ["seed0000.png", "seed0012.png"]
    small = read(here / "seeds" / "seed0012.png")
    assert small.shape == (32, 32, 3)
    means = drawn(net, 12).reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - means).max() <= 0.5


def test_loop_passes_the_seeds_and_closes(here, model, net):
    words = ["--seeds", "1,4,7", "--interpolate", "6", "--fps", "30000/1001"]
    assert sample(model, *words, "-o", "loop", "--truncation", "0.8") == 0
    files = sorted((here / "loop").iterdir())
    assert len(files) == 18
    for i, seed in enumerate((1, 4, 7)):
        assert np.array_equal(read(files[6 * i]), drawn(net, seed, 0.8))
    pictures = [read(file).astype(int) for file in files]
    steps = [np.abs(a - b).mean() for a, b in zip(pictures, [*pictures[1:], pictures[0]], strict=True)]
    assert 0 < steps[-1] <= max(steps[:-1]) * 1.5
    assert sample(model, *words, "-o", "loop.mp4", "--truncation", "0.8", "--quality", "4") == 0
    assert [start.denominator for start, _ in timing(here / "loop.mp4")][1] == 30000
    video = decode_all(here / "loop.mp4")
    assert len(video) == 18
    assert np.abs(video[6].astype(int) - pictures[6]).mean() < 5


@torch.inference_mode()
def test_mixing_takes_layers_from_the_columns(here, model, net):
    assert sample(model, "--mix", "1-2:8,9,10", "--layers", "4-7", "-o", "mix.png") == 0
    sheet = read("mix.png")
    assert sheet.shape == (3 * 64, 4 * 64, 3)
    assert (cell(sheet, 0, 0) == 255).all()
    assert np.array_equal(cell(sheet, 0, 2), drawn(net, 9))
    assert np.array_equal(cell(sheet, 2, 0), drawn(net, 2))
    row, column = (net.mapping(seed_z(seed, 16)) for seed in (2, 9))
    wplus = torch.stack([column if 4 <= i < 8 else row for i in range(TINY.num_styles)], dim=1)
    mixed = to_uint8(net.generator(wplus, noise=net.generator.stored_noise))[0].permute(1, 2, 0).numpy()
    assert np.array_equal(cell(sheet, 2, 2), mixed)
    assert sample(model, "--mix", "1-2:8,9,10", "--layers", "all", "-o", "all.png") == 0
    assert np.array_equal(cell(read("all.png"), 2, 2), drawn(net, 9))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "a-b"], "seeds 'a-b'"),
        (["--seeds", "5-2"], "seeds '5-2'"),
        (["--seeds", ""], "seeds ''"),
        (["--seeds", "0-4294967296"], "seeds"),
        (["--seeds", "0-100000"], "more than"),
        ([], "seeds: none given"),
        (["--seeds", "0-3", "--grid", "3"], "grid '3'"),
        (["--seeds", "0-3", "--grid", "1x3"], "3 places for 4"),
        (["--seeds", "0-40000"], "too large"),
        (["--seeds", "0-3", "-o", "a.mp4"], "a grid is one image"),
        (["--seeds", "0-3", "-o", "a.xyz"], ".xyz files cannot be written"),
        (["--seeds", "0", "--interpolate", "4"], "one seed"),
        (["--seeds", "0-1", "--interpolate", "0"], "0 frames"),
        (["--seeds", "0-1", "--interpolate", "4", "-o", "a.png"], "one image cannot hold a video"),
        (["--seeds", "0-1", "--interpolate", "4", "--fps", "0"], "sequence_rate"),
        (["--seeds", "0-1", "--truncation", "nan"], "truncation"),
        (["--seeds", "0-1", "--layers", "0-3"], "only --mix"),
        (["--mix", "0-1"], "not ROWS:COLS"),
        (["--mix", "0-1:3", "--seeds", "1"], "--mix names its own"),
        (["--mix", "0-1:3", "--layers", "0-10"], "layers '0-10'"),
        (["--seeds", "0-1", "--tile", "3"], "tile 3"),
        (["--seeds", "0-1", "--quality", "99"], "write.quality"),
        (["--seeds", "0-1", "-o", "/proc/none/a.png"], "cannot be written"),
    ],
)
def test_mistakes_leave_nothing(here, model, capsys, words, said):
    assert sample(model, *words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("error: ", "hint: "))]
    assert [line.split(":")[0] for line in lines] == ["error", "hint"]
    assert said in lines[0]
    assert list(here.iterdir()) == []


def test_truncation_without_a_centre_and_an_untrained_mapping(here, capsys, caplog):
    net = StyleGANEX(TINY)
    net.latent_avg = None
    save_checkpoint(net, "new.safetensors")
    assert sample("new.safetensors", "--seeds", "0", "--truncation", "0.5") == 2
    assert "no centre" in capsys.readouterr().err
    with caplog.at_level(logging.WARNING):
        assert sample("new.safetensors", "--seeds", "0", "-o", "a.png") == 0
    assert sample("new.safetensors", "--seeds", "1", "-o", "a.png") == 2
    assert "exists already" in capsys.readouterr().err
    save_checkpoint(net, "new.safetensors", {"can_sample": "no"})
    assert sample("new.safetensors", "--seeds", "0", "-o", "b.png") == 2
    assert "mean nothing" in capsys.readouterr().err
    assert sorted(p.name for p in here.iterdir()) == ["a.png", "new.safetensors"]


def test_seeds_keep_their_order():
    assert parse_seeds("7, 1-3,2") == (7, 1, 2, 3, 2)
    assert parse_seeds("4294967295") == (4294967295,)


def test_grids():
    assert [parse_grid(None, count) for count in (1, 2, 5, 16)] == [(1, 1), (2, 1), (3, 2), (4, 4)]
    assert parse_grid("4x1", 3) == (4, 1)
    with pytest.raises(ConfigError, match="grid"):
        parse_grid("0x4", 1)
