"""Reach single pods of a deployment past its gateway, as `kubectl port-forward` does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kubernetes.client import CoreV1Api
from kubernetes.config import new_client_from_config
from kubernetes.stream import portforward

NAMESPACE = "stampchat"
_CHUNK = 64 * 1024


def ready_pods(kubeconfig: Path, name: str) -> list[str]:
    """Name the pods of a workload that are ready, and not on their way out."""
    with new_client_from_config(str(kubeconfig)) as client:
        found = CoreV1Api(client).list_namespaced_pod(NAMESPACE, label_selector=f"app.kubernetes.io/name={name}").items
    return [
        pod.metadata.name
        for pod in found
        if pod.metadata.deletion_timestamp is None and pod.status.container_statuses[0].ready
    ]


@asynccontextmanager
async def forwarded(kubeconfig: Path, pod: str, port: int) -> AsyncIterator[str]:
    """Forward a port of this machine to a pod's, through the API server; yield its address."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        forward = await asyncio.to_thread(_open, kubeconfig, pod, port)
        far_reader, far_writer = await asyncio.open_connection(sock=forward.socket(port))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far_writer))
                group.create_task(_pump(far_reader, writer))
        finally:
            writer.close()
            far_writer.close()
            connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        if connections:
            await asyncio.wait(connections)


def _open(kubeconfig: Path, pod: str, port: int) -> Any:
    # A client of its own: the library changes it for as long as it connects.
    with new_client_from_config(str(kubeconfig)) as client:
        connect = CoreV1Api(client).connect_get_namespaced_pod_portforward
        return portforward(connect, pod, NAMESPACE, ports=str(port))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    # Whoever ends one way ends the other.
    writer.close()
