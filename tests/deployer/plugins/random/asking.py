"""Ask the plugin directly, as the engine would: a question takes no time."""

from __future__ import annotations

from typing import Any

from pulumi.runtime.proto import provider_pb2

from deployer.plugins.random.provider import RandomProvider
from deployer.plugins.values import decode, encode

PROVIDER = RandomProvider()
CONTEXT: Any = None


def token(kind: str) -> str:
    """Return the type token of a kind."""
    return f"random:index/r{kind[1:]}:{kind}"


def urn(kind: str) -> str:
    """Return the URN of a resource of a kind."""
    return f"urn:pulumi:dev::trial::{token(kind)}::x"


def check(kind: str, inputs: dict[str, Any]) -> dict[str, str]:
    """Return what the plugin says about each input."""
    request = provider_pb2.CheckRequest(urn=urn(kind), news=encode(inputs))
    answer = PROVIDER.Check(request, CONTEXT)
    assert decode(answer.inputs) == inputs
    return {failure.property: failure.reason for failure in answer.failures}


def diff(kind: str, state: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """Return the plugin's Diff."""
    return PROVIDER.Diff(provider_pb2.DiffRequest(urn=urn(kind), olds=encode(state), news=encode(inputs)), CONTEXT)


def create(kind: str, inputs: dict[str, Any], *, preview: bool = False) -> dict[str, Any]:
    """Return the outputs of a new resource."""
    request = provider_pb2.CreateRequest(urn=urn(kind), properties=encode(inputs), preview=preview)
    return decode(PROVIDER.Create(request, CONTEXT).properties)


def read(kind: str, state: dict[str, Any]) -> dict[str, Any]:
    """Return what a refresh makes of a state."""
    request = provider_pb2.ReadRequest(id="none", urn=urn(kind), properties=encode(state), inputs=encode({}))
    return decode(PROVIDER.Read(request, CONTEXT).properties)
