"""Which videos are calm and whose network judges them, people kept and played back, and the choice of settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.events.detections import Searching, read_detections
from benchmarks.events.fights import fight_scores
from benchmarks.events.study import Setting, Tried, best, chosen_elsewhere, false_rate, settings
from benchmarks.events.table import markdown
from benchmarks.events.videos import Video, fold_of, group_of, read_videos, thinned
from models.evaluation.videos.event_curve import Outcome
from models.evaluation.videos.run import VideoRun
from pipeline.actions import Evidence
from pipeline.entities import Detections, Frame
from service.budget.plan import Plan
from tests.models.scripted_run import clip, run, track
from tests.support.places import SHARED


def test_groups_are_subjects_sources_and_else_the_video_itself():
    assert group_of("falls", "s1_fall_13") == group_of("falls", "s1_adl_10") == "falls-s1"
    assert group_of("ucf101/Archery", "v_Archery_g03_c01") == group_of("ucf101/Archery", "v_Archery_g03_c02")
    assert group_of("misc", "walk") == "walk" and group_of("pets", "vtest") == "46", "labelled as surveillance is"


def test_fold_of_a_group_is_the_one_that_holds_it_out_and_else_a_fixed_one():
    folds = [{"a"}, {"b", "c"}, set[str]()]
    assert [fold_of(group, folds) for group in "abc"] == [1, 2, 2]
    assert fold_of("unknown", folds) == fold_of("unknown", folds) in (1, 2, 3)


def test_thinned_keeps_all_videos_of_every_nth_source():
    videos = [Video(Path("v.avi"), "sport", group, f"{group}{n}") for group in "abc" for n in (1, 2)]
    assert [each.name for each in thinned(videos, {"sport": 2})] == ["a1", "a2", "c1", "c2"]
    assert thinned(videos, {}) == videos


@pytest.mark.skipif(not (SHARED / "data" / "surveillance").is_dir(), reason="../shared/data is not here")
def test_read_videos_knows_every_kind():
    videos, truths = read_videos(SHARED / "data")
    counts = {kind: sum(each.kind == kind for each in videos) for kind in {each.kind for each in videos}}
    assert (counts["fight"], counts["surveillance"]) == (124, 115)
    assert len({each.name for each in videos}) == len(videos), "answers are kept by name"
    assert counts["workout"] == 74 and counts["street"] == 7 and "people-detection" in {each.name for each in videos}
    assert all(truths[each.name].label == "Fight" for each in videos if each.kind == "fight")


def test_people_are_read_back_as_they_were_found(tmp_path: Path):
    def finder(frame: Frame, _expected: object) -> Detections:
        count = frame.index % 3
        boxes = np.full((count, 4), frame.index, np.float32)
        return Detections(boxes, np.full(count, 0.5, np.float32), np.full((count, 8), np.nan, np.float32))

    searching = Searching(finder, Plan())
    for index in (0, 2, 4):
        searching.detect(
            Frame(np.zeros((4, 4, 3), np.uint8), index, index / 10, 0.0, 0.0), np.zeros((0, 4), np.float32)
        )
    searching.write(tmp_path / "people" / "v.npz")
    found = read_detections(tmp_path / "people" / "v.npz")
    assert {index: len(each) for index, each in found.items()} == {0: 0, 2: 2, 4: 1}
    assert found[2].boxes_xyxy.tolist() == [[2, 2, 2, 2]] * 2 and found[2].features is not None
    assert found[2].features.shape == (2, 8) and found[2].confidences.tolist() == [0.5, 0.5]


def outcomes(false: tuple[int, ...], delays_s: tuple[float, ...]) -> tuple[Outcome, ...]:
    """Calm videos of an hour each, then videos that show it."""
    nothing = np.zeros(0)
    calm = [Outcome(f"c{n}", "street", 1.0, count, nothing, nothing) for n, count in enumerate(false)]
    return (*calm, *(Outcome(f"f{n}", None, 1.0, 0, nothing, np.array([each])) for n, each in enumerate(delays_s)))


TRIED = [
    Tried(Setting(Evidence(0.5)), outcomes((5, 0), (0.5, 0.5))),
    Tried(Setting(Evidence(0.7)), outcomes((2, 2), (1.0, 1.0))),
    Tried(Setting(Evidence(0.8)), outcomes((0, 0), (1.0, np.nan))),
    Tried(Setting(Evidence(0.8, 2.0)), outcomes((0, 0), (3.0, 3.0))),
]


def test_best_finds_the_most_within_the_limits():
    assert best(TRIED, range(4)) is TRIED[1], "0.5 has 2.5 false an hour; 2 s of evidence come too late"
    assert best(TRIED, range(4), most_false=1.0) is TRIED[2]
    assert best(TRIED[:1], range(4)) is None and best(TRIED, range(4), 0.0, 5.0) is TRIED[3], "later, but all"


def test_chosen_elsewhere_judges_each_fold_by_the_choice_of_the_others():
    found = chosen_elsewhere(TRIED, [1, 2, 1, 2])
    assert found is not None and found.videos is not None
    # Fold 2 alone would take 0.5, which has five false events on fold 1; fold 1 alone 0.8, which misses fold 2's fight.
    assert found.false_events == 5 and found.videos.share.value == 0.5
    assert chosen_elsewhere(TRIED[:1], [1, 2, 1, 2]) is None


def test_false_rate_is_what_best_is_held_to():
    assert [false_rate(each) for each in TRIED] == [2.5, 2.0, 0.0, 0.0]
    assert best(TRIED, range(4), false_rate(TRIED[1])) is TRIED[1]


def seen(kind: str, group: str, chance: float) -> tuple[Video, VideoRun]:
    """Somebody who is said to fight with this chance."""
    name = f"{kind}-{group}-{chance}"
    return Video(Path(name), kind, group, name), run([track(1, range(40))], [clip(1, 0.0, 1.0, 0, chance)], video=name)


def test_fights_are_told_from_calm_surveillance_video_alone_each_fold_by_the_others_threshold():
    of_a = [seen("surveillance", "a", 0.35), seen("surveillance", "a", 0.6), seen("fight", "a", 0.7)]
    of_b = [seen("surveillance", "b", 0.3), seen("fight", "b", 0.5), seen("street", "b", 0.99)]
    found = fight_scores(dict([*of_a, *of_b]), "Fighting", lambda group: 1 if group == "a" else 2)
    assert found["smoothed"] == found["clips"] | {"smoothed": True}, "of one clip each"
    # a is told by 0.4: 0.6 is called a fight. b is told by 0.65: 0.5 is not.
    assert found["clips"]["confusion"] == ((2, 1), (1, 1)) and found["clips"]["accuracy"]["value"] == pytest.approx(0.6)
    assert (found["clips"]["videos"], found["clips"]["positive"]) == (5, 2) and "roc" not in found["clips"]
    assert fight_scores({}, "Fighting", len) == {"smoothed": None, "clips": None}


def test_settings_are_each_of_their_own_and_hold_what_every_label_needs():
    every = settings()
    assert len(set(every)) == len(every) and Setting(Evidence()) in every
    smoother = Setting(Evidence(0.9, 0.5, 2), 2.0).smoother("Fighting")
    assert smoother.needs("Fighting") == Evidence(0.9, 0.5, 2) and smoother.needs("Walking") is None


def test_markdown_has_a_line_for_each_rate_and_kind():
    point = TRIED[1].on(range(4)).model_dump()
    told = {
        "setting": {"needs": {"on": 0.7, "min_duration_s": 0.5, "clips": 2}, "time_constant_s": 1.0},
        "point": point,
    }
    found = told | {"elsewhere": point}
    tier = {"videos": 4, "not_run": 1, "ships": True, "now": point, "as_shipped": told, "goal": None}
    tier |= {"at_most": {"2": found, "10": None, "now": found, "shipped": None}, "as_smoothed_now": [told]}
    score = {"value": 0.5, "low": 0.4, "high": 0.6}
    frames = {name: {"all": score, "three": score} for name in ("shown", "settled")}
    decision = {"videos": 5, "positive": 2, "roc_auc": score, "accuracy": score, "confusion": ((2, 1), (0, 2))}
    fights = {"smoothed": decision | {"accuracy": None, "confusion": None}, "clips": decision}
    tier |= {"frames": {"0.5": frames}, "fights": fights}
    table = markdown({"full": tier | {"ships": False}, "light, boxes": tier})
    assert table.index("`surveillance-light` with boxes, as it ships, 4 videos (1 not run):") < table.index(
        "`surveillance`, the network alone, 4 videos"
    )
    assert "| as shipped: on 0.70, 0.5 s, 2 clips, smoothed over 1 s | 2.0 [" in table
    assert "| no more than every label's: on 0.70, 0.5 s, 2 clips," in table
    assert "| no more than as shipped: not reached by any | | | | | |" in table
    assert "| of single clips | 5 | 2 | 0.500 [0.400, 0.600] | 0.500 [0.400, 0.600] | 2 | 1 |" in table
    assert "| of scores as they are smoothed | 5 | 2 | 0.500 [0.400, 0.600] |  |  |  |" in table
    assert "| at most 2 an hour: on 0.70, 0.5 s, 2 clips, smoothed over 1 s | 2.0 [" in table
    assert "| 0.5 s | 0.500 [0.400, 0.600] |" in table
    assert "| … chosen on the other folds | 2.0 [" in table
    assert "at most 10 an hour: not reached by any" in table and "| street | 2 | 120.0 | 4 | 4 | 4 | 4 |" in table
