"""Answer the engine's calls about random resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from deployer.errors import UsageError
from deployer.plugins.random.kinds import KINDS, Drawn, Kind
from deployer.plugins.values import UNKNOWN, Secret, decode, encode, has_unknown, reveal

_CHANGES = provider_pb2.DiffResponse
_PROPERTY = provider_pb2.PropertyDiff


class RandomProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Draw values once and keep them in state; any changed input draws anew, in a new resource."""

    def GetPluginInfo(self, request: Empty, context: Any) -> plugin_pb2.PluginInfo:  # noqa: ARG002, D102, N802
        return plugin_pb2.PluginInfo(version=version("pulumi_random"))

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        kind = _kind(request.urn)
        failures = [
            provider_pb2.CheckFailure(property=name, reason=reason)
            for name, reason in _problems(kind, _inputs(decode(request.news)))
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        kind = _kind(request.urn)
        before = kind.with_defaults(_inputs(decode(request.old_inputs)))
        after = kind.with_defaults(_inputs(decode(request.news)))
        detail = dict(_differences(before, after))
        changed = sorted({path.split(".")[0].split("[")[0] for path in detail})
        return provider_pb2.DiffResponse(
            changes=_CHANGES.DIFF_SOME if detail else _CHANGES.DIFF_NONE,
            replaces=changed,
            diffs=changed,
            detailedDiff={path: _PROPERTY(kind=change, inputDiff=True) for path, change in detail.items()},
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        kind = _kind(request.urn)
        inputs = decode(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=encode(_outputs(kind, inputs, None)))
        drawn = kind.draw(kind.with_defaults(_inputs(inputs)))
        return provider_pb2.CreateResponse(id=drawn.id, properties=encode(_outputs(kind, inputs, drawn)))

    def Read(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        if request.properties.fields:  # a refresh: the state is the only place where the value is
            return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
        kind = _kind(request.urn)
        try:
            inputs, drawn = kind.adopt(request.id)
        except ValueError as error:
            raise UsageError(f"The id cannot be imported as {_token(request.urn)}: {error}.") from error
        outputs = _outputs(kind, inputs, drawn)
        return provider_pb2.ReadResponse(id=drawn.id, properties=encode(outputs), inputs=encode(inputs))

    def Delete(self, request: Any, context: Any) -> Empty:  # noqa: ARG002, D102, N802
        return Empty()

    def Cancel(self, request: Empty, context: Any) -> Empty:  # noqa: ARG002, D102, N802
        return Empty()


def _token(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _kind(urn: str) -> Kind:
    token = _token(urn)
    if token not in KINDS:
        known = ", ".join(name.rsplit(":", 1)[1] for name in KINDS)
        raise UsageError(
            f"The stand-in for the plugin `random` knows {known}, and not {token}.",
            advice=f"Install the official plugin: `pulumi plugin install resource random {version('pulumi_random')}`.",
        )
    return KINDS[token]


def _inputs(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs in clear, without the engine's and the official plugin's own notes."""
    return {key: reveal(value) for key, value in properties.items() if not key.startswith("__") and value is not None}


def _problems(kind: Kind, inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    missing = [name for name in kind.required if name not in inputs]
    for name in missing:
        yield name, f"missing required property '{name}'"
    for name in kind.unsupported:
        if name in inputs:
            yield name, f"the stand-in for the plugin `random` does not know '{name}'; install the official plugin"
    if not missing and not has_unknown(inputs):
        yield from kind.problems(kind.with_defaults(inputs))


def _outputs(kind: Kind, inputs: Mapping[str, Any], drawn: Drawn | None) -> dict[str, Any]:
    results = dict.fromkeys(kind.results, UNKNOWN) if drawn is None else drawn.results
    marked = {name: Secret(value) if name in kind.secret else value for name, value in results.items()}
    kept = {key: value for key, value in inputs.items() if value is not None}
    return kind.with_defaults(kept) | marked | kind.fixed


def _differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path of each difference with its kind; every one of them replaces."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys()):
            inner = _join(path, key)
            if key not in after:
                yield inner, _PROPERTY.DELETE_REPLACE
            elif key not in before:
                yield inner, _PROPERTY.ADD_REPLACE
            else:
                yield from _differences(before[key], after[key], inner)
    elif before != after or has_unknown(after):
        yield path, _PROPERTY.UPDATE_REPLACE


def _join(path: str, key: str) -> str:
    plain = key.replace("_", "a").isalnum()
    if not path:
        return key
    return f"{path}.{key}" if plain else f'{path}["{key}"]'
