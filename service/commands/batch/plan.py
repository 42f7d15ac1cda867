"""What AWS Batch is asked for: a job for every fold, and one that compares them, as its API takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.errors import TrainingError

MOST_FOLDS = 10_000  # array jobs have 2 to 10,000 children
Request = dict[str, Any]
# A machine that is taken away, and exit status 75, are worth another attempt. What is not named would be tried again.
RETRY: Mapping[str, Sequence[Mapping[str, str]]] = {
    "evaluateOnExit": (
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onExitCode": "75", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    )
}


@dataclass(frozen=True, slots=True)
class Plan:
    """``run`` and ``reduce``: words behind ``actoscope``. ``environment``: what the containers are told besides."""

    name: str
    queue: str
    definition: str
    folds: int
    run: tuple[str, ...]
    reduce: tuple[str, ...]
    attempts: int = 5
    timeout_s: int = 24 * 3600
    environment: Mapping[str, str] | None = None

    def training(self) -> Request:
        """One job, or an array of them. Raises TrainingError for more folds than there may be."""
        if self.folds > MOST_FOLDS:
            raise TrainingError(f"expected at most {MOST_FOLDS} folds, got {self.folds}")
        array = {"arrayProperties": {"size": self.folds}} if self.folds > 1 else {}
        return {**self._job(self.name, self.run), **array}

    def comparing(self, training: str) -> Request | None:
        """``training``: the id of the other job, every child of which must have succeeded. None: nothing to compare."""
        if self.folds < 2:
            return None
        return {**self._job(f"{self.name}-reduce", self.reduce), "dependsOn": [{"jobId": training}]}

    def _job(self, name: str, words: Sequence[str]) -> Request:
        environment = [{"name": key, "value": value} for key, value in (self.environment or {}).items()]
        return {
            "jobName": name,
            "jobQueue": self.queue,
            "jobDefinition": self.definition,
            "containerOverrides": {"command": list(words), "environment": environment},
            "retryStrategy": {"attempts": self.attempts, "evaluateOnExit": [dict(r) for r in RETRY["evaluateOnExit"]]},
            "timeout": {"attemptDurationSeconds": self.timeout_s},
        }
