"""Images change when what is in them changes, by one layer, and never otherwise."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from deployer.errors import DeployError
from deployer.images import BuiltImage, build_images
from deployer.report import Silent
from deployer.workspace import Workspace, load_workspace
from tests.deployer.images.conftest import new_workspace, open_archive

Built = tuple[Workspace, dict[str, BuiltImage]]


class Notes:
    """Remember progress."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        """Remember one line."""
        self.said.append(text)


def test_the_references_are_written_for_the_programs(built: Built) -> None:
    workspace, images = built
    said = json.loads(workspace.images.read_text(encoding="utf-8"))
    assert said == {name: image.reference for name, image in images.items()}
    assert list(said) == ["services", "postgres", "gateway"]
    for name, image in images.items():
        assert image.reference.startswith(f"stampchat.local/{name}@sha256:")
        assert 0 < image.size < image.archive.stat().st_size


def test_nothing_changed_is_nothing_built(built: Built) -> None:
    workspace, images = built
    before = _times(workspace)
    notes = Notes()
    assert build_images(workspace, notes) == images
    assert notes.said == []
    assert _times(workspace) == before


def test_another_checkout_of_the_same_code_has_the_same_digests(built: Built, tmp_path: Path) -> None:
    again = build_images(new_workspace(tmp_path), Silent())
    assert _references(again) == _references(built[1])


def test_layers_made_anew_are_the_same_bytes(built: Built, tmp_path: Path) -> None:
    """Build with an empty cache of layers from the packages of the shared one; slow (15 s)."""
    shared = load_workspace().cache
    cache = tmp_path / "cache"
    (cache / "layers").mkdir(parents=True)
    for fetched in ("debian", "wheels"):
        (cache / fetched).symlink_to(shared / fetched)
    again = build_images(new_workspace(tmp_path, cache=cache), Silent())
    assert _references(again) == _references(built[1])


def test_a_changed_source_file_is_one_new_layer_of_one_image(built: Built, tmp_path: Path) -> None:
    workspace = new_workspace(tmp_path)
    before = build_images(workspace, Silent())
    layers_before = open_archive(before["services"].archive, tmp_path / "before").layers
    with (workspace.root / "services" / "errors.py").open("a", encoding="utf-8") as file:
        # Never the same twice: the shared cache would still have the layer of an earlier run.
        file.write(f"\nCHANGED = {uuid.uuid4().hex!r}\n")
    notes = Notes()
    after = build_images(workspace, notes)
    layers = open_archive(after["services"].archive, tmp_path / "after").layers
    assert notes.said == ["building the images' code layer", "writing the image services"]
    assert layers[:-1] == layers_before[:-1]
    assert layers[-1] != layers_before[-1]
    assert (after["postgres"], after["gateway"]) == (before["postgres"], before["gateway"])
    assert not before["services"].archive.exists()  # nobody asks for it again
    assert _references(before) == _references(built[1])


def test_a_broken_source_file_is_named_and_changes_nothing(tmp_path: Path) -> None:
    workspace = new_workspace(tmp_path)
    build_images(workspace, Silent())
    before = _times(workspace)
    (workspace.root / "services" / "errors.py").write_text("def broken(:\n", encoding="utf-8")
    with pytest.raises(DeployError) as caught:
        build_images(workspace, Silent())
    assert "app/services/errors.py" in str(caught.value)
    assert "SyntaxError" in str(caught.value)
    assert _times(workspace) == before


def test_an_archive_cut_off_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = new_workspace(tmp_path)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("deployer.oci.layers.os.fsync", die)
        with pytest.raises(KeyboardInterrupt):
            build_images(workspace, Silent())
    assert not workspace.images.exists()
    assert list((workspace.home / "images").glob("*.tar")) == []
    assert all(image.archive.exists() for image in build_images(workspace, Silent()).values())


def _references(images: dict[str, BuiltImage]) -> list[str]:
    return [image.reference for image in images.values()]


def _times(workspace: Workspace) -> dict[Path, int]:
    files = [workspace.images, *(workspace.home / "images").iterdir()]
    return {path: path.stat().st_mtime_ns for path in files}
