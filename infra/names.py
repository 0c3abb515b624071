"""Tell which names lead into the cluster itself."""

from __future__ import annotations


def namespace_of(host: str) -> str:
    """Return the namespace of a Service's name, or nothing for a name of anything else.

    Args:
        host: NAME.NAMESPACE.svc, with or without the cluster's domain behind it.
    """
    labels = host.split(".")
    return labels[1] if labels[2:3] == ["svc"] else ""
