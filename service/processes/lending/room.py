"""How much other nodes may have: what own streams leave of the classifying thread's time, and not more.

That thread is what clips wait for, on a GPU as on a CPU, and how long one takes it is measured while everything else
runs. Own streams come first: while they stand on the lighter network nothing is lent. Loans that were granted stay as
long as they fit with the widest hops; then the newest goes. What room there is shortens the hops of all loans alike.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from service.budget.ladder import HOPS_S
from service.budget.plan import StreamLoad
from service.processes.lending.loan_messages import LoanTerms

UP_ROOM = 0.85  # a further loan must fit into this part of what is left
WIDEST = HOPS_S[-1]


@dataclass
class _Loan:
    model: str
    load: StreamLoad
    granted: bool = False


class Room:
    """Thread-safe. ``spare``: parts of the classifying thread's time that own streams leave, None: they have less than
    the full network. ``clip_s``: how long a clip of a network takes that thread.
    """

    def __init__(self, spare: Callable[[], float | None], clip_s: Callable[[str], float]) -> None:
        self._spare = spare
        self._clip_s = clip_s
        self._lock = threading.Lock()
        self._loans: dict[int, _Loan] = {}  # the oldest first

    def __len__(self) -> int:
        """How many loans are granted."""
        with self._lock:
            return sum(loan.granted for loan in self._loans.values())

    @property
    def open(self) -> bool:
        """Whether anything is lent: own streams do not stand on the lighter network."""
        return self._spare() is not None

    def leave(self, number: int) -> None:
        with self._lock:
            self._loans.pop(number, None)

    def terms(self, number: int, model: str, load: StreamLoad) -> LoanTerms:
        """→ what the stream ``number`` gets that has this load now."""
        with self._lock:
            mine = self._loans.setdefault(number, _Loan(model, load))
            mine.model, mine.load = model, load
            spare = self._spare()
            granted = self._settled(spare or 0.0)
            if mine.granted:
                fitting = (hops for hops in HOPS_S if self._need(granted, hops) <= (spare or 0.0))
                return LoanTerms(True, *next(fitting, WIDEST))
        why = "its own cameras have the lighter network" if spare is None else "it has no room"
        return LoanTerms(False, reason=f"{why}; a clip takes {self._clip_s(model):.2g} s there")

    def _settled(self, spare: float) -> list[_Loan]:
        """→ the loans that are granted from now on."""
        granted = [loan for loan in self._loans.values() if loan.granted]
        while granted and self._need(granted, WIDEST) > spare:
            granted.pop().granted = False
        for loan in self._loans.values():
            if not loan.granted and self._need([*granted, loan], WIDEST) <= UP_ROOM * spare:
                loan.granted = True
                granted.append(loan)
        return granted

    def _need(self, loans: Iterable[_Loan], hops_s: tuple[float, float]) -> float:
        """→ parts of the thread's time."""
        return sum(_clips(loan.load, hops_s) * self._clip_s(loan.model) for loan in loans)


def _clips(load: StreamLoad, hops_s: tuple[float, float]) -> float:
    """→ clips a second; of one person where nobody is there, who may come at any moment."""
    settled = min(load.settled, load.people)
    moving = max(load.people, 1.0) - settled
    return moving / hops_s[0] + settled / hops_s[1]
