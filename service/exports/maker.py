"""Has a case made by a process of its own: hears how far it is, ends it, says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

from service.errors_base import ServiceError
from service.exports.job import CaseJob, Made, Report, pack, unpack

_LINE_LIMIT = 1 << 16
_WORDS_LIMIT = 4096  # of what it says when it fails
_DROPPED_PREFIX = "ACTOSCOPE_"  # a child is no place for our settings


class CaseFailed(ServiceError, RuntimeError):
    """The case could not be made; the message is for whoever asked for it."""


class CaseMaker:
    """One process, one case. ``run`` once; ``end`` any time. ``done``: part of the work, 0..1."""

    def __init__(self, job: CaseJob) -> None:
        self._job = job
        self.done = 0.0
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> Made:
        """Raises CaseFailed, OSError. However this is left, the process is gone then."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED_PREFIX)}
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service.exports.export_process"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            limit=_LINE_LIMIT,
            start_new_session=True,  # Ctrl-C is the service's business
        )
        try:
            return await self._follow(process)
        finally:
            self.end()
            await process.wait()

    def end(self) -> None:
        """At once; what it has written so far is for whoever asked to remove."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _follow(self, process: asyncio.subprocess.Process) -> Made:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise TypeError("expected pipes to the process")
        words = asyncio.create_task(_last_words(process.stderr))
        try:
            with contextlib.suppress(ConnectionError):  # it is gone already; its status says why
                process.stdin.write(pack(self._job) + b"\n")
                await process.stdin.drain()
            made = await self._reports(process.stdout)
            status = await process.wait()
            said = await words
        finally:
            words.cancel()
        if status != 0 or made is None:
            raise CaseFailed(said or f"its process ended with status {status}")
        return made

    async def _reports(self, out: asyncio.StreamReader) -> Made | None:
        """→ the last one; None where the process ended before."""
        async for line in out:
            report = unpack(line, Report)
            self.done = report.done
            if report.made is not None:
                return report.made
        return None


async def _last_words(stderr: asyncio.StreamReader) -> str:
    """→ its last line, read to the end so that no pipe fills up."""
    kept = b""
    while piece := await stderr.read(_WORDS_LIMIT):
        kept = (kept + piece)[-_WORDS_LIMIT:]
    lines = kept.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""
