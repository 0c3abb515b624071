"""Answer the engine's calls about random resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from deployer.errors import UsageError
from deployer.plugins.random import fields
from deployer.plugins.random.differences import respond
from deployer.plugins.random.drawing import Drawn
from deployer.plugins.random.earlier import inputs_in, upgrade
from deployer.plugins.random.fields import Problem
from deployer.plugins.random.kinds import KINDS, Kind, settled
from deployer.plugins.values import UNKNOWN, Secret, decode, encode, has_secret, has_unknown, reveal


class RandomProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Draw values once and keep them in state; a changed input draws anew, in a new resource."""

    def GetPluginInfo(self, request: Empty, context: Any) -> plugin_pb2.PluginInfo:  # noqa: ARG002, D102, N802
        return plugin_pb2.PluginInfo(version=version("pulumi_random"))

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        kind = _kind(request.urn)
        given = fields.read(kind.fields, decode(request.news))
        failures = [
            provider_pb2.CheckFailure(property=problem.property, reason=_reason(problem, shown=not has_secret(given)))
            for problem in _problems(kind, reveal(given))
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        kind = _kind(request.urn)
        before = settled(kind, inputs_in(kind, decode(request.olds)))
        return respond(kind, reveal(before), reveal(_settled(kind, decode(request.news))))

    def Create(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        kind = _kind(request.urn)
        inputs = _settled(kind, decode(request.properties))
        if request.preview:
            unknown = Drawn("", dict.fromkeys(kind.results, UNKNOWN))
            return provider_pb2.CreateResponse(properties=encode(_outputs(kind, inputs, unknown)))
        drawn = kind.draw(reveal(inputs))
        return provider_pb2.CreateResponse(id=drawn.id, properties=encode(_outputs(kind, inputs, drawn)))

    def Update(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Take over inputs that ask for no new value, such as a keeper without one."""
        kind = _kind(request.urn)
        state = upgrade(kind, decode(request.olds))
        kept = Drawn(request.id, {name: state[name] for name in kind.results if name in state})
        outputs = _outputs(kind, _settled(kind, decode(request.news)), kept)
        return provider_pb2.UpdateResponse(properties=encode(outputs))

    def Read(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        kind = _kind(request.urn)
        if request.properties.fields:  # a refresh: the state is the only place where the value is
            state = upgrade(kind, decode(request.properties))
            return provider_pb2.ReadResponse(id=request.id, properties=encode(state), inputs=request.inputs)
        inputs, drawn = _adopt(kind, request.urn, request.id)
        outputs = _outputs(kind, settled(kind, inputs), drawn)
        return provider_pb2.ReadResponse(id=drawn.id, properties=encode(outputs), inputs=encode(inputs))

    def Call(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Answer `terraformConfig`, the provider's one method: this provider has nothing to configure."""
        answer: Any = {"return": encode({"result": {}})}  # the field's name is a word of Python's
        return provider_pb2.CallResponse(**answer)

    def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Say how to do without it: the engine asks once a `pulumi import` is done, to write the program's lines."""
        raise UsageError(
            "The stand-in for the plugin `random` cannot write the program for what is imported.",
            advice="What was imported is in the state: declare it yourself. --generate-code=false asks for no program.",
        )

    def Delete(self, request: Any, context: Any) -> Empty:  # noqa: ARG002, D102, N802
        return Empty()

    def Cancel(self, request: Empty, context: Any) -> Empty:  # noqa: ARG002, D102, N802
        return Empty()


def _token(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _kind(urn: str) -> Kind:
    token = _token(urn)
    if token not in KINDS:
        raise UsageError(f"The plugin `random` {version('pulumi_random')} has no resource {token}.")
    return KINDS[token]


def _settled(kind: Kind, properties: Mapping[str, Any]) -> dict[str, Any]:
    return settled(kind, fields.read(kind.fields, properties))


def _problems(kind: Kind, given: Mapping[str, Any]) -> Iterator[Problem]:
    found = list(fields.problems(kind.fields, given))
    yield from found
    if not found:
        yield from kind.problems({name: value for name, value in given.items() if not has_unknown(value)})


def _reason(problem: Problem, *, shown: bool) -> str:
    return problem.rule if problem.found is None or not shown else f"{problem.rule}, got {problem.found}"


def _adopt(kind: Kind, urn: str, identity: str) -> tuple[dict[str, Any], Drawn]:
    name = _token(urn).rsplit(":", 1)[-1]
    if kind.adopt is None:
        raise UsageError(
            f"A {name} cannot be imported: its id does not tell its inputs.",
            advice="Declare it, and a new one is drawn. The official plugin imports none either.",
        )
    try:
        return kind.adopt(identity)
    except ValueError as error:
        raise UsageError(f"The id cannot be imported as {name}: {error}.") from error


def _outputs(kind: Kind, inputs: Mapping[str, Any], drawn: Drawn) -> dict[str, Any]:
    """Return the state: secret is what always is, and whatever was made of a secret input."""
    made_of_secret = has_secret({name: value for name, value in inputs.items() if name != "keepers"})
    secret = set(kind.results) - {"id"} if made_of_secret else kind.secret
    marked = {name: _marked(value) if name in secret else value for name, value in drawn.results.items()}
    return {**inputs, **marked, **kind.fixed}


def _marked(value: Any) -> Secret:
    return value if isinstance(value, Secret) else Secret(value)
