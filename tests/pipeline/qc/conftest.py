"""One render and its page for all tests of this folder."""

from pathlib import Path

import pytest

from pipeline.qc import write_page
from tests.pipeline.qc.makers import make_render


@pytest.fixture(scope="package")
def clips(tmp_path_factory) -> tuple[Path, Path]:
    """(input, output), with a report beside the output."""
    return make_render(tmp_path_factory.mktemp("qc"))


@pytest.fixture(scope="package")
def page_file(clips) -> Path:
    """Its page."""
    return write_page(*clips)
