"""Build the security contexts that Pod Security's `restricted` level asks for, and what scanners ask beyond it."""

from __future__ import annotations

# The images' own user and group: over 10,000, so that it is nobody on the node either.
USER = 10001

Json = dict[str, object]


def pod_security_context() -> Json:
    """Run as our user, own the volumes as our group, and filter system calls."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        # Without this a large database volume is walked file by file at each start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security_context() -> Json:
    """Drop every privilege and write nowhere but into volumes."""
    return {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def pod_security_labels() -> dict[str, str]:
    """Have the API server refuse whatever does not keep to `restricted`."""
    return {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
