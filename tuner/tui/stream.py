"""What the faces of lines share: a stream whose reader may go away. A closed pipe never ends a session."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING, TextIO

from tuner.printable import is_unicode, printable

if TYPE_CHECKING:
    from typing import Self


class LineFace:
    """Writes and flushes whole lines; after the first failure it writes nothing more. A context manager.

    Args:
        stream: Where to write.

    Attributes:
        reader_left: The stream is a pipe, and its other end was closed.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._quiet = False
        self.reader_left = False
        self._ascii_only = not is_unicode(getattr(stream, "encoding", None))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def write(self, line: str) -> None:
        """Write one line (no newline in it) and flush it."""
        if self._quiet:
            return
        try:
            self._stream.write(printable(line, self._ascii_only) + "\n")
            self._stream.flush()
        except OSError as error:
            self._fall_silent(error)
        except ValueError:  # the stream object itself was closed
            self._quiet = True

    def _fall_silent(self, error: OSError) -> None:
        self._quiet = True
        self.reader_left = error.errno == errno.EPIPE
        if not self.reader_left and self._stream is not sys.stderr:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"tuner: the log ends here, writing it failed: {printable(str(error))}\n")
        # What is still buffered would fail again when the interpreter closes the stream.
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
