"""Wait until a cluster can do its work, and say what keeps it from that."""

from __future__ import annotations

import datetime as dt
import math
import socket
import time
from collections.abc import Callable

from deployer.cluster.embedded.addons import gateway_api_established
from deployer.cluster.embedded.api import Api, ApiUnreachableError, has_condition
from deployer.cluster.embedded.box import age, box_status, find_init
from deployer.cluster.embedded.dns import dns_answers
from deployer.cluster.embedded.extras import EXTRAS
from deployer.cluster.embedded.layout import CONTAINERD_SOCKET, Layout
from deployer.cluster.embedded.programs import Programs
from deployer.errors import DeployError

_PAUSE = 0.1
# A small machine under load takes its time; a component that fails says so long before.
_PATIENCE = 180.0
_MANY_RESTARTS = 8
_LOG_LINES = 8
# Nobody waits for these: a cluster does its work without them.
_EXTRAS = {extra.name for extra in EXTRAS}


def await_api(layout: Layout, api: Api) -> None:
    """Wait until the API server is ready.

    Raises:
        DeployError: it is not in time, or a component of the cluster keeps failing.
    """
    _await(layout, "its API server", api.ready)


def await_node(layout: Layout, api: Api) -> None:
    """Wait until the node is ready, by the word of a kubelet that lives.

    Raises:
        DeployError: it is not in time, or a component of the cluster keeps failing.
    """
    _await(layout, "its node", lambda: node_ready(layout, api))


def await_containerd(layout: Layout) -> int:
    """Wait until containerd takes connections, and return the first process of its box.

    Raises:
        DeployError: it does not in time, or a component of the cluster keeps failing.
    """
    _await(layout, "its containerd", lambda: _connects(find_init(layout.name)))
    return find_init(layout.name) or 0


def await_addons(layout: Layout, api: Api, programs: Programs) -> None:
    """Wait until DNS answers, there is a default StorageClass and the Gateway API is served.

    Raises:
        DeployError: they are not in time, or a component of the cluster keeps failing.
    """
    _await(layout, "the Gateway API", lambda: gateway_api_established(api, programs))
    _await(layout, "its DNS", lambda: dns_answers(find_init(layout.name) or 0))


def await_daemons(layout: Layout) -> None:
    """Wait until every program of the box runs, those too that nothing else here asks: the forwarder, for one.

    Raises:
        DeployError: they do not in time, or a component of the cluster keeps failing.
    """
    _await(layout, "one of its programs", lambda: _all_run(find_init(layout.name)))


def all_ready(layout: Layout, api: Api, programs: Programs) -> bool:
    """Return whether everything works, asked once.

    Args:
        layout: the cluster.
        api: its API server.
        programs: what it should serve.
    """
    init = find_init(layout.name)
    if init is None or not _all_run(init):
        return False
    try:
        return (
            api.ready()
            and node_ready(layout, api)
            and api.get("/apis/storage.k8s.io/v1/storageclasses/local-path") is not None
            and gateway_api_established(api, programs)
            and dns_answers(init)
        )
    except ApiUnreachableError:
        return False


def node_ready(layout: Layout, api: Api) -> bool:
    """Return whether Kubernetes would start a Pod on the node, and the kubelet that said so lives.

    After a kubelet's death its node stays "ready" for minutes, so only what it said since it started counts. When that
    was is reckoned from its age: a clock that was put back since would have it start in the future.

    Args:
        layout: the cluster.
        api: its API server.
    """
    node = api.get(f"/api/v1/nodes/{layout.name}")
    states = box_status(find_init(layout.name) or 0)
    kubelet = next((state["pid"] for state in states if state["name"] == "kubelet"), None)
    if node is None or not kubelet or node["spec"].get("taints") or not has_condition(node, "Ready"):
        return False
    ready = next(condition for condition in node["status"]["conditions"] if condition["type"] == "Ready")
    # The server keeps whole seconds.
    return dt.datetime.fromisoformat(ready["lastHeartbeatTime"]).timestamp() >= math.floor(time.time() - age(kubelet))


def _all_run(init: int | None) -> bool:
    states = box_status(init or 0)
    return bool(states) and all(state["pid"] for state in states if state["name"] not in _EXTRAS)


def _connects(init: int | None) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        return client.connect_ex(f"/proc/{init}/root{CONTAINERD_SOCKET}") == 0


def _await(layout: Layout, what: str, true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            if true():
                return
        except ApiUnreachableError:
            pass  # a component may be restarted at any time
        _check_components(layout)
        if time.monotonic() > deadline:
            raise DeployError(
                f"The cluster {layout.name} is up, but {what} is not ready after {_PATIENCE:.0f} seconds.",
                said=_last_words(layout, "kubelet"),
                advice=f"Its logs are in {layout.logs}. `./stampchat cluster down` and `up` again keep its data.",
            )
        time.sleep(_PAUSE)


def _check_components(layout: Layout) -> None:
    init = find_init(layout.name)
    if init is None:
        raise DeployError(
            f"The box of {layout.name} ended while it was starting.",
            said=_last_words(layout, "box"),
            advice="Run this again; its data is kept.",
        )
    for state in box_status(init):
        if state["name"] not in _EXTRAS and not state["pid"] and state["restarts"] >= _MANY_RESTARTS:
            said = _last_words(layout, state["name"])
            raise DeployError(
                f"{state['name']} of the cluster {layout.name} keeps failing ({state['ended']}).",
                said=said,
                advice=f"Its log is {layout.logs / state['name']}.log.{_shortage(said)}",
            )


def _shortage(said: str) -> str:
    """Say what a machine with many clusters runs out of first: its own word for it, open files, misleads."""
    if "inotify" not in said:
        return ""
    limit = "fs.inotify.max_user_instances"
    return (
        f" This machine lets its programs watch no more files: raise `{limit}` (`sysctl -w {limit}=1024`), of which a "
        "cluster takes about 20, or end another cluster."
    )


def _last_words(layout: Layout, name: str) -> str:
    try:
        text = (layout.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-_LOG_LINES:])
