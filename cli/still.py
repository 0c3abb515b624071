"""Draw what a terminal shows as a picture that loads nothing, so that a README may have it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

COLUMNS = 118


def draw(shown: RenderableType, title: str, *, columns: int = COLUMNS, name: str = "") -> str:
    """Draw something as an SVG.

    Args:
        shown: what a terminal would be given.
        title: above it.
        columns: how wide the terminal is.
        name: of its styles; the title's last word, unless another is given.
    """
    from rich.console import Console
    from rich.terminal_theme import MONOKAI

    console = Console(record=True, file=io.StringIO(), width=columns, force_terminal=True, highlight=False)
    console.print(shown)
    return console.export_svg(title=title, theme=MONOKAI, code_format=_SVG, unique_id=name or title.rpartition(" ")[2])


def record(lines: Sequence[tuple[float, Text]], title: str, *, columns: int = COLUMNS) -> str:
    """Draw lines as an SVG in which they appear one after the other, once; who wants no motion sees all of them.

    Args:
        lines: each with the second in which it appears.
        title: above them.
        columns: how wide the terminal is.
    """
    from rich.console import Console
    from rich.text import Text

    name = title.partition(" (")[0].rpartition(" ")[2]
    console = Console(file=io.StringIO(), width=columns)
    # Rich cuts out each row of the terminal by a path of its own, whose name tells the row.
    rows = [at for at, line in lines for _ in line.wrap(console, columns)]
    appear = "\n".join(
        f'[clip-path="url(#{name}-line-{row})"] {{ animation-delay: {at:.2f}s }}' for row, at in enumerate(rows)
    )
    style = (
        "<style>@media (prefers-reduced-motion: no-preference) {\n"
        # Of less weight than the delays, which it would set back.
        f"@keyframes appear {{ from {{ opacity: 0 }} }}\ntext {{ animation: appear 1ms backwards }}\n"
        f"{appear}\n}}</style>"
    )
    still = draw(Text("\n").join(line for _, line in lines), title, columns=columns, name=name)
    return still.replace("</svg>", f"{style}\n</svg>")


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
