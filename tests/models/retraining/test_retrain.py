"""Corrections → a challenger → the gate, with a small real network on real clips of two cameras."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from models.classifier import ActionClassifier
from models.data.manifest import Split, read_dataset
from models.errors import DatasetError
from models.evaluation.figures.predictions import predict
from models.retraining import evidence
from models.retraining import gate as gates
from models.retraining.corrections import read_corrections
from models.retraining.examples import Chosen
from models.retraining.gate import GATE_FILE, Gate, f1_of, read_gate
from models.retraining.learning import Lesson, learn
from models.retraining.mixture import Mixture, make_mixture
from models.retraining.order import Order, read_order, write_order
from models.retraining.retrain import Outcome, retrain
from models.training.run.train import Teller
from models.weights.cards import CARD_FILE, list_models, read_card, verify
from models.weights.motion_head import MOTION_FILE
from pipeline.files import file_sha256
from tests.models.retraining.world import ALIAS, GATE, LABELS, YARD, Verdicts, make_base, make_network
from tests.support.places import REPOSITORY


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights directory with the network, and the base data beside it."""
    root = tmp_path_factory.mktemp("champion")
    make_network(root / "weights" / ALIAS)
    make_base(root / "base")
    return root


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few audit labels suffice here: what is shown does not depend on their number."""
    monkeypatch.setattr(gates, "AUDIT_LABELS", 6)
    monkeypatch.setattr(gates, "CAMERA_CLIPS", 6)


@pytest.fixture
def judged_by_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where runtimes are not what is shown: no conversion, which takes longer than all the rest."""
    monkeypatch.setattr(evidence, "RUNTIME", "tensorflow")
    monkeypatch.setattr(evidence, "_parity", lambda parent, challenger, asked, name: (None, challenger))


def order_of(champion: Path, folder: Path, base: bool = True) -> Order:
    """A copy of the champion by links, so that versions of one test are not seen by another."""
    weights = folder / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    for path in (champion / "weights").iterdir():
        (weights / path.name).symlink_to(path, target_is_directory=True)
    return Order(
        ALIAS,
        folder / "verdicts",
        weights,
        folder / "run",
        champion / "cache",
        base=champion / "base" if base else None,
        used={"Walking": ["Day"]},
    )


def run(order: Order) -> Outcome:
    told: list[float] = []
    outcome = retrain(order, lambda line: None, lambda what, share, left: told.append(share))
    assert told == sorted(told)
    return outcome


def words(gate: Gate, name: str) -> str:
    return next(check.words for check in gate.checks if check.name == name)


def passed(gate: Gate) -> dict[str, bool | None]:
    return {check.name: check.passed for check in gate.checks}


@pytest.mark.usefixtures("few")
def test_retrained_version_learns_the_camera_and_forgets_nothing(champion: Path, tmp_path: Path) -> None:
    order = order_of(champion, tmp_path)
    verdicts = Verdicts(order.corrections)
    verdicts.many(YARD, 4)
    verdicts.many(YARD, 3, audit=True)
    verdicts.many(GATE, 3, audit=True)
    outcome = run(order)
    assert (outcome.version, outcome.learnt, outcome.audit, outcome.left_out) == ("guard@2", 12, 18, {})
    assert outcome.gate.passed, outcome.gate
    assert passed(outcome.gate) == dict.fromkeys(
        ("base", "audit", "cameras", "calibration", "cost", "labels", "parity"), True
    )
    assert outcome.metrics["audit_macro_f1"] > 0.95 > 0.7 > outcome.metrics["audit_macro_f1_before"]
    card = read_card(order.weights / "guard@2")
    verify(card)
    assert (card.name, card.parent, card.corrections, card.kind) == ("guard@2", ALIAS, 12, "bands")
    assert len(card.data_sha256) == len(card.config_sha256) == 64
    assert card.provenance == "made by a test Then retrained on corrected labels."
    assert read_gate(card.folder) == outcome.gate
    assert read_card(order.weights / ALIAS) == replace_folder(champion, order)


def replace_folder(champion: Path, order: Order) -> object:
    return read_card(champion / "weights" / ALIAS).model_copy(update={"folder": order.weights / ALIAS})


@pytest.mark.usefixtures("few", "judged_by_keras")
def test_version_learnt_from_shuffled_labels_is_refused(champion: Path, tmp_path: Path) -> None:
    order = order_of(champion, tmp_path)
    verdicts = Verdicts(order.corrections)
    for number in range(12):
        verdicts.add(YARD, LABELS[(number * 7 // 3) % 3], truth=LABELS[number % 3])
    verdicts.many(YARD, 3, audit=True)
    outcome = run(order)
    assert not outcome.gate.passed
    assert passed(outcome.gate)["audit"] is False
    assert json.loads((order.weights / outcome.version / GATE_FILE).read_text())["passed"] is False


@pytest.mark.usefixtures("few", "judged_by_keras")
def test_version_better_on_corrections_and_worse_on_the_audit_sample_is_refused(champion: Path, tmp_path: Path) -> None:
    """People called everything in the yard something else, all in the same way: it learns that, and is wrong."""
    order = order_of(champion, tmp_path)
    verdicts = Verdicts(order.corrections)
    for label, wrong in zip(LABELS, (*LABELS[1:], LABELS[0]), strict=True):
        for _ in range(4):
            verdicts.add(YARD, wrong, truth=label)
    verdicts.many(YARD, 3, audit=True)
    outcome = run(order)
    data = read_dataset(order.run / "data")
    learnt = [each for each in data.of(Split.TRAIN) if each.video == YARD.id]
    before, after = (
        predict(ActionClassifier.load(order.weights / name, "tensorflow"), data, learnt)
        for name in (ALIAS, outcome.version)
    )
    assert f1_of(after) > 0.9 > f1_of(before)
    assert not outcome.gate.passed
    assert passed(outcome.gate)["audit"] is False and passed(outcome.gate)["cameras"] is False
    assert words(outcome.gate, "cameras").startswith("Yard gets worse, ")


@pytest.mark.usefixtures("judged_by_keras")
def test_version_without_audit_labels_is_refused_and_says_how_many_are_missing(champion: Path, tmp_path: Path) -> None:
    order = order_of(champion, tmp_path, base=False)
    verdicts = Verdicts(order.corrections)
    verdicts.many(YARD, 2)
    outcome = run(order)
    assert not outcome.gate.passed
    assert outcome.gate.missing == ("40 more from Yard",)
    assert words(outcome.gate, "base").startswith("no base set")
    assert outcome.metrics == {}


def test_retraining_without_corrections_says_why(champion: Path, tmp_path: Path) -> None:
    order = order_of(champion, tmp_path)
    Verdicts(order.corrections).add(YARD, "Walking", superseded_by="ver_1")
    with pytest.raises(DatasetError, match=r"has no correction to learn from \(1 a later verdict took its place\)"):
        run(order)
    assert [card.name for card in list_models(order.weights)] == [ALIAS]


@pytest.mark.exhaustive
@pytest.mark.usefixtures("few", "judged_by_keras")
def test_version_of_two_networks_is_made_and_judged_with_both(champion: Path, tmp_path: Path) -> None:
    make_network(tmp_path / "weights" / "other", light="other-light")
    make_network(tmp_path / "weights" / "other-light", seed=100)
    order = replace(order_of(champion, tmp_path), parent="other")
    verdicts = Verdicts(order.corrections)
    verdicts.many(YARD, 4)
    verdicts.many(YARD, 3, audit=True)
    outcome = run(order)
    assert outcome.gate.passed, outcome.gate
    own, light = read_card(order.weights / "other@2"), read_card(order.weights / "other-light@2")
    assert (own.light, own.parent, light.parent) == ("other-light@2", "other", "other-light")
    assert words(outcome.gate, "audit").startswith("other: macro F1") or "other-light" not in words(
        outcome.gate, "audit"
    )


def test_order_comes_back_as_it_was_written(tmp_path: Path) -> None:
    verdicts, weights, run, cache = (tmp_path / name for name in "abcd")
    order = Order("guard", verdicts, weights, run, cache, used={"Walking": ["Day"]}, force_count=True)
    write_order(order, tmp_path / "new" / "order.json")
    assert read_order(tmp_path / "new" / "order.json") == order


def test_network_whose_training_was_killed_before_its_card_was_whole_has_its_parents_facts(tmp_path: Path) -> None:
    folder = make_network(tmp_path / "weights" / ALIAS)
    (folder / MOTION_FILE).write_text("{}")
    sums = {**read_card(folder).sha256, MOTION_FILE: file_sha256(folder / MOTION_FILE)}
    facts = {"temperature": 1.7, "limits": "by day", "licence": "ours"}
    parent = read_card(folder).model_copy(update={**facts, "sha256": sums})
    lesson = Lesson(parent, Mixture(make_base(tmp_path / "data", 2)), "quick", tmp_path / "run", tmp_path / "cache")
    make_network(lesson.output)  # as it is right after the training
    learnt = learn(lesson, Teller(lambda *_: None, lambda _: None), "").card
    assert (learnt.temperature, learnt.limits, learnt.licence) == (1.7, "by day", "ours")
    verify(learnt)
    assert (lesson.output / MOTION_FILE).read_text() == "{}" and MOTION_FILE in learnt.sha256
    judged = learnt.model_copy(update={"temperature": 2.0})
    (lesson.output / CARD_FILE).write_text(judged.model_dump_json())
    assert learn(lesson, Teller(lambda *_: None, lambda _: None), "").card == judged, "once is enough"


def test_clip_whose_copy_was_cut_off_is_copied_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    make_network(tmp_path / "weights" / ALIAS)
    Verdicts(tmp_path / "verdicts").add(YARD, LABELS[0])
    (correction,) = read_corrections(tmp_path / "verdicts").corrections
    assert correction.clip is not None
    whole, card = correction.clip.read_bytes(), read_card(tmp_path / "weights" / ALIAS)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) // 2, unlimited[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            make_mixture(tmp_path / "data", card, Chosen((correction,), (), {}), None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    mixture = make_mixture(tmp_path / "data", card, Chosen((correction,), (), {}), None)
    assert mixture.learnt[0].path.read_bytes() == whole


DYING = """
import os, signal, sys
from models.retraining import child

def progress(self, what, share, left_s):
    if what.startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

child.Voice.progress = progress
child.main(sys.argv[1:2])
"""
STEPS = (
    "judging guard: comparing",
    "reading corrections: looking",
    "learning guard: features",
    "learning guard: epoch 3",
)


@pytest.mark.exhaustive
@pytest.mark.usefixtures("judged_by_keras")
@pytest.mark.parametrize("step", STEPS)
def test_retraining_killed_at_a_step_leaves_nothing_half_and_goes_on(champion: Path, tmp_path: Path, step: str) -> None:
    order = replace(order_of(champion, tmp_path), cache=tmp_path / "cache")
    verdicts = Verdicts(order.corrections)
    verdicts.many(YARD, 2)
    verdicts.many(YARD, 1, audit=True)
    write_order(order, tmp_path / "order.json")
    command = [sys.executable, "-c", DYING, str(tmp_path / "order.json"), step]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as child:
        assert child.wait() == -signal.SIGKILL
    assert [path.name for path in order.weights.iterdir()] == [ALIAS]
    verdicts.many(YARD, 1)  # these come too late for a training that has chosen
    outcome = run(order)
    assert outcome.version == "guard@2"
    assert outcome.learnt == (9 if step.startswith("reading") else 6)
