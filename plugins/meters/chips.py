"""What the power sensors of hwmon measure, by the name of their chip. Python 3.8 and its standard library.

Sources: the drivers' pages in Documentation/hwmon of Linux; drivers/power/supply/power_supply_hwmon.c for batteries.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: Pattern of a chip's name, how much of the machine it measures (`tuner.ports.meter.SCOPES`), what it is. The first
#: that matches counts.
_CHIPS: Sequence[tuple[str, str, str]] = (
    (r"power_meter.*", "machine", "the ACPI power meter of the whole machine"),
    (r"occ|ibmpowernv|ibm[-_]cffps\d?|corsairpsu|.*psu.*|dps\d+\w*", "machine", "a power supply or system sensor"),
    (r"smpro(_hwmon)?|xgene\w*|fam15h_power|zenpower|amd_energy", "package", "a processor's sensor"),
    (r"amdgpu|radeon|nouveau|i915|xe|nvidia\w*", "gpu", "a graphics card"),
    (r"(bat|cmb)\w?\d*|.*battery.*|sbs-.*|bq\d+.*|max17\d+.*", "battery", "a battery"),
    (r"ina\d*\w*|ltc\d+\w*|lm25066|max16\w*|pmbus|adm1\d+\w*|tps\d+\w*|isl\d+\w*|ir3\w*|mp\d+\w*", "board", "a rail"),
    (r"scmi_sensors|scpi_sensors", "board", "a rail that the firmware reports"),
    (
        r"nic.*|en[ops]\w*|eth\d*.*|mlx\w*|bnxt\w*|ixgbe\w*|i40e\w*|ice|igb\w*|be2net|cxgb\w*|nfp\w*|sfp\w*|.*phy.*|"
        r"tg3|qede?|aquantia|atlantic|iwlwifi.*|ath\d+.*|mt7\w+.*",
        "component",
        "a network card",
    ),
    (r"nvme.*|drivetemp|scsi.*", "component", "a disk"),
    (
        r"ac\d*|acad|adp\d*|ucsi_source_psy.*|usb.*|.*charger.*|hidpp_battery.*|wacom.*",
        "component",
        "a charger or port",
    ),
)
#: Labels of a channel that is a chip's total.
_TOTAL = re.compile(r"total|system|sys|input|pin\d*|vin|chassis|ppt|vdd_in", re.IGNORECASE)
#: More than any of that kind draws, in W.
BOUNDS_W = {
    "machine": 20_000.0,
    "platform": 2000.0,
    "package": 1000.0,
    "board": 2000.0,
    "battery": 500.0,
    "gpu": 2000.0,
    "component": 500.0,
}
#: What drivers and firmware show for "no value".
ERROR_VALUES = frozenset(scale * raw for raw in (0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFE) for scale in (1, 1000, 1_000_000))


@dataclass(frozen=True)
class PowerFile:
    """One power channel.

    Attributes:
        folder: Its hwmon directory.
        chip: The chip's name.
        channel: ``power1``.
        kind: ``input``, or ``average`` over `averaging_s`.
        label: Its label, ``""`` without one.
        averaging_s: Time that each value is the mean over; 0 where that is not said.
        update_s: Time between new values; 0 where that is not said.
    """

    folder: str
    chip: str
    channel: str
    kind: str
    label: str = ""
    averaging_s: float = 0.0
    update_s: float = 0.0

    @property
    def path(self) -> str:
        """The file with the value in uW."""
        return f"{self.folder}/{self.channel}_{self.kind}"

    @property
    def device(self) -> str:
        """``hwmon3``, which another boot may number otherwise."""
        return self.folder.rpartition("/")[2]

    @property
    def number(self) -> tuple[int, int]:
        """The numbers of device and channel, to sort by."""
        return number_in(self.device), number_in(self.channel)

    @property
    def names(self) -> tuple[str, ...]:
        """What a user may call it, the clearest first."""
        plain = (f"{self.chip}/{self.channel}", self.chip, f"{self.device}/{self.channel}", self.device)
        return plain if not self.label else (*plain, f"{self.chip}/{self.label}", self.label)

    def scope(self) -> str:
        """Return how much of the machine it measures; an unknown chip counts as a board's rail."""
        return _known(self.chip)[0]

    def meaning(self) -> str:
        """Return what it is, for people."""
        return _known(self.chip)[1]

    def rank(self, scopes: Sequence[str]) -> tuple[int, bool, bool, tuple[int, int]]:
        """Return a key that sorts what measures most of the machine first."""
        return scopes.index(self.scope()), not is_known(self.chip), not _TOTAL.search(self.label), self.number


def number_in(name: str) -> int:
    """Return the number at a name's end, so that hwmon10 comes after hwmon9."""
    digits = re.search(r"\d+$", name)
    return int(digits.group()) if digits else -1


def is_known(chip: str) -> bool:
    """Return whether the table says what a chip measures."""
    return any(re.fullmatch(pattern, chip, re.IGNORECASE) for pattern, _, _ in _CHIPS)


def _known(chip: str) -> tuple[str, str]:
    for pattern, scope, meaning in _CHIPS:
        if re.fullmatch(pattern, chip, re.IGNORECASE):
            return scope, meaning
    return "board", "a sensor of which it is not known what it measures"
