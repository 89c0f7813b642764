"""The emulated board's options: a file that outlives the process, as a real board's sysfs does.

A killed tuner leaves the board as it was set, and `tuner restore` really puts it back. Standard library only.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

from tuner.errors import DeviceError, TunerError
from tuner.files import of_os_error, read_regular
from tuner.space import Configuration, Option, OptionValue
from tuner.strict_json import parse_json

_LIMIT_BYTES = 1 << 20


class EmulatedActuator:
    """Reads and writes the options of one emulated board (the port `Actuator`).

    Args:
        path: The state file; made with `boot` and a fresh boot id where there is none. Removing it is
            the emulated board's reboot.
        options: All numeric, levels ascending.
        boot: The configuration that the board boots into.
        cores_option: The option that has to rise first and fall last.

    Raises:
        DeviceError: the file is damaged. Anything that `tuner.files` raises: it cannot be read or written.
    """

    def __init__(self, path: Path, options: Sequence[Option], boot: Configuration, cores_option: str) -> None:
        self._path = path
        self._options = {option.name: option for option in options}
        self._cores_option = cores_option
        if not os.path.lexists(path):
            self._store(uuid.uuid4().hex, dict(boot))
        self._load()

    def read_option(self, name: str) -> OptionValue:
        """Return the option's value, read from the file itself."""
        self._option(name)
        return self._load()[1][name]

    def write_option(self, name: str, value: OptionValue) -> None:
        """Write one option; any number is rounded to the nearest level without an error, as boards do."""
        option = self._option(name)
        if isinstance(value, (bool, str)):
            raise DeviceError(
                f"The emulated board takes a number for '{name}', not {value!r}.", "Write one of its levels."
            )
        boot_id, values = self._load()
        values[name] = min(option.values, key=lambda level: abs(float(level) - float(value)))
        self._store(boot_id, values)

    def configuration(self) -> dict[str, OptionValue]:
        """Return all options' values now."""
        return self._load()[1]

    def order(self, current: Configuration, target: Configuration) -> Sequence[tuple[str, OptionValue]]:
        """Return the changes: cores come online before clocks change, and go offline after."""
        changed = {name: value for name, value in target.items() if current.get(name) != value}
        cores = [(name, value) for name, value in changed.items() if name == self._cores_option]
        clocks = [(name, value) for name, value in changed.items() if name != self._cores_option]
        rising = any(float(value) > float(current.get(name, value)) for name, value in cores)
        return cores + clocks if rising else clocks + cores

    def boot_id(self) -> str:
        """Return the id that the state file was made with."""
        return self._load()[0]

    def _option(self, name: str) -> Option:
        if name not in self._options:
            raise DeviceError(f"The emulated board has no option '{name}'.", f"It has {', '.join(self._options)}.")
        return self._options[name]

    def _load(self) -> tuple[str, dict[str, OptionValue]]:
        raw = read_regular(self._path, _LIMIT_BYTES)
        try:
            state = parse_json(raw)
            values = {name: state["options"][name] for name in self._options}
            for name, option in self._options.items():
                option.index(values[name])
            return str(state["boot_id"]), values
        except (ValueError, KeyError, TypeError, TunerError) as error:
            raise DeviceError(
                f"The emulated board's state file '{self._path}' is damaged.", "Delete it; the board then boots."
            ) from error

    def _store(self, boot_id: str, values: Configuration) -> None:
        # Atomic, but not synced: a power cut may cost the emulated board its state, as it would a real one.
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"boot_id": boot_id, "options": dict(values)}))
            os.replace(temporary, self._path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise of_os_error(error, f"The emulated board's state file '{self._path}' cannot be written") from error
