"""Reach the one cluster that the stack's config names."""

from __future__ import annotations

from pathlib import Path

import pulumi_kubernetes as kubernetes

from infra.config import ClusterConfig


def connect(cluster: ClusterConfig, root: Path) -> kubernetes.Provider:
    """Make the provider that every object goes through.

    Args:
        cluster: which one.
        root: the checkout; a relative kubeconfig is sought there.
    """
    return kubernetes.Provider(
        "cluster",
        kubeconfig=None if cluster.kubeconfig is None else str(root / Path(cluster.kubeconfig).expanduser()),
        context=cluster.context,
        enable_server_side_apply=True,
        # Changed in place, under the same name: a replacement would take a Secret away from the pods that mount it.
        enable_secret_mutable=True,
        enable_config_map_mutable=True,
    )
