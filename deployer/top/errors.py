"""Say why a pod could not be asked; the view shows it in the pod's row and goes on."""

from __future__ import annotations


class ProbeError(Exception):
    """Say in a few words, about one pod, what came instead of an answer."""
