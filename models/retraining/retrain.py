"""``actoscope retrain``: corrections → a challenger of every network of a version → the gate → a folder of its own.

Nothing is promoted here. What is made on the way lies in the run folder; a run that was killed goes on there with the
clips that it began with.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.errors import DatasetError
from models.retraining.corrections import cameras, read_corrections
from models.retraining.evidence import Asked, tier_of
from models.retraining.examples import Known, Limits, choose
from models.retraining.gate import Facts, Gate, Tier, f1_of, judge_version
from models.retraining.learning import Learnt, Lesson, learn
from models.retraining.mixture import Mixture, make_mixture, read_mixture
from models.retraining.order import JUDGING, PUBLISHING, READING, Order
from models.retraining.phases import Phases, Tell
from models.retraining.version_folder import Draft, publish
from models.training.run.train import Teller
from models.weights.cards import CARD_FILE, ModelCard, light_card, read_card
from models.weights.version_names import split_version
from pipeline.files import write_atomically

TOLD_FILE = "told.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``version``: the folder's name. ``left_out``: reason → how many corrections."""

    version: str
    gate: Gate
    learnt: int
    audit: int
    left_out: Mapping[str, int]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Network:
    """One network of the version: its parent and what was learnt. ``name``: the alias of its versions."""

    name: str
    parent: ModelCard
    learnt: Learnt


def retrain(order: Order, say: Callable[[str], None], progress: Tell) -> Outcome:
    """``progress``: (what is done now, share of all, seconds that are left, as far as can be told).

    Raises DatasetError where there is nothing to learn from, TrainingError, EvaluationError, CardError, OSError.
    """
    parent = read_card(order.weights / order.parent)
    parents = [parent, *([light] if (light := light_card(parent)) is not None else [])]
    names = [split_version(card.folder.name)[0] for card in parents]
    phases = Phases(_shares(names), progress, time.monotonic)
    mixture, told = _mixture(order, Known(names, parent.labels), parent, phases)
    networks = []
    for name, card in zip(names, parents, strict=True):
        phases.begin(f"learning {name}")
        lesson = Lesson(card, mixture, order.configuration, order.run / name, order.cache)
        networks.append(_Network(name, card, learn(lesson, Teller(phases.step, say), order.command)))
    return _judged(order, mixture, told, networks, phases)


def _shares(names: Sequence[str]) -> dict[str, float]:
    """Of the whole work, by the words of its phases; lighter networks take less."""
    learning = {f"learning {name}": 6.0 / (1 + 2 * place) for place, name in enumerate(names)}
    judging = {f"{JUDGING} {name}": 2.0 / (1 + place) for place, name in enumerate(names)}
    return {READING: 1.0, **learning, **judging, PUBLISHING: 0.2}


def _mixture(order: Order, known: Known, parent: ModelCard, phases: Phases) -> tuple[Mixture, Mapping[str, Any]]:
    """→ the clips, and what is to be told of their choice; both are kept for a run that is taken up again."""
    phases.begin(READING)
    folder = order.run / "data"
    kept = read_mixture(folder)
    if kept is not None:
        return kept, json.loads((folder / TOLD_FILE).read_bytes())
    found = read_corrections(order.corrections)
    chosen = choose(
        found.corrections,
        known,
        Limits(),
        lambda done, total: phases.step("looking at clips", done, total),
    )
    if not chosen.train:
        why = ", ".join(f"{count} {reason}" for reason, count in chosen.left_out.items())
        raise DatasetError(f"{order.corrections} has no correction to learn from{f' ({why})' if why else ''}")
    left_out = dict(chosen.left_out)
    if found.unreadable:
        left_out["cannot be read"] = len(found.unreadable)
    told = {"left_out": left_out, "cameras": cameras(found.corrections)}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / TOLD_FILE, json.dumps(told) + "\n")
    return make_mixture(folder, parent, chosen, order.base), told


def _judged(
    order: Order, mixture: Mixture, told: Mapping[str, Any], networks: Sequence[_Network], phases: Phases
) -> Outcome:
    tiers = []
    for network in networks:
        phases.begin(f"{JUDGING} {network.name}")
        asked = Asked(mixture, order.cache / "runtimes", order.run / "runtimes", phases.step)
        tier, card = tier_of(network.parent, network.learnt.card, asked, network.name)
        tiers.append(tier)
        measured = card.model_copy(update={"metrics": _metrics(tier), "parent": network.parent.folder.name})
        write_atomically(card.folder / CARD_FILE, measured.model_dump_json(indent=2) + "\n")
    facts = Facts(
        cameras=told["cameras"],
        learnt=Counter(each.video for each in mixture.learnt),
        labels=networks[0].learnt.card.labels,
        used=order.used,
        force_count=order.force_count,
    )
    gate = judge_version(tiers, facts)
    phases.begin(PUBLISHING)
    folders = [(network.name, network.learnt.card.folder) for network in networks]
    draft = Draft(
        alias=folders[0][0],
        folder=folders[0][1],
        light=folders[1] if len(folders) > 1 else None,
        facts=_card_facts(order, mixture, networks),
    )
    version = publish(draft, gate, order.weights)
    return Outcome(version, gate, len(mixture.learnt), len(mixture.audit), told["left_out"], _metrics(tiers[0]))


def _card_facts(order: Order, mixture: Mixture, networks: Sequence[_Network]) -> dict[str, Any]:
    return {
        "data_sha256": mixture.sha256(),
        "config_sha256": networks[0].learnt.config_sha256,
        "corrections": len(mixture.learnt),
    }


def _metrics(tier: Tier) -> dict[str, float]:
    """Macro F1 on what was never learnt, of the version and of the one before."""
    figures = {}
    for name, pair in (("audit", tier.audit), ("base", tier.base)):
        if pair is not None:
            figures[f"{name}_macro_f1"] = round(f1_of(pair.challenger), 4)
            figures[f"{name}_macro_f1_before"] = round(f1_of(pair.parent), 4)
            figures[f"{name}_clips"] = float(len(pair.parent))
    return figures
