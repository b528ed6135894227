"""The QC page: one HTML file per render that a person looks at; it needs no server and no network.

from pipeline.qc import write_page
write_page("in.mp4", "out.mp4")  # → out.mp4.qc.html

"""

from pipeline.qc.page import page_path, write_page

__all__ = ["page_path", "write_page"]
