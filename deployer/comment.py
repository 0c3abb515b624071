"""Write previews as one Markdown comment on a pull request: what matters first, all of it folded away below.

GitHub refuses a comment over 65,536 characters, and a Deployment's worth of differences has thousands: whatever the
change, the counts and the names stay, and the longest differences go first. The whole belongs into the job's summary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployer.errors import UsageError

# https://github.com/orgs/community/discussions/27190; the last few are kept for whatever a workflow adds.
LIMIT = 65_000
# A job's summary may have 1 MiB: https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions
SUMMARY_LIMIT = 1_000_000
# By this line a workflow finds the comment that it wrote before, and edits it.
MARKER = "<!-- stampchat preview -->"

_FIRST = ("replace", "delete", "update", "create")
_MARKUP = frozenset("&<>@|\\`*_[]#!~")
_SIGNS = {"create": "+", "update": "~", "delete": "-", "replace": "±"}
_OPS = {"create-replacement": "replace", "delete-replaced": "replace"}


@dataclass(frozen=True)
class Section:
    """Be one stack's preview.

    Attributes:
        stack: its name.
        counts: how many resources get which operation.
        changes: as `preview --json` lists them: op, urn, name, differs, lines.
        warnings: of the engine and of advisory policies.
        policies: mandatory policies that are violated.
        error: why there is no preview, or nothing.
        facts: what else is to be said, such as how long an `up` of it took on the runner.
    """

    stack: str
    counts: Mapping[str, int] = field(default_factory=dict)
    changes: Sequence[Mapping[str, Any]] = ()
    warnings: Sequence[str] = ()
    policies: Sequence[str] = ()
    error: str = ""
    facts: Sequence[str] = ()


def parse_section(report: Mapping[str, Any]) -> Section:
    """Read what `preview --json` wrote.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(report.get("stack"), str):
        raise UsageError(
            "A report names no stack.", advice="It must be what `./stampchat preview STACK --json` printed."
        )
    names = ("stack", "counts", "changes", "warnings", "policies", "error", "facts")
    return Section(**{name: report[name] for name in names if name in report})


def render_comment(sections: Sequence[Section], *, limit: int = LIMIT) -> str:
    """Render all stacks into one comment that is never longer than the limit.

    Args:
        sections: one a stack, in the order of their showing.
        limit: characters.
    """
    # How many lines of a difference may stand, and then how many changes: from all of them to none.
    for most_lines, most_changes in (
        (10_000, 10_000),
        (200, 10_000),
        (40, 10_000),
        (10, 500),
        (0, 500),
        (0, 50),
        (0, 0),
    ):
        text = "\n".join([MARKER, *(_render(section, most_lines, most_changes) for section in sections)])
        if len(text) <= limit:
            return text
    return text[: limit - 1] + "…"


def _render(section: Section, most_lines: int, most_changes: int) -> str:
    parts = [f"## Preview of stack `{section.stack}`", ""]
    if section.error:
        parts += ["**The preview failed.**", "", _fence(section.error, ""), ""]
    if section.policies:
        parts += [f"**{len(section.policies)} mandatory policies are violated:**", ""]
        parts += [*(f"- {_inline(text)}" for text in section.policies), ""]
    if not section.error:
        parts += [_headline(section), ""]
    parts += [*(f"{_inline(fact)}  " for fact in section.facts), ""] if section.facts else []
    ordered = sorted(_merged(section.changes), key=lambda change: _FIRST.index(change["op"]))
    shown = ordered[:most_changes]
    for change in shown:
        parts.append(_change(change, most_lines))
    if len(ordered) > len(shown):
        parts += ["", f"{len(ordered) - len(shown)} more changes are in the job's summary."]
    if section.warnings:
        warnings = [f"- {_inline(text)}" for text in section.warnings[: max(10, most_changes // 10)]]
        parts += ["", _folded(f"{len(section.warnings)} warnings", "\n".join(warnings))]
    return "\n".join(parts) + "\n"


def _headline(section: Section) -> str:
    counted = [
        f"**{section.counts[op]} to {op}**" if op in ("replace", "delete") else f"{section.counts[op]} to {op}"
        for op in _FIRST
        if section.counts.get(op)
    ]
    same = section.counts.get("same", 0)
    if not counted:
        return f"Nothing to change ({same} resources)." if same else "Nothing to change."
    return ", ".join(counted) + (f"; {same} unchanged." if same else ".")


def _merged(changes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Show a replacement once: the engine tells of a creation and of a deletion."""
    merged: dict[str, dict[str, Any]] = {}
    for change in changes:
        op = _OPS.get(str(change["op"]), str(change["op"]))
        known = merged.setdefault(str(change["urn"]), {**change, "op": op if op in _FIRST else "update"})
        known["lines"] = known.get("lines") or change.get("lines") or []
    return list(merged.values())


def _change(change: Mapping[str, Any], most_lines: int) -> str:
    op, lines = str(change["op"]), list(change.get("lines") or ())
    title = f"<code>{_SIGNS[op]}</code> {op} <b>{_escape(str(change['name']))}</b>"
    if op != "create" and change.get("differs"):
        title += f" ({_escape(', '.join(list(change['differs'])[:4]))}{', …' if len(change['differs']) > 4 else ''})"  # noqa: PLR2004  # as many as fit a line
    if not lines or not most_lines:
        return f"- {title}"
    more = [f"  … {len(lines) - most_lines} more lines in the job's summary"] if len(lines) > most_lines else []
    return _folded(title, _fence("\n".join([*lines[:most_lines], *more]), "diff"))


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _fence(text: str, language: str) -> str:
    # A text with a fence of its own must not close ours.
    ticks = "```"
    while ticks in text:
        ticks += "`"
    return f"{ticks}{language}\n{text}\n{ticks}"


def _inline(text: str) -> str:
    return _escape(" ".join(text.split()))


def _escape(text: str) -> str:
    """Keep what a pull request's author chose (a resource's name, say) from being markup, a mention or a link."""
    # As entities, which mean the same within HTML and within Markdown.
    return "".join(f"&#{ord(character)};" if character in _MARKUP else character for character in text)
