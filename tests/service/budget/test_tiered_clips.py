"""Clips for two networks from one stream of frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.clips import ClipConfig
from pipeline.entities import Clip, Frame, Track, TrackState
from service.budget.plan import Tier
from service.budget.tiered_clips import TieredClips

FULL = ClipConfig(length=32, hop=8, rate_hz=12.5, provisional_from=6, size=16)
LIGHT = ClipConfig(length=8, hop=2, rate_hz=3.125, provisional_from=2, size=8)
PERSON = Track(1, np.array([5, 5, 25, 35], np.float32), TrackState.CONFIRMED, 0.9)


def pushed(clips: TieredClips, seconds: float, tier: Tier, begin_s: float = 0.0) -> list[Clip]:
    found = []
    for index in range(int(begin_s * 25), int((begin_s + seconds) * 25)):
        image = np.full((48, 64, 3), index % 251, np.uint8)
        found += clips.push(Frame(image, index, index / 25, 0.0, 0.0), [PERSON], tier)
    return found


def both() -> TieredClips:
    return TieredClips("gym", FULL, "gym-light", LIGHT)


def test_light_tier_gives_light_clips_only_and_keeps_no_large_crops():
    clips = both()
    found = pushed(clips, 6, Tier.LIGHT)
    assert {clip.model for clip in found} == {"gym-light"}
    assert {clip.stack().shape for clip in found} == {(8, 8, 8, 3)}
    assert found[0].provisional and not found[-1].provisional


def test_full_tier_gives_full_clips_once_its_buffer_holds_a_whole_one():
    clips = both()
    found = pushed(clips, 6, Tier.FULL)
    first_whole = next(place for place, clip in enumerate(found) if clip.model == "gym" and not clip.provisional)
    assert {clip.model for clip in found[first_whole:]} == {"gym"}
    assert found[-1].stack().shape == (32, 16, 16, 3)


def test_while_the_full_buffer_fills_the_light_network_goes_on_answering():
    clips = both()
    pushed(clips, 6, Tier.LIGHT)
    found = pushed(clips, 6, Tier.FULL, begin_s=6)
    models = [clip.model for clip in found]
    assert models[0] == "gym-light" and models[-1] == "gym"
    assert models == sorted(models, reverse=True), "it changes once"
    assert not any(clip.provisional for clip in found)


def test_back_to_light_is_at_once():
    clips = both()
    pushed(clips, 6, Tier.FULL)
    found = pushed(clips, 2, Tier.LIGHT, begin_s=6)
    assert {clip.model for clip in found} == {"gym-light"} and not found[0].provisional


def test_fill_is_counted_in_crops_of_the_full_network_whichever_runs():
    clips = both()
    pushed(clips, 0.5, Tier.LIGHT)
    assert 1 <= clips.fill()[1] < 32
    pushed(clips, 6, Tier.LIGHT, begin_s=0.5)
    assert clips.fill() == {1: 32}


def test_one_network_alone_is_as_before():
    clips = TieredClips("gym", FULL)
    found = pushed(clips, 6, Tier.FULL)
    assert {clip.model for clip in found} == {"gym"}
    other = pushed(TieredClips("gym", FULL), 6, Tier.LIGHT)
    assert [clip.first_sample for clip in found] == [clip.first_sample for clip in other]


def test_people_without_a_buffer_are_counted_for_both_networks():
    one_place = ClipConfig(length=8, hop=2, rate_hz=12.5, provisional_from=2, size=8, max_tracks=1)
    clips = TieredClips("gym", one_place, "gym-light", one_place)
    other = Track(2, PERSON.box_xyxy, TrackState.CONFIRMED, 0.9)
    frame = Frame(np.zeros((48, 64, 3), np.uint8), 0, 0.0, 0.0, 0.0)
    clips.push(frame, [PERSON, other], Tier.FULL)
    assert clips.skipped == 2
    clips.push(Frame(frame.image, 1, 0.04, 0.0, 0.0), [PERSON, other], Tier.LIGHT)
    assert clips.skipped == 3


def test_camera_too_slow_for_both_networks_is_told_of_in_either_tier():
    for tier in Tier:
        clips = both()
        for index in range(8):
            image = np.zeros((48, 64, 3), np.uint8)
            assert clips.push(Frame(image, index, 1.2 * index, 0.0, 0.0), [PERSON], tier) == []
        assert clips.too_slow is not None and clips.too_slow.pictures_hz == pytest.approx(1 / 1.2)


def test_network_for_which_the_camera_is_fast_enough_answers_in_place_of_the_other():
    clips = TieredClips("gym", replace(FULL, rate_hz=25.0), "gym-light", LIGHT)  # clips of 1.3 s and of 2.6 s
    found = []
    for index in range(20):
        image = np.full((48, 64, 3), index, np.uint8)
        found += clips.push(Frame(image, index, 0.5 * index, 0.0, 0.0), [PERSON], Tier.FULL)
    assert clips.too_slow is None
    assert {clip.model for clip in found[1:]} == {"gym-light"}


def test_another_version_of_the_same_clips_goes_on_with_the_buffers_of_the_former():
    clips = both()
    pushed(clips, 6, Tier.FULL)
    filled = clips.fill()
    clips.change("gym@2", FULL, "gym-light@2", LIGHT)
    assert clips.fill() == filled
    found = pushed(clips, 2, Tier.FULL, begin_s=6)
    assert {(clip.model, clip.provisional) for clip in found} == {("gym@2", False)}
    assert {clip.model for clip in pushed(clips, 2, Tier.LIGHT, begin_s=8)} == {"gym-light@2"}


def test_version_that_wants_other_clips_fills_its_buffers_anew():
    clips = both()
    pushed(clips, 6, Tier.FULL)
    clips.change("gym@2", replace(FULL, size=24), "gym-light@2", LIGHT)
    found = pushed(clips, 6, Tier.FULL, begin_s=6)
    assert found[0].model == "gym-light@2" and not found[0].provisional, "it has its whole clips and answers meanwhile"
    assert found[-1].model == "gym@2" and found[-1].stack().shape == (32, 24, 24, 3)


def test_version_without_a_lighter_network_answers_alone():
    clips = both()
    pushed(clips, 3, Tier.LIGHT)
    clips.change("gym@2", FULL)
    assert {clip.model for clip in pushed(clips, 4, Tier.LIGHT, begin_s=3)} == {"gym@2"}
