"""Rules of style that no linter has, held over the syntax tree of the whole product."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tuner.remote import bundle

ROOT = Path(__file__).resolve().parents[2]
MOST_POSITIONAL = 5
MOST_FIELDS = 4
MOST_LINES = 60
MOST_UNFORMATTED = 10
#: Plugins on a board import them too.
PORTS = "tuner/ports/"
#: Where a line could be kept from the formatter.
TREE = ("tuner", "plugins", "emulator", "benchmarks", "systemd", "tests")
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def product() -> dict[str, ast.Module]:
    """Return each module of `tuner/` and `plugins/` by its path."""
    paths = (path for top in ("tuner", "plugins") for path in sorted((ROOT / top).rglob("*.py")))
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@cache
def on_board() -> frozenset[str]:
    """Return the paths of the modules that run on a board, with Python 3.8."""
    side = bundle.board_side()
    entries = [where.partition(":")[0] for group in ("devices", "meters") for where in side[group].values()]
    sources = set(bundle.modules(["tuner.remote.main", *entries, *side["programs"]]).values())
    return frozenset(name for name in product() if (ROOT / name).read_text(encoding="utf-8") in sources)


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for name, tree in product().items():
        yield from ((name, node) for node in ast.walk(tree) if isinstance(node, kinds))


def plain_arguments(call: ast.Call) -> int:
    return sum(not isinstance(argument, ast.Starred) for argument in call.args)


def is_data(decorator: ast.expr) -> bool:
    return re.fullmatch(r"(dataclasses\.)?dataclass(\(.*\))?", ast.unparse(decorator)) is not None


def positional_fields(node: ast.ClassDef) -> int:
    """Return how many fields a class takes by position; 0 where it is no dataclass."""
    decorators = [d for d in node.decorator_list if is_data(d)]
    if not decorators or any("kw_only=True" in ast.unparse(d) for d in decorators):
        return 0
    fields = [f for f in node.body if isinstance(f, ast.AnnAssign) and "ClassVar" not in ast.unparse(f.annotation)]
    return len(fields)


def test_no_call_has_more_than_five_positional_arguments() -> None:
    calls = ((n, c) for n, c in nodes(ast.Call) if isinstance(c, ast.Call))
    found = [
        f"{name}:{call.lineno}: {ast.unparse(call.func)} takes {plain_arguments(call)}"
        for name, call in calls
        if plain_arguments(call) > MOST_POSITIONAL
    ]
    assert not found, "\n".join(found)


def test_a_dataclass_of_many_fields_takes_keywords_only() -> None:
    classes = ((n, c) for n, c in nodes(ast.ClassDef) if isinstance(c, ast.ClassDef))
    found = [
        f"{name}:{node.lineno}: {node.name} has {positional_fields(node)} positional fields"
        for name, node in classes
        if positional_fields(node) > MOST_FIELDS and name not in on_board() and not name.startswith(PORTS)
    ]
    assert not found, "\n".join(found)


def test_no_function_is_longer_than_sixty_lines() -> None:
    found = [
        f"{name}:{node.lineno}: {node.name} has {length} lines"
        for name, node in nodes(*FUNCTION)
        if isinstance(node, FUNCTION) and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_LINES
    ]
    assert not found, "\n".join(found)


def test_no_two_top_level_classes_have_one_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for name, tree in product().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name)
    twice = [f"{name}: {', '.join(where)}" for name, where in places.items() if len(where) > 1]
    assert not twice, "\n".join(twice)


def test_hardly_a_line_is_kept_from_the_formatter() -> None:
    files = (path for top in TREE for path in sorted((ROOT / top).rglob("*.py")))
    exempt = re.compile(r"#\s*fmt:\s*(?:skip|off)")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if exempt.search(line)
    ]
    assert len(found) <= MOST_UNFORMATTED, "\n".join(found)
