"""The power mode that nvpmodel has set, and the board's own nvpmodel.conf. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from .files import Files, text_of
from .layout import Layout
from .nvpmodel.conf import active_id, parse

CONF = "/etc/nvpmodel.conf"
STATUS = "/var/lib/nvpmodel/status"


@dataclass(frozen=True)
class ActiveMode:
    """The power mode in nvpmodel's status file. In a container that file can name a mode that was never set."""

    ident: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (id {self.ident})" if self.name else f"id {self.ident}"


def active_mode(files: Files) -> ActiveMode | None:
    """Return the mode that nvpmodel set last; None where it has set none yet, or is not there."""
    ident = active_id(text_of(files, STATUS))
    if ident is None:
        return None
    mode = parse(conf_text(files)).by_id(ident)
    return ActiveMode(ident, mode.name if mode else "")


def conf_text(files: Files) -> str:
    """Return the board's own nvpmodel.conf, ``""`` where it has none."""
    return text_of(files, CONF)


def tpc_mask(files: Files, layout: Layout) -> str:
    """Return which texture processing clusters are off (a bit mask), ``""`` where there is no such file."""
    text = text_of(files, f"{layout.gpu.folder}/device/tpc_pg_mask") if layout.gpu else ""
    return text if text.isdigit() else ""
