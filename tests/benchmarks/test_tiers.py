"""The pure parts of benchmarks/tiers.py: who judges whom, what is shown, what is left as it was."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import tiers
from benchmarks.comparison.worker import Job
from benchmarks.tiers import DOCS, FOLDS, MARKS, REFERENCE, ROWS, SEED, Options, answers, divided, known_part, limited
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split, class2label
from models.motion_training import read_answers
from models.training.run.checks import config_problems
from models.training.run.cross_validation import grouped_folds
from models.weights.cards import ModelInput
from tests.support.places import REPOSITORY

LABELS = ("Fighting", "Walking", "Unclear")


@pytest.fixture
def dataset() -> Dataset:
    """Ten groups of every label in two splits."""
    records = tuple(
        ClipRecord(Path(f"{label}-{group}-{number}.mkv"), label, f"g{group}", Split.VAL if group > 7 else Split.TRAIN)
        for group in range(10)
        for label in LABELS
        for number in range(2)
    )
    return Dataset(Path(), DatasetInfo(class2label=class2label(LABELS), input=ModelInput(margin=0.2)), records)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(tmp_path / "data", tmp_path / "work", tmp_path / "cache", REPOSITORY / "weights")


def row(**changed: Any) -> dict[str, Any]:
    figures = {
        "macro_f1": [0.7, 0.6, 0.8],
        "macro_f1_three": [0.9, 0.8, 0.95],
        "difference": None,
        "clips": 100,
        "folds": [1],
    }
    return {**figures, "epochs": 12, "megabytes": 4.9, "cpu_s": {"native": 0.5, "avx2": 3.6}, **changed}


def test_rows_can_be_trained_and_are_judged_alike() -> None:
    for name, each in ROWS.items():
        problems = [text for text in config_problems(each.config, REPOSITORY / "weights") if "start from" not in text]
        assert not problems, (name, problems)
        assert (each.config.folds, each.config.seed) == (FOLDS, SEED), name


def test_folds_are_those_of_the_cross_validation(dataset: Dataset) -> None:
    known = known_part(dataset)
    records = (*known.of(Split.TRAIN), *known.of(Split.VAL))
    for number, held_out in enumerate(grouped_folds(records, known.targets(records), FOLDS, SEED), 1):
        train, judged = divided(known, number)
        assert judged == [records[index] for index in held_out]
        assert not {each.group for each in train} & {each.group for each in judged}
        assert len(train) + len(judged) == len(records) == 40


def test_answers_of_several_folds_stand_beside_their_own_clips(dataset: Dataset, options: Options) -> None:
    known = known_part(dataset)
    for fold in (2, 4):
        judged = divided(known, fold)[1]
        right = np.eye(2, dtype=np.float32)[known.targets(judged)]
        np.save(tiers.fold_folder("light", fold, options) / "logits.npy", right)
    found = answers("light", (2, 4), dataset, options)
    assert found is not None and found.labels == ("Fighting", "Walking")
    assert (found.logits.argmax(axis=1) == found.targets).all()
    assert answers("light", (1, 2), dataset, options) is None  # the first fold is not done


def test_answers_of_all_folds_are_kept_as_those_of_a_cross_validation(dataset: Dataset, options: Options) -> None:
    known = known_part(dataset)
    for fold in range(1, FOLDS + 1):
        assert tiers.keep_answers("light", dataset, options) is None
        right = 3 * np.eye(2, dtype=np.float32)[known.targets(divided(known, fold)[1])]
        np.save(tiers.fold_folder("light", fold, options) / "logits.npy", right)
    kept = tiers.keep_answers("light", dataset, options)
    assert kept is not None
    said = read_answers(kept, known)  # in the order of the data set
    assert (said.argmax(axis=1) == known.targets((*known.of(Split.TRAIN), *known.of(Split.VAL)))).all()
    assert {line.split(",")[3] for line in kept.read_text("utf-8").splitlines()[1:]} == {"1", "2", "3", "4", "5"}


def test_limit_of_the_instructions_ends_with_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    with limited("AVX2"):
        assert os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX512_CORE"
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    with limited(""):
        assert "ONEDNN_MAX_CPU_ISA" not in os.environ
    with limited("AVX2"):
        pass
    assert "ONEDNN_MAX_CPU_ISA" not in os.environ


def test_table_says_where_a_network_started_and_on_what_it_was_judged() -> None:
    shuffled = row(difference=[-0.2, -0.3, -0.1], epochs=20, cpu_s={"native": 0.01, "avx2": 0.02})
    rows = {REFERENCE: row(), "shufflenet": shuffled}
    text = tiers.markdown({"rows": rows, "labelled": 500, "machine": {"cpu": "a processor"}})
    lines = text.splitlines()
    assert lines[2].split(" | ")[2:5] == ["0.700 [0.600, 0.800]", "0.900 [0.800, 0.950]", ""]
    assert lines[5].startswith("| light I3D") and all("not run" in lines[number] for number in (3, 4, 5, 7))
    assert "nothing, 20 epochs" in lines[6] and "-0.200 [-0.300, -0.100]" in lines[6] and "0.010 / 0.020" in lines[6]
    assert "| 100, 1 |" in lines[6] and lines[-1] == "500 clips in 5 folds, a processor."


def test_rows_stand_on_the_folds_that_they_have_done_beside_those_of_earlier_runs(
    dataset: Dataset, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: dict[str, Path] = {}

    def costs(places: dict[str, Path], _: Path) -> dict[str, dict[str, float]]:
        timed.update(places)
        return {name: {"native": 0.1} for name in places}

    monkeypatch.setattr(tiers, "clip_costs", costs)
    known = known_part(dataset)
    for name, folds in ((REFERENCE, (1, 2)), ("small", (2,)), ("movinet", (3,))):
        for fold in folds:
            folder = tiers.fold_folder(name, fold, options)
            right = np.eye(2, dtype=np.float32)[known.targets(divided(known, fold)[1])]
            np.save(folder / "logits.npy", right if name == REFERENCE else -right)
            (folder / "weights").mkdir()
            (folder / "weights" / "model.keras").write_bytes(b"x" * 100_000)
    before = {"labelled": 40, "rows": {"light": row(), REFERENCE: row(clips=7)}}
    report = tiers.report_of(dataset, options, before)
    rows = report["rows"]
    assert {name: each["folds"] for name, each in rows.items() if name != "light"} == {
        REFERENCE: [1, 2], "small": [2], "movinet": [3],
    }  # fmt: skip
    assert rows["light"]["macro_f1"] == row()["macro_f1"] and rows[REFERENCE]["clips"] != 7
    assert rows["small"]["difference"][0] == pytest.approx(-1.0) and rows["movinet"]["difference"] is None
    assert timed["light"] == options.weights / "surveillance-light" and all(
        each["cpu_s"] == {"native": 0.1} for each in rows.values()
    )
    assert "light" not in tiers.report_of(dataset, options, {**before, "labelled": 41})["rows"]


def test_difference_that_was_measured_stays_with_the_same_figures_alone() -> None:
    now, then = row(f1={"Other": 0.5}), row(f1={"Other": 0.5}, difference=[-0.1, -0.2, 0.0])
    assert tiers.with_known(now, then)["difference"] == [-0.1, -0.2, 0.0]
    assert tiers.with_known(now, {**then, "folds": [2]})["difference"] is None
    assert tiers.with_known(now, {**then, "f1": {"Other": 0.4}})["difference"] is None
    assert tiers.with_known(now, None) == now and tiers.with_known(then, now) == then


def test_table_without_a_measurement_claims_none() -> None:
    text = tiers.markdown({"rows": {}, "labelled": 500, "machine": {"cpu": "a processor"}})
    assert text.count("not run") == len(ROWS) and "held-out" not in text


def test_document_has_a_place_for_the_table() -> None:
    assert all(mark in DOCS.read_text("utf-8") for mark in MARKS)


def test_every_row_keeps_the_seed_of_the_features_that_rows_share() -> None:
    small = [ROWS[name].config for name in ("shufflenet", "movinet")]
    assert small[0].input == small[1].input
    assert replace(small[0].transfer, unfreeze=()) == replace(small[1].transfer, unfreeze=())


class ScriptedWorker:
    """A clip costs what its precision costs, a limit makes it dearer; ``closed`` counts those that ended."""

    closed = 0

    def __init__(self, job: Job) -> None:
        slower = 2 if "ONEDNN_MAX_CPU_ISA" in os.environ else 1
        self.cost_s = slower * {"f32": 0.04, "auto": 0.02, "int8": 0.01}[job.precision]
        self.problem = "no int8 network" if job.folder == Path("without") and job.precision == "int8" else ""

    def run(self, clip: np.ndarray) -> tuple[np.ndarray, float, float]:
        return np.zeros(3, np.float32), 1.0, self.cost_s

    def close(self) -> None:
        ScriptedWorker.closed += 1


def test_precisions_of_one_network_are_told_with_and_without_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(tiers, "Worker", ScriptedWorker)
    found = tiers.precision_costs(REPOSITORY / "weights" / "surveillance-light", tmp_path)
    assert found == {"native": {"f32": 0.04, "auto": 0.02, "int8": 0.01}, "avx2": {"f32": 0.08, "int8": 0.02}}
    ended = ScriptedWorker.closed
    with pytest.raises(RuntimeError, match="int8: no int8 network"):
        tiers.precision_costs(Path("without"), tmp_path)
    assert ScriptedWorker.closed == ended + 3, "they end all the same"
