"""Select parts of an object by JSONPath as `kubectl get -o jsonpath` does, as far as conditions need it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from deployer.plugins.kubernetes.errors import KubernetesError

_STEP = re.compile(
    r"""\.(?P<field>[\w\-/]+|\*)|\[\s*'(?P<quoted>[^']*)'\s*\]|\[\s*"(?P<double>[^"]*)"\s*\]|"""
    r"""\[\s*(?P<index>-?\d+|\*)\s*\]|"""
    r"""\[\?\(\s*@(?P<test>(?:\.[\w\-]+)+)\s*(?P<operator>==|!=)\s*(?P<literal>"[^"]*"|'[^']*'|[\w.\-]+)\s*\)\]"""
)


def select(value: Any, path: str) -> list[Any]:
    """Return everything that a path such as .status.conditions[?(@.type=="Ready")].status means.

    Raises:
        KubernetesError: the path has a part that is not understood.
    """
    text = path.strip().removeprefix("$")
    text = text if text.startswith((".", "[")) else f".{text}"
    found, position = [value], 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise KubernetesError(f"The JSONPath {path!r} is not understood from {text[position:]!r} on.")
        found = list(_step(found, match))
        position = match.end()
    return found


def _step(values: Iterable[Any], match: re.Match[str]) -> Iterator[Any]:
    name = match["field"] or match["quoted"] or match["double"]
    for value in values:
        if match["test"]:
            yield from (item for item in _items(value) if _holds(item, match))
        elif name == "*" or match["index"] == "*":
            yield from _items(value)
        elif name is not None:
            if isinstance(value, dict) and name in value:
                yield value[name]
        elif isinstance(value, list) and -len(value) <= int(match["index"]) < len(value):
            yield value[int(match["index"])]


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _holds(item: Any, match: re.Match[str]) -> bool:
    found = select(item, match["test"])
    equal = bool(found) and str(found[0]) == match["literal"].strip("'\"")
    return equal if match["operator"] == "==" else not equal
