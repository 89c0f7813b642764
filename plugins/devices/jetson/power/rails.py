"""Power rails: the INA3221 and INA238 monitors of a board, found by driver name and rail label.

Two layouts: NVIDIA's iio driver (L4T R28 to R32: a power file in mW) and mainline's hwmon driver (from R34 on:
mV and mA only, for an INA3221; an INA238 has a power file in uW). hwmon and iio numbers differ by boot.
Sources: Documentation/hwmon/ina3221.rst and ina238.rst of Linux, NVIDIA's ina3221.c (L4T R28, R32).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..files import Files, number_of, text_of

_HWMON = "/sys/class/hwmon"
#: The same chips under several names, depending on release; the first that finds any is taken.
_IIO_PATTERNS = (
    "/sys/bus/iio/devices/iio:device*/rail_name_*",
    "/sys/bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_*",
    "/sys/bus/i2c/drivers/ina3221x/*/iio_device/rail_name_*",
)
_HWMON_DRIVERS = ("ina3221", "ina238")
_CHANNELS = 3
_LABEL = re.compile(r"/in(\d+)_label$")
#: A channel that is not connected.
_NOT_CONNECTED = "NC"
#: Bits 14 to 12 of an INA3221's configuration enable channels; N of the running average and the conversion
#: times by their fields (datasheet SBOS576, table 6 onward).
_AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)
_CONVERSION_US = (140, 204, 332, 588, 1100, 2116, 4156, 8244)


@dataclass(frozen=True)
class Rail:
    """One channel of a monitor.

    Attributes:
        label: The board's name for it.
        factors: Files whose values are multiplied: one of power, or voltage and current.
        unit_w: Watts per unit of that product.
    """

    label: str
    factors: tuple[str, ...]
    unit_w: float


@dataclass(frozen=True)
class Timing:
    """How fast a chip follows power.

    Attributes:
        update_s: Between two values of its registers.
        averaging_s: For how long a value is averaged: the time constant of an INA3221's running average, the
            length of an INA238's blocks.
        lag_s: By how much the average trails behind power, its updates left out.
        window_updates: A window of so many updates is trusted. Where within a block power jumps is unknown;
            a running average has no such edges.
        known: Whether the chip's files state it; else it is what the driver does by default.
        text: Where that comes from, for people.
    """

    update_s: float
    averaging_s: float
    lag_s: float
    window_updates: int
    known: bool
    text: str


@dataclass(frozen=True)
class Chip:
    """One power monitor.

    Attributes:
        driver: ``ina3221``, ``ina3221x`` or ``ina238``.
        folder: Its hwmon or iio directory.
        rails: Its connected and enabled channels.
        disabled: Labels of the channels that are switched off.
        timing: From its files.
    """

    driver: str
    folder: str
    rails: tuple[Rail, ...]
    disabled: tuple[str, ...]
    timing: Timing


def find_chips(files: Files) -> tuple[Chip, ...]:
    """Return the power monitors of a board, in the order of their directories."""
    return (*_hwmon_chips(files), *_iio_chips(files))


def running_average(cycle_s: float, samples: int, known: bool, text: str) -> Timing:
    """Return the timing of an INA3221: each cycle, old + (new - old) / samples."""
    window_s = cycle_s * samples
    return Timing(update_s=cycle_s, averaging_s=window_s, lag_s=window_s, window_updates=10, known=known, text=text)


def block_average(block_s: float, known: bool, text: str) -> Timing:
    """Return the timing of an INA238: the mean of each block, shown until the next is complete."""
    return Timing(update_s=block_s, averaging_s=block_s, lag_s=block_s / 2, window_updates=200, known=known, text=text)


#: What drivers do where no file says it: R35's `nvpower.sh`; the shortest conversions of NVIDIA's driver
#: with its 64 averages; mainline's INA238_ADC_CONFIG_DEFAULT (bus, shunt and temperature of 1052 us, 16 times).
HWMON_DEFAULT = running_average(6 * 140e-6, 512, False, "assumed, NVIDIA's setting at boot")
IIO_DEFAULT = running_average(6 * 140e-6, 64, False, "assumed, 64 conversions of 140 us")
INA238_DEFAULT = block_average(3 * 1052e-6 * 16, False, "assumed, the driver's default")


def _hwmon_chips(files: Files) -> Sequence[Chip]:
    chips = []
    for path in files.glob(f"{_HWMON}/hwmon*/name"):
        driver, folder = text_of(files, path), path.rpartition("/")[0]
        if driver not in _HWMON_DRIVERS:
            continue
        rails, disabled = [], []
        for label_path in files.glob(f"{folder}/in*_label"):
            match, label = _LABEL.search(label_path), text_of(files, label_path)
            if match is None or int(match[1]) > _CHANNELS or label in ("", _NOT_CONNECTED):
                continue
            if text_of(files, f"{folder}/in{match[1]}_enable") == "0":
                disabled.append(label)
            else:
                rails.append(_hwmon_rail(files, folder, int(match[1]), label))
        chips.append(Chip(driver, folder, tuple(rails), tuple(disabled), _hwmon_timing(files, driver, folder)))
    return chips


def _hwmon_rail(files: Files, folder: str, number: int, label: str) -> Rail:
    power = f"{folder}/power{number}_input"
    if files.exists(power):
        return Rail(label, (power,), 1e-6)
    return Rail(label, (f"{folder}/in{number}_input", f"{folder}/curr{number}_input"), 1e-6)


def _hwmon_timing(files: Files, driver: str, folder: str) -> Timing:
    """Return what `samples` and `update_interval` (ms, of all samples together) say."""
    if driver == "ina238":
        return INA238_DEFAULT
    samples, interval_ms = number_of(files, f"{folder}/samples"), number_of(files, f"{folder}/update_interval")
    if not samples or not interval_ms:
        return HWMON_DEFAULT
    return running_average(interval_ms / 1000 / samples, samples, True, "by samples and update_interval")


def _iio_chips(files: Files) -> Sequence[Chip]:
    labels: Mapping[str, list[str]] = {}
    for pattern in _IIO_PATTERNS:
        labels = _by_folder(files.glob(pattern))
        if labels:
            break
    chips = []
    for folder, paths in labels.items():
        found = {path.rpartition("_")[2]: text_of(files, path) for path in paths}
        rails = tuple(
            Rail(label, (f"{folder}/in_power{number}_input",), 1e-3)
            for number, label in found.items()
            if label not in ("", _NOT_CONNECTED) and files.exists(f"{folder}/in_power{number}_input")
        )
        chips.append(Chip("ina3221x", folder, rails, (), _iio_timing(files, folder)))
    return chips


def _iio_timing(files: Files, folder: str) -> Timing:
    """Return what the device tree tells the driver to configure, where the kernel shows it."""
    for node in (f"{folder}/of_node", f"{folder}/../of_node"):
        try:
            raw = files.read_text(f"{node}/ti,continuous-config").encode()
        except (OSError, UnicodeError):
            continue
        if len(raw) == 4:
            return decode_configuration(int.from_bytes(raw, "big"))
    return IIO_DEFAULT


def decode_configuration(register: int) -> Timing:
    """Return the timing that an INA3221's configuration register sets."""
    channels = bin(register >> 12 & 7).count("1") or _CHANNELS
    conversions_us = _CONVERSION_US[register >> 6 & 7] + _CONVERSION_US[register >> 3 & 7]
    return running_average(channels * conversions_us * 1e-6, _AVERAGES[register >> 9 & 7], True, "by the device tree")


def _by_folder(paths: Sequence[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(path.rpartition("/")[0], []).append(path)
    return found
