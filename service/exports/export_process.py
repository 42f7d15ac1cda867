"""The process that makes one case: ``python -m service.exports.export_process``.

One line of JSON on stdin is the job; stdin stays open then, and its end means that the service is gone. Lines on stdout
are ``Report``; what went wrong stands on stderr, in one sentence.
"""

from __future__ import annotations

import os
import sys
import threading

import cv2

from service.exports.case import write_case
from service.exports.job import CaseJob, Report, pack, unpack

NICENESS = 10
EXIT_FAILED = 1


def main() -> int:
    os.nice(NICENESS)
    cv2.setNumThreads(1)
    job = unpack(sys.stdin.buffer.readline(), CaseJob)
    threading.Thread(target=_end_with_the_service, name="service", daemon=True).start()
    try:
        made = write_case(job, lambda done: _tell(Report(done)))
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else None
        sys.stderr.write(f"{said or error}\n")
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the outermost frame: the interpreter's own way out would wait for stdin
        sys.stderr.write(f"an error of the service: {type(error).__name__}: {error}\n")
        return EXIT_FAILED
    _tell(Report(1.0, made))
    return 0


def _tell(report: Report) -> None:
    sys.stdout.buffer.write(pack(report) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_the_service() -> None:
    sys.stdin.buffer.read()
    os._exit(EXIT_FAILED)


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # the interpreter's own way out would wait for whoever reads stdin
