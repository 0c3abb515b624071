"""A picture of a terminal loads nothing, and a recording shows each line when it came."""

from __future__ import annotations

import re

from rich.text import Text

from cli.still import record


def test_a_recording_shows_each_row_when_its_line_came() -> None:
    """A line that is too long for the terminal is several rows, which come together."""
    lines = [(0.0, Text("$ up")), (1.5, Text("word " * 30)), (2.25, Text("")), (4.0, Text("done", style="green"))]

    drawn = record(lines, "./stampchat up (4 times as fast)", columns=80)

    told = {int(row): at for row, at in re.findall(r"up-line-(\d+)\)\"\] { animation-delay: ([\d.]+)s", drawn)}
    assert told == {0: "0.00", 1: "1.50", 2: "1.50", 3: "2.25", 4: "4.00"}
    done = re.search(r'clip-path="url\(#up-line-(\d+)\)">done', drawn)
    assert done is not None
    assert told[int(done[1])] == "4.00"
    assert "prefers-reduced-motion" in drawn
    assert not re.search(r"(?:href|src|url)\s*[=(]\s*[\"']?http", drawn)
