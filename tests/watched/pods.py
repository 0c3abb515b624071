"""Stand in for a stack's pods: objects on the API server and on no node, whose address is a server of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.order.objects import Json, Objects


def pod(name: str, namespace: str, labels: Mapping[str, str], ports: Mapping[str, int]) -> Json:
    """Build a pod that no scheduler takes, so that no kubelet says otherwise of it."""
    listed = [{"name": key, "containerPort": number} for key, number in ports.items()]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "main", "image": "nobody", "ports": listed}]},
    }


def pod_of(deployment: Json, namespace: str) -> Json:
    """Build a pod with the labels and ports that a Deployment gives its own."""
    template = deployment["spec"]["template"]
    ports = {port["name"]: port["containerPort"] for each in template["spec"]["containers"] for port in each["ports"]}
    return pod(f"{deployment['metadata']['name']}-1", namespace, template["metadata"]["labels"], ports)


def start(objects: Objects, made: Json, address: str) -> None:
    """Make a pod, and say of it what a kubelet would: that it runs, and where."""
    objects.apply(made)
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    objects.apply_status({key: made[key] for key in ("apiVersion", "kind", "metadata")} | {"status": status})


@contextmanager
def serving(texts: Mapping[tuple[str, int], str]) -> Iterator[None]:
    """Answer with a text on each of some addresses and ports of this machine."""
    with ExitStack() as stack:
        for place, text in texts.items():
            server = ThreadingHTTPServer(place, _handler(text))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
        yield


def _handler(text: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
