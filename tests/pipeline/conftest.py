"""What the tests of commands share."""

import pytest


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of its own that the command runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
