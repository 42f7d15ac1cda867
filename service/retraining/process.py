"""The process of one training: started, heard, paused, and gone when this is left, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pipeline.python_child import ROOT

log = logging.getLogger(__name__)

MODULE = "models.retraining.child"
LOG_FILE, ORDER_FILE = "log.txt", "order.json"
MAX_LINE = 1 << 20
PAUSE, GO = b"pause\n", b"go\n"
_DROPPED_PREFIX = "ACTOSCOPE_"  # all that it needs stands in its order


class TrainingProcess:
    """``messages`` ends when the process does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def messages(self) -> AsyncIterator[Mapping[str, Any]]:
        """What it tells, one object a line; what is none is logged and passed over."""
        output = self._process.stdout
        while output is not None:
            try:
                line = await output.readline()
            except ValueError:  # longer than MAX_LINE
                log.warning("training process %d: a line of more than %d bytes is passed over", self.pid, MAX_LINE)
                continue
            if not line:
                return
            message = _object(line)
            if message is None:
                log.warning("training process %d says %r", self.pid, line[:200])
            else:
                yield message

    async def end(self) -> int:
        """→ its exit status, negative for a signal."""
        return await self._process.wait()

    def say(self, order: bytes) -> None:
        """``PAUSE`` or ``GO``; one that is gone hears nothing."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(order)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[TrainingProcess]:
    """The process of the order in ``folder``, where its log is kept too. Raises OSError where none can be started."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_DROPPED_PREFIX)}
    paths = [ROOT, environment.get("PYTHONPATH", "")]
    with (folder / LOG_FILE).open("ab") as complaints:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            MODULE,
            str(folder / ORDER_FILE),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=complaints,
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            start_new_session=True,
            limit=MAX_LINE,
        )
    started = TrainingProcess(process)
    try:
        yield started
    finally:
        started.kill()
        await process.wait()


def _object(line: bytes) -> Mapping[str, Any] | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
