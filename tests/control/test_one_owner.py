"""A board has one owner, by whatever path, state directory or connection it is reached."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator_board.helpers import board_tree
from tests.waiting import PATIENCE_S
from tuner.actuator.board import OwnedBoard
from tuner.control import ControlSession, recover
from tuner.control.lock import DeviceLock
from tuner.control.ownership import board_of, owned
from tuner.errors import DeviceBusyError, PermissionDeniedError, RestoreError
from tuner_plugins.devices.host import HostDevicePlugin
