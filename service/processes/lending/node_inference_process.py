"""The inference process of a cluster's node: that of one machine, and beside it clips that go to other nodes and come
from them. Started as ``python -m service.processes.lending.node_inference_process FD``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from service.engine import InferenceEngine
from service.processes.child import leave, start_child
from service.processes.inference_process import InferenceServer, run
from service.processes.ipc import Channel
from service.processes.lending.borrower import Borrowing
from service.processes.lending.door import Door
from service.processes.lending.lender import Lending
from service.processes.messages import MessageChannel
from service.processes.nodes import LendingSetup, NodeInferenceSetup, UseLenders

log = logging.getLogger(__name__)


class NodeInferenceServer(InferenceServer):
    """Lends where ``lending`` names a host, and borrows as it says."""

    def __init__(self, engine: InferenceEngine, address: str, lending: LendingSetup) -> None:
        super().__init__(engine, address)
        self._lending = Lending(engine, self._scheduler, self._planner.spare, self._connections)
        self._borrowing = Borrowing(lending, engine.measures, self._scheduler.offer, self.shadow.tried)
        self._door = _door(lending)
        self.loans = self._planner.loans = self._borrowing
        self._planner.lent, self._lending.asked = self._lending.networks, self._planner.networks
        self.lends_at = "" if self._door is None else self._door.address

    def _bodies(self) -> dict[str, Callable[[], None]]:
        bodies, door = super()._bodies(), self._door
        return bodies if door is None else {**bodies, "lend": lambda: door.run(self._lend)}

    def _lend(self, channel: Channel) -> None:
        """For as long as one stream of another node is connected, on its own thread."""
        number = next(self._numbers)
        connection = self._connections[number] = self._lending.connect(number, MessageChannel(channel))
        self._serve(connection, self._lending.handle)

    def _left(self, number: int) -> None:
        super()._left(number)
        self._lending.leave(number)

    def tick(self) -> None:
        super().tick()
        self._lending.end_silent()

    def report(self) -> dict[str, Any]:
        self._borrowing.measure()
        self._lending.measure()
        if self._door is not None:
            for cause, count in self._door.turned_away.items():
                self._measures.set_counter(f"loans_turned_away_total:{cause}", count)
        return super().report()

    def close(self) -> None:
        self._borrowing.close()
        if self._door is not None:
            self._door.close()
        super().close()


def _door(lending: LendingSetup) -> Door | None:
    """None where nothing is to be lent, or nobody could reach it: cameras go on all the same."""
    if not lending.host:
        return None
    try:
        return Door(lending.host, lending.token, lending.port)
    except OSError as error:
        log.error("clips of other nodes are not classified here, nothing can listen at %s: %s", lending.host, error)
        return None


def main(argv: list[str]) -> int:
    """Entry point; see the module's text. Returns the exit status."""
    link = start_child(int(argv[1]), NodeInferenceSetup)

    def server_of(engine: InferenceEngine) -> NodeInferenceServer:
        server = NodeInferenceServer(engine, link.setup.address, link.setup.lending)
        link.on(UseLenders, lambda told: server.loans.use(told.lenders))
        return server

    return run(link, server_of)


if __name__ == "__main__":
    leave(main(sys.argv))
