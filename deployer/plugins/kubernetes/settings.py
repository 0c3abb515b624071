"""Read the provider's arguments, each with the environment variable that the official plugin knows for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.plugins.values import reveal


@dataclass(frozen=True)
class Settings:
    """Hold what the program said about the provider.

    Attributes:
        kubeconfig: a path or the contents; empty for the user's own (KUBECONFIG, ~/.kube/config).
        context: the context to use, empty for the current one.
        cluster: the cluster to use instead of the context's.
        namespace: where objects go that name no namespace, empty for the context's.
        server_side_apply: whether updates are applied by the server.
        patch_force: whether fields of other managers are taken over.
        upsert: whether a create takes over an object that exists.
        config_map_mutable: whether a ConfigMap's data changes in place.
        secret_mutable: whether a Secret's data changes in place.
        delete_unreachable: whether objects of a cluster that does not answer are forgotten.
        skip_unreachable: whether they are left as they are, in the state too, while everything else goes on.
        render_directory: where objects are written to in place of a cluster, empty for a cluster.
    """

    kubeconfig: str = field(default="", repr=False)
    context: str = ""
    cluster: str = ""
    namespace: str = ""
    server_side_apply: bool = True
    patch_force: bool = False
    upsert: bool = False
    config_map_mutable: bool = False
    secret_mutable: bool = False
    delete_unreachable: bool = False
    skip_unreachable: bool = False
    render_directory: str = ""


def load_settings(arguments: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the provider's arguments.

    Args:
        arguments: as the engine sent them; booleans come as words.
        environ: where a flag is looked up that the program does not set.
    """
    given = {key: reveal(value) for key, value in arguments.items()}

    def flag(name: str, variable: str, *, default: bool) -> bool:
        value = given.get(name)
        if value is None or value == "":
            value = environ.get(f"PULUMI_K8S_{variable}")
        return default if value is None else str(value).lower() == "true"

    return Settings(
        kubeconfig=str(given.get("kubeconfig") or ""),
        context=str(given.get("context") or ""),
        cluster=str(given.get("cluster") or ""),
        namespace=str(given.get("namespace") or ""),
        server_side_apply=flag("enableServerSideApply", "ENABLE_SERVER_SIDE_APPLY", default=True),
        patch_force=flag("enablePatchForce", "ENABLE_PATCH_FORCE", default=False),
        upsert=flag("upsertExistingObjects", "UPSERT_EXISTING_OBJECTS", default=False),
        config_map_mutable=flag("enableConfigMapMutable", "ENABLE_CONFIGMAP_MUTABLE", default=False),
        secret_mutable=flag("enableSecretMutable", "ENABLE_SECRET_MUTABLE", default=False),
        render_directory=str(given.get("renderYamlToDirectory") or ""),
        delete_unreachable=flag("deleteUnreachable", "DELETE_UNREACHABLE", default=False),
        skip_unreachable=flag("skipUpdateUnreachable", "SKIP_UPDATE_UNREACHABLE", default=False),
    )
