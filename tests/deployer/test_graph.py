from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from deployer.drawing import Box, render
from deployer.graph import group_resources, layer

PREFIX = "urn:pulumi:dev::stampchat::"
STACK = {"urn": f"{PREFIX}pulumi:pulumi:Stack::stampchat-dev", "type": "pulumi:pulumi:Stack"}


def resource(kind: str, name: str, *, parent: str = "", needs: tuple[str, ...] = ()) -> dict[str, Any]:
    custom = not kind.startswith("stampchat:")
    return {
        "urn": f"{PREFIX}{kind}::{name}",
        "type": kind,
        "custom": custom,
        "parent": f"{PREFIX}{parent}" if parent else STACK["urn"],
        "dependencies": [f"{PREFIX}{needed}" for needed in needs],
    }


RESOURCES = [
    STACK,
    resource("pulumi:providers:kubernetes", "cluster"),
    resource("stampchat:infra:Namespace", "home"),
    resource("kubernetes:core/v1:Namespace", "stampchat", parent="stampchat:infra:Namespace::home"),
    resource("stampchat:infra:Database", "db", needs=("stampchat:infra:Namespace::home",)),
    resource("kubernetes:apps/v1:StatefulSet", "db", parent="stampchat:infra:Database::db"),
    resource(
        "stampchat:infra:Service",
        "chat",
        needs=("stampchat:infra:Namespace::home", "kubernetes:apps/v1:StatefulSet::db"),
    ),
    resource("kubernetes:apps/v1:Deployment", "chat", parent="stampchat:infra:Service::chat"),
]


def test_resources_gather_under_the_component_that_made_them() -> None:
    groups = {group.name: group for group in group_resources(RESOURCES)}

    assert groups["db"].members == [("StatefulSet", "db")]
    assert groups["db"].kind == "Database"
    assert set(groups) == {"home", "db", "chat"}


def test_an_arrow_that_follows_from_others_is_left_out() -> None:
    groups = {group.name: group for group in group_resources(RESOURCES)}

    assert groups["chat"].after == {"db"}


def test_a_group_stands_below_all_that_it_waits_for() -> None:
    rows = layer(group_resources(RESOURCES))

    assert [[group.name for group in row] for row in rows] == [["home"], ["db"], ["chat"]]


def test_the_drawing_is_svg_with_every_name_in_it() -> None:
    drawn = render([[Box("a<b", "Database", (("Secret", "x&y"),), ())]], title="what & why")

    texts = "".join(ET.fromstring(drawn).itertext())  # noqa: S314  # what we drew ourselves

    assert all(text in texts for text in ("a<b", "x&y", "what & why"))
