from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from tuner.config.load import config_files, load
from tuner.config.settings import BY_KEY, SETTINGS, given
from tuner.config.values import Settings
from tuner.errors import FileMissingError, MalformedFileError, UnknownSettingError, UsageError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("system", "user", "cwd"):
        (tmp_path / name).mkdir()
    return tmp_path


def _load(home: Path, flags: dict[str, object] | None = None, **environ: str) -> Settings:
    places = {"TUNER_SYSTEM_CONFIG_DIR": str(home / "system"), "TUNER_CONFIG_DIR": str(home / "user")}
    return load(flags or {}, {**places, **environ}, home / "cwd")


def test_defaults(home: Path) -> None:
    settings = _load(home)
    assert settings.objective == "energy"
    assert settings.device == "auto"
    assert settings.precision == 0.02
    assert settings.timeout == 60.0
    assert settings.source == ()
    assert settings.strategy == "transfer"
    assert {settings.origin(key) for key in BY_KEY} == {"default"}


def test_each_layer_covers_the_one_before(home: Path) -> None:
    keys = ("seed", "max_repeats", "warmup_runs", "inferences_per_run", "budget")
    for name, count in (("system", 5), ("user", 4), ("cwd", 3)):
        number = {"system": 11, "user": 12, "cwd": 13}[name]
        lines = "".join(f"{key} = {number}\n" for key in keys[:count])
        (home / name / "tuner.toml").write_text(f"# {name}\n{lines}")
    settings = _load(home, {"seed": "15"}, TUNER_SEED="14", TUNER_MAX_REPEATS="14")
    assert [getattr(settings, key) for key in keys] == [15, 14, 13, 12, "11"]
    assert [settings.origin(key) for key in keys] == [
        "--seed",
        "TUNER_MAX_REPEATS",
        f"{home / 'cwd' / 'tuner.toml'}:4",
        f"{home / 'user' / 'tuner.toml'}:5",
        f"{home / 'system' / 'tuner.toml'}:6",
    ]


def test_flags_that_were_not_given_cover_nothing(home: Path) -> None:
    flags = {s.key: () if s.multiple else None for s in SETTINGS}
    settings = _load(home, {**flags, "other": 1}, TUNER_SOURCE="a.csv; ;b.csv")
    assert settings.source == ("a.csv", "b.csv")
    assert settings.origin("source") == "TUNER_SOURCE"
    assert not hasattr(settings, "other")


def test_variables_that_are_no_settings_are_left_alone(home: Path) -> None:
    settings = _load(home, TUNER_DATA_DIR="/x", TUNER_STATE_DIR="/x", TUNER_SYSROOT="/x", TUNER_BUDGET="")
    assert settings.budget == "40"


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        ("precision", "2%", 0.02),
        ("precision", "0.05", 0.05),
        ("timeout", "2m", 120.0),
        ("timeout", "90", 90.0),
        ("budget", "2.44%", "2.44%"),
        ("seed", "0", 0),
        ("constraint", "latency<=0.1;power<=5", ("latency<=0.1", "power<=5")),
        ("command_output", "metrics", "metrics"),
    ],
)
def test_texts(home: Path, key: str, raw: str, value: object) -> None:
    settings = _load(home, None, **{f"TUNER_{key.upper()}": raw})
    assert getattr(settings, key) == value


def test_what_was_given_is_known_also_where_it_is_the_default(home: Path) -> None:
    (home / "user" / "tuner.toml").write_text('objective = "energy"\nsocket = "/x"\n')
    settings = _load(home, {"device": "auto", "study": None}, TUNER_BUDGET="40", TUNER_SEED="7")
    assert given(settings) == {"objective": "energy", "device": "auto", "budget": "40", "seed": 7}
    assert given(settings, "client") == {"socket": "/x"}


def test_toml_types(home: Path) -> None:
    (home / "cwd" / "tuner.toml").write_text(
        'precision = 0.1\ntimeout = 1.5\nbudget = 7\nsource = "one"\nconstraint = ["a<=1", "b<=2"]\n'
    )
    settings = _load(home)
    assert [getattr(settings, k) for k in ("precision", "timeout", "budget", "source", "constraint")] == [
        0.1,
        1.5,
        "7",
        ("one",),
        ("a<=1", "b<=2"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "seed = -1",
        "seed = 1.5",
        'seed = "x"',
        "seed = true",
        "max_repeats = 0",
        "precision = 2",
        "precision = nan",
        'precision = "x%"',
        'timeout = "soon"',
        "timeout = true",
        "timeout = -1",
        "objective = 1",
        'objective = ""',
        "objective = ['energy']",
        "source = [1]",
        "budget = true",
        'command_output = "noise"',
        "source = { a = 1 }",
        "study = 2020-01-01",
    ],
)
def test_a_wrong_value_in_a_file_is_named_with_its_place(home: Path, line: str) -> None:
    path = home / "user" / "tuner.toml"
    path.write_text(f"warmup_runs = 1\n  {line}\n")
    with pytest.raises(MalformedFileError) as caught:
        _load(home)
    assert caught.value.what.startswith(f"{path}:2:3: '{line.split()[0]}'")
    assert caught.value.hint


def test_an_unknown_key_in_a_file(home: Path) -> None:
    path = home / "cwd" / "tuner.toml"
    path.write_text("objectiv = 'energy'\n")
    with pytest.raises(UnknownSettingError) as caught:
        _load(home)
    assert "'objectiv'" in caught.value.what
    assert "Did you mean objective" in caught.value.hint
    assert f"{path}:1:1" in caught.value.hint


def test_a_file_that_is_no_toml(home: Path) -> None:
    path = home / "system" / "tuner.toml"
    path.write_text("seed = \n")
    with pytest.raises(MalformedFileError, match=r"line 1, column 8"):
        _load(home)


def test_a_folder_in_a_files_place(home: Path) -> None:
    (home / "cwd" / "tuner.toml").mkdir()
    with pytest.raises(FileMissingError, match="is a folder"):
        _load(home)


@pytest.mark.parametrize("raw", ["-1", "many", "1.0"])
def test_a_wrong_flag_or_variable_is_named(home: Path, raw: str) -> None:
    with pytest.raises(UsageError, match=f"--seed: '{raw}'"):
        _load(home, {"seed": raw})
    with pytest.raises(UsageError, match=f"TUNER_SEED: '{raw}'"):
        _load(home, TUNER_SEED=raw)


def test_where_files_are_looked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    system, user, here = config_files({}, home / "cwd")
    assert system == Path("/etc/tuner/tuner.toml")
    assert user.name == here.name == "tuner.toml"
    if os.name == "posix" and "XDG_CONFIG_HOME" in os.environ:
        assert user.parent.name == "tuner"


def test_the_table_itself() -> None:
    for setting in SETTINGS:
        assert setting.flag == "--" + setting.key.replace("_", "-")
        assert (setting.default is None) == bool(setting.unset)
        assert setting.multiple == isinstance(setting.default, tuple)
        if setting.default is not None:
            assert setting.parse(setting.default) == setting.default
    fields = [f.name for f in dataclasses.fields(Settings) if f.name not in ("origins", "ignored")]
    assert fields == [s.key for s in SETTINGS]
