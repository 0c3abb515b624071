"""The comment on a pull request."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from deployer.comment import LIMIT, MARKER, Section, parse_section, render_comment
from deployer.errors import UsageError


def change(op: str, name: str, lines: int = 1, **more: Any) -> dict[str, Any]:
    """Make a change as `preview --json` writes it."""
    listed = [f"+ line {number}" for number in range(lines)]
    return {"op": op, "urn": f"urn::{name}", "name": name, "differs": ["spec.x"], "lines": listed, **more}


def summaries(text: str) -> list[str]:
    """Return the folded titles, as text."""
    return [re.sub(r"<[^>]*>", "", found) for found in re.findall(r"<summary>(.*?)</summary>", text)]


def test_replacements_and_deletions_come_first_and_each_difference_is_folded() -> None:
    """Counts in the headline, colours by the fence."""
    changes = [change("create", "A"), change("update", "B"), change("delete", "C"), change("create-replacement", "D")]
    counts = {"create": 1, "update": 1, "delete": 1, "replace": 1, "same": 40}

    text = render_comment([Section("prod", counts, changes)])

    assert text.startswith(MARKER)
    assert "**1 to replace**, **1 to delete**, 1 to update, 1 to create; 40 unchanged." in text
    assert summaries(text) == ["± replace D (spec.x)", "- delete C (spec.x)", "~ update B (spec.x)", "+ create A"]
    assert "```diff\n+ line 0\n```" in text


def test_a_replacement_is_shown_once() -> None:
    """The engine tells of its two halves."""
    halves = [change("create-replacement", "D"), change("delete-replaced", "D")]

    assert summaries(render_comment([Section("prod", {"replace": 1}, halves)])) == ["± replace D (spec.x)"]


@pytest.mark.parametrize("lines", [1, 15, 1000, 20_000])
@pytest.mark.parametrize("count", [1, 60, 900])
def test_whatever_the_change_the_comment_fits_and_says_what_it_left_out(lines: int, count: int) -> None:
    """Under GitHub's limit, the counts always there."""
    if lines * count > 1_000_000:
        lines = 1_000_000 // count
    changes = [change("update", f"Deployment number-{number}", lines) for number in range(count)]

    text = render_comment([Section("dev"), Section("prod", {"update": count}, changes)])

    assert len(text) <= LIMIT
    assert f"{count} to update." in text
    assert text.count("<details>") == text.count("</details>")
    assert text.count("```") % 2 == 0
    complete = text.count("+ line") == lines * count
    assert complete or "job's summary" in text


def test_a_failed_preview_and_violated_policies_are_told_at_the_top() -> None:
    """With the reason."""
    text = render_comment([Section("dev", error="It failed.\n  | reason"), Section("prod", policies=["no latest tag"])])

    assert "**The preview failed.**" in text
    assert "  | reason" in text
    assert "**1 mandatory policies are violated:**" in text
    assert "Nothing to change" in text.partition("`prod`")[2]


def test_what_a_pull_request_names_is_no_markup() -> None:
    """No mention, no link, no tag, no fence that closes ours."""
    hostile = "@everyone <img src=x> [a](b) `c` </summary> | #1"
    text = render_comment(
        [
            Section(
                "prod", {"create": 1}, [change("create", hostile, lines=0) | {"lines": ["+ ```", "+ @team"]}], [hostile]
            )
        ]
    )

    outside = re.sub(r"````diff\n.*?\n````", "", text, flags=re.DOTALL)
    assert "````diff\n+ ```\n+ @team\n````" in text
    for character in ("@everyone", "<img", "[a](b)", "`c`", "| #1"):
        assert character not in outside


def test_a_report_is_read_back() -> None:
    """As JSON carried it between two jobs; something else is refused."""
    report = json.loads(json.dumps({"stack": "dev", "counts": {"create": 1}, "changes": [change("create", "A")]}))

    assert "1 to create." in render_comment([parse_section(report)])
    with pytest.raises(UsageError, match="names no stack"):
        parse_section({"url": "x"})
