"""Every test leaves the random state as it was, no thread behind, and no ERROR in the log that it did not expect."""

import logging
import os
import random
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

if "OMP_NUM_THREADS" not in os.environ:
    torch.set_num_threads(min(2, os.cpu_count() or 1))


@pytest.fixture(autouse=True)
def _clean(request, caplog):
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    before = set(threading.enumerate())
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    left = [t.name for t in threading.enumerate() if t not in before and not t.name.startswith("tqdm")]
    assert not left, f"threads left behind: {left}"
    if "expects_error_log" not in request.keywords:
        errors = [r.getMessage() for r in caplog.get_records("call") if r.levelno >= logging.ERROR]
        assert not errors, f"errors logged: {errors}"


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """The public-domain portrait, uint8 [512, 512, 3] RGB."""
    import cv2

    path = Path(__file__).parent.parent / "samples" / "astronaut.jpg"
    return np.ascontiguousarray(np.asarray(cv2.imread(str(path)))[:, :, ::-1])


@pytest.fixture(scope="session")
def sample_clip(tmp_path_factory) -> Path:
    """The demonstration clip: 48 frames, 400×336, with sound."""
    from samples.make_clip import make_clip

    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    make_clip(path)
    return path


@pytest.fixture(scope="module")
def one_thread():
    """For networks and pictures this small, waiting for a second thread costs more than the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_runtest_setup(item):
    """`needs_cuda` skips without a GPU; FAIL_WITHOUT_CUDA=1 turns that into a failure where there should be one."""
    if "needs_cuda" in item.keywords and not torch.cuda.is_available():
        if os.environ.get("FAIL_WITHOUT_CUDA"):
            pytest.fail("FAIL_WITHOUT_CUDA is set and torch.cuda.is_available() is False")
        pytest.skip("needs an NVIDIA GPU: torch.cuda.is_available() is False")
