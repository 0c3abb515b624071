"""Lay boxes out in rows and draw them with their arrows, as an SVG that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from xml.sax.saxutils import escape

_CELL = 284
_GAP = 22
_ROW_GAP = 46
_MARGIN = 28
_HEAD = 44
_LINE = 17
_FOOT = 14
_TITLE = 40
# What fits in a cell at the size of its letters.
_LONGEST = 42
# A box with more members than this is drawn in several cells, if its row has room.
_MEMBERS_IN_CELL = 5
# A README is some 900 pixels wide; more than this many boxes side by side would not be read there.
_CELLS_IN_ROW = 3
# One quiet colour a kind of component; whatever else there is gets grey.
_COLOURS = {
    "Database": "#2b6cb0",
    "Service": "#2f855a",
    "Gateway": "#b7791f",
    "Namespace": "#6b46c1",
    "Secrets": "#9b2c2c",
}
_OTHER = "#4a5568"


@dataclass(frozen=True)
class Box:
    """One component.

    Attributes:
        name: stands at its head.
        kind: stands beside the name, and gives the colour.
        members: (kind, name) a line.
        after: the names of the boxes that arrows come from.
    """

    name: str
    kind: str
    members: tuple[tuple[str, str], ...]
    after: tuple[str, ...]

    @property
    def colour(self) -> str:
        """Choose the colour by kind."""
        return next((colour for kind, colour in _COLOURS.items() if kind in self.kind), _OTHER)


@dataclass(frozen=True)
class _Place:
    box: Box
    cells: int
    x: int
    y: int

    @property
    def width(self) -> int:
        return self.cells * _CELL + (self.cells - 1) * _GAP

    @property
    def lines(self) -> int:
        return ceil(len(self.box.members) / self.cells)

    @property
    def height(self) -> int:
        return _HEAD + _LINE * self.lines + _FOOT

    @property
    def middle(self) -> int:
        return self.x + self.width // 2


def render(rows: Sequence[Sequence[Box]], *, title: str) -> str:
    """Draw rows of boxes, arrows from what must be there first down to what waits for it.

    Args:
        rows: the boxes, from top to bottom and from left to right.
        title: stands above the drawing, and is what a screen reader says.
    """
    across = max([_CELLS_IN_ROW, *(len(row) for row in rows)])
    width = 2 * _MARGIN + across * _CELL + (across - 1) * _GAP
    places: dict[str, _Place] = {}
    y = _MARGIN + _TITLE
    for row in rows:
        placed = _place_row(row, width, y)
        places |= {place.box.name: place for place in placed}
        y += max((place.height for place in placed), default=0) + _ROW_GAP
    height = y - _ROW_GAP + _MARGIN
    return "\n".join([*_opening(width, height, title), *_arrows(places), *map(_box, places.values()), "</svg>"]) + "\n"


def _opening(width: int, height: int, title: str) -> list[str]:
    font = "system-ui, -apple-system, Segoe UI, Roboto, DejaVu Sans, sans-serif"
    head = '<path d="M0 0 L8 4 L0 8 z" fill="#718096"/>'
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"',
        f' role="img" font-family="{font}">',
        f"<title>{escape(title)}</title>",
        f'<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" orient="auto">{head}</marker></defs>',
        f'<rect width="{width}" height="{height}" rx="14" fill="#f7fafc"/>',
        f'<text x="{_MARGIN}" y="42" font-size="17" font-weight="600" fill="#1a202c">{escape(title)}</text>',
    ]


def _place_row(row: Sequence[Box], width: int, y: int) -> list[_Place]:
    """Centre a row; its longest boxes take the cells that are left."""
    cells = {box.name: 1 for box in row}
    free = _CELLS_IN_ROW - len(row)
    for _ in range(free):
        crowded = max(row, key=lambda box: len(box.members) / cells[box.name])
        if len(crowded.members) / cells[crowded.name] > _MEMBERS_IN_CELL:
            cells[crowded.name] += 1
    used = sum(cells.values())
    x = (width - used * _CELL - (used - 1) * _GAP) // 2
    placed = []
    for box in row:
        placed.append(_Place(box, cells[box.name], x, y))
        x += placed[-1].width + _GAP
    return placed


def _arrows(places: dict[str, _Place]) -> list[str]:
    arrows = []
    for place in places.values():
        for name in place.box.after:
            if name not in places:
                continue
            start = places[name]
            y1, y2 = start.y + start.height, place.y - 3
            bend = max(18, (y2 - y1) // 2)
            arrows.append(
                f'<path d="M{start.middle} {y1} C{start.middle} {y1 + bend} {place.middle} {y2 - bend} '
                f'{place.middle} {y2}" fill="none" stroke="#718096" stroke-width="1.6" marker-end="url(#arrow)"/>'
            )
    return arrows


def _box(place: _Place) -> str:
    box, x, y, width = place.box, place.x, place.y, place.width
    arc = "a9 9 0 0 1"
    banner = f"M{x} {y + 9} {arc} 9 -9 h{width - 18} {arc} 9 9 v21 h-{width} z"
    head = [
        f'<rect x="{x}" y="{y}" width="{width}" height="{place.height}" rx="9" fill="#fff" stroke="#cbd5e0"/>',
        f'<path d="{banner}" fill="{box.colour}"/>',
        f'<text x="{x + 13}" y="{y + 20}" font-size="12.5" font-weight="600" fill="#fff">{escape(box.name)}</text>',
    ]
    if box.kind.lower() != box.name.lower():
        right = f'x="{x + width - 13}" y="{y + 20}" font-size="10.5" text-anchor="end" fill="#edf2f7"'
        head.append(f"<text {right}>{escape(box.kind)}</text>")
    lines = []
    for number, (kind, name) in enumerate(box.members):
        column, line = divmod(number, place.lines)
        at = f'x="{x + 13 + column * (_CELL + _GAP)}" y="{y + _HEAD + 9 + _LINE * line}"'
        text = f'<tspan fill="#718096">{escape(kind)}</tspan> {escape(_shorten(name, _LONGEST - len(kind)))}'
        lines.append(f'<text {at} font-size="11" fill="#2d3748">{text}</text>')
    return "\n".join([*head, *lines])


def _shorten(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
