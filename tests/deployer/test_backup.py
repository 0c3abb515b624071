"""A stack's state is lost and comes back, by the real engine."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.archive import read_archive
from deployer.backup import Backup, _open_state, back_up, restore
from deployer.errors import DeployError, UsageError
from deployer.project import passphrase_file, state_file
from deployer.report import Silent
from deployer.stack_file import load_stack_file
from deployer.workspace import ROOT, Workspace, load_workspace

SECRET = "4dabf18193072939515e22adb298388d"
KEY = "the-signing-key-that-nobody-may-lose"
URN = "urn:pulumi:dev::stampchat::pulumi:pulumi:Stack::stampchat-dev"


def checkout(root: Path) -> Workspace:
    """Make a checkout of the stack files alone."""
    root.mkdir()
    for file in ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml"):
        shutil.copy(ROOT / file, root / file)
    return Workspace(root=root, home=root / ".stampchat", cache=load_workspace().cache)


@pytest.fixture(scope="module", autouse=True)
def own_engine() -> Iterator[None]:
    """Keep the developer's own passphrase and backend out of it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_BACKEND_URL"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, own_engine: None) -> Path:  # noqa: ARG001  # its environment
    """Make a home whose state has one secret in it."""
    workspace = checkout(tmp_path_factory.mktemp("made") / "checkout")
    pulumi = _open_state(workspace, "dev", load_stack_file(workspace.root / "Pulumi.dev.yaml"), Silent())
    pulumi.init_stack()
    state = json.loads(pulumi.read("stack", "export"))
    secret = {SECRET: "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(KEY)}
    state["deployment"]["resources"] = [
        {"urn": URN, "custom": False, "type": "pulumi:pulumi:Stack", "outputs": {"key": secret}}
    ]
    path = workspace.root / "made.json"
    path.write_text(json.dumps(state))
    pulumi.read("stack", "import", "--file", str(path))
    history = workspace.state / "backend" / ".pulumi" / "history" / "stampchat" / "dev"
    history.mkdir(parents=True)
    (history / "dev-1.history.json").write_text('{"kind": "update"}')
    (history / "dev-1.checkpoint.json").write_text("{}")
    (workspace.state / "cluster-of-dev").write_text("the cluster's fingerprint")
    return workspace.home


@pytest.fixture
def deployed(made: Path, tmp_path: Path) -> Workspace:
    """Have a checkout with such a home."""
    workspace = checkout(tmp_path / "first")
    shutil.copytree(made, workspace.home)
    return workspace


def signing_key(workspace: Workspace) -> Any:
    """Read the secret out of the state, as an update would."""
    pulumi = _open_state(workspace, "dev", load_stack_file(workspace.root / "Pulumi.dev.yaml"), Silent())
    state = json.loads(pulumi.read("stack", "export", "--show-secrets"))
    return json.loads(state["deployment"]["resources"][0]["outputs"]["key"]["plaintext"])


def test_what_was_lost_comes_back_with_the_signing_key(deployed: Workspace, tmp_path: Path) -> None:
    """In the checkout that lost it, and in a fresh clone on another machine; with its history."""
    made = back_up(deployed, "dev", tmp_path / "dev.backup", Silent(), passphrase=tmp_path / "word")
    assert (made.resources, made.opened_by) == (1, "passphrase")
    before = signing_key(deployed)
    shutil.rmtree(deployed.home)

    for workspace in (deployed, checkout(tmp_path / "second")):
        restored = restore(workspace, "dev", tmp_path / "dev.backup", Silent(), passphrase=tmp_path / "word")

        assert signing_key(workspace) == before == KEY
        assert restored.made == made.made
        assert restored.restored is None
        history = workspace.state / "backend" / ".pulumi" / "history" / "stampchat" / "dev"
        assert [path.name for path in history.iterdir()] == ["dev-1.history.json"]
        assert (workspace.state / "cluster-of-dev").read_text() == "the cluster's fingerprint"
        assert passphrase_file(workspace).stat().st_mode & 0o777 == 0o600


def test_a_backup_gives_nothing_away(deployed: Workspace, tmp_path: Path) -> None:
    """Neither the key nor the passphrase is in it, and nobody else can read either file."""
    word = passphrase_file(deployed).read_text()
    back_up(deployed, "dev", tmp_path / "dev.backup", Silent(), passphrase=tmp_path / "word")

    everything = "".join(read_archive(tmp_path / "dev.backup").values())
    assert KEY not in everything
    assert word not in everything
    assert (tmp_path / "word").read_text() == word
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("dev.backup", "word")] == [0o600, 0o600]


def test_without_the_passphrase_or_with_another_nothing_changes(deployed: Workspace, tmp_path: Path) -> None:
    """What each loss costs is said before anything is written."""
    back_up(deployed, "dev", tmp_path / "dev.backup", Silent())
    (tmp_path / "other").write_text("another")
    workspace = checkout(tmp_path / "second")

    for file, said in ((None, "no passphrase at"), (tmp_path / "other", "not the one that the backup was made with")):
        with pytest.raises(UsageError, match=said):
            restore(workspace, "dev", tmp_path / "dev.backup", Silent(), passphrase=file)

    assert not state_file(workspace, "dev").exists()
    assert not passphrase_file(workspace).exists()


def test_a_state_that_is_here_gives_way_only_when_somebody_says_so(deployed: Workspace, tmp_path: Path) -> None:
    """And is laid aside even then."""
    back_up(deployed, "dev", tmp_path / "dev.backup", Silent())
    asked: list[str] = []

    def answer(question: str, *, yes: bool) -> bool:
        asked.append(question)
        return yes

    with pytest.raises(UsageError, match="Not confirmed"):
        restore(deployed, "dev", tmp_path / "dev.backup", Silent(), confirm=lambda q: answer(q, yes=False))
    assert signing_key(deployed) == KEY

    restore(deployed, "dev", tmp_path / "dev.backup", Silent(), confirm=lambda q: answer(q, yes=True))
    assert "has a state of 1 resources" in asked[0]
    assert len(list((deployed.state / "lost").iterdir())) == 1
    assert signing_key(deployed) == KEY


def test_no_file_is_written_over(deployed: Workspace, tmp_path: Path) -> None:
    """Yesterday's backup may be the good one."""
    for name in ("dev.backup", "word"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(UsageError, match="is there already"):
            back_up(deployed, "dev", tmp_path / "dev.backup", Silent(), passphrase=tmp_path / "word")
        (tmp_path / name).unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["first"]


def test_a_stack_that_was_never_brought_up_has_nothing_to_back_up(tmp_path: Path) -> None:
    """Said so, rather than written as an empty file."""
    with pytest.raises(DeployError, match="has not been brought up"):
        back_up(checkout(tmp_path / "second"), "dev", tmp_path / "dev.backup", Silent())
    assert not (tmp_path / "dev.backup").exists()


def test_the_checkouts_newer_stack_file_stays(deployed: Workspace, tmp_path: Path) -> None:
    """The backup's is laid beside, for a person to compare."""
    old = (deployed.root / "Pulumi.dev.yaml").read_text()
    back_up(deployed, "dev", tmp_path / "dev.backup", Silent())
    (deployed.root / "Pulumi.dev.yaml").write_text(f"{old}# newer\n")

    restored: Backup = restore(deployed, "dev", tmp_path / "dev.backup", Silent(), confirm=lambda _: True)

    assert (deployed.root / "Pulumi.dev.yaml").read_text().endswith("# newer\n")
    assert restored.restored is not None
    assert restored.restored.read_text() == old


def damaged(path: Path, folder: Path) -> dict[str, tuple[Path, str]]:
    """Make files that are no backup."""
    whole = path.read_bytes()
    cut, text, tar, link = (folder / name for name in ("cut", "text", "tar", "link"))
    cut.write_bytes(whole[: len(whole) // 2])
    text.write_text("a state")
    for target, member in ((tar, tarfile.TarInfo("../../etc/passwd")), (link, tarfile.TarInfo("about.json"))):
        with tarfile.open(target, "w:gz") as archive:
            if target is link:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/shadow"
            archive.addfile(member, io.BytesIO())
    return {
        "cut": (cut, "cannot be read as a backup"),
        "text": (text, "cannot be read as a backup"),
        "tar": (tar, "cannot be read as a backup"),
        "link": (link, "cannot be read as a backup"),
        "absent": (folder / "absent", "No such file"),
    }


def test_what_is_no_backup_of_this_stack_is_refused(deployed: Workspace, tmp_path: Path) -> None:
    """Cut short, something else, or another stack's."""
    back_up(deployed, "dev", tmp_path / "dev.backup", Silent())
    for path, said in damaged(tmp_path / "dev.backup", tmp_path).values():
        with pytest.raises(UsageError, match=said):
            restore(deployed, "dev", path, Silent())
    with pytest.raises(UsageError, match="is a backup of stack dev, not of prod"):
        restore(deployed, "prod", tmp_path / "dev.backup", Silent())
    assert signing_key(deployed) == KEY
