"""The boards: what each has, as data. Level tables and labels are from the platform facts; the electrical
numbers are assumptions of the usual size (docs/emulated-board.md).

CPU tables in kHz, GPU and EMC tables in Hz, modes in MHz (None: no limit).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tuner.errors import UnknownBoardError, UsageError

from .release import Release

M = 1_000_000


@dataclass(frozen=True)
class Cluster:
    """CPUs that share one clock.

    Attributes:
        name: Name in nvpmodel.conf.
        cpus: Their numbers; the first leads the policy.
        table_khz: Levels, ascending.
        idle_states: Names of the cpuidle states.
        power_share: How much a core here takes relative to the other clusters' cores.
    """

    name: str
    cpus: tuple[int, ...]
    table_khz: tuple[int, ...]
    idle_states: tuple[str, ...] = ("WFI", "c7")
    power_share: float = 1.0


@dataclass(frozen=True)
class Rail:
    """One channel of an INA3221.

    Attributes:
        label: As the kernel shows it; ``NC`` is not connected.
        parts: Component -> share of its power that flows through this rail.
        volts: Nominal bus voltage.
        shunt_milliohm: Sense resistor; the current step is 40 uV over it.
        extra_w: Constant power of what is not on the module (carrier rails).
    """

    label: str
    parts: Mapping[str, float]
    volts: float = 5.0
    shunt_milliohm: float = 5.0
    extra_w: float = 0.0


@dataclass(frozen=True)
class SensorChip:
    """An INA3221: where it sits and what is connected."""

    bus: int
    address: int
    rails: tuple[Rail, ...]


@dataclass(frozen=True)
class Mode:
    """A power mode of nvpmodel.conf.

    Attributes:
        ident: Its id.
        name: Its name.
        cpus: CPUs that are online.
        cpu_mhz: Maximum by cluster name; a cluster that is missing, or None, has no limit.
        gpu_mhz: Maximum, None for none.
        emc_mhz: Cap, None for none.
        tpc_mask: Powered-off TPCs.
        cpu_min_mhz: Minimum of every cluster; 0 is the table's lowest.
    """

    ident: int
    name: str
    cpus: tuple[int, ...]
    cpu_mhz: Mapping[str, float | None]
    gpu_mhz: float | None
    emc_mhz: float | None
    tpc_mask: int | None = None
    cpu_min_mhz: float = 0.0


@dataclass(frozen=True)
class Electrics:
    """Assumed sizes: full power of the parts at their highest levels and 45 C, and the thermal path."""

    cpu_w: float
    gpu_w: float
    emc_w: float
    base_w: float
    leakage_w: float
    resistance_k_per_w: float
    time_constant_s: float
    throttle_c: float
    shutdown_c: float = 104.5
    oc_limit_w: float = 1e9


@dataclass(frozen=True)
class BoardSpec:
    """One board at one release.

    Attributes:
        name: As given to ``--board``.
        model: Text of the device tree.
        compatible: Most specific first; the SoC last.
        soc: ``tegra234`` and so on.
        chip_id: Of tegra_fuse, None where the release has no such file.
        dts: Base name in `nvidia,dtsfilename`.
        clusters: CPU clusters by leading CPU.
        cpu0: ``absent`` (no `online` file), ``EBUSY`` or ``EPERM`` when somebody writes 0 to it.
        governors: Of cpufreq; the first is the default.
        gpu_hz: GPU levels.
        emc_hz: EMC levels.
        chips: Power sensors; empty on a board without one.
        averaging: Samples in the sensor's running average.
        zones: Thermal zones: (type, kind), kind being cpu, gpu, tj, board, off (EAGAIN for ever), a constant.
        modes: Stock power modes.
        default_mode: The id that the board boots into.
        electrics: Assumed powers.
        total_rails: What sums to the module's input: one label, or a declared set.
        input_monitor: An INA238 at the carrier's input (one rail), where there is one.
        tpc: Whether the board has `tpc_pg_mask`.
        dead_cpus: CPUs that have a directory but cannot be brought online.
    """

    name: str
    release: Release
    model: str
    compatible: tuple[str, ...]
    soc: str
    chip_id: int | None
    dts: str
    clusters: tuple[Cluster, ...]
    cpu0: str
    governors: tuple[str, ...]
    gpu_hz: tuple[int, ...]
    emc_hz: tuple[int, ...]
    chips: tuple[SensorChip, ...]
    averaging: int
    zones: tuple[tuple[str, str], ...]
    modes: tuple[Mode, ...]
    default_mode: int
    electrics: Electrics
    total_rails: tuple[str, ...]
    input_monitor: SensorChip | None = None
    tpc: bool = False
    dead_cpus: tuple[int, ...] = field(default=())

    @property
    def cpus(self) -> tuple[int, ...]:
        """CPU numbers that can work, ascending."""
        return tuple(sorted(cpu for cluster in self.clusters for cpu in cluster.cpus))


#: What `--board` takes, and the major releases that each is emulated with.
RELEASES: Mapping[str, tuple[int, ...]] = {
    "jetson-tx1": (28, 32),
    "jetson-nano": (32,),
    "jetson-nano-2gb": (32,),
    "jetson-tx2": (28, 32),
    "jetson-agx-xavier": (32, 34, 35),
    "jetson-xavier-nx": (32, 34, 35),
    "jetson-agx-orin": (34, 35, 36),
    "jetson-orin-nx": (35, 36),
    "jetson-orin-nano": (35, 36),
    "jetson-agx-thor": (38, 39),
}
ALIASES = {
    "jetson-xavier-agx": "jetson-agx-xavier",
    "jetson-orin-agx": "jetson-agx-orin",
    "jetson-nx": "jetson-xavier-nx",
    "jetson-xavier": "jetson-agx-xavier",
    "jetson-orin": "jetson-agx-orin",
    "jetson-thor": "jetson-agx-thor",
}
#: The release that a board gets where none is given.
DEFAULT_RELEASE = {
    "jetson-tx1": "32.7",
    "jetson-nano": "32.7",
    "jetson-nano-2gb": "32.7",
    "jetson-tx2": "32.7",
    "jetson-agx-xavier": "35.4",
    "jetson-xavier-nx": "35.4",
    "jetson-agx-orin": "36.4",
    "jetson-orin-nx": "36.4",
    "jetson-orin-nano": "36.4",
    "jetson-agx-thor": "38.2",
}

_GOVERNORS_44 = ("interactive", "conservative", "ondemand", "userspace", "performance")
_GOVERNORS = ("schedutil", "conservative", "ondemand", "userspace", "performance")
_GRID = tuple(115_200 + 76_800 * k for k in range(29))

_INPUT = {"cpu": 1.0, "gpu": 1.0, "emc": 1.0, "base": 1.0}
_ORIN_ZONES = (
    ("cpu-thermal", "cpu"),
    ("gpu-thermal", "gpu"),
    ("cv0-thermal", "off"),
    ("cv1-thermal", "off"),
    ("cv2-thermal", "off"),
    ("soc0-thermal", "soc"),
    ("soc1-thermal", "soc"),
    ("soc2-thermal", "soc"),
    ("tj-thermal", "tj"),
)
_ORIN_NX_CHIPS = (
    SensorChip(
        1,
        0x40,
        (
            Rail("VDD_IN", _INPUT),
            Rail("VDD_CPU_GPU_CV", {"cpu": 1.0, "gpu": 1.0}),
            Rail("VDD_SOC", {"emc": 0.6, "base": 0.4}),
        ),
    ),
)


def names() -> tuple[str, ...]:
    """Return the boards' names."""
    return tuple(RELEASES)


def spec_of(name: str, release: Release) -> BoardSpec:
    """Return board `name` at `release`.

    Raises:
        UnknownBoardError: no such board.
        UsageError: the board never had that release.
    """
    name = ALIASES.get(name, name)
    if name not in RELEASES:
        raise UnknownBoardError(name, RELEASES)
    if release.major not in RELEASES[name]:
        known = ", ".join(str(major) for major in RELEASES[name])
        raise UsageError(
            f"Board '{name}' is not emulated with L4T {release.text}.", f"Its major releases are: {known}."
        )
    return _MAKERS[name](release)


def _mode(
    ident: int,
    name: str,
    cpus: Sequence[int],
    cpu: float | Mapping[str, float | None] | None,
    gpu: float | None,
    emc: float | None,
    mask: int | None = None,
    floor: float = 0.0,
    clusters: Sequence[str] = (),
) -> Mode:
    per = dict(cpu) if isinstance(cpu, Mapping) else dict.fromkeys(clusters, cpu)
    return Mode(ident, name, tuple(cpus), per, gpu, emc, mask, floor)


def _tx1(release: Release) -> BoardSpec:
    table = (*(102_000 * k for k in range(1, 15)), 1_555_500, 1_632_000, 1_734_000)
    zones = (
        ("AO-therm", "soc"),
        ("CPU-therm", "cpu"),
        ("GPU-therm", "gpu"),
        ("PLL-therm", "soc"),
        ("PMIC-Die", "100000"),
        ("Tdiode_tegra", "board"),
        ("Tboard_tegra", "board"),
        ("thermal-fan-est", "tj"),
    )
    module = SensorChip(
        1,
        0x40,
        (
            Rail("VDD_IN", _INPUT, 19.0, 20),
            Rail("VDD_GPU", {"gpu": 1.0}, 5.0, 10),
            Rail("VDD_CPU", {"cpu": 1.0}, 5.0, 10),
        ),
    )
    carrier1 = SensorChip(
        1,
        0x42,
        (
            Rail("VDD_MUX", _INPUT, 19.0, 20, 1.5),
            Rail("VDD_5V_IO_SYS", {}, 5.0, 5, 0.6),
            Rail("VDD_3V3_SYS", {}, 3.3, 10, 0.3),
        ),
    )
    carrier2 = SensorChip(
        1,
        0x43,
        (
            Rail("VDD_3V3_IO", {}, 3.3, 10, 0.1),
            Rail("VDD_1V8_IO", {}, 1.8, 10, 0.1),
            Rail("VDD_M2_IN", {}, 3.3, 10, 0.0),
        ),
    )
    return BoardSpec(
        "jetson-tx1",
        release,
        "jetson_tx1" if release.major == 28 else "NVIDIA Jetson TX1 Developer Kit",
        ("nvidia,p2371-2180", "nvidia,jetson-cv", "nvidia,tegra210"),
        "tegra210",
        33,
        "tegra210-jetson-tx1-p2597-2180-a01-devkit",
        (Cluster("CPU_A57", (0, 1, 2, 3), table),),
        "absent",
        _GOVERNORS_44 if release.major == 28 else _GOVERNORS,
        tuple(76_800_000 * k for k in range(1, 14)),
        tuple(round(m * M) for m in (40.8, 68, 102, 204, 408, 665.6, 800, 1065.6, 1331.2, 1600)),
        (module, carrier1, carrier2),
        64,
        zones,
        (_mode(0, "MAXN", range(4), None, None, None, clusters=["CPU_A57"]),),
        0,
        Electrics(4.5, 6.5, 1.6, 1.2, 0.4, 2.6, 40.0, 97.0),
        ("VDD_IN",),
    )


def _nano(release: Release) -> BoardSpec:
    mhz = (102, 204, 306, 403.2, 518.4, 614.4, 710.4, 825.6, 921.6, 1036.8, 1132.8, 1224, 1326, 1428, 1479)
    zones = (
        ("AO-therm", "soc"),
        ("CPU-therm", "cpu"),
        ("GPU-therm", "gpu"),
        ("PLL-therm", "soc"),
        ("PMIC-Die", "50000"),
        ("thermal-fan-est", "tj"),
    )
    chip = SensorChip(
        6, 0x40, (Rail("POM_5V_IN", _INPUT), Rail("POM_5V_GPU", {"gpu": 1.0}), Rail("POM_5V_CPU", {"cpu": 1.0}))
    )
    one = ["CPU_A57"]
    return BoardSpec(
        "jetson-nano",
        release,
        "NVIDIA Jetson Nano Developer Kit",
        ("nvidia,p3449-0000-b00+p3448-0000-b00", "nvidia,jetson-nano", "nvidia,tegra210"),
        "tegra210",
        33,
        "tegra210-p3448-0000-p3449-0000-b00",
        (Cluster("CPU_A57", (0, 1, 2, 3), tuple(round(m * 1000) for m in mhz)),),
        "absent",
        _GOVERNORS,
        tuple(76_800_000 * k for k in range(1, 13)),
        tuple(round(m * M) for m in (204, 408, 665.6, 800, 1065.6, 1331.2, 1600)),
        (chip,),
        64,
        zones,
        (
            _mode(0, "MAXN", range(4), None, None, None, clusters=one),
            _mode(1, "5W", range(2), 918, 640, 1600, clusters=one),
        ),
        0,
        Electrics(3.2, 3.6, 1.2, 1.0, 0.3, 4.0, 50.0, 97.0),
        ("POM_5V_IN",),
    )


def _nano_2gb(release: Release) -> BoardSpec:
    """Return the board without a power sensor."""
    return replace(
        _nano(release),
        name="jetson-nano-2gb",
        model="NVIDIA Jetson Nano 2GB Developer Kit",
        compatible=("nvidia,p3542-0000+p3448-0003", "nvidia,jetson-nano-2gb", "nvidia,tegra210"),
        dts="tegra210-p3448-0003-p3542-0000",
        chips=(),
        total_rails=(),
    )


def _tx2(release: Release) -> BoardSpec:
    table = tuple(345_600 + 153_600 * k for k in range(12))
    if release.major == 28:
        gpu = tuple(140_250_000 + 89_250_000 * k for k in range(14))
    else:
        mhz = (114.75, 216.75, 318.75, 420.75, 522.75, 624.75, 726.75, 854.25, 930.75, 1032.75, 1122, 1236.75, 1300.5)
        gpu = tuple(round(m * M) for m in mhz)
    zones = (
        ("BCPU-therm", "cpu"),
        ("MCPU-therm", "cpu"),
        ("GPU-therm", "gpu"),
        ("PLL-therm", "soc"),
        ("Tboard_tegra", "board"),
        ("Tdiode_tegra", "board"),
        ("PMIC-Die", "100000"),
        ("thermal-fan-est", "tj"),
    )
    chips = (
        SensorChip(
            0,
            0x40,
            (
                Rail("VDD_SYS_GPU", {"gpu": 1.0}, 19.0, 10),
                Rail("VDD_SYS_SOC", {"base": 0.5}, 19.0, 10),
                Rail("VDD_4V0_WIFI", {}, 4.8, 10, 0.02),
            ),
        ),
        SensorChip(
            0,
            0x41,
            (
                Rail("VDD_IN", _INPUT, 19.0, 5),
                Rail("VDD_SYS_CPU", {"cpu": 1.0}, 19.0, 10),
                Rail("VDD_SYS_DDR", {"emc": 1.0}, 19.0, 10),
            ),
        ),
        SensorChip(
            0,
            0x42,
            (
                Rail("VDD_MUX", _INPUT, 19.0, 20, 1.2),
                Rail("VDD_5V0_IO_SYS", {}, 5.0, 5, 0.6),
                Rail("VDD_3V3_SYS", {}, 3.3, 10, 0.2),
            ),
        ),
        SensorChip(
            0,
            0x43,
            (
                Rail("VDD_3V3_IO_SLP", {}, 3.3, 10, 0.05),
                Rail("VDD_1V8_IO", {}, 1.8, 10, 0.1),
                Rail("VDD_3V3_SYS_M2", {}, 3.3, 10, 0.0),
            ),
        ),
    )
    a57, denver = (0, 3, 4, 5), (1, 2)
    both = ["CPU_A57", "CPU_DENVER"]
    return BoardSpec(
        "jetson-tx2",
        release,
        "quill" if release.major == 28 else "NVIDIA Jetson TX2 Developer Kit",
        ("nvidia,quill", "nvidia,p2597-0000+p3310-1000", "nvidia,tegra186"),
        "tegra186",
        24,
        "tegra186-quill-p3310-1000-c03-00-base",
        (Cluster("CPU_A57", a57, table, ("C1", "c7")), Cluster("CPU_DENVER", denver, table, ("C1", "c6", "c7"), 1.4)),
        "EBUSY",
        _GOVERNORS_44 if release.major == 28 else _GOVERNORS,
        gpu,
        tuple(round(m * M) for m in (40.8, 68, 102, 204, 408, 665.6, 800, 1062.4, 1331.2, 1600, 1866)),
        chips,
        64,
        zones,
        (
            _mode(0, "MAXN", range(6), None, None, None, clusters=both),
            _mode(1, "MAXQ", a57, {"CPU_A57": 1200, "CPU_DENVER": None}, 850, 1331.2),
            _mode(2, "MAXP_CORE_ALL", range(6), 1400, 1120, 1600, clusters=both),
            _mode(3, "MAXP_CORE_ARM", a57, {"CPU_A57": 2000, "CPU_DENVER": None}, 1120, 1600),
            _mode(4, "MAXP_CORE_DENVER", (0, 1), {"CPU_A57": 345.6, "CPU_DENVER": 2035.2}, 1120, 1600),
        ),
        3 if release.major == 28 else 2,
        Electrics(5.5, 7.0, 1.4, 1.0, 0.5, 2.0, 45.0, 95.5),
        ("VDD_IN",),
    )


_XAVIER_ZONES = (
    ("CPU-therm", "cpu"),
    ("GPU-therm", "gpu"),
    ("AUX-therm", "soc"),
    ("AO-therm", "soc"),
    ("PMIC-Die", "100000"),
    ("Tboard_tegra", "board"),
    ("Tdiode_tegra", "board"),
    ("thermal-fan-est", "tj"),
)


def _pairs(count: int, table: tuple[int, ...]) -> tuple[Cluster, ...]:
    return tuple(Cluster(f"CPU_DENVER_{n}", (2 * n, 2 * n + 1), table, ("C1", "c6")) for n in range(count))


def _agx_xavier(release: Release) -> BoardSpec:
    gpu = (
        114.75,
        216.75,
        318.75,
        420.75,
        522.75,
        624.75,
        675.75,
        828.75,
        905.25,
        1032.75,
        1198.5,
        1236.75,
        1338.75,
        1377,
    )
    clusters = _pairs(4, _GRID)
    every = [c.name for c in clusters]
    chips = (
        SensorChip(
            1,
            0x40,
            (Rail("GPU", {"gpu": 1.0}, 19.0), Rail("CPU", {"cpu": 1.0}, 19.0), Rail("SOC", {"base": 0.35}, 19.0)),
        ),
        SensorChip(
            1,
            0x41,
            (Rail("CV", {"base": 0.05}, 19.0), Rail("VDDRQ", {"emc": 1.0}, 19.0), Rail("SYS5V", {"base": 0.6}, 19.0)),
        ),
    )

    def mode(
        ident: int, name: str, cores: int, cpu: float | None, gpu_mhz: float | None, emc: float | None, mask: int = 0
    ) -> Mode:
        return _mode(ident, name, range(cores), cpu, gpu_mhz, emc, mask, 1200, every)

    return BoardSpec(
        "jetson-agx-xavier",
        release,
        "Jetson-AGX" if release.major < 34 else "NVIDIA Jetson AGX Xavier Developer Kit",
        ("nvidia,p2972-0000", "nvidia,p2888-0001", "nvidia,tegra194"),
        "tegra194",
        25 if release.major < 34 else None,
        "tegra194-p2888-0001-p2822-0000",
        clusters,
        "EBUSY",
        _GOVERNORS,
        tuple(round(m * M) for m in gpu),
        tuple(round(m * M) for m in (204, 408, 600, 665.6, 800, 1065.6, 1331.2, 1600, 1866, 2133)),
        chips,
        512,
        _XAVIER_ZONES,
        (
            mode(0, "MAXN", 8, None, None, None),
            mode(1, "MODE_10W", 2, 1200, 520, 1065.6, 5),
            mode(2, "MODE_15W", 4, 1200, 670, 1331.2),
            mode(3, "MODE_30W_ALL", 8, 1200, 900, 1600),
            mode(4, "MODE_30W_6CORE", 6, 1450, 900, 1600),
            mode(5, "MODE_30W_4CORE", 4, 1780, 900, 1600),
            mode(6, "MODE_30W_2CORE", 2, 2100, 900, 1600),
            mode(7, "MODE_15W_DESKTOP", 4, 2188.8, 670, 1331.2),
        ),
        7,
        Electrics(14.0, 14.0, 4.0, 3.5, 1.2, 1.1, 60.0, 86.0),
        ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
        tpc=True,
    )


def _xavier_nx(release: Release) -> BoardSpec:
    table = (*(115_200 + 76_800 * k for k in range(24)), 1_907_200)
    gpu = (
        114.75,
        204,
        306,
        408,
        510,
        599.25,
        701.25,
        752.25,
        803.25,
        854.25,
        905.25,
        956.25,
        1007.25,
        1058.25,
        1109.25,
    )
    clusters = _pairs(3, table)
    every = [c.name for c in clusters]
    chip = SensorChip(7, 0x40, _ORIN_NX_CHIPS[0].rails)
    rows = (
        (0, "MODE_15W_2CORE", 2, 1907.2, 1109.25, 1600),
        (1, "MODE_15W_4CORE", 4, 1420.8, 1109.25, 1600),
        (2, "MODE_15W_6CORE", 6, 1420.8, 1109.25, 1600),
        (3, "MODE_10W_2CORE", 2, 1497.6, 803.25, 1600),
        (4, "MODE_10W_4CORE", 4, 1190.4, 803.25, 1600),
        (5, "MODE_10W_DESKTOP", 4, 1907.2, 510, 1600),
        (6, "MODE_20W_2CORE", 2, 1907.2, 1109.25, 1866),
        (7, "MODE_20W_4CORE", 4, 1420.8, 1109.25, 1866),
        (8, "MODE_20W_6CORE", 6, 1420.8, 1109.25, 1866),
    )
    return BoardSpec(
        "jetson-xavier-nx",
        release,
        "NVIDIA Jetson Xavier NX Developer Kit",
        ("nvidia,p3449-0000+p3668-0000", "nvidia,p3668-0000", "nvidia,tegra194"),
        "tegra194",
        25 if release.major < 34 else None,
        "tegra194-p3668-all-p3509-0000",
        clusters,
        "EBUSY",
        _GOVERNORS,
        tuple(round(m * M) for m in gpu),
        tuple(round(m * M) for m in (204, 408, 600, 665.6, 800, 1065.6, 1331.2, 1600, 1866)),
        (chip,),
        512,
        _XAVIER_ZONES,
        tuple(_mode(i, n, range(c), f, g, e, 1, 1190.4, every) for i, n, c, f, g, e in rows),
        5,
        Electrics(7.0, 8.5, 2.2, 1.6, 0.6, 2.2, 45.0, 86.0),
        ("VDD_IN",),
        tpc=True,
        dead_cpus=(6, 7),
    )


def _agx_orin(release: Release) -> BoardSpec:
    table = (*(115_200 + 76_800 * k for k in range(28)), 2_201_600)
    if release.major < 36:
        gpu = (*(114_750_000 + 102_000_000 * k for k in range(12)), 1_300_500_000)
    else:
        gpu = (*(306_000_000 + 102_000_000 * k for k in range(10)), 1_300_500_000)
    clusters = tuple(Cluster(f"CPU_A78_{n}", tuple(range(4 * n, 4 * n + 4)), table) for n in range(3))
    every = [c.name for c in clusters]
    chips = (
        SensorChip(
            1,
            0x40,
            (
                Rail("VDD_GPU_SOC", {"gpu": 1.0, "base": 0.4}, 19.0, 2),
                Rail("VDD_CPU_CV", {"cpu": 1.0}, 19.0, 2),
                Rail("VIN_SYS_5V0", {"emc": 1.0, "base": 0.6}, 5.0, 2),
            ),
        ),
        SensorChip(1, 0x41, (Rail("NC", {}), Rail("VDDQ_VDD2_1V8AO", {"emc": 0.8}, 5.0, 2), Rail("NC", {}))),
    )
    return BoardSpec(
        "jetson-agx-orin",
        release,
        "NVIDIA Jetson AGX Orin Developer Kit",
        ("nvidia,p3737-0000+p3701-0000", "nvidia,p3701-0000", "nvidia,tegra234"),
        "tegra234",
        35 if release.major < 35 else None,
        "tegra234-p3701-0000-p3737-0000",
        clusters,
        "EPERM",
        _GOVERNORS,
        gpu,
        (204 * M, 665_600_000, 2133 * M, 3199 * M),
        chips,
        512,
        _ORIN_ZONES,
        (
            _mode(0, "MAXN", range(12), None, None, None, 0, 729.6, every),
            _mode(1, "MODE_15W", range(4), 1113.6, 408, 2133, 248, 729.6, every),
            _mode(2, "MODE_30W", range(8), 1728, 612, None, 240, 729.6, every),
            _mode(3, "MODE_50W", range(12), 1497.6, 816, None, 0, 729.6, every),
        ),
        2,
        Electrics(22.0, 24.0, 6.0, 5.0, 2.0, 0.75, 70.0, 99.0),
        ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
        tpc=True,
    )


def _orin_nx(release: Release) -> BoardSpec:
    table = (*(115_200 + 76_800 * k for k in range(25)), 1_984_000)
    gpu = [306_000_000 + 102_000_000 * k for k in range(7)]
    if release.is_super:
        gpu += [1_020_000_000, 1_122_000_000, 1_173_000_000]
    clusters = (Cluster("CPU_A78_0", (0, 1, 2, 3), table), Cluster("CPU_A78_1", (4, 5, 6, 7), table))
    every = [c.name for c in clusters]
    fifteen = 1420.8 if release.is_super else 1651.2
    modes = [
        _mode(0, "MAXN_SUPER" if release.is_super else "MAXN", range(8), None, None, None, 240, 729.6, every),
        _mode(1, "10W", range(4), 1190.4, 612, 2133, 252, 729.6, every),
        _mode(2, "15W", range(4), fifteen, 612, None, 252, 729.6, every),
        _mode(3, "25W", range(8), 1497.6, 408, None, 240, 729.6, every),
    ]
    if release.is_super:
        modes.append(_mode(4, "40W", range(8), 1497.6, 1173, None, 240, 729.6, every))
    return BoardSpec(
        "jetson-orin-nx",
        release,
        "NVIDIA Jetson Orin NX Engineering Reference Developer Kit" + (" Super" if release.is_super else ""),
        ("nvidia,p3768-0000+p3767-0000", "nvidia,p3767-0000", "nvidia,tegra234"),
        "tegra234",
        None,
        "tegra234-p3768-0000+p3767-0000-nv",
        clusters,
        "EPERM",
        _GOVERNORS,
        tuple(gpu),
        (204 * M, 665_600_000, 2133 * M, 3199 * M),
        _ORIN_NX_CHIPS,
        512,
        _ORIN_ZONES,
        tuple(modes),
        4 if release.is_super else 2,
        Electrics(9.0, 13.0, 3.2, 2.4, 0.8, 1.9, 45.0, 99.0, oc_limit_w=24.0),
        ("VDD_IN",),
        tpc=True,
    )


def _orin_nano(release: Release) -> BoardSpec:
    table = _GRID[:22] if release.is_super else (*_GRID[:19], 1_510_400)
    top = 8 if release.is_super else 4
    gpu = [306_000_000 + 102_000_000 * k for k in range(top)] + ([] if release.is_super else [624_750_000])
    emc = [204 * M, 665_600_000, 2133 * M] + ([3199 * M] if release.is_super else [])
    clusters = (Cluster("CPU_A78_0", (0, 1, 2, 3), table), Cluster("CPU_A78_1", (4, 5), table))
    every = [c.name for c in clusters]
    modes: tuple[Mode, ...]
    if release.is_super:
        modes = (
            _mode(0, "15W", range(6), 1497.6, 612, 2133, 240, 729.6, every),
            _mode(1, "25W", range(6), 1344, 918, 3199, 240, 729.6, every),
            _mode(2, "MAXN_SUPER", range(6), None, None, None, 240, 729.6, every),
            _mode(3, "7W", range(4), 960, 408, 2133, 240, 729.6, every),
        )
    else:
        modes = (
            _mode(0, "15W", range(6), None, None, None, 240, 729.6, every),
            _mode(1, "7W", range(4), 960, 408, 2133, 252, 729.6, every),
        )
    electrics = (
        Electrics(7.0, 11.0, 3.0, 2.2, 0.7, 2.4, 40.0, 99.0, oc_limit_w=14.0)
        if release.is_super
        else Electrics(5.2, 6.0, 2.0, 2.0, 0.6, 2.8, 40.0, 99.0, oc_limit_w=13.0)
    )
    return BoardSpec(
        "jetson-orin-nano",
        release,
        "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit" + (" Super" if release.is_super else ""),
        ("nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"),
        "tegra234",
        None,
        "tegra234-p3768-0000+p3767-0005-nv" + ("-super" if release.is_super else ""),
        clusters,
        "EPERM",
        _GOVERNORS,
        tuple(gpu),
        tuple(emc),
        _ORIN_NX_CHIPS,
        512,
        _ORIN_ZONES,
        modes,
        1 if release.is_super else 0,
        electrics,
        ("VDD_IN",),
        tpc=True,
    )


def _agx_thor(release: Release) -> BoardSpec:
    """Return Thor. Only the ends of its level tables are known; the steps between are assumed."""
    table = (*(108_000 * k for k in range(3, 25)), 2_601_000)
    clusters = tuple(Cluster(f"CPU_{n}", (2 * n, 2 * n + 1), table, ("WFI", "c7")) for n in range(7))
    every = [c.name for c in clusters]
    chip = SensorChip(
        2,
        0x40,
        (
            Rail("VDD_GPU", {"gpu": 1.0}, 19.0, 2),
            Rail("VDD_CPU_SOC_MSS", {"cpu": 1.0, "base": 0.5}, 19.0, 2),
            Rail("VIN_SYS_5V0", {"emc": 1.0, "base": 0.5}, 5.0, 2),
        ),
    )
    zones = (
        ("tj-thermal", "tj"),
        ("cpu-thermal", "cpu"),
        ("gpu-thermal", "gpu-gated"),
        ("soc012-thermal", "soc"),
        ("soc345-thermal", "soc"),
    )
    return BoardSpec(
        "jetson-agx-thor",
        release,
        "NVIDIA Jetson AGX Thor Developer Kit",
        ("nvidia,p3971-0089+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"),
        "tegra264",
        None,
        "tegra264-p4071-0000+p3834-0008-nv",
        clusters,
        "EPERM",
        _GOVERNORS,
        tuple(315_000_000 + 63_000_000 * k for k in range(21)),
        (665_600_000, 2133 * M, 3200 * M, 4266 * M),
        (chip,),
        512,
        zones,
        (
            _mode(0, "MAXN", range(14), None, None, None, 64, 0, every),
            _mode(1, "120W", range(14), None, 1386, None, 64, 0, every),
            _mode(2, "90W", range(12), None, 1530, None, 15873, 0, every),
            _mode(3, "70W", range(12), 1998, 1530, None, 15873, 0, every),
        ),
        1,
        Electrics(40.0, 60.0, 12.0, 9.0, 3.0, 0.45, 80.0, 106.0, 114.5),
        ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),
        SensorChip(2, 0x44, (Rail("VIN", _INPUT, 19.0, 2, 4.0),)),
        tpc=True,
    )


_MAKERS = {
    "jetson-agx-thor": _agx_thor,
    "jetson-tx1": _tx1,
    "jetson-nano": _nano,
    "jetson-nano-2gb": _nano_2gb,
    "jetson-tx2": _tx2,
    "jetson-agx-xavier": _agx_xavier,
    "jetson-xavier-nx": _xavier_nx,
    "jetson-agx-orin": _agx_orin,
    "jetson-orin-nx": _orin_nx,
    "jetson-orin-nano": _orin_nano,
}
