"""Read the states of passwords and strings that earlier versions of the official plugin wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.plugins.random.drawing import hashed, is_hash_of
from deployer.plugins.random.fields import read
from deployer.plugins.random.kinds import Kind, settled
from deployer.plugins.values import Secret, reveal

_DELTA = "__pulumi_raw_state_delta"  # the official plugin's note on the state that it wrote: no longer true


def inputs_in(kind: Kind, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that a state holds; an imported password once had no length.

    Args:
        kind: the resource's kind.
        state: its outputs.
    """
    given = read(kind.fields, state)
    if kind.fixed and "length" not in given:
        given["length"] = len(_result(state).encode())
    return given


def upgrade(kind: Kind, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state with what later versions added: rules without a value, `numeric`, the password's hash.

    Args:
        kind: the resource's kind.
        state: its outputs, with secret markers; those of today come back as they are.
    """
    if kind.fixed.items() <= state.items():
        return dict(state)
    kept = {name: value for name, value in state.items() if name != _DELTA}
    today = {**kept, **settled(kind, inputs_in(kind, state)), **kind.fixed}
    if "bcryptHash" in kind.results and not is_hash_of(_result(state), str(reveal(state.get("bcryptHash")))):
        today["bcryptHash"] = Secret(hashed(_result(state)))
    return today


def _result(state: Mapping[str, Any]) -> str:
    return str(reveal(state.get("result")) or "")
