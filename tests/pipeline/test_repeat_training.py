from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("skimage", reason="scikit-image (training extra) is not installed")

from models.config import SIZES
from models.training.pairs import EditSettings, PairSettings, PairSource
from models.training.record import put_record, read_records
from models.training.samples import SampleFolder
from pipeline.repeat_training import main
from pipeline.train import train_from_yaml
from tests.models.training.drawn_heads import make_samples

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "models" / "weights" / "records.json"
KEPT = sorted(name for name, record in read_records(RECORDS).items() if record["state"] != "early")


@pytest.fixture
def repeated(tmp_path):
    """A tiny run, its record, and the command that repeats it."""
    recipe, changes = ROOT / "configs" / "train_tiny.yaml", {"data.at_hand": 2, "run.steps": 3, "threads": 1}
    train_from_yaml(recipe, changes | {"output": str(tmp_path / "run")})
    lines = (tmp_path / "run" / "losses.csv").read_text().splitlines()[1:]
    losses = [float(line.split(",")[1]) for line in lines]
    record = {"recipe": str(recipe), "overrides": changes, "init": None, "heads": None, "first_losses": losses}
    put_record(tmp_path / "records.json", "tiny", record)
    return record, tmp_path / "records.json", ["tiny", "--records", str(tmp_path / "records.json")]


def test_a_run_is_repeated_and_another_one_noticed(repeated, capsys):
    record, path, command = repeated
    assert main(command) == 0
    assert "deviation 0," in capsys.readouterr().out
    put_record(path, "tiny", record | {"overrides": record["overrides"] | {"run.seed": 1}})
    assert main(command) == 1


def test_what_cannot_be_repeated_says_why(repeated, tmp_path, capsys):
    record, path, command = repeated
    assert main([*command, "--steps", "9"]) == 2
    (tmp_path / "other").write_bytes(b"other weights")
    put_record(path, "tiny", record | {"init": {"file": str(tmp_path / "other"), "sha256": "0" * 64}})
    assert main(command) == 2
    assert "not the file that the run began from" in capsys.readouterr().err
    assert main(["nobody", "--records", str(path)]) == 2


def test_first_batches_of_a_large_set_need_a_few_of_its_heads(tmp_path):
    """The draw depends on how many there are, not on their being there."""
    pytest.importorskip("numba", reason="models.training.heads needs it")
    from models.training.heads.dataset import Order, prepare
    from models.training.rendered import RenderedHeads

    count, drawn = 30, make_samples(tmp_path / "drawn", 30, 32)
    whole, few = (
        Order(tmp_path / "whole", count, size=32, variants=3),
        Order(tmp_path / "few", count, size=32, variants=3),
    )
    for order in (whole, few):
        prepare(order)
    for number in range(count):
        with np.load(drawn / f"{number:05d}.npz") as file:
            known = {name: file[name] for name in file.files if "hair" not in name or number % 3 == 0}
        for name in ("attributes", "attributes_hair"):
            if name in known:
                known[name] = np.resize(known[name], 22)
        np.savez(whole.path(number), **known)
    asked = PairSettings(held_out=4, edits={"hair": EditSettings(attributes=("age",))}, unchanged=0.5)

    class Copying(RenderedHeads):
        def load(self, index, names):
            path = few.path(index)
            if not path.exists():  # in place of the renderer
                path.write_bytes(whole.path(index).read_bytes())
            return super().load(index, names)

    rendered = Copying(few)
    theirs, ours = (PairSource(s, asked, SIZES["tiny"], seed=0) for s in (SampleFolder(whole.out), rendered))
    for step in range(3):
        for a, b in zip(theirs.batch(step), ours.batch(step), strict=True):
            assert (a is None) == (b is None)
            assert a is None or b is None or torch.equal(a, b)
    assert 2 <= len(list(few.out.glob("*.npz"))) <= 6


@pytest.mark.parametrize(("name", "steps"), [("lite_toon", 2), ("lite_inversion", 1)])
def test_first_losses_of_shipped_models(name, steps, tmp_path):
    """From photographs, and from synthetic heads: the two that the first step draws of 1200 are rendered."""
    if read_records(RECORDS)[name]["heads"] is not None:
        pytest.importorskip("anny", reason="models.training.heads needs it")
    command = [name, "--records", str(RECORDS), "--steps", str(steps), "--heads", str(tmp_path / "heads")]
    assert main(command) == 0
    assert len(list(tmp_path.glob("heads/*.npz"))) == (2 if name == "lite_inversion" else 0)


@pytest.mark.release
@pytest.mark.parametrize("name", KEPT)
def test_the_cards_command_gives_the_recorded_losses(name, tmp_path_factory):
    """Heads are rendered on the spot, two per step; every model shares them."""
    pytest.importorskip("anny", reason="models.training.heads needs it")
    heads = read_records(RECORDS)[name]["heads"]
    key = "none" if heads is None else "-".join(str(heads[part]) for part in ("seed", "count", "size", "variants"))
    folder = tmp_path_factory.getbasetemp() / f"heads-{key}"
    assert main([name, "--records", str(RECORDS), "--heads", str(folder)]) == 0
