"""What the gate judges by: both versions asked about the same clips, their arithmetic counted, runtimes compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.classifier import ActionClassifier
from models.data.manifest import ClipRecord, Split
from models.errors import ExportError
from models.evaluation.figures.calibration import fit_temperature
from models.evaluation.figures.predictions import predict
from models.exports.export import ExportJob
from models.exports.parity import measure
from models.exports.parity_clips import ParityClips, dataset_clips
from models.exports.ship import ship
from models.networks.complexity import count_multiply_adds
from models.retraining.gate import Pair, Tier, near, unlearnt
from models.retraining.mixture import Mixture
from models.runtimes.load import load_runner
from models.runtimes.runner import Precision, RuntimeOptions
from models.weights.cards import ModelCard
from models.weights.export_record import ExportFormat
from models.weights.saved_network import load_network
from models.weights.shipped_graph import GRAPH_FILES

PARITY_CLIPS = 16
CALIBRATED_FROM = 12  # clips
RUNTIME = "openvino"
Step = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """Where converted networks lie, since versions' folders never change: ``cache`` those of versions, for the next
    time too, ``own_cache`` those of what may never become one.
    """

    mixture: Mixture
    cache: Path
    own_cache: Path
    step: Step


def tier_of(parent: ModelCard, challenger: ModelCard, asked: Asked, name: str) -> tuple[Tier, ModelCard]:
    """→ the evidence, and the challenger's card: where its parent ships a graph, it gets one of its own now.

    Raises EvaluationError, RuntimeUnavailableError, OSError.
    """
    parity, challenger = _parity(parent, challenger, asked, name)
    mixture = asked.mixture
    records = (*mixture.audit, *mixture.base_test)
    pair = _pair(parent, challenger, records, asked, name)
    audit, base = _part(pair, mixture.audit), _part(pair, mixture.base_test)
    cost = _multiply_adds(challenger) / max(1, _multiply_adds(parent))
    tier = Tier(name, audit, base, temperature=parent.temperature, cost=cost, parity=parity)
    return _calibrated(tier, challenger)


def _calibrated(tier: Tier, challenger: ModelCard) -> tuple[Tier, ModelCard]:
    """→ with the temperature that fits what the challenger says of clips that it did not learn; of too few of them
    nothing is learnt, and the parent's stays.
    """
    said = unlearnt(tier)
    if said is None or len(said[1]) < CALIBRATED_FROM:
        return replace(tier, fitted=False), challenger
    temperature = near(np.array(fit_temperature(said[0], said[1])), tier.temperature)
    return tier, challenger.model_copy(update={"temperature": round(float(temperature), 4)})


def _pair(
    parent: ModelCard, challenger: ModelCard, records: Sequence[ClipRecord], asked: Asked, name: str
) -> Pair | None:
    if not records:
        return None
    said = []
    for card, who in ((parent, "before"), (challenger, "after")):
        classifier = ActionClassifier.load(card.folder, RUNTIME, asked.cache if card is parent else asked.own_cache)

        def tell(done: int, total: int, what: str = f"judging {name}, {who}") -> None:
            asked.step(what, done, total)

        said.append(predict(classifier, asked.mixture.dataset, records, progress=tell))
    return Pair(*said)


def _part(pair: Pair | None, records: Sequence[ClipRecord]) -> Pair | None:
    """→ the answers to some of the clips, None where there is none."""
    if pair is None or not records:
        return None
    return Pair(pair.parent.of(records), pair.challenger.of(records))


def _parity(parent: ModelCard, challenger: ModelCard, asked: Asked, name: str) -> tuple[float | None, ModelCard]:
    clips = _clips(asked.mixture, challenger)
    asked.step(f"comparing runtimes of {name}", 0, 1)
    if set(GRAPH_FILES) <= set(parent.sha256):
        job = ExportJob(challenger, ExportFormat.OPENVINO, clips)
        try:
            named, parity = ship(job, lambda _: None)
        except ExportError:  # nothing is kept then: the gate says that the runtimes differ
            return 0.0, challenger
        return parity.top1_agreement, named.model_copy(update={"folder": challenger.folder})
    options = RuntimeOptions(Precision.F32, cache_dir=asked.own_cache)
    reference, other = (load_runner(challenger, runtime, options) for runtime in ("tensorflow", "openvino"))
    return measure(reference, other, clips).top1_agreement, challenger


def _clips(mixture: Mixture, card: ModelCard) -> ParityClips:
    split = Split.TEST if mixture.dataset.of(Split.TEST) else Split.TRAIN
    return dataset_clips(mixture.dataset, card, split, PARITY_CLIPS)


def _multiply_adds(card: ModelCard) -> int:
    return count_multiply_adds(load_network(card), card.clip_shape)
