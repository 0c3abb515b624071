"""Answer the engine: the surface of the plugin, where protocol messages become plain data and back."""

from __future__ import annotations

import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from deployer.plugins.kubernetes.check import check
from deployer.plugins.kubernetes.cluster import Cluster, connect
from deployer.plugins.kubernetes.configuration import changed_arguments, replacing_arguments
from deployer.plugins.kubernetes.diff import Difference
from deployer.plugins.kubernetes.errors import ClusterUnreachableError
from deployer.plugins.kubernetes.functions import invoke
from deployer.plugins.kubernetes.kinds import Kind, kind_of, patches_only
from deployer.plugins.kubernetes.lifecycle import Lifecycle
from deployer.plugins.kubernetes.normalise import dashed
from deployer.plugins.kubernetes.planning import Plan, plan
from deployer.plugins.kubernetes.rendering import Rendering
from deployer.plugins.kubernetes.settings import Settings, load_settings
from deployer.plugins.kubernetes.state import read_checkpoint
from deployer.plugins.rpc import EngineLog
from deployer.plugins.values import decode, encode, reveal

_DEFAULT_NAMESPACE = "default"


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serve the `kubernetes` package.

    Args:
        engine: the engine's address, for status lines.
    """

    def __init__(self, engine: str) -> None:
        self._log = EngineLog(engine)
        self._settings = Settings()
        self._cluster: Cluster | None = None
        self._unreachable = ClusterUnreachableError("the provider was not configured.")
        self._cancelled = threading.Event()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802  # the protocol's signature
        """Say which release this stands in for."""
        return plugin_pb2.PluginInfo(version=version("pulumi-kubernetes"))

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Take the provider's arguments as they are."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Say whether the arguments lead to another cluster."""
        olds, news = decode(request.olds), decode(request.news)
        changed = changed_arguments(olds, news)
        some = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some, diffs=changed, replaces=replacing_arguments(olds, news))

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Reach the cluster; one that does not answer fails only what needs it."""
        self._settings = load_settings(decode(request.args))
        if not self._settings.render_directory:
            self._connect()
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    def _connect(self) -> None:
        try:
            self._cluster = connect(self._settings, self._cancelled)
        except ClusterUnreachableError as error:
            self._unreachable = error
            self._log.log(error.what, severity="warning")

    def Check(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Complete and normalise inputs; what cannot be reached and is to be skipped keeps those that it has."""
        if self._skips() and request.olds.fields:
            self._log.log("left as it is: its cluster cannot be reached.", urn=request.urn, severity="warning")
            return provider_pb2.CheckResponse(inputs=request.olds)
        options = request.autonaming if request.HasField("autonaming") else None
        forbidden = options is not None and options.mode == provider_pb2.CheckRequest.AutonamingOptions.DISABLE
        proposed = "" if forbidden else options.proposed_name or None if options else None
        news = decode(request.news)
        self._note_definition(news)
        inputs = check(
            request.urn,
            news,
            decode(request.olds),
            namespace_for=self._namespace_for,
            seed=request.randomSeed,
            proposed=proposed,
        )
        return provider_pb2.CheckResponse(inputs=encode(inputs))

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Plan an update."""
        news = dashed(reveal(decode(request.news)))
        kind = kind_of(request.urn, news)
        return _diff_response(
            plan(
                read_checkpoint(decode(request.olds)),
                news,
                kind=kind,
                namespaced=self._namespaced(kind),
                patches_only=patches_only(request.urn),
                settings=self._settings,
                ignored=request.ignoreChanges,
            )
        )

    def Create(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Create an object and wait for it."""
        identifier, outputs = self._lifecycle(request).create(decode(request.properties), preview=request.preview)
        return provider_pb2.CreateResponse(id=identifier, properties=encode(outputs))

    def Update(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Change an object and wait for it."""
        outputs = self._lifecycle(request).update(
            decode(request.olds),
            decode(request.news),
            ignored=tuple(request.ignoreChanges),
            preview=request.preview,
        )
        return provider_pb2.UpdateResponse(properties=encode(outputs))

    def Read(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Return an object as it is: for refresh and import."""
        if self._forgets():
            return provider_pb2.ReadResponse()
        if self._skips() and request.properties.fields:
            self._log.log("not looked at: its cluster cannot be reached.", urn=request.urn, severity="warning")
            return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
        identifier, outputs, inputs = self._lifecycle(request).read(
            request.id, decode(request.properties), decode(request.inputs)
        )
        return provider_pb2.ReadResponse(id=identifier, properties=encode(outputs), inputs=encode(inputs))

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Delete an object and wait until it is gone."""
        if not self._forgets():
            self._lifecycle(request).delete(request.id, decode(request.properties))
        return Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Answer a function of the package."""
        response = provider_pb2.InvokeResponse()
        # The field's name is a keyword of Python's.
        getattr(response, "return").CopyFrom(encode(invoke(request.tok, decode(request.args))))
        return response

    def Construct(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """Make a component of plain YAML; charts and kustomizations are the official plugin's alone."""
        # Here alone: whoever uses none need not wait for what it imports.
        from deployer.plugins.kubernetes.components import construct

        return construct(request, version=version("pulumi-kubernetes"))

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        """End every await."""
        self._cancelled.set()
        return Empty()

    def _lifecycle(self, request: Any) -> Lifecycle | Rendering:
        kind_of(request.urn, {})  # what cannot be served is said before that the cluster is away
        urn = request.urn
        if self._settings.render_directory:
            return Rendering(
                folder=Path(self._settings.render_directory),
                urn=urn,
                server_side=self._settings.server_side_apply,
                tell=lambda line: self._log.log(line, urn=urn, ephemeral=True),
                warn=lambda line: self._log.log(line, urn=urn, severity="warning"),
            )
        if self._cluster is None:
            raise self._unreachable
        return Lifecycle(
            cluster=self._cluster,
            urn=urn,
            timeout=request.timeout,
            tell=lambda line: self._log.log(line, urn=urn, ephemeral=True),
        )

    def _forgets(self) -> bool:
        return self._is_away and self._settings.delete_unreachable

    def _skips(self) -> bool:
        return self._is_away and self._settings.skip_unreachable

    @property
    def _is_away(self) -> bool:
        return self._cluster is None and not self._settings.render_directory

    def _namespaced(self, kind: Kind) -> bool:
        if self._cluster is not None:
            return self._cluster.discovery.namespaced(kind)
        return kind.namespaced is not False

    def _namespace_for(self, kind: Kind) -> str:
        if not self._namespaced(kind):
            return ""
        return self._cluster.namespace if self._cluster is not None else self._settings.namespace or _DEFAULT_NAMESPACE

    def _note_definition(self, news: dict[str, Any]) -> None:
        if self._cluster is not None and news.get("kind") == "CustomResourceDefinition":
            self._cluster.discovery.promise(reveal(news))


def _diff_response(planned: Plan) -> Any:
    response = provider_pb2.DiffResponse
    return response(
        changes=response.DIFF_SOME if planned.differences else response.DIFF_NONE,
        replaces=planned.replaces,
        deleteBeforeReplace=planned.delete_first,
        detailedDiff={difference.text: _property_diff(difference) for difference in planned.differences},
        hasDetailedDiff=True,
    )


def _property_diff(difference: Difference) -> Any:
    name = difference.change.value + ("_REPLACE" if difference.replaces else "")
    return provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.Kind.Value(name), inputDiff=difference.input_only)
