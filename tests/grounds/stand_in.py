"""Stand in for `docker`, `kind` and `k3d`, which cannot run where no Docker is: run as one of them.

What they print and how they end is theirs, read in their public sources: kind at fed2688 (2026-08) and k3d v5.9.0
(2026-06). Each keeps what "Docker" has in one file; `fault` in it is what goes wrong. The cluster that they "make" is
another that runs already, whose node's port they pass on from 127.0.0.1 as docker-proxy does, byte for byte.

Environment: STAND_IN_FOLDER holds the file; STAND_IN_KUBECONFIG is the cluster's; STAND_IN_NODE is its address; and
STAND_IN_IMPORT is a command, as JSON, that imports the archive which is its last argument.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

_AWAY = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
_DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
    'Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.47/containers/json": dial unix /var/run/docker.sock: '
    "connect: permission denied"
)
_FULL = "write /var/lib/containerd/io.containerd.content.v1.content/ingest/0f/data: no space left on device: unknown"


class Docker:
    """Hold what the daemon has: containers by cluster."""

    def __init__(self) -> None:
        self.path = Path(os.environ["STAND_IN_FOLDER"]) / "docker.json"
        self.state: dict[str, Any] = {"fault": "", "clusters": {}, "images": [], "calls": []}
        if self.path.exists():
            self.state |= json.loads(self.path.read_text(encoding="utf-8"))
        self.state["calls"].append(sys.argv[1:])
        self.save()

    @property
    def fault(self) -> str:
        """What goes wrong."""
        return str(self.state["fault"])

    @property
    def problem(self) -> str:
        """Why the daemon cannot be asked, or nothing."""
        return {"away": _AWAY, "denied": _DENIED}.get(self.fault, "")

    @property
    def clusters(self) -> dict[str, Any]:
        """Each cluster's port, maker, and what passes connections on."""
        clusters: dict[str, Any] = self.state["clusters"]
        return clusters

    def save(self) -> None:
        """Keep it."""
        self.path.write_text(json.dumps(self.state), encoding="utf-8")

    def run(self, name: str, port: int, maker: str) -> bool:
        """Start a node with a published port; False when the port is taken."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
        self.clusters[name] = {"port": port, "maker": maker, "proxy": 0}
        self.start(name)
        return True

    def start(self, name: str) -> None:
        """Start the node's proxy, unless it runs."""
        if not self.clusters[name]["proxy"]:
            command = [sys.executable, __file__, "proxy", str(self.clusters[name]["port"]), os.environ["STAND_IN_NODE"]]
            silent = subprocess.DEVNULL
            with subprocess.Popen(
                command, stdin=silent, stdout=subprocess.PIPE, stderr=silent, start_new_session=True, text=True
            ) as proxy:
                assert proxy.stdout is not None
                proxy.stdout.readline()
                self.clusters[name]["proxy"] = proxy.pid
                proxy.returncode = 0  # it outlives this command, as the daemon's own does
        self.save()

    def stop(self, name: str) -> None:
        """End the node's proxy."""
        if pid := self.clusters[name]["proxy"]:
            os.kill(pid, signal.SIGKILL)
        self.clusters[name]["proxy"] = 0
        self.save()

    def take_in(self, archive: str) -> str:
        """Import an image into the node; return what went wrong."""
        if self.fault == "load":
            return f"ctr: failed to ingest: {_FULL}"
        command = json.loads(os.environ.get("STAND_IN_IMPORT") or "[]")
        if command:
            done = subprocess.run([*command, archive], capture_output=True, text=True, check=False)
            if done.returncode:
                return done.stdout + done.stderr
        self.state["images"].append(archive)
        self.save()
        return ""


def docker(daemon: Docker, args: list[str]) -> None:
    """Be the docker command."""
    if daemon.problem:
        end(daemon.problem)
    if args[0] == "version":
        say("28.3.3")
    elif args[0] in ("start", "stop"):
        name = args[1].removesuffix("-control-plane")
        if name not in daemon.clusters:
            end(f"Error response from daemon: No such container: {args[1]}")
        (daemon.start if args[0] == "start" else daemon.stop)(name)
        say(args[1])


def kind(daemon: Docker, args: list[str]) -> None:  # noqa: C901  # a command line with five commands
    """Be kind."""
    options = dict(pairwise(args))
    name = options.get("--name", "kind")
    words = " ".join(args[:2])
    if args[0] == "version":
        say(f"kind v{'0.20.0' if daemon.fault == 'old' else '0.30.0'} go1.24.6 linux/amd64")
        return
    if daemon.problem:
        what = {"get clusters": "failed to list clusters: ", "create cluster": "failed to create cluster: "}
        asked = "docker info --format '{{json .}}'" if words == "create cluster" else "docker ps -a --filter label=…"
        end(f'ERROR: {what.get(words, "")}command "{asked}" failed with error: exit status 1', daemon.problem)
    mine = [each for each, cluster in daemon.clusters.items() if cluster["maker"] == "kind"]
    if words == "get clusters":
        sys.stderr.write("" if mine else "No kind clusters found.\n")
        sys.stdout.write("".join(f"{each}\n" for each in mine))
    elif words == "create cluster":
        create_by_kind(daemon, name, options, mine)
    elif words == "get kubeconfig":
        if name not in mine:
            end(
                f"ERROR: could not locate any control plane nodes for cluster named '{name}'. "
                "Use the --name option to select a different cluster"
            )
        say(Path(os.environ["STAND_IN_KUBECONFIG"]).read_text(encoding="utf-8"))
    elif words == "load image-archive":
        if name not in mine:
            end(f'ERROR: no nodes found for cluster "{name}"')
        if problem := daemon.take_in(args[2]):
            ran = f"docker exec --privileged -i {name}-control-plane ctr --namespace=k8s.io images import"
            end(f'ERROR: failed to load image: command "{ran} … -" failed with error: exit status 1', problem)
    elif words == "delete cluster":
        sys.stderr.write(f'Deleting cluster "{name}" ...\n')
        if name in mine:
            daemon.stop(name)
            del daemon.clusters[name]
            daemon.save()


def create_by_kind(daemon: Docker, name: str, options: dict[str, str], mine: list[str]) -> None:
    """Make a cluster, as kind does: its own words go to standard error."""
    given = json.loads(sys.stdin.read())
    assert (given["kind"], given["apiVersion"], options["--config"]) == ("Cluster", "kind.x-k8s.io/v1alpha4", "-")
    mapping = given["nodes"][0]["extraPortMappings"][0]
    assert (mapping["listenAddress"], mapping["containerPort"]) == ("127.0.0.1", 30080)
    if name in mine:
        end(f'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "{name}"')
    sys.stderr.write(f'Creating cluster "{name}" ...\n • Ensuring node image (kindest/node:v1.34.0) 🖼  ...\n')
    if daemon.fault == "hang":
        threading.Event().wait()
    if daemon.fault == "init":
        ran = f"docker exec --privileged {name}-control-plane kubeadm init --config=/kind/kubeadm.conf"
        end(
            f'ERROR: failed to create cluster: failed to init node with kubeadm: command "{ran}" failed with error: '
            "exit status 1",
            "error: unable to create a kubelet: failed to create kubelet cgroup: too many open files",
        )
    if not daemon.run(name, mapping["hostPort"], "kind"):
        ran = f"docker run --name {name}-control-plane --hostname {name}-control-plane …"
        end(
            f'ERROR: failed to create cluster: command "{ran}" failed with error: exit status 125', taken(name, mapping)
        )
    sys.stderr.write(" ✓ Starting control-plane 🕹️\n")
    Path(options["--kubeconfig"]).write_text("written by kind", encoding="utf-8")


def taken(name: str, mapping: dict[str, Any]) -> str:
    """Say what the daemon says of a port that it cannot have."""
    return (
        "docker: Error response from daemon: failed to set up container networking: driver failed programming external "
        f"connectivity on endpoint {name}-control-plane: Bind for 127.0.0.1:{mapping['hostPort']} failed: port is "
        "already allocated"
    )


def k3d(daemon: Docker, args: list[str]) -> None:
    """Be k3d."""
    words = " ".join(args[:2])
    if args[0] == "version":
        say(f"k3d version v{'5.6.3' if daemon.fault == 'old' else '5.9.0'}\nk3s version v1.34.1-k3s1 (default)")
        return
    mine = [each for each, cluster in daemon.clusters.items() if cluster["maker"] == "k3d"]
    if words == "cluster list":
        if daemon.problem:
            fatal(
                "runtime failed to list nodes: docker failed to get containers with labels 'map[app:k3d]': failed to "
                f"list containers: {daemon.problem}"
            )
        say(json.dumps([{"name": each, "serversCount": 1} for each in mine]))
        return
    name = dict(pairwise(args)).get("--cluster", args[2])
    if words == "cluster create":
        create_by_k3d(daemon, args, mine)
    elif name not in mine:
        fatal(f"failed to get cluster {name}: No nodes found for given cluster")
    elif words == "kubeconfig get":
        say("---\n" + Path(os.environ["STAND_IN_KUBECONFIG"]).read_text(encoding="utf-8"))
    elif words == "image import":
        import_by_k3d(daemon, args, name)
    elif words in ("cluster start", "cluster stop"):
        (daemon.start if args[1] == "start" else daemon.stop)(name)
        log("INFO", f"{'Started' if args[1] == 'start' else 'Stopped'} cluster '{name}'")
    elif words == "cluster delete":
        daemon.stop(name)
        del daemon.clusters[name]
        daemon.save()
        log("INFO", f"Successfully deleted cluster {name}!")


def create_by_k3d(daemon: Docker, args: list[str], mine: list[str]) -> None:
    """Make a cluster, as k3d does: what it is doing goes to standard output."""
    name, port = args[2], args[args.index("--port") + 1]
    host, published, rest = port.split(":", 2)
    assert (host, rest) == ("127.0.0.1", "30080@server:0:direct")
    assert {"--no-lb", "--wait", "--kubeconfig-update-default=false"} <= set(args)
    if name in mine:
        fatal(f"Failed to create cluster '{name}' because a cluster with that name already exists")
    log("INFO", f"Creating node 'k3d-{name}-server-0'")
    if daemon.fault == "hang":
        threading.Event().wait()
    reason = ""
    if daemon.fault == "init":
        reason = "Node k3d-x-server-0 failed to get ready: error waiting for log line `k3s is up and running`"
    elif not daemon.run(name, int(published), "k3d"):
        reason = (
            f"docker failed to start container for node 'k3d-{name}-server-0': Error response from daemon: failed to "
            f"set up container networking: Bind for 127.0.0.1:{published} failed: port is already allocated"
        )
    if reason:
        log("ERRO", f"Failed Cluster Start: Failed to start server k3d-{name}-server-0: {reason}")
        log("ERRO", "Failed to create cluster >>> Rolling Back")
        fatal("Cluster creation FAILED, all changes have been rolled back!")
    log("INFO", f"Cluster '{name}' created successfully!")
    say(f"export KUBECONFIG=$(k3d kubeconfig write {name})\nkubectl cluster-info")


def import_by_k3d(daemon: Docker, args: list[str], name: str) -> None:
    """Import an archive; in any mode but direct an import that fails is logged, and the command still ends well."""
    direct = dict(pairwise(args)).get("--mode") == "direct"
    log("INFO", f"Importing image(s) into cluster '{name}'")
    if problem := daemon.take_in(args[2]):
        failed = f"failed to import images in node 'k3d-{name}-server-0': exec process failed: {problem}"
        if direct:
            log("ERRO", f"Failed to import image(s) into cluster '{name}': error loading image to cluster: {failed}")
            log("WARN", "At least one error occured while trying to import the image(s) into the selected cluster(s)")
            sys.exit(1)
        log("ERRO", failed)
    log("INFO", "Successfully imported 1 image(s) into 1 cluster(s)")


def proxy(port: int, node: str) -> NoReturn:
    """Pass connections on, as docker-proxy does: nobody learns whose they are."""
    with socket.create_server(("127.0.0.1", port)) as server:
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        while True:
            client, _ = server.accept()
            threading.Thread(target=pass_on, args=(client, node), daemon=True).start()


def pass_on(client: socket.socket, node: str) -> None:
    """Copy both ways until both have ended."""
    with client:
        try:
            upstream = socket.create_connection((node, 30080), timeout=60)
        except OSError:
            return
        upstream.settimeout(None)
        with upstream:
            back = threading.Thread(target=copy, args=(upstream, client), daemon=True)
            back.start()
            copy(client, upstream)
            back.join()


def copy(source: socket.socket, target: socket.socket) -> None:
    """Copy one way."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def say(text: str) -> None:
    """Print a result."""
    sys.stdout.write(f"{text}\n")


def end(message: str, output: str = "") -> NoReturn:
    """Fail as kind and docker do."""
    sys.stderr.write(f"{message}\n" + (f"\nCommand Output: {output}\n" if output else ""))
    sys.exit(1)


def log(level: str, message: str) -> None:
    """Log as k3d does, in colours."""
    stream = sys.stdout if level == "INFO" else sys.stderr
    stream.write(f"\x1b[36m{level}\x1b[0m[0000] {message}\n")


def fatal(message: str) -> NoReturn:
    """Fail as k3d does."""
    log("FATA", message)
    sys.exit(1)


_COMMANDS: dict[str, Callable[[Docker, list[str]], None]] = {"docker": docker, "kind": kind, "k3d": k3d}


if __name__ == "__main__":
    if sys.argv[1] == "proxy":
        proxy(int(sys.argv[2]), sys.argv[3])
    _COMMANDS[sys.argv[1]](Docker(), sys.argv[2:])
