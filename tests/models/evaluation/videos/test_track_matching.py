"""The pipeline's tracks against annotated people: greatest overlap, one to one, no swapping for a few pixels."""

from collections import Counter

import numpy as np

from models.evaluation.videos.run import TrackRun
from models.evaluation.videos.track_matching import match_tracks, people_of_tracks
from models.evaluation.videos.truth import VideoTruth
from tests.models.scripted_run import box, run, track, truth


def test_match_tracks_takes_the_assignment_with_the_greatest_overlap():
    people = truth([], {1: (range(1, 2), 100.0), 2: (range(1, 2), 106.0)})
    # Track 5 overlaps both people, person 2 a little more; track 6 overlaps person 2 only.
    said = run([track(5, [0], 103.5), track(6, [0], 110.0)], frames=1)
    pairs = {match.truth_id: match.track_id for match in match_tracks(people, said, iou=0.3)}
    assert pairs == {1: 5, 2: 6}


def test_match_tracks_leaves_out_what_overlaps_too_little():
    people = truth([], {1: (range(1, 4), 100.0)})
    said = run([track(5, range(3), 108.0)], frames=3)  # IoU 12 / 28 = 0.43
    assert match_tracks(people, said, iou=0.5) == []
    found = match_tracks(people, said, iou=0.4)
    assert [match.frame for match in found] == [0, 1, 2]
    np.testing.assert_allclose([match.iou for match in found], 12 / 28, rtol=1e-5)


def moving(track_id: int, lefts: list[float]) -> TrackRun:
    plain = track(track_id, range(len(lefts)))
    return plain.model_copy(update={"boxes_xyxy": tuple(box(left) for left in lefts)})


def test_match_tracks_keeps_a_pair_while_it_overlaps_enough():
    people = truth([], {1: (range(1, 4), 100.0), 2: (range(1, 4), 104.0)})
    # In the second frame the tracks lie the other way round by two pixels, in the third as in the first.
    said = run([moving(5, [100, 103, 100]), moving(6, [104, 101, 104])], frames=3)
    assert [(match.truth_id, match.track_id) for match in match_tracks(people, said)] == [(1, 5), (2, 6)] * 3


def test_match_tracks_counts_frames_by_number_and_missing_people():
    people = truth([], {1: (range(3, 5), 100.0)})
    said = run([track(5, range(6), 100.0)], frames=6)
    found = match_tracks(people, said)
    assert [match.frame for match in found] == [2, 3], "frame number 3 is the third picture"
    empty = VideoTruth("v1", "g", people.split, "", {}, ())
    assert match_tracks(empty, said) == []


def test_people_of_tracks_is_who_shares_most_frames():
    people = truth([], {1: (range(1, 4), 100.0), 2: (range(4, 11), 100.0)})
    said = run([track(5, range(10), 100.0)], frames=10)
    found = match_tracks(people, said)
    assert Counter(match.truth_id for match in found) == {1: 3, 2: 7}
    assert people_of_tracks(found) == {5: 2}
