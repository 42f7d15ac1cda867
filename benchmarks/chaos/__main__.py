"""The reliability targets that need a whole service, run for as long as it takes to believe them.

    python -m benchmarks.chaos [T1 T5 T6 T7 T8] [--kills 100] [--soak-minutes 30] [--seed 7] [--short]

T1 kills processes at random while cameras are recorded, T5 sends malformed requests and corrupt media past a port that
nothing may reach, T6 lets a camera die and come back and looks for what grows, T7 lets websocket subscribers get stuck
among healthy ones, T8 fills the disk. Each prints as it goes and keeps its figures in benchmarks/results/chaos.json
after every step, so that an interrupted run loses nothing; at the end the table goes to docs/reliability.md as well.
Needs GStreamer's RTSP server for cameras, and for T8 the right to mount a small file system. ``--short``: what CI runs;
its figures go to chaos-short.json, and the document stays as it is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import document
from benchmarks.chaos import table
from benchmarks.chaos.figures import Figures, Keep, Results, passed
from benchmarks.chaos.targets import TARGETS, Wanted, scaled
from pipeline.files import write_atomically
from tests.support.places import REPOSITORY

CACHE = REPOSITORY / ".cache" / "tests"  # converted networks, as the end-to-end tests have them
RESULTS = REPOSITORY / "benchmarks" / "results" / "chaos.json"
SHORT_RESULTS = RESULTS.with_name("chaos-short.json")  # git ignores it
PAGE = REPOSITORY / "docs" / "reliability.md"


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    results = Results(options.json or (SHORT_RESULTS if options.short else RESULTS))
    wanted = Wanted(options.kills, options.soak_minutes, seed=options.seed)
    names = list(dict.fromkeys(options.targets or TARGETS))
    for name in names:
        figures = _run(name, scaled(wanted) if options.short else wanted, results)
        print(f"{name} {'passed' if passed(figures) else 'FAILED'}: {dict(figures)}\n", flush=True)
    print(table.plain(results.latest))
    if not options.short:
        text = document.with_table(PAGE.read_text("utf-8"), table.markdown(results.targets), table.MARKS)
        write_atomically(PAGE, text)
    return 0 if all(passed(results.latest[name]) for name in names) else 1


def _run(name: str, wanted: Wanted, results: Results) -> Mapping[str, Any]:
    """One target in a folder of its own. A run that breaks off, for whatever reason, is a failure that says so: the
    other targets and the table still come."""
    run: Callable[[Path, Path, Wanted, Keep], Figures] = TARGETS[name]
    keep = results.keeper(name, {"seed": wanted.seed})
    with tempfile.TemporaryDirectory(prefix=f"chaos-{name}-", ignore_cleanup_errors=True) as folder:
        try:
            return run(Path(folder), CACHE, wanted, keep)
        except Exception as error:  # noqa: BLE001 - the outermost frame of a target: it fails, and is written down
            so_far = results.latest.get(name, {})
            failures = [*so_far.get("failures", []), _why(error)]
            keep({**so_far, "failures": failures, "complete": False})
            return results.latest[name]


def _why(error: Exception) -> str:
    """→ one line; what the waiting parts raise is a sentence already. The rest goes to the terminal with its origin."""
    if isinstance(error, AssertionError):
        return str(error)[:1500]
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"[:1500]


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {' '.join(TARGETS)}; default: all")
    options.add_argument("--kills", type=int, default=100, help="of T1")
    options.add_argument("--soak-minutes", type=float, default=30.0, help="of T6")
    options.add_argument("--seed", type=int, default=7, help="of everything that is drawn by chance")
    options.add_argument("--short", action="store_true", help="a few minutes in all; writes no document")
    options.add_argument("--json", type=Path, help="default: chaos.json or chaos-short.json in benchmarks/results")
    return options


if __name__ == "__main__":
    sys.exit(main())
