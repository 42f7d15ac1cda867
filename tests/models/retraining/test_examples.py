"""Which corrections are learnt from, and why others are not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.data.near_duplicates import HashConfig
from models.retraining.corrections import read_corrections
from models.retraining.examples import Chosen, Known, Limits, choose
from tests.models.retraining.world import ALIAS, GATE, LABELS, YARD, Verdicts, began

ANY = Limits(like=HashConfig(max_bits=0, min_share=1.0))  # nothing is like anything


def chosen(folder: Path, limits: Limits = ANY) -> Chosen:
    return choose(read_corrections(folder).corrections, Known((ALIAS, f"{ALIAS}-light"), LABELS), limits)


def test_choice_keeps_audit_apart_by_incident_and_by_person(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path)
    audit = verdicts.add(GATE, "Walking", audit=True, group="str/inc_1", track_id=7)
    verdicts.add(GATE, "Walking", group="str/inc_1")
    verdicts.add(GATE, "Walking", track_id=7)
    kept = [verdicts.add(YARD, "Walking", track_id=7), verdicts.add(GATE, "Standing")]
    found = chosen(tmp_path)
    assert [each.id for each in found.audit] == [audit]
    assert [each.id for each in found.train] == kept
    assert found.left_out == {"its incident or person is in the audit sample": 2}


def test_choice_learns_nothing_that_an_audit_clip_showed_minutes_before(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path)
    verdicts.add(GATE, "Walking", audit=True, noise=5)
    soon = verdicts.add(GATE, "Walking", noise=5, started_at=began(3600 + 60))
    later = verdicts.add(GATE, "Walking", noise=5, started_at=began(3600 + 6000))
    found = chosen(tmp_path, Limits())
    assert [each.id for each in found.train] == [later]
    assert found.left_out == {"shows what a clip of the audit sample shows": 1}
    assert soon not in [each.id for each in found.train]


def test_choice_leaves_out_what_says_nothing_with_the_reason(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path)
    verdicts.add(GATE, "Walking", superseded_by="ver_x")
    verdicts.add(GATE, "Juggling", truth="Walking")
    verdicts.add(GATE, "Walking", model="gym")
    (tmp_path / verdicts.add(GATE, "Walking") / "clip.mp4").unlink()
    damaged = tmp_path / verdicts.add(GATE, "Walking") / "clip.mp4"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    kept = verdicts.add(GATE, "Walking", model=f"{ALIAS}-light@2")
    found = chosen(tmp_path)
    assert [each.id for each in found.train] == [kept]
    assert found.left_out == {
        "a later verdict took its place": 1,
        "a label that the network does not know": 1,
        "of another network": 1,
        "its clip is gone": 1,
        "the clip is damaged": 1,
    }


def test_choice_names_a_clip_that_cannot_be_read_though_it_is_the_one_that_was_stored(tmp_path: Path) -> None:
    from pipeline.files import file_sha256

    verdicts = Verdicts(tmp_path)
    own = verdicts.add(GATE, "Walking")
    clip, form = tmp_path / own / "clip.mp4", tmp_path / own / "label.json"
    before = file_sha256(clip)
    clip.write_bytes(b"no video")
    form.write_text(form.read_text().replace(before, file_sha256(clip)))
    assert chosen(tmp_path).left_out == {"the clip cannot be read": 1}


def test_choice_takes_few_of_a_camera_and_day_errors_first(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path)
    day: dict[str, Any] = {"started_at": began(0)}
    for verdict in ("right", "right", "wrong"):
        verdicts.add(GATE, "Walking", verdict=verdict, **day)
    near = verdicts.add(GATE, "Walking", verdict="right", near_threshold=True, **day)
    other = verdicts.add(YARD, "Walking", **day)
    found = chosen(tmp_path, replace(ANY, camera_day=2))
    assert {each.id for each in found.train} == {f"ver_{3:016x}", near, other}
    assert found.left_out == {"more than 2 of a camera and day": 2}


@pytest.mark.parametrize(("rare", "kept"), [(1, 3), (2, 6)])
def test_choice_holds_the_largest_class_near_the_smallest(tmp_path: Path, rare: int, kept: int) -> None:
    verdicts = Verdicts(tmp_path)
    verdicts.add(GATE, "Fighting")
    verdicts.many(GATE, 7, labels=("Walking",))
    found = chosen(tmp_path, replace(ANY, rare=rare))
    assert Counter(each.label for each in found.train) == {"Fighting": 1, "Walking": kept}
    assert found.left_out == {"its class had more than 3 times the smallest": 7 - kept}


def test_choice_keeps_some_of_what_looks_the_same_of_each_camera_and_class(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path)
    for _ in range(5):
        verdicts.add(GATE, "Walking", noise=5)
        verdicts.add(YARD, "Walking", truth="Fighting", noise=5)
    found = chosen(tmp_path, Limits(same_kept=2))
    assert Counter(each.camera for each in found.train) == {"Gate": 2, "Yard": 2}
    assert found.left_out == {"shows what another clip shows": 6}
    assert chosen(tmp_path, Limits(same_kept=5)).left_out == {}


def test_choice_is_the_same_each_time(tmp_path: Path) -> None:
    Verdicts(tmp_path).many(GATE, 4)
    limits = replace(ANY, camera_day=5)
    assert chosen(tmp_path, limits) == chosen(tmp_path, limits)
