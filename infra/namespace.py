"""Lay the namespace that everything of the application is in."""

from __future__ import annotations

import pulumi

from infra.builders.objects import namespace
from infra.component import Component
from infra.manifest import Manifest


class Namespace(Component):
    """Make one namespace with Pod Security `restricted` enforced.

    Attributes:
        namespace: the object.
    """

    namespace: Manifest

    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__("Namespace", name, opts)
        self.namespace = self.place(namespace(name))
        self.register_outputs({"name": name})
