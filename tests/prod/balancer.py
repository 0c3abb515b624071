"""Stand in for a cloud's load balancer: give Services of type LoadBalancer the address of the one node."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from kubernetes.client import ApiException, CoreV1Api
from kubernetes.config import new_client_from_config
from urllib3.exceptions import HTTPError

from tests.repeating import Repeating

PAUSE = 0.2


class Balancer(Repeating):
    """Watch a cluster's Services over its real API, as a cloud's controller does, and write where each is reached.

    kube-proxy takes it from there: what comes to the node for that address goes to the Service's pods.

    Args:
        kubeconfig: the cluster.
        address: where the balancer would be reached; the node's own does.
    """

    def __init__(self, kubeconfig: Path, address: str) -> None:
        super().__init__(PAUSE)
        self._address = address
        self._client = new_client_from_config(str(kubeconfig))
        self._core = CoreV1Api(self._client)

    def once(self) -> None:
        """Look for such Services; a cluster that does not answer is asked again the next time."""
        with suppress(ApiException, HTTPError, OSError):
            self._assign()

    def _assign(self) -> None:
        wanted = {"status": {"loadBalancer": {"ingress": [{"ip": self._address}]}}}
        for service in self._core.list_service_for_all_namespaces(_request_timeout=5).items:
            if service.spec.type == "LoadBalancer" and not service.status.load_balancer.ingress:
                name, namespace = service.metadata.name, service.metadata.namespace
                self._core.patch_namespaced_service_status(name, namespace, wanted, _request_timeout=5)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._client.close()
