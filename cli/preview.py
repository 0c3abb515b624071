"""The verb preview."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import AsJson, Settings, Stack, settings_of, write, write_json
from cli.up import Port, Refresh

if TYPE_CHECKING:
    from deployer.up import UpOptions

Markdown = Annotated[bool, typer.Option("--markdown", help="Print a comment for a pull request.")]
From = Annotated[
    list[Path] | None,
    typer.Option("--from", help="With --markdown: a report that --json printed, instead of a preview; repeatable."),
]
Whole = Annotated[bool, typer.Option("--whole", help="With --markdown: however long it gets, for a job's summary.")]


def preview(
    context: typer.Context,
    stack: Stack = "dev",
    *,
    port: Port = None,
    refresh: Refresh = False,
    as_json: AsJson = False,
    markdown: Markdown = False,
    reports: From = None,
    whole: Whole = False,
) -> None:
    """Show what up would change in the cluster, and change nothing there.

    For stack dev the cluster is started and the images are built, as the API server itself judges the plan.

    [bold]Examples[/bold]

      ./stampchat preview

      ./stampchat preview --json | jq .changes

      ./stampchat preview --markdown --from dev.json --from prod.json > comment.md
    """
    from deployer.up import UpOptions

    settings = settings_of(context)
    options = UpOptions(stack=stack, port=port, refresh=refresh, preview_only=True)
    if markdown or as_json:
        found = [_load(path) for path in reports] if reports else [_report(settings, options)]
        if markdown:
            from deployer.comment import LIMIT, SUMMARY_LIMIT, parse_section, render_comment

            sections = [parse_section(report) for report in found]
            write(render_comment(sections, limit=SUMMARY_LIMIT if whole else LIMIT))
        else:
            write_json(found[0] if len(found) == 1 else found)
        if any(report.get("error") or report.get("policies") for report in found):
            raise typer.Exit(1)
        return
    from deployer.preview import ordered
    from deployer.up import up

    with settings.display() as display:
        outcome = up(settings.workspace, options, display).outcome
    write(*(change.planned for change in ordered(outcome.changes)))
    write("Nothing to change." if outcome.is_unchanged else f"{outcome.planned}.")


def _report(settings: Settings, options: UpOptions) -> dict[str, Any]:
    """Preview, and tell a failure as part of the report: a comment says it too."""
    from deployer.errors import DeployError
    from deployer.up import up

    with settings.display() as display:
        try:
            outcome = up(settings.workspace, options, display).outcome
        except DeployError as error:
            return {"stack": options.stack, "error": str(error)}
    changes = [
        {
            "op": change.op,
            "urn": change.resource.urn,
            "name": str(change.resource),
            "differs": list(change.diffs),
            "lines": list(change.lines),
        }
        for change in outcome.changes
    ]
    return {
        "stack": options.stack,
        "counts": outcome.counts,
        "changes": changes,
        "warnings": outcome.warnings,
        "policies": outcome.policies,
    }


def _load(path: Path) -> dict[str, Any]:
    from deployer.errors import UsageError

    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no report of a preview: {error}.") from error
    return loaded if isinstance(loaded, dict) else {}
