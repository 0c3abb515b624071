"""Make what a random resource holds: from its inputs by drawing, or around a value that is there already."""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import bcrypt
from petname import english

from deployer.plugins.random.go_rand import GoRand

_BCRYPT_LIMIT = 72  # bcrypt reads no further; the official plugin cuts there as well


@dataclass(frozen=True)
class Drawn:
    """Hold what was drawn: the resource's id and what it has besides its inputs."""

    id: str
    results: dict[str, Any]


def password(value: str) -> Drawn:
    """Return a password with its hash."""
    return Drawn("none", {"result": value, "bcryptHash": hashed(value), "id": "none"})


def hashed(value: str) -> str:
    """Return the bcrypt hash that goes with a password."""
    return bcrypt.hashpw(value.encode()[:_BCRYPT_LIMIT], bcrypt.gensalt(rounds=10, prefix=b"2a")).decode()


def is_hash_of(value: str, digest: str) -> bool:
    """Say whether the hash is the password's."""
    try:
        return bcrypt.checkpw(value.encode()[:_BCRYPT_LIMIT], digest.encode())
    except ValueError:
        return False


def text(value: str) -> Drawn:
    """Return a string, or a UUID: what is drawn is the id as well."""
    return Drawn(value, {"result": value, "id": value})


def octets(value: bytes) -> Drawn:
    """Return random bytes in their two spellings."""
    encoded = base64.b64encode(value).decode()
    return Drawn(encoded, {"base64": encoded, "hex": value.hex()})


def identifier(value: bytes, prefix: str, url: str = "") -> Drawn:
    """Return bytes as an id in four spellings, each behind the prefix.

    Args:
        value: the bytes.
        prefix: any text, or "".
        url: the spelling for URLs that an import gave; "" makes it.
    """
    url = url or base64.urlsafe_b64encode(value).decode().rstrip("=")
    spellings = {
        "b64Url": url,
        "b64Std": base64.b64encode(value).decode(),
        "hex": value.hex(),
        "dec": str(Decimal(int.from_bytes(value))),  # str() of an int ends at 4300 digits
    }
    return Drawn(url, {name: prefix + spelling for name, spelling in spellings.items()} | {"id": url})


def integer(value: int, identity: str = "") -> Drawn:
    """Return a whole number, which is the id as well."""
    return Drawn(identity or str(value), {"result": value, "id": identity or str(value)})


def draw_integer(inputs: Mapping[str, Any]) -> Drawn:
    """Draw a whole number from min to max: the same for the same seed, and the one that the official plugin draws."""
    size = inputs["max"] - inputs["min"] + 1
    seed = inputs.get("seed")
    return integer(inputs["min"] + (GoRand(seed).below(size) if seed else secrets.randbelow(size)))


def draw_pet(inputs: Mapping[str, Any]) -> Drawn:
    """Draw a pet's name: adverbs, an adjective and a name; a single word is a name."""
    length, separator, prefix = inputs["length"], inputs["separator"], inputs.get("prefix")
    before = [] if length == 1 else [english.adverbs] * (length - 2) + [english.adjectives]
    name = separator.join(secrets.choice(words) for words in [*before, english.names]).lower()
    named = f"{prefix}{separator}{name}" if prefix else name
    return Drawn(named, {"id": named})


def draw_shuffle(inputs: Mapping[str, Any]) -> Drawn:
    """Draw an order of the inputs, and further ones behind it where more results are asked for than there are."""
    items, seed = inputs["inputs"], inputs.get("seed")
    count = inputs.get("resultCount", len(items)) if items else 0
    seeded = GoRand(seed) if seed else None
    results: list[str] = []
    while len(results) < count:
        places = (
            seeded.permutation(len(items)) if seeded else secrets.SystemRandom().sample(range(len(items)), len(items))
        )
        results += [items[place] for place in places]
    return Drawn("-", {"results": results[:count], "id": "-"})


def draw_uuid() -> Drawn:
    """Draw 128 bits in a UUID's spelling, of no version: so does the official plugin for this oldest of its UUIDs."""
    return text(str(uuid.UUID(bytes=secrets.token_bytes(16))))


def draw_uuid7() -> Drawn:
    """Draw a UUID of version 7, whose first half is the time: the milliseconds, and twelve bits of what is over."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    high = milliseconds << 16 | 7 << 12 | (rest << 12) // 1_000_000
    return text(str(uuid.UUID(int=high << 64 | 0b10 << 62 | secrets.randbits(62))))
