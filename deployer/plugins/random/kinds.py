"""Know each kind of random resource: its inputs, what it draws, what stays in state, how an id is adopted."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.plugins.random import adopting, characters, drawing
from deployer.plugins.random.adopting import Adopted
from deployer.plugins.random.drawing import Drawn
from deployer.plugins.random.fields import Field, Problem

_LARGEST_RANGE = 2**63 - 1  # what Go's generator, and with it the official plugin, can draw from


@dataclass(frozen=True)
class Kind:
    """Describe one kind.

    Attributes:
        fields: its inputs.
        draw: makes a new value from the settled inputs.
        results: the names that `draw` adds, for a preview.
        adopt: reads an import id into the inputs and the value; None where no id tells them.
        secret: those of the results that are secret.
        problems: yields what is wrong with inputs that each are of their types.
        settle: returns the inputs over the defaults as the state holds them.
        fixed: what every state of this kind holds besides.
        strict_keepers: whether keepers without a value count as well.
    """

    fields: Mapping[str, Field]
    draw: Callable[[Mapping[str, Any]], Drawn]
    results: tuple[str, ...]
    adopt: Callable[[str], Adopted] | None = None
    secret: frozenset[str] = frozenset()
    problems: Callable[[Mapping[str, Any]], Iterator[Problem]] = lambda _known: iter(())
    settle: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    fixed: Mapping[str, Any] = field(default_factory=dict)
    strict_keepers: bool = False


def settled(kind: Kind, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that the state holds.

    Args:
        kind: the resource's kind.
        given: those that the program gives, as `fields.read` returned them.
    """
    defaults = {name: field.default for name, field in kind.fields.items() if field.default is not None}
    return kind.settle(defaults | dict(given))


def _without_empty(name: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Take "" for nothing, as the official plugin does with a seed and a pet's prefix."""
    return lambda inputs: {key: value for key, value in inputs.items() if key != name or value != ""}


def _range(known: Mapping[str, Any]) -> Iterator[Problem]:
    if not {"min", "max"} <= known.keys():
        return
    if known["min"] > known["max"]:
        yield Problem("min", f"it must not be above `max`, {known['max']}", known["min"])
    elif known["max"] - known["min"] >= _LARGEST_RANGE:
        yield Problem("max", "there must be fewer than 2^63 numbers from `min` to it")


_KEEPERS = {"keepers": Field("keepers")}

KINDS = {
    "random:index/randomPassword:RandomPassword": Kind(
        fields=characters.FIELDS,
        draw=lambda inputs: drawing.password(characters.draw(inputs)),
        results=("result", "bcryptHash", "id"),
        adopt=adopting.password,
        secret=frozenset({"result", "bcryptHash"}),
        problems=characters.problems,
        settle=characters.settle,
        fixed={"__meta": '{"schema_version":"3"}'},
    ),
    "random:index/randomString:RandomString": Kind(
        fields=characters.FIELDS,
        draw=lambda inputs: drawing.text(characters.draw(inputs)),
        results=("result", "id"),
        adopt=adopting.string,
        problems=characters.problems,
        settle=characters.settle,
        fixed={"__meta": '{"schema_version":"2"}'},
    ),
    "random:index/randomBytes:RandomBytes": Kind(
        fields=_KEEPERS | {"length": Field("whole", required=True, least=1)},
        draw=lambda inputs: drawing.octets(secrets.token_bytes(inputs["length"])),
        results=("base64", "hex"),
        adopt=adopting.octets,
        secret=frozenset({"base64", "hex"}),
        strict_keepers=True,
    ),
    "random:index/randomId:RandomId": Kind(
        fields=_KEEPERS | {"byteLength": Field("whole", required=True, least=1), "prefix": Field("text")},
        draw=lambda inputs: drawing.identifier(secrets.token_bytes(inputs["byteLength"]), inputs.get("prefix", "")),
        results=("b64Std", "b64Url", "hex", "dec", "id"),
        adopt=adopting.identifier,
    ),
    "random:index/randomInteger:RandomInteger": Kind(
        fields=_KEEPERS
        | {"min": Field("whole", required=True), "max": Field("whole", required=True), "seed": Field("text")},
        draw=drawing.draw_integer,
        results=("result", "id"),
        adopt=adopting.integer,
        problems=_range,
        settle=_without_empty("seed"),
    ),
    "random:index/randomPet:RandomPet": Kind(
        fields=_KEEPERS
        | {"length": Field("whole", default=2), "separator": Field("text", default="-"), "prefix": Field("text")},
        draw=drawing.draw_pet,
        results=("id",),
        settle=_without_empty("prefix"),
    ),
    "random:index/randomShuffle:RandomShuffle": Kind(
        fields=_KEEPERS
        | {"inputs": Field("texts", required=True), "resultCount": Field("whole", least=0), "seed": Field("text")},
        draw=drawing.draw_shuffle,
        results=("results", "id"),
    ),
    "random:index/randomUuid:RandomUuid": Kind(
        fields=_KEEPERS,
        draw=lambda _inputs: drawing.draw_uuid(),
        results=("result", "id"),
        adopt=adopting.plain_uuid,
    ),
    "random:index/randomUuid4:RandomUuid4": Kind(
        fields=_KEEPERS,
        draw=lambda _inputs: drawing.text(str(uuid.uuid4())),
        results=("result", "id"),
        adopt=adopting.any_uuid,
    ),
    "random:index/randomUuid7:RandomUuid7": Kind(
        fields=_KEEPERS,
        draw=lambda _inputs: drawing.draw_uuid7(),
        results=("result", "id"),
        adopt=adopting.any_uuid,
    ),
}
