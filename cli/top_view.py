"""Show one look at a deployment on a terminal of any width."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cli.top_columns import GAP, UNKNOWN, Column, choose, count, duration, rate

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

    from deployer.top import Database, Picture, Row

# A pod's own part of its name.
_TAIL = 6
_BARS = "▁▂▃▄▅▆▇█"
_STYLES = {"failing": "bold red", "warning": "yellow", "ok": "green"}
# Of a certificate: cert-manager renews it when 30 are left.
_FEW_DAYS = 15


class View:
    """Draw a picture at whatever width there is.

    Args:
        picture: what was seen; None before the first look has ended.
        history: messages a second of the last looks, for the small curve.
        note: a sentence below the heading, such as why there is no newer picture.
        hint: a line at the end, such as which key ends it.
    """

    def __init__(
        self, picture: Picture | None, *, history: Sequence[float] = (), note: str = "", hint: str = ""
    ) -> None:
        self._picture = picture
        self._history = history
        self._note = note
        self._hint = hint

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        from rich.text import Text

        lines = list(self._lines(options.max_width))
        room = (options.height or len(lines) + 1) - bool(self._hint)
        if len(lines) > room:
            # What fails and what is slow stands above.
            lines = [*lines[: room - 1], Text(f"… {len(lines) - room + 1} more lines", style="dim")]
        yield from lines
        if self._hint:
            yield Text(self._hint, style="dim")

    def _lines(self, width: int) -> Iterator[Text]:
        from rich.text import Text

        if self._picture is not None:
            yield from _wrapped(_heading(self._picture), width)
        if self._note:
            yield from _wrapped(Text(self._note, style="yellow"), width)
        if self._picture is None:
            return
        yield from _flow(_totals(self._picture, self._history), width)
        found = self._picture.certificate
        if found is not None and found.problem:
            yield from _wrapped(Text(f"Certificate: {found.problem.rstrip('.')}.", style="yellow"), width)
        yield Text("")
        yield from _table(self._picture.rows, width)


def _heading(picture: Picture) -> Text:
    from rich.text import Text

    counted = {word: sum(row.condition == word for row in picture.rows) for word in ("failing", "warning")}
    words = [f"{number} {word}" for word, number in counted.items() if number]
    words += [f"no pod of {service}" for service in picture.missing]
    said = ", ".join(words) if picture.rows else "nothing is deployed"
    text = Text.assemble((picture.stack, "bold"), f" on {picture.cluster}, {picture.time[11:19]} UTC: ")
    text.append(said or f"all {len(picture.rows)} pods are well", style=_STYLES[picture.condition])
    if not picture.seconds:
        text.append("; rates come with the next look", style="dim")
    return text


def _totals(picture: Picture, history: Sequence[float]) -> Iterator[Text]:
    totals = picture.totals
    yield _item("sockets", count(totals["sockets"]))
    yield _item("joins", f"{rate(totals['joins_per_second'])}/s")
    yield _item("messages", f"{rate(totals['messages_per_second'])}/s {sparkline(history)}".rstrip())
    yield _item("deliveries", f"{rate(totals['deliveries_per_second'])}/s")
    yield _item("requests", f"{rate(totals['requests_per_second'])}/s")
    for name in ("message", "join", "request"):
        both = [totals[f"{name}_{part}_seconds"] for part in ("p50", "p99")]
        if both != [None, None]:
            yield _item(f"{name} p50/p99", " / ".join(map(duration, both)))
    late = totals["outbox_late_seconds"]
    yield _item("push outbox", count(totals["outbox_rows"]) + (f", {late:.0f} s late" if late else ""))
    yield _item("push queue", count(totals["push_queue"]))
    dead = totals["push_dead_letters"]
    yield _item("dead letters", count(dead), "yellow" if dead else "")
    for database in picture.databases:
        yield _database(database)
    if picture.certificate is not None:
        days = picture.certificate.days
        if days is None:
            yield _item("certificate", "none yet", "bold red")
        else:
            yield _item("certificate", f"{days:.0f} days", "bold red" if days < _FEW_DAYS else "")


def _database(found: Database) -> Text:
    said = {"ok": "ok", "": "not known"}.get(found.state, "FAILING")
    used = f" {count(found.used)}/{count(found.most)}" if found.most else ""
    return _item(f"{found.service} database", f"{said}{used}", "bold red" if said == "FAILING" else "")


def _item(name: str, value: str, style: str = "") -> Text:
    from rich.text import Text

    return Text.assemble((f"{name} ", "dim"), (value, style or "bold"))


def _flow(items: Iterator[Text], width: int) -> Iterator[Text]:
    """Put as many on a line as there is room for, and never break one."""
    from rich.text import Text

    line = Text()
    for item in items:
        if line and line.cell_len + 3 + item.cell_len > width:
            yield line
            line = Text()
        if line:
            line.append("   ")
        line.append_text(item)
        line.truncate(width, overflow="ellipsis")
    if line:
        yield line


def _table(rows: Sequence[Row], width: int) -> Iterator[Text]:
    from rich.text import Text

    name_width, columns = choose(width)
    titles = "".join(f"{'':{GAP}}{column.title:>{column.width}}" for column in columns)
    yield Text(f"{'pod':<{name_width}}{titles}", style="dim")
    for row in rows:
        yield _line(row, name_width, columns)
        if row.problems:
            said = "; ".join(row.problems)
            sentence = Text(f"{said[0].upper()}{said[1:].rstrip('.')}.", _STYLES[row.condition])
            for part in _wrapped(sentence, width - 2):
                yield Text("  ").append_text(part)


def shorten(name: str, width: int) -> str:
    """Cut a pod's name in its middle: its beginning says what it is, and its end which one."""
    if len(name) <= width:
        return name
    return f"{name[: width - _TAIL - 1]}…{name[-_TAIL:]}"


def _line(row: Row, name_width: int, columns: Sequence[Column]) -> Text:
    from rich.text import Text

    name = shorten(row.pod.replace("stamp-chat-", ""), name_width)
    line = Text().append(f"{name:<{name_width}}", "" if row.condition == "ok" else _STYLES[row.condition])
    for column in columns:
        cell = column.read(row)
        if len(cell) > column.width:
            cell = cell[: column.width - 1] + "…"
        line.append(" " * GAP)
        line.append(f"{cell:>{column.width}}", style="dim" if cell == UNKNOWN else _cell_style(column, row))
    return line


def _cell_style(column: Column, row: Row) -> str:
    return _STYLES[row.condition] if column.title == "state" else ""


def _wrapped(text: Text, width: int) -> Iterator[Text]:
    from rich.console import Console

    yield from text.wrap(Console(width=width, file=io.StringIO()), width)


def sparkline(history: Sequence[float]) -> str:
    """Draw a small curve; nothing of fewer than two points."""
    if len(history) < 2:  # noqa: PLR2004  # one is no curve
        return ""
    most = max(history) or 1.0
    return "".join(_BARS[min(len(_BARS) - 1, int(len(_BARS) * value / most))] for value in history)
