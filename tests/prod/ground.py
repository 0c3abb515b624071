"""Make what stack prod stands on, out of one machine: a cluster, a load balancer, hosted databases, a Google, an ACME.

What is ours is real and is run by its own commands, in a copy of the checkout. What a user would have from others is
stood in for, each part by a module beside this one.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import AppsV1Api, CoreV1Api
from kubernetes.config import new_client_from_config

from deployer import cluster, images
from deployer.report import Silent
from deployer.stack_file import change_stack_file
from deployer.workspace import Workspace, load_workspace
from tests.checkouts import Copy, taken_away
from tests.ports import free_port
from tests.prod.balancer import Balancer
from tests.prod.certificates import Issuing, issuing
from tests.prod.databases import CONNECTIONS, SERVICES, HostedDatabases
from tests.prod.databases import NAME as DATABASES
from tests.prod.google import Google
from tests.prod.load import Site

HOSTNAME = "chat.stampchat.internal"
EMAIL = "operator@stampchat.internal"
# Lines of the copy that differ from the checkout's, since this is no cloud: two processors hold no nine pods that are
# promised a quarter each, and Google's keys come from the stand-in.
ADAPTED = {
    "infra/sizes.py": ('HOSTED_SERVICE = Size(cpu="250m"', 'HOSTED_SERVICE = Size(cpu="50m"'),
    "infra/applications.py": (
        '"LOGIN": ",".join(config.login),',
        '"LOGIN": ",".join(config.login), "FIREBASE_KEYS_URL": "{keys_url}",',
    ),
}
# A mount namespace of its own, in which the name resolves as it would once its DNS record is made.
_WITH_NAMES = 'mount --bind "$0" /etc/hosts && exec "$@"'


class Checkout(Copy):
    """Be a copy of the checkout in whose commands names resolve as the ground has them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hosts.write_bytes(Path("/etc/hosts").read_bytes())

    @property
    def hosts(self) -> Path:
        """What stands in for the machine's own file of names."""
        return self.root.parent / "hosts"

    @property
    def workspace(self) -> Workspace:
        """Its folders."""
        return Workspace(root=self.root, home=(self.root / ".stampchat").resolve(), cache=load_workspace().cache)

    def change(self, name: str, old: str, new: str) -> None:
        """Change a line of a file.

        Raises:
            AssertionError: it is not there.
        """
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} holds {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def command(self, *args: str) -> list[str]:
        """Start it where the names are; but a cluster's own mounts have to be seen by every other command."""
        own = super().command(*args)
        if args[0] == "cluster":
            return own
        return ["unshare", "--mount", "sh", "-c", _WITH_NAMES, str(self.hosts), *own]


@dataclass
class Ground:
    """Be all that stack prod stands on, and the copy of the checkout whose commands deploy it.

    Attributes:
        checkout: whose commands are run.
        address: the node's, and the load balancer's.
        host: this machine's address as the cluster sees it.
        kubeconfig: the cluster.
        databases: where the services store.
        google: who vouches for people.
        issuing: who issues certificates, and where the world believes that names lead.
        folder: for files.
        first: what the first `up` printed.
    """

    checkout: Checkout
    address: str
    host: str
    kubeconfig: Path
    databases: HostedDatabases
    google: Google
    issuing: Issuing
    folder: Path
    first: Any = None

    @property
    def site(self) -> Site:
        """The deployment, as its users reach it."""
        return Site(f"https://{HOSTNAME}", self.address, str(self.authority))

    @property
    def authority(self) -> Path:
        """The file of the authorities that users trust."""
        return self.folder / "authority.pem"

    def init_secrets(self) -> None:
        """Give the stack what only a user has, as a user does."""
        files = {f"{service}-database-url-file": self.databases.url(service) for service in SERVICES}
        files["firebase"] = self.google.service_account()
        options = []
        for name, content in files.items():
            path = self.folder / name
            path.write_text(content, encoding="utf-8")
            options += [f"--{name}", str(path)]
        names = ["--context", context_of(self.kubeconfig), "--hostname", HOSTNAME, "--email", EMAIL]
        self.checkout.run("secrets", "init", "--stack", "prod", *options, *names)
        config = {
            "stampchat:kubeconfig": str(self.kubeconfig),
            "stampchat:gateway": {"kind": "gateway-api"},
            "stampchat:acme": {
                "server": self.issuing.pebble.directory,
                "caBundle": self.issuing.pebble.authority,
                "email": EMAIL,
            },
            "stampchat:databaseCa": self.databases.authority.read_text(encoding="utf-8"),
            "stampchat:databaseMaxConnections": CONNECTIONS,
            "stampchat:maxReplicas": 4,
        }
        change_stack_file(self.checkout.root / "Pulumi.prod.yaml", config, {})

    def kill_an_up(self) -> None:
        """Begin the first update, and kill its command while a Deployment is being made."""
        with (
            self.checkout.begin("up", "--stack", "prod", "--yes") as process,
            new_client_from_config(str(self.kubeconfig)) as client,
        ):
            listed = AppsV1Api(client).list_namespaced_deployment
            while process.poll() is None and not listed("stampchat").items:
                time.sleep(0.05)
            process.kill()
            _, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, err

    def up(self) -> Any:
        """Bring the stack up, or up to date, and return what that printed."""
        return self.checkout.json("up", "--stack", "prod", "--yes")

    def load_images(self) -> None:
        """Build the images and put them into the cluster, as a cluster without a way to a registry gets them."""
        built = images.build_images(self.checkout.workspace, Silent())
        archives = {image.reference: image.archive for image in built.values()}
        cluster.load_images(self.checkout.workspace, archives, Silent())


@contextmanager
def open_ground(folder: Path) -> Iterator[Ground]:
    """Make the ground, and leave nothing of it."""
    with ExitStack() as stack:
        checkout = stack.enter_context(taken_away(Checkout(folder / "checkout")))
        # Without figures no autoscaler acts: two busy processors have enough with three pods of each.
        checkout.run("cluster", "up", "--port", str(free_port()), "--no-metrics")
        number = json.loads(checkout.workspace.instance.read_text())["number"]
        kubeconfig = cluster.kubeconfig(checkout.workspace)
        host, node = f"10.231.{number}.1", f"10.231.{number}.2"
        databases = HostedDatabases(host, f"10.231.{number}.0/30")
        stack.callback(databases.remove)
        databases.start()
        google = stack.enter_context(Google(_public_address(number, checkout)))
        stack.enter_context(Balancer(kubeconfig, node))
        for name, (old, new) in ADAPTED.items():
            checkout.change(name, old, new.format(keys_url=google.keys_url))
        issuer = stack.enter_context(issuing(checkout.workspace, kubeconfig, host=host, folder=folder))
        issuer.names.lead(HOSTNAME, node)
        ground = Ground(checkout, node, host, kubeconfig, databases, google, issuer, folder)
        ground.authority.write_text(issuer.pebble.roots, encoding="utf-8")
        # What Python's and Go's TLS take for the machine's own authorities.
        checkout.environ["SSL_CERT_FILE"] = str(ground.authority)
        _name(ground, {HOSTNAME: node, DATABASES: host})
        yield ground


def context_of(kubeconfig: Path) -> str:
    """Name a kubeconfig's context."""
    return str(yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))["current-context"])


def _public_address(number: int, checkout: Checkout) -> str:
    """Give this machine's end of the link an address that no policy takes for a private network (RFC 2544)."""
    address = f"198.18.{number}.1"
    name = json.loads(checkout.workspace.instance.read_text())["name"]
    link = f"sc-{name.removeprefix('stampchat-')}"
    subprocess.run(["ip", "address", "add", f"{address}/32", "dev", link], check=True)
    return address


def _name(ground: Ground, names: dict[str, str]) -> None:
    """Have names resolve, in the cluster and for the commands on this machine."""
    lines = "".join(f"{address} {name}\n" for name, address in names.items())
    with ground.checkout.hosts.open("a", encoding="utf-8") as hosts:
        hosts.write(lines)
    with new_client_from_config(str(ground.kubeconfig)) as client:
        core = CoreV1Api(client)
        found = core.read_namespaced_config_map("coredns", "kube-system").data["Corefile"]
        known = "".join(f"    {line}\n" for line in lines.splitlines())
        corefile = found.replace("template ANY ANY", f"hosts {{\n{known}    fallthrough\n  }}\n  template ANY ANY", 1)
        core.patch_namespaced_config_map("coredns", "kube-system", {"data": {"Corefile": corefile}})
        # It reads its file when it starts.
        core.delete_collection_namespaced_pod("kube-system", label_selector="k8s-app=kube-dns")
