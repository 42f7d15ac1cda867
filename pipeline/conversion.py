"""Networks of torch made ready for OpenVINO: by a child process, once, the result kept in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.errors import ChildError, DetectorError
from pipeline.files import default_cache_dir, kept_folder
from pipeline.python_child import run_python

TIMEOUT_S = 600.0


def converted(cache_dir: Path | None, name: str, key: Mapping[str, str], convert: Callable[[Path], None]) -> Path:
    """The folder with the result of ``convert(folder)`` for this ``key``: made at the first call, found at later ones.

    Raises DetectorError when the conversion fails or the folder cannot be written.
    """
    digest = hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()[:16]
    root = (cache_dir or default_cache_dir()) / "openvino"
    try:
        return kept_folder(root, f"{name}-{digest}", convert)
    except OSError as error:
        raise DetectorError(f"cannot write converted networks to {root}: {error.strerror or error}") from error


def run_statement(statement: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """Run one Python statement in a process of its own, so that what it imports (torch) leaves with it.

    ``arguments`` are its ``sys.argv[1:]``. Raises DetectorError with the end of its output when it fails.
    """
    try:
        run_python(["-c", statement, *arguments], timeout_s=TIMEOUT_S, environment=environment)
    except ChildError as error:
        if error.timed_out:
            raise DetectorError(f"converting a network took more than {TIMEOUT_S:.0f} s") from error
        raise DetectorError(f"converting a network failed:\n{error.tail(6)}") from error
