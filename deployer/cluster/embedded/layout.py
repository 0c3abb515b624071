"""Know every name, address and path of an embedded cluster, outside its box and inside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deployer.cluster.model import ClusterInfo, Instance
from deployer.workspace import Workspace

POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/16"
KUBERNETES_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
DOMAIN = "cluster.local"
NODE_PORT = 30080
API_PORT = 6443
METRICS_PORT = 4443
REGISTRY_PORT = 5000

# Inside the box the checkout's folder and the cache have short paths that never change: a volume's path is stored in
# the cluster, and a unix socket's path may have at most 107 characters.
STATE = Path("/run/cluster")
PROGRAMS = Path("/run/programs")
DEBIAN = Path("/run/debian")
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
ETCD_SOCKET = Path("/run/etcd.sock")
BOX_STATUS = Path("/run/box.json")


@dataclass(frozen=True)
class Layout:
    """Name the parts of one cluster.

    Attributes:
        home: workspace.cluster, all that the cluster keeps on disk.
        instance: what sets it apart.
    """

    home: Path
    instance: Instance

    @property
    def name(self) -> str:
        """The cluster, its node, its cgroup and its context."""
        return self.instance.name

    @property
    def link(self) -> str:
        """The machine's end of the link; a name has at most 15 characters."""
        return f"sc-{self.name.removeprefix('stampchat-')}"

    @property
    def gateway(self) -> str:
        """The machine's address on the link."""
        return f"10.231.{self.instance.number}.1"

    @property
    def address(self) -> str:
        """The box's address on the link."""
        return f"10.231.{self.instance.number}.2"

    @property
    def server(self) -> str:
        """The API server."""
        return f"https://{self.address}:{API_PORT}"

    @property
    def registry(self) -> str:
        """Where the cluster's own registry listens, if it has one."""
        return f"{self.address}:{REGISTRY_PORT}"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.home / "pki"

    @property
    def config(self) -> Path:
        """Configuration files of the programs in the box."""
        return self.home / "config"

    @property
    def logs(self) -> Path:
        """What the programs in the box say."""
        return self.home / "logs"

    @property
    def spec(self) -> Path:
        """What the running box was made from."""
        return self.home / "box.json"

    @property
    def release(self) -> Path:
        """Which release's programs opened its data last."""
        return self.home / "release.json"

    @property
    def kubeconfig(self) -> Path:
        """Full rights on the cluster."""
        return self.home / "kubeconfig"

    @property
    def info(self) -> ClusterInfo:
        """How to reach it."""
        return ClusterInfo(
            name=self.name,
            kubeconfig=self.kubeconfig,
            address=self.address,
            node_port=NODE_PORT,
            url=f"http://127.0.0.1:{self.instance.port}",
        )


def layout_of(workspace: Workspace, instance: Instance) -> Layout:
    """Place an instance in its workspace."""
    return Layout(home=workspace.cluster, instance=instance)
