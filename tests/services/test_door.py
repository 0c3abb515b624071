"""Who goes when too many connections have said nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.door import CROWD_SECONDS, Door, Watch
from services.port_settings import ConnectionSettings


class Turns:
    """Be a loop whose timers are run by hand."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return 0

    def call_at(self, *_: object) -> object:
        return object()

    def call_later(self, delay: float, callback: Callable[..., object], *arguments: object) -> object:
        self.timers.append((delay, lambda: callback(*arguments)))
        return object()

    def turn(self) -> float:
        """Run what is due next, and return how long that was waited for."""
        delay, run = self.timers.pop(0)
        run()
        return delay


class Silent:
    """Be a connection that says nothing."""

    def __init__(self) -> None:
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    found = Turns()
    monkeypatch.setattr("services.door.asyncio.get_running_loop", lambda: found)
    return found


def _ignore(_: Any) -> None:
    pass


def test_who_was_let_in_within_the_last_turn_is_not_cut_for_saying_nothing(turns: Turns) -> None:
    """It may have spoken long ago: nobody has looked yet. The next time it is one of those who had their chance."""
    door = Door(ConnectionSettings(most=9, most_waiting=1), Watch(opened=_ignore, refused=_ignore))
    old = [Silent(), Silent()]
    for caller in old:
        door.enter(caller)

    assert turns.turn() == CROWD_SECONDS
    new = [Silent(), Silent()]
    for caller in new:
        door.enter(caller)
    assert 0 < turns.turn() < CROWD_SECONDS
    assert [caller.is_cut for caller in (*old, *new)] == [True, True, False, False]

    assert turns.turn() == CROWD_SECONDS
    turns.turn()
    assert [caller.is_cut for caller in new] == [True, False]
    assert not turns.timers


def test_who_speaks_within_the_turn_stays(turns: Turns) -> None:
    door = Door(ConnectionSettings(most=9, most_waiting=1), Watch(opened=_ignore, refused=_ignore))
    first, second = Silent(), Silent()
    door.enter(first)
    door.enter(second)
    turns.turn()
    door.heard(first)
    turns.turn()

    assert (first.is_cut, second.is_cut) == (False, False)
    assert not turns.timers
