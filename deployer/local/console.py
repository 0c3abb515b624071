"""Show what every program says in one stream: prefixed and coloured for people, JSON lines for machines."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

LOCAL = "local"
_WIDTH = len("notifications")
_COLOURS = {"auth": 32, "chat": 36, "notifications": 35, "postgres": 34, "gateway": 33, LOCAL: 1}
_LEVELS = {"warning": 33, "warn": 33, "error": 31, "critical": 31, "fatal": 31, "panic": 31}
_DIM = 2
# Their files have it; a person sees that they run by what the services say.
_WORDY = ("postgres",)
_SEVERITY = re.compile(r"(LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC):  (.*)")
# What is in every line, or is shown in another way.
_KNOWN = ("time", "level", "service", "message", "exception")
# A log file of an earlier start that is longer than this is put aside.
_KEPT_BYTES = 10 * 1024 * 1024


class Console:
    """Write lines to the user and into a file for each program.

    Args:
        stream: the user's side.
        logs: the folder of the files.
        as_json: whether machines read the stream.
        colour: whether it is coloured.
        quiet: whether only warnings and errors are shown.
    """

    def __init__(self, stream: TextIO, logs: Path, *, as_json: bool, colour: bool, quiet: bool) -> None:
        self._stream = stream
        self._logs = logs
        self._as_json = as_json
        self._colour = colour and not as_json
        self._quiet = quiet
        self._files: dict[str, TextIO] = {}
        self._deaf = False
        self._full = False

    @property
    def deaf(self) -> bool:
        """Whether nobody reads the stream any more."""
        return self._deaf

    def line(self, name: str, text: str) -> None:
        """Show one line of a program."""
        self._keep(name, text)
        record = _parse(text)
        if record.get("level") == "debug" and name in _WORDY:
            return
        if self._quiet and str(record.get("level", "info")) not in _LEVELS:
            return
        if self._as_json:
            known = record or {"time": _now(), "level": "info", "message": text}
            self._write(json.dumps({"service": name, **known}, ensure_ascii=False, default=str))
        else:
            self._write(*self._render(name, record or {"message": text}))

    def tell(self, text: str, *, level: str = "info", **fields: Any) -> None:
        """Show a line of our own."""
        self.line(LOCAL, json.dumps({"time": _now(), "level": level, "service": LOCAL, "message": text, **fields}))

    def show(self, lines: Sequence[str]) -> None:
        """Show lines to a person as they are; machines are not shown them."""
        if not self._as_json:
            self._write(*lines)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def _render(self, name: str, record: Mapping[str, Any]) -> list[str]:
        level = str(record.get("level", "info"))
        prefix = f"{self._paint(_clock(record), _DIM)} {self._paint(f'{name:<{_WIDTH}}', _COLOURS.get(name, 0))} "
        mark = f"{self._paint(level, _LEVELS[level])} " if level in _LEVELS else ""
        # The request's id is for whoever searches; the eye wants the rest.
        keys = sorted((key for key in record if key not in _KNOWN), key=lambda key: key == "request_id")
        fields = " ".join(f"{key}={_value(record[key])}" for key in keys)
        message = f"{mark}{_printable(str(record.get('message', '')))}"
        lines = [f"{prefix}{message}{'  ' + self._paint(fields, _DIM) if fields else ''}"]
        lines += [f"{prefix}| {_printable(line)}" for line in str(record.get("exception") or "").splitlines()]
        return lines

    def _paint(self, text: str, colour: int) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colour and text and colour else text

    def _write(self, *lines: str) -> None:
        if self._deaf:
            return
        try:
            self._stream.write("".join(f"{line}\n" for line in lines))
            self._stream.flush()
        except (OSError, ValueError):
            # The pipe's reader or the terminal is gone.
            self._deaf = True

    def _keep(self, name: str, text: str) -> None:
        try:
            if name not in self._files:
                self._files[name] = _open_log(self._logs / f"{name}.log")
            self._files[name].write(f"{text}\n")
            self._files[name].flush()
        except OSError as error:
            # What runs goes on without its log; the disk may have room again later.
            if not self._full:
                self._full = True
                self.tell(f"The logs in {self._logs} cannot be written: {error.strerror}.", level="warning")
        else:
            self._full = False


def last_words(text: str) -> str:
    """Return what a line says, without what surrounds it."""
    record = _parse(text)
    return _printable(str(record.get("message", text) if record else text)).strip()


def _open_log(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _KEPT_BYTES:
        path.replace(path.with_suffix(".old.log"))
    return path.open("a", encoding="utf-8", errors="replace")


def _parse(text: str) -> dict[str, Any]:
    """Return the fields of a JSON line, or of one in Postgres's own form."""
    if match := _SEVERITY.fullmatch(text):
        level = "debug" if match[1] == "LOG" else match[1].lower()
        return {"time": _now(), "level": level, "message": match[2]}
    if not text.startswith("{"):
        return {}
    try:
        record = json.loads(text)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _clock(record: Mapping[str, Any]) -> str:
    """Return the local time of day; a person looks at a clock on the wall."""
    try:
        return datetime.fromisoformat(str(record["time"])).astimezone().strftime("%H:%M:%S")
    except (KeyError, ValueError):
        return time.strftime("%H:%M:%S")


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _printable(value) if value and " " not in value else json.dumps(_printable(value), ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def _printable(text: str) -> str:
    """Return text in which nothing can steer a terminal: some of it was sent by strangers."""
    return "".join(each if each.isprintable() or each == "\t" else repr(each)[1:-1] for each in text)
