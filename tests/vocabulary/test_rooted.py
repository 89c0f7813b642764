"""Files below a directory: links of the tree work, none leads out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.rooted import Root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A board's tree as sysfs has it, beside a file that is none of its own."""
    (tmp_path / "secret").write_text("root's")
    root = tmp_path / "root"
    real = root / "sys/devices/17000000.gpu/devfreq/17000000.gpu"
    real.mkdir(parents=True)
    (real / "max_freq").write_text("1000\n")
    for folder in ("sys/class/devfreq", "etc", "sys/class/thermal/thermal_zone0"):
        (root / folder).mkdir(parents=True)
    (root / "sys/class/devfreq/17000000.gpu").symlink_to("../../devices/17000000.gpu/devfreq/17000000.gpu")
    (root / "etc/nvpmodel.real").write_text("conf")
    (root / "etc/nvpmodel.conf").symlink_to("/etc/nvpmodel.real")
    return root


LINKED = "/sys/class/devfreq/17000000.gpu/max_freq"


def test_the_trees_own_links_work_relative_and_absolute(tree: Path) -> None:
    files = Root(tree)
    assert files.read(LINKED) == b"1000\n"
    files.write(LINKED, b"2000")
    assert (tree / "sys/devices/17000000.gpu/devfreq/17000000.gpu/max_freq").read_text() == "2000\n"
    assert files.read("/etc/nvpmodel.conf") == b"conf"
    assert files.exists("/sys/class/devfreq/17000000.gpu")
    assert files.exists("/sys/class/devfreq/../devfreq/17000000.gpu/..")
    assert not files.exists("/sys/class/devfreq/18000000.gpu")
    assert files.glob("/sys/class/devfreq/*") == ["/sys/class/devfreq/17000000.gpu"]
    assert files.glob("/sys/class/dev*/*.gpu/m?x_freq") == [LINKED]
    assert files.glob("/sys/class/devfreq/*/none") == []
    assert files.allows(LINKED, os.O_WRONLY)
    assert not files.allows("/etc", os.O_WRONLY)


@pytest.mark.parametrize(
    "target", ["../../secret", "../../../../../../secret", "{outside}/secret", "link/../../secret"]
)
@pytest.mark.parametrize("where", ["file", "folder"])
def test_no_link_leads_out(tree: Path, target: str, where: str) -> None:
    outside = tree.parent
    to = target.format(outside=outside)
    link = tree / "etc" / "link"
    link.symlink_to(to if where == "file" else os.path.dirname(to))
    path = "/etc/link" if where == "file" else "/etc/link/secret"
    files = Root(tree)
    assert not files.exists(path)
    assert files.glob(path.replace("link", "lin?")) in ([], ["/etc/link"] if where == "file" else [])
    for call in (lambda: files.read(path), lambda: files.write(path, b"mine"), lambda: files.open(path, os.O_RDWR)):
        with pytest.raises(OSError, match=r"No such file|Too many|Not a directory"):
            call()
    assert (outside / "secret").read_text() == "root's"


def test_a_loop_of_links_ends(tree: Path) -> None:
    (tree / "a").symlink_to("b")
    (tree / "b").symlink_to("/a")
    with pytest.raises(OSError, match="Too many levels"):
        Root(tree).read("/a")


def test_a_pipe_is_not_waited_for(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    assert Root(tree).read("/pipe") == b""
    with pytest.raises(OSError, match="No such device"):
        Root(tree).write("/pipe", b"x")


def test_nothing_stays_open(tree: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    files = Root(tree)
    for path in (LINKED, "/none/at/all", "/etc/nvpmodel.conf/x", "/etc"):
        files.exists(path)
        files.glob(f"{path}/*")
        files.allows(path, os.O_RDONLY)
    assert len(os.listdir("/proc/self/fd")) == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["..", ".", "", "sys", "etc", "class", "secret", "root", "nvpmodel.conf"]), max_size=9))
def test_dots_never_leave(tree: Path, parts: list[str]) -> None:
    try:
        descriptor = Root(tree).open("/" + "/".join(parts), os.O_PATH)
    except OSError:
        return
    real = os.readlink(f"/proc/self/fd/{descriptor}")
    os.close(descriptor)
    assert real == str(tree) or real.startswith(f"{tree}/")


def test_of_the_machine_itself_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "to").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "to")
    files = Root(Path("/"))
    assert files.read(str(tmp_path / "link")) == b"x"
    assert files.glob(f"{tmp_path}/*") == [str(tmp_path / "link"), str(tmp_path / "to")]
    assert files.exists(str(tmp_path))
