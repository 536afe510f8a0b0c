"""Draws a terminal's text as an SVG picture: standard input to standard output.

The README's picture is ``FORCE_COLOR=1 python run.py compare configs/exchange/lost_update.yaml
--seed 7 | python docs/picture.py > docs/lost_update.svg``.
"""

from __future__ import annotations

import re
import sys
from html import escape

COLOURS = {"31": "#d73a49", "32": "#22863a", "33": "#b08800"}
WIDTH, HEIGHT, MARGIN = 7.8, 18, 16


def draw(text: str) -> str:
    """Return the picture of ``text``, which may hold the colours of a terminal."""
    lines = text.rstrip().splitlines()
    columns = max(len(re.sub(r"\x1b\[\d*m", "", line)) for line in lines)
    width, height = columns * WIDTH + 2 * MARGIN, len(lines) * HEIGHT + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13">',
        '<rect width="100%" height="100%" rx="8" fill="#fafbfc" stroke="#d1d5da"/>',
    ]
    for at, line in enumerate(lines):
        y = MARGIN + HEIGHT * at + 13
        spans = []
        colour = ""
        for piece in re.split(r"(\x1b\[\d*m)", line):
            code = re.fullmatch(r"\x1b\[(\d*)m", piece)
            if code:
                colour = COLOURS.get(code[1], "")
            elif piece:
                style = f' fill="{colour}" font-weight="bold"' if colour else ""
                spans.append(f"<tspan{style}>{escape(piece)}</tspan>")
        parts.append(
            f'<text x="{MARGIN}" y="{y}" fill="#24292e" xml:space="preserve">'
            f"{''.join(spans)}</text>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(draw(sys.stdin.read()))
