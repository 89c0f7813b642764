"""What goes into the Debian package, as far as it shows without building one."""

from __future__ import annotations

import re
import subprocess
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tuner.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ROOT / "systemd/package/files"
UNITS = {p.name for p in [*(ROOT / "systemd").glob("*.service"), *(ROOT / "systemd").glob("*.socket")]}


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "systemd/package"))
    return import_module("texts")


@pytest.fixture
def wheels(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "systemd/package"))
    return import_module("wheels")


def test_the_manual_page_has_every_command(texts: ModuleType) -> None:
    page = texts.man_page()
    for command in COMMANDS:
        assert rf"\fBtuner {command}" in page
    assert r"\-\-objective NAME" in page
    assert not re.search(r"^['.](?!(TH|SH|SS|TP)\b)", page, re.MULTILINE)  # no text that roff takes for a request


def test_there_are_completions_for_three_shells(texts: ModuleType) -> None:
    made = texts.completions()
    assert {path.split("/")[0] for path in made} == {"bash-completion", "zsh", "fish"}
    assert all("_TUNER_COMPLETE" in text for text in made.values())


def test_versions_are_the_targets_not_ours(wheels: ModuleType) -> None:
    pins = {
        python: wheels.pins(ROOT / "constraints.txt", wheels.Target("aarch64", python)) for python in ("3.10", "3.11")
    }
    assert pins["3.10"]["numpy"] != pins["3.11"]["numpy"]
    assert "tomli" in pins["3.10"]
    assert "tomli" not in pins["3.11"]


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm", "tuner"])
def test_scripts_are_shell_and_name_units_that_exist(script: str) -> None:
    subprocess.run(["sh", "-n", str(FILES / script)], check=True)
    for unit in re.findall(r"tuner[\w-]*@?\*?\.(?:service|socket)", (FILES / script).read_text()):
        assert unit.replace("*", "") in UNITS


def test_units_and_settings_agree_on_the_sockets() -> None:
    actuator = re.search(r"^ListenStream=(.*)$", (ROOT / "systemd/tuner-actuator.socket").read_text(), re.MULTILINE)
    workload = re.search(r"^ListenStream=(.*)$", (ROOT / "systemd/tuner-workload.socket").read_text(), re.MULTILINE)
    assert actuator
    assert workload
    assert f'board = "unix:{actuator[1]}"' in (FILES / "tuner.toml").read_text()
    assert f"TUNER_WORKLOAD_SOCKET={workload[1]}\n" in (ROOT / "systemd/tuner.service").read_text()
