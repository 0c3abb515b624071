"""Tell a cluster of the programs beside it, so that what they serve is served under its own API."""

from __future__ import annotations

import base64

from deployer.cluster.embedded import extras
from deployer.cluster.embedded.addons import MANIFESTS, apply_manifests
from deployer.cluster.embedded.api import Api
from deployer.cluster.embedded.box import box_status, find_init
from deployer.cluster.embedded.layout import Layout, layout_of
from deployer.cluster.instance import stored_instance
from deployer.workspace import Workspace

_EXTRAS = MANIFESTS / "extras"
_MANY_RESTARTS = 3
_METRICS_API = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"


def serve_extras(workspace: Workspace) -> None:
    """Make a checkout's running cluster serve what was built since it started; without a cluster do nothing.

    Args:
        workspace: the checkout.

    Raises:
        DeployError: the API server refuses, or does not answer.
    """
    instance = stored_instance(workspace)
    if instance is None or find_init(instance.name) is None:
        return
    layout = layout_of(workspace, instance)
    with Api(layout) as api:
        apply_extras(workspace, layout, api)


def apply_extras(workspace: Workspace, layout: Layout, api: Api, *, fresh: bool = False) -> None:
    """Apply the manifests of what is there, and remove those of what is not; rights are there before who has them.

    An API that nobody serves would keep every namespace from being removed.

    Args:
        workspace: the checkout.
        layout: its cluster.
        api: the cluster's API server.
        fresh: whether the box was made just now: what fails in it may do so for want of the rights in these manifests.

    Raises:
        DeployError: the API server refuses one, or does not answer.
    """
    if extras.METRICS_SERVER in extras.chosen(layout.instance):
        apply_manifests(api, _EXTRAS / "metrics-rights.yaml", {})
    if not (_serves_metrics(workspace, layout) or (fresh and _has_metrics(workspace, layout))):
        api.delete(_METRICS_API)
        return
    authority = base64.b64encode((layout.pki / "ca.crt").read_bytes()).decode()
    apply_manifests(api, _EXTRAS / "metrics-server.yaml", {"@ADDRESS@": layout.address, "@CA@": authority})


def extras_applied(workspace: Workspace, layout: Layout, api: Api) -> bool:
    """Return whether the cluster knows of what is there, and of nothing else.

    Args:
        workspace: the checkout.
        layout: its cluster.
        api: the cluster's API server.
    """
    return (api.get(_METRICS_API) is not None) is _serves_metrics(workspace, layout)


def failing(layout: Layout) -> dict[str, str]:
    """Say of each program that is there and does not stay up how it ends.

    Args:
        layout: the cluster.
    """
    names = {extra.name for extra in extras.EXTRAS}
    return {
        state["name"]: f"keeps failing ({state['ended']}); its log is {layout.logs / state['name']}.log"
        for state in box_status(find_init(layout.name) or 0)
        if state["name"] in names and not state["pid"] and state["restarts"] >= _MANY_RESTARTS
    }


def _has_metrics(workspace: Workspace, layout: Layout) -> bool:
    server = extras.METRICS_SERVER
    return server in extras.chosen(layout.instance) and server not in extras.missing(workspace, layout.instance)


def _serves_metrics(workspace: Workspace, layout: Layout) -> bool:
    return _has_metrics(workspace, layout) and extras.METRICS_SERVER.name not in failing(layout)
