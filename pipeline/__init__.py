"""How frames flow. The public Python interface: `render`, `stream`, `load_config`, `RunConfig`, `RunReport`."""

from pipeline.config import RunConfig, load_config
from pipeline.report import RunReport
from pipeline.run import StreamedFrame, render, stream

__all__ = ["RunConfig", "RunReport", "StreamedFrame", "load_config", "render", "stream"]
