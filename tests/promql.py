"""Read which series a PromQL expression asks for, and by which labels."""

from __future__ import annotations

import re
from dataclasses import dataclass

# What stands where a series' name could: https://prometheus.io/docs/prometheus/latest/querying/operators/
_WORDS = frozenset({"and", "or", "unless", "offset", "bool", "atan2", "inf", "nan"})
_LISTS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_STRING = r'"(?:[^"\\]|\\.)*"'
_SERIES = re.compile(rf"(?<![\w:.$])([a-zA-Z_:][\w:]*)\s*(\{{(?:[^{{}}\"]|{_STRING})*\}})?(?!\s*\(|[\w:])")
_MATCHER = re.compile(rf"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*({_STRING})")
_RANGE = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True)
class Selector:
    """Be one series of an expression.

    Attributes:
        name: of the series.
        labels: the patterns or values that it is chosen by, by the label's name.
    """

    name: str
    labels: tuple[tuple[str, str], ...]


def selectors(expression: str) -> list[Selector]:
    """List the series that an expression asks for."""
    bare = _RANGE.sub(" ", _LISTS.sub(" ", expression))
    return [
        Selector(name, tuple((label, value[1:-1]) for label, value in _MATCHER.findall(chosen)))
        for name, chosen in _SERIES.findall(bare)
        if name.lower() not in _WORDS and not re.fullmatch(r"\d.*", name)
    ]
