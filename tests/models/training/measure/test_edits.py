import numpy as np
import pytest
import torch

from models.config import SIZES
from models.styleganex import StyleGANEX
from models.training.measure import edits as module
from models.training.measure.edit_report import add_edits
from models.training.measure.edits import STRENGTHS, EditMeter, Sweep
from models.training.measure.figures import Report
from models.training.measure.held_out import head
from models.training.measure.readers import AttributeReader
from tests.models.training.measure.heads import DrawnHeads

SAMPLES = DrawnHeads(60)
NAMES = ["parsing", "variant_age", "variant_hair"]


def sweep(rows) -> Sweep:
    return Sweep("age", {"age": np.array(rows, float)})


def test_monotone_means_every_step_and_more_than_noise():
    assert sweep([[30, 32, 34, 36, 38], [50, 51, 53, 56, 59]]).monotone()
    assert not sweep([[30, 32, 31, 36, 38], [50, 51, 49, 56, 59]]).monotone()  # a step down
    assert not sweep([[30, 31, 32, 33, 34], [50, 45, 46, 40, 48], [40, 42, 41, 47, 39]]).monotone()  # one head of three
    assert not sweep([[30, 32, 34, 36, 38]]).monotone()  # one head tells nothing
    assert sweep([[30, 32, 34, 36, 38], [np.nan] * 5, [40, 41, 43, 46, 49]]).means("age") == [35, 36.5, 38.5, 41, 43.5]


@pytest.fixture(scope="module")
def meter() -> EditMeter:
    return EditMeter(AttributeReader(SAMPLES, range(40)), [head(SAMPLES, number, NAMES) for number in range(50, 56)])


def test_the_renderers_own_edits_are_seen(meter):
    age, count = meter.true_change("age")
    assert count == 3
    assert age["age"] > 10
    assert abs(age["hair L"]) < 3
    hair, _ = meter.true_change("hair")
    assert hair["hair L"] > 40
    assert meter.true_change("smile") == ({}, 0)


def test_a_perfect_edit_and_one_that_does_nothing(meter, monkeypatch):
    heads = [head(SAMPLES, number, NAMES) for number in range(50, 56)]
    plain = [item.image for item in heads]
    monkeypatch.setattr(module, "draw", lambda net, one, place, strength: [one[0].arrays["variant_hair"]])
    found = meter.likeness(None, ["hair"], "hair", [1.0] * 6, plain)
    assert found.heads == 3
    assert found.share == pytest.approx(1)
    assert found.cosine == pytest.approx(1)
    monkeypatch.setattr(module, "draw", lambda net, one, place, strength: [one[0].image])
    assert meter.likeness(None, ["hair"], "hair", [1.0] * 6, plain).share == 0


def test_a_network_gets_a_row_for_every_direction(monkeypatch):
    torch.manual_seed(0)
    net = StyleGANEX(SIZES["tiny"]).eval()
    net.editing_w = torch.randn(1, net.config.num_styles, net.config.style_dim)
    heads = [head(SAMPLES, number, NAMES) for number in (50, 51)]
    older = [item.arrays.get("variant_age", item.image) for item in heads]
    drawn = []

    def draw(net, asked, place, strength):
        drawn.append(strength)
        return older[: len(asked)] if strength > 0 else [item.image for item in asked]

    monkeypatch.setattr(module, "draw", draw)
    report = Report("tiny", {"heads": "2"})
    add_edits(report, net, ["age"], heads, [item.image for item in heads], SAMPLES, range(40), {"age": 25.0})
    means, cross = report.tables
    assert drawn == [-2, -1, 1, 2, 1]  # the sweep, and the strength from head 50 to its variant
    assert len(means.header) == 1 + len(STRENGTHS)
    assert [row[0] for row in cross.rows] == ["age +1", "age +2", "renderer's age, +1 (1)"]
    figures = report.to_dict()["figures"]
    assert figures["age: monotone"]["verdict"] == "FAIL"  # nothing happens from -2 to 0
    assert figures["age: share of the true change"]["value"] == pytest.approx(1)
