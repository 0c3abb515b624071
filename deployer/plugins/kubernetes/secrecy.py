"""Mark what is secret in what the server answers.

The rules are the official plugin's: a Secret's data always is; a map is looked into; anything else that
holds a secret in the inputs, a list above all, is secret as a whole, because its order may have changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.plugins.values import Secret, has_secret


def annotate(outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outputs with secret markers.

    Args:
        outputs: a plain object.
        inputs: the same object as the program gave it, with its markers.
    """
    if outputs.get("kind") == "Secret":
        return {key: _sealed(value) if key in ("data", "stringData") else value for key, value in outputs.items()}
    return {key: _annotate_value(value, inputs[key]) if key in inputs else value for key, value in outputs.items()}


def _annotate_value(output: Any, given: Any) -> Any:
    if isinstance(output, Mapping) and isinstance(given, Mapping):
        return annotate(output, given)
    return _sealed(output) if has_secret(given) else output


def _sealed(value: Any) -> Any:
    return value if isinstance(value, Secret) else Secret(value)
