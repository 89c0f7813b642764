"""Packs what runs on a board into one zip archive: the modules that the actuator needs, and nothing else.

Which modules those are follows from their imports. The archive needs Python 3.8 and its standard library.
"""

from __future__ import annotations

import ast
import io
import json
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tuner import registry
from tuner.boards.hardware import PACKED, packed
from tuner.errors import MissingDependencyError
from tuner.ports import BoardSide, WorkloadPluginElsewhere
from tuner.remote.main import LAUNCH

#: Packages whose modules are followed and packed, beside the packages that plugins live in.
_OWN = frozenset({"tuner", "tuner_plugins"})
_MAIN = "tuner.remote.main"
_RUN = f"import sys\nfrom {_MAIN} import main\nsys.exit(main())\n"


def build() -> bytes:
    """Return the archive. The same versions give the same bytes."""
    launch = board_side()
    entries = [w.partition(":")[0] for group in ("devices", "meters") for w in launch[group].values()]
    needed = modules([_MAIN, *entries, *launch["programs"]])
    files = dict(_files(needed))
    files["__main__.py"] = _RUN
    files[f"tuner/remote/{LAUNCH}"] = json.dumps(launch, sort_keys=True)
    files[PACKED] = packed()
    files[f"{PACKED.partition('/')[0]}/__init__.py"] = ""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED, compresslevel=9)
    return out.getvalue()


def board_side() -> dict[str, Any]:
    """Return the plugins that say of themselves that they run on a board (`tuner.ports.BoardSide`)."""
    found: dict[str, Any] = {"devices": {}, "meters": {}, "programs": []}
    for group in ("devices", "meters", "workloads"):
        for name in registry.names(group):
            try:
                plugin = registry.load(group, name)
            except MissingDependencyError:  # it does not run on this side either
                continue
            where = f"{plugin.__module__}:{plugin.__qualname__}"
            if group == "workloads":
                found["programs"] += plugin.board_programs if isinstance(plugin, WorkloadPluginElsewhere) else ()
            elif isinstance(plugin, BoardSide) and plugin.board_side:
                found[group][name] = where
    return found


def modules(roots: Iterable[str]) -> Mapping[str, str]:
    """Return module -> source of all that `roots` import of our own, also within functions.

    A package's ``__init__`` counts only where something is taken from it; else it is empty in the archive.
    """
    own = _OWN | {root.partition(".")[0] for root in roots}
    found: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = _path(name)
        found[name] = path.read_text(encoding="utf-8")
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting += _imports(found[name], package, own)
    return found


def _imports(source: str, package: str, own: frozenset[str]) -> Iterator[str]:
    """Yield our own modules that a source imports; what only a type checker sees does not count."""
    for node in _executed(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] in own)
        elif isinstance(node, ast.ImportFrom):
            parent = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(filter(None, (parent, node.module)))
            if base.partition(".")[0] in own:
                wholes = [f"{base}.{alias.name}" for alias in node.names]
                yield from (whole if _is_module(whole) else base for whole in wholes)


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _executed(node)


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # "tuner.errors is not a package"
        return False


def _path(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source of {name}", name=name)
    return Path(spec.origin)


def _files(needed: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield archive names with their sources, an empty ``__init__`` for each package that has none."""
    for name, source in needed.items():
        place = name.replace(".", "/")
        is_package = _path(name).name == "__init__.py"
        yield (f"{place}/__init__.py" if is_package else f"{place}.py"), source
        parents = name.split(".")[: None if is_package else -1]
        for depth in range(1, len(parents) + 1):
            parent = ".".join(parents[:depth])
            if parent not in needed:
                yield f"{parent.replace('.', '/')}/__init__.py", ""


def main() -> None:
    """Write the archive to the file that the command line names."""
    Path(sys.argv[1]).write_bytes(build())


if __name__ == "__main__":
    main()
