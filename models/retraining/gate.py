"""Whether a challenger may take its parent's place: seven checks, each with its reason in words.

Nothing here runs a network: what both say of the same clips is given (``models.retraining.evidence``). Differences are
paired, and groups (incidents of a camera) are drawn, never clips. A check that has nothing to go by is None, which
refuses nobody by itself; without the base data, though, the audit sample must suffice, whatever the operator waives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from models.errors import CardError
from models.evaluation.compare import paired_difference
from models.evaluation.figures.calibration import (
    error_by_chance,
    expected_calibration_error,
    fit_by_group,
    probabilities,
)
from models.evaluation.figures.metrics import Floats, Ints, Value, confusion_matrix, counts_of, macro_f1
from models.evaluation.figures.predictions import Predictions
from models.retraining.mixture import by_camera

GATE_FILE = "gate.json"
BASE_LOSS = 0.01  # of macro F1 on the base data
CAMERA_LOSS, CAMERA_CLIPS = 0.03, 20  # … on the audit sample of a camera that has so many labels
MOST_ECE = 0.05  # beyond what chance alone makes of so few clips
TEMPERATURE_STEP = 2.0  # by how much a version's may differ from its parent's
MOST_COST = 1.1
LEAST_PARITY = 0.99
AUDIT_LABELS, AUDIT_GROUPS = 40, 5  # of each camera that was learnt from; incidents in all
SIDED = 0.8  # an interval whose lower end is passed by 90 % of the replicates

CheckName = Literal["base", "audit", "cameras", "calibration", "cost", "labels", "parity"]


class Check(Value):
    """``passed`` None: there is nothing to judge by."""

    name: CheckName
    passed: bool | None
    words: str


class Gate(Value):
    """``missing``: which labels of the audit sample there are too few of."""

    passed: bool
    checks: tuple[Check, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """What the parent and the challenger say of the same clips."""

    parent: Predictions
    challenger: Predictions


@dataclass(frozen=True, slots=True)
class Tier:
    """One of a version's networks. ``temperature``: of the parent; with ``fitted`` the challenger's is fitted on these
    very clips, which it did not learn. ``cost``: its multiply-adds, as a part of the parent's. ``parity``: share of
    first choices that its runtimes have in common, None where there is one only.
    """

    name: str
    audit: Pair | None
    base: Pair | None
    temperature: float = 1.0
    fitted: bool = True
    cost: float = 1.0
    parity: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """``cameras``: names by id. ``learnt``: how many corrections of each. ``used``: labels that rules and streams name,
    each with the names of these. ``labels``: of the challenger. ``force_count``: too few audit labels are waived.
    """

    cameras: Mapping[str, str]
    learnt: Mapping[str, int]
    labels: Sequence[str]
    used: Mapping[str, Sequence[str]]
    force_count: bool = False


def judge_version(tiers: Sequence[Tier], facts: Facts) -> Gate:
    """``tiers``: the version's own network first, then the lighter one where there is one."""
    missing = missing_labels(tiers[0].audit, facts)
    waived = facts.force_count and tiers[0].base is not None
    checks = (
        _of_all("base", tiers, _base),
        _audit(tiers, missing, waived),
        _of_all("cameras", tiers, lambda tier: _cameras(tier, facts)),
        _of_all("calibration", tiers, _calibration),
        _of_all("cost", tiers, _cost),
        _labels(facts),
        _of_all("parity", tiers, _parity),
    )
    return Gate(passed=all(check.passed is not False for check in checks), checks=checks, missing=missing)


def missing_labels(audit: Pair | None, facts: Facts) -> tuple[str, ...]:
    """→ ``38 more from Gate`` for every camera that was learnt from and has too few audit labels."""
    counts = {name: len(rows) for name, rows in by_camera(audit.parent.records).items()} if audit else {}
    lines = [
        f"{AUDIT_LABELS - counts.get(camera, 0)} more from {facts.cameras.get(camera, camera)}"
        for camera, learnt in facts.learnt.items()
        if learnt and counts.get(camera, 0) < AUDIT_LABELS
    ]
    groups = len(set(audit.parent.groups)) if audit else 0
    if not lines and groups < AUDIT_GROUPS:
        lines = [f"labels of {AUDIT_GROUPS - groups} more incidents"]
    return tuple(lines)


def read_gate(folder: Path) -> Gate | None:
    """→ what a version's folder says of itself, None where it was never judged. Raises CardError."""
    path = folder / GATE_FILE
    try:
        return Gate.model_validate_json(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError) as error:
        raise CardError(f"{path} cannot be read: {error}") from error


Verdict = tuple[bool | None, str]


def _of_all(name: CheckName, tiers: Sequence[Tier], judge: Callable[[Tier], Verdict]) -> Check:
    """A version passes with all of its networks; each is named where there are several."""
    verdicts = [judge(tier) for tier in tiers]
    results = [result for result, _ in verdicts]
    passed = False if False in results else None if None in results else True
    if len({words for _, words in verdicts}) == 1:
        return Check(name=name, passed=passed, words=verdicts[0][1])
    return Check(
        name=name,
        passed=passed,
        words="; ".join(f"{tier.name}: {words}" for tier, (_, words) in zip(tiers, verdicts, strict=True)),
    )


def _base(tier: Tier) -> Verdict:
    if tier.base is None:
        return None, "no base set: what the network knew before is held by the audit samples of the cameras alone"
    difference = paired_difference(tier.base.parent, tier.base.challenger, SIDED)
    words = f"{_f1_words(tier.base)} on {len(tier.base.parent)} clips of the base set, at worst {difference.low:+.3f}"
    passed = difference.low >= -BASE_LOSS
    return passed, words if passed else f"{words}: more than {BASE_LOSS:g} may be lost"


def _audit(tiers: Sequence[Tier], missing: Sequence[str], waived: bool) -> Check:
    if missing and not waived:
        why = f"too few labels of the audit sample to tell: {', '.join(missing)}"
        return Check(name="audit", passed=False, words=why)
    check = _of_all("audit", tiers, _better)
    note = f" (with too few labels: {', '.join(missing)})" if missing else ""
    return check.model_copy(update={"words": check.words + note})


def _better(tier: Tier) -> Verdict:
    if tier.audit is None:
        return False, "no clip of the audit sample has a label"
    difference = paired_difference(tier.audit.parent, tier.audit.challenger, SIDED)
    words = f"{_f1_words(tier.audit)} on {len(tier.audit.parent)} clips of the audit sample"
    if difference.low > 0:
        return True, f"{words}, better in 90 % of draws"
    return False, f"{words}, which may be chance: expected better in 90 % of draws, at worst {difference.low:+.3f}"


def _cameras(tier: Tier, facts: Facts) -> Verdict:
    if tier.audit is None:
        return None, "no camera has labels of the audit sample"
    lost, judged = [], 0
    for camera, rows in by_camera(tier.audit.parent.records).items():
        if len(rows) < CAMERA_CLIPS:
            continue
        judged += 1
        before, after = (f1_of(each, rows) for each in (tier.audit.parent, tier.audit.challenger))
        if before - after > CAMERA_LOSS:
            lost.append(
                f"{facts.cameras.get(camera, camera)} gets worse, {before:.2f} → {after:.2f} on {len(rows)} clips"
            )
    if lost:
        return False, "; ".join(lost)
    if not judged:
        return None, f"no camera has {CAMERA_CLIPS} labels of the audit sample"
    return True, f"none of {judged} cameras gets worse" if judged > 1 else "the camera does not get worse"


def _calibration(tier: Tier) -> Verdict:
    """On everything that the challenger never learnt. Few clips make an error by chance alone, which is taken off.

    A temperature that is fitted on these clips is judged by others that never saw a clip's incident.
    """
    said = unlearnt(tier)
    if said is None:
        return None, "no clip to measure it on"
    logits, targets, groups = said
    honest = fit_by_group(logits, targets, groups) if tier.fitted else np.full(len(targets), tier.temperature)
    each = near(honest, tier.temperature)
    chances = probabilities(logits / each[:, None])
    error, chance = expected_calibration_error(chances, targets), error_by_chance(chances)
    passed = error - chance <= MOST_ECE
    words = f"calibration error {error:.2f}, of which chance makes {min(chance, error):.2f}"
    return passed, words if passed else f"{words}; at most {MOST_ECE:g} beyond chance is expected"


def unlearnt(tier: Tier) -> tuple[Floats, Ints, list[str]] | None:
    """→ the challenger's logits (N, C), targets (N,) and groups of clips that it never learnt; None: there is none."""
    pairs = [pair.challenger for pair in (tier.audit, tier.base) if pair is not None]
    if not pairs:
        return None
    logits, targets = (np.concatenate([getattr(each, name) for each in pairs]) for name in ("logits", "targets"))
    return logits, targets, [group for each in pairs for group in each.groups]


def near(temperatures: Floats, parents: float) -> Floats:
    """Few clips that are all called right would drive a temperature to nothing, and every probability to one."""
    return np.clip(temperatures, parents / TEMPERATURE_STEP, parents * TEMPERATURE_STEP)


def _cost(tier: Tier) -> Verdict:
    passed = tier.cost <= MOST_COST
    words = f"{tier.cost:.2f} times the arithmetic of the version before"
    return passed, words if passed else f"{words}; at most {MOST_COST:g} is expected"


def _parity(tier: Tier) -> Verdict:
    if tier.parity is None:
        return None, "one runtime only"
    passed = tier.parity >= LEAST_PARITY
    words = f"its runtimes agree on {tier.parity:.0%} of the clips"
    return passed, words if passed else f"{words}; {LEAST_PARITY:.0%} is expected"


def _labels(facts: Facts) -> Check:
    gone = {label: users for label, users in facts.used.items() if label not in facts.labels}
    if gone:
        words = "; ".join(
            f"{label} is used by {', '.join(users)} and is no label any more" for label, users in gone.items()
        )
        return Check(name="labels", passed=False, words=words)
    return Check(name="labels", passed=True, words="every label that a rule or a stream names is still there")


def f1_of(predictions: Predictions, rows: Sequence[int] | None = None) -> float:
    """→ macro F1 over the classes that occur, of some rows or of all."""
    chosen = np.arange(len(predictions)) if rows is None else np.asarray(rows)
    called: Ints = predictions.logits[chosen].argmax(axis=1)
    counts: Floats = counts_of(confusion_matrix(called, predictions.targets[chosen], len(predictions.labels)))
    return float(macro_f1(counts[None])[0])


def _f1_words(pair: Pair) -> str:
    return f"macro F1 {f1_of(pair.parent):.2f} → {f1_of(pair.challenger):.2f}"
