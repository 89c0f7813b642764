"""Whether a `tuner.toml` in the working directory is trusted: no other user may have written it."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path


def distrust(path: Path, environ: Mapping[str, str]) -> str:
    """Return why another user may have written the file at `path`, ``""`` where only this user or root can have.

    The folder counts as well: a user who may write there can replace the file. Behind ``sudo``, its user counts too.
    """
    trusted = {0, os.geteuid()}
    if os.geteuid() == 0 and environ.get("SUDO_UID", "").isdecimal():
        trusted.add(int(environ["SUDO_UID"]))
    try:
        looked_at = (path.lstat(), path.stat(), path.absolute().parent.stat())
    except OSError:
        return ""  # it is not there, or reading it will say what is wrong
    for status in looked_at:
        if status.st_uid not in trusted:
            return f"it belongs to user {_user(status.st_uid)}"
    _, file, folder = looked_at
    if _others_write(file):
        return "other users may write it"
    # In a sticky folder (/tmp) only its owner can remove a file.
    return "other users may replace it" if _others_write(folder) and not folder.st_mode & stat.S_ISVTX else ""


def _others_write(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_private(status.st_gid, status.st_uid)


def _is_private(gid: int, uid: int) -> bool:
    """Return whether a group is root's, or a user's own without other members."""
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(uid)
    except KeyError:
        return gid == 0
    return gid == 0 or (gid == user.pw_gid and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name})


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
