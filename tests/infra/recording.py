"""Run a program against a monitor that records what it registers, so that tests read plain values."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, settings, sync_await
from pulumi.runtime import stack as stack_runtime

Json = dict[str, Any]

# Pulumi's mark on a secret value, and the key that carries it.
SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
# The SDK takes the thread's event loop, and a test that ran one of its own before has left none. It stays open: the
# SDK's worker threads hang on it, and each of them leaves a loop that nobody closes.
_LOOP = asyncio.new_event_loop()


@dataclass(frozen=True)
class Recorded:
    """Hold one registered resource."""

    urn: str
    type: str
    name: str
    parent: str
    inputs: Json
    secrets: Json
    dependencies: frozenset[str]
    custom: bool
    provider: str

    @property
    def kind(self) -> str:
        """The Kubernetes kind, or nothing for what is no Kubernetes object."""
        return self.type.rpartition(":")[2] if self.type.startswith("kubernetes:") else ""


@dataclass
class Recording:
    """Hold everything that one run of a program registered."""

    resources: list[Recorded] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)
    outputs: Json = field(default_factory=dict)

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


class Provider(mocks.Mocks):
    """Answer as the plugins would: a fixed made-up password for each name, and the inputs for everything else."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, Json]:
        outputs = dict(args.inputs)
        if args.typ == "random:index/randomPassword:RandomPassword":
            outputs["result"] = password(args.name)
        return args.name, outputs

    def call(self, args: mocks.MockCallArgs) -> tuple[Json, None]:
        raise AssertionError(f"the program asks for {args.token}")


class Monitor(mocks.MockMonitor):
    """Record each registration as the engine gets it: parent, dependencies, and which inputs are secret."""

    def __init__(self, stack: str) -> None:
        super().__init__(Provider())
        self.stack = stack
        self.recording = Recording()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  # the SDK's name
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]  # the SDK has no types here
        if request.type != "pulumi:pulumi:Stack":
            marked = rpc.deserialize_properties(request.object, keep_unknowns=True)
            self.recording.resources.append(
                Recorded(
                    urn=response.urn,
                    type=request.type,
                    name=request.name,
                    parent=request.parent,
                    inputs=_plain(marked),
                    secrets=_only_secrets(marked),
                    dependencies=frozenset(request.dependencies),
                    custom=request.custom,
                    provider=request.provider,
                )
            )
        return response

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        # The SDK's own asks a context that its worker threads do not have.
        outer = parent.split("::")[2] + "$" if parent and "pulumi:pulumi:Stack" not in parent else ""
        return f"urn:pulumi:{self.stack}::stampchat::{outer}{type_}::{name}"

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802  # the SDK's name
        if "pulumi:pulumi:Stack" in request.urn:
            self.recording.outputs = _plain(rpc.deserialize_properties(request.outputs))
        else:
            self.recording.finished.add(request.urn)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]  # the same


def password(name: str) -> str:
    """Return the made-up password of a RandomPassword: 64 letters and digits that a test can look for."""
    return hashlib.sha256(name.encode()).hexdigest()


def record(program: Callable[[], None], config: Mapping[str, str], *, stack: str = "dev") -> Recording:
    """Run a program and return what it registered.

    `preview=False` is explicit: under a preview an assertion inside `apply` on an output that is not set passes.
    """
    monitor = Monitor(stack)
    asyncio.set_event_loop(_LOOP)
    pulumi.runtime.set_all_config(dict(config))
    mocks.set_mocks(mocks=Provider(), project="stampchat", stack=stack, preview=False, monitor=monitor)
    _run(program)
    return monitor.recording


def _run(program: Callable[[], None]) -> None:
    # As the SDK's own entry point does, so that exports are registered; what earlier runs left is forgotten first.
    settings.SETTINGS.rpc_manager.clear()
    settings.SETTINGS.outputs.clear()
    settings.ROOT.set(None)
    sync_await._sync_await(stack_runtime.run_in_stack(program))


def files_of(secret: Json) -> dict[str, str]:
    """Return what a pod would read from a mounted Secret."""
    encoded = {key: base64.b64decode(value).decode() for key, value in secret.get("data", {}).items()}
    return {**encoded, **secret.get("stringData", {})}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(SIGNATURE_KEY) == SECRET:
            return _plain(value["value"])
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    # The wire knows one kind of number only.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _only_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(SIGNATURE_KEY) == SECRET:
            return _plain(value["value"])
        found = {key: _only_secrets(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item not in ({}, [], None)}
    if isinstance(value, list):
        return [item for item in map(_only_secrets, value) if item not in ({}, [], None)]
    return None
