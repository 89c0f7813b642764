"""Lines of an exact width: the only place where the dashboard meets character cells and encodings."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from tuner.printable import printable

#: A piece of a line: text and rich style.
Part = tuple[str, str]


class Pen:
    """Makes `rich.text.Text` lines of exactly the width asked for.

    Args:
        ascii_only: Keep to ASCII (the terminal's encoding is not UTF-8).
    """

    def __init__(self, ascii_only: bool = False) -> None:
        self.ascii_only = ascii_only
        self.rule_char = "-" if ascii_only else "─"
        self.separator = " | " if ascii_only else " · "
        self._cut = "~" if ascii_only else "…"

    def fit(self, text: str, width: int, right: bool = False) -> str:
        """Return `text` in exactly `width` cells, its end cut with a mark where it is too long."""
        shown = printable(text, self.ascii_only)
        length = cell_len(shown)
        if length > width:
            return set_cell_size(shown, width - 1) + self._cut if width > 0 else ""
        return " " * (width - length) + shown if right else shown + " " * (width - length)

    def line(self, width: int, *parts: Part) -> Text:
        """Return the parts one after another in exactly `width` cells."""
        text, used = Text(), 0
        shown = [(printable(words, self.ascii_only), style) for words, style in parts]
        for words, style in shown:
            length = cell_len(words)
            if used + length > width:
                text.append(self.fit(words, width - used), style)
                used = width
                break
            text.append(words, style)
            used += length
        text.append(" " * (width - used))
        return text

    def title(self, width: int, words: str, *more: str) -> Text:
        """Return a rule with a title in it; `more` are set towards its right end."""
        start = f"{self.rule_char * 2} {printable(words, self.ascii_only)} "
        end = "".join(f" {printable(w, self.ascii_only)} {self.rule_char}" for w in more if w)
        room = width - cell_len(start) - cell_len(end)
        if room < 0:
            end, room = "", max(0, width - cell_len(start))
        return self.line(width, (start, "bold cyan"), (self.rule_char * room, "cyan"), (end, "cyan"))

    def table_title(self, width: int, words: str, name_width: int, heads: Sequence[tuple[str, int]]) -> Text:
        """Return a rule with a title over the first column and a head at the right end of each other one."""
        cells = [self.fit(f"{self.rule_char * 2} {words} ", name_width).rstrip() + " "]
        for head, cell_width in heads:
            cells.append(self.fit(f" {head} "[-cell_width - 1 :], min(cell_width + 1, len(head) + 2)))
        text = cells[0] + self.rule_char * max(0, name_width - cell_len(cells[0]))
        for cell, (_, cell_width) in zip(cells[1:], heads, strict=True):
            text += self.rule_char * max(0, cell_width + 1 - cell_len(cell)) + cell
        return self.line(width, (text + self.rule_char * max(0, width - cell_len(text)), "bold cyan"))

    def blank(self, width: int) -> Text:
        """Return an empty line."""
        return Text(" " * width)

    def beside(self, left: Sequence[Text], left_width: int, right: Sequence[Text], gap: int) -> list[Text]:
        """Return two blocks side by side; the shorter one is filled up with blank lines."""
        rows = max(len(left), len(right))
        lines = []
        for i in range(rows):
            line = left[i].copy() if i < len(left) else self.blank(left_width)
            line.append(" " * gap)
            if i < len(right):
                line.append_text(right[i])
            lines.append(line)
        return lines
