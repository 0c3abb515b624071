"""A name, a number and a port for each checkout."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import pytest

from deployer import ports
from deployer.cluster import instance as subject
from deployer.cluster.instance import choose, claim_number, load_instance
from deployer.cluster.model import Choice
from deployer.errors import DeployError, UsageError
from deployer.ports import Holder
from deployer.workspace import Workspace
from tests.ports import free_port

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="NOT TESTED: reads Linux's list of sockets")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(root=tmp_path, home=tmp_path / ".stampchat", cache=tmp_path / "cache")


@pytest.fixture(autouse=True)
def _claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters run on this machine meanwhile, and begin: their claims are none of these tests'."""
    monkeypatch.setattr(subject, "_CLAIM", f"\0stampchat-test-{os.getpid()}-{{}}")


@contextmanager
def _listening(port: int = 0) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_same_checkout_gets_the_same_instance(workspace: Workspace) -> None:
    """What was chosen once is kept."""
    port = free_port()

    assert load_instance(workspace, port=port) == load_instance(workspace) == load_instance(workspace, port=port)


@pytest.mark.parametrize("name", [field.name for field in fields(Choice)])
def test_what_is_chosen_is_kept_and_what_is_usual_is_not_written(workspace: Workspace, name: str) -> None:
    """So an earlier version reads the file of whoever chose nothing."""
    usual = load_instance(workspace, port=free_port())
    other = not getattr(usual, name)

    chosen = choose(workspace, usual, Choice(**{name: other}))

    assert getattr(chosen, name) is other
    assert load_instance(workspace) == choose(workspace, chosen, Choice()) == chosen
    assert choose(workspace, chosen, Choice(**{name: not other})) == usual
    assert set(json.loads(workspace.instance.read_text())) == {"name", "number", "port"}


def test_two_checkouts_have_different_names(tmp_path: Path, workspace: Workspace) -> None:
    """The name comes from where the home lies."""
    other = Workspace(root=tmp_path, home=tmp_path / "other", cache=tmp_path / "cache")

    names = {load_instance(each, port=free_port()).name for each in (workspace, other)}

    assert len(names) == 2
    assert all(len(name) == len("stampchat-0a1b2c") for name in names)


def test_a_number_in_use_is_passed_over(workspace: Workspace) -> None:
    """A cluster that another checkout started meanwhile keeps its network; ours takes the next."""
    port = free_port()
    first = load_instance(workspace, port=port).number

    with claim_number(first):
        assert load_instance(workspace, port=port).number == first % 254 + 1


def test_a_number_can_be_claimed_once() -> None:
    """The second claim fails while the first lives, and works afterwards."""
    with claim_number(254), pytest.raises(DeployError, match=r"10\.231\.254\.0/30"):
        claim_number(254)
    claim_number(254).close()


def test_a_taken_port_is_refused_by_name_of_its_holder(workspace: Workspace) -> None:
    """The error says who listens there and what to type instead."""
    with _listening() as port, pytest.raises(UsageError, match=rf"taken by process {os.getpid()} \(.*python") as caught:
        load_instance(workspace, port=port)

    assert "--port" in caught.value.advice
    assert not workspace.instance.exists()


def test_the_default_port_is_refused_when_a_stranger_has_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that someone relies on never moves in silence."""
    with _listening() as port:
        monkeypatch.setattr(subject, "_FIRST_PORT", port)
        with pytest.raises(UsageError, match=f"Port {port} of this machine is taken"):
            load_instance(workspace)


def test_another_cluster_of_ours_makes_way(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second clone gets the next free port."""
    with _listening() as port:
        monkeypatch.setattr(subject, "_FIRST_PORT", port)
        monkeypatch.setattr(subject, "find_holders", lambda _: [Holder(1, ("/cache/box-0", "init", "/other/spec"))])

        assert load_instance(workspace).port > port


def test_the_remnants_of_a_killed_box_are_waited_for(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its forwarder holds the port for a moment longer than its first process lives."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def dying(_: int) -> list[Holder]:
        listener.close()
        return [Holder(2, ("/cache/forward-0", "-to", "10.231.7.2:30080"))]

    monkeypatch.setattr(ports, "find_holders", dying)

    assert load_instance(workspace, port=port).port == port


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_no_port_is_refused(workspace: Workspace, port: int) -> None:
    """A typing error is said, not tried."""
    with pytest.raises(UsageError, match="is no port"):
        load_instance(workspace, port=port)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"name": "x"}', '{"name": "stampchat-ffffff", "number": 1, "port": 1}']
)
def test_a_broken_or_foreign_note_is_replaced(workspace: Workspace, text: str) -> None:
    """A half-written file, or one copied from another checkout, is no reason to stop."""
    workspace.home.mkdir()
    workspace.instance.write_text(text)
    port = free_port()

    assert load_instance(workspace, port=port).port == port


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe\x00", b'{"name": "x", "number": "1", "port": null}'])
def test_a_broken_note_is_read_off_the_box_that_was_made_from_it(workspace: Workspace, text: bytes) -> None:
    """Somebody relies on the port: it does not move because a file broke."""
    first = load_instance(workspace, port=free_port())
    workspace.cluster.mkdir()
    network = {"gateway": f"10.231.{first.number}.1"}
    box = {"name": first.name, "port": first.port, "network": network}
    (workspace.cluster / "box.json").write_text(json.dumps(box))
    workspace.instance.write_bytes(text)

    assert load_instance(workspace) == first
    (workspace.cluster / "box.json").unlink()
    assert load_instance(workspace) == first, "it was not noted again"


def test_where_no_box_can_be_no_number_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS the kernel knows no abstract names: every number would look taken, and uninstall would refuse."""
    monkeypatch.setattr(subject, "_HAS_ABSTRACT_NAMES", False)

    def refuse(_: int) -> socket.socket:
        raise DeployError("nobody should ask")

    monkeypatch.setattr(subject, "claim_number", refuse)

    assert subject.number_free(7)
