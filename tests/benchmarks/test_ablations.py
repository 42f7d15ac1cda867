"""The pure parts of benchmarks/ablations.py: its rows, its figures, its file and its table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ablations
from benchmarks.ablation import runs
from benchmarks.ablation.figures import measured, paired_difference
from benchmarks.ablation.rows import BASE, ROWS, TABLE, How, Row
from benchmarks.ablation.runs import Clock, Options, limited, row_config, run_row, same_features
from benchmarks.ablation.table import MARKS, markdown, with_table
from models.data.manifest import ClipRecord, Dataset, DatasetInfo, Split
from models.evaluation.figures.predictions import Predictions
from models.training.config import Mode
from models.training.run.checks import config_problems
from models.weights.cards import ModelInput
from tests.models.training_runs import make_dataset, tiny

LABELS = ("Fighting", "Standing", "Walking", "Other")


def answers(called: list[int], targets: list[int], groups: list[str]) -> Predictions:
    records = tuple(
        ClipRecord(Path(f"{i}.mkv"), LABELS[t], g, Split.VAL)
        for i, (t, g) in enumerate(zip(targets, groups, strict=True))
    )
    return Predictions(LABELS, records, np.eye(4)[called], np.asarray(targets, np.int64))


def result(**changed: object) -> dict[str, object]:
    figures = {"macro_f1": [0.7, 0.6, 0.8], "macro_f1_three": [0.9, 0.8, 0.95], "difference": None}
    return {**figures, "train_s": 100.0, "feature_s": None, "base_feature_s": None, **changed}


def test_rows_all_stand_in_the_table_and_can_be_trained() -> None:
    shown = [name for _, variants in TABLE for _, name in variants]
    assert set(shown) == set(ROWS) and next(iter(ROWS)) == "base"
    for name, row in ROWS.items():
        problems = [text for text in config_problems(row.config, runs.WEIGHTS) if "weights to start from" not in text]
        assert not problems, (name, problems)
        assert row.how is not How.TRAIN or row.wide or name == "base" or row.config != BASE, name


def test_same_features_only_where_the_frozen_part_sees_the_same() -> None:
    other = {name for name, row in ROWS.items() if not same_features(row.config, BASE)}
    assert other == {"sparse-16", "dense-32", "flow", "fused", "from-4f"}


def test_row_config_takes_the_epochs_asked_for_up_to_the_rows_own(tmp_path: Path) -> None:
    options = Options(tmp_path, None, tmp_path / "features", tmp_path, epochs=7)
    assert row_config(ROWS["flow"], options).epochs == 7
    assert row_config(ROWS["flow"], options).mode is Mode.FLOW
    assert row_config(ROWS["flow"], options).input.flow_folder == str(tmp_path / "features" / "flow")
    assert row_config(ROWS["from-4f"], options).epochs == 5


def test_limited_keeps_the_first_of_each_class_and_split() -> None:
    info = DatasetInfo(class2label={"a": 0, "b": 1}, input=ModelInput(margin=0.2))
    wanted = [("a", Split.TRAIN), ("a", Split.TRAIN), ("b", Split.TRAIN), ("a", Split.VAL), ("a", Split.TRAIN)]
    dataset = Dataset(
        Path(), info, tuple(ClipRecord(Path(str(i)), *pair[:1], "g", pair[1]) for i, pair in enumerate(wanted))
    )
    assert [record.path.name for record in limited(dataset, 1).records] == ["0", "2", "3"]
    assert limited(dataset, 0) == dataset


def test_measured_decides_three_classes_among_themselves() -> None:
    targets, groups = [0, 1, 2, 3, 0, 1, 2, 3], ["g1"] * 4 + ["g2"] * 4
    found = measured(answers([0, 1, 2, 3, 0, 1, 3, 2], targets, groups), None)
    assert found.macro_f1[0] == 0.75  # 1, 1, 0.5, 0.5
    # of the scores without Other, the clip called Other has none above the first: Fighting; F1 4/5, 1, 2/3
    assert found.macro_f1_three[0] == pytest.approx((4 / 5 + 1 + 2 / 3) / 3, abs=1e-4)
    assert found.f1["Walking"] == 0.5 and found.clips == 8 and found.difference is None


def test_paired_difference_of_equal_answers_is_exactly_nothing() -> None:
    one = answers([0, 1, 2, 0], [0, 1, 2, 3], ["g1", "g1", "g2", "g3"])
    assert paired_difference(one, one) == [0, 0, 0]


def test_paired_difference_counts_every_group_for_both() -> None:
    targets, groups = [0, 1, 0, 1], ["g1", "g1", "g2", "g2"]
    difference = paired_difference(answers([0, 1, 0, 1], targets, groups), answers([1, 0, 1, 0], targets, groups))
    assert difference == [1, 1, 1]  # all right against all wrong, whichever groups are drawn


def test_paired_difference_is_unknown_for_other_groups() -> None:
    assert paired_difference(answers([0], [0], ["g1"]), answers([0], [0], ["g2"])) is None


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # Keras 3.15
def test_rows_run_on_real_clips_and_leave_what_others_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_dataset(tmp_path / "data", clips=12)
    monkeypatch.setattr(runs, "BASE", tiny())
    monkeypatch.setattr(runs, "ROWS", {"base": Row(tiny(mode=Mode.FLOW)), "logistic": Row(tiny(), How.LOGISTIC)})
    options = Options(dataset.folder, None, tmp_path / "cache", tmp_path / "work", epochs=2)
    flow, logistic = run_row("base", options), run_row("logistic", options)
    assert flow.clips == logistic.clips == len(dataset.of(Split.VAL))
    assert flow.train_s and flow.feature_s and flow.base_feature_s and flow.epochs == 2
    assert (options.work / "base" / "weights" / "model.keras").is_file()
    assert logistic.macro_f1[0] == 1  # bright or dark is to be seen even by a network of random weights
    assert logistic.difference is not None
    assert logistic.difference[0] == pytest.approx(1 - flow.macro_f1[0], abs=1e-4)


def test_clock_tells_the_usual_step_and_ignores_a_slow_one() -> None:
    clock = Clock(lambda _: None, [(0, 0), (9, 90), (11, 110), (13, 130)])
    assert clock.usual() == (2, 20)
    assert Clock(lambda _: None, [(0, 0)]).usual() is None


def test_markdown_shows_ratios_and_what_was_not_run() -> None:
    flow = result(train_s=150.0, feature_s=3.0, base_feature_s=1.0, difference=[-0.1, -0.2, 0.05])
    text = markdown({"rows": {"base": result(), "flow": flow}, "failed": {"focal": "broke"}})
    assert (
        "| flow (DIS) | 0.700 [0.600, 0.800] | 0.900 [0.800, 0.950] | -0.100 [-0.200, +0.050] | ×1.50 | ×3.00 |" in text
    )
    assert text.count("(base)") == sum(name == "base" for _, variants in TABLE for _, name in variants)
    assert "| channel + time | not run |" in text and "| focal, γ = 2 | failed |" in text
    assert len({line.count("|") for line in text.strip().splitlines()}) == 1


def test_with_table_replaces_only_what_stands_between_the_marks() -> None:
    text = f"before\n{MARKS[0]}old\n{MARKS[1]}after\n"
    assert with_table(text, "new") == f"before\n{MARKS[0]}\nnew\n{MARKS[1]}after\n"
    with pytest.raises(ValueError, match="expected the marks"):
        with_table("no marks", "new")


def test_read_results_refuses_another_protocol(tmp_path: Path) -> None:
    path = tmp_path / "ablations.json"
    assert ablations.read_results(path, {"epochs": 1})["rows"] == {}
    path.write_text(json.dumps({"protocol": {"epochs": 1}, "rows": {"base": {}}, "failed": {}}))
    assert ablations.read_results(path, {"epochs": 1})["rows"] == {"base": {}}
    with pytest.raises(ValueError, match="other data, epochs or settings"):
        ablations.read_results(path, {"epochs": 2})


def test_committed_results_are_those_in_the_document() -> None:
    results = Path(ablations.HERE) / "results" / "ablations.json"
    report = json.loads(results.read_text("utf-8"))
    assert set(report["rows"]) <= set(ROWS)
    assert markdown(report) in ablations.DOCS.read_text("utf-8")
