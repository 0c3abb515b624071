"""Draw what a terminal shows as a picture that loads nothing, so that a README may have it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

COLUMNS = 118


def draw(shown: RenderableType, title: str, *, columns: int = COLUMNS) -> str:
    """Draw something as an SVG.

    Args:
        shown: what a terminal would be given.
        title: above it.
        columns: how wide the terminal is.
    """
    from rich.console import Console
    from rich.terminal_theme import MONOKAI

    console = Console(record=True, file=io.StringIO(), width=columns, force_terminal=True, highlight=False)
    console.print(shown)
    return console.export_svg(title=title, theme=MONOKAI, code_format=_SVG, unique_id=title.rpartition(" ")[2])


# Rich's own form names a font's address, which a picture in a README cannot load.
_SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
  font-variant-east-asian: full-width;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
