"""Whatever is done to a journal's bytes, no original is lost in silence."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuner.control import ControlSession, apply_persistently, discard, journal, pending, recover, revert_applied
from tuner.control.journal_lines import decode
from tuner.control.lock import DeviceLock
from tuner.errors import FileVersionError, RestoreError
from tuner.ports import Actuator
from tuner.space import OptionValue

from .boards import Board

#: Options of a small, a medium and a large journal.
SIZES = (1, 4, 12)


def _options(size: int) -> dict[str, OptionValue]:
    """Return options as boards have them: numbers, texts, pairs of numbers."""
    kinds: tuple[OptionValue, ...] = (2035200, "schedutil", "345600 2035200", True, 0.5, "0-3,5")
    return {f"policy{n}/limits": kinds[n % len(kinds)] for n in range(size)}


def _damages(data: bytes) -> Iterator[tuple[str, bytes]]:
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit} flipped", bytes(changed)
    for length in range(len(data)):
        yield f"cut to {length} bytes", data[:length]
    lines = data.splitlines(keepends=True)
    for n, line in enumerate(lines):
        yield f"line {n} removed", b"".join(lines[:n] + lines[n + 1 :])
        yield f"line {n} twice", b"".join([*lines[: n + 1], line, *lines[n + 1 :]])
        yield f"line {n} again at the end", data + line
        yield f"line {n} first", line + b"".join(lines[:n] + lines[n + 1 :]) if n else data + line


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, bytes]:
    """The journals of sessions that were killed, by size."""
    found = {}
    for size in SIZES:
        folder, values = tmp_path_factory.mktemp("killed"), _options(size)
        session = ControlSession(Board(values=dict(values)), "jetson:/board", folder)
        session.__enter__()
        for name in values:  # options come one by one, as in a session
            session.apply({name: "set"})
        (path,) = folder.glob("*.journal")
        found[size] = path.read_bytes()
        session._owned.close()  # the kernel does it for a dead process
    return found


@pytest.mark.parametrize("size", SIZES)
def test_every_damage_is_seen_and_what_is_whole_is_right(size: int, killed: dict[int, bytes]) -> None:
    whole = decode(killed[size])
    assert whole.problems == ()
    options = {r["option"]: r["original"] for r in whole.records if "option" in r}
    assert options == _options(size)
    for what, damaged in _damages(killed[size]):
        lines = decode(damaged)
        assert lines.problems, what
        for record in lines.records:
            assert record in whole.records, what


@pytest.mark.parametrize("size", SIZES)
def test_a_damaged_journal_is_restored_as_far_as_it_goes_kept_and_reported(
    size: int, killed: dict[int, bytes], tmp_path: Path
) -> None:
    path = journal.journal_path(tmp_path, "jetson:/board")
    every = {1: 5, 4: 17, 12: 97}[size]
    for n, (what, damaged) in enumerate(_damages(killed[size])):
        if n % every:
            continue
        path.write_bytes(damaged)
        board = Board(values=dict.fromkeys(_options(size), "set"))
        (report,) = recover(tmp_path, lambda _spec, board=board: board)
        assert not report.complete, what
        assert path.read_bytes() == damaged, what
        lost = [name for name, value in _options(size).items() if board.values[name] != value]
        assert len(lost) <= (size if what.startswith("cut") else 2), what
        with pytest.raises(RestoreError, match="damaged"):
            ControlSession(board, "jetson:/board", tmp_path).__enter__()


def test_the_whole_journal_puts_everything_back(killed: dict[int, bytes], tmp_path: Path) -> None:
    for size in SIZES:
        journal.journal_path(tmp_path, "jetson:/board").write_bytes(killed[size])
        board = Board(values=dict.fromkeys(_options(size), "set"))
        (report,) = recover(tmp_path, lambda _spec, board=board: board)
        assert report.complete
        assert board.values == _options(size)


def test_damage_to_a_profiles_journal_is_reported_by_its_revert(tmp_path: Path) -> None:
    original = _options(2)
    board = Board(values=dict(original))
    apply_persistently(board, "board", tmp_path, dict.fromkeys(original, "set"))
    path = journal.journal_path(tmp_path, "board", journal.APPLIED)
    data = path.read_bytes()
    for what, damaged in list(_damages(data))[::11]:
        board.values.update(dict.fromkeys(original, "set"))
        for old in tmp_path.glob("*.journal"):
            old.unlink()
        path.write_bytes(damaged)
        assert not revert_applied(board, "board", tmp_path, force=True).complete, what
        assert pending(tmp_path)[0].problems, what


def _first_schema(*records: dict[str, object]) -> bytes:
    texts = [json.dumps(record, sort_keys=True) for record in records]
    return b"".join(f'{{"crc32": "{zlib.crc32(text.encode()):08x}", "record": {text}}}\n'.encode() for text in texts)


def _header(**changed: object) -> dict[str, object]:
    return {"schema": 1, "device": "board", "boot_id": "boot", "pid": 1, "started": "2026-01-01", **changed}


def test_a_journal_of_the_version_before_is_restored(tmp_path: Path) -> None:
    board = Board(values={"a": 3, "b": 3, "c": 0})
    data = _first_schema(_header(), {"option": "a", "original": 0}, {"option": "b", "original": 1})
    journal.journal_path(tmp_path, "board").write_bytes(data)
    journal.journal_path(tmp_path, "board", journal.APPLIED).write_bytes(
        _first_schema(_header(), {"option": "c", "original": 2})
    )
    (report,) = recover(tmp_path, lambda _spec: board)
    assert report.complete
    assert revert_applied(board, "board", tmp_path).complete
    assert board.values == {"a": 0, "b": 1, "c": 2}


def test_a_damaged_journal_of_the_version_before_is_kept(tmp_path: Path) -> None:
    data = _first_schema(_header(), {"option": "a", "original": 0}, {"option": "b", "original": 1})
    path = journal.journal_path(tmp_path, "board")
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(changed))
        board = Board(values={"a": 3, "b": 3})
        (report,) = recover(tmp_path, lambda _spec, board=board: board)
        assert not report.complete, bit
        assert path.exists(), bit
    path.write_bytes(data[:-5])  # torn where it was appended to
    (report,) = recover(tmp_path, lambda _spec: board)
    assert not report.complete
    assert path.exists()


def test_what_cannot_be_restored_blocks_no_other_device(tmp_path: Path) -> None:
    """A newer schema, a device that is gone, a directory in place of a journal."""
    board = Board(values={"a": 3})
    journal.journal_path(tmp_path, "newer").write_bytes(_first_schema(_header(schema=99, device="newer")))
    journal.journal_path(tmp_path, "folder").mkdir()
    for device in ("gone", "board"):
        journal.journal_path(tmp_path, device).write_bytes(
            _first_schema(_header(device=device), {"option": "a", "original": 0})
        )

    def opened(spec: str) -> Board:
        if spec == "gone":
            raise FileVersionError("The table 'gone.csv' is not there.", "")
        return board

    reports = {report.device: report for report in recover(tmp_path, opened)}
    assert [device for device, report in reports.items() if report.complete] == ["board"]
    assert board.values == {"a": 0}
    assert "schema 99" in reports["newer"].problems[0]
    assert "gone.csv" in reports["gone"].failed["a"]
    with pytest.raises(FileVersionError):
        ControlSession(board, "newer", tmp_path).__enter__()
    for known in pending(tmp_path):
        if known.device != "folder":
            discard(tmp_path, known)
    assert [known.device for known in pending(tmp_path)] == ["folder"]


def test_a_damaged_journal_of_a_boot_that_is_over_is_dropped(killed: dict[int, bytes], tmp_path: Path) -> None:
    path = journal.journal_path(tmp_path, "jetson:/board")
    path.write_bytes(killed[4][:-20])
    board = Board(values=dict.fromkeys(_options(4), "now"))
    board.boot = "another"
    (report,) = recover(tmp_path, lambda _spec: board)
    assert report.discarded
    assert report.complete
    assert set(board.values.values()) == {"now"}
    assert not path.exists()


def test_recovering_deletes_a_journal_that_was_not_put_in_place(tmp_path: Path) -> None:
    """Its writer was killed before the rename, so before its first write; one whose device is held stays."""
    left = journal.journal_path(tmp_path, "free").with_name("free.journal.new")
    held = tmp_path / "held.journal.new"
    left.write_bytes(b"half")
    held.write_bytes(b"half")
    lock = DeviceLock(tmp_path, "held")
    lock.acquire()
    try:
        assert recover(tmp_path, _no_device) == []
    finally:
        lock.release()
    assert not left.exists()
    assert held.exists()


def _no_device(spec: str) -> Actuator:
    raise AssertionError(f"{spec} was opened")
