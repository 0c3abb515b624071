"""The verb drift."""

from __future__ import annotations

import typer

from cli.context import AsJson, Stack, settings_of, write, write_json


def drift(context: typer.Context, stack: Stack = "prod", *, as_json: AsJson = False) -> None:
    """Show what somebody changed by hand, and change nothing. Exits 3 when there is something: made for cron.

    [bold]Examples[/bold]

      ./stampchat drift dev

      ./stampchat drift prod --json | jq .changes
    """
    from deployer.drift import find_drift
    from deployer.errors import DriftError

    settings = settings_of(context)
    with settings.display() as display:
        found = find_drift(settings.workspace, stack, display).changes
    if as_json:
        write_json(
            {
                "stack": stack,
                "changes": [
                    {"op": change.op, "urn": change.resource.urn, "differs": list(change.diffs)} for change in found
                ],
            }
        )
        if found:
            raise typer.Exit(DriftError.exit_code)
        return
    if not found:
        write(f"Stack {stack} is as it was left.")
        return
    gone = {"delete": "gone:"}
    write(*(f"{gone.get(change.op, 'changed:'):<9} {change.planned.partition(' ')[2]}" for change in found))
    raise DriftError(
        f"{len(found)} of stack {stack}'s resources are not as they were left.",
        advice=f"`./stampchat up {stack} --refresh --take-over` puts them back, after showing how.",
    )
