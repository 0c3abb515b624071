"""Cut a live object down to what the program says something about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def prune(live: Any, shape: Any) -> Any:
    """Return the parts of a live object that the shape has too.

    Args:
        live: the object as the server has it.
        shape: the inputs; in lists the items are matched by their place, as the official plugin does.
    """
    if isinstance(live, Mapping) and isinstance(shape, Mapping):
        return {key: prune(value, shape[key]) for key, value in live.items() if key in shape}
    if isinstance(live, list) and isinstance(shape, list):
        if live and shape and type(live[0]) is not type(shape[0]):
            return live
        return [prune(item, wanted) for item, wanted in zip(live, shape, strict=False)]
    return live


def follow(shape: Any, before: Any, live: Any) -> Any:
    """Return the inputs as the live object would have them now.

    What the server wrote differently from the start (a quantity's spelling, a field that it drops) stays as the
    program has it; what changed since it was last seen is taken from the live object.

    Args:
        shape: the inputs.
        before: the live object as it was last seen.
        live: the live object now.
    """
    if isinstance(shape, Mapping) and isinstance(before, Mapping) and isinstance(live, Mapping):
        return {
            key: follow(value, before.get(key), live.get(key))
            for key, value in shape.items()
            if key in live or key not in before
        }
    if before == live:
        return shape
    return prune(live, shape)
