"""The verb preview."""

from __future__ import annotations

import typer

from cli.context import AsJson, Stack, settings_of, write, write_json
from cli.up import Port, Refresh


def preview(
    context: typer.Context,
    stack: Stack = "dev",
    *,
    port: Port = None,
    refresh: Refresh = False,
    as_json: AsJson = False,
) -> None:
    """Show what up would change in the cluster, and change nothing there.

    For stack dev the cluster is started and the images are built, as the API server itself judges the plan.

    [bold]Examples[/bold]

      ./stampchat preview

      ./stampchat preview --json | jq .changes
    """
    from deployer.up import UpOptions, up

    settings = settings_of(context)
    options = UpOptions(stack=stack, port=port, refresh=refresh, preview_only=True)
    with settings.display() as display:
        result = up(settings.workspace, options, display)
    outcome = result.outcome
    if as_json:
        changes = [
            {"op": change.op, "urn": change.resource.urn, "differs": list(change.diffs)} for change in outcome.changes
        ]
        write_json({"counts": outcome.counts, "changes": changes, "warnings": outcome.warnings})
        return
    write(*(change.planned for change in outcome.changes))
    write("Nothing to change." if outcome.is_unchanged else f"{outcome.planned}.")
