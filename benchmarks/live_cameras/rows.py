"""Which rows benchmarks/live.py measures, and which of them are measured already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from benchmarks.live_cameras.videos import SAMPLE_NAME

NATIVE, AVX2 = "native", "avx2"
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Row:
    """One run of the service. ``load``: busy processes beside it; ``cold``: nothing converted or measured before."""

    video: str
    cameras: int = 1
    cores: int = 2
    isa: str = NATIVE
    load: int = 0
    tier: str = AUTO
    cold: bool = False

    @property
    def name(self) -> str:
        parts = [f"{self.video} ×{self.cameras}", f"{self.cores} core{'s' if self.cores > 1 else ''}", self.isa]
        parts += [f"load {self.load}"] if self.load else []
        parts += [f"tier {self.tier}"] if self.tier != AUTO else []
        return ", ".join([*parts, *(["cold"] if self.cold else [])])


DEFAULT = (
    Row(SAMPLE_NAME),
    Row(SAMPLE_NAME, cold=True),
    Row(SAMPLE_NAME, load=1),
    Row(SAMPLE_NAME, cores=1),
    Row("people-5"),
    Row("people-5", cores=1),
    Row("people-2"),
    Row("people-10"),
    Row("people-20"),
    Row("people-4", cameras=2),
    Row("people-2", cameras=4),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for; empty: not asked. Any list that is given makes a product with the defaults."""

    videos: Sequence[str] = ()
    cameras: Sequence[int] = ()
    cores: Sequence[int] = ()
    isas: Sequence[str] = ()
    loads: Sequence[int] = ()
    tier: str = AUTO
    cold: bool = False


def plan(wanted: Wanted, cores_here: int, isas_here: Sequence[str]) -> list[Row]:
    """→ the rows in order. Raises ValueError for more cores than there are.

    ``isas_here`` are the instruction sets that make a difference on this machine (``isa.distinct``); others asked for
    are left out, since their rows would measure the same again.
    """
    rows = _product(wanted) if _asks(wanted) else [replace(row, tier=wanted.tier) for row in DEFAULT]
    too_many = max((row.cores for row in rows), default=0)
    if _asks(wanted) and too_many > cores_here:
        raise ValueError(f"expected at most the {cores_here} cores of this machine, got {too_many}")
    isas = [isa for isa in (wanted.isas or isas_here) if isa in isas_here] or [NATIVE]
    fitting = [replace(row, isa=isa) for isa, row in product(isas, rows) if row.cores <= cores_here]
    return list(dict.fromkeys(fitting))


def _asks(wanted: Wanted) -> bool:
    return bool(wanted.videos or wanted.cameras or wanted.cores or wanted.loads or wanted.cold)


def _product(wanted: Wanted) -> list[Row]:
    axes = (wanted.videos or (SAMPLE_NAME,), wanted.cameras or (1,), wanted.cores or (2,), wanted.loads or (0,))
    return [Row(video, n, cores, NATIVE, load, wanted.tier, wanted.cold) for video, n, cores, load in product(*axes)]


Result = Mapping[str, Any]


def missing(rows: Iterable[Row], results: Iterable[Result], cpu: str, seconds: int) -> list[Row]:
    """→ the rows that were not yet measured on this processor for at least so long, or failed."""
    done = {
        result["row"]
        for result in results
        if result["cpu"] == cpu and not result.get("problem") and result["seconds"] >= seconds
    }
    return [row for row in rows if row.name not in done]


def keep(results: Sequence[Result], new: Result) -> list[Result]:
    """→ the results with ``new`` in the place of the same row of the same processor, or at the end.

    A failure never takes the place of figures.
    """
    same = [i for i, old in enumerate(results) if (old["row"], old["cpu"]) == (new["row"], new["cpu"])]
    if not same:
        return [*results, new]
    if new.get("problem") and not results[same[0]].get("problem"):
        return list(results)
    return [new if i == same[0] else old for i, old in enumerate(results)]
