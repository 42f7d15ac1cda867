"""Reading somebody else's checkpoint without running somebody else's code.

A pickle is a program. This unpickler resolves only the few names that rebuild numpy arrays of plain numbers; anything
else is refused before it is called. Archives are read member by member, never extracted.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ChecksumError, PullError, UnsafeCheckpointError

Arrays = dict[str, NDArray[Any]]

# What numpy's own pickles name; the module moved from numpy.core to numpy._core in NumPy 2.
_RECONSTRUCT = np.zeros(0).__reduce__()[0]
_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
}


class ArrayUnpickler(pickle.Unpickler):
    """Admits dicts, strings, numbers and numpy arrays; raises UnsafeCheckpointError for every other name."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = _ALLOWED.get((module, name))
        if allowed is None:
            raise UnsafeCheckpointError(f"the checkpoint asks for {module}.{name}; only numpy arrays are admitted")
        return allowed

    def persistent_load(self, pid: Any) -> Any:
        raise UnsafeCheckpointError("the checkpoint refers to an outside object; only numpy arrays are admitted")


def load_arrays(data: bytes) -> Arrays:
    """Bytes of a pickled tree of dicts → arrays by path, such as ``params/Mixed_3b/…/kernel``.

    Raises UnsafeCheckpointError for anything but nested dicts of numeric arrays, also for damaged data.
    """
    try:
        tree = ArrayUnpickler(io.BytesIO(data)).load()
    except UnsafeCheckpointError:
        raise
    # A damaged pickle can raise nearly anything, from EOFError to MemoryError: all of it means the same here.
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise UnsafeCheckpointError(f"the checkpoint is damaged: {error}") from error
    except (ImportError, MemoryError, OverflowError) as error:
        raise UnsafeCheckpointError(f"the checkpoint is damaged: {error}") from error
    arrays: Arrays = {}
    _flatten(tree, "", arrays)
    return arrays


def _flatten(node: object, path: str, arrays: Arrays) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(key, str):
                raise UnsafeCheckpointError(f"the checkpoint has a key of type {type(key).__name__} below {path!r}")
            _flatten(value, f"{path}/{key}" if path else key, arrays)
    elif isinstance(node, np.ndarray) and node.dtype.kind in "fiu":
        arrays[path] = node
    else:
        raise UnsafeCheckpointError(f"the checkpoint holds {type(node).__name__} at {path!r}, expected numeric arrays")


def read_member(archive: Path, member: str, sha256: str) -> bytes:
    """One regular file out of a .tar.gz, found by the end of its path and checked.

    Raises ChecksumError with expected and got, PullError when the archive is unreadable or has no such member.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for info in tar:
                if info.isfile() and (info.name == member or info.name.endswith(f"/{member}")):
                    stream = tar.extractfile(info)
                    data = stream.read() if stream else b""
                    break
            else:
                raise PullError(f"{archive.name} has no file {member}")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise PullError(f"{archive.name} cannot be read: {error}") from error
    actual = hashlib.sha256(data).hexdigest()
    if actual != sha256:
        raise ChecksumError(f"{member} has sha256 {actual}, expected {sha256}")
    return data
