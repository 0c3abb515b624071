"""Make clusters by k3d: https://k3d.io."""

from __future__ import annotations

import json
from pathlib import Path

from deployer.cluster.docker.commands import LONG, Requirement, require, run
from deployer.cluster.embedded.layout import NODE_PORT

# The first whose K3s has a Kubernetes after 1.30.
_NEEDS = Requirement("k3d", (5, 8), "Install a newer k3d: https://k3d.io/stable/#installation.")
_INSTALL = "Install k3d (https://k3d.io/stable/#installation), or name another ground: `--cluster`."
_DOCKER = "k3d needs Docker: https://docs.docker.com/engine/install/."


class K3d:
    """Drive k3d; its one server is a container, and no load balancer stands before it."""

    program = "k3d"

    def check(self) -> str:
        """Return the version, once it is new enough and Docker answers."""
        version = require(_NEEDS, self._k3d("version"))
        run(["docker", "version", "--format", "{{.Server.Version}}"], advice=_DOCKER)
        return version

    def names(self) -> list[str]:
        """List the clusters."""
        return [str(cluster["name"]) for cluster in json.loads(self._k3d("cluster", "list", "--output", "json"))]

    def create(self, name: str, port: int) -> None:
        """Make a cluster; k3d takes away again what fails."""
        options = [
            *("--port", f"127.0.0.1:{port}:{NODE_PORT}@server:0:direct"),
            "--no-lb",
            # Its Traefik would take our Gateway API's place.
            *("--k3s-arg", "--disable=traefik@server:0"),
            # The user's current context is the user's.
            *("--kubeconfig-update-default=false", "--kubeconfig-switch-context=false"),
            *("--wait", "--timeout", f"{LONG - 60:.0f}s"),
        ]
        self._k3d("cluster", "create", name, *options, seconds=LONG)

    def start(self, name: str) -> None:
        """Start the server."""
        self._k3d("cluster", "start", name, seconds=LONG)

    def stop(self, name: str) -> None:
        """Stop the server."""
        self._k3d("cluster", "stop", name, seconds=LONG)

    def kubeconfig(self, name: str) -> str:
        """Return the kubeconfig."""
        return self._k3d("kubeconfig", "get", name)

    def load(self, name: str, archive: Path) -> None:
        """Import an archive into the server, in the one mode that does not end well when the import has failed."""
        self._k3d("image", "import", str(archive), "--cluster", name, "--mode", "direct", seconds=LONG)

    def delete(self, name: str) -> None:
        """Delete the server."""
        self._k3d("cluster", "delete", name, seconds=LONG)

    def _k3d(self, *arguments: str, seconds: float = 60.0) -> str:
        return run(["k3d", *arguments], advice=_INSTALL, seconds=seconds)
