"""What goes to a board: our own modules only, the standard library only, Python 3.8 at least."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote.conftest import Machine, oldest_python
from tests.remote.sshd import dirty, why_no_fuse
from tuner.errors import MeasurementError
from tuner.remote import bundle
from tuner.remote.connection import Connection
from tuner.remote.transport import end, parse_address
from tuner_emulator.mounted import mounted

#: What Python 3.8 does not have, of what one reaches for.
_NEWER = frozenset(
    {
        "removesuffix",
        "removeprefix",
        "pairwise",
        "batched",
        "cache",
        "slots",
        "kw_only",
        "bit_count",
        "TypeAlias",
        "ParamSpec",
        "Self",
        "StrEnum",
        "to_thread",
        "randbytes",
        "file_digest",
        "aclosing",
    }
)
_OWN = ("tuner", "tuner_plugins", "tuner_profiles")


@pytest.fixture(scope="module")
def sources(archive: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        return {n: packed.read(n).decode() for n in packed.namelist() if n.endswith(".py")}


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run: no annotations (they stay text), nothing for type checkers only."""
    for name, value in ast.iter_fields(tree):
        if name in {"annotation", "returns"}:
            continue
        for node in value if isinstance(value, list) else [value]:
            if not isinstance(node, ast.AST):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            yield node
            yield from executed(node)


def too_new(source: str) -> list[str]:
    """Return what of a source Python 3.8 would choke on; empty where nothing is known."""
    try:
        tree = ast.parse(source, feature_version=(3, 8))
    except SyntaxError as error:
        return [f"line {error.lineno}: {error.msg}"]
    abstract = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "collections.abc"
        for alias in node.names
    }
    builtin = {"dict", "list", "tuple", "set", "frozenset", "type"}
    types = {"int", "str", "bool", "float", "bytes", "None", "dict", "list", "tuple"}
    found = [
        f"line {node.lineno}: {alias.name}"
        for node in tree.body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if alias.name in {*_NEWER, "tomllib", "files"}
    ]
    for node in executed(tree):
        what = ""
        if isinstance(node, ast.Attribute):
            what = node.attr if node.attr in _NEWER else ""
        elif isinstance(node, ast.Name):
            what = node.id if node.id in _NEWER else ""
        elif isinstance(node, ast.keyword):
            is_new = node.arg in _NEWER or (node.arg == "strict" and isinstance(node.value, ast.Constant))
            what = f"{node.arg}=" if is_new else ""
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            what = f"{node.value.id}[...]" if node.value.id in abstract | builtin else ""
        elif isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.BitOr):
            sides = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.value]
            dicts = any(isinstance(side, (ast.Dict, ast.DictComp)) for side in sides)
            unions = any(ast.unparse(side) in types for side in sides)
            what = "|" if dicts or unions else ""
        if what:
            found.append(f"line {getattr(node, 'lineno', '?')}: {what}")
    return found


def test_it_is_whole_small_and_the_same_each_time(archive: bytes, sources: dict[str, str]) -> None:
    assert archive == bundle.build()
    assert len(archive) < 180_000
    assert {"__main__.py", "tuner/remote/main.py", "tuner_plugins/devices/jetson/device.py"} <= sources.keys()
    assert "tuner_plugins/workloads/command/child.py" in sources
    unwanted = [n for n in sources if n.startswith(("tuner/session/", "tuner/cli/", "tuner/tui/"))]
    assert unwanted == []


def test_only_the_standard_library_is_imported(sources: dict[str, str]) -> None:
    foreign = set()
    for name, source in sources.items():
        for node in executed(ast.parse(source)):
            named = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                named = [str(node.module)]
            foreign |= {
                (name, n) for n in named if n.partition(".")[0] not in {*sys.stdlib_module_names, *_OWN, "tomli"}
            }
    assert foreign == set()


def test_nothing_is_too_new_for_python_3_8(sources: dict[str, str]) -> None:
    assert {name: new for name, source in sources.items() if (new := too_new(source))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "match 1:\n  case 1: pass",
        "with (open('a') as a, open('b') as b): pass",
        "A = int | None",
        "x = {} | {}",
        "x |= {'a': 1}",
        "zip(a, b, strict=True)",
        "'a'.removesuffix('b')",
        "from itertools import pairwise",
        "import tomllib",
        "from collections.abc import Mapping\nA = Mapping[str, int]",
        "A = dict[str, int]",
        "isinstance(a, int | str)",
        "from dataclasses import dataclass\n@dataclass(slots=True)\nclass A: pass",
    ],
)
def test_the_check_finds_what_is_too_new(source: str) -> None:
    assert too_new(source)


def test_every_module_imports_and_a_board_is_served_under_python_3_8(
    archive: bytes, sources: dict[str, str], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = oldest_python()
    place = machine.root.parent / "tuner.pyz"
    place.write_bytes(archive)
    names = [n[:-3].replace("/", ".").removesuffix(".__init__") for n in sources if n != "__main__.py"]
    script = f"import sys; sys.path.insert(0, {str(place)!r})\n" + "\n".join(f"import {n}" for n in names)
    done = subprocess.run([python, "-I", "-S", "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    address = parse_address(f"exec:env PATH={python.rpartition('/')[0]}:/usr/bin:/bin")
    before = machine.files()
    connection = Connection(address.connect(archive, machine.arguments), "exec:")
    assert connection.hello["python"].startswith("3.8.")
    connection.request("apply", target={"cpu_max_freq_khz": 345600, "cpu_governor": "performance"})
    assert machine.files() != before
    connection.close()
    assert machine.files() == before
    program = address.start_program(archive, "tuner_plugins.workloads.command.child")
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write(b'{"do":"run","line":"echo $X; exit 3","env":{"X":"hi"},"timeout_s":30}\n')
    answer = json.loads(program.stdout.readline())
    assert (answer["stdout"], answer["status"], answer["timed_out"]) == ("hi\n", 3, False)
    end(program)


def test_an_emulated_jetson_is_set_metered_and_put_back_under_python_3_8(archive: bytes, tmp_path: Path) -> None:
    python = oldest_python()
    if why_no_fuse():
        pytest.skip(why_no_fuse())
    with mounted(tmp_path / "board") as board:
        address = parse_address(f"exec:env PATH={python.rpartition('/')[0]}:/usr/bin:/bin")
        arguments = ["--device", f"jetson:{board}", "--state-dir", str(tmp_path / "state")]
        connection = Connection(address.connect(archive, arguments), "exec:")
        hello = connection.hello
        assert (hello["python"][:4], hello["board"], hello["emulated"]) == ("3.8.", "jetson-orin-nano", True)
        (meter,) = (m["name"] for m in hello["meters"] if not m["reason"])
        for mode in (m for _, m in hello["power_modes"]):
            connection.request("apply", target=mode)
            connection.request("verify", target=mode)
        target = {p["name"]: p["values"][0] for p in hello["probes"] if p["name"] in mode}
        connection.request("energy_begin", meter=meter)
        connection.request("apply", target={**target, "cpu_cores_online": 2})
        with contextlib.suppress(MeasurementError):  # the window may have been too short
            connection.request("energy_end", meter=meter)
        assert connection.request("sensors")["temperature_c"] > 20
        assert dirty(board) != ""
        connection.close()
        assert dirty(board) == ""


def test_the_hardware_files_are_in_it(archive: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        documents = json.loads(packed.read("tuner_profiles/hardware.json"))
    assert documents["jetson-orin-nano"]["writes"]["all"]


def test_outside_of_an_archive_the_actuator_says_how_to_make_one() -> None:
    done = subprocess.run([sys.executable, "-m", "tuner.remote.main"], capture_output=True, text=True, check=False)
    assert done.returncode == 42
    assert "tuner.remote.bundle" in done.stderr
