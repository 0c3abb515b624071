"""Pools are held against what a database takes."""

from __future__ import annotations

import pytest

from infra.connections import connection_problems
from infra.values import SecretText


def urls(*hosts: str) -> dict[str, SecretText]:
    names = ("auth", "chat", "notifications")
    return {
        name: SecretText(f"postgresql://u:hush@{host}/d?sslmode=require")
        for name, host in zip(names, hosts, strict=True)
    }


APART = urls("a.cloud", "b.cloud", "c.cloud")
TOGETHER = urls("a.cloud", "a.cloud", "a.cloud")


@pytest.mark.parametrize(
    ("databases", "pool", "pods", "most"),
    [(APART, 8, 11, 100), (TOGETHER, 8, 11, 274), (urls("a.cloud", "a.cloud:6432", "b"), 9, 10, 100)],
)
def test_what_fits_is_no_problem(databases: dict[str, SecretText], pool: int, pods: int, most: int) -> None:
    """To the last connection that is not kept back; another port is another server."""
    assert connection_problems(databases, pool, pods, most) == []


@pytest.mark.parametrize(
    ("databases", "most", "said"),
    [
        (APART, 97, "is 8, so auth may open 11 pods x 8 = 88 connections to a server that takes 97"),
        (TOGETHER, 273, "auth and chat and notifications may open 3 services x 11 pods x 8 = 264 connections"),
        (urls("a.cloud", "b.cloud", "a.cloud"), 100, "auth and notifications may open 2 services x 11 pods x 8 = 176"),
        ({name: SecretText(None) for name in APART}, 50, "set a pool of at most 3, fewer maxReplicas, or"),
    ],
)
def test_what_does_not_fit_says_what_would(databases: dict[str, SecretText], most: int, said: str) -> None:
    """Where the addresses are still sealed each service is taken to have a server of its own."""
    (problem,) = [found for found in connection_problems(databases, 8, 11, most) if said in found]

    assert "hush" not in problem


@pytest.mark.parametrize(
    ("databases", "listening", "most", "said"),
    [
        (APART, "chat", 108, "so chat may open 11 pods x 8 + 11 on which chat's pods hear each other = 99 connections"),
        (TOGETHER, "chat", 284, "open 3 services x 11 pods x 8 + 11 on which chat's pods hear each other = 275 conn"),
        (APART, "c.cloud:5432", 108, "so notifications may open 11 pods x 8 + 11 on which"),
        ({name: SecretText(None) for name in APART}, "chat", 108, "so chat may open 11 pods x 8 + 11 on which"),
    ],
)
def test_the_connections_on_which_pods_hear_each_other_count(
    databases: dict[str, SecretText], listening: str, most: int, said: str
) -> None:
    """One a pod of chat, where it listens; to the last one, and the pool that would fit leaves them room."""
    address = SecretText(f"postgresql://u:hush@{listening}/d") if "." in listening else databases[listening]

    (problem,) = connection_problems(databases, 8, 11, most, listening=address)

    assert said in problem
    assert "set a pool of at most 7" in problem
    assert "hush" not in problem
    assert connection_problems(databases, 8, 11, most + 1, listening=address) == []
    assert connection_problems(databases, 8, 11, most) == []


def test_a_server_where_pods_only_listen_is_no_pools_problem() -> None:
    """A database past its pooler: what the pooler opens there is its own setting."""
    assert connection_problems(APART, 8, 11, 98, listening=SecretText("postgresql://u:p@d.cloud/d")) == []


def test_a_server_that_not_even_one_connection_a_pod_fits_offers_no_pool() -> None:
    """Only fewer pods or another server help."""
    (problem,) = connection_problems(TOGETHER, 8, 11, 40)

    assert "set fewer maxReplicas" in problem
