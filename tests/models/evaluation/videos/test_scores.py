"""What a run said of each frame: as shown, with other smoothing, and with hindsight."""

import numpy as np
import pytest

from models.evaluation.videos.scores import hindsight_scores, peak, restudied, shown_scores, winners
from pipeline.actions import SmootherConfig
from tests.models.scripted_run import clip, run, track

RUN = run([track(1, range(0, 40))], [clip(1, 0.0, 1.0, 1), clip(1, 1.0, 2.0, 0), clip(1, 2.0, 3.0, 0, 0.9)])


def test_shown_scores_say_nothing_before_the_first_clip_and_smooth_then():
    scores = shown_scores(RUN).scores[1]
    assert winners(scores).tolist() == [-1] * 10 + [1] * 10 + [0] * 20
    np.testing.assert_allclose(scores[10], [0.1, 0.8, 0.1], atol=1e-6)
    weight = 1 - np.exp(-2)  # a second later, over half a second
    np.testing.assert_allclose(scores[20], [0.1 + weight * 0.7, 0.8 - weight * 0.7, 0.1], atol=1e-6)


def test_shown_scores_with_another_smoother():
    slow = shown_scores(RUN, SmootherConfig(label_time_constant_s=100)).scores[1]
    assert winners(slow).tolist() == [-1] * 10 + [1] * 30
    strict = shown_scores(RUN, SmootherConfig(thresholds={"Fighting": 0.5})).scores[1]
    assert winners(strict).tolist() == [-1] * 20 + [0] * 20, "only what is allowed is shown"


def test_shown_scores_events_are_those_of_the_service():
    events = shown_scores(RUN).events
    assert [(event.action, event.start_s) for event in events] == [("Standing", 1.0), ("Fighting", 2.0)]
    assert events[1].end_s == pytest.approx(3.9), "until the end of the video"


def test_hindsight_scores_are_the_mean_of_the_clips_that_hold_a_frame():
    late = run([track(1, range(5, 40))], [clip(1, 1.0, 2.0, 0), clip(1, 1.5, 3.0, 1)])
    found = hindsight_scores(late)
    scores = found.scores[1]
    np.testing.assert_allclose(scores[0], [0.8, 0.1, 0.1])  # 0.5 s: before any clip, hence the first
    np.testing.assert_allclose(scores[12], [0.45, 0.45, 0.1])  # 1.7 s: both
    np.testing.assert_allclose(scores[-1], [0.1, 0.8, 0.1])  # 3.9 s: after all, hence the last
    spans = [(event.action, event.start_s, event.end_s) for event in found.events]
    assert spans == [("Fighting", 0.5, 2.0), ("Standing", 2.1, 3.9)]


def test_hindsight_scores_of_a_track_without_answers_are_silent():
    found = hindsight_scores(run([track(1, range(5))]))
    assert winners(found.scores[1]).tolist() == [-1] * 5 and found.events == ()


def test_peak_of_single_clips_and_of_smoothed_scores():
    assert peak(RUN, "Fighting", smoothed=False) == pytest.approx(0.9)
    smoothed = peak(RUN, "Fighting")
    assert smoothed == pytest.approx(0.9 - np.exp(-1) * (0.9 - 0.1 - (1 - np.exp(-1)) * 0.7)), "as events are smoothed"
    assert peak(RUN, "Fighting", SmootherConfig(thresholds={"Walking": 0.9})) == smoothed
    assert peak(run([track(1, range(5))]), "Fighting") == 0


def test_restudied_applies_another_temperature_and_smoother_to_the_stored_answers():
    found = restudied(RUN, 2.0, SmootherConfig(time_constant_s=1e-6), {"temperature": 2.0})
    roots = np.sqrt([0.1, 0.8, 0.1])
    np.testing.assert_allclose(found.clips[0].probabilities, roots / roots.sum())
    assert (found.temperature, found.settings) == (2.0, {"temperature": 2.0})
    assert list(found.tracks[0].shown) == [-1] * 10 + [1] * 10 + [0] * 20
    assert found.tracks[0].confidence[0] == 0
    assert found.tracks[0].confidence[10] == pytest.approx((roots / roots.sum()).max(), abs=1e-4)
    back = restudied(found, 1.0, SmootherConfig(), {})
    np.testing.assert_allclose(back.clips[2].probabilities, RUN.clips[2].probabilities)
    assert back.events == shown_scores(RUN).events
