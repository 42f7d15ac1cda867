"""Whole videos against their annotation, worked out by hand: frames, pieces, events, and the video as a whole."""

from dataclasses import replace

import numpy as np
import pytest

from models.data.manifest import Split
from models.errors import EvaluationError
from models.evaluation.videos.decision import Peak, decide, decide_in_folds
from models.evaluation.videos.event_metrics import event_score
from models.evaluation.videos.judgement import VideoJudgeConfig, judge_videos
from models.evaluation.videos.metrics import VideoCase, by_piece, judge_frames, label_score
from models.evaluation.videos.run import EventRun
from models.evaluation.videos.scores import hindsight_scores, shown_scores
from models.evaluation.videos.truth import Segment
from tests.models.scripted_run import LABELS, clip, run, track, truth

# Person 1 stands, is unclear, then fights; person 2 walks, but the pipeline never finds that person.
PEOPLE = {1: (range(1, 41), 10.0), 2: (range(1, 21), 300.0)}
TRUTH = truth(
    [
        Segment(1, 1, 20, "Standing"),
        Segment(1, 21, 25, "Unclear"),
        Segment(1, 26, 40, "Fighting"),
        Segment(2, 1, 20, "Walking"),
    ],
    PEOPLE,
)
RUN = run([track(5, range(40))], [clip(5, 0.0, 1.0, 1), clip(5, 1.0, 3.0, 0, 0.95)])
CASE = VideoCase.of(RUN, TRUTH)


def test_label_score_counts_silence_and_missed_people_as_wrong():
    score = label_score([judge_frames(CASE, shown_scores(RUN))], LABELS)
    assert score is not None and score.count == 55
    # Fighting is shown from 3.0 s (frame number 31) on: 10 of its 15 frames; Standing from 1.0 s to 2.9 s.
    assert score.confusion == ((10, 5, 0, 0), (0, 10, 0, 10), (0, 0, 0, 20))
    assert score.found == pytest.approx(35 / 55) and score.told == pytest.approx(25 / 55)
    fighting, standing, walking = score.classes
    assert (fighting.precision, fighting.recall) == pytest.approx((1, 10 / 15))
    assert (standing.precision, standing.recall) == pytest.approx((10 / 15, 10 / 20))
    assert walking.f1 == 0 and walking.support == 20
    assert score.macro_f1.value == pytest.approx((20 / 25 + 20 / 35 + 0) / 3)


def test_label_score_of_a_subset_is_decided_among_its_classes():
    judged = [judge_frames(CASE, hindsight_scores(RUN))]
    score = label_score(judged, LABELS, ("Standing", "Fighting"))
    assert score is not None
    assert score.labels == ("Fighting", "Standing"), "in the order of the model"
    assert score.count == 35 and score.confusion == ((15, 0, 0), (10, 10, 0))
    assert label_score([judge_frames(CASE, shown_scores(RUN))], ("a", "b", "c"), ("a",)) is not None
    assert label_score([], LABELS) is None


def test_by_piece_is_one_vote_for_each_labelled_piece():
    score = label_score([by_piece(judge_frames(CASE, hindsight_scores(RUN)))], LABELS)
    assert score is not None
    assert score.count == 3
    # Of the 20 frames of standing 9 are held by the surer clip of fighting alone, 1 by both: it wins by 10.1 to 8.6.
    assert score.confusion == ((1, 0, 0, 0), (1, 0, 0, 0), (0, 0, 0, 1))


def event(action: str, start_s: float, end_s: float, track_id: int = 5) -> EventRun:
    return EventRun(track_id=track_id, action=action, start_s=start_s, end_s=end_s, confidence=0.9)


def test_event_score_hits_by_temporal_overlap_one_to_one():
    said = [
        event("Standing", 0.0, 0.9),  # 10 of 20 frames
        event("Standing", 1.5, 1.9),  # a second one for the same action
        event("Fighting", 2.0, 3.9),  # starts in the unclear time, which does not count against it
        event("Walking", 2.1, 2.3),  # wholly within the unclear time: neither right nor wrong
    ]
    score = event_score([(CASE, said)], LABELS, 0.5)
    assert score is not None
    fighting, standing, walking = score.classes
    assert (fighting.support, fighting.predicted, fighting.f1) == (1, 1, 1)
    assert (standing.support, standing.predicted, standing.f1) == (1, 2, pytest.approx(2 / 3))
    assert (walking.support, walking.predicted, walking.f1) == (1, 0, 0)
    assert score.micro_f1 == pytest.approx(4 / 6)
    strict = event_score([(CASE, said)], LABELS, 0.6)
    assert strict is not None and strict.classes[1].f1 == 0


def test_event_score_ignores_people_nobody_labelled_and_joins_pieces_that_follow_each_other():
    pieces = [Segment(1, 1, 10, "Walking"), Segment(1, 11, 30, "Walking"), Segment(1, 32, 40, "Walking")]
    said = run([track(5, range(40)), track(6, range(40), 200.0)])
    case = VideoCase.of(said, truth(pieces, {1: (range(1, 41), 10.0), 9: (range(1, 41), 200.0)}))
    score = event_score([(case, [event("Walking", 0.0, 2.9), event("Fighting", 0.0, 3.0, 6)])], LABELS, 0.9)
    assert score is not None
    assert (score.classes[2].support, score.classes[2].predicted) == (2, 1)
    assert score.classes[2].f1 == pytest.approx(2 / 3)
    assert score.classes[0].predicted == 0


def peaks(split: Split, values: list[float], positive: list[bool]) -> list[Peak]:
    return [
        Peak(f"{split}{i}", f"{split}{i // 2}", split, p, v)
        for i, (v, p) in enumerate(zip(values, positive, strict=True))
    ]


def test_decide_takes_the_threshold_of_train_to_val():
    train = peaks(Split.TRAIN, [0.1, 0.2, 0.6, 0.9], [False, False, True, True])
    val = peaks(Split.VAL, [0.3, 0.5, 0.35, 0.8], [False, False, True, True])
    found = decide([*train, *val], Split.VAL, "Fighting", True)
    assert found is not None and found.accuracy is not None and found.roc_auc is not None
    assert found.threshold == pytest.approx(0.4) and found.threshold_accuracy == 1
    assert found.accuracy.value == 0.5 and found.confusion == ((1, 1), (1, 1))
    assert found.roc_auc.value == pytest.approx(0.75) and found.roc is not None
    assert found.roc.area == pytest.approx(0.75), "pairs in order and scikit-learn's area are the same"
    assert (found.videos, found.positive) == (4, 2)


def test_decide_without_train_gives_the_area_only():
    found = decide(peaks(Split.VAL, [0.3, 0.8], [False, True]), Split.VAL, "Fighting", False)
    assert found is not None and found.threshold is None and found.accuracy is None
    assert found.roc_auc is not None and found.roc_auc.value == 1
    assert decide([], Split.VAL, "Fighting", False) is None


def test_decide_in_folds_takes_the_threshold_of_the_other_folds():
    # Fold 1 is told by 0.4, half way between 0.3 and 0.5; fold 2 by 0.65, half way between 0.6 and 0.7.
    values, positive = [0.35, 0.6, 0.7, 0.9, 0.2, 0.3, 0.5, 0.8], [False, False, True, True] * 2
    found = decide_in_folds(peaks(Split.VAL, values, positive), [1] * 4 + [2] * 4, "Fighting", True)
    assert found is not None and found.accuracy is not None and found.roc_auc is not None
    assert found.accuracy.value == 6 / 8 and found.confusion == ((3, 1), (1, 3)) and found.balanced_accuracy == 0.75
    assert found.threshold is None and (found.split, found.videos, found.positive) == ("folds", 8, 4)
    assert found.roc_auc.value == 15 / 16 and found.accuracy.low <= 0.75 <= found.accuracy.high


def test_decide_in_folds_without_both_kinds_elsewhere_gives_the_area_only():
    judged = peaks(Split.VAL, [0.1, 0.9, 0.8], [False, True, True])
    found = decide_in_folds(judged, [1, 1, 2], "Fighting", False)
    assert found is not None and found.accuracy is None and found.roc_auc is not None and found.roc_auc.value == 1
    assert decide_in_folds([], [], "Fighting", False) is None


def test_judge_videos_puts_it_together():
    train_run = run([track(1, range(40))], [clip(1, 0.0, 1.0, 0)], video="t1")
    calm_run = run([track(1, range(40))], [clip(1, 0.0, 1.0, 2)], video="t2")
    truths = {
        "v1": TRUTH.__class__("v1", "g1", Split.VAL, "Fight", TRUTH.boxes, TRUTH.segments),
        "t1": truth([], {}, "t1", "g2", Split.TRAIN, "Fight"),
        "t2": truth([], {}, "t2", "g3", Split.TRAIN, "NoFight"),
    }
    config = VideoJudgeConfig(subsets=(("Fighting", "Standing"),), positive=("Fighting", "Fight"))
    found = judge_videos([RUN, train_run, calm_run, run([], video="unknown")], truths, config)
    assert (found.videos, found.frames, found.split) == (1, 40, "val")
    shown, settled, hindsight = found.readings
    assert settled.frames[0].count == 55 - 20, "without the first second of both people"
    assert shown.frames[0].macro_f1.value == pytest.approx((20 / 25 + 20 / 35) / 3)
    assert [len(shown.frames), len(shown.pieces), len(shown.events)] == [2, 2, 3]
    assert found.curves == (), "no calm video in the split, and none was named"
    assert [score.temporal_iou for score in hindsight.events] == [0.1, 0.3, 0.5]
    smoothed, single = found.decisions
    assert smoothed.smoothed and not single.smoothed
    assert single.threshold == pytest.approx((0.8 + 0.1) / 2)
    assert single.confusion == ((0, 0), (0, 1)) and single.roc_auc is None


def test_judge_videos_names_all_that_is_wrong():
    other = RUN.model_copy(update={"labels": ("a", "b", "c"), "video": "v2"})
    config = VideoJudgeConfig(subsets=(("Running",),), positive=("Falling", "Fall"))
    with pytest.raises(EvaluationError, match=r"different classes; the model has no class Falling, Running"):
        judge_videos([RUN, other], {"v1": TRUTH, "v2": TRUTH}, config)
    with pytest.raises(EvaluationError, match="no annotated video is in the split 'test'"):
        judge_videos([RUN], {"v1": TRUTH}, VideoJudgeConfig(split=Split.TEST))


def test_judge_frames_reads_the_frame_numbers_of_the_run():
    assert np.bincount(judge_frames(CASE, shown_scores(RUN)).truth).tolist() == [15, 20, 20]


def test_judge_videos_scores_labels_in_any_spelling_of_the_model():
    spelt = {"Standing": "standing", "Unclear": "unclear ", "Fighting": "FIGHTING", "Walking": "Walking"}
    segments = tuple(replace(each, label=spelt[each.label]) for each in TRUTH.segments)
    config = VideoJudgeConfig(positive=("Fighting", "fight"))
    as_written = judge_videos([RUN], {"v1": replace(TRUTH, label="Fight")}, config)
    found = judge_videos([RUN], {"v1": replace(TRUTH, label="FIGHT ", segments=segments)}, config)
    assert found == as_written and found.decisions[0].positive == 1
