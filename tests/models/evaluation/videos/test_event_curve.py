"""False events an hour, what is found and how late, worked out by hand."""

from dataclasses import replace

import pytest

from models.data.manifest import Split
from models.evaluation.videos.event_curve import Watched, curve_point, event_curve, true_actions, whole_video
from models.evaluation.videos.judgement import VideoJudgeConfig, judge_videos
from models.evaluation.videos.metrics import VideoCase
from models.evaluation.videos.negatives import Negative
from models.evaluation.videos.replay import Replay
from models.evaluation.videos.truth import Segment
from pipeline.actions import SmootherConfig
from tests.models.scripted_run import clip, run, track, truth

AT_ONCE = SmootherConfig(time_constant_s=1e-6, min_duration_s=0.0)


def told(chances: list[float], video: str = "v1", track_id: int = 1):
    """One person over four seconds, whose clips say Fighting with these chances at 1 s, 2 s, …"""
    clips = [clip(track_id, second, second + 1.0, 0, chance) for second, chance in enumerate(chances)]
    return run([track(track_id, range(40))], clips, video=video)


def calm(chances: list[float], group: str, kind: str = "street") -> Watched:
    return Watched(Replay(told(chances, group)), group, kind)


def test_curve_point_counts_false_events_by_kind_and_hour():
    watched = [calm([0.9, 0.1, 0.7], "a"), calm([0.1], "b"), calm([0.7], "c", "shop")]
    low, high = (curve_point("Fighting", watched, replace(AT_ONCE, on=on, off=on)) for on in (0.6, 0.8))
    assert (low.false_events, high.false_events) == (3, 1), "each time it begins anew counts"
    assert low.false_per_hour is not None and low.false_per_hour.value == pytest.approx(3 / (12 / 3600))
    assert [(kind.kind, kind.videos, kind.false_events) for kind in low.kinds] == [("shop", 1, 1), ("street", 2, 2)]
    assert low.actions is None and low.videos is None


def test_curve_point_without_a_false_event_does_not_claim_that_there_never_is_one():
    point = curve_point("Fighting", [calm([0.1], "a"), calm([0.1], "b")], AT_ONCE)
    assert point.false_per_hour is not None
    assert (point.false_per_hour.value, point.false_per_hour.low) == (0, 0)
    assert point.false_per_hour.high == pytest.approx(3.689 / (8 / 3600), rel=1e-3)  # Garwood: none seen, mean < 3.69


def fight(chances: list[float], track_id: int = 1) -> Watched:
    """Person 1 is annotated to fight from 1 s to 2.9 s."""
    seen = told(chances, track_id=track_id)
    case = VideoCase.of(seen, truth([Segment(1, 11, 30, "Fighting")], {1: (range(1, 41), 10.0)}))
    return Watched(Replay(seen), "g", None, true_actions(case, "Fighting"), whole_video(seen))


def test_curve_point_finds_actions_of_the_right_person_in_time_and_says_how_late():
    found = curve_point("Fighting", [fight([0.1, 0.9])], AT_ONCE)
    assert found.actions is not None and found.videos is not None
    assert (found.actions.share.value, found.actions.delay_p50_s) == (1, pytest.approx(1.0)), "told at 2 s"
    assert found.videos.delay_p50_s == pytest.approx(2.0), "of the whole video, from its first frame on"
    late = curve_point("Fighting", [fight([0.1, 0.1, 0.1, 0.9])], AT_ONCE)
    assert late.actions is not None and late.actions.share.value == 0, "its clip ends after the annotated time"
    assert late.actions.delay_p50_s is None
    slow = curve_point("Fighting", [fight([0.1, 0.9, 0.9])], replace(AT_ONCE, min_duration_s=0.5))
    assert slow.actions is not None and slow.actions.delay_p50_s == pytest.approx(2.0), "told at 3 s, began at 2 s"


def test_event_curve_sweeps_the_threshold_of_one_class_through_the_service_s_smoother():
    watched = [fight([0.1, 0.75]), calm([0.65], "a")]
    curve = event_curve("Fighting", watched, AT_ONCE, thresholds=(0.9, 0.7, 0.6))
    assert curve is not None and (curve.calm_videos, curve.default.threshold) == (1, 0.5)
    shares = [point.actions.share.value for point in curve.points if point.actions]
    assert [point.threshold for point in curve.points] == [0.6, 0.7, 0.9]
    assert shares == [1, 1, 0] and [point.false_events for point in curve.points] == [1, 0, 0]
    assert event_curve("Fighting", [Watched(Replay(told([0.1])), "a")], AT_ONCE) is None, "nothing is known of it"


def test_judge_videos_of_negatives_alone_needs_no_annotation():
    runs = [told([0.9, 0.9], "c1"), told([0.1], "c2")]
    negatives = {name: Negative(name, frozenset({"Fighting"}), "shop", name) for name in ("c1", "c2")}
    found = judge_videos(runs, {}, VideoJudgeConfig(negatives=negatives, smoother=AT_ONCE, thresholds=(0.95,)))
    (curve,) = found.curves
    assert (curve.default.false_events, curve.points[0].false_events) == (1, 0)
    assert found.readings == () and found.videos == 0


def test_judge_videos_counts_annotated_videos_without_the_class_among_the_negatives():
    boxes = {1: (range(1, 41), 10.0)}
    truths = {
        "f1": truth([Segment(1, 1, 40, "Fighting")], boxes, "f1", label="Fight"),
        "n1": truth([Segment(1, 1, 40, "Standing")], boxes, "n1", "g2", label="NoFight"),
        "t1": truth([], {}, "t1", "g3", Split.TRAIN, "NoFight"),
    }
    runs = [told([0.9, 0.9], "f1"), told([0.1, 0.8], "n1"), told([0.9], "t1")]
    config = VideoJudgeConfig(positive=("Fighting", "Fight"), smoother=AT_ONCE)
    (curve,) = judge_videos(runs, truths, config).curves
    assert [(kind.kind, kind.videos, kind.false_events) for kind in curve.default.kinds] == [("NoFight", 1, 1)]
    assert curve.default.videos is not None and curve.default.videos.count == 1, "what the network learnt from is out"
