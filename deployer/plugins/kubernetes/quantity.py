"""Write quantities as the API server does: "0.5" is "500m", "1024Mi" is "1Gi"."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_FORM = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)((?:[eE][+-]?\d+)|[KMGTPE]i|[numkMGTPE]|)")
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_KIBI = 1024


def canonical(value: Any) -> Any:
    """Return a quantity in the server's form; anything else as it is."""
    match = (
        _FORM.fullmatch(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    )
    if match is None:
        return value
    number, suffix = Decimal(match[1]), match[2]
    if suffix in _BINARY:
        return _binary(number * _KIBI ** _BINARY[suffix])
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return value  # the server keeps the exponent's form, and nobody writes it
    return _decimal(number.scaleb(_DECIMAL[suffix]))


def _binary(amount: Decimal) -> str:
    if amount != amount.to_integral_value() or abs(amount) < _KIBI:
        return _decimal(amount)
    whole, power = int(amount), 0
    while whole and whole % _KIBI == 0 and power < len(_BINARY):
        whole, power = whole // _KIBI, power + 1
    return f"{whole}{['', *_BINARY][power]}"


def _decimal(amount: Decimal) -> str:
    for suffix, exponent in sorted(_DECIMAL.items(), key=lambda pair: -pair[1]):
        scaled = amount.scaleb(-exponent)
        if scaled == scaled.to_integral_value() and (scaled != 0 or not suffix):
            return f"{int(scaled)}{suffix}"
    return f"{amount.scaleb(9).to_integral_value(rounding='ROUND_CEILING')}n"
