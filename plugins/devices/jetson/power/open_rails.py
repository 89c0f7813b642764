"""Power rails with their files held open: one `pread` per value, in real time thousands of times."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from contextlib import suppress

from ..files import Files, Reader, open_reader
from .rails import Chip, Rail


class RailReader:
    """One rail with its files held open."""

    def __init__(self, files: Files, rail: Rail) -> None:
        self._unit_w = rail.unit_w
        self._readers: list[Reader] = []
        try:
            for path in rail.factors:
                self._readers.append(open_reader(files, path))
        except OSError:
            self.close()
            raise

    def power_w(self) -> float:
        """Return the power shown now; voltage and current are read right after one another.

        Raises:
            OSError: a file does not answer; EIO as well where what it answers is no number.
        """
        power_w = self._unit_w
        for reader in self._readers:
            text = reader.read()
            try:
                power_w *= int(text)
            except ValueError as error:
                raise OSError(errno.EIO, f"{text!r} is no number") from error
        return power_w

    def close(self) -> None:
        """Close the files."""
        for reader in self._readers:
            reader.close()


class OpenRails:
    """All rails of a board; of two with the same label the first counts. Opened when first asked for.

    Args:
        files: The board's files.
        chips: Its power monitors.
    """

    def __init__(self, files: Files, chips: Sequence[Chip]) -> None:
        self._files, self._chips = files, tuple(chips)
        self._readers: dict[str, RailReader] = {}

    def open(self) -> None:
        """Open every rail, once.

        Raises:
            OSError: a file cannot be opened; nothing stays open.
        """
        if self._readers:
            return
        try:
            for chip in self._chips:
                for rail in chip.rails:
                    if rail.label not in self._readers:
                        self._readers[rail.label] = RailReader(self._files, rail)
        except OSError:
            self.close()
            raise

    def power_w(self, label: str) -> float:
        """Return the power that a rail shows now.

        Raises:
            OSError: it does not answer, or what it answers is no number.
        """
        if not self._readers:
            self.open()
        return self._readers[label].power_w()

    def powers_w(self) -> Mapping[str, float]:
        """Return the power of every rail that answers now."""
        found: dict[str, float] = {}
        with suppress(OSError):
            self.open()
        for label, reader in list(self._readers.items()):
            with suppress(OSError):
                found[label] = reader.power_w()
        return found

    def close(self) -> None:
        """Close the files; they are opened anew when asked for."""
        readers, self._readers = self._readers, {}
        for reader in readers.values():
            reader.close()
