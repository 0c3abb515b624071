"""Say what a cluster is to those who use one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# Made by us in a box, made by somebody else's program in Docker, or there already.
Ground = Literal["embedded", "kind", "k3d", "context"]


@dataclass(frozen=True)
class Where:
    """Say where a cluster is to be.

    Attributes:
        ground: what makes it.
        context: of a cluster that is there already, its context's name.
        kubeconfig: the file that has this context; "" for KUBECONFIG's or ~/.kube/config.
        url: where its gateway is reached, if the user says so.
    """

    ground: Ground = "embedded"
    context: str = ""
    kubeconfig: str = ""
    url: str = ""

    def __str__(self) -> str:
        return f"context {self.context}" if self.ground == "context" else self.ground


# What Pods call a cluster's own registry, whatever its address is.
REGISTRY_NAME = "registry.stampchat.local"


@dataclass(frozen=True)
class Instance:
    """Name what sets one checkout's cluster apart from every other on this machine.

    Attributes:
        name: "stampchat-" and six hex digits of where the checkout lies.
        number: picks the network 10.231.NUMBER.0/30 between the machine and the box.
        port: where the gateway answers on this machine.
        metrics: whether it is to have metrics-server, once that is built.
        policies: whether it is to have what makes network policies hold, once that is built.
        registry: whether it is to have a registry.
        lan: whether other machines reach its gateway's port.
        ground: what makes it; a box of ours unless said.
        context: of a cluster that is there already, its context's name.
        kubeconfig: the file that has this context; "" for KUBECONFIG's or ~/.kube/config.
        url: where the gateway is reached, unless that is the port of this machine.
    """

    name: str
    number: int
    port: int
    metrics: bool = True
    policies: bool = True
    registry: bool = False
    lan: bool = False
    ground: Ground = "embedded"
    context: str = ""
    kubeconfig: str = ""
    url: str = ""

    @property
    def where(self) -> Where:
        """Where the cluster is."""
        return Where(self.ground, self.context, self.kubeconfig, self.url)

    @property
    def address(self) -> str:
        """Where the gateway is reached."""
        return self.url or f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Choice:
    """Say what a cluster is to have from now on; None leaves it as it is.

    Attributes:
        metrics: metrics-server.
        policies: what makes network policies hold.
        registry: a registry.
        lan: its gateway's port open to other machines.
    """

    metrics: bool | None = None
    policies: bool | None = None
    registry: bool | None = None
    lan: bool | None = None


@dataclass(frozen=True)
class ClusterInfo:
    """Say how to reach a running cluster.

    Attributes:
        name: the cluster's name, also that of the context in its kubeconfig.
        kubeconfig: the file that gives full rights on it.
        address: the node's address, which answers on this machine alone.
        node_port: the NodePort that `url` leads to.
        url: where the gateway answers on this machine.
        identity: what only this cluster's data has, and a purged one's has not; nothing before it was brought up.
    """

    name: str
    kubeconfig: Path
    address: str
    node_port: int
    url: str
    identity: str = ""


@dataclass(frozen=True)
class Registry:
    """Say how to reach a cluster's own registry.

    Attributes:
        name: what images' references begin with.
        address: where it answers, on this machine alone: host and port.
        authority: the file of the authority that its certificate is of.
        username: whom it lets in.
        password_file: holds the password, and nothing else.
    """

    name: str
    address: str
    authority: Path
    username: str
    password_file: Path


@dataclass(frozen=True)
class ComponentStatus:
    """Say how one of the cluster's own programs does.

    Attributes:
        name: as Kubernetes calls it.
        pid: on this machine; None when it does not run.
        running: whether it runs now.
        since: when it started, in seconds since the epoch; None when it does not run.
        restarts: how often it was started again.
        missing: how its build stands, where the cluster does without it meanwhile; else nothing.
    """

    name: str
    pid: int | None
    running: bool
    since: float | None
    restarts: int = 0
    missing: str = ""


@dataclass(frozen=True)
class ClusterStatus:
    """Say how a cluster does.

    Attributes:
        name: the cluster's name.
        running: whether its box exists.
        components: its own programs, in the order of their start.
        node_ready: whether Kubernetes would start a Pod on it.
        address: the node's address.
        kubeconfig: the file that gives full rights on it.
        memory_bytes: memory of everything in the box, without the page cache.
        policies_hold: whether what makes network policies hold runs.
        lan: whether other machines reach its gateway's port, from its start on or from its next.
        own_memory_bytes: that of the cluster's own programs alone, without the Pods.
        own_cores: what these used of processors on average since the box was made.
        certificates_end: when the first of its certificates ends, in seconds since the epoch; None where it has none.
    """

    name: str
    running: bool
    components: list[ComponentStatus]
    node_ready: bool
    address: str
    kubeconfig: Path
    memory_bytes: int
    policies_hold: bool = False
    lan: bool = False
    own_memory_bytes: int = 0
    own_cores: float = 0.0
    certificates_end: float | None = None
