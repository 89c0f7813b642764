"""Small charts as strings: a curve in braille, bars and sparklines in blocks, all with an ASCII form."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

_SPARKS = "▁▂▃▄▅▆▇█"
_SPARKS_ASCII = "_.-=+*%#"
_EIGHTHS = " ▏▎▍▌▋▊▉"
#: Bit of each dot of a braille cell, by [row][column].
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))

XY = tuple[float, float]


def bar(share: float, width: int, ascii_only: bool = False, empty: str = " ") -> str:
    """Return a bar of `width` cells of which `share` (0 to 1) is filled."""
    share = min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
    if width <= 0:
        return ""
    if ascii_only:
        full = round(share * width)
        return "#" * full + empty * (width - full)
    full, eighth = divmod(round(share * width * 8), 8)
    filled = "█" * full + (_EIGHTHS[eighth] if eighth else "")
    return filled + empty * (width - len(filled))


def sparkline(values: Sequence[float], width: int, ascii_only: bool = False) -> str:
    """Return the last `width` values as one row of blocks, lowest to highest."""
    shown = [v for v in values if math.isfinite(v)][-max(0, width) :] if width > 0 else []
    if not shown:
        return ""
    levels = _SPARKS_ASCII if ascii_only else _SPARKS
    low, span = min(shown), max(shown) - min(shown)
    if span <= 0:
        return levels[2] * len(shown)
    return "".join(levels[round((v - low) / span * (len(levels) - 1))] for v in shown)


def curve(
    best: Sequence[XY],
    values: Sequence[XY],
    *,
    width: int,
    height: int,
    label: Callable[[float], str],
    ascii_only: bool = False,
) -> list[str]:
    """Return a chart of exactly `height` lines, at most `width` cells each.

    Args:
        best: (trial, best so far): drawn as a falling staircase.
        values: (trial, value): drawn as single dots; those far above the staircase fall outside.
        width: Cells, labels included.
        height: Lines, the trial axis included.
        label: Gives the text of a value on the vertical axis.
        ascii_only: Draw with ``*`` and ``.`` in place of braille.
    """
    best, values = _finite(best), _finite(values)
    if not best or height < 2:
        return []
    low, high = _range(best, values)
    rows = height - 1
    labels = _labels(low, high, rows, label)
    margin = max(map(len, labels)) + 1
    cells = width - margin - 1
    if cells < 4:
        return []
    first, last = min(x for x, _ in best), max(x for x, _ in best)
    canvas = _Canvas(cells, rows, ascii_only)
    column = _Scale(first, max(last, first + 1), canvas.dots_x)
    row = _Scale(high, low, canvas.dots_y)  # row 0 is the top one
    canvas.dots((column(x), row(y)) for x, y in values if low <= y <= high and first <= x <= last)
    canvas.stairs([(column(x), row(y)) for x, y in best])
    tick, corner, rule = ("|", "+", "-") if ascii_only else ("┤", "└", "─")
    lines = [f"{text:>{margin}}{tick}{drawn}" for text, drawn in zip(labels, canvas.lines(), strict=True)]
    return [*lines, " " * margin + corner + _axis(first, max(last, first + 1), cells, rule)]


def _finite(points: Sequence[XY]) -> list[XY]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _range(best: Sequence[XY], values: Sequence[XY]) -> XY:
    low, high = min(y for _, y in best), max(y for _, y in best)
    # One bad configuration may be tens of times worse: it must not flatten the curve.
    reach = high + 0.5 * max(high - low, 0.1 * abs(high))
    high = max([high, *(y for _, y in values if y <= reach)])
    low = min([low, *(y for _, y in values if y >= low - (high - low))])
    return (low, high) if high > low else (low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0))


def _labels(low: float, high: float, rows: int, label: Callable[[float], str]) -> list[str]:
    parts = max(1, (rows - 1) // 4)
    marked = {round(part * (rows - 1) / parts) for part in range(parts + 1)}
    step = (high - low) / max(1, rows - 1)
    return [label(high - row * step) if row in marked else "" for row in range(rows)]


def _axis(first: float, last: float, cells: int, rule: str) -> str:
    left, right = f"{first:g}", f"{last:g}"
    room = cells - len(left) - len(right)
    if room < 1:
        return rule * cells
    word = " trial "
    if room < len(word) + 2:
        return left + rule * room + right
    before = (room - len(word)) // 2
    return left + rule * before + word + rule * (room - len(word) - before) + right


class _Scale:
    """Maps `start` to dot 0 and `end` to the last of `dots`."""

    def __init__(self, start: float, end: float, dots: int) -> None:
        # A share, not dots per unit: 1 / (end - start) overflows where the two nearly meet.
        self._start, self._span, self._last = start, end - start, dots - 1

    def __call__(self, value: float) -> int:
        return round((value - self._start) / self._span * self._last)


class _Canvas:
    """A grid of dots: 2 by 4 in each braille cell, one in each ASCII cell."""

    def __init__(self, cells: int, rows: int, ascii_only: bool) -> None:
        self._ascii = ascii_only
        self.dots_x, self.dots_y = (cells, rows) if ascii_only else (2 * cells, 4 * rows)
        self._cells = [[0] * cells for _ in range(rows)]

    def dots(self, points: Iterable[tuple[int, int]]) -> None:
        for x, y in points:
            self._set(x, y, 1)

    def stairs(self, points: Sequence[tuple[int, int]]) -> None:
        """Join points by steps: level until the next one, then straight down or up."""
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            for x in range(x0, x1):
                self._set(x, y0, 2)
            for y in range(min(y0, y1), max(y0, y1) + 1):
                self._set(x1, y, 2)
        for x, y in points[-1:]:
            self._set(x, y, 2)

    def _set(self, x: int, y: int, mark: int) -> None:
        if self._ascii:
            self._cells[y][x] = max(mark, self._cells[y][x])
        else:
            self._cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]

    def lines(self) -> list[str]:
        if self._ascii:
            return ["".join(" .*"[mark] for mark in row) for row in self._cells]
        return ["".join(chr(0x2800 + bits) if bits else " " for bits in row) for row in self._cells]
