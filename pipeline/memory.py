"""Freed memory goes back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc


def give_memory_back() -> None:
    """glibc keeps what is freed in pieces: each trial of a large network and each lost connection would leave some."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
