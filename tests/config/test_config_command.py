from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tuner.cli.config import command
from tuner.cli.options import effective, start_options
from tuner.config.settings import SETTINGS


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNER_SYSTEM_CONFIG_DIR", str(tmp_path / "none"))
    Path("tuner.toml").write_text("seed = 7\n")


def test_show_says_where_each_value_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_BUDGET", "30m")
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(command, ["show"])
    assert result.exit_code == 0
    rows = {line.split()[0]: line for line in result.output.splitlines() if line}
    assert rows["seed"].rstrip().endswith(str(Path("tuner.toml").resolve()) + ":1")
    assert "TUNER_BUDGET" in rows["budget"]
    assert "default" in rows["objective"]
    assert "transfer" in rows["strategy"]


def test_show_json() -> None:
    result = CliRunner().invoke(command, ["show", "--json"])
    shown = json.loads(result.output)
    assert list(shown) == [s.key for s in SETTINGS]
    assert shown["seed"]["value"] == 7
    assert shown["seed"]["origin"].endswith("tuner.toml:1")
    assert shown["objective"] == {"value": "energy", "origin": "default"}


def test_every_setting_is_a_flag_and_flags_come_last() -> None:
    seen: dict[str, object] = {}

    @click.command()
    @start_options()
    def start(**params: object) -> None:
        seen.update(vars(effective(params)))

    result = CliRunner().invoke(
        start, ["--seed", "9", "--source", "a", "--source", "b", "--precision", "5%"], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert seen["seed"] == 9
    assert seen["source"] == ("a", "b")
    assert seen["precision"] == pytest.approx(0.05)
    text = CliRunner().invoke(start, ["--help"]).output
    for setting in SETTINGS:
        assert setting.flag in text
