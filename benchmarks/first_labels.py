"""What a new user sees: how long after the first picture people carry labels, in a real browser.

    python benchmarks/first_labels.py [--cores 1 2] [--isas avx2] [--cold] [--screenshot FILE] [--write-docs]

Each row starts `actoscope serve --sample`, as `make run` does, with a fresh data folder on the first so many cores, and
opens its page as soon as the service answers. The browser runs on any core. Every picture that the page draws is noted
with the people drawn in it. *Picture* is from the start of the process to the first of them; the other times are from
there on: to the first label, and to the first picture in which everybody who has been in view for over 3 s carries one.

Networks are converted and costs are measured before, as on every start but the first; ``--cold`` is the first.
``--isas avx2`` as in benchmarks/live.py. Prints a table, writes benchmarks/results/first_labels.json, where rows that
are not measured again stay, and with --write-docs puts it into docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
if str(REPOSITORY) not in sys.path[:1]:  # before this folder, whose pipeline.py would hide the package of that name
    sys.path.insert(0, str(REPOSITORY))

from benchmarks import document  # noqa: E402  # the repository root is on the path only now
from benchmarks.live import CACHE, PAGE, commit, isas_asked, prepared, read  # noqa: E402
from benchmarks.live_cameras import family, machine  # noqa: E402
from benchmarks.live_cameras.isa import limited  # noqa: E402
from benchmarks.live_cameras.rows import AVX2, NATIVE, Result, Row, Wanted, keep, plan  # noqa: E402
from benchmarks.live_cameras.service_run import end  # noqa: E402
from benchmarks.live_cameras.videos import SAMPLE_NAME  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402
from tests.support.chromium import chromium  # noqa: E402
from tests.support.service import Service  # noqa: E402

MARKS = document.marks("benchmarks/first_labels.py")
IN_VIEW_S = 3.0
FIRST_PICTURE_S = 300.0  # a network that is converted first takes minutes
LOOK_MS = 250
SIZE = {"width": 1600, "height": 1000}
HEAD = ("start", "processor", "picture s", "first label s", "everybody s", "people then")

# The page's own tiles draw; whoever is in view there has a box, and a label where an action is known.
NOTE = """
window.drawn = [];
addEventListener("DOMContentLoaded", async () => {
  const { Tile } = await import("./web/tile.js");
  const { show } = Tile.prototype;
  Tile.prototype.show = function (scene, bitmap) {
    show.call(this, scene, bitmap);
    const people = this.people().map(({ track_id, action }) => [track_id, action !== null]);
    window.drawn.push({ at: performance.timeOrigin + performance.now(), people });
  };
});
"""
TAKE = "() => window.drawn.splice(0)"


@dataclass(frozen=True, slots=True)
class Drawn:
    """One picture of the page. ``at_s``: when, in seconds of the Unix epoch; ``labelled``: by ID of who is in it."""

    at_s: float
    labelled: Mapping[int, bool]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: from the process's start to the first picture, then from that on; None: not while it was looked at.

    ``people``: who were in view for over 3 s and all carried labels, at ``everybody_s``.
    """

    picture_s: float | None = None
    label_s: float | None = None
    everybody_s: float | None = None
    people: int | None = None


def times(pictures: Sequence[Drawn], began_s: float) -> Times:
    """``began_s``: when the process was started, as ``Drawn.at_s``."""
    if not pictures:
        return Times()
    first_s = pictures[0].at_s
    label_s = next((each.at_s - first_s for each in pictures if any(each.labelled.values())), None)
    for each, known in zip(pictures, _long_in_view(pictures), strict=True):
        if known and all(each.labelled[person] for person in known):
            return Times(first_s - began_s, label_s, each.at_s - first_s, len(known))
    return Times(first_s - began_s, label_s)


def _long_in_view(pictures: Sequence[Drawn]) -> list[list[int]]:
    """→ of each picture, those who were in all pictures of more than the last 3 s."""
    since: dict[int, float] = {}
    found = []
    for each in pictures:
        since = {person: since.get(person, each.at_s) for person in each.labelled}
        found.append([person for person, then_s in since.items() if each.at_s - then_s > IN_VIEW_S])
    return found


def watched(row: Row, cache: Path, folder: Path, browser: Any, options: argparse.Namespace) -> Times:
    """One start. Raises AssertionError (with the service's log) where the service does not answer."""
    service = Service(folder, folder / "cold" if row.cold else cache, runtime="auto")  # what `make run` has
    service.arguments = ("--sample",)
    service.environment.update(limited(row.isa))
    with contextlib.closing(service.client):
        began_s = time.time()
        try:
            with family.started_on(sorted(os.sched_getaffinity(0))[: row.cores]):
                service.start(ready=False)
            return look(browser, service.url, began_s, options)
        finally:
            end(service)


def look(browser: Any, url: str, began_s: float, options: argparse.Namespace) -> Times:
    """Opens the page and looks until everybody has a label, or for ``patience`` seconds after the first picture."""
    context = browser.new_context(viewport=SIZE)
    page = context.new_page()
    page.add_init_script(NOTE)
    page.goto(url)
    pictures: list[Drawn] = []
    seen = Times()
    while seen.everybody_s is None and time.time() < _latest_s(pictures, began_s, options.patience):
        page.wait_for_timeout(LOOK_MS)
        pictures += [Drawn(each["at"] / 1000, dict(each["people"])) for each in page.evaluate(TAKE)]
        seen = times(pictures, began_s)
    if options.screenshot is not None:
        page.screenshot(path=options.screenshot)
    context.close()
    return seen


def _latest_s(pictures: Sequence[Drawn], began_s: float, patience_s: float) -> float:
    return pictures[0].at_s + patience_s if pictures else began_s + FIRST_PICTURE_S


def measured(row: Row, browser: Any, options: argparse.Namespace) -> dict[str, Any]:
    """→ the row's result: all runs. One that failed says why."""
    about = {"row": row.name, **asdict(row), "cpu": machine.cpu(), "commit": commit()}
    runs = []
    try:
        for _ in range(options.repeats):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(asdict(watched(row, options.cache, Path(folder), browser, options)))
            print(f"{row.name}: {runs[-1]}", flush=True)
    except (AssertionError, OSError) as error:
        print(f"{row.name}: {error}", flush=True)
        return {**about, "problem": f"{type(error).__name__}: {error}"[:2000]}
    return {**about, "runs": runs}


def markdown(results: Sequence[Result]) -> str:
    return document.lines(HEAD, map(_cells, results))


def _cells(result: Result) -> tuple[str, ...]:
    about = result["row"], result["cpu"]
    if result.get("problem"):
        return (*about, f"none: {result['problem'][:80]}", "", "", "")
    names = ("picture_s", "label_s", "everybody_s", "people")
    return (*about, *(_spread([run[name] for run in result["runs"]]) for name in names))


def _spread(values: Sequence[float | None]) -> str:
    """→ the median, and least and most of several; a run without a value counts as longer than any."""
    known = sorted(float("inf") if value is None else value for value in values)
    texts = [_text(value) for value in (statistics.median_low(known), known[0], known[-1])]
    return texts[0] if len(known) == 1 else f"{texts[0]} ({texts[1]} … {texts[2]})"


def _text(value: float) -> str:
    return "never" if value == float("inf") else f"{value:.3g}"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--cores", nargs="*", default=(), type=int, metavar="N", help="default: 2")
    made.add_argument("--isas", nargs="*", default=(NATIVE,), choices=(NATIVE, AVX2), metavar="NAME")
    made.add_argument("--cold", action="store_true", help="a first start: nothing is converted or measured yet")
    made.add_argument("--repeats", type=int, default=3, help="starts of each row (default: %(default)s)")
    made.add_argument("--patience", type=float, default=60.0, help="seconds from the first picture on to look at most")
    made.add_argument("--cache", type=Path, default=CACHE, help="folder of converted networks")
    made.add_argument("--screenshot", type=Path, help="where the page as it was at last is kept (PNG)")
    made.add_argument("--json", type=Path, default=REPOSITORY / "benchmarks" / "results" / "first_labels.json")
    made.add_argument("--write-docs", action="store_true", help="put the table into docs/performance.md")
    return made


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    wanted = Wanted((SAMPLE_NAME,), (), options.cores, options.isas, cold=options.cold)
    there = isas_asked(options.isas, options.cache)
    results = read(options.json)
    rows = plan(wanted, len(os.sched_getaffinity(0)), there)
    if not options.cold:
        prepared(options.cache)
    with chromium() as browser:
        for row in rows:
            results = keep(results, measured(row, browser, options))
            write_atomically(options.json, json.dumps({"rows": results}, indent=1) + "\n")
    print(markdown(results))
    if options.write_docs:
        document.put_table(PAGE, markdown(results), MARKS)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the service ends with it
    sys.exit(main())
