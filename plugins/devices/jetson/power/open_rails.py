"""Power rails with their files held open: one `pread` per value, in real time thousands of times."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ..files import Files, Reader
from .rails import Chip


class OpenRails:
    """All rails of a board; of two with the same label the first counts. Opened when first asked for.

    Args:
        files: The board's files.
        chips: Its power monitors.
    """

    def __init__(self, files: Files, chips: Sequence[Chip]) -> None:
        self._files = files
        self._rails = {rail.label: rail for chip in reversed(chips) for rail in reversed(chip.rails)}
        self._readers: dict[str, list[Reader]] = {}

    def open(self) -> None:
        """Open every rail, once.

        Raises:
            OSError: a file cannot be opened; nothing stays open.
        """
        if self._readers:
            return
        try:
            for label, rail in self._rails.items():
                self._readers[label] = []
                for path in rail.factors:
                    self._readers[label].append(Reader(self._files, path))
        except OSError:
            self.close()
            raise

    def power_w(self, label: str) -> float:
        """Return the power that a rail shows now; voltage and current are read right after one another.

        Raises:
            OSError: it does not answer; EIO as well where what it answers is no number.
        """
        self.open()
        power_w = self._rails[label].unit_w
        for reader in self._readers[label]:
            text = reader.read()
            try:
                power_w *= int(text)
            except ValueError as error:
                raise OSError(errno.EIO, f"{text!r} is no number") from error
        return power_w

    def powers_w(self) -> Mapping[str, float]:
        """Return the power of every rail that answers now."""
        found: dict[str, float] = {}
        for label in self._rails:
            with suppress(OSError):
                found[label] = self.power_w(label)
        return found

    def close(self) -> None:
        """Close the files; they are opened again when asked for."""
        readers, self._readers = self._readers, {}
        for reader in (reader for pair in readers.values() for reader in pair):
            reader.close()
