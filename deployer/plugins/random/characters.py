"""Draw strings of random characters under rules: which classes, how many of each at least."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator, Mapping
from typing import Any

from deployer.plugins.random.fields import Field, Problem

# The official plugin's own, in its order.
SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
_CLASSES = {"lower": string.ascii_lowercase, "upper": string.ascii_uppercase, "numeric": string.digits}
_MINIMUMS = {"lower": "minLower", "upper": "minUpper", "numeric": "minNumeric", "special": "minSpecial"}
FIELDS = {
    "keepers": Field("keepers"),
    "length": Field("whole", required=True, least=1),
    **{name: Field("flag", default=True) for name in ("lower", "upper", "special")},
    "numeric": Field("flag"),  # with `number`, its older name, in `settle`
    "number": Field("flag"),
    **{name: Field("whole", default=0, least=0) for name in _MINIMUMS.values()},
    "overrideSpecial": Field("text"),
}


def draw(rules: Mapping[str, Any]) -> str:
    """Return a string that keeps the rules, each allowed one equally likely but for the minimums.

    Args:
        rules: a resource's inputs, settled.
    """
    classes = _CLASSES | {"special": rules.get("overrideSpecial") or SPECIAL}
    drawn = [secrets.choice(classes[name]) for name, minimum in _MINIMUMS.items() for _ in range(rules[minimum])]
    allowed = "".join(characters for name, characters in classes.items() if rules[name])
    drawn += [secrets.choice(allowed) for _ in range(rules["length"] - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


def settle(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs with `number` and `numeric` alike, as every state has them."""
    numeric = inputs.get("numeric", inputs.get("number", True))
    return {**inputs, "numeric": numeric, "number": numeric}


def problems(known: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the inputs that no string can keep together.

    Args:
        known: those inputs that are known and of their types.
    """
    least = sum(known.get(minimum, 0) for minimum in _MINIMUMS.values())
    if "length" in known and known["length"] < least:
        yield Problem("length", f"it must be at least the sum of the minimums, {least}", known["length"])
    if known.get("number", known.get("numeric")) != known.get("numeric", known.get("number")):
        yield Problem("number", "it is the older name of `numeric` and must not say otherwise; leave it out")
    elif not any(settle(known).get(name, True) for name in _MINIMUMS):
        yield Problem("special", "one of `lower`, `upper`, `numeric` and `special` must be true")
