"""A real OpenSSH server on 127.0.0.1 with a key of its own, and a mounted emulated board: a board across a network."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SSHD = "/usr/sbin/sshd"


@dataclass(frozen=True)
class Far:
    """A board that ssh reaches.

    Attributes:
        address: For ``--board``.
        path: Folder whose ``ssh`` knows the key; goes first in PATH.
        state: The board's state folder.
    """

    address: str
    path: Path
    state: Path


def why_not() -> str:
    """Return why no server can be run here, "" where it can."""
    if not os.access(_SSHD, os.X_OK) or not shutil.which("ssh") or not shutil.which("ssh-keygen"):
        return "no ssh server can be started: apt-get install openssh-server"
    return "" if os.geteuid() == 0 else "no ssh server can be started: it needs root"


@contextlib.contextmanager
def far_board(folder: Path) -> Iterator[Far]:
    """Run an ssh server; what logs in keeps its state in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    port, state, binaries = _free_port(), folder / "board-state", folder / "bin"
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"PasswordAuthentication no\nUsePAM no\nStrictModes no\nPidFile none\nPermitRootLogin yes\n"
        f"MaxStartups 100\nSetEnv TUNER_STATE_DIR={state} TUNER_LOCK_DIR={folder}/locks\n"
    )
    (folder / "config").write_text(
        f"Host *\n  IdentityFile {folder}/user\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known\n"
        f"  StrictHostKeyChecking accept-new\n"
    )
    binaries.mkdir()
    (binaries / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n')
    (binaries / "ssh").chmod(0o755)
    server = subprocess.Popen([_SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        for line in server.stderr:
            if "listening on" in line:
                break
        yield Far(f"ssh://root@127.0.0.1:{port}", binaries, state)
    finally:
        server.terminate()
        server.wait()
        if server.stderr is not None:
            server.stderr.close()  # not read to its end: sessions that still run have it open too


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def why_no_fuse() -> str:
    """Return why no board can be mounted here, "" where it can."""
    try:
        import mfusepy  # noqa: F401 - loads libfuse
    except (ImportError, OSError) as error:
        return f"there is no FUSE here ({error}): pip install mfusepy, and apt-get install fuse3"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK) or shutil.which("fusermount3") is None:
        return "there is no FUSE here: apt-get install fuse3, and a kernel with /dev/fuse"
    return ""


def dirty(place: Path) -> str:
    """Return what of the mounted board is not as it was."""
    return (place / ".emulator/dirty").read_text()
