"""The bank of scenes: which are in it, and that a resumed run has the same."""

import pytest
import torch

pytest.importorskip("skimage", reason="scikit-image (training extra) is not installed")

from models.training.photographs import ExampleBank, PhotographSettings

SMALL = PhotographSettings(kind="photographs", at_hand=3, scene_px=64, scenes=2, crops=1, crop_px=32)


@pytest.fixture
def bank(monkeypatch):
    """A bank that counts what it makes."""
    made: list[int] = []
    plain = ExampleBank._make
    monkeypatch.setattr(ExampleBank, "_make", lambda self, number: made.append(number) or plain(self, number))
    return ExampleBank(5, SMALL), made


def test_scenes_take_the_places_in_turn_and_are_made_when_they_are_drawn(bank):
    drawn, made = bank
    assert made == []
    for step in range(12):
        before = len(made)
        drawn.batch(step)
        assert set(made[before:]) <= {step + 1, step + 2, step + 3}  # scene 0 gave way before the first batch
    assert len(made) == len(set(made))  # none twice
    assert 6 <= len(made) <= 15  # of the three at the start and the twelve that followed


def test_a_resumed_bank_goes_on_with_the_same_batches(bank):
    first, _ = bank
    for step in range(4):
        first.batch(step)
    state = first.state()
    wanted = [first.batch(step) for step in range(4, 7)]
    again = ExampleBank(5, SMALL)
    again.load_state(state)
    for step, batch in enumerate(wanted, 4):
        for ours, theirs in zip(again.batch(step), batch, strict=True):
            assert (ours is None) == (theirs is None)
            assert ours is None or torch.equal(ours, theirs)
