"""Images are written the same every time, whole or not at all, and as the specification has them."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from deployer.oci import Entry, ImageSpec, Layer, build, write_archive, write_layer

ENTRIES = [
    Entry("app/main.py", source=b"print('hello')\n"),
    Entry("app", kind="folder", mode=0o755),
    Entry("bin/sh", kind="link", mode=0o777, target="dash"),
    Entry("app/again.py", kind="hardlink", target="app/main.py"),
    Entry("data", kind="folder", mode=0o700, uid=10001, gid=10001),
]


def _image(layer: Layer) -> ImageSpec:
    return ImageSpec(
        name="stampchat.local/hello",
        layers=(layer,),
        entrypoint=("/bin/hello",),
        env=(("A", "1"),),
        labels={"made": "by hand"},
    )


def test_the_same_entries_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    first = write_layer(tmp_path / "first.tar", ENTRIES)
    second = write_layer(tmp_path / "second.tar", reversed(ENTRIES))
    assert first.digest == second.digest == first.diff_id
    assert first.path.read_bytes() == second.path.read_bytes()


def test_a_layer_is_what_its_digest_and_size_say(tmp_path: Path) -> None:
    layer = write_layer(tmp_path / "layer.tar", ENTRIES)
    content = layer.path.read_bytes()
    assert layer.digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert layer.size == len(content)


def test_parents_come_first_and_hard_links_last(tmp_path: Path) -> None:
    layer = write_layer(tmp_path / "layer.tar", ENTRIES)
    with tarfile.open(layer.path) as tar:
        members = {member.name: member for member in tar}
    assert list(members) == ["app", "app/main.py", "bin", "bin/sh", "data", "app/again.py"]
    assert {member.mtime for member in members.values()} == {0}
    assert (members["data"].uid, members["data"].gid, members["data"].mode) == (10001, 10001, 0o700)
    assert members["app/again.py"].islnk()


def test_a_layer_may_hold_files_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF")
    from_path = write_layer(tmp_path / "a.tar", [Entry("program", mode=0o755, source=tmp_path / "program")])
    from_bytes = write_layer(tmp_path / "b.tar", [Entry("program", mode=0o755, source=b"\x7fELF")])
    assert from_path.digest == from_bytes.digest


@pytest.mark.parametrize(
    "entries",
    [[Entry("/etc/passwd")], [Entry("a/../../b")], [Entry("a"), Entry("a", source=b"other")]],
    ids=["absolute", "climbs out", "comes twice"],
)
def test_names_that_cannot_be_meant_are_refused(tmp_path: Path, entries: list[Entry]) -> None:
    with pytest.raises(ValueError, match="comes twice"):
        write_layer(tmp_path / "layer.tar", entries)
    assert list(tmp_path.iterdir()) == []


def test_a_cut_off_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_layer(tmp_path / "layer.tar", [Entry("a", source=b"x" * 100_000), Entry("b", source=tmp_path / "none")])
    assert list(tmp_path.iterdir()) == []


def test_a_cut_off_write_keeps_what_was_there(tmp_path: Path) -> None:
    before = write_layer(tmp_path / "layer.tar", ENTRIES).path.read_bytes()
    with pytest.raises(FileNotFoundError):
        write_layer(tmp_path / "layer.tar", [Entry("b", source=tmp_path / "none")])
    assert (tmp_path / "layer.tar").read_bytes() == before


def test_an_archive_is_an_image_layout_named_by_its_digest(tmp_path: Path) -> None:
    image = _image(write_layer(tmp_path / "layer.tar", ENTRIES))
    digest = write_archive(image, tmp_path / "image.tar", arch="amd64")
    with tarfile.open(tmp_path / "image.tar") as tar:
        contents = {member.name: _read(tar, member) for member in tar if member.isfile()}
    assert json.loads(contents["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    for name, content in contents.items():
        if name.startswith("blobs/sha256/"):
            assert hashlib.sha256(content).hexdigest() == name.removeprefix("blobs/sha256/")
    (described,) = json.loads(contents["index.json"])["manifests"]
    assert described["digest"] == digest == build(image, arch="amd64").digest
    assert described["annotations"] == {"io.containerd.image.name": f"stampchat.local/hello@{digest}"}
    manifest = json.loads(contents[f"blobs/sha256/{digest.removeprefix('sha256:')}"])
    config = json.loads(contents[f"blobs/{manifest['config']['digest'].replace(':', '/')}"])
    assert config["config"]["User"] == "10001:10001"
    assert config["config"]["Env"] == ["A=1"]
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]


def test_any_change_of_content_or_start_changes_the_digest(tmp_path: Path) -> None:
    layer = write_layer(tmp_path / "layer.tar", ENTRIES)
    other = write_layer(tmp_path / "other.tar", [Entry("app/main.py", source=b"print('other')\n")])
    image = _image(layer)
    digests = {build(image, arch="amd64").digest, build(_image(other), arch="amd64").digest}
    digests |= {build(image, arch="arm64").digest}
    digests |= {build(ImageSpec(name=image.name, layers=(layer,), entrypoint=("/bin/other",)), arch="amd64").digest}
    assert len(digests) == 4


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()
