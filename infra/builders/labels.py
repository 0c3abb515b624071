"""Build labels and selectors from the recommended vocabulary."""

from __future__ import annotations

PART_OF = "stampchat"

Labels = dict[str, str]


def labels(name: str, component: str) -> Labels:
    """Label one object.

    Args:
        name: what it is called, such as stamp-chat-auth.
        component: its role: service, database, gateway, policy, secret.
    """
    return {
        **selector(name),
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": PART_OF,
        "app.kubernetes.io/managed-by": "pulumi",
    }


def selector(name: str) -> Labels:
    """Select the pods of one workload; a Deployment's selector can never change, so it is this and no more."""
    return {"app.kubernetes.io/name": name}


def namespace_selector(name: str) -> dict[str, object]:
    """Select one namespace by the label that Kubernetes itself gives it."""
    return {"matchLabels": {"kubernetes.io/metadata.name": name}}
