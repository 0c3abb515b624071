"""Build the three probes: start in your own time, then be alive, and be ready for traffic."""

from __future__ import annotations

Json = dict[str, object]


def http_probes(port: str, *, live: str, ready: str) -> dict[str, Json]:
    """Probe over HTTP; liveness asks the process alone, readiness whether it can serve.

    Args:
        port: the container port's name.
        live: the path that says the process lives.
        ready: the path that says it can serve.
    """
    return _three({"httpGet": {"path": live, "port": port}}, {"httpGet": {"path": ready, "port": port}})


def proxy_probes(health: str, entry: str, *, live: str, wait: int) -> dict[str, Json]:
    """Probe a proxy: its health port for life, and for readiness the port that clients come to.

    Args:
        health: the name of the port that says whether it lives.
        entry: the name of the port that clients come to.
        live: the path that says the process lives.
        wait: seconds before it counts as ready, in which it reads its routes: until then every path would be a 404.
    """
    probes = _three({"httpGet": {"path": live, "port": health}}, {"tcpSocket": {"port": entry}})
    probes["readinessProbe"] |= {"initialDelaySeconds": wait}
    # Leave traffic soon, restart late: a proxy that is busy is not gone.
    probes["livenessProbe"] |= {"failureThreshold": 6}
    return probes


def database_probes(port: str, *, ready: tuple[str, ...]) -> dict[str, Json]:
    """Probe a database: its port for life, a command of its own for readiness.

    Args:
        port: the container port's name.
        ready: a command that succeeds when the database takes connections.
    """
    return _three({"tcpSocket": {"port": port}}, {"exec": {"command": list(ready)}}, period=10)


def _three(live: Json, ready: Json, *, period: int = 5) -> dict[str, Json]:
    return {
        # A first start may initialise a database or wait for one: two minutes, asked every second.
        "startupProbe": {**live, "periodSeconds": 1, "failureThreshold": 120, "timeoutSeconds": 2},
        "livenessProbe": {**live, "periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 5},
        "readinessProbe": {**ready, "periodSeconds": period, "failureThreshold": 2, "timeoutSeconds": 3},
    }
