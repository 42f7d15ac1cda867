"""``--runtime auto``: which runtime, in which precision, is the fastest on this host for this network.

Every candidate classifies a few clips in a process of its own, all together within a bounded time; the answer is kept
for this host and network. Exports are candidates when their record says that they may be
(``models.weights.export_record``).
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import ModelsError
from models.runtimes.converted import cache_of, openvino_graph
from models.runtimes.host import gpu_present, host_facts
from models.runtimes.runner import RUNTIMES, Precision, RuntimeOptions
from models.runtimes.timing import Task
from models.runtimes.trial import Candidate, Trial, try_out
from models.weights.cards import MODEL_FILE, ClipShape, ModelCard
from models.weights.export_record import read_exports
from pipeline.files import write_atomically
from pipeline.openvino import cpu_flags, precision_candidates

BUDGET_S = 20.0  # for all candidates together; a first conversion takes its own time before
GPU_BUDGET_S = 180.0  # there every batch size is compiled and tuned while a network loads
LEAST_S = 3.0  # with less time left, starting one more candidate is in vain
PATIENCE = 1.5  # a candidate that costs so many times the best so far is not measured further
MARGIN = 0.95  # a later candidate must cost less than this part of an earlier one: timings are that rough
YARDSTICK = Candidate("tensorflow", Precision.F32)  # the network as it was trained, which the others are held to
_FORMAT = 2  # grows when what is kept, or the way to it, changes
_LOG = logging.getLogger(__name__)


class Measured(BaseModel):
    """How one candidate did: seconds of its best clip, or why there are none."""

    model_config = ConfigDict(frozen=True)

    name: str
    description: str = ""
    wall_s: float | None = None
    cpu_s: float | None = None
    same_top1: bool | None = None
    problem: str = ""


class Choice(BaseModel):
    """What ``auto`` runs, why, and what else was measured."""

    model_config = ConfigDict(frozen=True)

    runtime: str
    precision: Precision
    reason: str  # for people: ``chosen on this host: 0.53 of TensorFlow 2.21.0 f32's time``
    measured: tuple[Measured, ...] = ()


def choose(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> Choice | None:
    """→ the choice kept for this host and network, else a fresh one where ``options.measure`` allows it, else None.

    None also where no candidate could be measured; the log then says why.
    """
    notes = _notes(card, clip_shape, options)
    kept = _read(notes)
    if kept is not None or not options.measure:
        return kept
    trials = _try_all(card, clip_shape, options)
    choice = decide(trials)
    for each in choice.measured if choice else _table(trials, None):
        _LOG.info("%s: runtime auto: %s", card.name, _line(each))
    if choice is None:
        _LOG.warning("%s: runtime auto could measure nothing, and takes what usually is the fastest", card.name)
        return None
    _LOG.info("%s: runtime auto takes %s: %s", card.name, Candidate(choice.runtime, choice.precision), choice.reason)
    _write(notes, choice)
    return choice


def candidates(card: ModelCard, clip_shape: ClipShape) -> list[Candidate]:
    """In the order of their promise; the last one is the yardstick.

    Where there is a GPU, nothing is tried on the CPU, and XLA only there (``models.runtimes.tensorflow.load_xla``).
    bf16 is tried only on CPUs that multiply it natively.
    """
    if gpu_present():
        return [Candidate("tensorflow", Precision.AUTO), Candidate("tensorflow-xla", Precision.AUTO), YARDSTICK]
    found: list[Candidate] = []
    exports = [each for each in read_exports(card) if each.usable_by_default and each.clip_shape == clip_shape]
    for each in sorted(exports, key=lambda each: each.parity.latency_ratio if each.parity else 1.0):
        precision = Precision.INT8 if each.precision == Precision.INT8.value else Precision.AUTO
        plain_openvino = each.runtime == "openvino" and precision is Precision.AUTO  # it is what runs below
        if each.runtime in RUNTIMES and not plain_openvino:
            found.append(Candidate(each.runtime, precision))
    found += [Candidate("openvino", Precision(name)) for name in precision_candidates(cpu_flags())]
    return [*dict.fromkeys(found), YARDSTICK]


def decide(trials: Sequence[Trial]) -> Choice | None:
    """→ the cheapest of those whose first choices are the reference's; None where nothing was timed.

    The reference is the yardstick, or where it was not timed the first candidate in f32, or the first of all.
    """
    timed = [trial for trial in trials if trial.timings]
    if not timed:
        return None
    exact = [trial for trial in timed if trial.candidate.precision is Precision.F32]
    reference = next((trial for trial in timed if trial.candidate == YARDSTICK), (exact or timed)[0])
    best = reference
    for trial in timed:
        better = trial.cost_s < best.cost_s * (1.0 if best is reference else MARGIN)
        if better and _agree(trial, reference):
            best = trial
    return Choice(
        runtime=best.candidate.runtime,
        precision=best.candidate.precision,
        reason=_reason(best, reference, timed),
        measured=tuple(_table(trials, reference)),
    )


def _try_all(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> list[Trial]:
    """Each candidate in turn until the time is over. Slow ones are given up after their first clip."""
    found = candidates(card, clip_shape)
    on_cpu = any(candidate.runtime == "openvino" for candidate in found)
    if on_cpu:
        _prepare(card, clip_shape, options)
    ends = time.monotonic() + (BUDGET_S if on_cpu else GPU_BUDGET_S)
    trials: list[Trial] = []
    for place, candidate in enumerate(found, 1):
        left = ends - time.monotonic()
        if left < LEAST_S:
            trials.append(Trial(candidate, problem="no time was left for it"))
            continue
        _LOG.info("%s: runtime auto measures %s (%d of %d)", card.name, candidate, place, len(found))
        best_s = min((trial.cost_s for trial in trials), default=float("inf"))
        task = Task(
            folder=card.folder,
            runtime=candidate.runtime,
            precision=candidate.precision,
            clip_shape=clip_shape,
            cache_dir=options.cache_dir,
            threads=options.threads,
            give_up_s=None if candidate == YARDSTICK or best_s == float("inf") else PATIENCE * best_s,
        )
        trials.append(try_out(task, left))
    return trials


def _prepare(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> None:
    """The first conversion for OpenVINO takes a minute on a small machine: it must not count as a slow runtime."""
    try:
        openvino_graph(card, clip_shape, options)
    except ModelsError as error:
        _LOG.warning("%s: OpenVINO is no candidate: %s", card.name, error)


def _agree(trial: Trial, reference: Trial) -> bool:
    """Whether the first choices are the same for every clip that both were timed on."""
    return all(mine == theirs for mine, theirs in zip(trial.top1, reference.top1, strict=False))


def _reason(best: Trial, reference: Trial, timed: Sequence[Trial]) -> str:
    others = [trial for trial in timed if trial is not best]
    if not others:
        return "the only runtime that could be measured on this host"
    other = reference if reference is not best else min(others, key=lambda trial: trial.cost_s)
    name = other.description.partition(" on ")[0] or str(other.candidate)
    return f"chosen on this host: {best.cost_s / other.cost_s:.2f} of {name}'s time"


def _table(trials: Sequence[Trial], reference: Trial | None) -> list[Measured]:
    return [
        Measured(
            name=str(trial.candidate),
            description=trial.description,
            wall_s=min((timing.wall_s for timing in trial.timings), default=None),
            cpu_s=min((timing.cpu_s for timing in trial.timings), default=None),
            same_top1=_agree(trial, reference) if reference is not None and trial.timings else None,
            problem=trial.problem,
        )
        for trial in trials
    ]


def _line(each: Measured) -> str:
    if each.wall_s is None or each.cpu_s is None:
        return f"{each.name}: {each.problem or 'nothing was timed'}"
    differs = "" if each.same_top1 else ", other first choices than the reference"
    return f"{each.name}: {each.wall_s:.3f} s, {each.cpu_s:.3f} CPU seconds a clip{differs}"


def _notes(card: ModelCard, clip_shape: ClipShape, options: RuntimeOptions) -> Path:
    """Where the choice for this host, network and number of threads is kept."""
    exports = [f"{each.folder.name} {sorted(each.sha256.values())}" for each in read_exports(card)]
    facts = [str(_FORMAT), *host_facts(), card.sha256[MODEL_FILE], str(clip_shape), str(options.threads), *exports]
    key = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]
    return cache_of(card, options) / f"{card.name}-{key}.runtime.json"


def _read(notes: Path) -> Choice | None:
    try:
        return Choice.model_validate_json(notes.read_bytes())
    except OSError:
        return None
    except ValidationError as error:
        _LOG.warning("%s is broken and made again: %s", notes, error.errors(include_url=False)[0]["msg"])
        return None


def _write(notes: Path, choice: Choice) -> None:
    """A cache that cannot be written only costs measuring again."""
    try:
        notes.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(notes, choice.model_dump_json(indent=2) + "\n")
    except OSError as error:
        _LOG.warning("the choice of a runtime cannot be kept: %s", error)
