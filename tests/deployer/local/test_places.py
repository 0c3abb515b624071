from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest

from deployer.errors import UsageError
from deployer.local import places as subject
from deployer.local.layout import Layout
from deployer.local.places import Places, choose_places, is_free
from deployer.ports import Holder
from tests.ports import free_port


def places_of(layout: Layout, port: int | None) -> Places:
    with ExitStack() as held:
        return choose_places(layout, port, held)


def listen(port: int) -> socket.socket:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    held.listen()
    return held


def test_the_gateways_port_is_kept(layout: Layout) -> None:
    port = free_port()

    assert places_of(layout, port).gateway == port
    assert places_of(layout, None).gateway == port


def test_a_port_that_a_stranger_holds_is_refused_with_its_name(layout: Layout) -> None:
    port = free_port()
    places_of(layout, port)

    with listen(port):
        for wanted in (port, None):
            with pytest.raises(UsageError, match=rf"Port {port} .* process \d+ .*python") as caught:
                places_of(layout, wanted)
            assert "--port" in caught.value.advice


def test_another_checkouts_gateway_makes_ours_take_the_next(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    places_of(layout, port)
    other = Holder(1, ("/x/bin/traefik", "--providers.file.filename=/other/.stampchat/local/routes.yaml"))
    monkeypatch.setattr(subject, "find_holders", lambda _: [other])

    with listen(port):
        assert places_of(layout, None).gateway > port


def test_somebody_elses_traefik_does_not(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    places_of(layout, port)
    monkeypatch.setattr(subject, "find_holders", lambda _: [Holder(1, ("/usr/bin/traefik", "--configfile=/etc/t"))])

    with listen(port), pytest.raises(UsageError):
        places_of(layout, None)


def test_a_taken_inner_port_is_replaced_and_none_is_chosen_twice(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setattr(subject, "POSTGRES_PORT", port)

    with listen(port):
        places = places_of(layout, free_port())

    assert places.postgres != port
    inner = [places.postgres, *places.public.values(), *places.internal.values()]
    assert len(set(inner)) == 7


def test_a_port_just_given_back_is_free_again(layout: Layout) -> None:
    port = free_port()
    code = (
        "import socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); "
        f"s.bind(('127.0.0.1', {port})); s.listen(); c = socket.create_connection(('127.0.0.1', {port})); "
        "a, _ = s.accept(); a.close()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

    assert is_free(port)
    layout.port.write_text("no number")
    assert places_of(layout, port).gateway == port


def test_two_that_start_at_the_same_moment_do_not_meet(layout: Layout) -> None:
    port = free_port()
    with ExitStack() as held:
        first = choose_places(layout, port, held)
        second = places_of(layout, None)
        with pytest.raises(UsageError, match=rf"Another `local` is taking port {port}"):
            places_of(layout, port)

    one = {first.gateway, first.postgres, *first.public.values(), *first.internal.values()}
    assert not one & {second.gateway, second.postgres, *second.public.values(), *second.internal.values()}
    assert places_of(layout, port).gateway == port
