"""A local server that answers as the Hugging Face hub does, with the faults that a transfer can have."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "afcf2340123456789012345678901234567890ab"


@dataclass
class Hub:
    """What the server holds and how it behaves. Read by the server's threads; change it between requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    """`owner/repository/path` → content."""
    commit: str = COMMIT
    break_after: list[int] = field(default_factory=list)
    """For each coming GET: how many bytes of its body are sent before the connection is cut; then none is cut."""
    changes_bytes: bool = False
    """The bytes that are sent are not those that the ETag belongs to."""
    ranges: bool = True
    """Answers to Range with 206; False: always the whole file."""
    redirects: bool = True
    """Large files are served by another host, as by the real hub; its ETag is not the hub's."""
    status: int = 0
    """A status that every request gets."""
    log: list[str] = field(default_factory=list)
    """Method, path and Range of every request."""
    url: str = ""


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Run the server in a thread; its address is `hub.url`. No thread is left behind."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = False  # so that closing waits for them
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, body: bool) -> None:
        hub = self.hub
        hub.log.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
        if hub.status:
            return self._empty(hub.status, {})
        place = self.path.lstrip("/").removeprefix("cdn/")
        repository, _, rest = place.partition("/resolve/")
        revision, _, path = rest.partition("/")
        content = hub.files.get(f"{repository}/{path}")
        if content is None or revision not in ("main", hub.commit):
            return self._empty(404, {"X-Error-Code": "EntryNotFound"})
        digest = hashlib.sha256(content).hexdigest()
        if hub.redirects and not self.path.startswith("/cdn/"):
            about = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content)), "X-Repo-Commit": hub.commit}
            return self._empty(302, about | {"Location": f"{hub.url}/cdn{self.path}".replace("127.0.0.1", "localhost")})
        start, status = 0, 200
        if hub.ranges and (wanted := self.headers.get("Range")):
            start, status = int(wanted.removeprefix("bytes=").split("-")[0]), 206
        etag = '"of the store"' if hub.redirects else f'"{digest}"'
        headers = {"ETag": etag, "X-Repo-Commit": hub.commit, "Content-Length": str(len(content) - start)}
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._head(status, headers)
        if body:
            sent = bytes(255 - byte for byte in content) if hub.changes_bytes else content
            cut = hub.break_after.pop(0) if hub.break_after else len(content)
            self.wfile.write(sent[start : start + cut])
        self.close_connection = True

    def _empty(self, status: int, headers: dict[str, str]) -> None:
        self._head(status, headers | {"Content-Length": "0"})

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
