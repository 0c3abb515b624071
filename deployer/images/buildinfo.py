"""Read which modules a Go program was built from: what `go version -m` prints, without Go.

The format is described in https://pkg.go.dev/debug/buildinfo and https://go.dev/src/debug/buildinfo/buildinfo.go.
"""

from __future__ import annotations

from dataclasses import dataclass

_MAGIC = b"\xff Go buildinf:"
_HEADER = 32
_INLINE = 2
# The lines are between two marks of sixteen bytes.
_MARK = 16


@dataclass(frozen=True)
class GoModule:
    """Name a module.

    Attributes:
        path: its import path.
        version: "v1.2.3".
    """

    path: str
    version: str


def read_build_info(program: bytes) -> list[GoModule]:
    """Return the modules that a program says it was built from; none where it says nothing, or says it in the old way.

    Args:
        program: its bytes.
    """
    start = program.find(_MAGIC)
    if start < 0 or not program[start + 15] & _INLINE:
        return []
    _, at = _text(program, start + _HEADER)
    lines, _ = _text(program, at)
    return list(_modules(lines[_MARK:-_MARK].decode(errors="replace")))


def _modules(text: str) -> list[GoModule]:
    found: list[GoModule] = []
    for line in text.splitlines():
        kind, *rest = line.split("\t")
        if kind == "dep" and len(rest) > 1:
            found.append(GoModule(rest[0], rest[1]))
        elif kind == "=>" and found and len(rest) > 1 and not rest[0].startswith("."):
            found[-1] = GoModule(rest[0], rest[1])  # replaced by another, and not by a folder of the same repository
    return found


def _text(program: bytes, at: int) -> tuple[bytes, int]:
    """Read a length, seven bits a byte with the low ones first, and so many bytes."""
    length = shift = 0
    while True:
        byte = program[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return program[at : at + length], at + length
