"""What the cards' pictures are made of; the pictures themselves take minutes."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("skimage", reason="scikit-image (training extra) is not installed")

from models.parsing import CLASSES
from models.training.data import load_portraits
from pipeline.run import settle
from samples.make_card_pictures import SIDE, framed, labels_of, panels

WEIGHTS = sorted(path.stem for path in (Path(__file__).parents[2] / "models" / "weights").glob("*.safetensors"))


@pytest.mark.parametrize("name", WEIGHTS)
def test_every_column_is_a_render_that_this_model_is_for(name):
    for panel in panels(name):
        config = settle(None, {key: value for key, value in panel.settings.items() if key != "seed"}, {"model": name})
        assert name in config.task.models


def test_an_edit_model_shows_both_ends_of_each_of_its_directions():
    shown = [panel.label for panel in panels("lite_edit")]
    assert len(shown) == len(set(shown)) >= 4
    assert [label[:-2] + "+2" for label in shown[::2]] == shown[1::2]


def test_label_maps_of_both_portraits_hold_the_parts_of_a_face():
    for portrait in load_portraits():
        picture = framed(portrait.image)
        labels = labels_of(picture)
        assert labels.shape == picture.shape[:2] == (SIDE, SIDE)
        parts = {CLASSES[label] for label in np.unique(labels)}
        assert parts >= {"skin", "left eye", "right eye", "left brow", "nose", "upper lip", "lower lip", "hair", "neck"}
        left, right = (np.argwhere(labels == CLASSES.index(f"{side} eye")).mean(axis=0) for side in ("left", "right"))
        assert left[1] - right[1] == pytest.approx(64, abs=8)  # face scale; the subject's left lies right
