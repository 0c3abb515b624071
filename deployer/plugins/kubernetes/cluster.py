"""Hold what one configured provider knows: its settings, its cluster, where kinds lie."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from deployer.plugins.kubernetes.api import Api
from deployer.plugins.kubernetes.discovery import Discovery
from deployer.plugins.kubernetes.errors import ApiError, ClusterUnreachableError
from deployer.plugins.kubernetes.kubeconfig import load_access
from deployer.plugins.kubernetes.settings import Settings


@dataclass(frozen=True)
class Cluster:
    """Name one reachable cluster.

    Attributes:
        settings: the provider's arguments.
        api: the way to it.
        discovery: where kinds lie in it.
        namespace: where objects go that name none.
        cancelled: set when the engine wants everything to stop.
    """

    settings: Settings
    api: Api
    discovery: Discovery
    namespace: str
    cancelled: threading.Event = field(default_factory=threading.Event)


def connect(settings: Settings, cancelled: threading.Event) -> Cluster:
    """Reach the cluster that the settings name.

    Raises:
        ClusterUnreachableError: there is none, it does not answer, or it does not know us.
    """
    access = load_access(settings)
    api = Api(access, cancelled)
    try:
        api.read("/version")
    except ApiError as error:
        if error.status == 401:  # noqa: PLR2004  # HTTP's own number for it
            api.close()
            raise ClusterUnreachableError(f"{access.server} does not accept our credentials.") from error
        # Somebody who may not ask for the version may well be allowed the rest.
    return Cluster(settings, api, Discovery(api), access.namespace, cancelled)
