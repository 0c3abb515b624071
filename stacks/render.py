"""Render a stack's objects for those who apply by hand: `python -m stacks.render`, a JSON request in, JSON out.

The request is {"stack", "config", "root"}; the answer is a list of {"component", "manifest"} in the order in which they
may be applied. No secret is in it: whatever would be one is a placeholder that says what belongs there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.catalogue import TOKEN_KEYS
from infra.config import SecretText, StackConfig, validate_stack
from infra.errors import InfraError
from stacks import dev, prod
from stacks.rehearsal import Registered, rehearse

Json = dict[str, Any]

PLACEHOLDER = "<{}>"
# In the place of a key's id and ".pem"; a ConfigMap's keys take no angle brackets.
KEY_FILE = "replace-by-kid.pem"
MANAGED_BY = "app.kubernetes.io/managed-by"
# What only our engine reads, or what it alone can work out.
_OURS = ("pulumi.com/", "checksum.stampchat/")


def render(stack: str, values: Mapping[str, object], root: Path) -> list[Json]:
    """Return a stack's objects, each with the component that it belongs to, none before what it waits for.

    Args:
        stack: the stack's name.
        values: the `config` mapping of its file.
        root: the checkout.

    Raises:
        InfraError: the config, or what it names, cannot be deployed.
    """
    config = _without_secrets(validate_stack(values))

    def program() -> None:
        if config.hosted is None:
            dev.deploy(config, root)
        else:
            prod.deploy(config, config.hosted, root)

    rehearsal = rehearse(program, {}, stack=stack, password=PLACEHOLDER.format)
    names = {resource.urn: resource.name for resource in rehearsal.resources if not resource.custom}
    return [
        {"component": names.get(resource.parent, stack), "manifest": _plain_manifest(resource)}
        for resource in _in_order(rehearsal.resources)
        if resource.kind
    ]


def _without_secrets(config: StackConfig) -> StackConfig:
    """Put a placeholder where a secret stands, encrypted as it is."""
    account = None if config.firebase_service_account is None else SecretText(PLACEHOLDER.format("service account"))
    hosted = config.hosted
    if hosted is not None:
        urls = {name: SecretText(PLACEHOLDER.format(f"{name} database url")) for name in hosted.databases}
        migrating = {name: SecretText(PLACEHOLDER.format("migrating role's url")) for name in hosted.migrate_databases}
        hosted = replace(hosted, databases=urls, migrate_databases=migrating)
    legacy = config.legacy_tokens
    if legacy is not None:
        legacy = replace(legacy, secret=SecretText(PLACEHOLDER.format("the original's private_key")))
    bus = config.bus
    if bus.url is not None:
        bus = replace(bus, url=SecretText(PLACEHOLDER.format("bus url")))
    return replace(config, firebase_service_account=account, legacy_tokens=legacy, hosted=hosted, bus=bus)


def _in_order(resources: Iterable[Registered]) -> Iterator[Registered]:
    """Yield each resource after all that it waits for, otherwise by name: the SDK's threads register in any order."""
    waiting = {resource.urn: resource for resource in sorted(resources, key=lambda resource: resource.urn)}
    known = set(waiting)
    while waiting:
        ready = next(item for item in waiting.values() if not (item.dependencies & known) & waiting.keys())
        yield waiting.pop(ready.urn)


def _plain_manifest(resource: Registered) -> Json:
    manifest = json.loads(json.dumps(resource.inputs))
    _drop_ours(manifest)
    metadata = manifest["metadata"]
    if resource.kind == "Secret":
        keys = [*manifest.pop("data", {}), *manifest.pop("stringData", {})]
        manifest["stringData"] = {key: PLACEHOLDER.format(f"{metadata['name']} {key}") for key in sorted(keys)}
    if resource.kind == "ConfigMap" and metadata["name"] == TOKEN_KEYS:
        # `./stampchat secrets public-key` prints the real ones for a private key.
        manifest["data"] = {KEY_FILE: PLACEHOLDER.format("public key of private_key")}
    return {key: manifest[key] for key in ("apiVersion", "kind", "metadata", *manifest)}


def _drop_ours(value: Any) -> None:
    """Take out of an object, and of whatever it is a template for, what names our engine."""
    if isinstance(value, list):
        for item in value:
            _drop_ours(item)
    if not isinstance(value, dict):
        return
    for item in value.values():
        _drop_ours(item)
    annotations = value.get("annotations")
    if isinstance(annotations, dict):
        kept = {key: text for key, text in annotations.items() if not key.startswith(_OURS)}
        value["annotations"] = kept
        if not kept:
            del value["annotations"]
    labels = value.get("labels")
    if isinstance(labels, dict) and MANAGED_BY in labels:
        labels[MANAGED_BY] = "kubectl"


def main() -> int:
    """Answer one request; return the exit code."""
    request = json.load(sys.stdin)
    try:
        rendered = render(request["stack"], request["config"], Path(request["root"]))
    except InfraError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump(rendered, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
