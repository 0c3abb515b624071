"""The verb version."""

from __future__ import annotations

import typer

from cli.context import AsJson, write, write_json


def version(_context: typer.Context, *, as_json: AsJson = False) -> None:
    """Print this project's version and those of the parts that it brings.

    [bold]Example[/bold]

      ./stampchat version --json
    """
    from deployer.versions import load_versions, project_version

    versions = load_versions()
    found = {
        "stampchat": project_version(),
        "pulumi": versions["engine"]["version"],
        "kubernetes": versions["cluster"]["kubernetes"],
        "etcd": versions["cluster"]["etcd"],
    }
    if as_json:
        write_json(found)
        return
    for name, value in found.items():
        write(f"{name:<12} {value}")
