"""Board files (`profiles/boards/*.toml`) and stock modes (`profiles/stock/*.toml`): read and validate.

The files are found through the package `tuner_profiles`, from a wheel as from a checkout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tuner.config.toml import malformed, parse_toml
from tuner.errors import FileVersionError, MalformedFileError, OptionValueError, UnknownBoardError
from tuner.ports import PowerMode
from tuner.space import Configuration, ConfigurationSpace, Option

if TYPE_CHECKING:
    from tuner.boards.schema import NvpmodelTable
    from tuner.config.schema import FileModel

SCHEMA_VERSION = 1
_Model = TypeVar("_Model", bound="FileModel")
_PACKAGE = "tuner_profiles"


@dataclass(frozen=True, kw_only=True)
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
    # A name has no second dot: `*.hardware.toml` are read by `tuner.boards.hardware`.
    return tuple(sorted(name[: -len(".toml")] for name in entries if name.endswith(".toml") and name.count(".") == 1))


def load_board(name: str) -> Board:
    """Return the board `name`.

    Raises:
        UnknownBoardError: no file of that name; names the nearest.
        MalformedFileError: the file does not parse, or a value is missing or wrong (line and column).
        FileVersionError: another schema version.
    """
    known = board_names()
    if name not in known:
        raise UnknownBoardError(name, known)
    text = (files(_PACKAGE) / "boards" / f"{name}.toml").read_text(encoding="utf-8")
    return parse_board(text, f"boards/{name}.toml")


def load_stock_modes(board: Board) -> tuple[PowerMode, ...]:
    """Return the modes that the vendor ships for `board`; empty if there is no stock file.

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
    from tuner.boards.schema import BoardFile

    document = _Document(text, source)
    file = document.checked(BoardFile)
    options = []
    for i, o in enumerate(file.options):
        values, aliases = tuple(o.values), tuple(o.aliases)
        with document.refusing("options", i, "values"):
            options.append(Option(o.name, values, o.kind, unit=o.unit, aliases=aliases, description=o.description))
    with document.refusing("options"):
        space = ConfigurationSpace(tuple(options))
    with document.refusing("boot", names=file.boot):
        boot = space.normalise(file.boot)
    if (file.default_workload or file.workloads) and file.default_workload not in file.workloads:
        raise document.wrong(f"'default_workload' names no workload: '{file.default_workload}'", "default_workload")
    if file.nvpmodel is not None:
        _check_nvpmodel(document, file.nvpmodel, space)
    return Board(
        name=file.name,
        description=file.description,
        options=space.options,
        boot=boot,
        nvpmodel=document.data.get("nvpmodel", {}),
        physics=file.physics,
        workloads=file.workloads,
        default_workload=file.default_workload,
    )


def parse_stock_modes(text: str, source: str, board: Board) -> tuple[PowerMode, ...]:
    """Return the modes that `text` (TOML) declares, each a configuration of `board`.

    Raises:
        MalformedFileError, FileVersionError: as `load_board`.
    """
    from tuner.boards.schema import StockFile

    document = _Document(text, source)
    file = document.checked(StockFile)
    if file.board != board.name:
        raise document.wrong(f"it is not for board '{board.name}'", "board")
    modes: dict[str, PowerMode] = {}
    for i, mode in enumerate(file.modes):
        if mode.name in modes:
            raise document.wrong(f"mode '{mode.name}' is named twice", "modes", i, "name")
        with document.refusing("modes", i, "configuration", names=mode.configuration):
            modes[mode.name] = PowerMode(mode.name, board.space.normalise(mode.configuration))
    return tuple(modes.values())


def _check_nvpmodel(document: _Document, nvpmodel: NvpmodelTable, space: ConfigurationSpace) -> None:
    """Check that each setting names a declared PARAM and ARG and, if it has one, a declared option."""
    args = {param.name: param.args for param in nvpmodel.params}
    for i, line in enumerate(nvpmodel.settings):
        what, place = f"{line.param} {line.arg}", ("nvpmodel", "settings", i)
        if line.arg not in args.get(line.param, {}):
            raise document.wrong(f"[[nvpmodel.params]] does not declare {what}", *place)
        if (line.fixed is None) == (line.option is None):
            raise document.wrong(f"{what} needs either 'fixed' or 'option'", *place)
        if line.option is None:
            continue
        if line.option not in space.by_name:
            raise document.wrong(f"{what} is set from an unknown option '{line.option}'", *place)
        lacking = [v for v in space.by_name[line.option].values if line.values and str(v) not in line.values]
        if lacking:
            raise document.wrong(f"{what} has no text for {line.option} = {lacking[0]}", *place)


class _Document:
    """A parsed file whose errors have a line and a column."""

    def __init__(self, text: str, source: str) -> None:
        self._path = Path(source)
        self.data, self._locate = parse_toml(text, self._path)
        version = self.data.get("schema_version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION or isinstance(version, bool):
            line, column = self._locate(["schema_version"])
            raise FileVersionError(
                f"'{source}' has schema version {version}, this program reads {SCHEMA_VERSION} "
                f"(line {line}, column {column}).",
                f"Write 'schema_version = {SCHEMA_VERSION}' if it is of that form, or update this program.",
            )

    def checked(self, model: type[_Model]) -> _Model:
        """Return the document as its model."""
        from tuner.config.schema import checked

        return checked(model, self.data, self._path, self._locate)

    def wrong(self, what: str, *keys: str | int) -> MalformedFileError:
        """Return the error for `what` (a clause) at a key's place."""
        return malformed(self._path, self._locate(keys), what)

    @contextmanager
    def refusing(self, *keys: str | int, names: Iterable[str] = ()) -> Iterator[None]:
        """Raise an `OptionValueError` as the error at `keys`, or at the one of `names` below that it is about."""
        try:
            yield
        except OptionValueError as error:
            about = [name for name in names if f"'{name}'" in error.what][:1]
            raise self.wrong(error.what.rstrip("."), *keys, *about) from error
