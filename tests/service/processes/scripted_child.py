"""Runners over scripted child processes in place of the real ones."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from service.processes import managed_child
from service.processes.child_process import ChildProcess
from service.processes.managed_child import ManagedChild
from service.processes.messages import ChildSetup


class Scripted:
    """``script`` gives the processes of a runner's class another body; ``pids`` are those that were started."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._monkeypatch = folder, monkeypatch
        self.pids: list[int] = []
        monkeypatch.setenv("PYTHONPATH", f"{folder}:{':'.join(p for p in sys.path if p)}")
        pids = self.pids

        class Counted(ChildProcess):
            @classmethod
            async def start(cls, module: str, setup: ChildSetup) -> ChildProcess:
                child = await ChildProcess.start(module, setup)
                pids.append(child.pid)
                return child

        monkeypatch.setattr(managed_child, "ChildProcess", Counted)

    def script(self, runner: type[ManagedChild], body: str) -> None:
        (self._folder / "scripted_process.py").write_text(textwrap.dedent(body))
        self._monkeypatch.setattr(runner, "module", "scripted_process")

    @property
    def alive(self) -> list[int]:
        return [pid for pid in self.pids if Path(f"/proc/{pid}").exists()]


async def wait_for(condition: Callable[[], bool]) -> None:
    async def poll() -> None:
        while not condition():
            await asyncio.sleep(0.02)

    await asyncio.wait_for(poll(), 20)
