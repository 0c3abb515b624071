"""Small Pulumi programs, written as tables of resources."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.versions import load_versions
from tests.deployer.plugins.engine_project import EngineProject

# Reads resources.json. No typed SDK: its import would take longer than the whole update.
_PROGRAM = """
import json, os, pulumi

table = json.load(open(os.path.join(os.path.dirname(__file__), "resources.json")))
made = {}

class Provider(pulumi.ProviderResource):
    def __init__(self, arguments, version):
        super().__init__("kubernetes", "cluster", arguments, pulumi.ResourceOptions(version=version))

class Object(pulumi.CustomResource):
    metadata: pulumi.Output[dict]

    def __init__(self, kind, name, inputs, options):
        super().__init__(kind, name, {"metadata": None, **inputs}, options)

def filled(value):
    if isinstance(value, dict):
        if "$secret" in value:
            return pulumi.Output.secret(value["$secret"])
        if "$uid" in value:
            return made[value["$uid"]].metadata.apply(lambda metadata: metadata["uid"])
        return {key: filled(item) for key, item in value.items()}
    return [filled(item) for item in value] if isinstance(value, list) else value

provider = Provider(table["provider"], table["version"])
for entry in table["resources"]:
    options = dict(entry["options"])
    options["depends_on"] = [made[name] for name in options.pop("after", [])]
    if "timeout" in options:
        limit = options.pop("timeout")
        options["custom_timeouts"] = pulumi.CustomTimeouts(create=limit, update=limit, delete=limit)
    made[entry["name"]] = Object(
        entry["type"], entry["name"], filled(entry["inputs"]), pulumi.ResourceOptions(provider=provider, **options)
    )
"""


@dataclass(frozen=True)
class Entry:
    """One resource of a program.

    Attributes:
        name: its name in the program.
        type: its Pulumi type without the package, such as core/v1:ConfigMap.
        inputs: everything but apiVersion and kind.
        options: resource options, and `after`: names of what it depends on.
    """

    name: str
    type: str
    inputs: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def as_row(self) -> dict[str, Any]:
        """Return it as the program reads it."""
        api_version, kind = self.type.split(":")
        inputs = {"apiVersion": api_version.removeprefix("core/"), "kind": kind, **self.inputs}
        return {"name": self.name, "type": f"kubernetes:{self.type}", "inputs": inputs, "options": dict(self.options)}


@dataclass(frozen=True)
class Trial:
    """A project whose program is a table, and the cluster that it is for.

    Attributes:
        project: the project.
        provider: the provider's arguments.
    """

    project: EngineProject
    provider: Mapping[str, Any]

    def write(self, *entries: Entry, **provider: Any) -> None:
        """Set the program."""
        table = {
            "version": load_versions()["plugins"]["kubernetes"]["version"],
            "provider": {**self.provider, **provider},
            "resources": [entry.as_row() for entry in entries],
        }
        (self.project.folder / "resources.json").write_text(json.dumps(table))
        self.project.write(_PROGRAM)

    def up(self, *entries: Entry, **provider: Any) -> str:
        """Set the program and update; return what the engine printed."""
        self.write(*entries, **provider)
        return self.project.up()

    def fail(self, *entries: Entry, **provider: Any) -> str:
        """Set the program and update; return what the engine printed when it failed, as it must."""
        self.write(*entries, **provider)
        # All at once: after a first failure the engine begins nothing new.
        done = self.project.run("up", "--yes", "--skip-preview", "--parallel", "50", check=False)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def preview(self, *entries: Entry) -> dict[str, dict[str, Any]]:
        """Set the program (or leave it) and return the planned steps by resource."""
        if entries:
            self.write(*entries)
        done = self.project.run("preview", "--json")
        steps: dict[str, dict[str, Any]] = {}
        for step in json.loads(done.stdout)["steps"]:
            steps.setdefault(step["urn"].rsplit("::", 1)[1], {"ops": []})["ops"].append(step["op"])
            steps[step["urn"].rsplit("::", 1)[1]] |= {key: value for key, value in step.items() if key != "op"}
        return steps

    def unchanged(self) -> bool:
        """Say whether a preview plans nothing."""
        return self.project.run("preview", "--expect-no-changes", check=False).returncode == 0

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run any command of the engine."""
        return self.project.run(*arguments, check=False)

    def state(self, name: str) -> dict[str, Any]:
        """Return a resource as the state has it."""
        return self.project.resources()[name]
