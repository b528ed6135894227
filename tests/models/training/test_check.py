import math

import pytest

from models.errors import UserError
from models.training.check import compare
from models.training.log import LossLog, read_losses


def write(folder, losses):
    folder.mkdir()
    log = LossLog(folder, 0)
    for step, loss in enumerate(losses, 1):
        log.add(step, {"loss": loss})
    log.close()
    return folder / "losses.csv"


def test_recorded_steps_are_compared(tmp_path):
    recorded = write(tmp_path / "a", [1.0, 0.5, 0.25])
    assert compare(recorded, write(tmp_path / "b", [1.0, 0.5001, 0.25, 0.2])) == (
        3,
        None,
        pytest.approx(2e-4, rel=0.01),
    )
    assert compare(recorded, write(tmp_path / "c", [1.0, 0.6, 0.25])).first_difference == 2
    assert compare(recorded, write(tmp_path / "d", [math.nan])).first_difference == 1


def test_files_that_are_none(tmp_path):
    good = write(tmp_path / "a", [1.0])
    with pytest.raises(UserError, match="not a readable"):
        compare(good, tmp_path / "absent.csv")
    with pytest.raises(UserError, match="no step in common"):
        compare(good, _headed(tmp_path))


def _headed(folder):
    path = folder / "other.csv"
    path.write_text("step,loss\n7,1.0\n")
    return path


def test_lines_after_the_checkpoint_are_dropped_on_resume(tmp_path):
    path = write(tmp_path / "a", [3.0, 2.0, 1.0])
    log = LossLog(tmp_path / "a", 2)
    log.add(3, {"loss": 1.5})
    log.close()
    assert read_losses(path) == [(1, 3.0), (2, 2.0), (3, 1.5)]
