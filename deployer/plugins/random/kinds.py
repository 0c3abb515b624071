"""Know each kind of random resource: what it draws, what stays in state, how an id is adopted."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import bcrypt

from deployer.plugins.random import characters

_BCRYPT_LIMIT = 72  # bcrypt reads no further; the official plugin cuts there as well


@dataclass(frozen=True)
class Drawn:
    """Hold what was drawn: the resource's id and what it has besides its inputs."""

    id: str
    results: dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """Describe one kind.

    Attributes:
        draw: makes a new value from the inputs over the defaults.
        adopt: reads an import id into the inputs and the value; raises ValueError when it cannot.
        results: the names that `draw` adds, for a preview.
        secret: those of them that are secret.
        required: the inputs that it cannot do without.
        problems: yields each wrong input with the reason.
        with_defaults: returns inputs over the defaults.
        unsupported: inputs that this stand-in does not honour.
        fixed: what every state of this kind holds besides.
    """

    draw: Callable[[Mapping[str, Any]], Drawn]
    adopt: Callable[[str], tuple[dict[str, Any], Drawn]]
    results: tuple[str, ...]
    secret: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    problems: Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]] = lambda _inputs: iter(())
    with_defaults: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    unsupported: tuple[str, ...] = ()
    fixed: dict[str, Any] = field(default_factory=dict)


def _password(value: str) -> Drawn:
    digest = bcrypt.hashpw(value.encode()[:_BCRYPT_LIMIT], bcrypt.gensalt(rounds=10, prefix=b"2a"))
    return Drawn("none", {"result": value, "bcryptHash": digest.decode(), "id": "none"})


def _string(value: str) -> Drawn:
    return Drawn(value, {"result": value, "id": value})


def _bytes(value: bytes) -> Drawn:
    encoded = base64.b64encode(value).decode()
    return Drawn(encoded, {"base64": encoded, "hex": value.hex()})


def _id(value: bytes, prefix: str) -> Drawn:
    url = base64.urlsafe_b64encode(value).decode().rstrip("=")
    shown = {
        "b64Url": url,
        "b64Std": base64.b64encode(value).decode(),
        "hex": value.hex(),
        "dec": str(int.from_bytes(value)),
    }
    return Drawn(url, {name: prefix + text for name, text in shown.items()} | {"id": url})


def _integer(value: int) -> Drawn:
    return Drawn(str(value), {"result": value, "id": str(value)})


def _uuid(value: str) -> Drawn:
    return Drawn(value, {"result": value, "id": value})


def _adopt_id(text: str) -> tuple[dict[str, Any], Drawn]:
    prefix, _, url = text.rpartition(",")
    value = base64.b64decode(url + "=" * (-len(url) % 4), altchars=b"-_", validate=True)
    inputs: dict[str, Any] = {"byteLength": len(value)}
    return (inputs | {"prefix": prefix} if prefix else inputs), _id(value, prefix)


def _adopt_integer(text: str) -> tuple[dict[str, Any], Drawn]:
    parts = text.split(",")
    if len(parts) != 3:  # noqa: PLR2004  # result,min,max
        raise ValueError("it must read result,min,max")
    result, least, most = (int(part) for part in parts)
    return {"min": least, "max": most}, _integer(result)


def _adopt_bytes(text: str) -> tuple[dict[str, Any], Drawn]:
    value = base64.b64decode(text, validate=True)
    return {"length": len(value)}, _bytes(value)


def _length(name: str) -> Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]:
    def check(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        if inputs[name] < 1:
            yield name, f"it must be at least 1, got {inputs[name]}"

    return check


def _range(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if inputs["min"] > inputs["max"]:
        yield "min", f"it must not be above `max`, {inputs['max']}, got {inputs['min']}"


KINDS = {
    "random:index/randomPassword:RandomPassword": Kind(
        draw=lambda inputs: _password(characters.draw(inputs)),
        adopt=lambda text: ({"length": len(text)}, _password(text)),
        results=("result", "bcryptHash", "id"),
        secret=frozenset({"result", "bcryptHash"}),
        required=("length",),
        problems=characters.problems,
        with_defaults=characters.with_defaults,
        fixed={"__meta": '{"schema_version":"3"}'},
    ),
    "random:index/randomString:RandomString": Kind(
        draw=lambda inputs: _string(characters.draw(inputs)),
        adopt=lambda text: ({"length": len(text)}, _string(text)),
        results=("result", "id"),
        required=("length",),
        problems=characters.problems,
        with_defaults=characters.with_defaults,
        fixed={"__meta": '{"schema_version":"2"}'},
    ),
    "random:index/randomBytes:RandomBytes": Kind(
        draw=lambda inputs: _bytes(secrets.token_bytes(inputs["length"])),
        adopt=_adopt_bytes,
        results=("base64", "hex"),
        secret=frozenset({"base64", "hex"}),
        required=("length",),
        problems=_length("length"),
    ),
    "random:index/randomId:RandomId": Kind(
        draw=lambda inputs: _id(secrets.token_bytes(inputs["byteLength"]), inputs.get("prefix") or ""),
        adopt=_adopt_id,
        results=("b64Std", "b64Url", "hex", "dec", "id"),
        required=("byteLength",),
        problems=_length("byteLength"),
    ),
    "random:index/randomInteger:RandomInteger": Kind(
        draw=lambda inputs: _integer(inputs["min"] + secrets.randbelow(inputs["max"] - inputs["min"] + 1)),
        adopt=_adopt_integer,
        results=("result", "id"),
        required=("min", "max"),
        problems=_range,
        unsupported=("seed",),  # the official plugin's generator, and so its numbers, are Go's
    ),
    "random:index/randomUuid:RandomUuid": Kind(
        draw=lambda _inputs: _uuid(str(uuid.uuid4())),
        adopt=lambda text: ({}, _uuid(str(uuid.UUID(text)))),
        results=("result", "id"),
    ),
}
