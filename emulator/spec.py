"""What each emulated board has: its file `boards/<name>.toml`, read for one L4T release.

Level tables, labels and modes are from the platform facts; powers are assumptions (docs/emulated-board.md). A file
has the keys of `BoardSpec` and these: ``aliases``: other names; ``releases``: the L4T major releases that the board is
emulated with; ``default_release``; ``like``: the board that has all that this file does not say;
``before."36.4"``: keys that are different before that release.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache, cached_property
from importlib.resources import files
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from tuner.boards.board import load_board
from tuner.errors import MalformedFileError, UnknownBoardError, UsageError
from tuner_plugins.devices.emulated.physics import Physics, physics_of, read_physics

from .release import Release, release_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_CATALOGUE = ("aliases", "releases", "default_release", "like", "before")


def _from_mhz(factor: float) -> BeforeValidator:
    return BeforeValidator(lambda levels_mhz: [round(mhz * factor) for mhz in levels_mhz])


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cluster(_Facts):
    """CPUs that share one clock.

    Attributes:
        name: Name in nvpmodel.conf.
        cpus: Their numbers; the first leads the policy.
        idle_states: Names of the cpuidle states.
        power_share: How much a core here takes relative to the other clusters' cores.
    """

    name: str
    cpus: tuple[int, ...]
    idle_states: tuple[str, ...] = ("WFI", "c7")
    power_share: float = 1.0


class Rail(_Facts):
    """One channel of a power monitor.

    Attributes:
        label: As the kernel shows it; ``NC`` is not connected.
        parts: Component (cpu, gpu, emc, base) -> share of its power that flows through this rail.
        volts: Nominal bus voltage.
        shunt_milliohm: Sense resistor; the current step is 40 uV over it.
        extra_w: Constant power of what is not on the module (carrier rails).
    """

    label: str
    parts: Mapping[str, float] = {}
    volts: float = 5.0
    shunt_milliohm: float = 5.0
    extra_w: float = 0.0


class SensorChip(_Facts):
    """A power monitor: where it is and what is connected.

    Attributes:
        place: I2C bus and address as the kernel names the device, such as ``1-0040``.
        rails: Its channels.
    """

    place: str = Field(pattern="^[0-9]+-[0-9a-f]{4}$")
    rails: tuple[Rail, ...]

    @property
    def node(self) -> str:
        """Path of the device tree's node below its base."""
        bus, address = self.place.split("-")
        return f"i2c@{bus}/ina3221x@{int(address, 16):x}"


class StockMode(_Facts):
    """A power mode of nvpmodel.conf.

    Attributes:
        ident: Its id.
        name: Its name.
        cpus: CPUs that are online; a file may give the number of the first ones.
        cpu_mhz: Maximum, or maximum by cluster name; None for none.
        gpu_mhz: Maximum, None for none.
        emc_mhz: Cap, None for none.
        tpc_mask: Powered-off TPCs.
    """

    ident: int = Field(alias="id")
    name: str
    cpus: tuple[int, ...]
    cpu_mhz: float | Mapping[str, float] | None = None
    gpu_mhz: float | None = None
    emc_mhz: float | None = None
    tpc_mask: int = 0

    def limit_mhz(self, cluster: str) -> float | None:
        """Return the maximum of a cluster."""
        return self.cpu_mhz.get(cluster) if isinstance(self.cpu_mhz, Mapping) else self.cpu_mhz

    @field_validator("cpus", mode="before")
    @classmethod
    def _first_cpus(cls, given: object) -> object:
        return tuple(range(given)) if isinstance(given, int) else given


class BoardSpec(_Facts):
    """One board at one release.

    Attributes:
        name: As given to ``--board``.
        release: The L4T release.
        model: Text of the device tree.
        compatible: Most specific first; the SoC last.
        chip_id: Of tegra_fuse, None where the release has no such file.
        dts: Base name in `nvidia,dtsfilename`.
        clusters: CPU clusters by leading CPU.
        cpu0: ``absent`` (no `online` file), ``EBUSY`` or ``EPERM`` when 0 is written to it.
        cpu_khz: Levels of every CPU cluster, ascending; in a file ``cpu_mhz``.
        gpu_hz: Levels of the GPU; in a file ``gpu_mhz``.
        emc_hz: Levels of the memory; in a file ``emc_mhz``.
        default_mode: The id that the board boots into.
        modes: Stock power modes.
        cpu_min_mhz: Minimum of every cluster in every mode; 0 is the table's lowest.
        averaging: Samples in the sensor's running average.
        total_rails: What sums to the module's input: one label, or a declared set.
        zones: Thermal zones: (type, kind), kind being cpu, gpu, tj, board, off (always EAGAIN), a constant.
        chips: Power sensors (INA3221), in a file rails by place; empty on a board without one.
        input_monitor: An INA238 at the carrier's input (one rail), where there is one.
        shutdown_c: Critical trip point.
        oc_limit_w: Power above which over-current events happen.
        tpc: Whether the board has `tpc_pg_mask`.
        dead_cpus: CPUs that have a directory but cannot be brought online.
        coefficients: ``physics`` in a file: tables as in the file of a board of the device `emulated`; None: this
            board's own there.
    """

    name: str
    release: Release
    model: str
    compatible: tuple[str, ...]
    chip_id: int | None = None
    dts: str
    clusters: tuple[Cluster, ...]
    cpu0: str
    cpu_khz: Annotated[tuple[int, ...], _from_mhz(1e3), Field(alias="cpu_mhz")]
    gpu_hz: Annotated[tuple[int, ...], _from_mhz(1e6), Field(alias="gpu_mhz")]
    emc_hz: Annotated[tuple[int, ...], _from_mhz(1e6), Field(alias="emc_mhz")]
    default_mode: int
    modes: tuple[StockMode, ...]
    cpu_min_mhz: float = 0.0
    averaging: int
    total_rails: tuple[str, ...]
    zones: tuple[tuple[str, str], ...]
    chips: tuple[SensorChip, ...]
    input_monitor: SensorChip | None = None
    shutdown_c: float = 104.5
    oc_limit_w: float = 1e9
    tpc: bool = False
    dead_cpus: tuple[int, ...] = ()
    coefficients: Mapping[str, Mapping[str, float]] | None = Field(None, alias="physics")

    @cached_property
    def physics(self) -> Physics:
        """Power and heat of the board.

        Raises:
            MalformedFileError: a coefficient is missing or unknown.
        """
        if self.coefficients is None:
            return physics_of(load_board(self.name))
        tables = {"cpu": (self.cpu_khz, 1e-6), "gpu": (self.gpu_hz, 1e-9), "emc": (self.emc_hz, 1e-9)}
        ends = {name: (table[0] * ghz, table[-1] * ghz) for name, (table, ghz) in tables.items()}
        return read_physics(self.coefficients, self.name, **ends)

    @field_validator("chips", mode="before")
    @classmethod
    def _chips_by_place(cls, given: Mapping[str, object]) -> object:
        return tuple({"place": place, "rails": rails} for place, rails in given.items())

    @property
    def soc(self) -> str:
        """``tegra234`` and so on."""
        return self.compatible[-1].partition(",")[2]

    @property
    def cpus(self) -> tuple[int, ...]:
        """CPU numbers that can work, ascending."""
        return tuple(sorted(cpu for cluster in self.clusters for cpu in cluster.cpus))


@cache
def _boards() -> Mapping[str, Mapping[str, Any]]:
    folder = files("tuner_emulator") / "boards"
    found = sorted((entry.name, entry.read_text(encoding="utf-8")) for entry in folder.iterdir())
    return {name[: -len(".toml")]: tomllib.loads(text) for name, text in found if name.endswith(".toml")}


def releases() -> dict[str, tuple[int, ...]]:
    """Return the boards' names, each with the L4T major releases that it is emulated with."""
    return {name: tuple(board["releases"]) for name, board in _boards().items()}


def spec_of(name: str, release: Release | None = None) -> BoardSpec:
    """Return board `name` (or an alias) at `release`, the board's usual one for None.

    Raises:
        UnknownBoardError: no such board.
        UsageError: the board never had that release.
        MalformedFileError: the board's file lacks or misspells something.
    """
    name = next((known for known, board in _boards().items() if name in board.get("aliases", ())), name)
    if name not in _boards():
        raise UnknownBoardError(name, releases())
    board = _boards()[name]
    release = release or release_of(board["default_release"])
    if release.major not in board["releases"]:
        known = ", ".join(map(str, board["releases"]))
        raise UsageError(
            f"Board '{name}' is not emulated with L4T {release.text}.", f"Its major releases are: {known}."
        )
    try:
        return BoardSpec.model_validate({**_facts(name, release), "name": name, "release": release})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise MalformedFileError(
            f"'boards/{name}.toml' is wrong at '{where}': {first['msg']}.", "Correct that place."
        ) from None


def _facts(name: str, release: Release) -> dict[str, Any]:
    board = _boards()[name]
    facts = _facts(board["like"], release) if "like" in board else {}
    facts |= {key: value for key, value in board.items() if key not in _CATALOGUE}
    older = {release_of(text): changes for text, changes in board.get("before", {}).items()}
    for bound in sorted(older, reverse=True):
        facts |= older[bound] if release < bound else {}
    return facts
