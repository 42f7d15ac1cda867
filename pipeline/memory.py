"""Freed memory goes back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc


def give_memory_back() -> None:
    """What nobody refers to is found first: each trial of a large network and each lost connection would leave some."""
    gc.collect()
    trim_memory()


def trim_memory() -> None:
    """glibc keeps what is freed in pieces: pictures and features that come and go leave a little more each time."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
