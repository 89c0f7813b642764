"""The dashboard: sections arranged for the terminal's size, never wider or higher than it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from tuner.tui import sections
from tuner.tui.pen import Pen
from tuner.tui.state import ViewState

WIDE_COLUMNS, WIDE_ROWS = 120, 24
_GAP = 2


class Dashboard:
    """A rich renderable of one state, of at most `width` by `height` cells; `now_s` is wall-clock seconds.

    It is ASCII only where the console's encoding is not UTF-8.
    """

    def __init__(self, state: ViewState, width: int, height: int, now_s: float) -> None:
        self._state, self._width, self._height, self._now_s = state, width, height, now_s

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = self.lines(Pen(options.ascii_only))
        yield Text("\n", no_wrap=True, overflow="crop", end="").join(lines)

    def lines(self, pen: Pen) -> list[Text]:
        """Return the lines, each exactly as wide as the dashboard."""
        if self._width < 1 or self._height < 1:
            return []
        wide = self._width >= WIDE_COLUMNS and self._height >= WIDE_ROWS
        arranged = self._wide(pen) if wide else self._narrow(pen)
        return arranged[: self._height]

    def _top(self, pen: Pen) -> list[Text]:
        """Return header and progress; the header's second line only where there is room."""
        head = sections.header(self._state, self._width, pen)
        if self._height < 16:
            head = head[:1]
        return [*head, sections.progress(self._state, self._width, self._now_s, pen)]

    def _narrow(self, pen: Pen) -> list[Text]:
        """One column: trial beside best, options, curve beside device, events."""
        state, width, top = self._state, self._width, self._top(pen)
        rows, split = self._height - len(top), width >= 60
        table = 1 + (len(state.session.options) if state.session else 1)
        best_rows, trial_rows, options_rows, curve_rows, events_rows = share_rows(
            rows,
            [
                Rows(4, 4),
                # Beside the best where there is room, else below it.
                Rows(0, 0) if split else Rows(4, 4),
                Rows(2, min(table, max(7, rows // 3))),
                Rows(5, 6, grows=2),
                Rows(2, 4, grows=1),
            ],
        )
        lines = list(top)
        if best_rows and split:
            lines += self._trial_and_best(width, best_rows, pen)
        elif best_rows:
            lines += sections.best(state, width, pen)
        if trial_rows:
            lines += _padded(sections.trial(state, width, self._now_s, pen), trial_rows, width, pen)
        if options_rows:
            table_lines = sections.options(state, width, options_rows, pen, with_importance=True)
            lines += _padded(table_lines, options_rows, width, pen)
        if curve_rows:
            lines += self._curve_and_device(curve_rows, pen)
        if events_rows:
            lines += _padded(sections.events(state, width, events_rows, pen), events_rows, width, pen)
        return lines

    def _trial_and_best(self, width: int, rows: int, pen: Pen) -> list[Text]:
        left_width = (width - _GAP) * 6 // 10
        left = sections.trial(self._state, left_width, self._now_s, pen)
        right = sections.best(self._state, width - _GAP - left_width, pen)
        return _padded(pen.beside(left, left_width, right, _GAP), rows, width, pen)

    def _curve_and_device(self, rows: int, pen: Pen) -> list[Text]:
        width = self._width
        if width < 72 or not self._state.sensors:
            return _padded(sections.curve(self._state, width, rows, pen), rows, width, pen)
        left_width = (width - _GAP) * 6 // 10
        left = sections.curve(self._state, left_width, rows, pen)
        right = sections.device(self._state, width - _GAP - left_width, rows, pen)
        return _padded(pen.beside(left, left_width, right, _GAP), rows, width, pen)

    def _wide(self, pen: Pen) -> list[Text]:
        """Two columns: trial, best, options and events; curve, importance and device."""
        state, top = self._state, self._top(pen)
        left_width = (self._width - _GAP) * 11 // 20
        right_width = self._width - _GAP - left_width
        rows = self._height - len(top)
        count = len(state.session.options) if state.session else 1
        trial_rows, options_rows, events_rows = share_rows(rows, [Rows(5, 5), Rows(4, 2 + count), Rows(4, 8, grows=1)])
        left = self._trial_and_best(left_width, trial_rows, pen)
        table = sections.options(state, left_width, options_rows - 1, pen, with_importance=False)
        left += _padded(table, options_rows, left_width, pen)
        left += sections.events(state, left_width, events_rows, pen)
        curve_rows, device_rows, importance_rows = share_rows(
            rows, [Rows(7, 12, grows=1), Rows(4, 6), Rows(3, 2 + max(1, len(state.importance)))]
        )
        right = _padded(sections.curve(state, right_width, curve_rows - 1, pen), curve_rows, right_width, pen)
        bars = sections.importance(state, right_width, importance_rows - 1, pen)
        right += _padded(bars, importance_rows, right_width, pen)
        right += sections.device(state, right_width, device_rows, pen)
        return [*top, *pen.beside(left, left_width, right, _GAP)]


class Rows(NamedTuple):
    """How many lines a section needs at least, how many it can use, and its share of what is left over."""

    least: int
    wanted: int
    grows: int = 0


def share_rows(height: int, wishes: Sequence[Rows]) -> list[int]:
    """Return the lines of each section; first come, first served. The sum is at most `height`.

    A section whose least does not fit gets none; then each grows to what it wants, in the same order;
    the rest goes to those that grow, in proportion.
    """
    rows, left = [], max(0, height)
    for wish in wishes:
        given = wish.least if wish.least <= left else 0
        rows.append(given)
        left -= given
    for i, wish in enumerate(wishes):
        if rows[i]:
            more = min(left, wish.wanted - rows[i])
            rows[i] += more
            left -= more
    growing = sum(wish.grows for i, wish in enumerate(wishes) if rows[i])
    spare = left
    for i, wish in enumerate(wishes):
        if rows[i] and wish.grows:
            more = spare * wish.grows // growing
            rows[i] += more
            left -= more
    return rows


def _padded(lines: Sequence[Text], rows: int, width: int, pen: Pen) -> list[Text]:
    return [*lines[:rows], *(pen.blank(width) for _ in range(rows - len(lines)))]
