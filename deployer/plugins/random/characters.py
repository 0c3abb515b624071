"""Draw strings of random characters under rules: which classes, how many of each at least."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator, Mapping
from typing import Any

# The official plugin's own, in its order.
SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
DEFAULTS = {
    "lower": True,
    "upper": True,
    "numeric": True,
    "number": True,  # an older name of `numeric`; the state holds both
    "special": True,
    "minLower": 0,
    "minUpper": 0,
    "minNumeric": 0,
    "minSpecial": 0,
}
_CLASSES = {"lower": string.ascii_lowercase, "upper": string.ascii_uppercase, "numeric": string.digits}


def draw(rules: Mapping[str, Any]) -> str:
    """Return a string that keeps the rules, each allowed one equally likely but for the minimums.

    Args:
        rules: a resource's inputs over the defaults.
    """
    classes = _classes(rules)
    drawn = [
        secrets.choice(characters)
        for name, characters in classes.items()
        for _ in range(rules[f"min{name.capitalize()}"])
    ]
    allowed = "".join(characters for name, characters in classes.items() if rules[name])
    drawn += [secrets.choice(allowed) for _ in range(rules["length"] - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


def problems(rules: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each input that no string can keep, with the reason."""
    length = rules["length"]
    least = sum(rules[f"min{name.capitalize()}"] for name in ("lower", "upper", "numeric", "special"))
    if length < 1:
        yield "length", f"the length must be at least 1, got {length}"
    if length < least:
        yield "length", f"the length must be at least the sum of the minimums, {least}, got {length}"
    classes = _classes(rules)
    if not any(rules[name] and characters for name, characters in classes.items()):
        yield "length", "at least one class of characters must be allowed"
    for name, characters in classes.items():
        if rules[f"min{name.capitalize()}"] > 0 and not characters:
            yield "overrideSpecial", "it has no characters, and `minSpecial` asks for some"


def with_defaults(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs over the defaults; `number` and `numeric` always agree."""
    rules = DEFAULTS | {key: value for key, value in inputs.items() if value is not None}
    numeric = inputs.get("numeric", inputs.get("number"))
    rules["numeric"] = rules["number"] = True if numeric is None else numeric
    return rules


def _classes(rules: Mapping[str, Any]) -> dict[str, str]:
    return _CLASSES | {"special": rules.get("overrideSpecial") or SPECIAL}
