"""Two processes on one machine: together they do what one does with the batch of both."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from models.checkpoint import load_checkpoint
from models.config import SIZES
from models.errors import UserError
from models.training.distributed import World, local_device
from models.training.encoder import EncoderLearner, EncoderSettings
from models.training.encoder_losses import LossSettings
from models.training.log import read_losses
from models.training.loop import Run
from models.training.pairs import PairSettings, PairSource
from models.training.samples import SampleFolder
from models.training.settings import OptimizerSettings, RunSettings
from models.training.views import ViewSettings
from tests.models.training.drawn_heads import make_samples


def train(folder: Path, samples: Path, world: World) -> EncoderLearner:
    """Four steps on two scenes each, shared by all processes; batch norms on their running statistics."""
    pairs = PairSettings(scenes=2 // world.size, crops=1, view=ViewSettings(crop_px=(64, 64)))
    source = PairSource(SampleFolder(samples), pairs, SIZES["tiny"], 0, world.rank, world.size)
    losses = LossSettings(l2=1, perceptual_weight=0, identity=0, w_norm=0.01)
    rates = OptimizerSettings(learning_rate=1e-3, warmup=0)
    made = EncoderLearner(SIZES["tiny"], source, losses, rates, EncoderSettings(fix_norms_at=0), world=world)
    Run(made, RunSettings(steps=4, save_every=4), folder, world).run()
    return made


def work(rank: int, store: str, folder: Path, samples: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        world = World(rank, 2)
        made = train(folder, samples, world)
        assert world.mean(float(rank)) == 0.5
        assert world.any(rank == 1)
        mine = torch.cat([p.detach().flatten() for p in made.net.parameters()])
        theirs = mine.clone()
        dist.broadcast(theirs, 0)
        assert torch.equal(mine, theirs)  # still the same weights in every process
    finally:
        dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_gloo_available(), reason="this torch has no gloo")
def test_two_processes_are_one_with_a_larger_batch(tmp_path):
    samples = make_samples(tmp_path / "samples", 4, 96)
    train(tmp_path / "one", samples, World())
    shared = str(tmp_path / "store"), tmp_path / "two", samples
    other = mp.get_context("spawn").Process(target=work, args=(1, *shared))
    other.start()
    work(0, *shared)
    other.join(60)
    assert other.exitcode == 0
    one, two = (read_losses(tmp_path / name / "losses.csv") for name in ("one", "two"))
    assert [loss for _, loss in two] == pytest.approx([loss for _, loss in one], rel=1e-3)
    first, second = (load_checkpoint(tmp_path / name / "weights.safetensors").state_dict() for name in ("one", "two"))
    for key, value in first.items():
        # Adam turns the rounding of tiny gradients into whole steps: all but a few weights agree.
        close = torch.isclose(value.float(), second[key].float(), atol=2e-4).float().mean()
        assert close > 0.9, key


def test_each_process_gets_a_gpu_of_its_own(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert local_device("cuda") == torch.device("cuda:1")
    assert local_device("cuda:0") == torch.device("cuda:0")
    assert chosen == [torch.device("cuda:1"), torch.device("cuda:0")]
    assert local_device("cpu").type == "cpu"
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UserError, match="2 GPUs"):
        local_device("cuda")
