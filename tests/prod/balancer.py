"""Stand in for a cloud's load balancer: give Services of type LoadBalancer the address of the one node."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Self

from kubernetes.client import ApiException, CoreV1Api
from kubernetes.config import new_client_from_config
from urllib3.exceptions import HTTPError

PAUSE = 0.2


class Balancer(threading.Thread):
    """Watch a cluster's Services over its real API, as a cloud's controller does, and write where each is reached.

    kube-proxy takes it from there: what comes to the node for that address goes to the Service's pods.

    Args:
        kubeconfig: the cluster.
        address: where the balancer would be reached; the node's own does.
    """

    def __init__(self, kubeconfig: Path, address: str) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._client = new_client_from_config(str(kubeconfig))
        self._core = CoreV1Api(self._client)
        self._enough = threading.Event()

    def run(self) -> None:
        """Look again and again; a cluster that does not answer is asked once more."""
        while not self._enough.wait(PAUSE):
            try:
                self._assign()
            except (ApiException, HTTPError, OSError):
                continue

    def _assign(self) -> None:
        wanted = {"status": {"loadBalancer": {"ingress": [{"ip": self._address}]}}}
        for service in self._core.list_service_for_all_namespaces(_request_timeout=5).items:
            if service.spec.type == "LoadBalancer" and not service.status.load_balancer.ingress:
                name, namespace = service.metadata.name, service.metadata.namespace
                self._core.patch_namespaced_service_status(name, namespace, wanted, _request_timeout=5)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()
        self._client.close()
