"""Make, find and end the box that a cluster runs in."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from deployer.cluster.embedded import cgroups
from deployer.cluster.embedded.files import write_private
from deployer.cluster.embedded.layout import BOX_STATUS, Layout
from deployer.cluster.instance import claim_number
from deployer.cluster.model import Instance
from deployer.errors import DeployError
from deployer.ports import port_taken

_BACKLOG = 512
_START_TIMEOUT = 60.0
_LINK_TIMEOUT = 10.0
_CLONE_NEWNET = 0x40000000
_LOOPBACK, _EVERY_ADDRESS = "127.0.0.1", "0.0.0.0"  # noqa: S104  # only where the user asked for it


def find_init(name: str) -> int | None:
    """Return the first process of a cluster's box, or None when there is no box.

    Nothing on disk says which one it is, so nothing there can be wrong: it is the one among the cluster's own
    processes that is number 1 in its namespace.

    Args:
        name: the cluster's.
    """
    for pid in cgroups.programs(name):
        if _inner_pid(pid) == 1:
            return pid
    return None


def start_box(layout: Layout, program: Path, spec: dict[str, Any]) -> int:
    """Make a box and return its first process.

    Args:
        layout: the cluster.
        program: the `box` program.
        spec: what is to be in the box.

    Raises:
        DeployError: the port or the network number is taken, or the box could not be made.
    """
    leaves = cgroups.make_cgroup(layout.name)
    text = json.dumps(spec | {"cgroups": [str(leaf) for leaf in leaves]}, indent=1)
    making = layout.spec.with_name("box.making.json")
    write_private(making, text)
    with _listen(layout.instance) as listener, claim_number(layout.instance.number) as claim:
        sockets = (listener.fileno(), claim.fileno())
        started = _run([str(program), "start", str(making), *map(str, sockets)], sockets)
    if started.returncode:
        end_box(layout)
        raise DeployError(
            f"The box of {layout.name} could not be made.",
            said=started.stdout,
            advice="In a container it must be privileged. What was made so far is gone again.",
        )
    write_private(layout.spec, json.dumps(spec, indent=1))
    init = find_init(layout.name)
    if init is None:
        said = (layout.logs / "box.log").read_text(encoding="utf-8", errors="replace")
        raise DeployError(f"The box of {layout.name} ended at once.", said=said[-2000:])
    return init


def end_box(layout: Layout) -> None:
    """End a box and everything in it; what it keeps on disk stays.

    Args:
        layout: the cluster.

    Raises:
        DeployError: something in it does not die.
    """
    init = find_init(layout.name)
    if init is not None:
        _kill(init)
    for pid in cgroups.programs(layout.name):  # a start that was cut short
        _kill(pid)
    cgroups.remove_cgroup(layout.name)
    # The kernel takes the link away soon after the last process; a new box must not find the old one.
    subprocess.run(["ip", "link", "delete", layout.link], capture_output=True, check=False)
    _await_link_gone(layout.link)


def box_status(init: int) -> list[dict[str, Any]]:
    """Return what a box says of its programs, with process numbers as this machine sees them.

    Args:
        init: the first process of the box.
    """
    path = Path(f"/proc/{init}/root{BOX_STATUS}")
    try:
        states: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    outer = {_inner_pid(pid): pid for pid in _children(init)}
    return [state | {"pid": outer.get(state["pid"])} for state in states]


def age(pid: int) -> float:
    """Return for how many seconds a process has lived, by a clock that nobody sets; 0 when it is gone.

    Args:
        pid: its number on this machine.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    started = int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")  # proc(5), field 22
    return max(time.clock_gettime(time.CLOCK_BOOTTIME) - started, 0.0)


def socket_inside(init: int, kind: socket.SocketKind) -> socket.socket:
    """Make an IPv4 socket in a box's network, for use from outside.

    Args:
        init: the first process of the box.
        kind: a datagram or a stream socket.
    """
    made: list[socket.socket | OSError] = []

    def make() -> None:  # in a thread of its own: only that thread moves into the box's network, and it ends here
        try:
            with Path(f"/proc/{init}/ns/net").open("rb") as namespace:
                failed = ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET)
            made.append(OSError(ctypes.get_errno(), "setns") if failed else socket.socket(socket.AF_INET, kind))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def _listen(instance: Instance) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_EVERY_ADDRESS if instance.lan else _LOOPBACK, instance.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise port_taken(instance.port) from error
    return listener


def _run(command: list[str], sockets: tuple[int, int]) -> subprocess.CompletedProcess[str]:
    """Run `box start` in a session of its own, which Ctrl-C does not reach."""
    return subprocess.run(
        command,
        pass_fds=sockets,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        timeout=_START_TIMEOUT,
        check=False,
    )


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _await_link_gone(link: str) -> None:
    deadline = time.monotonic() + _LINK_TIMEOUT
    while Path(f"/sys/class/net/{link}").exists():
        if time.monotonic() > deadline:
            raise DeployError(f"The link {link} of an ended box stays.", advice=f"Remove it: `ip link delete {link}`.")
        time.sleep(0.02)


def _inner_pid(pid: int) -> int | None:
    """Return a process's number inside a box; processes of Pods, one namespace further in, have none."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    numbers = next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])
    return int(numbers[1]) if len(numbers) == 2 else None  # noqa: PLR2004  # outside and inside


def _children(pid: int) -> list[int]:
    """Return the children of every thread of a process."""
    children: list[int] = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children += [int(child) for child in tasks.read_text(encoding="utf-8").split()]
    return children
