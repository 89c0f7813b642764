"""Deterministic noise: the same (seed, what, visit) gives the same draws in any process."""

from __future__ import annotations

import hashlib
import random


def draw(*key: object) -> random.Random:
    """Return a generator that depends on nothing but `key` (Python's own hash changes per process)."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))
