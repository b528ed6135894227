import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.errors import UserError
from models.training.log import read_losses
from models.training.loop import Run, sheet_of
from models.training.settings import RunSettings
from models.training.watch import require_finite


class Descent:
    """A learner of one number, with a random part in every step."""

    def __init__(self) -> None:
        self.value = torch.tensor(10.0)
        self.fail_at: dict[int, float] = {}
        self.interrupt_at = -1

    def step(self, index: int, steps: int) -> dict[str, float]:
        if index == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)
        self.value = self.value * 0.9 + 0.01 * torch.randn(())
        loss = self.fail_at.get(index, self.value.item())
        require_finite(loss, "the loss")
        return {"loss": loss, "half": loss / 2}

    def sheet(self) -> np.ndarray:
        return sheet_of([torch.zeros(2, 3, 4, 4)])

    def write(self, folder: Path, metadata: dict[str, str]) -> None:
        (folder / "weights.txt").write_text(f"{metadata['steps']} {self.value.item()}")

    def state(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state(self, state: dict[str, Any]) -> None:
        self.value = state["value"]

    def close(self) -> None: ...


SETTINGS = RunSettings(steps=90, save_every=20, explode_factor=5, explode_steps=3)


def run_in(folder: Path, learner: Descent | None = None, settings: RunSettings = SETTINGS) -> Run:
    return Run(learner or Descent(), settings, folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> list[tuple[int, float]]:
    folder = tmp_path_factory.mktemp("whole")
    run_in(folder).run()
    return read_losses(folder / "losses.csv")


def test_every_step_is_logged_and_random_parts_follow_from_the_seed(whole, tmp_path):
    assert [step for step, _ in whole] == list(range(1, 91))
    run_in(tmp_path, settings=SETTINGS.model_copy(update={"seed": 1})).run(until=3)
    assert read_losses(tmp_path / "losses.csv")[0] != whole[0]


def test_resumed_run_repeats_the_losses(whole, tmp_path):
    run_in(tmp_path).run(until=47)  # steps 41 to 47 are done again, their lines replaced
    again = run_in(tmp_path)
    assert again.resume()
    assert again.step == 40
    again.run()
    assert read_losses(tmp_path / "losses.csv") == whole
    assert (tmp_path / "samples.png").exists()
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_loss_that_is_no_number_stops_with_the_last_good_checkpoint(tmp_path, bad):
    learner = Descent()
    learner.fail_at = {30: bad}
    with pytest.raises(UserError, match=r"step 30.*checkpoint\.pt") as caught:
        run_in(tmp_path, learner).run()
    assert "learning_rate" in caught.value.remedy
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 20


def test_exploding_loss_stops_and_is_not_saved(tmp_path):
    learner = Descent()
    learner.fail_at = {step: 1e6 for step in range(59, 90)}
    with pytest.raises(UserError, match="5 times the usual"):
        run_in(tmp_path, learner).run()
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 40


def test_single_outliers_are_let_pass(tmp_path):
    learner = Descent()
    learner.fail_at = {59: 1e6, 60: 1e6, 70: 1e6}
    run_in(tmp_path, learner).run()
    assert len(read_losses(tmp_path / "losses.csv")) == 90


def test_interrupt_saves_first_and_the_run_goes_on_from_there(whole, tmp_path):
    learner = Descent()
    learner.interrupt_at = 32
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_in(tmp_path, learner).run()
    assert signal.getsignal(signal.SIGINT) is before
    again = run_in(tmp_path)
    assert again.resume()
    assert again.step == 33
    again.run()
    assert read_losses(tmp_path / "losses.csv") == whole


def test_damaged_checkpoint_is_a_user_error(tmp_path):
    run_in(tmp_path).run(until=20)
    (tmp_path / "checkpoint.pt").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="cannot be resumed"):
        run_in(tmp_path).resume()
