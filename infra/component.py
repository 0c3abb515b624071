"""Stand under every component: name its type, and keep its children behind what it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from infra.manifest import PATIENCE, Manifest


class Component(pulumi.ComponentResource):
    """Group the resources of one part of the deployment.

    The engine makes a component's dependencies no business of its children, so they are handed on here.

    Args:
        kind: the last part of the type token.
        name: in the engine's state.
        opts: the cluster's provider, and what comes first.
    """

    def __init__(self, kind: str, name: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__(f"stampchat:infra:{kind}", name, None, opts)
        after: Any = opts.depends_on or []
        self._after: list[pulumi.Resource] = [after] if isinstance(after, pulumi.Resource) else list(after)

    def child(self, *, after: Sequence[pulumi.Resource] = (), **options: Any) -> pulumi.ResourceOptions:
        """Build the options of a child of this component.

        Args:
            after: what it waits for besides what the whole component waits for.
            options: anything else of ResourceOptions.
        """
        return pulumi.ResourceOptions(parent=self, depends_on=[*self._after, *after], **options)

    def place(
        self,
        manifest: Mapping[str, Any],
        *,
        name: str | None = None,
        after: Sequence[pulumi.Resource] = (),
        **options: Any,
    ) -> Manifest:
        """Register one Kubernetes object as a child.

        Args:
            manifest: the object.
            name: in the engine's state; the object's own name unless given.
            after: what it waits for besides what the whole component waits for.
            options: anything else of ResourceOptions.
        """
        options.setdefault("custom_timeouts", PATIENCE)
        return Manifest(name or manifest["metadata"]["name"], manifest, self.child(after=after, **options))
