"""Profiles in the formats of other tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from tuner.space import Configuration


class Exporter(Protocol):
    """Entry point of group `tuner.exporters`: a class, constructed without arguments."""

    name: str
    summary: str

    def export(self, profile: Any) -> str:
        """Return the profile (`tuner.profiles.Profile`) in this format.

        Raises:
            TunerError: the profile has nothing that the format can say.
        """
        ...


@dataclass(frozen=True)
class FileEdit:
    """A file that another program reads, with a profile put in.

    Attributes:
        text: The whole file.
        entry: What was done: a clause for people ("Added mode 5 TUNER_ENERGY").
        notes: Sentences that the user must read.
    """

    text: str
    entry: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileEntry:
    """An entry of such a file as a configuration of a board's options."""

    name: str
    configuration: Configuration
    notes: tuple[str, ...] = ()


@runtime_checkable
class IntoExporter(Protocol):
    """What an `Exporter` also offers if it can put a profile into a file that exists."""

    def export_into(self, profile: Any, text: str, board: object, name: str | None, make_default: bool) -> FileEdit:
        """Return the file `text` with the profile (`tuner.profiles.Profile`) as an entry.

        Args:
            profile: What is put in.
            text: The file; undecodable bytes as surrogates, which go back as they came.
            board: What the device's `ModeDescriber.mode_board` returned, None where it is none.
            name: Of the entry; None for the exporter's choice. An entry of that name is replaced.
            make_default: Whether the entry becomes the file's default.

        Raises:
            TunerError: the file is not fit for it, or cannot say the profile.
        """
        ...


@runtime_checkable
class EntryImporter(Protocol):
    """What an `Exporter` also offers if it can read such a file's entries."""

    def import_entry(self, text: str, entry: str, board: object) -> FileEntry:
        """Return an entry, by name or id, as a configuration of the board's options.

        Raises:
            TunerError: there is no such entry, or the options cannot say it.
        """
        ...


@runtime_checkable
class ModeDescriber(Protocol):
    """What a `Device` also offers if its board has power modes."""

    def mode_board(self) -> object:
        """Return what exporters of power modes must know of the board; the core only passes it on."""
        ...
