from pathlib import Path

import pytest
import torch

pytest.importorskip("skimage", reason="scikit-image (training extra) is not installed")

from models.checkpoint import load_checkpoint
from models.config import SIZES
from models.errors import UserError
from models.training.batches import ExampleBank
from models.training.evaluate import compare, held_out_batch
from models.training.loop import Schedule, Trainer, render
from models.training.losses import reconstruction_loss

SCHEDULE = Schedule(steps=20, scenes=1, crops=2, crop_px=64, warmup=2, learning_rate=1e-2, save_every=8)


def new_trainer(folder: Path, schedule: Schedule = SCHEDULE) -> Trainer:
    return Trainer(SIZES["tiny"], ExampleBank(schedule.seed, 4, 256), schedule, folder)


def losses(folder: Path) -> list[str]:
    return [line.split(",")[1] for line in (folder / "log.csv").read_text().splitlines()[1:]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    new_trainer(folder).run()
    return folder


def test_loss_falls(finished, tmp_path):
    """On one batch, before and after: within a run the scenes differ more from each other than the steps do."""
    batch = held_out_batch(4, 64)
    nets = new_trainer(tmp_path).average, load_checkpoint(finished / "weights.safetensors")
    with torch.no_grad():
        before, after = (reconstruction_loss(render(net, batch), batch.y)[0].item() for net in nets)
    assert after < 0.85 * before
    assert len(losses(finished)) == SCHEDULE.steps


def test_resumed_run_repeats_the_losses(finished, tmp_path):
    interrupted = new_trainer(tmp_path)
    interrupted.run(until=8)
    fresh = new_trainer(tmp_path)
    assert fresh.resume()
    assert fresh.step == 8
    fresh.run()
    assert losses(tmp_path) == losses(finished)


def test_result_loads_and_draws(finished):
    net = load_checkpoint(finished / "weights.safetensors")
    assert net.metadata["steps"] == str(SCHEDULE.steps)
    scores = compare(net, held_out_batch(2, 64))
    assert set(scores) == {"network", "source", "bilateral filter"}
    assert scores["source"].psnr > 5
    assert -1 <= scores["network"].ssim <= 1
    assert (finished / "samples.png").stat().st_size > 1000


def test_loss_that_is_no_number_stops_and_names_the_checkpoint(tmp_path):
    trainer = new_trainer(tmp_path)
    trainer.run(until=8)
    with torch.no_grad():
        next(trainer.net.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match=r"checkpoint\.pt"):
        trainer.run(until=9)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 8
    assert all(torch.isfinite(value).all() for value in state["net"].values())
