"""Layer ranges as users write them."""

import pytest

from models.errors import ModelError
from models.layer_ranges import parse_layers


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("0-3", (0, 1, 2, 3)),
        ("5", (5,)),
        (" 9, 2-4,3 ", (2, 3, 4, 9)),
        ("coarse", (0, 1, 2, 3)),
        ("middle,0", (0, 4, 5, 6, 7)),
        ("fine", tuple(range(8, 18))),
        ("all", tuple(range(18))),
    ],
)
def test_words(text, layers):
    assert parse_layers(text, 18) == layers


@pytest.mark.parametrize("text", ["", "x", "3-", "-3", "5-2", "0-18", "1,,2", "1.5", "18"])
def test_what_cannot_be(text):
    with pytest.raises(ModelError, match="layers"):
        parse_layers(text, 18)
