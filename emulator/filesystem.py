"""An emulated board as a FUSE file system. Needs mfusepy and libfuse (2 or 3)."""

from __future__ import annotations

import errno
import logging
import os
import signal
import stat
import tempfile
import threading
import time
from typing import Any

import mfusepy

from .board import EmulatedBoard
from .errno_of import oserror
from .tree import DirNode, FileNode, LinkNode, Node, PlainNode

_TICK_S = 0.05
_MAX_WRITERS = 64


class BoardFileSystem(mfusepy.Operations):  # type: ignore[misc]
    """The FUSE operations of a board's files.

    Reading from offset 0 reads again, as sysfs does; a write at any offset is one store.
    """

    use_ns = True

    def __init__(self, board: EmulatedBoard, owner: int, group: int, held: _HeldStderr) -> None:
        self.board = board
        self._held = held
        self._owner, self._group = owner, group
        self._open: dict[int, tuple[str, FileNode | PlainNode]] = {}
        self._shown: dict[int, bytes] = {}
        self._next = 1
        self._lock = threading.Lock()
        self._born_ns = time.time_ns()
        self._stop = threading.Event()
        self.is_mounted = False

    def init_with_config(self, conn_info: Any, config: Any) -> None:
        """Say that the board is mounted, and start the clock of its physics."""
        self.is_mounted = True
        self._held.release()
        self.board.on_kill = _kill_caller
        threading.Thread(target=self._tick, daemon=True).start()
        print("mounted", flush=True)

    def destroy(self, path: str) -> None:
        """Stop the clock."""
        self._stop.set()

    def _tick(self) -> None:
        while not self._stop.wait(_TICK_S):
            self.board.advance()

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        """Return mode, size and owner."""
        _, node = self._resolve(path, follow=False)
        kind = stat.S_IFREG
        size = 4096
        if isinstance(node, DirNode):
            kind, size = stat.S_IFDIR, 0
        elif isinstance(node, LinkNode):
            kind, size = stat.S_IFLNK, len(node.target)
        elif isinstance(node, PlainNode):
            size = len(node.content)
        return {
            "st_mode": kind | node.mode,
            "st_nlink": 1,
            "st_size": size,
            "st_uid": self._owner,
            "st_gid": self._group,
            "st_mtime": self._born_ns,
            "st_ctime": self._born_ns,
            "st_atime": self._born_ns,
        }

    def readdir(self, path: str, fh: int) -> list[str]:
        """Return the names in a directory."""
        return [".", "..", *self.board.listdir(path)]

    def readlink(self, path: str) -> str:
        """Return a link's target."""
        _, node = self._resolve(path, follow=False)
        if not isinstance(node, LinkNode):
            raise oserror(errno.EINVAL, path)
        return node.target

    def statfs(self, path: str) -> dict[str, int]:
        """Return sizes that `df` accepts."""
        return {"f_bsize": 4096, "f_blocks": 1 << 20, "f_bavail": 1 << 20, "f_namemax": 255}

    def _resolve(self, path: str, follow: bool = True) -> tuple[str, Node]:
        return self.board.tree.resolve(path, follow=follow)

    def open(self, path: str, flags: int) -> int:
        """Open an existing file."""
        real, node = self._resolve(path)
        access = flags & os.O_ACCMODE
        if access in (os.O_RDONLY, os.O_RDWR):
            self.board.check_open(real, node, 0, write=False)
        if access in (os.O_WRONLY, os.O_RDWR):
            self.board.check_open(real, node, 0, write=True)
        assert isinstance(node, (FileNode, PlainNode))
        with self._lock:
            handle, self._next = self._next, self._next + 1
            self._open[handle] = (real, node)
        return handle

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        """Read; at offset 0 the file is read again."""
        real, node = self._open[fh]
        if isinstance(node, PlainNode):
            return node.content[offset : offset + size]
        if offset == 0 or fh not in self._shown:
            self._shown[fh] = self.board.read_node(real, node).encode()
        return self._shown[fh][offset : offset + size]

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        """Write: one store, wherever the offset is."""
        real, node = self._open[fh]
        if isinstance(node, PlainNode):
            content = node.content.ljust(offset, b"\0")
            node.content = content[:offset] + data + content[offset + len(data) :]
            return len(data)
        if not node.is_control:
            self._remember(_process_of(mfusepy.fuse_get_context()[2]))
        self.board.write_node(real, node, data.decode("utf-8", errors="replace"))
        return len(data)

    def _remember(self, pid: int) -> None:
        """Remember the process that writes: what it starts is the workload (load ``auto``)."""
        writers = self.board.writers
        writers.pop(pid, None)
        writers[pid] = None
        while len(writers) > _MAX_WRITERS:
            del writers[next(iter(writers))]

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """Shorten an ordinary file; nothing on a sysfs file (a shell's ``>`` does this)."""
        _, node = self._resolve(path)
        if isinstance(node, PlainNode):
            node.content = node.content[:length].ljust(length, b"\0")
        return 0

    def release(self, path: str, fh: int) -> int:
        """Close."""
        with self._lock:
            self._open.pop(fh, None)
            self._shown.pop(fh, None)
        return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        """Make an ordinary file; EACCES in sysfs, procfs and debugfs."""
        folder, name = self.board.tree.plain_folder(path)
        folder.children[name] = PlainNode(mode=stat.S_IMODE(mode))
        return self.open(path, os.O_RDWR)

    def unlink(self, path: str) -> None:
        """Remove an ordinary file."""
        folder, name = self.board.tree.plain_folder(path)
        if folder.children.pop(name, None) is None:
            raise oserror(errno.ENOENT, path)

    def rename(self, old: str, new: str) -> None:
        """Move an ordinary file over another."""
        source, old_name = self.board.tree.plain_folder(old)
        target, new_name = self.board.tree.plain_folder(new)
        target.children[new_name] = source.children.pop(old_name)

    def mkdir(self, path: str, mode: int) -> None:
        """Make an ordinary directory."""
        folder, name = self.board.tree.plain_folder(path)
        folder.children[name] = DirNode(mode=stat.S_IMODE(mode), plain=True)

    def rmdir(self, path: str) -> None:
        """Remove an ordinary directory."""
        folder, name = self.board.tree.plain_folder(path)
        child = folder.children.get(name)
        if not isinstance(child, DirNode) or not child.plain:
            raise oserror(errno.EACCES, path)
        if child.children:
            raise oserror(errno.ENOTEMPTY, path)
        del folder.children[name]

    def chmod(self, path: str, mode: int) -> None:
        """Change permissions."""
        self._resolve(path)[1].mode = stat.S_IMODE(mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Do nothing: the mounting user owns all files."""


def _process_of(thread: int) -> int:
    """Return the process that a thread belongs to: FUSE names the calling thread."""
    try:
        with open(f"/proc/{thread}/status", encoding="ascii", errors="replace") as stream:
            return next(int(line.split()[1]) for line in stream if line.startswith("Tgid:"))
    except (OSError, StopIteration):
        return thread


def _kill_caller() -> None:
    """SIGKILL the process whose operation this is."""
    pid = mfusepy.fuse_get_context()[2]
    if pid > 1:
        os.kill(pid, signal.SIGKILL)


class _HeldStderr:
    """What libfuse writes to stderr before the mount: kept for the error message, else dropped.

    libfuse 3.14 warns there about a default of its own, which would only confuse.
    """

    def __init__(self) -> None:
        self._real: int | None = os.dup(2)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        os.dup2(self._file.fileno(), 2)

    def release(self) -> str:
        """Give stderr back; return what was held. Does nothing the second time."""
        if self._real is None:
            return ""
        os.dup2(self._real, 2)
        os.close(self._real)
        self._real = None
        self._file.seek(0)
        return self._file.read().decode(errors="replace")


def mount(board: EmulatedBoard, directory: str) -> None:
    """Show `board` at `directory` until it is unmounted; prints ``mounted`` once it is mounted.

    Raises:
        RuntimeError: FUSE refused the mount; says what libfuse said.
    """
    logging.getLogger("fuse").setLevel(logging.CRITICAL)
    options: dict[str, Any] = {"allow_other": True} if os.geteuid() == 0 else {}
    held = _HeldStderr()
    files = BoardFileSystem(board, os.getuid(), os.getgid(), held)
    try:
        mfusepy.FUSE(
            files,
            directory,
            foreground=True,
            nothreads=False,
            direct_io=True,
            attr_timeout=0,
            entry_timeout=0,
            negative_timeout=0,
            default_permissions=True,
            fsname="tuner-emulated-board",
            **options,
        )
    except RuntimeError:
        if not files.is_mounted:  # else: libfuse's way to say that a signal ended it, after unmounting
            raise RuntimeError(" ".join(held.release().split())) from None
    finally:
        held.release()
