"""Give each checkout a cluster of its own: a name, a network number and a port that no other has."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import time
from dataclasses import asdict, fields, replace
from pathlib import Path

from deployer.cluster.model import Choice, Instance, Where
from deployer.errors import DeployError, UsageError
from deployer.files import write_whole
from deployer.ports import find_holders, port_free, port_taken
from deployer.workspace import Workspace

_FIRST_PORT = 8080
# How many ports after the wanted one are tried before another cluster of ours makes us give up.
_PORTS = 100
# Seconds; the kernel ends the processes of a killed box one after the other.
_LETTING_GO = 2
_NUMBERS = 254
# An abstract name: the kernel gives it to one alone and takes it back when its holder dies.
_CLAIM = "\0stampchat-network-{}"
_HAS_ABSTRACT_NAMES = sys.platform == "linux"


def load_instance(workspace: Workspace, *, port: int | None = None, where: Where | None = None) -> Instance:
    """Return what sets this checkout's cluster apart, choosing and noting it where needed.

    A number or port that another cluster of this machine took while ours was down is chosen anew. A port that
    anything else holds is refused: someone may rely on the address, so it never moves in silence.

    Args:
        workspace: the checkout.
        port: the port that the user asks for, or None for the one that was given before, or 8080.
        where: where it is to be; None leaves it where it is, which is in a box of ours at first.

    Raises:
        UsageError: the port is out of range or taken, or the cluster is somewhere else already.
    """
    name = instance_name(workspace.home)
    known = stored_instance(workspace)
    where = where or (known.where if known else Where())
    _refuse_move(workspace, known, where)
    if where.ground != "embedded":
        return _elsewhere(workspace, name, known, where, port)
    if known is not None and known.ground != "embedded":
        known = None
    if known is not None and not number_free(known.number) and _ours(known, workspace):
        kept = known if port in (None, known.port) else replace(known, port=_checked(port))
        return kept if kept == _read(workspace.instance) else _note(workspace, kept)
    if known is not None:
        _await_number(known.number)
    first = known.number if known else int(name[-6:], 16) % _NUMBERS + 1
    number, port = _free_number(first), _port(port, known)
    chosen = replace(known or Instance(name, number, port), number=number, port=port)
    return chosen if chosen == _read(workspace.instance) else _note(workspace, chosen)


def _refuse_move(workspace: Workspace, known: Instance | None, where: Where) -> None:
    """Keep what runs somewhere from being forgotten there."""
    standing = known is not None and (workspace.cluster / "kubeconfig").exists()
    if known is None or not standing or (known.ground, known.context) == (where.ground, where.context):
        return
    raise UsageError(
        f"Stack dev of this checkout is on another cluster ({known.where}), and you ask for {where}.",
        advice="Nothing was changed. Take that one away first, with its data: `./stampchat cluster down --purge`.",
    )


def _elsewhere(workspace: Workspace, name: str, known: Instance | None, where: Where, port: int | None) -> Instance:
    """Return what sets a cluster apart that is not in a box of ours: it has no number, and Docker holds its port."""
    port_known = known.port if known is not None and known.ground == where.ground else None
    standing = port_known is not None and (workspace.cluster / "kubeconfig").exists()
    if where.ground == "context":
        chosen = 0
    elif standing and port_known is not None:
        if port not in (None, port_known):
            raise UsageError(
                f"The {where.ground} cluster of this checkout answers at {port_known}, which cannot be changed later.",
                advice="Leave --port away, or make the cluster anew: `./stampchat cluster down --purge`, then `up`.",
            )
        chosen = port_known
    else:
        chosen = (
            _checked(port)
            if port is not None
            else _port(None, replace(known, port=port_known) if known and port_known else None)
        )
    instance = Instance(
        name, 0, chosen, ground=where.ground, context=where.context, kubeconfig=where.kubeconfig, url=where.url
    )
    return instance if instance == known else _note(workspace, instance)


def choose(workspace: Workspace, instance: Instance, choice: Choice) -> Instance:
    """Note what a cluster is to have, and return what sets it apart from then on.

    Args:
        workspace: the checkout.
        instance: what `load_instance` gave.
        choice: what the user asks for.
    """
    chosen = replace(instance, **{name: value for name, value in asdict(choice).items() if value is not None})
    return instance if chosen == instance else _note(workspace, chosen)


def stored_instance(workspace: Workspace) -> Instance | None:
    """Return what was chosen for this checkout, or None when nothing was.

    A note that somebody broke is read off the box that was made from it: its port must not move.

    Args:
        workspace: the checkout.
    """
    name = instance_name(workspace.home)
    known = _read(workspace.instance)
    if known is None or known.name != name:
        known = _read_box(workspace.cluster / "box.json")
    return known if known is not None and known.name == name else None


def instance_name(home: Path) -> str:
    """Return the name of the cluster that keeps its data in a home."""
    return f"stampchat-{hashlib.sha256(str(home).encode()).hexdigest()[:6]}"


def claim_number(number: int) -> socket.socket:
    """Claim a network number on this machine until the socket is closed, by whoever holds it last.

    Args:
        number: which.

    Raises:
        DeployError: another cluster has it.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(_CLAIM.format(number))
    except OSError as error:
        claim.close()
        raise DeployError(
            f"Another cluster took the network 10.231.{number}.0/30 at this very moment.", advice="Run this again."
        ) from error
    return claim


def number_free(number: int) -> bool:
    """Return whether no running cluster of this machine has a network number; elsewhere than on Linux none runs."""
    if not _HAS_ABSTRACT_NAMES:
        return True
    try:
        claim_number(number).close()
    except DeployError:
        return False
    return True


def _ours(known: Instance, workspace: Workspace) -> bool:
    """Return whether the box that holds our number is ours, by the port that it holds for us or its spec's path."""
    holders = [holder for holder in find_holders(known.port) if holder.is_box]
    return any(str(workspace.cluster) in argument for holder in holders for argument in holder.command)


def _await_number(number: int) -> None:
    """Give a box that was killed a moment ago the time to let go of its number."""
    deadline = time.monotonic() + _LETTING_GO
    while not number_free(number) and time.monotonic() < deadline:
        time.sleep(0.05)


def _free_number(first: int) -> int:
    for step in range(_NUMBERS):
        number = (first - 1 + step) % _NUMBERS + 1
        if number_free(number):
            return number
    raise DeployError(
        f"{_NUMBERS} clusters run on this machine already.", advice="End one: `./stampchat cluster down`."
    )


def _port(wanted: int | None, known: Instance | None) -> int:
    if wanted is not None:
        return _checked(wanted)
    first = known.port if known else _FIRST_PORT
    for port in range(first, first + _PORTS):
        if port_free(port):
            return port
        if not any(holder.is_box for holder in find_holders(port)):
            raise port_taken(port)
    raise port_taken(first)


def _checked(port: int | None) -> int:
    if port is None or not 0 < port < 1 << 16:
        raise UsageError(f"{port} is no port.", advice="Choose a number from 1 to 65535, such as `--port 8081`.")
    if not port_free(port):
        raise port_taken(port)
    return port


def _read(path: Path) -> Instance | None:
    try:
        noted = Instance(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return noted if isinstance(noted.number, int) and isinstance(noted.port, int) else None


def _read_box(path: Path) -> Instance | None:
    """Return what a box was made for, by its specification."""
    try:
        spec = json.loads(path.read_text(encoding="utf-8"))
        number = int(spec["network"]["gateway"].split(".")[2])
        return Instance(name=str(spec["name"]), number=number, port=int(spec["port"]))
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None


def _note(workspace: Workspace, instance: Instance) -> Instance:
    workspace.instance.parent.mkdir(parents=True, exist_ok=True)
    # What is as it always was need not be said, and earlier versions read no more than they know.
    usual = {field.name: field.default for field in fields(instance)}
    told = {key: value for key, value in asdict(instance).items() if value != usual[key]}
    write_whole(workspace.instance, json.dumps(told) + "\n")
    return instance
