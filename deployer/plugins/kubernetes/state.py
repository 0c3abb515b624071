"""Lay out what the engine keeps of an object: the live object, the inputs beside it, and two notes of ours.

The property names are the official plugin's, so that a state written by one opens under the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployer.plugins.kubernetes.manifest import PATCH_FIELD_MANAGER, annotation
from deployer.plugins.kubernetes.names import make_field_manager
from deployer.plugins.kubernetes.normalise import dashed, underscored
from deployer.plugins.kubernetes.secrecy import annotate
from deployer.plugins.values import reveal

INPUTS = "__inputs"
INITIAL_API_VERSION = "__initialApiVersion"
FIELD_MANAGER = "__fieldManager"

# The one manager of everything that is not applied by the server: creates, and updates without server-side apply.
CLIENT_SIDE_MANAGER = "pulumi-kubernetes"


@dataclass(frozen=True)
class Checkpoint:
    """Hold what the state says about an object, without secret markers.

    Attributes:
        inputs: the object as the program gave it.
        live: the object as the server last had it.
        initial_api_version: the API version that it was first created with.
        field_manager: under which name the server notes our fields, empty if the state has none.
    """

    inputs: dict[str, Any]
    live: dict[str, Any]
    initial_api_version: str
    field_manager: str


def read_checkpoint(properties: Mapping[str, Any]) -> Checkpoint:
    """Read an object's outputs from the state."""
    live = dashed(reveal(properties))
    inputs = live.pop(INPUTS, {})
    return Checkpoint(
        inputs=inputs if isinstance(inputs, dict) else {},
        initial_api_version=str(live.pop(INITIAL_API_VERSION, "") or live.get("apiVersion") or ""),
        field_manager=str(live.pop(FIELD_MANAGER, "") or ""),
        live=live,
    )


def write_checkpoint(
    *,
    inputs: Mapping[str, Any],
    live: Mapping[str, Any],
    given: Mapping[str, Any],
    initial_api_version: str,
    field_manager: str,
) -> dict[str, Any]:
    """Return an object's outputs for the state, with secret markers.

    Args:
        inputs: the plain inputs.
        live: the plain live object.
        given: the inputs with their secret markers.
        initial_api_version: see Checkpoint.
        field_manager: see Checkpoint.
    """
    outputs = annotate(underscored(live), given)
    outputs[INPUTS] = annotate(underscored(inputs), given)
    outputs[INITIAL_API_VERSION] = initial_api_version
    outputs[FIELD_MANAGER] = field_manager
    return outputs


def choose_field_manager(inputs: Mapping[str, Any], noted: str, *, server_side: bool) -> str:
    """Return the manager for an object: the program's choice, the state's, or a new one."""
    if not server_side:
        return CLIENT_SIDE_MANAGER
    return annotation(inputs, PATCH_FIELD_MANAGER) or noted or make_field_manager()
