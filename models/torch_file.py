"""Reading .pt files of unknown origin: tensors, plain containers and what is named here; nothing is ever executed."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.errors import CheckpointError
from models.lockfile import guard

REFETCH = "fetch the file again, or check that it is the one you mean"
_ALLOWED: tuple[Any, ...] = (argparse.Namespace,)
"""Beyond tensors, numbers, texts, lists and tables: the options of training scripts."""


def read_torch(path: Path, arrays: bool = False) -> Any:
    """What a file written by `torch.save` holds, on the CPU.

    Args:
        arrays: let NumPy arrays of numbers in as well (direction files). NumPy scalars stay out: their unpickler can
            unpickle anything in turn.

    Raises:
        CheckpointError: not such a file, damaged, not what the lock file beside it records, or one that would execute
            something. Nothing of it was executed.
    """
    if path.is_file():
        guard(path)
    allowed = [*_ALLOWED, *(_array_types() if arrays else ())]
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(allowed):
            warnings.simplefilter("ignore")  # what torch thinks of the pickle's version
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        what, remedy = _refusal(str(error))
        raise CheckpointError(f"{path}: {what}", remedy) from error
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}", "check the path") from error
    except Exception as error:  # torch.load raises nearly anything on damaged bytes
        if "legacy .tar format" in str(error):
            raise CheckpointError(
                f"{path}: written by PyTorch 0.1, in a format that cannot be read safely; nothing of it was run",
                "save it again with a newer PyTorch, if you trust it",
            ) from error
        raise CheckpointError(f"{path}: not a readable checkpoint ({type(error).__name__})", REFETCH) from error


def _refusal(message: str) -> tuple[str, str]:
    """(what, remedy) for what the restricted unpickler said; it names the object where that was the reason."""
    if named := re.search(r"GLOBAL (\S+) (?:was not|whose)", message):
        what = f"wants to run or build `{named[1]}`, which is no weight; nothing of the file was run"
        return what, "use only weight files from a source you trust"
    return "holds something other than weights, or is damaged; nothing of the file was run", REFETCH


def _array_types() -> list[Any]:
    """What a pickled array of real numbers is made of, under the module names of NumPy 1 and 2."""
    rebuild: Any = np.empty(0).__reduce__()[0]
    names = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
    numbers = [type(np.dtype(kind)) for kind in (np.float16, np.float32, np.float64)]
    return [*((rebuild, name) for name in names), np.ndarray, np.dtype, *numbers]
