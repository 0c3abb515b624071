"""The small parts that images are made with."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from deployer.errors import DeployError, ProcessError
from deployer.images.debian import image_path, read_packages
from deployer.images.gateway import gateway_entries
from deployer.images.python import read_code
from deployer.images.store import LayerStore, key_of
from deployer.images.tree import read_wheel
from deployer.oci import Entry
from deployer.workspace import ROOT


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("./", ""),
        (".", ""),
        ("./bin/", "bin"),
        ("./bin/busybox", "usr/bin/busybox"),
        ("./lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("./lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2"),
        ("./usr/lib/ssl/x", "usr/lib/ssl/x"),
        ("./library/x", "library/x"),
    ],
)
def test_packages_are_read_into_a_merged_usr(name: str, expected: str) -> None:
    assert image_path(name) == expected


def test_a_package_is_read_without_running_its_scripts(tmp_path: Path) -> None:
    entries = read_packages([_package(tmp_path, postinst=f"#!/bin/sh\ntouch {tmp_path}/ran\n")])
    assert entries["usr/lib/hello.so"].source == b"content"
    assert entries["usr/lib/link"].target == "hello.so"
    assert entries["usr/bin/hello"].mode == 0o755  # it was setuid
    assert "usr/share/man/man1/hello.1" not in entries
    assert "usr/share/doc/hello/changelog" not in entries
    assert "usr/share/doc/hello/copyright" in entries
    assert b"Package: hello" in bytes(entries["var/lib/dpkg/status.d/hello"].source)
    assert not (tmp_path / "ran").exists()


def test_a_broken_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken_1_all.deb").write_bytes(b"no package")
    with pytest.raises(ProcessError, match=r"broken_1_all\.deb"):
        read_packages([tmp_path / "broken_1_all.deb"])


def test_a_wheel_is_read_as_it_would_be_installed(tmp_path: Path) -> None:
    wheel = _wheel(tmp_path, {"a/b.py": "1", "a-1.data/purelib/a/c.py": "2", "a-1.data/scripts/a": "3"})
    assert read_wheel(wheel) == {"a/b.py": b"1", "a/c.py": b"2", "a-1.data/scripts/a": b"3"}


def test_a_wheel_without_traefik_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="no Traefik in a-1-py3"):
        gateway_entries([_wheel(tmp_path, {"a/b.py": "1"})])


def test_only_code_goes_into_the_code_layer(tmp_path: Path) -> None:
    wanted = ["services/__init__.py", "services/chat/app.py", "services/chat/migrations/0001.sql"]
    unwanted = [
        "services/.env",
        "services/.hidden/a.py",
        "services/chat/firebase.json",
        "services/chat/key.pem",
        "services/chat/app.py.swp",
        "services/chat/tests/test_app.py",
        "services/__pycache__/app.cpython-311.pyc",
    ]
    for name in wanted + unwanted:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    assert sorted(read_code(tmp_path / "services")) == wanted


def test_whatever_git_tracks_of_the_services_is_in_the_code_layer() -> None:
    """A service that needs another kind of file must say so in images/python.py."""
    listed = subprocess.run(["git", "ls-files", "services"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this checkout is no git repository")
    tracked = {name for name in listed.stdout.split() if (ROOT / name).exists() and not name.endswith(".md")}
    assert tracked - set(read_code(ROOT / "services")) == set()


def test_a_layer_is_made_once(tmp_path: Path) -> None:
    store = LayerStore(tmp_path)
    first = store.layer("a", "key", lambda: [Entry("x", source=b"1")])
    assert store.layer("a", "key", _fail) == first
    assert store.layer("a", "other", lambda: [Entry("x", source=b"2")]).digest != first.digest


@pytest.mark.parametrize("damage", ["no tar", "short tar", "no record", "half a record"])
def test_a_layer_that_is_not_whole_is_made_again(tmp_path: Path, damage: str) -> None:
    store = LayerStore(tmp_path)
    first = store.layer("a", "key", lambda: [Entry("x", source=b"1")])
    record = tmp_path / "a-key.json"
    match damage:
        case "no tar":
            first.path.unlink()
        case "short tar":
            first.path.write_bytes(first.path.read_bytes()[:-1])
        case "no record":
            record.unlink()
        case _:
            record.write_text('{"digest": "sha', encoding="utf-8")
    with pytest.raises(RuntimeError, match="asked to build"):
        store.layer("a", "key", _fail)
    assert store.layer("a", "key", lambda: [Entry("x", source=b"1")]) == first
    assert store.layer("a", "key", _fail) == first


def test_a_build_that_fails_leaves_nothing_believed_whole(tmp_path: Path) -> None:
    store = LayerStore(tmp_path)
    with pytest.raises(FileNotFoundError):
        store.layer("a", "key", lambda: [Entry("x", source=b"1" * 100_000), Entry("y", source=tmp_path / "none")])
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


def test_keys_tell_parts_apart() -> None:
    assert len({key_of("a", "b"), key_of("ab"), key_of("b", "a"), key_of(b"a", "b"), key_of(["a", "b"])}) == 5


def _fail() -> list[Entry]:
    raise RuntimeError("asked to build")


def _wheel(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _package(folder: Path, *, postinst: str) -> Path:
    tree = folder / "tree"
    files = {
        "DEBIAN/control": "Package: hello\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n",
        "DEBIAN/postinst": postinst,
        "bin/hello": "#!/bin/sh\n",
        "lib/hello.so": "content",
        "usr/share/man/man1/hello.1": "",
        "usr/share/doc/hello/changelog": "",
        "usr/share/doc/hello/copyright": "",
    }
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content, encoding="utf-8")
    (tree / "lib/link").symlink_to("hello.so")
    (tree / "bin/hello").chmod(0o4755)
    (tree / "DEBIAN/postinst").chmod(0o755)
    deb = folder / "hello_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(tree), str(deb)], check=True, capture_output=True)
    return deb
