"""Bodies of trainings."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from service.bodies import Name, Request
from service.retraining.desk import TrainingView
from service.wire_messages import rfc3339

CheckName = Literal["base", "audit", "cameras", "calibration", "cost", "labels", "parity"]
CHECKS: tuple[CheckName, ...] = get_args(CheckName)


class TrainingCreate(Request):
    """What is to be trained."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"base": "surveillance", "config": "quick"}]}
    )

    base: Name = Field(description="a network of /v1/models; the version of it that serves learns on")
    config: Literal["quick", "full"] = Field("quick", description="the output alone, or the last blocks too")
    force_count: bool = Field(
        False, description="judge it by however few labels of the audit sample there are, where there is a base set"
    )


class GateCheck(BaseModel):
    """``passed`` null: there is nothing to judge by."""

    name: CheckName
    passed: bool | None
    words: str = Field(
        description="empty for who does not see all streams",
        examples=["macro F1 0.71 → 0.83 on 120 clips of the audit sample, better in 90 % of draws"],
    )


class Gate(BaseModel):
    """Whether a version may take its parent's place, and why not."""

    passed: bool
    checks: list[GateCheck]
    missing: list[str] = Field(
        description="labels of the audit sample; none for who does not see all streams",
        examples=[["38 more from Gate"]],
    )


class Training(BaseModel):
    """One training, from the order to what the gate said."""

    id: str = Field(examples=["trn_0123456789abcdef"])
    base: str = Field(examples=["surveillance"])
    config: str = Field(examples=["quick"])
    force_count: bool
    state: Literal["queued", "running", "paused", "gate", "done", "failed", "cancelled"]
    step: str = Field(description="what is done now, for people", examples=["learning surveillance: epoch 3 of 30"])
    progress: float = Field(description="0..1")
    eta_s: float | None = Field(description="seconds that are left; null while nothing can be told")
    paused_reason: str | None
    created_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    started_at: str | None
    ended_at: str | None
    by: str = Field(description="who asked for it", examples=["anna"])
    reason: str = Field(description="how it ended, for people")
    version: str | None = Field(description="what it made", examples=["surveillance@2"])
    gate: Gate | None


def to_training(view: TrainingView) -> Training:
    record = view.record
    fields: dict[str, Any] = {name: getattr(record, name) for name in _SAME}
    return Training(
        **fields,
        progress=round(record.progress, 4),
        eta_s=None if view.left_s is None else round(view.left_s, 1),
        paused_reason=view.paused,
        created_at=rfc3339(record.created_at),
        started_at=None if record.started_at is None else rfc3339(record.started_at),
        ended_at=None if record.ended_at is None else rfc3339(record.ended_at),
        gate=None if record.gate is None else Gate.model_validate(record.gate),
    )


_SAME = ("id", "base", "config", "force_count", "state", "step", "by", "reason", "version")
