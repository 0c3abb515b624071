"""Stand in for a managed cluster that answers what it is told to, and for the stack's file that names it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from deployer.workspace import ROOT, Workspace, load_workspace
from tests.infra.configs import DIGEST, PROD

VERSION = {"/version": {"gitVersion": "v1.34.0"}}


@contextmanager
def serve_api(answers: Mapping[str, Any]) -> Iterator[str]:
    """Answer each path with JSON, or with a status where that is a number; return the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path, 404)
            body = json.dumps(answer).encode() if not isinstance(answer, int) else b"{}"
            self.send_response(answer if isinstance(answer, int) else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_kubeconfig(path: Path, servers: Mapping[str, str]) -> Path:
    """Write a kubeconfig with a context, a cluster and a user of each name."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server}} for name, server in servers.items()],
        "users": [{"name": name, "user": {"token": "made-up"}} for name in servers],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in servers],
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def make_prod(folder: Path, **changed: object) -> Workspace:
    """Make a checkout whose stack prod is whole; its kubeconfig is `kubeconfig` in the folder."""
    root = folder / "checkout"
    root.mkdir()
    (root / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    images = {name: f"registry.net/{name}@{DIGEST}" for name in ("services", "gateway")}
    (root / "images.json").write_text(json.dumps(images), encoding="utf-8")
    config = {
        **PROD,
        "stampchat:imagesFile": "images.json",
        "stampchat:kubeconfig": str(folder / "kubeconfig"),
        **{f"stampchat:{key}": value for key, value in changed.items()},
    }
    (root / "Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    (root / "deployer").symlink_to(ROOT / "deployer")
    return Workspace(root=root, home=root / ".stampchat", cache=load_workspace().cache)
