"""At which ports a machine's part of the cluster listens, where they are to be known beforehand: 100 in a row.

Ray's own programs listen at every address of their machine, whatever they are told: a firewall has to hold them.
"""

from __future__ import annotations

from dataclasses import dataclass

COUNT = 100
_WORKERS = 10  # before them; a process that speaks to Ray takes one each


@dataclass(frozen=True, slots=True)
class Ports:
    """``first`` of them, 0: any that are free."""

    first: int = 0

    @property
    def calls(self) -> int:
        """→ where a node's agent takes the leader's calls, at the machine's address alone; 0: any."""
        return self.first

    @property
    def loans(self) -> int:
        """→ where a node takes others' clips, at the machine's address alone; 0: any."""
        return self.first and self.first + 1

    def overlap(self, port: int) -> bool:
        return self.first > 0 and self.first <= port < self.first + COUNT

    def ray_options(self) -> list[str]:
        """→ words for ``ray start``."""
        if not self.first:
            return ["--dashboard-agent-listen-port=0"]  # any: several of them may share a host
        named = {
            "node-manager": 2,
            "object-manager": 3,
            "runtime-env-agent": 4,
            "dashboard-agent-grpc": 5,
            "dashboard-agent-listen": 6,
            "metrics-export": 7,
            "min-worker": _WORKERS,
            "max-worker": COUNT - 1,
        }
        return [f"--{name}-port={self.first + place}" for name, place in named.items()]
