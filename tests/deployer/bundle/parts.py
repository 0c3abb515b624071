"""Make a small checkout, its cache, and a wheel of nothing, to pack into bundles."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

from deployer.bundle.pack import Packed, write_bundle
from deployer.report import Silent
from deployer.workspace import Workspace

PACKAGE = "no_such_package_of_stampchat"
FILES = {
    "engine/1.0/pulumi": b"an engine" * 1000,
    "cluster/cluster-abc": b"a program" * 1000,
    "cluster/image-abc.tar": b"an image",
    "cluster/image-abc.json": b"{}",
    "cluster/gateway-api-1/one.yaml": b"one",
    "cluster/gateway-api-1/two.yaml": b"two",
    "debian/runc_1_amd64.deb": b"a package",
    "layers/base-abc.tar.gz": b"a layer",
    "layers/base-abc.json": b"{}",
    f"layers/{'a' * 120}.tar.gz": b"a layer with a name as long as those of wheels",
}
PROGRAMS = {"engine/1.0/pulumi", "cluster/cluster-abc"}


def make_wheel(folder: Path) -> Path:
    """Write a wheel that a network has not."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{PACKAGE}-1.0-py3-none-any.whl"
    info = f"{PACKAGE}-1.0.dist-info"
    files = {
        f"{PACKAGE}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD")))
    return path


def lock_of(wheel: Path) -> str:
    """Return a lock that wants that wheel."""
    return f"{PACKAGE}==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def make_workspace(root: Path, wheel: Path) -> Workspace:
    """Make a checkout with such a lock, and a cache with something of each kind."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "requirements.lock").write_text(lock_of(wheel))
    workspace = Workspace(root=root, home=root / ".stampchat", cache=root / "cache")
    for name, content in FILES.items():
        path = workspace.cache / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if name in PROGRAMS else 0o644)
    index = {"runc": "runc_1_amd64.deb", "unwanted": "unwanted_1_amd64.deb"}
    (workspace.cache / "debian" / "index.json").write_text(json.dumps(index))
    return workspace


def make_bundle(workspace: Workspace, wheel: Path, path: Path) -> Packed:
    """Pack all of it."""
    files = [workspace.cache / name for name in FILES]
    return write_bundle(workspace, path, [wheel], files, Silent())
