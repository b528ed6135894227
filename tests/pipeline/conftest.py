"""What the tests of commands share."""

import numpy as np
import pytest

from tests.helpers import write_clip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of its own that the command runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def drifting(portrait, tmp_path_factory):
    """A portrait of 320 × 320 that moves on by a pixel or two in each of 6 frames."""
    pictures = [np.roll(portrait, (k, 2 * k), (0, 1))[:320, 64:384] for k in range(6)]
    return write_clip(
        tmp_path_factory.mktemp("drifting") / "drifting.mp4", map(np.ascontiguousarray, pictures), rate=25
    )
