"""What both ends must agree on: errors, models, operations."""

from __future__ import annotations

import inspect
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vocabulary.test_error_codec import KINDS, made
from tuner.config.settings import SETTINGS
from tuner.daemon.access import Policy
from tuner.daemon.app import Service, create_app
from tuner.daemon.client import DaemonClient
from tuner.daemon.files import SessionFiles
from tuner.daemon.http_status import status_of
from tuner.daemon.models import ErrorBody
from tuner.daemon.profile_store import ProfileStore
from tuner.daemon.settings import effective, parse_settings, with_own
from tuner.daemon.supervisor import Supervisor
from tuner.daemon.tasks import Tasks
from tuner.error_codec import error_from_json
from tuner.errors import TunerError, UnknownProfileError, UnknownSettingError, UsageError


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_arrives_as_the_error_that_it_was(kind: type[TunerError]) -> None:
    error = made(kind, "What is wrong.", "What to do.")
    arrived = error_from_json(ErrorBody.of(error).model_dump())
    assert type(arrived) is kind
    assert (str(arrived), arrived.exit_code) == ("What is wrong. What to do.", error.exit_code)
    assert 400 <= status_of(error) < 600


def test_the_client_has_every_operation_of_the_openapi_document(tmp_path: Path) -> None:
    service = Service(
        supervisor=Supervisor(SessionFiles(tmp_path), "auto"),
        profiles=ProfileStore(tmp_path),
        tasks=Tasks(),
        policy=Policy(None, 0, frozenset()),
        device="auto",
        started_s=time.monotonic(),
    )
    document = create_app(service).openapi()
    operations = {
        operation["summary"].lower().replace(" ", "_"): operation
        for verbs in document["paths"].values()
        for operation in verbs.values()
    }
    methods = {name for name, f in inspect.getmembers(DaemonClient, inspect.isfunction) if not name.startswith("_")}
    assert methods - {"follow_session"} == set(operations)
    for name, operation in operations.items():
        taken = set(inspect.signature(getattr(DaemonClient, name)).parameters) - {
            "self",
            "request",
            "idle",
        }  # the last is called here
        assert taken == {p["name"] for p in operation.get("parameters", [])}, name
        assert {"4XX", "422"} <= set(operation["responses"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
setting_keys = st.sampled_from([s.key for s in SETTINGS])


@given(st.dictionaries(setting_keys | st.text(max_size=10), json_values, max_size=4))
def test_settings_are_taken_whole_or_refused_with_a_typed_error(given_: dict[str, Any]) -> None:
    try:
        parsed = parse_settings(given_)
    except (UsageError, UnknownSettingError):
        return
    assert set(parsed) == set(given_)
    assert parse_settings(parsed) == parsed
    found = effective(parsed, "s")
    assert found.study == "s"


@pytest.mark.parametrize("key", ["output", "storage", "socket", "group", "root_only_workloads", "token_file"])
def test_nobody_says_over_the_socket_where_the_daemon_writes(key: str) -> None:
    with pytest.raises((UsageError, UnknownSettingError)):
        parse_settings({key: "/etc/passwd"})


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "a/b", "../x", "a\0b", "x" * 300, "é" * 200])
def test_a_profile_is_one_folders(tmp_path: Path, name: str) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "best.toml").touch()
    (tmp_path / "best.toml").touch()
    store = ProfileStore(tmp_path)
    assert store.names() == ["good"]
    with pytest.raises(UnknownProfileError, match="profile"):
        store.path(name)


def test_the_daemons_own_process_loads_nothing_heavy() -> None:
    code = "import sys, tuner.daemon.server; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    packages = {name.partition(".")[0] for name in loaded.splitlines()}
    assert "fastapi" in packages
    assert not packages & {"optuna", "numpy", "sklearn", "scipy", "pandas", "rich", "httpx", "tuner_plugins"}


@pytest.mark.parametrize("argument", [["--help"], ["start", "--help"]])
def test_help_loads_nothing_of_the_daemon(argument: list[str]) -> None:
    code = "import sys; from tuner.cli.main import run; run(sys.argv[1:], False); print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code, *argument], capture_output=True, text=True, check=True)
    packages = {name.partition(".")[0] for name in done.stdout.splitlines()}
    assert "click" in packages
    assert not packages & {"optuna", "numpy", "fastapi", "pydantic", "httpx", "uvicorn", "rich"}


@pytest.mark.parametrize("address", ["exec:", "exec:sh -c id", "ssh://elsewhere", "unix:/run/other.sock"])
@pytest.mark.parametrize("own", [None, "unix:/run/tuner-actuator.sock"])
def test_a_session_cannot_name_another_board(address: str, own: str | None) -> None:
    with pytest.raises(UsageError, match="daemon's own board"):
        with_own(parse_settings({"board": address}), {"board": own})


def test_a_sessions_board_is_the_daemons() -> None:
    own = "unix:/run/tuner-actuator.sock"
    for request in ({}, {"board": own}):
        assert with_own(parse_settings(request), {"board": own})["board"] == own
    assert "board" not in with_own(parse_settings({}), {"board": None})
