"""Identify a Jetson by device tree, chip id and L4T release, and find its hardware file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tuner.boards.hardware import GENERIC, Hardware, hardware_names, load_hardware

from .files import Files, text_of

_TREES = ("/proc/device-tree", "/sys/firmware/devicetree/base")
_CHIP_ID = "/sys/module/tegra_fuse/parameters/tegra_chip_id"
_CHIPS = {"33": "tegra210", "24": "tegra186", "25": "tegra194", "35": "tegra234"}
_RELEASE = re.compile(r"R(\d+).*?REVISION:\s*(\d+(?:\.\d+)*)")
_MODULE = re.compile(r"p\d{4}-\d{4}")


@dataclass(frozen=True)
class Identity:
    """What a board's files state about it.

    Attributes:
        model: Text of the device tree.
        compatible: Its list, most specific first.
        soc: ``tegra234``; ``""`` where it is unknown.
        modules: Module ids named anywhere (``p3767-0005``).
        release: L4T major, None where unknown.
        l4t: ``36.4.3``, ``""`` where unknown.
    """

    model: str
    compatible: tuple[str, ...]
    soc: str
    modules: tuple[str, ...]
    release: int | None
    l4t: str

    @property
    def sentence(self) -> str:
        """The identity for people."""
        l4t = f", L4T {self.l4t}" if self.l4t else ", L4T release unknown"
        return f"device tree says '{self.model or self.soc}' ({self.soc or 'unknown SoC'}{l4t})"


def identify(files: Files) -> Identity | None:
    """Return the identity of the Tegra board whose files these are, None where it is none."""
    model = _first(files, "model")
    compatible = tuple(filter(None, _first(files, "compatible").split("\0")))
    chip = text_of(files, _CHIP_ID)
    socs = [c.partition(",")[2] for c in compatible if re.fullmatch(r"nvidia,tegra\d+", c)]
    soc = socs[-1] if socs else _CHIPS.get(chip, "")
    if not soc:
        return None
    named = " ".join([*compatible, _first(files, "nvidia,dtsfilename"), _boardids(files)])
    modules = tuple(dict.fromkeys(_MODULE.findall(named)))
    release, l4t = _release(files)
    return Identity(model=model, compatible=compatible, soc=soc, modules=modules, release=release, l4t=l4t)


def hardware_of(identity: Identity) -> Hardware:
    """Return the hardware file of a board: by module, by model text, by SoC; else the generic one.

    Raises:
        TunerError: a shipped file is broken.
    """
    known = [load_hardware(name) for name in hardware_names() if name != GENERIC]
    modules, compatible = set(identity.modules), set(identity.compatible)
    matches = (
        [h for h in known if modules & set(h.compatible)],
        [h for h in known if any(text in identity.model for text in h.models)],
        [h for h in known if compatible & set(h.compatible)],
    )
    for found in filter(None, matches):
        # Of several texts in a model's name the longest is the most specific.
        return max(found, key=lambda h: max((len(t) for t in h.models if t in identity.model), default=0))
    return load_hardware(GENERIC)


def _release(files: Files) -> tuple[int | None, str]:
    match = _RELEASE.search(text_of(files, "/etc/nv_tegra_release"))
    return (int(match[1]), f"{match[1]}.{match[2]}") if match else (None, "")


def _boardids(files: Files) -> str:
    text = _first(files, "nvidia,boardids")
    return " ".join("p" + part.replace(":", "-") for part in text.split("\0") if part)


def _first(files: Files, name: str) -> str:
    return next(filter(None, (text_of(files, f"{tree}/{name}") for tree in _TREES)), "")
