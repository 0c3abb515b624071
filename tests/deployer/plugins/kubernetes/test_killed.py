"""A plugin that is killed in the middle of a create, by the real engine: what it was making is not forgotten."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deployer.abandoned import load_abandoned, note_abandoned
from deployer.events import Reader
from deployer.mend import parse_begun
from deployer.workspace import Workspace
from tests.deployer.plugins.engine_project import EngineProject
from tests.deployer.plugins.kubernetes.programs import Entry, Trial

pytestmark = pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="NOT TESTED: finds processes by /proc")


class _Hanging(BaseHTTPRequestHandler):
    """Answer what is asked before a create, and keep the create waiting."""

    protocol_version = "HTTP/1.1"
    created = threading.Event()
    enough = threading.Event()

    def do_GET(self) -> None:
        maps = {"name": "configmaps", "kind": "ConfigMap", "namespaced": True}
        content = json.dumps({"major": "1", "resources": [maps]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        type(self).created.set()
        type(self).enough.wait(120)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[str]:
    _Hanging.created.clear()
    _Hanging.enough.clear()
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Hanging)
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    _Hanging.enough.set()
    made.shutdown()
    made.server_close()


def kubeconfig(address: str) -> str:
    return json.dumps(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "users": [{"name": "u", "user": {}}],
        }
    )


def plugins_of(project: EngineProject) -> list[int]:
    """List the Kubernetes plugin's processes that serve a project."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            inside = Path(path.parent / "cwd").readlink() == project.folder
            ours = b"deployer.plugins.kubernetes" in path.read_bytes()
        except OSError:
            continue
        if inside and ours:
            found.append(int(path.parent.name))
    return found


def test_what_a_killed_plugin_was_making_is_noted(project: EngineProject, server: str, tmp_path: Path) -> None:
    """The engine takes it for not made: its state does not name it, and the next update would meet it."""
    trial = Trial(project, {"kubeconfig": kubeconfig(server), "namespace": "n"})
    trial.write(Entry("half", "core/v1:ConfigMap", {"metadata": {"name": "half"}, "data": {"k": "1"}}))

    def kill() -> None:
        _Hanging.created.wait(120)
        for pid in plugins_of(project):
            os.kill(pid, signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    done = project.run("up", "--yes", "--skip-preview", "--json", check=False)
    assert done.returncode != 0
    reader = Reader()
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            reader.read(json.loads(line))
    workspace = Workspace(root=tmp_path, home=tmp_path / "kept", cache=tmp_path)

    note_abandoned(workspace, "trial", reader.outcome)

    assert "half" not in project.resources()
    assert [str(begun) for begun in parse_begun(load_abandoned(workspace, "trial"))] == ["ConfigMap n/half"], (
        done.stdout
    )
