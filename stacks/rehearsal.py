"""Run a program without an engine or a cluster, and keep what it registers: for rendering, and for tests.

Nothing is asked of any plugin: a resource's outputs are its inputs, and what a plugin would generate is made up by
whoever rehearses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, settings, sync_await
from pulumi.runtime import stack as stack_runtime

Json = dict[str, Any]

# Pulumi's mark on a secret value, and the key that carries it.
SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  # a mark, the same everywhere
# The SDK takes the thread's event loop, where there may be none. It stays open: the SDK's worker threads hang on it.
_LOOP = asyncio.new_event_loop()


@dataclass(frozen=True)
class Registered:
    """Hold one registered resource.

    Attributes:
        urn: its name for the engine.
        type: its type token.
        name: its name in the program.
        parent: the URN of the component that it belongs to.
        inputs: plain values, secrets included.
        secrets: of the inputs, those that are marked secret.
        dependencies: URNs of what it waits for.
        custom: whether it is a plugin's, and no component.
        provider: the reference of the provider that it goes through.
        protected: whether the engine refuses to delete it.
    """

    urn: str
    type: str
    name: str
    parent: str
    inputs: Json
    secrets: Json
    dependencies: frozenset[str]
    custom: bool
    provider: str
    protected: bool = False

    @property
    def kind(self) -> str:
        """The Kubernetes kind, or nothing for what is no Kubernetes object: a Helm release is many."""
        is_object = self.type.startswith("kubernetes:") and not self.type.startswith("kubernetes:helm.sh/")
        return self.type.rpartition(":")[2] if is_object else ""


@dataclass
class Rehearsal:
    """Hold everything that one run of a program registered.

    Attributes:
        resources: in the order of their registration.
        finished: URNs of components that have registered their outputs.
        outputs: the stack's.
    """

    resources: list[Registered] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)
    outputs: Json = field(default_factory=dict)


class _Provider(mocks.Mocks):
    def __init__(self, password: Callable[[str], str]) -> None:
        self._password = password

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, Json]:
        outputs = dict(args.inputs)
        if args.typ == "random:index/randomPassword:RandomPassword":
            outputs["result"] = self._password(args.name)
        return args.name, outputs

    def call(self, args: mocks.MockCallArgs) -> tuple[Json, None]:
        raise AssertionError(f"the program asks for {args.token}")


class _Monitor(mocks.MockMonitor):
    """Record each registration as the engine gets it: parent, dependencies, and which inputs are secret."""

    def __init__(self, stack: str, provider: _Provider) -> None:
        super().__init__(provider)
        self.stack = stack
        self.rehearsal = Rehearsal()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  # the SDK's name
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]  # the SDK has no types here
        if request.type != "pulumi:pulumi:Stack":
            marked = rpc.deserialize_properties(request.object, keep_unknowns=True)
            self.rehearsal.resources.append(
                Registered(
                    urn=response.urn,
                    type=request.type,
                    name=request.name,
                    parent=request.parent,
                    inputs=_plain(marked),
                    secrets=_only_secrets(marked),
                    dependencies=frozenset(request.dependencies),
                    custom=request.custom,
                    provider=request.provider,
                    protected=request.protect,
                )
            )
        return response

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        # The SDK's own asks a context that its worker threads do not have.
        outer = parent.split("::")[2] + "$" if parent and "pulumi:pulumi:Stack" not in parent else ""
        return f"urn:pulumi:{self.stack}::stampchat::{outer}{type_}::{name}"

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802  # the SDK's name
        if "pulumi:pulumi:Stack" in request.urn:
            self.rehearsal.outputs = _plain(rpc.deserialize_properties(request.outputs))
        else:
            self.rehearsal.finished.add(request.urn)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]  # the same


def rehearse(
    program: Callable[[], None], config: Mapping[str, str], *, stack: str, password: Callable[[str], str]
) -> Rehearsal:
    """Run a program and return what it registered.

    It runs as in an update: under a preview, what hangs on an output that is not set would be passed over.

    Args:
        program: what to run.
        config: the stack's, as the engine hands it over.
        stack: the stack's name.
        password: makes up what a RandomPassword of a name would be.
    """
    provider = _Provider(password)
    monitor = _Monitor(stack, provider)
    asyncio.set_event_loop(_LOOP)
    pulumi.runtime.set_all_config(dict(config))
    mocks.set_mocks(mocks=provider, project="stampchat", stack=stack, preview=False, monitor=monitor)
    # As the SDK's own entry point does, so that exports are registered; what earlier runs left is forgotten first.
    settings.SETTINGS.rpc_manager.clear()
    settings.SETTINGS.outputs.clear()
    settings.ROOT.set(None)
    sync_await._sync_await(stack_runtime.run_in_stack(program))  # noqa: SLF001  # what the SDK's entry point calls
    return monitor.rehearsal


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
