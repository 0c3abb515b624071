"""Count the connections that a deployment may open, so that no database is asked for more than it has."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from infra.values import SecretText

# Postgres's own default, `max_connections`.
DEFAULT_MAX_CONNECTIONS = 100
# Left alone: three are a superuser's by default, two are a migration's, the rest is for backups and for looking.
# https://www.postgresql.org/docs/current/runtime-config-connection.html
RESERVE = 10


def connection_problems(databases: Mapping[str, SecretText], pool: int, pods: int, most: int) -> list[str]:
    """Say which database servers would be asked for more connections than they have.

    Services whose databases lie on one server share what it has; which do is known once the addresses can be read.

    Args:
        databases: the address of each service's database.
        pool: connections of one pod.
        pods: the most pods of a service at one time.
        most: connections that a server takes.
    """
    left = most - RESERVE
    problems = []
    for services in _by_server(databases):
        asked = pool * pods * len(services)
        if asked > left:
            shared = f"{len(services)} services x " if len(services) > 1 else ""
            fits = left // (pods * len(services))
            smaller = f"a pool of at most {fits}, " if fits > 0 else ""
            problems.append(
                f"is {pool}, so {' and '.join(services)} may open {shared}{pods} pods x {pool} = {asked} connections "
                f"to a server that takes {most} (databaseMaxConnections), {RESERVE} of which are kept back; "
                f"set {smaller}fewer maxReplicas, or what the server really takes"
            )
    return problems


def _by_server(databases: Mapping[str, SecretText]) -> list[list[str]]:
    servers: dict[str, list[str]] = {}
    for service, url in databases.items():
        servers.setdefault(_server(service, url), []).append(service)
    # One server's problem need not be told once for each of its like.
    alone = [service for services in servers.values() if len(services) == 1 for service in services]
    shared = [services for services in servers.values() if len(services) > 1]
    return [*([[alone[0]]] if alone else []), *shared]


def _server(service: str, url: SecretText) -> str:
    if url.sealed:
        return service
    try:
        parts = urlsplit(url.reveal())
        port = parts.port or ""
    except ValueError:
        return service
    return f"{parts.hostname}:{port}" if parts.hostname else service
