from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployer import cluster, local, uninstall
from deployer.cluster.instance import instance_name
from deployer.errors import UsageError
from deployer.uninstall import folder_size, other_clusters, plan_removal
from deployer.workspace import ROOT, Workspace
from tests.deployer.recorder import Recorder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")
    for folder in (found.home, found.cache):
        folder.mkdir()
        (folder / "file").write_text("12345")
    return found


def test_only_what_our_commands_made_goes(workspace: Workspace) -> None:
    assert plan_removal(workspace, keep_cache=False) == [workspace.home, workspace.cache]
    assert plan_removal(workspace, keep_cache=True) == [workspace.home]
    assert folder_size(workspace.home) == 5


def test_the_cluster_goes_before_its_files(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(cluster, "down", lambda found, **_: seen.append(found.home.exists()))

    removed = uninstall.uninstall(workspace, Recorder(), keep_cache=True)

    assert seen == [True]
    assert [removal.path for removal in removed] == [workspace.home]
    assert not workspace.home.exists()
    assert workspace.cache.exists()


@contextmanager
def box_of(cache: Path, home: Path) -> Iterator[None]:
    """Run what looks like the first process of a cluster's box."""
    (cache / "init").write_text("read word")
    command = [f"{cache}/cluster/box-1", "init", f"{home}/cluster/box.making.json"]
    with subprocess.Popen(command, executable="/bin/sh", cwd=cache, stdin=subprocess.PIPE) as running:
        try:
            yield
        finally:
            running.kill()


def test_a_cache_that_another_cluster_runs_from_stays(workspace: Workspace, tmp_path: Path) -> None:
    """Its own is stopped, and one that runs from another cache is nobody's business."""
    with box_of(workspace.cache, workspace.home), box_of(tmp_path, tmp_path / "third"):
        assert other_clusters(workspace) == []
        with box_of(workspace.cache, tmp_path / "other"), pytest.raises(UsageError, match=r"from .*cache") as caught:
            uninstall.uninstall(workspace, Recorder(), keep_cache=False)

    assert caught.value.said == f"the cluster of {tmp_path / 'other'}"
    assert workspace.cache.exists()


@pytest.mark.parametrize("words", [None, "postgres: checkpointer"])
def test_a_cache_that_another_local_runs_from_stays(workspace: Workspace, words: str | None) -> None:
    """Postgres's processes call themselves otherwise than what they run."""
    program = workspace.cache / "local" / "1" / "sleep"
    program.parent.mkdir(parents=True)
    shutil.copy2("/bin/sleep", program)
    with subprocess.Popen([words or program, "60"], executable=program) as running:
        try:
            with pytest.raises(UsageError, match="Another checkout's `local` runs from") as caught:
                uninstall.uninstall(workspace, Recorder(), keep_cache=False)
        finally:
            running.kill()

    assert f"process {running.pid} ({program})" in caught.value.said
    assert workspace.cache.exists()


def test_a_cache_whose_python_another_local_runs_stays(workspace: Workspace) -> None:
    """Of an environment's Python only the words lie in the cache: it is a link to the machine's."""
    program = workspace.cache / "local" / "1" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    with subprocess.Popen(
        [program, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        try:
            assert running.stdout
            running.stdout.readline()
            assert uninstall.programs_from(workspace.cache) == [f"process {running.pid} ({program})"]
        finally:
            running.kill()


def test_a_local_that_runs_here_stays(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_running", lambda _: local.Running(7, "http://127.0.0.1:8080"))

    with pytest.raises(UsageError, match=r"runs in this checkout \(process 7\)"):
        uninstall.uninstall(workspace, Recorder(), keep_cache=True)

    assert workspace.home.exists()


def test_roots_database_goes_too(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "system" / "local-123"
    database.mkdir(parents=True)
    monkeypatch.setattr(local, "leftovers", lambda _: [database])

    assert plan_removal(workspace, keep_cache=True) == [workspace.home, database]


def test_what_a_cluster_has_besides_its_files_is_named(workspace: Workspace) -> None:
    """Each ground leaves other things on the machine."""
    assert uninstall.describe_cluster(workspace) == []
    name = instance_name(workspace.home)
    told = []
    for more in ({"ground": "kind"}, {"ground": "context", "context": "mine"}, {}):
        workspace.instance.write_text(json.dumps({"name": name, "number": 7, "port": 8081, **more}))
        told.append(uninstall.describe_cluster(workspace))

    assert told == [
        [f"the kind cluster {name} in Docker, with its volumes"],
        ["the note that stack dev is on the cluster of context mine; what is in it stays"],
        [],
    ]


def test_every_package_that_a_message_tells_people_to_install_is_named() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "deployer").rglob("*.py")]
    sources.append((ROOT / "stampchat").read_text(encoding="utf-8"))
    asked = {name for text in sources for name in re.findall(r"apt-get install ([a-z0-9-]+)", text)}

    assert asked - {"python3"} <= set(uninstall.PACKAGES)
