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
from models.training.watch import DivergedError, LossWatch, require_finite


class Descent:
    """A learner of one number, with a random part in every step."""

    file = "weights.txt"
    rate_settings = "descent.learning_rate"

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
        (folder / self.file).write_text(f"{metadata['steps']} {self.value.item()}")

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
    with pytest.raises(UserError, match=r"step 31;.*checkpoint\.pt") as caught:
        run_in(tmp_path, learner).run()
    assert "descent.learning_rate" in caught.value.remedy
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 20


def kept_by_an_explosion(folder: Path, first: int, said: str) -> int:
    """The step of the checkpoint that is left by a run whose loss explodes from step `first` on."""
    learner = Descent()
    learner.fail_at = {step: 1e6 for step in range(first, 90)}
    with pytest.raises(UserError, match=said):
        run_in(folder, learner).run()
    return torch.load(folder / "checkpoint.pt", weights_only=True)["step"]


def test_exploding_loss_stops_and_is_not_saved(tmp_path):
    assert kept_by_an_explosion(tmp_path, 59, "5 times the usual") == 40


def test_single_outliers_are_let_pass(tmp_path):
    learner = Descent()
    learner.fail_at = {59: 1e6, 60: 1e6, 70: 1e6}
    run_in(tmp_path, learner).run()
    assert len(read_losses(tmp_path / "losses.csv")) == 90


def test_a_loss_that_runs_away_from_the_start_is_never_saved(tmp_path):
    """Each step is less than the factor above the one before: a reference that followed would find nothing."""
    learner = Descent()
    learner.fail_at = {step: 10.0 * 2.0**step for step in range(90)}
    with pytest.raises(UserError, match=r"step \d+; no checkpoint was saved"):
        run_in(tmp_path, learner, SETTINGS.model_copy(update={"save_every": 5})).run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["losses.csv"]


def test_what_the_next_loss_finds_broken_is_not_kept(tmp_path):
    """The step that wrecks the weights has a good loss itself."""
    assert kept_by_an_explosion(tmp_path, 40, "last good checkpoint") == 20
    assert (tmp_path / "weights.txt").read_text().startswith("20 ")
    assert not (tmp_path / "unproven").exists()


def test_an_outlier_at_the_last_step_is_said_and_more_steps_go_on(tmp_path):
    learner = Descent()
    learner.fail_at = {89: 1e6}
    with pytest.raises(UserError, match="at the last step 90") as caught:
        run_in(tmp_path, learner).run()
    assert "run.steps" in caught.value.remedy
    more = run_in(tmp_path, learner, SETTINGS.model_copy(update={"steps": 92}))
    assert more.resume()
    assert more.step == 80
    more.run()
    assert more.weights.read_text().startswith("92 ")


# The first losses of shipped models (models/weights/records.json) and of others at a batch of 2 to 4.
NOISY = (
    (0.525, 0.077, 0.702, 0.300, 0.725, 0.621, 0.585, 0.802),
    (0.101, 1.526, 1.109, 0.473, 1.558, 0.985, 0.901, 1.647),
    (2.00, 1.92, 2.47, 1.06, 1.15, 3.20, 3.69, 2.92, 1.86, 5.11),
    (1.386, 1.342, 1.429, 1.468, 1.319, 0.921, 1.194, 1.383),
    (0.107, 0.155, 0.242, 0.236, 0.155, 0.182, 0.204, 0.242),
)


@pytest.mark.parametrize("losses", NOISY)
def test_noise_at_the_start_is_no_explosion(losses):
    watch = LossWatch(RunSettings().explode_factor, RunSettings().explode_steps)
    found = []
    for loss in losses:
        watch.see(loss)
        found.append(watch.suspicious)
    assert not any(found[3:])


# What train_tiny gave with learning rates of 0.1 and 0.3.
EXPLODED = (
    (1.72, 6.64, 66.8, 177, 104, 294, 16442, 480, 6324, 8.4e6, 3.2e6, 1.2e5, 1e8),
    (1.72, 268, 144088, 1.2e6, 4e8, 4e10, 2e12, 1e13, 1e14),
)


@pytest.mark.parametrize("losses", EXPLODED)
def test_a_start_that_explodes_is_noticed_before_it_is_usual(losses):
    watch = LossWatch(RunSettings().explode_factor, RunSettings().explode_steps)
    good = []

    def see() -> None:
        for loss in losses:
            watch.see(loss)
            if not watch.suspicious:
                good.append(loss)

    with pytest.raises(DivergedError):
        see()
    assert max(good) < 200


def test_a_checkpoint_of_other_decisions_is_refused(tmp_path):
    def run(decisions: dict[str, str] | None) -> Run:
        return Run(Descent(), SETTINGS, tmp_path, decisions=decisions)

    run({"data.noise": "true", "recipe": "encoder"}).run(until=20)
    assert run({"recipe": "encoder", "data.noise": "true"}).resume()
    with pytest.raises(UserError, match=r"was made with data\.noise: true, now it is its default"):
        run({"recipe": "encoder"}).resume()
    with pytest.raises(UserError, match=r"was made with data\.edits: its default, now it is smile"):
        run({"recipe": "generator", "data.noise": "true", "data.edits": "smile"}).resume()
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del state["decisions"]
    torch.save(state, tmp_path / "checkpoint.pt")  # as releases before made it
    assert run({"recipe": "generator"}).resume()


def test_an_output_that_is_a_file_is_named(tmp_path):
    (tmp_path / "out").write_text("here")
    with pytest.raises(UserError, match=r"output: .*out"):
        run_in(tmp_path / "out")


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
