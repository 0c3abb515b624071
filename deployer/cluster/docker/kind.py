"""Make clusters by kind: https://kind.sigs.k8s.io."""

from __future__ import annotations

import json
from pathlib import Path

from deployer.cluster.docker.commands import LONG, Requirement, require, run
from deployer.cluster.embedded.layout import NODE_PORT

# The first whose node image has Kubernetes 1.30.
_NEEDS = Requirement("kind", (0, 23), "Install a newer kind: https://kind.sigs.k8s.io/docs/user/quick-start/.")
_INSTALL = "Install kind (https://kind.sigs.k8s.io/docs/user/quick-start/), or name another ground: `--cluster`."
_DOCKER = "kind needs Docker: https://docs.docker.com/engine/install/."


class Kind:
    """Drive kind; its one node is a container, which Docker itself stops and starts.

    Args:
        kubeconfig: where kind writes how to reach a cluster, instead of into the user's own file.
    """

    program = "kind"

    def __init__(self, kubeconfig: Path) -> None:
        self._own = ("--kubeconfig", str(kubeconfig))

    def check(self) -> str:
        """Return the version, once it is new enough and Docker answers."""
        version = require(_NEEDS, self._kind("version"))
        run(["docker", "version", "--format", "{{.Server.Version}}"], advice=_DOCKER)
        return version

    def names(self) -> list[str]:
        """List the clusters."""
        return self._kind("get", "clusters").split()

    def create(self, name: str, port: int) -> None:
        """Make a cluster; kind takes away again what fails."""
        mapping = {
            "containerPort": NODE_PORT,
            "hostPort": port,
            "listenAddress": "127.0.0.1",
            "protocol": "TCP",
        }
        config = {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "nodes": [{"role": "control-plane", "extraPortMappings": [mapping]}],
        }
        command = ["create", "cluster", "--name", name, "--config", "-", *self._own]
        self._kind(*command, given=json.dumps(config), seconds=LONG)

    def start(self, name: str) -> None:
        """Start the node."""
        run(["docker", "start", _node(name)], advice=_DOCKER)

    def stop(self, name: str) -> None:
        """Stop the node."""
        run(["docker", "stop", _node(name)], advice=_DOCKER)

    def kubeconfig(self, name: str) -> str:
        """Return the kubeconfig."""
        return self._kind("get", "kubeconfig", "--name", name)

    def load(self, name: str, archive: Path) -> None:
        """Load an archive into the node."""
        self._kind("load", "image-archive", str(archive), "--name", name, seconds=LONG)

    def delete(self, name: str) -> None:
        """Delete the node."""
        self._kind("delete", "cluster", "--name", name, *self._own, seconds=LONG)

    def _kind(self, *arguments: str, given: str = "", seconds: float = 60.0) -> str:
        return run(["kind", *arguments], advice=_INSTALL, given=given, seconds=seconds)


def _node(name: str) -> str:
    return f"{name}-control-plane"
