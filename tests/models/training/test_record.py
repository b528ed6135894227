import json
from pathlib import Path

import pytest

from models.errors import UserError
from models.training.card import fill
from models.training.card import main as card
from models.training.record import (
    RECORDS,
    file_sha256,
    heads_record,
    missing,
    new_record,
    put_measured,
    put_record,
    read_records,
)

WEIGHTS = Path(__file__).parents[3] / "models" / "weights"
FILES = sorted(WEIGHTS.glob("*.safetensors"))
MAX_BYTES = 24_000_000
LOG = "step,loss,seconds\n1,0.5000001,1.0\n2,0.4,2.0\n3,0.3,1.5\n4,0.2,2.5\n"


@pytest.fixture
def run(tmp_path):
    """A finished run that was interrupted once, its set and its recipe."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "losses.csv").write_text(LOG)
    heads = tmp_path / "heads"
    heads.mkdir()
    said = {"version": 1, "seed": 7, "size": 64, "variants_every": 3}
    (heads / "heads.json").write_text(json.dumps(said))
    for number in range(4):
        (heads / f"heads_{number:06d}.npz").touch()
    (tmp_path / "recipe.yaml").write_text("threads: 1\nrun: {seed: 3}\ndata: {kind: samples, folder: none}\n")
    (tmp_path / "a.safetensors").write_bytes(b"weights")
    return tmp_path


def record_of(run, **overrides):
    changes = {"data.folder": str(run / "heads")} | overrides
    more = {"hardware": "a machine", "torch": "2", "export": "python -m export"}
    return new_record(run / "a.safetensors", run / "run", run / "recipe.yaml", changes, **more)


def test_record_of_a_run(run):
    record = record_of(run, **{"data.last": 3})
    assert record["first_losses"] == [0.5000001, 0.4, 0.3, 0.2]
    assert record["seconds"] == 4  # 2.0 before the interruption, 2.5 after it
    assert record["steps"] == 4
    assert (record["seed"], record["threads"]) == (3, 1)
    assert record["heads"] == {"count": 3, "seed": 7, "size": 64, "variants": 3, "version": 1}
    assert record["overrides"] == {"data.last": 3}  # where the heads lay is nobody's business
    assert record["commands"][0].endswith("--count 3 --seed 7 --variants 3 --size 64")
    assert missing(record) == ["held_out", "measured_on"]


def test_a_set_with_gaps_is_refused(run):
    (run / "heads" / "heads_000001.npz").unlink()
    with pytest.raises(UserError, match="missing"):
        heads_record(run / "heads")


def test_a_run_without_a_log_is_refused(run):
    (run / "run" / "losses.csv").write_text("step,loss,seconds\n")
    with pytest.raises(UserError, match="no steps"):
        record_of(run)


def test_figures_go_into_the_record_of_that_very_file(run):
    path = run / "records.json"
    put_record(path, "a", record_of(run))
    figures = {"PSNR to the input": {"value": 30.0}, "age: monotone": {"value": float("nan")}}
    sweep = {"title": "Mean reading:", "header": ["direction", "-1", "+1"], "rows": [["age", "20.00", "40.00"]]}
    report = {"model": "a", "sha256": file_sha256(run / "a.safetensors"), "heads": "4 heads", "figures": figures}
    report["tables"] = [sweep]
    put_measured(path, report)
    assert read_records(path)["a"]["held_out"] == {"PSNR to the input": 30.0}
    assert missing(read_records(path)["a"]) == []
    card = fill("<!-- records: a -->\n<!-- end -->", read_records(path))
    assert "| PSNR to the input | 30 |" in card
    assert "Mean reading:\n\n| direction | -1 | +1 |\n| --- | --- | --- |\n| age | 20.00 | 40.00 |" in card
    with pytest.raises(UserError, match="no record"):
        put_measured(path, report | {"sha256": "0" * 64})


def test_tables_of_a_card_follow_the_records(run):
    records, text = run / "records.json", run / "README.md"
    put_record(records, "a", record_of(run))
    before = "prose\n<!-- records: all -->\nold\n<!-- end -->\nmore\n<!-- records: a -->\n<!-- end -->\n"
    text.write_text(before)
    command = ["--card", str(text), "--records", str(records)]
    assert card([*command, "--check"]) == 1
    assert card(command) == 0
    assert card([*command, "--check"]) == 0
    after = text.read_text()
    assert after.startswith("prose\n<!-- records: all -->\n")
    assert "old" not in after
    assert file_sha256(run / "a.safetensors") in after
    assert "0.5000001, 0.4" in after
    with pytest.raises(UserError, match="no record"):
        fill("<!-- records: b -->\n<!-- end -->", read_records(records))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_weight_file_has_its_record_and_its_card(path):
    record = read_records(WEIGHTS / RECORDS.name)[path.stem]
    assert record["sha256"] == file_sha256(path)
    assert record["bytes"] == path.stat().st_size
    assert (WEIGHTS.parents[1] / record["recipe"]).exists()
    card = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert f"\n## {path.stem}\n" in card
    assert f"<!-- records: {path.stem} -->" in card
    assert f"](../../docs/cards/{path.stem}.jpg)" in card
    assert 0 < (WEIGHTS.parents[1] / "docs" / "cards" / f"{path.stem}.jpg").stat().st_size < 130_000
    unknown = {"early": {"last_loss"}, "unmeasured": {"held_out", "measured_on"}}.get(record["state"], set())
    assert set(missing(record)) <= unknown


def test_complete_files_begin_from_files_that_are_there():
    for name, record in read_records(WEIGHTS / RECORDS.name).items():
        init = record["init"]
        if init is not None and record["state"] != "early":
            assert file_sha256(WEIGHTS.parents[1] / init["file"]) == init["sha256"], name


def test_the_tables_of_the_cards_are_up_to_date():
    assert card(["--card", str(WEIGHTS / "README.md"), "--records", str(WEIGHTS / RECORDS.name), "--check"]) == 0


def test_the_weights_together_stay_small():
    assert 0 < sum(path.stat().st_size for path in FILES) <= MAX_BYTES
