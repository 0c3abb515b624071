"""A publisher of releases on this machine's loopback, which can also misbehave."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Publisher:
    """Serve files by path, and remember what was asked.

    Attributes:
        url: where it listens.
        files: what it serves.
        cut: paths of which it sends half and closes.
        hanging: paths that it never answers.
        trickling: paths whose content it sends a byte at a time, the first at once and the others never in time.
        moved: paths that it answers with another address.
        asked: every path that was asked for, as it stood in the request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    trickling: set[str] = field(default_factory=set)
    moved: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def publish(self, name: str, content: bytes, *, checksum: str | None = None) -> None:
        """Offer a file, and its checksum (the right one unless told otherwise) in /sums.txt."""
        self.files[f"/{name}"] = content
        line = f"{checksum or hashlib.sha256(content).hexdigest()}  {name}\n"
        self.files["/sums.txt"] = self.files.get("/sums.txt", b"") + line.encode()


@contextmanager
def publisher() -> Iterator[Publisher]:
    """Run a publisher on a free port."""
    state = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name
            state.asked.append(self.path)
            path = "/" + self.path.rsplit("/", 1)[-1]
            if path in state.hanging:
                state.closing.wait(30)
                return
            if path in state.moved:
                self.send_response(302)
                self.send_header("Location", state.moved[path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = state.files.get(path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            # A list of packages, which pip reads as a page only.
            self.send_header("Content-Type", "text/html" if path == "/" else "application/octet-stream")
            self.end_headers()
            for byte in content if path in state.trickling else b"":
                self.wfile.write(bytes([byte]))
                if state.closing.wait(0.05):
                    return
            self.wfile.write(content[: len(content) // 2] if path in state.cut else content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def archive(files: Mapping[str, str]) -> bytes:
    """Make a .tar.gz of executables."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            content = text.encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o755
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
