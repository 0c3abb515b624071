"""Give tests of the bus a NATS of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.chat.bus.server import NatsServer

MakeNats = Callable[..., NatsServer]


@pytest.fixture
def make_nats(tmp_path: Path) -> Iterator[MakeNats]:
    """Make servers that are not started yet, with options of their own."""
    made: list[NatsServer] = []

    def make(**options: object) -> NatsServer:
        folder = tmp_path / f"nats-{len(made)}"
        folder.mkdir()
        made.append(NatsServer(folder, **options))
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def nats_server(make_nats: MakeNats) -> NatsServer:
    """Run a server with the usual options."""
    server = make_nats()
    server.start()
    return server
