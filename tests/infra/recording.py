"""Rehearse a program and ask what it registered, in the words of tests."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stacks.rehearsal import Registered as Recorded
from stacks.rehearsal import Rehearsal, rehearse

__all__ = ["Recorded", "Recording", "files_of", "password", "record"]

Json = dict[str, Any]


@dataclass
class Recording(Rehearsal):
    """Answer questions about what one run of a program registered."""

    def objects(self, *kinds: str) -> list[Recorded]:
        """Return the Kubernetes objects, of some kinds if they are named."""
        return [r for r in self.resources if r.kind and (not kinds or r.kind in kinds)]

    def object(self, kind: str, name: str, namespace: str | None = None) -> Json:
        """Return the one object of a kind and name."""
        found = [
            r.inputs
            for r in self.objects(kind)
            if r.inputs["metadata"]["name"] == name
            and (namespace is None or r.inputs["metadata"].get("namespace") == namespace)
        ]
        assert len(found) == 1, f"{kind} {name}: {len(found)} of {[r.name for r in self.objects(kind)]}"
        return found[0]

    def components(self) -> list[Recorded]:
        """Return our components."""
        return [r for r in self.resources if r.type.startswith("stampchat:infra:")]

    def inside(self, component: Recorded) -> list[Recorded]:
        """Return the Kubernetes objects within a component."""
        return [r for r in self.objects() if r.parent == component.urn]

    def waits_for(self, later: Recorded, earlier: Recorded) -> bool:
        """Tell whether one resource comes after another, directly or through others."""
        by_urn = {r.urn: r for r in self.resources}
        seen: set[str] = set()
        pending = [later.urn]
        while pending:
            for urn in by_urn[pending.pop()].dependencies - seen:
                if urn == earlier.urn:
                    return True
                seen.add(urn)
                if urn in by_urn:
                    pending.append(urn)
        return False


def password(name: str) -> str:
    """Return the made-up password of a RandomPassword: 64 letters and digits that a test can look for."""
    return hashlib.sha256(name.encode()).hexdigest()


def record(program: Callable[[], None], config: Mapping[str, str], *, stack: str = "dev") -> Recording:
    """Run a program with made-up passwords and return what it registered."""
    return Recording(**vars(rehearse(program, config, stack=stack, password=password)))


def files_of(secret: Json) -> dict[str, str]:
    """Return what a pod would read from a mounted Secret."""
    encoded = {key: base64.b64decode(value).decode() for key, value in secret.get("data", {}).items()}
    return {**encoded, **secret.get("stringData", {})}
