"""One retraining as a process that makes room for everybody else: ``python -m models.retraining.child ORDER.json``.

It has niceness 10 and one core. On stdout it writes JSON lines, ``{"progress": …}``, then ``{"outcome": …}`` or
``{"failed": words}``; on stdin it hears ``pause`` and ``go``. When stdin closes whoever started it is gone, and so is
it, at once: whatever it makes appears whole or not at all.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from models.errors import ModelsError
from models.retraining.order import read_order

NICENESS = 10


def make_room() -> None:
    """Nice, and on one core of those that it may have."""
    os.nice(NICENESS)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


if __name__ == "__main__":
    make_room()  # before libraries come, which start a thread for each core that they see

from models.retraining.retrain import retrain  # noqa: E402

ALONE = 70  # exit status: nobody listens any more
TOLD_EVERY_S = 0.5
STDIN = 0
PAUSE, GO = b"pause", b"go"


class Voice:
    """Writes the lines, and holds the work up while it is paused."""

    def __init__(self, output: IO[str]) -> None:
        self._output = output
        self._told_s = -TOLD_EVERY_S
        self.may_go = threading.Event()
        self.may_go.set()

    def progress(self, what: str, share: float, left_s: float | None) -> None:
        self.may_go.wait()
        if time.monotonic() - self._told_s >= TOLD_EVERY_S or share >= 1:
            self._told_s = time.monotonic()
            self.tell({"progress": {"what": what, "share": share, "left_s": left_s}})

    def tell(self, message: Mapping[str, Any]) -> None:
        self._output.write(json.dumps(message) + "\n")
        self._output.flush()

    def listen(self, descriptor: int) -> None:
        """Until there is nobody who could give an order; then ends the process.

        Not by ``sys.stdin``, whose lock a thread that waits there would hold while Python shuts down.
        """
        rest = b""
        while got := os.read(descriptor, 4096):
            *lines, rest = (rest + got).split(b"\n")
            for line in lines:
                if line.strip() == PAUSE:
                    self.may_go.clear()
                elif line.strip() == GO:
                    self.may_go.set()
        os._exit(ALONE)


def main(arguments: Sequence[str]) -> int:
    """→ exit status; why it failed is told on stdout, for people, and on stderr whole."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no line of ours
    voice = Voice(output)
    threading.Thread(target=voice.listen, args=(STDIN,), daemon=True, name="orders").start()
    try:
        voice.tell({"outcome": _work(Path(arguments[0]), voice)})
    except (ModelsError, OSError) as error:
        voice.tell({"failed": str(error)})
        return 1
    except Exception as error:  # noqa: BLE001 - this process's outermost frame
        traceback.print_exc()
        voice.tell({"failed": f"{type(error).__name__}: {error}"})
        return 1
    return 0


def _work(order: Path, voice: Voice) -> dict[str, Any]:
    outcome = retrain(read_order(order), lambda line: print(line, file=sys.stderr), voice.progress)  # noqa: T201
    return {**asdict(outcome), "gate": outcome.gate.model_dump(mode="json")}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
