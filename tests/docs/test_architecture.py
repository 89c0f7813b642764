"""ARCHITECTURE.md against the tree: the files it names exist, its journeys are short, its floors are the linter's."""

from __future__ import annotations

import re
import sys

from tests.conftest import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
JOURNEYS = re.findall(r"^\*\*(.+)\*\*\n((?:\d+\. .+\n)+)", TEXT, re.MULTILINE)


def test_each_file_and_folder_that_it_names_exists() -> None:
    named = [name for name in re.findall(r"`([\w./-]+)`|\]\(([\w./-]+)\)", TEXT) for name in name if "/" in name]
    assert len(named) > 60
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_three_journeys_of_at_most_ten_files_each() -> None:
    assert len(JOURNEYS) == 3
    for title, steps in JOURNEYS:
        files = re.findall(r"^\d+\. `([\w./-]+\.py)`: ", steps, re.MULTILINE)
        assert len(files) == steps.count("\n") <= 10, title
        assert len(set(files)) == len(files), title


def test_its_floors_are_those_that_imports_are_held_to() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    floors = next(c["layers"] for c in contracts if c["type"] == "layers")
    drawing = TEXT.split("```")[1].split("▲")[0].splitlines()
    drawn = [re.sub(r"^  [a-z ]{12}  |\s{3,}.*$", "", line).strip() for line in drawing]
    assert [line.replace(" │ ", " | ") for line in drawn if line in {f.replace("|", "│") for f in floors}] == floors
