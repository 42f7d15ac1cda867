"""Which own streams have another node classify their clips, and which node: a loan each, as long as it is needed.

A stream gets its plan with the full network while a loan holds, and the machine's own plan within a second of its end.
What this machine plans for itself stays as it is, so that it can go on at once: its budget counts clips as its own.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from service.budget.plan import Plan, StreamLoad, Tier
from service.counters import Measures
from service.engine import Pictures
from service.processes.connection import Connection
from service.processes.inference_messages import ClipOffer
from service.processes.lending.loan import Borrowed, Loan
from service.processes.nodes import Borrow, Lender, LendingSetup, Loans
from service.processes.scheduler import Key

log = logging.getLogger(__name__)

RETRY_S = 10.0  # a lender that had no room, or failed, is asked again
OPEN_S = 60.0  # so long a lender may take to load the network


class Borrowing(Loans):
    """All methods from any thread; none waits for another machine."""

    def __init__(
        self,
        setup: LendingSetup,
        measures: Measures,
        offer_here: Callable[[Key, str, float], None],
        tried: Callable[[str], str] = lambda _: "",
    ) -> None:
        """``offer_here`` takes offers that no lender will ask for any more. ``tried``: which network is tried on the
        clips of another, "": none.
        """
        self._setup = setup
        self._measures = measures
        self._offer_here = offer_here
        self._tried = tried
        self._lock = threading.Lock()
        self._lenders: Sequence[Lender] = ()
        self._borrowed: dict[int, Borrowed] = {}
        self._loans: dict[int, Loan] = {}
        self._said: dict[str, str] = {}  # stream → the last words about its loans
        self._refused: dict[tuple[str, str], float] = {}  # lender, network → until when it is not asked

    def use(self, lenders: Sequence[Lender]) -> None:
        """Loans at others end: they are to be free of work, or gone."""
        with self._lock:
            self._lenders = tuple(lenders)
            over = [loan for loan in self._loans.values() if loan.lender not in self._lenders]
        for loan in over:
            self._end(loan, "it lends no more")

    def join(self, connection: Connection, model: str, labels: tuple[str, ...]) -> None:
        self.leave(connection.number)
        name = f"{self._setup.name}/{connection.stream_id}"
        with self._lock:
            self._borrowed[connection.number] = Borrowed(connection, name, model, labels, lambda: self._tried(model))

    def leave(self, number: int) -> None:
        with self._lock:
            borrowed = self._borrowed.pop(number, None)
            if borrowed is not None:
                self._said.pop(borrowed.stream, None)
            loan = self._loans.pop(number, None)
        if loan is not None:
            loan.close("the stream has left, or changed its network")

    def close(self) -> None:
        for number in list(self._borrowed):
            self.leave(number)

    # -- what a stream says

    def offer(self, number: int, offer: ClipOffer) -> bool:
        loan = self._loans.get(number)
        return loan is not None and offer.model == loan.borrowed.model and loan.offer(offer.track_id, offer.gain)

    def take(self, number: int, track_id: int, clip: tuple[str, Pictures] | None) -> bool:
        loan = self._loans.get(number)
        return loan is not None and loan.take(track_id, clip)

    def gone(self, number: int, track_id: int) -> None:
        borrowed, loan = self._borrowed.get(number), self._loans.get(number)
        if loan is not None:
            loan.gone(track_id)
        if borrowed is not None:
            borrowed.labelled_s.pop(track_id, None)

    def observe(self, number: int, load: StreamLoad) -> None:
        loan = self._loans.get(number)
        if loan is not None:
            loan.observe(load)

    # -- what the planner asks

    def instead(self, number: int) -> bool:
        loan = self._loans.get(number)
        return self._setup.borrow is Borrow.ALWAYS and loan is not None and loan.granted

    def plan(self, number: int, short: bool, plan: Plan) -> Plan:
        """Begins and ends loans as they are needed; a new one counts once the lender has said its terms."""
        if number not in self._borrowed:
            return plan
        loan = self._loans.get(number)
        if not (self._setup.borrow is Borrow.ALWAYS or (self._setup.borrow is Borrow.AUTO and short)):
            self._end(loan, "this machine can do it by itself")
            return plan
        loan = self._loan(number) if loan is None else loan
        terms = None if loan is None or loan.over else loan.terms
        if loan is None or terms is None:
            if loan is not None and time.monotonic() - loan.opened_s > OPEN_S:
                loan.close(f"no word within {OPEN_S:g} s")
            return plan
        self._say(loan, "classifies its clips")
        reason = f"classified on {loan.lender.name}; here: {plan.reason}"
        return replace(plan, tier=Tier.FULL, hop_s=terms.hop_s, settled_hop_s=terms.settled_hop_s, reason=reason)

    def measure(self) -> None:
        self._measures.gauge("loans_taken", sum(loan.granted for loan in list(self._loans.values())))

    def _end(self, loan: Loan | None, why: str) -> None:
        if loan is None:
            return
        number = loan.borrowed.connection.number
        with self._lock:
            if self._loans.get(number) is loan:
                del self._loans[number]
        loan.close(why)

    def _loan(self, number: int) -> Loan | None:
        """→ a new loan at the first lender that has not refused of late."""
        with self._lock:
            borrowed = self._borrowed.get(number)
            lender = None if borrowed is None else self._lender(borrowed)
            if borrowed is None or lender is None:
                return None
            loan = self._loans[number] = Loan(borrowed, lender, self._setup.token, self._measures, self._over)
        loan.open()
        return loan

    def _lender(self, borrowed: Borrowed) -> Lender | None:
        """Each stream has an order of its own, so that a node's streams spread over all lenders."""
        now = time.monotonic()
        asked = [one for one in self._lenders if self._refused.get((one.name, borrowed.model), 0.0) <= now]
        return min(asked, key=lambda one: _rank(borrowed.stream, one.name), default=None)

    def _say(self, loan: Loan, what: str) -> None:
        """Once, however often it happens."""
        stream, words = loan.borrowed.stream, f"{loan.lender.name} {what}"
        if self._said.get(stream) != words:
            self._said[stream] = words
            log.info("stream %s: %s", stream, words)

    def _over(self, loan: Loan, left: dict[int, float]) -> None:
        """A loan has ended: what was offered there is offered here."""
        number, model = loan.borrowed.connection.number, loan.borrowed.model
        with self._lock:
            by_itself = self._loans.get(number) is loan
            if by_itself:
                del self._loans[number]
                self._refused[loan.lender.name, model] = time.monotonic() + RETRY_S
        if by_itself:
            self._measures.count("loans_ended_total")
            self._say(loan, f"does not classify its clips: {loan.over}")
        if number in self._borrowed:
            for track_id, gain in left.items():
                self._offer_here((number, track_id), model, gain)


def _rank(stream: str, lender: str) -> bytes:
    return hashlib.sha256(f"{stream} {lender}".encode()).digest()
