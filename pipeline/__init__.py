"""How frames flow. The public Python interface: `render`, `stream`, `load_config`, `RunConfig`, `RunReport`."""

import os

# Before torch loads its OpenMP: threads that spin while they wait would take the cores from the other stages.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from pipeline.config import RunConfig, load_config
from pipeline.report import RunReport
from pipeline.run import StreamedFrame, render, stream

__all__ = ["RunConfig", "RunReport", "StreamedFrame", "load_config", "render", "stream"]
