"""Write and read property paths as the engine does: spec.ports[0], metadata.labels["a.b"]."""

from __future__ import annotations

import re
from collections.abc import Sequence

Step = str | int
Path = tuple[Step, ...]

_STEP = re.compile(r'\.?([^.\[\]"]+)|\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]')
_QUOTED = re.compile(r'[."\[\]]')


def format_path(path: Path) -> str:
    """Return a path as text."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _QUOTED.search(step):
            text += '["{}"]'.format(step.replace('"', '\\"'))
        else:
            text += f".{step}" if text else step
    return text


def parse_path(text: str) -> Path:
    """Return a path from its text; "*" stays as it is."""
    steps: list[Step] = []
    for plain, quoted, place in _STEP.findall(text):
        if place:
            steps.append(int(place) if place.isdigit() else place)
        else:
            steps.append(plain or quoted.replace('\\"', '"'))
    return tuple(steps)


def starts_with(path: Path, prefix: Sequence[Step]) -> bool:
    """Say whether a path lies at or under another; "*" stands for any step."""
    return len(prefix) <= len(path) and all(wanted in ("*", step) for step, wanted in zip(path, prefix, strict=False))
