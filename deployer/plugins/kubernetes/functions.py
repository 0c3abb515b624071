"""Answer the package's functions: reading YAML is ours, charts and kustomizations are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.plugins.kubernetes.errors import KubernetesError, UnsupportedError
from deployer.plugins.values import reveal

_DECODE = "kubernetes:yaml:decode"


def invoke(token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a function of the package answers.

    Raises:
        UnsupportedError: only the official plugin has the function.
        KubernetesError: the YAML cannot be read.
    """
    if token != _DECODE:
        raise UnsupportedError(f"The function {token}")
    return {"result": read_yaml(str(reveal(arguments).get("text") or ""))}


def read_yaml(text: str) -> list[dict[str, Any]]:
    """Return the objects of a text, those of a list in its place.

    Raises:
        KubernetesError: it is no YAML.
    """
    import yaml

    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise KubernetesError("The YAML cannot be read.", said=str(error)) from error
    return [item for document in documents if isinstance(document, dict) for item in _expand(document)]


def _expand(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a list's items in its place."""
    if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        return [item for item in document["items"] if isinstance(item, dict)]
    return [document]
