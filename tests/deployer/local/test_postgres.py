from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deployer.errors import DeployError
from deployer.local import postgres as subject
from deployer.local.keys import ensure_keys
from deployer.local.layout import Layout
from deployer.local.postgres import Postgres, end_orphan
from tests.deployer.local.test_settings import PLACES

SLEEP = "import time; print(flush=True); time.sleep(60)"


def sleeper(*words: str) -> subprocess.Popen[bytes]:
    """Start a process, and wait until it is what it is to be."""
    command = [sys.executable, "-c", SLEEP, *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def test_the_server_that_a_killed_local_left_is_ended(data: Path) -> None:
    lock = data / "postmaster.pid"
    # SIGINT ends it, as it ends a server in good order.
    with sleeper("-D", str(data)) as orphan:
        lock.write_text(f"{orphan.pid}\n{data}\n")

        end_orphan(data)

        assert orphan.wait(10) != 0
    assert not lock.exists()


def test_a_process_that_was_given_the_number_since_is_left_alone(data: Path) -> None:
    lock = data / "postmaster.pid"
    with sleeper() as stranger:
        try:
            lock.write_text(f"{stranger.pid}\n{data}\n")

            end_orphan(data)

            assert stranger.poll() is None
        finally:
            stranger.kill()
    assert not lock.exists()


@pytest.mark.parametrize("content", ["", "no number\n", None])
def test_a_lock_that_says_nothing_is_left_to_postgres(data: Path, content: str | None) -> None:
    lock = data / "postmaster.pid"
    if content is not None:
        lock.write_text(content)

    end_orphan(data)

    assert lock.exists() is (content is not None)


def test_without_a_list_of_processes_the_lock_stays(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_PROCESSES", data / "no-proc")
    (data / "postmaster.pid").write_text("1\n")

    end_orphan(data)

    assert (data / "postmaster.pid").exists()


async def test_a_server_that_does_not_come_is_told_with_its_last_words(layout: Layout) -> None:
    ensure_keys(layout)

    with pytest.raises(DeployError, match="Postgres does not start") as caught:
        await Postgres(layout, PLACES).fill(["one", "two", "FATAL: no room"])

    assert caught.value.said == "FATAL: no room"
    assert "--fresh" in caught.value.advice


async def test_a_data_folder_that_cannot_be_made_is_told(layout: Layout) -> None:
    ensure_keys(layout)
    layout.database.parent.mkdir(parents=True, exist_ok=True)
    layout.database.write_text("a file")

    assert "cannot be made: " in await Postgres(layout, PLACES).prepare()


def test_no_password_is_in_the_servers_arguments_or_environment(layout: Layout) -> None:
    ensure_keys(layout)
    secrets = {path.read_text().strip() for path in layout.secrets.iterdir()}
    program = Postgres(layout, PLACES).program()

    assert not secrets & {*program.command, *program.environment.values()}
