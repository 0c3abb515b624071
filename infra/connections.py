"""Count the connections that a deployment may open, so that no database is asked for more than it has."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from infra.database_url import DEFAULT_PORT
from infra.values import SecretText

# Postgres's own default, `max_connections`.
DEFAULT_MAX_CONNECTIONS = 100
# Left alone: three are a superuser's by default, two are a migration's, the rest is for backups and for looking.
# https://www.postgresql.org/docs/current/runtime-config-connection.html
RESERVE = 10


def connection_problems(
    databases: Mapping[str, SecretText], pool: int, pods: int, most: int, *, listening: SecretText | None = None
) -> list[str]:
    """Say which database servers would be asked for more connections than they have.

    Services whose databases lie on one server share what it has; which do is known once the addresses can be read.

    Args:
        databases: the address of each service's database.
        pool: connections of one pod.
        pods: the most pods of a service at one time.
        most: connections that a server takes.
        listening: where each pod of chat has one connection besides, on which it hears the others; None for nowhere.
    """
    left = most - RESERVE
    problems = []
    for services, is_heard in _by_server(databases, listening):
        hearing = pods if is_heard else 0
        asked = pool * pods * len(services) + hearing
        if asked > left:
            shared = f"{len(services)} services x " if len(services) > 1 else ""
            besides = f" + {hearing} on which chat's pods hear each other" if hearing else ""
            fits = (left - hearing) // (pods * len(services))
            smaller = f"a pool of at most {fits}, " if fits > 0 else ""
            problems.append(
                f"is {pool}, so {' and '.join(services)} may open {shared}{pods} pods x {pool}{besides} = {asked} "
                f"connections to a server that takes {most} (databaseMaxConnections), {RESERVE} of which are kept "
                f"back; set {smaller}fewer maxReplicas, or what the server really takes"
            )
    return problems


def _by_server(databases: Mapping[str, SecretText], listening: SecretText | None) -> list[tuple[list[str], bool]]:
    """Group services by their server, each with whether chat's pods listen there, too.

    A server on which they do nothing but listen has no pool's size to blame.
    """
    servers: dict[str, list[str]] = {}
    for service, url in databases.items():
        servers.setdefault(_server(service, url), []).append(service)
    heard = "" if listening is None else _server("chat" if listening is databases["chat"] else "bus", listening)
    # One server's problem need not be told once for each of its like; the one that is listened on is asked for most.
    alone = [(services, place == heard) for place, services in servers.items() if len(services) == 1]
    alone.sort(key=lambda each: not each[1])
    shared = [(services, place == heard) for place, services in servers.items() if len(services) > 1]
    return [*alone[:1], *shared]


def _server(service: str, url: SecretText) -> str:
    if url.sealed:
        return service
    try:
        parts = urlsplit(url.reveal())
        port = parts.port or DEFAULT_PORT
    except ValueError:
        return service
    return f"{parts.hostname}:{port}" if parts.hostname else service
