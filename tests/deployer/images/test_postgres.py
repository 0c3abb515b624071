"""The database's image as a Pod runs it: nobody's root, a read-only file system, process 1 of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.deployer.images.test_contents import OpenImage
from tests.ports import free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make the namespaces that a Pod has")

USER = 10001
PATIENCE = 60

# What the kubelet and runc would do: a read-only root, the volumes, the usual devices; then nobody's own user.
INIT = r"""
set -eu
root=$1 work=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs dev "$root/dev"
for device in null zero urandom random; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir -m 1777 "$root/dev/shm"
mount --bind "$work/data" "$root/var/lib/postgresql/data"
mount -t tmpfs -o mode=0770,gid=10001 run "$root/run/postgresql"
mount --bind "$work/tmp" "$root/tmp"
exec chroot --userspec=10001:10001 "$root" /usr/bin/postgres-entrypoint -c port="$PORT"
"""


class Pod:
    """Start, kill and ask the database over one data folder."""

    def __init__(self, image: tuple[Path, dict[str, str]], work: Path) -> None:
        self.root, self._environment = image
        self.work = work
        self.log = work / "log"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        for folder in ("data", "tmp"):
            (work / folder).mkdir()
            os.chown(work / folder, USER, USER)
        self.set_password("first")

    def set_password(self, password: str) -> None:
        """Rotate the Secret."""
        (self.work / "tmp" / "password").write_text(password, encoding="utf-8")

    def start(self) -> None:
        """Begin; see ready()."""
        environment = {**os.environ, **self._environment, "PORT": str(self.port), "POSTGRES_USER": "stampchat"}
        environment |= {"POSTGRES_DB": "chat", "POSTGRES_PASSWORD_FILE": "/tmp/password"}
        environment["PATH"] += ":/usr/sbin:/sbin:/bin"
        unshare = ["unshare", "--mount", "--pid", "--ipc", "--fork", "sh", "-c", INIT, "init"]
        with self.log.open("ab") as log:
            command = [*unshare, str(self.root), str(self.work)]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def wait_for(self, text: str) -> None:
        """Poll the log for a line."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.said():
            assert time.monotonic() < deadline, self.said()
            assert self._process is not None
            assert self._process.poll() is None, self.said()
            time.sleep(0.02)

    def end(self, number: int) -> None:
        """Send process 1 a signal and wait until it and all its children are gone."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text(encoding="utf-8")
        for child in children.split():
            os.kill(int(child), number)
        self._process.wait(PATIENCE)
        self._process = None

    def exit_status(self) -> int:
        """Wait for it to end by itself."""
        assert self._process is not None
        status = self._process.wait(PATIENCE)
        self._process = None
        return status

    def close(self) -> None:
        """Leave nothing running."""
        if self._process is not None and self._process.poll() is None:
            self.end(signal.SIGKILL)

    def said(self) -> str:
        """Return the log of this and earlier starts."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def forget(self) -> None:
        """Begin a new log."""
        self.log.unlink()

    async def connect(self, password: str) -> asyncpg.Connection:
        """Log in over TCP."""
        return await asyncpg.connect(
            host="127.0.0.1", port=self.port, user="stampchat", password=password, database="chat"
        )


@pytest.fixture
def pod(opened: OpenImage, tmp_path: Path) -> Iterator[Pod]:
    image = opened("postgres")
    environment = dict(entry.split("=", 1) for entry in image.config["config"]["Env"])
    tmp_path.chmod(0o755)
    made = Pod((image.root, environment), tmp_path)
    yield made
    made.close()


async def test_it_initialises_serves_and_keeps_its_data(pod: Pod) -> None:
    pod.start()
    pod.wait_for("ready to accept connections")
    connection = await pod.connect("first")
    assert await connection.fetchval("SELECT current_user") == "stampchat"
    assert await connection.fetchval("SHOW server_encoding") == "UTF8"
    assert await connection.fetchval("SHOW data_checksums") == "on"
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    await connection.close()
    pod.end(signal.SIGKILL)
    pod.forget()
    pod.start()
    pod.wait_for("ready to accept connections")
    connection = await pod.connect("first")
    assert await connection.fetchval("SELECT number FROM kept") == 7
    await connection.close()
    assert "initdb" not in pod.said()


async def test_killed_while_initialising_it_begins_again(pod: Pod) -> None:
    pod.start()
    pod.wait_for("running bootstrap script")
    pod.end(signal.SIGKILL)
    assert [path.name for path in (pod.work / "data").iterdir()] == ["pgdata.new"]
    pod.forget()
    pod.start()
    pod.wait_for("ready to accept connections")
    assert not (pod.work / "data" / "pgdata.new").exists()
    await (await pod.connect("first")).close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["after a kill", "after an ordinary stop"])
async def test_a_rotated_password_is_the_database_s_at_the_next_start(pod: Pod, number: int) -> None:
    awkward = r"""it's a "rotated" \ $password"""
    pod.start()
    pod.wait_for("ready to accept connections")
    pod.end(number)
    pod.forget()
    pod.set_password(awkward)
    pod.start()
    pod.wait_for("ready to accept connections")
    await (await pod.connect(awkward)).close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await pod.connect("first")
    assert "rotated" not in pod.said()


def test_a_folder_that_it_did_not_make_is_left_alone(pod: Pod) -> None:
    foreign = pod.work / "data" / "pgdata" / "thesis.txt"
    foreign.parent.mkdir()
    foreign.write_text("years of work", encoding="utf-8")
    pod.start()
    assert pod.exit_status() == 1
    assert "holds something that is not a PostgreSQL data folder" in pod.said()
    assert foreign.read_text(encoding="utf-8") == "years of work"


def test_without_a_password_it_does_not_start(pod: Pod) -> None:
    pod.set_password("")
    pod.start()
    assert pod.exit_status() == 1
    assert "there is no password in /tmp/password" in pod.said()
    assert list((pod.work / "data").iterdir()) == []


async def test_the_image_s_stop_signal_does_not_wait_for_clients(pod: Pod, opened: OpenImage) -> None:
    pod.start()
    pod.wait_for("ready to accept connections")
    connection = await pod.connect("first")
    pod.end(signal.Signals[opened("postgres").config["config"]["StopSignal"]])
    assert "database system is shut down" in pod.said()
    connection.terminate()
