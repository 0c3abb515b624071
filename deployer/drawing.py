"""Lay boxes out in columns and draw them with their arrows, as an SVG that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH = 268
_COLUMN_GAP = 64
_BOX_GAP = 22
_MARGIN = 28
_HEAD = 46
_ROW = 18
_FOOT = 12
_TITLE = 44
_LONGEST = 34
# One quiet colour a kind of component; whatever else there is gets grey.
_COLOURS = {
    "Database": "#3b6ea8",
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
        kind: stands under the name, and gives the colour.
        members: (kind, name) a row.
        after: the names of the boxes that arrows come from.
    """

    name: str
    kind: str
    members: tuple[tuple[str, str], ...]
    after: tuple[str, ...]

    @property
    def height(self) -> int:
        """Measure the box."""
        return _HEAD + _ROW * len(self.members) + _FOOT

    @property
    def colour(self) -> str:
        """Choose the colour by kind."""
        return next((colour for kind, colour in _COLOURS.items() if kind in self.kind), _OTHER)


@dataclass(frozen=True)
class _Place:
    box: Box
    x: int
    y: int

    @property
    def middle(self) -> int:
        return self.y + self.box.height // 2


def render(columns: Sequence[Sequence[Box]], *, title: str) -> str:
    """Draw columns of boxes, arrows from what must be there first to what waits for it.

    Args:
        columns: the boxes, from left to right and from top to bottom.
        title: stands above the drawing, and is what a screen reader says.
    """
    tall = max((_column_height(column) for column in columns), default=0)
    width = 2 * _MARGIN + len(columns) * _WIDTH + max(0, len(columns) - 1) * _COLUMN_GAP
    height = _TITLE + tall + 2 * _MARGIN
    places = _place(columns, tall)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'role="img" font-family="system-ui, -apple-system, Segoe UI, Roboto, DejaVu Sans, sans-serif">'
        ),
        f"<title>{escape(title)}</title>",
        (
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#718096"/></marker></defs>'
        ),
        f'<rect width="{width}" height="{height}" rx="14" fill="#f7fafc"/>',
        f'<text x="{_MARGIN}" y="44" font-size="17" font-weight="600" fill="#1a202c">{escape(title)}</text>',
        *_arrows(places),
        *(_box(place) for place in places.values()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _column_height(column: Sequence[Box]) -> int:
    return sum(box.height for box in column) + _BOX_GAP * max(0, len(column) - 1)


def _place(columns: Sequence[Sequence[Box]], tall: int) -> dict[str, _Place]:
    """Centre every column, so that arrows stay short."""
    places = {}
    for number, column in enumerate(columns):
        y = _TITLE + _MARGIN + (tall - _column_height(column)) // 2
        for box in column:
            places[box.name] = _Place(box, _MARGIN + number * (_WIDTH + _COLUMN_GAP), y)
            y += box.height + _BOX_GAP
    return places


def _arrows(places: dict[str, _Place]) -> list[str]:
    arrows = []
    for place in places.values():
        for name in place.box.after:
            if name not in places:
                continue
            start = places[name]
            x1, y1, x2, y2 = start.x + _WIDTH, start.middle, place.x - 2, place.middle
            bend = max(32, (x2 - x1) // 2)
            arrows.append(
                f'<path d="M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}" fill="none" '
                'stroke="#718096" stroke-width="1.6" marker-end="url(#arrow)"/>'
            )
    return arrows


def _box(place: _Place) -> str:
    box, x, y = place.box, place.x, place.y
    rows = [
        f'<text x="{x + 14}" y="{y + _HEAD + 14 + _ROW * number}" font-size="11.5" fill="#2d3748">'
        f'<tspan fill="#718096">{escape(kind)}</tspan> {escape(_shorten(name, _LONGEST - len(kind)))}</text>'
        for number, (kind, name) in enumerate(box.members)
    ]
    return "\n".join(
        [
            f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{box.height}" rx="9" fill="#fff" stroke="#cbd5e0"/>',
            (
                f'<path d="M{x} {y + 9} a9 9 0 0 1 9 -9 h{_WIDTH - 18} a9 9 0 0 1 9 9 v{_HEAD - 15} h-{_WIDTH} z" '
                f'fill="{box.colour}"/>'
            ),
            f'<text x="{x + 14}" y="{y + 18}" font-size="13.5" font-weight="600" fill="#fff">{escape(box.name)}</text>',
            f'<text x="{x + 14}" y="{y + 33}" font-size="10.5" fill="#edf2f7">{escape(box.kind)}</text>',
            *rows,
        ]
    )


def _shorten(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
