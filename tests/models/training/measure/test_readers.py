import numpy as np
import pytest

from models.errors import UserError
from models.training.measure.held_out import head
from models.training.measure.readers import AttributeReader, hair_lightness
from tests.models.training.measure.heads import DrawnHeads

NAMES = ["parsing", "variant_age", "variant_hair"]


@pytest.fixture(scope="module")
def samples() -> DrawnHeads:
    return DrawnHeads(60)


@pytest.fixture(scope="module")
def reader(samples: DrawnHeads) -> AttributeReader:
    return AttributeReader(samples, range(50))


def test_what_shows_is_read_on_heads_that_the_fit_has_not_seen(samples, reader):
    heads = [head(samples, number, NAMES) for number in range(50, 60)]
    read = reader.read([item.image for item in heads], [item.face() for item in heads])["age"]
    true = np.array([item.attributes[""]["age"] for item in heads])
    assert np.corrcoef(read, true)[0, 1] > 0.8
    assert reader.trust["age"].sufficient
    assert np.abs(read - true).mean() < 2 * reader.trust["age"].mae


def test_older_reads_as_older(samples, reader):
    heads = [head(samples, number, NAMES) for number in range(50, 60, 2)]
    faces = [item.face() for item in heads]
    before = reader.read([item.image for item in heads], faces)["age"]
    after = reader.read([item.arrays["variant_age"] for item in heads], faces)["age"]
    assert (after - before).mean() > 10


def test_what_does_not_show_is_not_judged():
    blind = AttributeReader(DrawnHeads(40, age_shows=False), range(40))
    assert not blind.trust["age"].sufficient


def test_hair_is_read_under_its_label(samples):
    item = head(samples, 50, NAMES)
    dark, light = hair_lightness([item.image, item.arrays["variant_hair"]], [item, item])
    assert dark < 30 < 65 < light
    bare = item.__class__(item.number, {**item.arrays, "parsing": np.zeros_like(item.arrays["parsing"])}, *_rest(item))
    assert np.isnan(hair_lightness([item.image], [bare])).all()


def _rest(item):
    return item.aligned, item.landmarks, item.attributes


def test_too_few_scenes_are_refused(samples):
    with pytest.raises(UserError, match="10 scenes"):
        AttributeReader(samples, range(10))
