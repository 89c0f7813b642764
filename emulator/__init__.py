"""An emulated Jetson as files: `/sys`, `/proc` and `/etc` of a board, which behave as on a real one.

Installed as `tuner_emulator` with the command `tuner-emulate-board`. docs/emulated-board.md lists what it
imitates and which numbers are assumptions. `tuner_emulator.board.EmulatedBoard` is the board in this
process (virtual or real time); `tuner_emulator.filesystem` shows one as a FUSE file system.
"""
