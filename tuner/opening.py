"""Opening devices, workloads and meters by their specification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner import paths, registry
from tuner.config.values import Settings
from tuner.errors import UnknownNameError
from tuner.files import require_folder
from tuner.ports import BoardSide, Device, DevicePlugin, NeverStop, OpenContext, StopToken, Workload
from tuner.rights import OWN, Rights


@dataclass(frozen=True)
class Opened:
    """An open device and why it was picked."""

    device: Device
    reason: str


def default_context(settings: Settings, stop: StopToken | None = None, rights: Rights = OWN) -> OpenContext:
    """Return the context that plugins are opened with.

    Raises:
        FileMissingError: the setting `sysroot` names no folder.
    """
    if settings.sysroot and not settings.board:  # else it is a folder of the board
        require_folder(Path(settings.sysroot))
    return OpenContext(settings, str(paths.state_path()), stop or NeverStop(), rights)


def open_device(spec: str, context: OpenContext) -> Opened:
    """Open the device that `spec` names; ``auto`` picks the board we are on, else the host.

    Raises:
        UnknownDeviceError: with the nearest names; anything that the plugin raises.
    """
    if spec == "auto":
        return _open_auto(context)
    name, argument = registry.split_spec(spec)
    return Opened(_plugin(name, spec).open(argument, context), f"--device {spec}")


def _plugin(name: str, spec: str) -> DevicePlugin:
    try:
        plugin: DevicePlugin = registry.create("devices", name)
    except UnknownNameError as error:
        raise type(error)(spec, device_names()) from error
    return plugin


def open_chosen(context: OpenContext) -> Opened:
    """Open the device that the settings name, on the board that they name.

    Raises:
        UnknownDeviceError: with the nearest names; anything that the plugin, or the connection, raises.
    """
    chosen = context.settings
    if chosen.board and is_elsewhere(chosen.board, chosen.device):
        return open_board(chosen.board, chosen.device, context)
    return open_device(chosen.device, context)


def is_elsewhere(address: str, spec: str) -> bool:
    """Return whether the actuator at `address` provides the device `spec`.

    A service's socket is a setting of this whole machine: devices that are no board (tables, emulated ones) are
    opened in this process regardless.

    Raises:
        UnknownDeviceError: there is no such device.
    """
    if not address.startswith("unix:") or spec == "auto":
        return True
    plugin = _plugin(registry.split_spec(spec)[0], spec)
    return isinstance(plugin, BoardSide) and plugin.board_side


def open_board(address: str, spec: str, context: OpenContext) -> Opened:
    """Open the device `spec` on the board at `address`, another machine.

    Raises:
        TunerError: as `tuner.remote.client.open_board`.
    """
    from tuner.remote import client  # only sessions with a board elsewhere need it

    device = client.open_board(address, spec, context)
    return Opened(device, device.reason)


def _open_auto(context: OpenContext) -> Opened:
    fallback: DevicePlugin | None = None
    for name in registry.names("devices"):
        plugin: DevicePlugin = registry.create("devices", name)
        reason = plugin.detect(context)
        if reason is not None:
            return Opened(plugin.open(None, context), f"auto: {reason}")
        if plugin.is_fallback:
            fallback = plugin
    if fallback is None:
        raise UnknownNameError("auto", device_names())
    return Opened(fallback.open(None, context), "auto: this machine is no known board, so it is tuned as a host")


def device_names() -> Sequence[str]:
    """Return ``auto`` and every ``name`` or ``name:argument`` that `--device` takes."""
    listed = ["auto"]
    for name in registry.names("devices"):
        boards = registry.create("devices", name).boards()
        listed.extend(f"{name}:{board}" for board in boards)
        if not boards:
            listed.append(name)
    return listed


def open_workload(spec: str | None, context: OpenContext) -> Workload:
    """Return the workload that `spec` names, else the reference network, for a device without workloads of its own.

    Raises:
        UnknownWorkloadError: with the nearest names.
    """
    name, argument = registry.split_spec(spec or "reference")
    workload: Workload = registry.create("workloads", name).open(argument, context)
    return workload
