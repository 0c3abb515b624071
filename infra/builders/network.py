"""Build network policies: who may open a connection to whom, on which port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.builders.labels import labels, namespace_selector, selector

Json = dict[str, Any]

# What no pod has to reach when it is let out to the internet: private networks, and the cloud's own metadata.
METADATA_NETWORK = "169.254.0.0/16"
PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", METADATA_NETWORK)


@dataclass(frozen=True)
class Peer:
    """Stand for the other end of a connection.

    Attributes:
        name: of its workload; empty is every pod.
        namespace: where it is; empty is the policy's own namespace.
        network: addresses instead of pods.
        without: addresses to leave out of the network.
        match: pod labels, where the workload is not ours to name.
    """

    name: str = ""
    namespace: str = ""
    network: str = ""
    without: Sequence[str] = ()
    match: Mapping[str, str] | None = None

    def build(self) -> Json:
        """Build the peer."""
        if self.network:
            block: Json = {"cidr": self.network}
            if self.without:
                block["except"] = list(self.without)
            return {"ipBlock": block}
        pods: Json = {"matchLabels": dict(self.match or selector(self.name))} if self.match or self.name else {}
        peer: Json = {"podSelector": pods} if pods or not self.namespace else {}
        if self.namespace:
            peer["namespaceSelector"] = namespace_selector(self.namespace)
        return peer


ANYWHERE = Peer(network="0.0.0.0/0")
INTERNET = Peer(network="0.0.0.0/0", without=PRIVATE_NETWORKS)


@dataclass(frozen=True)
class Flow:
    """Allow connections with a peer on some ports.

    Attributes:
        peer: the other end.
        ports: TCP ports.
        udp: UDP ports.
    """

    peer: Peer
    ports: Sequence[int]
    udp: Sequence[int] = ()

    def build(self, direction: str) -> Json:
        """Build the rule; the direction is "from" or "to"."""
        ports = [{"protocol": "TCP", "port": port} for port in self.ports]
        ports += [{"protocol": "UDP", "port": port} for port in self.udp]
        return {direction: [self.peer.build()], "ports": ports}


def network_policy(
    name: str,
    namespace: str,
    pods: Mapping[str, str],
    *,
    ingress: Sequence[Flow] = (),
    egress: Sequence[Flow] = (),
) -> Json:
    """Build a policy that allows exactly these flows; policies add up, so what none allows is refused.

    Args:
        name: of the policy.
        namespace: whose pods it is about.
        pods: their labels; empty is all of them.
        ingress: what they may receive.
        egress: what they may open.
    """
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace, "labels": labels(name, "policy")},
        "spec": {
            "podSelector": {"matchLabels": dict(pods)} if pods else {},
            "policyTypes": ["Ingress", "Egress"],
            **({"ingress": [flow.build("from") for flow in ingress]} if ingress else {}),
            **({"egress": [flow.build("to") for flow in egress]} if egress else {}),
        },
    }


def default_deny(namespace: str, dns_namespace: str, *, name: str = "default-deny") -> Json:
    """Build the policy under all others: every pod of the namespace may ask for names and nothing else."""
    # CoreDNS listens on 53, or on 5353 where it runs without privileges; a policy sees the pod's port.
    dns = Flow(Peer(namespace=dns_namespace), (53, 5353), (53, 5353))
    return network_policy(name, namespace, {}, egress=[dns])
