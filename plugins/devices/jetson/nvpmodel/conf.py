"""Read and edit nvpmodel.conf without loss: what is not understood is kept byte for byte. Standard library only.

The grammar is line based: heads ``< KIND ATTRIBUTE=value ... >``, lines of blank-separated words below
them, ``#`` comments. Text that was read as bytes is decoded with ``surrogateescape``, so that it goes back as it was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tuner.errors import MalformedFileError, UnknownModeError, UsageError

#: An argument's path for newer kernels has this behind the argument's name; mode lines use the bare name.
KNEXT = "_KNEXT"
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_HEAD = re.compile(r"<\s*([A-Za-z_]+)([^>]*)")
_ATTRIBUTE = re.compile(r"([A-Za-z_]+)[ \t]*=[ \t]*\"?([^\s\"<>]*)\"?")
_DEFAULT = re.compile(r"(\bDEFAULT[ \t]*=[ \t]*\"?)([^\s\"<>]*)")
_NAME = re.compile(r"[A-Z0-9_]+")
_BLANKS = re.compile(r"[ \t\r\f\v]+")


@dataclass(frozen=True)
class Param:
    """A PARAM section: what settings of modes mean.

    Attributes:
        kind: FILE, CLOCK, HWMON, or another word of the file.
        name: As mode lines name it.
        arguments: (argument, path) in the file's order; a HWMON's path is directory, blank, file.
    """

    kind: str
    name: str
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def bases(self) -> tuple[str, ...]:
        """The arguments' names as mode lines use them, in order."""
        return tuple(dict.fromkeys(re.sub(f"{re.escape(KNEXT)}$", "", name) for name, _ in self.arguments))

    def paths(self, argument: str) -> tuple[str, ...]:
        """Return the paths of an argument, a newer kernel's first."""
        given = dict(self.arguments)
        return tuple(given[name] for name in (argument + KNEXT, argument) if name in given)


@dataclass(frozen=True)
class ModeLine:
    """One line of a mode. In files of L4T R27 and R28 `param` is ``""`` and `argument` is a path."""

    param: str
    argument: str
    value: str

    @property
    def text(self) -> str:
        """The line."""
        return " ".join(filter(None, (self.param, self.argument, self.value)))

    @property
    def is_mask(self) -> bool:
        """Whether it powers parts of the GPU off, which only a reboot changes."""
        return self.argument.lower().endswith("_pg_mask")


@dataclass(frozen=True)
class Mode:
    """A POWER_MODEL section.

    Attributes:
        ident: Its id.
        name: Its name.
        settings: Its lines in order.
        comments: Its whole-line comments, with their ``#``, up to the last setting.
        first: Index of its head in `Document.lines`.
        end: Index behind its last setting.
    """

    ident: int
    name: str
    settings: tuple[ModeLine, ...]
    comments: tuple[str, ...]
    first: int
    end: int

    @property
    def masks(self) -> tuple[ModeLine, ...]:
        """The settings that power parts of the GPU off."""
        return tuple(s for s in self.settings if s.is_mask)


@dataclass(frozen=True)
class Document:
    """A file.

    Attributes:
        lines: With their line ends; joined they are the text.
        params: In order; a name that occurs twice is one PARAM.
        modes: In order.
        default: The value of ``PM_CONFIG DEFAULT`` (an id; some files give a name), None where there is none.
    """

    lines: tuple[str, ...]
    params: tuple[Param, ...]
    modes: tuple[Mode, ...]
    default: str | None

    @property
    def text(self) -> str:
        """The whole file."""
        return "".join(self.lines)

    @property
    def default_mode(self) -> Mode | None:
        """The mode that the board boots into, None where the file names none."""
        return next((m for m in self.modes if self.default in (str(m.ident), m.name)), None)

    def by_id(self, ident: int | None) -> Mode | None:
        """Return the mode of an id, None where there is none."""
        return next((m for m in self.modes if m.ident == ident), None)

    def find(self, mode: str) -> Mode:
        """Return a mode by its name or its id.

        Raises:
            UnknownModeError: there is none; names all, the nearest first.
        """
        by_name = next((m for m in self.modes if m.name == mode), None)
        found = by_name or self.by_id(int(mode) if mode.isdecimal() else None)
        if found is None:
            raise UnknownModeError(mode, [(str(m.ident), m.name) for m in self.modes])
        return found


@dataclass(frozen=True)
class Edit:
    """What `add_or_replace_mode` made: the new document, the mode in it, and whether it took one's place."""

    document: Document
    mode: Mode
    replaced: bool


# --- reading -----------------------------------------------------------------------------------


def parse(text: str) -> Document:
    """Return `text` as a document. Never fails: what is not in the grammar is kept and ignored."""
    lines = tuple(_LINE.findall(text))
    parser = _Parser()
    for index, line in enumerate(lines):
        parser.line(index, line)
    return Document(lines, tuple(parser.params.values()), tuple(parser.modes), parser.default)


class _Parser:
    """Reads a file line by line; each line belongs to the last head."""

    def __init__(self) -> None:
        self.params: dict[str, Param] = {}
        self.modes: list[Mode] = []
        self.default: str | None = None
        self._section = ""
        self._param = ""
        self._comments: list[str] = []

    def line(self, index: int, line: str) -> None:
        """Take one line."""
        said, hash_sign, comment = line.lstrip("\ufeff").partition("#")
        words = [w for w in _BLANKS.split(said.strip("\n")) if w]
        if not words:
            if hash_sign:
                self._comments.append(f"#{comment}".rstrip())
        elif words[0].startswith("<"):
            self._head(index, said)
        elif self._section == "PARAM" and len(words) >= 2:
            known = self.params[self._param]
            argument = (words[0], " ".join(words[1:]))
            self.params[self._param] = Param(known.kind, known.name, (*known.arguments, argument))
        elif self._section == "POWER_MODEL":
            self._setting(index, words)

    def _head(self, index: int, said: str) -> None:
        match = _HEAD.search(said)
        kind, attributes = (match[1].upper(), dict(_ATTRIBUTE.findall(match[2]))) if match else ("", {})
        self._section = kind
        name = attributes.get("NAME", "")
        if kind == "PARAM" and name:
            self._param = name
            self.params.setdefault(name, Param(attributes.get("TYPE", ""), name))
        elif kind == "POWER_MODEL" and name and attributes.get("ID", "").isdecimal():
            self._comments = []
            mode = Mode(ident=int(attributes["ID"]), name=name, settings=(), comments=(), first=index, end=index + 1)
            self.modes.append(mode)
        elif kind == "PM_CONFIG" and attributes.get("DEFAULT"):
            self.default = attributes["DEFAULT"]
        else:
            self._section = ""

    def _setting(self, index: int, words: Sequence[str]) -> None:
        if len(words) == 2 and words[0].startswith("/"):
            setting = ModeLine("", words[0], words[1])
        elif len(words) >= 3:
            setting = ModeLine(words[0], words[1], " ".join(words[2:]))
        else:
            return
        mode = self.modes[-1]
        settings = (*mode.settings, setting)
        self.modes[-1] = replace(mode, settings=settings, comments=tuple(self._comments), end=index + 1)


def active_id(status: str) -> int | None:
    """Return the mode id in the text of ``/var/lib/nvpmodel/status``, None where there is none.

    ``pmode:0002`` is decimal, whatever its zeros look like.
    """
    match = re.search(r"pmode:\s*(\d+)", status)
    return int(match[1]) if match else None


# --- editing -----------------------------------------------------------------------------------


def add_or_replace_mode(
    document: Document,
    name: str,
    settings: Sequence[ModeLine],
    *,
    active: int | None = None,
    comments: Sequence[str] = (),
    make_default: bool = False,
) -> Edit:
    """Return `document` with a mode `name`: in the place of the one that has the name, else a new one.

    A new mode gets the lowest free id (where ids are dense: the next) and is put in the file at that
    position, since jtop takes positions for ids. Masks of powered-off parts are those of the mode
    `active` (an id; None: the default mode), since another one needs a reboot. PM_CONFIG stays as it is.

    Args:
        document: What the mode is added to.
        name: Of capital letters, digits and ``_``: jtop reads no other name whole.
        settings: Its lines; masks in them are replaced.
        active: The mode that the board is in.
        comments: Lines below its head, without ``#``.
        make_default: Make PM_CONFIG name it.

    Raises:
        UsageError: a name of other characters.
        MalformedFileError: the file has no modes, no PM_CONFIG that names one, or an id or the name twice.
        UnknownModeError: there is no mode `active`.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' is no name for a power mode.", "Use capital letters, digits and underscores only.")
    _check(document, name, make_default)
    current = document.default_mode if active is None else document.find(str(active))
    masked = _with_masks(settings, _current_masks(document, current))
    old = next((m for m in document.modes if m.name == name), None)
    ident = old.ident if old else free_id(document)
    block = [f"< POWER_MODEL ID={ident} NAME={name} >", *(f"# {c}" for c in comments), *(s.text for s in masked)]
    lines = _replaced(document, old, block) if old else _inserted(document, ident, block)
    edited = parse("".join(lines))
    if make_default:
        edited = with_default(edited, ident)
    return Edit(edited, edited.find(name), old is not None)


def with_default(document: Document, ident: int) -> Document:
    """Return `document` with PM_CONFIG naming mode `ident`."""
    lines = [_DEFAULT.sub(rf"\g<1>{ident}", x, count=1) if _is_pm_config(x) else x for x in document.lines]
    return parse("".join(lines))


def free_id(document: Document) -> int:
    """Return the lowest id that no mode has."""
    taken = {m.ident for m in document.modes}
    return next(i for i in range(len(taken) + 1) if i not in taken)


def _check(document: Document, name: str, make_default: bool) -> None:
    if not document.modes:
        raise MalformedFileError("The nvpmodel file has no POWER_MODEL section.", "Name the board's own nvpmodel.conf.")
    if document.default is None:
        raise MalformedFileError(
            "The nvpmodel file has no '< PM_CONFIG DEFAULT=... >': nvpmodel needs one, and jtop stops without it.",
            "Add that line, naming the mode that the board boots into.",
        )
    if document.default_mode is None and not make_default:
        raise MalformedFileError(
            f"PM_CONFIG names mode '{document.default}' as the default, and the nvpmodel file has no such mode.",
            "Correct that line, or make the new mode the default (--default).",
        )
    for what, values in (
        ("id", [m.ident for m in document.modes]),
        ("name", [m.name for m in document.modes if m.name == name]),
    ):
        twice = [value for value, count in Counter(values).items() if count > 1]
        if twice:
            raise MalformedFileError(
                f"Two modes of the nvpmodel file have the {what} {twice[0]}.", "Give each mode its own."
            )


def _current_masks(document: Document, current: Mode | None) -> tuple[ModeLine, ...]:
    """Return the masks of the current mode; where it names none, of the first mode that does."""
    candidates = [m for m in (current, document.default_mode, *document.modes) if m is not None]
    return next((m.masks for m in candidates if m.masks), ())


def _with_masks(settings: Iterable[ModeLine], masks: Sequence[ModeLine]) -> list[ModeLine]:
    """Return settings with these masks and no other, where the settings had theirs, else at the beginning."""
    waiting = {(m.param, m.argument): m for m in masks}
    result = []
    for setting in settings:
        if not setting.is_mask:
            result.append(setting)
        elif (setting.param, setting.argument) in waiting:
            result.append(waiting.pop((setting.param, setting.argument)))
    at = next((i for i, s in enumerate(result) if not _is_online(s)), len(result))
    return [*result[:at], *waiting.values(), *result[at:]]


def _is_online(setting: ModeLine) -> bool:
    return setting.param.startswith("CPU_ONLINE") or setting.argument.endswith("/online")


def _replaced(document: Document, old: Mode, block: Sequence[str]) -> list[str]:
    lines = list(document.lines)
    end = "\r\n" if lines[old.first].endswith("\r\n") else "\n"  # in a file of both, as it was first written
    new = [line + end for line in block]
    if not lines[old.end - 1].endswith("\n"):
        new[-1] = block[-1]
    return [*lines[: old.first], *new, *lines[old.end :]]


def _inserted(document: Document, ident: int, block: Sequence[str]) -> list[str]:
    lines, end = list(document.lines), _line_end(document)
    if ident < len(document.modes):
        at = _above_comments(document, ident)
        return [*lines[:at], *(line + end for line in (*block, "")), *lines[at:]]
    at = document.modes[-1].end
    new = [line + end for line in ("", *block)]
    if not lines[at - 1].endswith("\n"):
        lines[at - 1] += end
        new[-1] = block[-1]
    return [*lines[:at], *new, *lines[at:]]


def _above_comments(document: Document, position: int) -> int:
    """Return the index above a mode and the comments directly above it."""
    at = document.modes[position].first
    floor = document.modes[position - 1].end if position else 0
    while at > floor and document.lines[at - 1].lstrip(" \t").startswith("#"):
        at -= 1
    return at


def _is_pm_config(line: str) -> bool:
    match = _HEAD.search(line.partition("#")[0])
    return match is not None and match[1].upper() == "PM_CONFIG"


def _line_end(document: Document) -> str:
    crlf = sum(line.endswith("\r\n") for line in document.lines)
    return "\r\n" if 2 * crlf > len(document.lines) else "\n"
