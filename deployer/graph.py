"""Draw what is deployed, from the resource graph that the engine stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployer.checks import load_settings
from deployer.drawing import Box, render
from deployer.events import parse_urn
from deployer.outputs import require_state
from deployer.report import Report
from deployer.stack import open_stack
from deployer.workspace import Workspace

_STACK = "pulumi:pulumi:Stack"


@dataclass
class Group:
    """One component and the resources that it made.

    Attributes:
        name: the component's name.
        kind: its kind: Database, Service, Gateway.
        members: what it made, as (kind, name).
        after: the groups that must be there before it.
    """

    name: str
    kind: str
    members: list[tuple[str, str]] = field(default_factory=list)
    after: set[str] = field(default_factory=set)


def draw(workspace: Workspace, stack: str, path: Path, report: Report) -> Path:
    """Draw a stack's graph into an SVG file.

    Raises:
        DeployError: the stack was never brought up.
    """
    pulumi = open_stack(workspace, stack, load_settings(workspace, stack), report)
    require_state(pulumi)
    groups = group_resources(pulumi.checkpoint().get("resources") or [])
    rows = layer(groups)
    boxes = [
        [Box(group.name, group.kind, tuple(group.members), tuple(sorted(group.after))) for group in row] for row in rows
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(boxes, title=f"What stack {stack} of StampChat deploys, in order"), encoding="utf-8")
    return path


def group_resources(resources: Sequence[Mapping[str, Any]]) -> list[Group]:
    """Gather resources under the component that made them, and see which component waits for which.

    Arrows that follow from others are left out.
    """
    by_urn = {str(resource["urn"]): resource for resource in resources}
    home = {urn: _home(urn, by_urn) for urn in by_urn}
    groups: dict[str, Group] = {}
    for urn, resource in by_urn.items():
        owner = home[urn]
        if owner is None or str(resource["type"]).startswith("pulumi:"):
            continue
        name = parse_urn(owner)
        group = groups.setdefault(owner, Group(name.name, name.kind))
        if resource.get("custom"):
            group.members.append((parse_urn(urn).kind, _plain_name(resource)))
        group.after |= {other for needed in _needs(resource) if (other := home.get(needed)) and other != owner}
    _reduce(groups)
    named = {owner: group.name for owner, group in groups.items()}
    for group in groups.values():
        group.after = {named[owner] for owner in group.after if owner in named}
        group.members = sorted(set(group.members))
    return [group for group in groups.values() if group.members]


def layer(groups: Iterable[Group]) -> list[list[Group]]:
    """Put every group one row after the last that it waits for."""
    by_name = {group.name: group for group in groups}
    depths: dict[str, int] = {}

    def depth(name: str) -> int:
        if name not in depths:
            before = [depth(other) for other in by_name[name].after if other in by_name]
            depths[name] = 1 + max(before, default=-1)
        return depths[name]

    rows: list[list[Group]] = []
    for name in sorted(by_name):
        while len(rows) <= depth(name):
            rows.append([])
        rows[depth(name)].append(by_name[name])
    return rows


def _home(urn: str, by_urn: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Find the component that a resource belongs to: itself, or the nearest above it."""
    at: str | None = urn
    while at:
        resource = by_urn.get(at)
        if resource is None or resource["type"] == _STACK:
            return None
        if not resource.get("custom"):
            return at
        at = resource.get("parent")
    return None


def _needs(resource: Mapping[str, Any]) -> set[str]:
    needs = set(resource.get("dependencies") or [])
    for urns in (resource.get("propertyDependencies") or {}).values():
        needs |= set(urns or [])
    return {str(urn) for urn in needs}


def _plain_name(resource: Mapping[str, Any]) -> str:
    """Prefer the object's name in the cluster to the engine's."""
    metadata = (resource.get("inputs") or {}).get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return str(name or parse_urn(str(resource["urn"])).name)


def _reduce(groups: Mapping[str, Group]) -> None:
    """Drop an arrow when a longer way says the same."""

    def beyond(owner: str, seen: set[str]) -> set[str]:
        for other in groups[owner].after & groups.keys():
            if other not in seen:
                seen.add(other)
                beyond(other, seen)
        return seen

    reach = {owner: beyond(owner, set()) for owner in groups}
    for group in groups.values():
        near = group.after & groups.keys()
        group.after = {other for other in near if not any(other in reach[between] for between in near - {other})}
