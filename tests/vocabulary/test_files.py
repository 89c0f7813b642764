from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import FileMissingError, FileTooLargeError, PermissionDeniedError
from tuner.files import atomic_write, open_regular, read_regular, size_text, user_path


def test_a_regular_file_is_read_whole_and_through_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "f", tmp_path / "link"
    path.write_bytes(b"x" * 3_000_000)
    link.symlink_to(path)
    assert read_regular(link, 3_000_000) == path.read_bytes()
    assert read_regular(Path("/proc/self/stat"), 10_000)  # says that it has no bytes


@settings(max_examples=50, deadline=None)
@given(size=st.integers(0, 50), limit=st.integers(0, 50))
def test_more_than_the_limit_is_never_given(size: int, limit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("f") / "f"
    path.write_bytes(b"x" * size)
    if size <= limit:
        assert len(read_regular(path, limit)) == size
    else:
        with pytest.raises(FileTooLargeError, match=f"{limit} bytes"):
            read_regular(path, limit)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(FileTooLargeError, match="64 MiB"):
        read_regular(path, 64 << 20)


def test_a_file_that_hides_its_size_is_bounded_too() -> None:
    with pytest.raises(FileTooLargeError):
        read_regular(Path("/proc/self/maps"), 100)


def test_what_is_no_regular_file_is_refused_at_once_by_its_kind(tmp_path: Path) -> None:
    pipe, listening = tmp_path / "pipe", tmp_path / "socket"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(listening))
        for path, kind in (
            (pipe, "a named pipe"),
            (listening, "a socket"),
            (Path("/dev/zero"), "a device"),
            (tmp_path, "a folder"),
        ):
            with pytest.raises(FileMissingError, match=kind):
                open_regular(path)


def test_a_file_replaced_by_a_pipe_between_two_looks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.touch()
    before = os.stat(path)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(os, "stat", lambda *_: before)
    with pytest.raises(FileMissingError, match="a named pipe"):
        open_regular(path)


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "missing", "file/below", "loop"])
def test_a_path_that_leads_nowhere_is_a_missing_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FileMissingError):
        read_regular(tmp_path / name, 10)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch(0o000)
    with pytest.raises(PermissionDeniedError):
        read_regular(path, 10)


def test_limits_are_said_in_units_of_people() -> None:
    assert [size_text(n) for n in (64 << 20, 512 << 10, 300)] == ["64 MiB", "512 KiB", "300 bytes"]


def test_a_tilde_is_the_home_directory_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert user_path("~/t.csv") == Path("/home/me/t.csv")
    assert user_path("~no-such-user/t.csv") == Path("~no-such-user/t.csv")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    atomic_write(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "x"


def test_the_umask_decides_on_permissions(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        atomic_write(tmp_path / "p", "x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "p").stat().st_mode) == 0o640
