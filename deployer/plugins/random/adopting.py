"""Read the ids of `pulumi import` in the forms that the official plugin documents.

Each function returns the inputs and what is there already, and raises ValueError, with the form, for any other id.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import Any

from deployer.plugins.random import drawing
from deployer.plugins.random.drawing import Drawn

Adopted = tuple[dict[str, Any], Drawn]

_WHOLE = re.compile(r"[+-]?[0-9]+")
_URL = re.compile(r"[A-Za-z0-9_-]+")
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_PLAIN_UUID = re.compile(_UUID, re.IGNORECASE)
_ANY_UUID = re.compile(rf"(urn:uuid:)?{_UUID}|\{{{_UUID}\}}|[0-9a-f]{{32}}", re.IGNORECASE)
_IMPORT_PARTS = (3, 4)


def password(text: str) -> Adopted:
    """Take the id itself for the password."""
    return _characters(text), drawing.password(text)


def string(text: str) -> Adopted:
    """Take the id itself for the string."""
    return _characters(text), drawing.text(text)


def octets(text: str) -> Adopted:
    """Read base64."""
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("it must be the value in base64, with its padding") from None
    return {"length": len(value)}, drawing.octets(value)


def identifier(text: str) -> Adopted:
    """Read base64 for URLs, behind a prefix and a comma if there is one."""
    prefix, _, url = text.rpartition(",")
    if not _URL.fullmatch(url) or len(url) % 4 == 1:  # no number of bytes has one digit over
        raise ValueError("it must read b64Url or prefix,b64Url, without the padding of base64")
    value = base64.urlsafe_b64decode(url + "=" * (-len(url) % 4))
    inputs: dict[str, Any] = {"byteLength": len(value)}
    return (inputs | {"prefix": prefix} if prefix else inputs), drawing.identifier(value, prefix, url)


def integer(text: str) -> Adopted:
    """Read a result, a range and, if there is one, a seed."""
    parts = text.split(",")
    if len(parts) not in _IMPORT_PARTS or not all(_WHOLE.fullmatch(part) for part in parts[:3]):
        raise ValueError("it must read result,min,max or result,min,max,seed, the first three whole numbers")
    result, least, most = (int(part) for part in parts[:3])
    inputs: dict[str, Any] = {"min": least, "max": most}
    seed = "".join(parts[3:])
    return (inputs | {"seed": seed} if seed else inputs), drawing.integer(result, parts[0])


def plain_uuid(text: str) -> Adopted:
    """Read a UUID with its dashes."""
    return _uuid(text, _PLAIN_UUID)


def any_uuid(text: str) -> Adopted:
    """Read a UUID with or without its dashes, in braces, or as a URN."""
    return _uuid(text, _ANY_UUID)


def _uuid(text: str, form: re.Pattern[str]) -> Adopted:
    if not form.fullmatch(text):
        raise ValueError("it must be a UUID, such as 7e4436da-7c71-486e-a57c-830b25fff7bd")
    return {}, drawing.text(str(uuid.UUID(text)))


def _characters(text: str) -> dict[str, Any]:
    """Return the inputs that the official plugin reads back: the classes, all allowed, but no minimum of 0."""
    return {"length": len(text.encode())} | dict.fromkeys(("lower", "upper", "number", "numeric", "special"), True)
