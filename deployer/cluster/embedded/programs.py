"""Have the programs of the box ready in the cache, made once for every checkout that has the same sources."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deployer.cluster.embedded.builds import SOURCES, Program, build, key_of, place
from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.fetch.debian import absent, fetch_packages, unpack
from deployer.fetch.gomod import module_dir
from deployer.fetch.seal import is_folder_intact, is_intact, seal, seal_folder
from deployer.oci import Entry, ImageSpec, write_archive, write_layer
from deployer.report import Report
from deployer.versions import load_versions, machine_arch
from deployer.workspace import Workspace

_LIBRARY_FOLDERS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}

# Debian links these by its alternatives, which an unpacked package does not have.
_IPTABLES = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")

_SHELL_COMMANDS = ("sh", "mkdir", "rm")


@dataclass(frozen=True)
class Image:
    """Name the cluster's own image: DNS, the pause program and a shell for volumes.

    Attributes:
        reference: "stampchat.local/cluster@sha256:…".
        archive: the file to import it from.
    """

    reference: str
    archive: Path


@dataclass(frozen=True)
class Programs:
    """Name what runs in the box.

    Attributes:
        folder: the cache folder that the programs of our build lie in.
        cluster: the file name of every Kubernetes component and etcd in one.
        box: that of the program that makes the box and is its first process.
        forward: that of the forwarder.
        local_path: that of the volume provisioner.
        debian: the folder of the unpacked Debian packages.
        library_folder: Debian's name for this processor's libraries.
        image: the cluster's own image.
        gateway_api: the folder of the Gateway API's definitions.
        registry: the registry's program, as a path in the folder, where the cluster is to have one.
        extras: the file names of what the cluster does without until it is built, by component.
    """

    folder: Path
    cluster: str
    box: str
    forward: str
    local_path: str
    debian: Path
    library_folder: str
    image: Image
    gateway_api: Path
    registry: str = ""
    extras: Mapping[str, str] = field(default_factory=dict)


def ensure_programs(workspace: Workspace, report: Report) -> Programs:
    """Build and fetch what is missing in the cache.

    Args:
        workspace: whose cache.
        report: where progress goes.

    Raises:
        DeployError: Go or apt is missing, the disk is full, or a build failed.
    """
    folder = workspace.cache / "cluster"
    debian = _debian(folder, workspace.cache, report)
    built = {name: build(name, program, workspace, report) for name, program in cluster_programs().items()}
    return Programs(
        folder=folder,
        cluster=built["cluster"].name,
        box=built["box"].name,
        forward=built["forward"].name,
        local_path=built["local-path-provisioner"].name,
        debian=debian,
        library_folder=_LIBRARY_FOLDERS[machine_arch()],
        image=_image(folder, built["pause"], built["coredns"], debian / "bin" / "busybox"),
        gateway_api=gateway_api_definitions(workspace.cache, report),
    )


def lacking(cache: Path) -> list[str]:
    """List what `ensure_programs` would have to build or fetch, for people.

    Args:
        cache: the cache folder; nothing in it is changed.
    """
    lacks = [
        program.what.partition(" (")[0]
        for name, program in cluster_programs().items()
        if not place(name, program, cache).exists()
    ]
    lacks += lacking_definitions(cache)
    if packages := absent(load_versions()["cluster"]["debian"], cache=cache):
        lacks.append(f"{len(packages)} Debian packages")
    return lacks


def lacking_definitions(cache: Path) -> list[str]:
    """List what `gateway_api_definitions` would have to fetch, for people.

    Args:
        cache: the cache folder; nothing in it is changed.
    """
    return [] if _definitions(cache / "cluster").exists() else ["the Gateway API's definitions"]


def files(workspace: Workspace, report: Report) -> list[Path]:
    """Return every file of the cache that `ensure_programs` needs elsewhere, so that nothing is built there.

    Args:
        workspace: whose cache.
        report: where progress goes.

    Raises:
        DeployError: as ensure_programs.
    """
    programs = ensure_programs(workspace, report)
    built = [place(name, program, workspace.cache) for name, program in cluster_programs().items()]
    image = [programs.image.archive, programs.image.archive.with_suffix(".json")]
    packages = fetch_packages(load_versions()["cluster"]["debian"], cache=workspace.cache, report=report)
    return [*built, *image, *sorted(programs.gateway_api.iterdir()), *packages]


def _version_flags() -> str:
    version = load_versions()["cluster"]["kubernetes"]
    major, minor, _ = version.split(".")
    package = "k8s.io/component-base/version"
    named = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    return " ".join(f"-X {package}.{name}={value}" for name, value in named.items())


def cluster_programs() -> dict[str, Program]:
    """Say what each program that we build is built from, by its file's name."""
    return {
        "cluster": Program(
            "Kubernetes and etcd (about 5 minutes the first time)", ".", sources=["*.go"], flags=_version_flags()
        ),
        "coredns": Program("CoreDNS", "./cmd/coredns", sources=["cmd/coredns/*.go"]),
        "local-path-provisioner": Program(
            "the volume provisioner", "github.com/rancher/local-path-provisioner", module="local-path"
        ),
        # These use the standard library alone: new pins for Kubernetes make no new ones of them.
        "box": Program("the box", "./cmd/box", sources=["cmd/box/*.go"], pinned=False),
        "forward": Program("the forwarder", "./cmd/forward", sources=["cmd/forward/*.go"], pinned=False),
        "pause": Program("the pause program", "./cmd/pause", sources=["cmd/pause/*.go"], pinned=False),
    }


def _debian(folder: Path, cache: Path, report: Report) -> Path:
    names = load_versions()["cluster"]["debian"]
    packages = fetch_packages(names, cache=cache, report=report)
    unpacked = folder / f"debian-{key_of(*[deb.name.encode() for deb in packages])}"
    with exclusive(unpacked):
        if not is_folder_intact(unpacked):
            with staging(unpacked) as fresh:
                unpack(packages, fresh)
                shutil.rmtree(fresh / "usr" / "share", ignore_errors=True)
                for name in _IPTABLES:
                    (fresh / "usr" / "sbin" / name).symlink_to("xtables-nft-multi")
                replace_folder(fresh, unpacked)
            seal_folder(unpacked)
    return unpacked


def _image(folder: Path, pause: Path, coredns: Path, busybox: Path) -> Image:
    """Write one image for all that the cluster itself runs in Pods."""
    # By the folder's name, which says what is in it: where the cache lies makes no other image.
    key = key_of(pause.name.encode(), coredns.name.encode(), busybox.parent.parent.name.encode())
    archive, record = folder / f"image-{key}.tar", folder / f"image-{key}.json"
    with exclusive(archive):
        if not (_reference(record) and is_intact(archive)):
            layer = write_layer(folder / f"image-{key}.layer", _entries(pause, coredns, busybox))
            name = f"{load_versions()['images']['registry']}/cluster"
            spec = ImageSpec(name=name, layers=(layer,), entrypoint=("/pause",), user="65532:65532")
            digest = write_archive(spec, archive, arch=machine_arch())
            layer.path.unlink()
            seal(archive)
            record.write_text(json.dumps({"reference": f"{name}@{digest}"}), encoding="utf-8")
    return Image(reference=_reference(record), archive=archive)


def _reference(record: Path) -> str:
    """Return what a finished image is called; nothing where there is none, or its record is damaged."""
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["reference"])
    except (OSError, ValueError, TypeError, LookupError):
        return ""


def _entries(pause: Path, coredns: Path, busybox: Path) -> list[Entry]:
    programs = {"pause": pause, "coredns": coredns, "bin/busybox": busybox}
    files = [Entry(name, mode=0o755, source=source) for name, source in programs.items()]
    links = [Entry(f"bin/{name}", kind="link", target="busybox") for name in _SHELL_COMMANDS]
    return [*files, *links, Entry("tmp", kind="folder", mode=0o1777)]


def gateway_api_definitions(cache: Path, report: Report) -> Path:
    """Copy the standard channel's definitions out of their module, so that later starts need no Go.

    Args:
        cache: the cache folder.
        report: where progress goes.

    Raises:
        DeployError: they cannot be had.
    """
    copied = _definitions(cache / "cluster")
    with exclusive(copied):
        if not is_folder_intact(copied):
            report.note("fetching the definitions of the Gateway API")
            module = module_dir(SOURCES / "gateway-api", "sigs.k8s.io/gateway-api", cache=cache)
            with staging(copied) as fresh:
                for file in (module / "config" / "crd" / "standard").glob("*.yaml"):
                    (fresh / file.name).write_bytes(file.read_bytes())
                replace_folder(fresh, copied)
            seal_folder(copied)
    return copied


def _definitions(folder: Path) -> Path:
    return folder / f"gateway-api-{load_versions()['cluster']['gateway_api']}"
