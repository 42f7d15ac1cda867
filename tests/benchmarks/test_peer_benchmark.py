"""The pure parts of benchmarks/peer.py: the example's bookkeeping, the stand-in for lap, the file camera, the table."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from benchmarks import peer
from benchmarks.peer_loop import assignment
from benchmarks.peer_loop.camera import FileCamera
from benchmarks.peer_loop.loop import People, Schedule, Shown, square_crop, stretched
from tests.benchmarks.test_live_benchmark import RATE, street, walker
from tests.support.media import write_video


def crop(value: int) -> np.ndarray:
    return np.full((224, 224, 3), value, np.uint8)


def test_schedule_takes_every_second_and_classifies_every_twelfth() -> None:
    schedule = Schedule()
    assert [n for n in range(1, 9) if schedule.takes(n)] == [2, 4, 6, 8]
    assert [n for n in range(1, 40) if schedule.classifies(n, any_before=True)] == [12, 24, 36]
    assert schedule.classifies(5, any_before=False)


def test_people_are_ready_with_their_last_eight_crops() -> None:
    people = People(Schedule())
    for number in range(7):
        people.take(1, crop(number), number / 10)
    assert people.ready([1, 2]) == []
    people.take(1, crop(7), 0.7)
    people.take(1, crop(8), 0.8)
    assert people.ready([1, 2]) == [1]
    assert people.clip(1)[:, 0, 0, 0].tolist() == list(range(1, 9))


def test_shown_ages_the_oldest_label_once_a_second() -> None:
    people, shown = People(Schedule()), Shown(0.0)
    people.take(1, crop(0), 1.0)
    people.take(2, crop(0), 1.5)
    shown.change([1, 2, 3], people, 0.5)  # nobody has a label yet
    people.give(1, 0)
    people.give(2, 0)
    shown.change([1, 2, 3], people, 1.6)
    shown.change([2], people, 4.1)  # a long stall: the old picture stood there at 2, 3 and 4 s
    shown.change([2], people, 5.5)
    assert shown.ages_s == pytest.approx([1.0, 2.0, 3.0, 3.5])
    assert people.given == 2
    told = people.message(5.4, [2, 3], [(0.0, 0.1, 0.2, 0.3), (0.5, 0.5, 0.6, 0.6)])
    assert told["tracks"][0] == {"track_id": 2, "box": [0.0, 0.1, 0.2, 0.3], "action": "0"}
    assert told["time_s"] == 5.4 and told["tracks"][1]["action"] is None


def test_square_crop_is_square_around_the_box_and_its_margin() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[50:150, 100:200] = 255  # as high as it is wide
    inside = square_crop(image, np.array([100, 50, 200, 150], np.float32), 0.0)
    assert inside.shape == (224, 224, 3) and inside.min() == 255
    around = square_crop(image, np.array([100, 50, 200, 150], np.float32), 0.1)
    assert around[0].max() == 0 and around[112, 112].min() == 255
    assert square_crop(image, np.array([299, 199, 300, 200], np.float32), 0.1).shape == (224, 224, 3)


def test_stretched_repeats_pictures_in_order() -> None:
    assert stretched(8, 14) == [0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6, 7]
    assert stretched(4, 4) == [0, 1, 2, 3]


def best_by_hand(cost: np.ndarray, limit: float) -> float:
    """The least sum over all ways to pair rows with columns or to leave them alone for half the limit each."""
    rows, columns = cost.shape
    found = []
    for choice in itertools.product(range(-1, columns), repeat=rows):
        taken = [column for column in choice if column >= 0]
        if len(taken) == len(set(taken)):
            paired = sum(cost[row, column] for row, column in enumerate(choice) if column >= 0)
            found.append(paired + limit / 2 * (rows + columns - 2 * len(taken)))
    return min(found)


def test_lapjv_pairs_at_the_least_cost_and_nobody_beyond_the_limit() -> None:
    random = np.random.default_rng(0)
    for rows, columns in ((3, 4), (4, 2), (1, 1)):
        cost, limit = random.random((rows, columns)), 0.5
        total, by_row, by_column = assignment.lapjv(cost, extend_cost=True, cost_limit=limit)
        pairs = [(row, column) for row, column in enumerate(by_row) if column >= 0]
        assert all(by_column[column] == row and cost[row, column] <= limit for row, column in pairs)
        alone = rows + columns - 2 * len(pairs)
        assert total + limit / 2 * alone == pytest.approx(best_by_hand(cost, limit))
    with pytest.raises(ValueError, match="finite"):
        assignment.lapjv(np.zeros((1, 1)))


def test_file_camera_gives_the_newest_picture_and_loops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = FileCamera(write_video(tmp_path / "v.mp4", frames=10, rate=10))
    monkeypatch.setattr(FileCamera, "now_s", property(lambda _: 0.55))
    image, taken_s = camera.newest()
    assert taken_s == 0.5 and image.shape == (120, 160, 3)
    bar = int(image[:, 0, 1].argmax())  # tests.support.media moves it by four rows a picture
    assert abs(bar - 20) <= 2
    monkeypatch.setattr(FileCamera, "now_s", property(lambda _: 1.25))
    image, taken_s = camera.newest()
    assert taken_s == 1.2 and abs(int(image[:, 0, 1].argmax()) - 8) <= 2  # the third of the second round
    with pytest.raises(ValueError, match="expected a video"):
        FileCamera(tmp_path / "missing.mp4")


OURS = {"clips_a_second": 6.0, "cpu_s_a_second": 1.5, "labelled": 0.9, "label_age_s_p50": 1.0, "label_age_s_p95": 2.0,
        "detections_a_second": 5.0}  # fmt: skip
THEIRS = {"labels_a_second": 0.5, "labels_a_cpu_second": 0.25, "labelled": 0.6, "label_age_s_p50": 5.0,
          "label_age_s_p95": 9.0, "pictures_a_second": 2.0, "cpu_s_a_second": 2.0}  # fmt: skip


def test_with_shares_holds_the_loop_to_the_straight_line() -> None:
    line = street()
    told = [
        People(Schedule()).message(i / RATE, [1, 2], [walker(0, i), (0.4, 0.9, 0.5, 1.0)])  # two boxes, one of nobody
        for i in range(100)
    ]
    found = peer.with_shares({"seconds": 5, "messages": told}, line)
    assert found == {"seconds": 5, "found": 0.5, "labelled": 0.0, "ids_ratio": 0.67}


def test_ratios_are_ours_to_theirs_and_unknown_to_nothing() -> None:
    assert peer.ratios(OURS, THEIRS) == {"labels_ratio": 12.0, "cpu_ratio": 16.0}
    nothing = {**THEIRS, "labels_a_second": 0.0, "labels_a_cpu_second": 0.0}
    assert peer.ratios(OURS, nothing) == {"labels_ratio": None, "cpu_ratio": None}


def test_markdown_shows_both_sides_and_what_failed() -> None:
    good = {"row": "people-5", "cpu": "a", "actoscope": OURS, "peer": THEIRS, **peer.ratios(OURS, THEIRS)}
    text = peer.markdown([good, {"row": "people-2", "cpu": "a", "problem": "no camera"}])
    assert "| Actoscope | 6.00 | 4.00 | 0.90 | 1.00 / 2.00 |" in text
    assert "| the example's loop | 0.50 | 0.25 | 0.60 | 5.00 / 9.00 |" in text
    assert "| ratio | ×12.00 | ×16.00 |" in text and "none: no camera" in text
    assert len({line.count("|") for line in text.strip().splitlines()}) == 1
