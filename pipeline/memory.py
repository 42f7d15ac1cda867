"""Freed memory goes back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc


def set_apart() -> None:
    """What there is now stays for good: ``give_memory_back`` then looks only at what came since, in a hundredth of the
    time.
    """
    gc.freeze()


def give_memory_back() -> None:
    """Circles of objects are found first: the interpreter looks for them by their number, not by the pictures that they
    hold.
    """
    gc.collect()
    trim_memory()


def trim_memory() -> None:
    """What is free goes back to the system: glibc keeps what is freed in pieces."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
