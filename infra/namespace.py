"""Lay the namespace that everything of the application is in."""

from __future__ import annotations

import pulumi

from infra.builders.objects import namespace
from infra.component import Component
from infra.manifest import Manifest


class Namespace(Component):
    """Make one namespace with Pod Security `restricted` enforced.

    Args:
        name: the namespace's.
        opts: the cluster's provider.
        protect: whether the engine refuses to delete it, and with it all that it holds.

    Attributes:
        namespace: the object.
    """

    namespace: Manifest

    def __init__(self, name: str, opts: pulumi.ResourceOptions, *, protect: bool) -> None:
        super().__init__("Namespace", name, opts)
        self.namespace = self.place(namespace(name), protect=protect)
        self.register_outputs({"name": name})
