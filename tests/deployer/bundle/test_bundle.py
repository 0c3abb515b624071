"""A bundle arrives whole, on the machine that it is for, or nothing of it does."""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.bundle import manifest as manifest_module
from deployer.bundle import pack, use
from deployer.bundle.manifest import ManifestError, cksum, describe_here, lock_key, parse_manifest
from deployer.bundle.use import use_bundle, use_what_is_named
from deployer.errors import DeployError, UsageError
from deployer.needs import Needs
from deployer.report import Silent
from deployer.workspace import Workspace
from tests.deployer.bundle.parts import FILES, PROGRAMS, make_bundle, make_wheel, make_workspace


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "wheels")


@pytest.fixture
def there(tmp_path: Path, wheel: Path) -> Workspace:
    return make_workspace(tmp_path / "there", wheel)


@pytest.fixture
def here(there: Workspace, tmp_path: Path) -> Workspace:
    root = tmp_path / "here"
    root.mkdir()
    shutil.copy2(there.root / "requirements.lock", root)
    return Workspace(root=root, home=root / ".stampchat", cache=root / "cache")


@pytest.fixture
def bundle(there: Workspace, wheel: Path, tmp_path: Path) -> Path:
    return make_bundle(there, wheel, tmp_path / "out" / "bundle.tar.gz").path


def cached(workspace: Workspace) -> dict[str, bytes]:
    files = [path for path in workspace.cache.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(workspace.cache)): path.read_bytes() for path in files}


def test_what_is_packed_there_is_here(here: Workspace, bundle: Path, wheel: Path) -> None:
    used = use_bundle(here, bundle, Silent())

    found = cached(here)
    index = json.loads(found.pop("debian/index.json"))
    python = {name: content for name, content in found.items() if name.startswith("python/")}
    assert python == {f"python/{pack.wheel_folder(here).name}/{wheel.name}": wheel.read_bytes()}
    assert {name: content for name, content in found.items() if name not in python} == FILES
    assert index == {"runc": "runc_1_amd64.deb"}
    assert {name for name in FILES if (here.cache / name).stat().st_mode & 0o111} == PROGRAMS
    assert (used.files, used.taken) == (len(FILES) + 2, len(FILES) + 1)


def test_a_second_time_takes_nothing_and_what_is_here_stays(here: Workspace, bundle: Path) -> None:
    use_bundle(here, bundle, Silent())
    own = here.cache / "debian" / "runc_2_amd64.deb"
    own.write_bytes(b"newer")
    (here.cache / "debian" / "index.json").write_text('{"runc": "runc_2_amd64.deb"}')

    used = use_bundle(here, bundle, Silent())

    assert used.taken == 0
    assert json.loads((here.cache / "debian" / "index.json").read_text()) == {"runc": "runc_2_amd64.deb"}


def test_what_was_damaged_here_is_made_good(here: Workspace, bundle: Path) -> None:
    use_bundle(here, bundle, Silent())
    (here.cache / "cluster" / "cluster-abc").write_bytes(b"an accident")

    used = use_bundle(here, bundle, Silent())

    assert used.taken == 1
    assert (here.cache / "cluster" / "cluster-abc").read_bytes() == FILES["cluster/cluster-abc"]


def test_the_same_parts_make_the_same_bundle(there: Workspace, wheel: Path, bundle: Path, tmp_path: Path) -> None:
    again = make_bundle(there, wheel, tmp_path / "again.tar.gz")

    assert again.path.read_bytes() == bundle.read_bytes()
    assert (
        again.sha256
        == subprocess.run(["sha256sum", bundle], capture_output=True, text=True, check=True).stdout.split()[0]
    )


def cut_short(bundle: Path) -> None:
    bundle.write_bytes(bundle.read_bytes()[:-200])


def damage(bundle: Path) -> None:
    content = bytearray(gzip.decompress(bundle.read_bytes()))
    at = content.index(b"a layer\0")
    content[at] ^= 1
    bundle.write_bytes(gzip.compress(bytes(content)))


def add_foreign(bundle: Path) -> None:
    with tarfile.open(bundle) as archive:
        members = [(member, archive.extractfile(member)) for member in archive.getmembers()]
        contents = [(member, source.read()) for member, source in members if source is not None]
    outside = tarfile.TarInfo("cache/../../outside")
    with tarfile.open(bundle, "w:gz") as archive:
        for member, content in [contents[0], (outside, b""), *contents[1:]]:
            archive.addfile(member, io.BytesIO(content))


def be_something_else(bundle: Path) -> None:
    bundle.write_text("#!/bin/sh\n")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut_short, "cut short or damaged"),
        (damage, "the SHA-256 of cache/layers/base-abc.tar.gz is"),
        (add_foreign, "is not what the manifest says"),
        (be_something_else, "or no bundle"),
    ],
)
def test_what_did_not_arrive_as_it_was_made_leaves_nothing(
    here: Workspace, bundle: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(bundle)

    with pytest.raises(DeployError) as caught:
        use_bundle(here, bundle, Silent())

    assert said in str(caught.value)
    assert caught.value.exit_code == 1
    assert "Nothing was taken" in caught.value.advice
    assert cached(here) == {}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"machine": "riscv64"}, "on riscv64, and this is"),
        ({"system": "Darwin"}, "is for Darwin on"),
        ({"version": "0.0.1"}, r"another version of this checkout \(0.0.1; here"),
        ({"lock": "1-1"}, "another version of this checkout"),
        ({"sources": "0"}, "another version of this checkout"),
    ],
)
def test_what_is_for_another_machine_or_version_is_refused(  # noqa: PLR0917  # the fixtures are the subject
    there: Workspace,
    here: Workspace,
    wheel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, Any],
    said: str,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(
            pack, "describe_here", lambda *args: dataclasses.replace(manifest_module.describe_here(*args), **changed)
        )
        foreign = make_bundle(there, wheel, tmp_path / "foreign.tar.gz").path

    with pytest.raises(UsageError, match=said):
        use_bundle(here, foreign, Silent())

    assert cached(here) == {}


def test_no_bundle_and_a_folder_for_one_are_told(
    here: Workspace, there: Workspace, wheel: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="There is no bundle"):
        use_bundle(here, tmp_path / "none", Silent())
    (tmp_path / "file").touch()
    with pytest.raises(DeployError, match="cannot be written"):
        make_bundle(there, wheel, tmp_path / "file" / "bundle.tar.gz")


def test_a_bundle_is_not_opened_where_nothing_is_lacking(here: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use, "find_needs", lambda _: Needs())

    assert use_what_is_named(here, Silent(), {use.VARIABLE: "/nonexistent"}).startswith("not opened")


def test_a_manifest_is_read_as_it_was_written_and_names_no_place_outside(here: Workspace) -> None:
    written = describe_here(here.root, (manifest_module.Packet("cache/a b/c", 3, "00"),))

    assert parse_manifest(written.render()) == written
    for path in ("/etc/passwd", "cache/../../x", "etc/passwd", "cache"):
        with pytest.raises(ManifestError):
            parse_manifest(written.render().replace("cache/a b/c", path))


def test_the_launcher_and_we_call_a_lock_by_the_same_name(here: Workspace) -> None:
    said = (
        subprocess.run(["cksum"], input=(here.root / "requirements.lock").read_bytes(), capture_output=True, check=True)
        .stdout.decode()
        .split()
    )

    assert lock_key(here.root) == "-".join(said)
    assert cksum(b"") == 4294967295
