"""Judge a CustomResourceDefinition: objects of its kind can be created."""

from __future__ import annotations

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.readiness.subject import Subject, condition
from deployer.plugins.kubernetes.readiness.verdict import READY, Trouble, Verdict

_REFUSED = 2.0


def judge_definition(live: Manifest, _: Subject) -> Verdict:
    """Say whether the API server serves the kind."""
    if condition(live, "Established").get("status") == "True":
        return READY
    names = condition(live, "NamesAccepted")
    refused = names.get("status") == "False" and names.get("message")
    troubles = (Trouble("names", f"its names are refused: {names['message']}", _REFUSED),) if refused else ()
    return Verdict(ready=False, status="waiting for the API server to serve it", troubles=troubles)
