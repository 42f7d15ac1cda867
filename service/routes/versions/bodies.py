"""Bodies of models and their versions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.promotion.trial import ShadowTrial
from service.routes.retraining.bodies import CHECKS, Gate, GateCheck
from service.versions.pointer import Pointer
from service.versions.shelf import VersionFacts
from service.wire_messages import rfc3339

VersionState = Literal["serving", "shadow", "passed", "refused", "former", "forced"]
Named = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"\S")]
Reason = Annotated[str, StringConstraints(max_length=500)]


class Model(BaseModel):
    """One action network of the weights folder, as the version that serves is."""

    id: str = Field(examples=["surveillance"])
    name: str = Field(examples=["surveillance"])
    kind: str = Field(description="the architecture", examples=["se-i3d"])
    labels: list[str] = Field(examples=[["abseiling", "air drumming"]])
    metrics: dict[str, float] = Field(description="measured by this project")
    provenance: str
    licence: str
    default: bool = Field(description="used by streams that name none")
    version: str = Field(description="the version that serves; events carry it", examples=["surveillance@2"])
    light: str | None = Field(description="the lighter network with the same labels that streams may use instead")
    runtime: str | None = Field(
        description="what it runs on here, and why; null while it is not loaded",
        examples=["OpenVINO 2026.4 bf16 on CPU, 2 threads; chosen on this host: 0.56 of TensorFlow 2.21.0 f32's time"],
    )


class ShadowStream(BaseModel):
    id: str
    name: str
    clips: int
    agreement: float | None = Field(description="share of clips that both versions judged alike")
    alerts_a_day_champion: float = Field(description="events that rules look for, of the version that serves")
    alerts_a_day_challenger: float = Field(description="the same, foretold for the version that is tried")


class Shadow(BaseModel):
    """How a version that is tried does so far, in streams that may be seen."""

    version: str = Field(examples=["surveillance@2"])
    clips: int
    hours: float = Field(description="since the trial began")
    agreement: float | None
    by_stream: list[ShadowStream]
    ready: bool = Field(description="whether that suffices to decide")
    why: str = Field(examples=["it takes 120 more clips and 3.5 more hours"])

    @classmethod
    def of(cls, trial: ShadowTrial | None) -> Shadow | None:
        if trial is None:
            return None
        streams = [
            ShadowStream(
                id=each.id,
                name=each.name,
                clips=each.clips,
                agreement=_rounded(each.agreement),
                alerts_a_day_champion=round(each.alerts_a_day_champion, 2),
                alerts_a_day_challenger=round(each.alerts_a_day_challenger, 2),
            )
            for each in trial.by_stream
        ]
        return cls(
            version=trial.version,
            clips=trial.clips,
            hours=round(trial.hours, 2),
            agreement=_rounded(trial.agreement),
            by_stream=streams,
            ready=trial.ready,
            why=trial.why,
        )


class ModelVersion(BaseModel):
    """One version of a model. Its folder is never changed."""

    version: str = Field(examples=["surveillance@2"])
    number: int
    state: VersionState = Field(
        description="serving; shadow: tried beside it; former: served before; forced: served before though something "
        "spoke against it; passed, or refused by the gate or never shown to it"
    )
    forced: bool = Field(description="it serves, or served, though something spoke against it")
    rolls_back_to: str | None = Field(description="of the one that serves: what a roll-back leads to, if anything")
    parent: str | None = Field(description="the version that it was made from")
    created_at: str = Field(examples=["2026-05-04T03:02:01.123Z"])
    metrics: dict[str, float]
    labels: list[str]
    corrections: int | None = Field(description="how many it learnt from; null where its card does not say")
    gate: Gate | None
    shadow: Shadow | None


class TryVersion(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"version": "surveillance@2"}]})

    version: Named | None = Field(description="null: none is tried any more")


class PromoteVersion(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"version": "surveillance@2", "reason": "better at the gate"}]}
    )

    version: Named
    reason: Reason = Field("", description="for the audit; `force` needs one")
    force: bool = Field(False, description="also where the gate refused it, or labels are missing that are in use")


class RollBack(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "too many alerts"}]})

    reason: Reason = ""


def to_version(facts: VersionFacts, pointer: Pointer, trial: ShadowTrial | None, sees_all: bool) -> ModelVersion:
    """``sees_all``: whoever asks sees every stream; what a gate says names cameras and rules."""
    name = str(facts.name)
    forced = any(each.forced and each.version == name and each.what == "promoted" for each in pointer.history)
    return ModelVersion(
        version=name,
        number=facts.name.number,
        state=_state(facts, pointer, forced),
        forced=forced,
        rolls_back_to=pointer.before() if name == pointer.serving else None,
        parent=facts.parent,
        created_at=rfc3339(facts.created_at),
        metrics=dict(facts.card.metrics),
        labels=list(facts.card.labels),
        corrections=facts.corrections,
        gate=_gate(facts, sees_all),
        shadow=Shadow.of(trial) if trial is not None and trial.version == name else None,
    )


def _state(facts: VersionFacts, pointer: Pointer, forced: bool) -> VersionState:
    name = str(facts.name)
    if name == pointer.serving:
        return "serving"
    if name == pointer.shadow:
        return "shadow"
    if name in pointer.former():
        return "forced" if forced else "former"
    return "passed" if facts.passed or facts.name.number == 1 else "refused"


def _gate(facts: VersionFacts, with_words: bool) -> Gate | None:
    """The file is another program's: what does not belong there is left out."""
    if facts.gate is None:
        return None
    checks = [
        GateCheck(
            name=each["name"],
            passed=each["passed"] if isinstance(each.get("passed"), bool) else None,
            words=str(each.get("words", "")) if with_words else "",
        )
        for each in facts.gate.get("checks", ())
        if isinstance(each, dict) and each.get("name") in CHECKS
    ]
    missing = [str(each) for each in facts.gate.get("missing", ())] if with_words else []
    return Gate(passed=facts.passed, checks=checks, missing=missing)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
