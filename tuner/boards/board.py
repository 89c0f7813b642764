"""Board files (`profiles/boards/*.toml`) and stock modes (`profiles/stock/*.toml`): read and validate.

The files are found through the package `tuner_profiles`, from a wheel as from a checkout.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, NoReturn

from tuner.errors import FileVersionError, MalformedFileError, OptionValueError, UnknownBoardError
from tuner.ports import PowerMode
from tuner.space import Configuration, ConfigurationSpace, Option, OptionValue

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA_VERSION = 1
_PACKAGE = "tuner_profiles"
_OPTION_KEYS = {"name", "values", "kind", "unit", "aliases", "description"}
_BOARD_KEYS = {
    "schema_version",
    "name",
    "description",
    "default_workload",
    "options",
    "boot",
    "nvpmodel",
    "physics",
    "workloads",
}


@dataclass(frozen=True)
class Board:
    """What a board has.

    Attributes:
        name: As in ``emulated:<name>`` and in profiles.
        description: One sentence for people.
        options: In the file's order.
        boot: The configuration that the board boots into.
        nvpmodel: How the nvpmodel exporter writes the options; empty where the board has no nvpmodel.
            ``free_id``: a mode id that stock files leave free; ``params``: PARAM sections (``type``,
            ``name``, ``args``: ARG -> path); ``settings``: MODEL lines in order, each with ``param``,
            ``arg`` and either ``fixed`` (a text), or ``option`` (its value as it is; ``unit`` says in
            what) with an optional ``values`` (level as text -> text to write).
        physics: Coefficients of the emulated device, tables by name.
        workloads: Demand coefficients of the emulated device by workload name.
        default_workload: A key of `workloads`, ``""`` where there are none.
    """

    name: str
    description: str
    options: tuple[Option, ...]
    boot: Configuration
    nvpmodel: Mapping[str, Any]
    physics: Mapping[str, Any]
    workloads: Mapping[str, Mapping[str, Any]]
    default_workload: str

    @property
    def space(self) -> ConfigurationSpace:
        """The space of all options, for validating configurations."""
        return ConfigurationSpace(self.options)


def board_names() -> tuple[str, ...]:
    """Return the names of all board files, sorted."""
    entries = (entry.name for entry in (files(_PACKAGE) / "boards").iterdir())
    # A name has no second dot: `*.hardware.toml` are `tuner.boards.hardware`'s.
    return tuple(sorted(name[: -len(".toml")] for name in entries if name.endswith(".toml") and name.count(".") == 1))


def load_board(name: str) -> Board:
    """Return the board `name`.

    Raises:
        UnknownBoardError: no file of that name; names the nearest.
        MalformedFileError: the file does not parse or states nonsense (line and column).
        FileVersionError: another schema version.
    """
    known = board_names()
    if name not in known:
        raise UnknownBoardError(name, known)
    text = (files(_PACKAGE) / "boards" / f"{name}.toml").read_text(encoding="utf-8")
    return parse_board(text, f"boards/{name}.toml")


def load_stock_modes(board: Board) -> tuple[PowerMode, ...]:
    """Return the modes that the vendor ships for `board`; empty where no stock file names any.

    Raises:
        MalformedFileError, FileVersionError: as `load_board`.
    """
    resource = files(_PACKAGE) / "stock" / f"{board.name}.toml"
    if not resource.is_file():
        return ()
    return parse_stock_modes(resource.read_text(encoding="utf-8"), f"stock/{board.name}.toml", board)


def parse_board(text: str, source: str) -> Board:
    """Return the board that `text` (TOML) declares; `source` names it in errors.

    Raises:
        MalformedFileError, FileVersionError: as `load_board`.
    """
    document = _Document(text, source)
    data = document.data
    document.check_keys(data, _BOARD_KEYS)
    name = document.get(data, "name", str)
    entries = document.get(data, "options", list)
    options = tuple(_option(document, entry) for entry in entries)
    if not options:
        document.fail("options", "declares no options")
    try:
        space = ConfigurationSpace(options)
    except OptionValueError as error:
        document.fail("options", f"declares wrong options: {error.what.rstrip('.')}")
    boot = document.configuration(document.get(data, "boot", dict), space, "boot")
    workloads = document.get(data, "workloads", dict, {})
    for key, value in workloads.items():
        if not isinstance(value, dict):
            document.fail(key, f"must make 'workloads.{key}' a table")
    default = document.get(data, "default_workload", str, "")
    if (default or workloads) and default not in workloads:
        document.fail("default_workload", f"names no workload of its own as default ('{default}')")
    nvpmodel = document.get(data, "nvpmodel", dict, {})
    _check_nvpmodel(document, nvpmodel, space)
    description = document.get(data, "description", str)
    physics = document.get(data, "physics", dict, {})
    return Board(name, description, options, boot, nvpmodel, physics, workloads, default)


def parse_stock_modes(text: str, source: str, board: Board) -> tuple[PowerMode, ...]:
    """Return the modes that `text` (TOML) declares, each a configuration of `board`.

    Raises:
        MalformedFileError, FileVersionError: as `load_board`.
    """
    document = _Document(text, source)
    document.check_keys(document.data, {"schema_version", "board", "modes"})
    if document.get(document.data, "board", str) != board.name:
        document.fail("board", f"is not for board '{board.name}'")
    modes: list[PowerMode] = []
    for entry in document.get(document.data, "modes", list):
        if not isinstance(entry, dict):
            document.fail("modes", "must write each mode as a table [[modes]]")
        document.check_keys(entry, {"name", "configuration"})
        name = document.get(entry, "name", str)
        if any(mode.name == name for mode in modes):
            document.fail("modes", f"names mode '{name}' twice")
        values = document.get(entry, "configuration", dict)
        modes.append(PowerMode(name, document.configuration(values, board.space, f"mode {name}", name)))
    return tuple(modes)


def _option(document: _Document, entry: object) -> Option:
    if not isinstance(entry, dict):
        document.fail("options", "must write each option as a table [[options]]")
    document.check_keys(entry, _OPTION_KEYS)
    name: str = document.get(entry, "name", str)
    values: list[OptionValue] = document.get(entry, "values", list, after=name)
    kind = document.get(entry, "kind", str, "ordinal", after=name)
    aliases = document.get(entry, "aliases", list, [], after=name)
    unit = document.get(entry, "unit", str, "", after=name)
    if not values or not all(isinstance(v, (bool, int, float, str)) for v in values):
        document.fail("values", f"must give option '{name}' a list of values", name)
    if kind not in ("ordinal", "categorical"):
        document.fail("kind", f"gives option '{name}' an unknown kind", name)
    if not all(isinstance(alias, str) for alias in aliases):
        document.fail("aliases", f"must give option '{name}' aliases as text", name)
    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if kind == "ordinal" and (len(numbers) != len(values) or numbers != sorted(set(numbers))):
        document.fail("values", f"must list the values of ordinal option '{name}' as ascending numbers", name)
    description = document.get(entry, "description", str, "", after=name)
    level_kind: Literal["ordinal", "categorical"] = "ordinal" if kind == "ordinal" else "categorical"
    try:
        return Option(name, tuple(values), level_kind, unit=unit, aliases=tuple(aliases), description=description)
    except OptionValueError as error:
        document.fail("values", f"declares a wrong option: {error.what.rstrip('.')}", name)


def _check_nvpmodel(document: _Document, nvpmodel: Mapping[str, Any], space: ConfigurationSpace) -> None:
    """Every setting must point to a declared PARAM and ARG and, where it says one, to an option."""
    if not nvpmodel:
        return
    document.get(nvpmodel, "free_id", int)
    args: dict[str, Mapping[str, str]] = {}
    for param in document.get(nvpmodel, "params", list):
        args[document.get(param, "name", str)] = document.get(param, "args", dict)
        document.get(param, "type", str)
    for setting in document.get(nvpmodel, "settings", list):
        param, arg = document.get(setting, "param", str), document.get(setting, "arg", str)
        if arg not in args.get(param, {}):
            document.fail("settings", f"sets {param} {arg}, which [[nvpmodel.params]] does not declare")
        if ("fixed" in setting) == ("option" in setting):
            document.fail("settings", f"must give {param} {arg} either 'fixed' or 'option'")
        if "option" not in setting:
            continue
        name = document.get(setting, "option", str)
        if name not in space.by_name:
            document.fail("settings", f"sets {param} {arg} from an unknown option '{name}'")
        values = document.get(setting, "values", dict, {})
        lacking = [str(v) for v in space.by_name[name].values if values and str(v) not in values]
        if lacking:
            document.fail("settings", f"gives {param} {arg} no text for {name} = {lacking[0]}")


class _Document:
    """A parsed file that can say where in its text something is wrong."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self._lines = text.splitlines()
        try:
            self.data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise MalformedFileError(
                f"'{source}' is not valid TOML: {_with_position(str(error), self._lines)}.", "Correct that place."
            ) from error
        version = self.data.get("schema_version")
        if version is None:
            self.fail("schema_version", "has no 'schema_version'")
        if version != SCHEMA_VERSION or isinstance(version, bool):
            raise FileVersionError(
                f"'{source}' has schema version {version}, this program reads {SCHEMA_VERSION} "
                f"(line {self._position('schema_version')[0]}, column 1).",
                f"Write 'schema_version = {SCHEMA_VERSION}' if it is of that form, or update this program.",
            )

    def get(self, table: object, key: str, kind: type, default: Any = None, after: str = "") -> Any:
        """Return `table[key]`, checked to be of `kind`; a missing key without default fails.

        `after` is a text that precedes the table's keys in the file, for the position in an error.
        """
        if not isinstance(table, dict):
            self.fail(key, f"must have a table that holds '{key}'")
        if key not in table:
            if default is None:
                self.fail(after, f"has no '{key}'", after)
            return default
        value = table[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            name = {str: "text", list: "a list", dict: "a table", int: "an integer"}[kind]
            self.fail(key, f"must make '{key}' {name}", after)
        return value

    def check_keys(self, table: Mapping[str, object], known: set[str]) -> None:
        """Fail on a key that nothing reads: a misspelt one would be ignored in silence."""
        for key in table:
            if key not in known:
                self.fail(key, f"has an unknown key '{key}'")

    def configuration(
        self, values: Configuration, space: ConfigurationSpace, what: str, after: str = ""
    ) -> dict[str, OptionValue]:
        """Return `values` as a configuration of `space`."""
        try:
            return space.normalise(values)
        except OptionValueError as error:
            key = next((k for k in values if f"'{k}'" in error.what), what.split()[0])
            self.fail(key, f"states a wrong configuration in {what}: {error.what.rstrip('.')}", after or what)

    def fail(self, key: str, what: str, after: str = "") -> NoReturn:
        """Raise MalformedFileError at `key`'s place (after the text `after`, if that occurs)."""
        line, column = self._position(key, after)
        raise MalformedFileError(f"'{self.source}' {what} (line {line}, column {column}).", "Correct that place.")

    def _position(self, key: str, after: str = "") -> tuple[int, int]:
        if not key:
            return 1, 1
        start = next((i for i, line in enumerate(self._lines) if after and after in line), 0)
        pattern = re.compile(rf"^\s*(?:\[+[^\]]*\b{re.escape(key)}\b|[\"']?{re.escape(key)}[\"']?\s*=)")
        inline = re.compile(rf"(?<![\w-]){re.escape(key)}\s*=")
        for wanted in (pattern, inline):
            for i, line in enumerate(self._lines[start:], start + 1):
                match = wanted.search(line)
                if match:
                    return i, match.start() + len(match[0]) - len(match[0].lstrip()) + 1
        return 1, 1


def _with_position(message: str, lines: list[str]) -> str:
    """Return a decoder's message with line and column (it writes "at end of document" at the end)."""
    if "at end of document" in message:
        line = max(1, len(lines))
        column = len(lines[-1]) + 1 if lines else 1
        return message.replace("at end of document", f"at line {line}, column {column}")
    return message
