"""The judgement of one split: figures, subsets, honest calibration, the worst mistakes in order."""

from pathlib import Path

import numpy as np
import pytest

from models.data.manifest import ClipRecord, Split
from models.errors import EvaluationError
from models.evaluation.clips_and_videos import ClipsJob, about, evaluate_clips, summary
from models.evaluation.figures.calibration import fit_temperature
from models.evaluation.figures.predictions import Predictions
from models.evaluation.judge import JudgeConfig, judge
from tests.models.coloured import ColourClassifier, perfect, write_coloured

LABELS = ("a", "b", "c")


def answers(targets: list[int], called: list[int], strength: float = 2.0, split: Split = Split.VAL) -> Predictions:
    """One group for every two clips; the winner's logit is ``strength``, growing a little with the clip's number."""
    logits = np.zeros((len(targets), 3))
    logits[np.arange(len(targets)), called] = strength + 0.01 * np.arange(len(targets))
    records = tuple(
        ClipRecord(Path(f"{row}.mp4"), LABELS[target], f"g{row // 2}", split) for row, target in enumerate(targets)
    )
    return Predictions(LABELS, records, logits, np.asarray(targets))


TARGETS = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
CALLED = [0, 0, 0, 1, 1, 1, 2, 1, 2, 0]


def test_judge_figures_and_the_worst_mistakes_first():
    found = judge(Split.VAL, answers(TARGETS, CALLED), None, JudgeConfig(worst=2, samples=200))
    assert (found.count, found.groups) == (10, 5)
    assert found.whole.metrics.top1 == pytest.approx(0.7)
    assert [mistake.path for mistake in found.worst] == ["9.mp4", "6.mp4"], "the surest first"
    worst = found.worst[0]
    assert (worst.truth, worst.called) == ("c", "a") and worst.confidence > 0.5 > worst.truth_probability
    top1 = found.whole.intervals["top1"]
    assert top1.low < top1.value < top1.high
    assert set(found.whole.intervals) == {"top1", "macro_f1", "f1/a", "f1/b", "f1/c"}
    assert [curve.label for curve in found.roc] == list(LABELS)
    assert [curve.area for curve in found.roc] == pytest.approx([item.roc_auc for item in found.whole.metrics.classes])
    assert found.calibration.temperature == 1 and not found.calibration.fitted


def test_judge_subset_is_decided_among_its_classes_alone():
    found = judge(Split.VAL, answers(TARGETS, CALLED), None, JudgeConfig(subsets=(("a", "b"),), samples=100))
    (part,) = found.subsets
    assert part.labels == ("a", "b") and part.metrics.count == 8
    # Clip 6 was called c; among a and b alone it is a tie, which the first class takes.
    assert part.metrics.confusion == ((3, 1), (1, 3))


def test_judge_of_val_holds_the_own_group_out_of_the_temperature():
    val = answers(TARGETS, CALLED)
    found = judge(Split.VAL, val, val, JudgeConfig(samples=100)).calibration
    assert found.temperature == pytest.approx(fit_temperature(val.logits, val.targets))
    assert found.held_out is not None and found.scaled.nll < found.held_out.nll
    assert found.ece_interval.value == pytest.approx(found.held_out.ece)
    assert found.scaled.nll <= found.raw.nll


def test_judge_of_test_takes_the_temperature_of_val():
    val, test = answers(TARGETS, CALLED, 6.0), answers(TARGETS, CALLED, 3.0, Split.TEST)
    found = judge(Split.TEST, test, val, JudgeConfig(samples=100)).calibration
    assert found.temperature == pytest.approx(fit_temperature(val.logits, val.targets))
    assert found.held_out is None and found.ece_interval.value == pytest.approx(found.scaled.ece)
    assert found.fitted_on == "val (10 clips)"


def test_judge_refuses_an_empty_split():
    with pytest.raises(EvaluationError, match="'val' has no clip"):
        judge(Split.VAL, answers([], []), None)


def test_evaluate_clips_of_test_asks_about_val_too_and_says_so_in_the_card(tmp_path: Path):
    shown = [*perfect(), *perfect(Split.TEST, each=1), ("Red", "Blue", Split.TEST)]
    job = ClipsJob(
        write_coloured(tmp_path / "data", shown), tmp_path / "out", Split.TEST, judging=JudgeConfig(samples=50)
    )
    classifier = ColourClassifier()
    told: list[tuple[str, int, int]] = []
    found = evaluate_clips(classifier, job, lambda *step: told.append(step))
    assert found.split == "test" and found.count == 4 and sum(classifier.asked) == 10
    assert ("test", 4, 4) in told and ("val", 6, 6) in told
    assert found.calibration.fitted_on == "val (6 clips)"
    figures = summary(about(classifier.card, job).model_copy(update={"clips": found}))
    assert figures["test/top1"] == 0.75
    assert figures["test/macro_f1"] == pytest.approx((2 / 3 + 1 + 2 / 3) / 3, abs=1e-4)
    assert sorted(path.name for path in (tmp_path / "out" / "predictions").iterdir()) == ["test.jsonl", "val.jsonl"]
