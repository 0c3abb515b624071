"""Tell people about secrets, never their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.context import write

if TYPE_CHECKING:
    from deployer.secrets.check import SecretState
    from deployer.secrets.store import Stored


def tell_stored(stored: Stored, stack: str) -> None:
    """Say what was written, and what follows from it."""
    write(f"Written to {stored.path.name}, secrets encrypted: {', '.join(stored.names)}.")
    if stored.restarts:
        write(f"The next `./stampchat up {stack}` restarts {', '.join(stored.restarts)}.")
    for name, answer in stored.answers.items():
        write(f"  {name:<26} {answer}")
    if stored.answers:
        write("Is one of these wrong? `./stampchat secrets set NAME` takes the right address.")
    if stored.passphrase:
        write(
            f"Whoever has {stored.passphrase} can read them: keep a copy of it in a safe place, never beside the file."
        )


def tell_states(states: list[SecretState]) -> None:
    """Say of each secret how it stands."""
    width = max(len(state.name) for state in states)
    write(f"{'Secret':<{width}} {'Set':<5} {'Since':<11} {'Age':<7} {'Used by':<26} Note")
    for state in states:
        age = "" if state.age_days is None else f"{state.age_days} d"
        is_set = "yes" if state.set else ("NO" if state.needed else "no")
        used_by = ", ".join(state.used_by)
        line = f"{state.name:<{width}} {is_set:<5} {state.set_on:<11} {age:<7} {used_by:<26} {state.note}"
        write(line.rstrip())
        for problem in state.problems:
            write(f"  BAD  {problem}")
