"""An in-memory tree of files, directories and links that behaves as sysfs does.

Files under sysfs-like directories have a `read` and a `write`; nothing can be created there. Directories made
with `plain=True` (`/etc`, `/var`) hold ordinary files that can be created, renamed and removed.
"""

from __future__ import annotations

import errno
import fnmatch
import posixpath
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .errno_of import oserror, switch, unsigned

_MAX_LINKS = 40


@dataclass(kw_only=True)
class Node:
    """A file, link or directory. It is hidden while `present` returns False."""

    mode: int
    present: Callable[[], bool] | None = None

    @property
    def here(self) -> bool:
        """Whether the node exists now."""
        return self.present is None or self.present()


@dataclass(kw_only=True)
class FileNode(Node):
    """A sysfs attribute.

    Attributes:
        read: Returns the text; None for a write-only file.
        write: Takes the text of one write(2); None for a read-only file.
        alias: Short name that faults use, such as ``gpu/max_freq``.
        latency_s: How long a write takes.
        state: What of the file is a setting: compared to tell whether it was put back. None: the text it shows.
        is_setting: Whether the file counts as something to put back at all.
        is_control: A file of `.emulator`: no faults, no counting, no permissions.
    """

    read: Callable[[], str] | None = None
    write: Callable[[str], object] | None = None
    alias: str = ""
    latency_s: float = 0.0
    state: Callable[[], object] | None = None
    is_setting: bool = True
    is_control: bool = False

    def text(self) -> str:
        """Return what the file shows.

        Raises:
            OSError: EACCES for a write-only file; what the file answers now.
        """
        if self.read is None:
            raise oserror(errno.EACCES)
        return self.read()


@dataclass(kw_only=True)
class PlainNode(Node):
    """An ordinary file."""

    content: bytes = b""


@dataclass(kw_only=True)
class LinkNode(Node):
    """A symbolic link; `target` is relative, so that it is valid below a mount point."""

    target: str


@dataclass(kw_only=True)
class DirNode(Node):
    """A directory; in a `plain` one, files can be made."""

    children: dict[str, Node] = field(default_factory=dict)
    plain: bool = False


class Tree:
    """Paths to nodes. All paths are absolute inside the tree, whatever root it is mounted on."""

    def __init__(self) -> None:
        self.root = DirNode(mode=0o755)

    def directory(self, path: str, mode: int = 0o755, plain: bool = False) -> DirNode:
        """Return the directory at `path`; it and its parents are made where missing."""
        here = self.root
        for name in _parts(path):
            child = here.children.get(name)
            if child is None:
                child = here.children[name] = DirNode(mode=0o755, plain=here.plain)
            if not isinstance(child, DirNode):
                raise ValueError(f"{path}: {name} is no directory")
            here = child
        here.mode = mode if mode != 0o755 else here.mode
        here.plain = here.plain or plain
        return here

    def add(self, path: str, node: Node) -> None:
        """Add a node at `path`."""
        folder, name = posixpath.split(path)
        self.directory(folder).children[name] = node

    def constant(self, path: str, text: str, mode: int = 0o444) -> None:
        """Add a read-only file that never changes."""
        self.add(path, FileNode(mode=mode, read=lambda: text))

    def plain(self, path: str, text: str, mode: int = 0o644) -> None:
        """Add an ordinary file."""
        self.add(path, PlainNode(mode=mode, content=text.encode()))

    def link(self, path: str, target: str, present: Callable[[], bool] | None = None) -> None:
        """Add a link at `path` to the absolute `target`, stored as a relative one."""
        relative = posixpath.relpath(target, posixpath.dirname(path))
        self.add(path, LinkNode(mode=0o777, target=relative, present=present))

    def resolve(self, path: str, follow: bool = True, uid: int = 0) -> tuple[str, Node]:
        """Return the real path and the node at `path`.

        Raises:
            OSError: ENOENT, ENOTDIR, ELOOP; EACCES where a directory is closed to `uid`.
        """
        todo = list(reversed(_parts(path)))
        trail: list[tuple[str, DirNode]] = []
        here: Node = self.root
        links = 0
        while todo:
            name = todo.pop()
            if name in ("", "."):
                continue
            if name == "..":
                here = trail.pop()[1] if trail else self.root
                continue
            if not isinstance(here, DirNode):
                raise oserror(errno.ENOTDIR, path)
            if uid != 0 and not here.mode & stat.S_IXOTH:
                raise oserror(errno.EACCES, path)
            child = here.children.get(name)
            if child is None or not child.here:
                raise oserror(errno.ENOENT, path)
            if isinstance(child, LinkNode) and (todo or follow):
                links += 1
                if links > _MAX_LINKS:
                    raise oserror(errno.ELOOP, path)
                todo.extend(reversed(child.target.split("/")))
                continue
            trail.append((name, here))
            here = child
        return "/" + "/".join(name for name, _ in trail), here

    def find(self, path: str) -> Node | None:
        """Return the node at `path`, links followed; None where there is none."""
        try:
            return self.resolve(path)[1]
        except OSError:
            return None

    def names(self, path: str, uid: int = 0) -> list[str]:
        """Return the names in a directory, sorted.

        Raises:
            OSError: ENOENT, ENOTDIR, EACCES.
        """
        _, node = self.resolve(path, uid=uid)
        if not isinstance(node, DirNode):
            raise oserror(errno.ENOTDIR, path)
        if uid != 0 and not node.mode & stat.S_IROTH:
            raise oserror(errno.EACCES, path)
        return sorted(name for name, child in node.children.items() if child.here)

    def plain_folder(self, path: str) -> tuple[DirNode, str]:
        """Return the directory of an ordinary file, and the file's name in it.

        Raises:
            OSError: EACCES where no ordinary file can be (sysfs, procfs, debugfs); ENOENT, ENOTDIR.
        """
        folder, name = posixpath.split(path)
        _, node = self.resolve(folder)
        if not isinstance(node, DirNode) or not node.plain:
            raise oserror(errno.EACCES, path)
        return node, name

    def glob(self, pattern: str) -> list[str]:
        """Return the paths that match a shell pattern, sorted; links to directories are entered."""
        found = [""]
        for part in _parts(pattern):
            if not any(c in part for c in "*?["):
                found = [f"{base}/{part}" for base in found if self.find(f"{base}/{part}") is not None]
                continue
            nxt = []
            for base in found:
                node = self.find(base or "/")
                if isinstance(node, DirNode):
                    names = [n for n, child in node.children.items() if child.here]
                    nxt += [f"{base}/{n}" for n in fnmatch.filter(names, part)]
            found = nxt
        return sorted(found)

    def files(self) -> Iterator[tuple[str, FileNode | PlainNode]]:
        """Yield every file by its real path, hidden ones left out."""
        stack: list[tuple[str, DirNode]] = [("", self.root)]
        while stack:
            base, folder = stack.pop()
            for name, child in folder.children.items():
                if not child.here:
                    continue
                if isinstance(child, DirNode):
                    stack.append((f"{base}/{name}", child))
                elif isinstance(child, (FileNode, PlainNode)):
                    yield f"{base}/{name}", child

    def settings(self) -> dict[str, str]:
        """Return what can be set, by path: texts of ordinary files, settings of the others, or an errno's name."""
        values = {}
        for path, node in self.files():
            if isinstance(node, PlainNode):
                values[path] = node.content.decode(errors="replace")
            elif node.write is not None and node.is_setting:
                try:
                    values[path] = str(node.state()) if node.state else node.text()
                except OSError as error:
                    values[path] = errno.errorcode.get(error.errno or 0, "?")
        return values


class Folder:
    """Adds sysfs attributes to one directory of a tree.

    Args:
        tree: The tree.
        path: The directory; made where it is missing.
        part: First part of the attributes' short names; empty where they have none.
        latency_s: How long a write takes.
    """

    def __init__(self, tree: Tree, path: str, part: str = "", latency_s: float = 0.0) -> None:
        self.tree, self.path = tree, path
        self._part, self._latency_s = part, latency_s
        tree.directory(path)

    def add(self, name: str, node: FileNode) -> None:
        """Add an attribute. Its short name is made of the folder's part and `node.alias`, or `name`."""
        node.alias = f"{self._part}/{node.alias or name}" if self._part else ""
        node.latency_s = self._latency_s
        self.tree.add(f"{self.path}/{name}", node)

    def constant(self, name: str, text: object) -> None:
        """Add a read-only file that never changes: `text` and a newline."""
        self.tree.constant(f"{self.path}/{name}", f"{text}\n")

    def link(self, name: str, target: str) -> None:
        """Add a link to the absolute `target`."""
        self.tree.link(f"{self.path}/{name}", target)

    def show(self, name: str, read: Callable[[], object], mode: int = 0o444, alias: str = "") -> None:
        """Add a read-only attribute that shows what `read` returns, and a newline."""
        self.add(name, FileNode(mode=mode, read=lambda: f"{read()}\n", alias=alias))

    def text(
        self,
        name: str,
        read: Callable[[], object],
        write: Callable[[str], object],
        *,
        mode: int = 0o644,
        alias: str = "",
        state: Callable[[], object] | None = None,
        present: Callable[[], bool] | None = None,
    ) -> None:
        """Add an attribute; `write` takes the text, the other arguments are as in `FileNode`."""
        shown = lambda: f"{read()}\n"  # noqa: E731
        self.add(name, FileNode(mode=mode, read=shown, write=write, alias=alias, state=state, present=present))

    def number(self, name: str, read: Callable[[], object], write: Callable[[int], object], **how: Any) -> None:
        """Add an attribute that takes an unsigned number; `how` is as for `text`."""
        self.text(name, read, lambda text: write(unsigned(text)), **how)

    def switch(self, name: str, read: Callable[[], bool], write: Callable[[bool], object], **how: Any) -> None:
        """Add an attribute that takes 0 or 1; `how` is as for `text`."""
        self.text(name, lambda: int(read()), lambda text: write(switch(text)), **how)

    def choice(self, name: str, owner: object, field: str, allowed: Sequence[str]) -> None:
        """Add an attribute that is the attribute `field` of `owner` and takes one of some words."""

        def choose(text: str) -> None:
            if text.strip() not in allowed:
                raise oserror(errno.EINVAL)
            setattr(owner, field, text.strip())

        self.text(name, lambda: getattr(owner, field), choose, state=lambda: getattr(owner, field))

    def attribute(self, name: str, owner: object, field: str) -> None:
        """Add a switch that is the attribute `field` of `owner`."""
        self.switch(name, lambda: getattr(owner, field), partial(setattr, owner, field))


def _parts(path: str) -> list[str]:
    return [p for p in path.split("/") if p not in ("", ".")]
