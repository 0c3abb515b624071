"""Make the package's components of plain YAML: ConfigFile and ConfigGroup of the second version.

A component's children are registered with the engine, which then asks this very plugin for each, like for any other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, resource_pb2, resource_pb2_grpc

from deployer.plugins.kubernetes.errors import KubernetesError, UnsupportedError
from deployer.plugins.kubernetes.functions import read_yaml
from deployer.plugins.kubernetes.manifest import SKIP_AWAIT, dig, name_of
from deployer.plugins.values import UNKNOWN, decode, encode, has_unknown, reveal

_TYPES = ("kubernetes:yaml/v2:ConfigFile", "kubernetes:yaml/v2:ConfigGroup")
# What others live in, or are of, goes first.
_FIRST = ("Namespace", "CustomResourceDefinition")
# The protocol's marker of a value that is a resource.
_REFERENCE = {"4dabf18193072939515e22adb298388d": "5cf8f73096256a8f31e491e813e4eb8e"}
_UNBOUNDED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def construct(request: Any, *, version: str) -> Any:
    """Register a component and its objects, and return it.

    Args:
        request: the engine's.
        version: the package's, for the children.

    Raises:
        UnsupportedError: another component, which the official plugin alone has.
        KubernetesError: the YAML cannot be read, or an object of it has no kind or no name.
    """
    if request.type not in _TYPES:
        raise UnsupportedError(f"The component {request.type}")
    inputs = decode(request.inputs)
    with grpc.insecure_channel(request.monitorEndpoint, options=_UNBOUNDED) as channel:
        monitor = resource_pb2_grpc.ResourceMonitorStub(channel)
        component = monitor.RegisterResource(
            resource_pb2.RegisterResourceRequest(
                type=request.type, name=request.name, parent=request.parent, acceptSecrets=True, acceptResources=True
            )
        )
        made = [] if has_unknown(inputs) else _register(monitor, request, component.urn, inputs, version)
        outputs = {"resources": UNKNOWN if has_unknown(inputs) else made}
        done = resource_pb2.RegisterResourceOutputsRequest(urn=component.urn, outputs=encode(outputs))
        monitor.RegisterResourceOutputs(done)
    return provider_pb2.ConstructResponse(urn=component.urn, state=encode(outputs))


def read_objects(inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the objects that a component's inputs name: of files, of texts, and as they are.

    Args:
        inputs: `file` or `files` (paths or patterns, from the project's folder), `yaml`, `objs`, without markers.

    Raises:
        KubernetesError: a file is not there, or its YAML cannot be read.
    """
    files = [*_listed(inputs.get("file")), *_listed(inputs.get("files"))]
    texts = [path.read_text(encoding="utf-8") for name in files for path in _matching(str(name))]
    texts += [str(text) for text in _listed(inputs.get("yaml"))]
    given = [item for item in _listed(inputs.get("objs")) if isinstance(item, dict)]
    return [item for text in texts for item in read_yaml(text)] + [
        item for document in given for item in read_yaml(json.dumps(document))
    ]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _matching(name: str) -> list[Path]:
    if "://" in name:
        raise UnsupportedError(f"YAML from {name}")
    path = Path(name)
    found = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))))
    if not found:
        raise KubernetesError(f"There is no file {name}.", advice="Paths start at the project's folder.")
    return found


def _register(monitor: Any, request: Any, parent: str, inputs: Mapping[str, Any], version: str) -> list[dict[str, Any]]:
    plain = reveal(inputs)
    prefix = str(plain.get("resourcePrefix") or request.name)
    objects = read_objects(plain)
    if plain.get("skipAwait"):
        objects = [_unawaited(item) for item in objects]
    names = [_resource_name(prefix, item) for item in objects]
    before: list[str] = []
    made: dict[str, dict[str, Any]] = {}
    for wave in _waves(list(zip(names, objects, strict=True))):
        with ThreadPoolExecutor(max_workers=max(len(wave), 1)) as pool:
            asked = [_child(request, parent, named, before, version) for named in wave]
            for (name, _), answer in zip(wave, pool.map(monitor.RegisterResource, asked), strict=True):
                made[name] = {**_REFERENCE, "urn": answer.urn, "id": answer.id, "packageVersion": version}
        before = [item["urn"] for item in made.values()]
    return [made[name] for name in names]


def _waves(objects: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    first = [(name, item) for name, item in objects if item.get("kind") in _FIRST]
    if first:
        yield first
    yield [(name, item) for name, item in objects if item.get("kind") not in _FIRST]


def _child(request: Any, parent: str, named: tuple[str, Mapping[str, Any]], after: Sequence[str], version: str) -> Any:
    name, item = named
    api_version = str(item["apiVersion"])
    module = api_version if "/" in api_version else f"core/{api_version}"
    return resource_pb2.RegisterResourceRequest(
        type=f"kubernetes:{module}:{item['kind']}",
        name=name,
        parent=parent,
        custom=True,
        object=encode(dict(item)),
        provider=request.providers.get("kubernetes", ""),
        dependencies=[*request.dependencies, *after],
        version=version,
        protect=request.protect,
        acceptSecrets=True,
        acceptResources=True,
    )


def _resource_name(prefix: str, item: Mapping[str, Any]) -> str:
    if not item.get("apiVersion") or not item.get("kind") or not name_of(item):
        raise KubernetesError(
            "An object in the YAML has no apiVersion, no kind or no metadata.name.", said=json.dumps(item)[:200]
        )
    namespace = str(dig(item, "metadata", "namespace", default=""))
    return f"{prefix}:{f'{namespace}/' if namespace else ''}{name_of(item)}"


def _unawaited(item: dict[str, Any]) -> dict[str, Any]:
    metadata = dict(item.get("metadata") or {})
    return {
        **item,
        "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), SKIP_AWAIT: "true"}},
    }
