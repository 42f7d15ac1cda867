"""Builds the stages that one stream carries from frame to frame: the one place that chooses their implementations."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.actions import ActionSmoother
from pipeline.form.watch import FormWatch
from pipeline.motion_voice import MotionVoice
from pipeline.stride import StrideController
from pipeline.tracker import PersonTracker, TrackerConfig
from service.budget.tiered_clips import TieredClips
from service.configuration import StagesConfig
from service.counters import Measures
from service.ids import new_id
from service.stream import Stages


def new_event_id() -> str:
    return new_id("evt")


def change_model(stages: Stages, config: StagesConfig) -> None:
    """Another version of the model answers from the next clip on; people, their IDs and what they do go on.

    Called between two frames by the stream's own thread.
    """
    stages.clips.change(config.model, config.clip, config.light_model, config.light_clip)
    stages.smoother.change(config.smoother)


def build_stages(
    config: StagesConfig, measures: Measures | None = None, event_ids: Callable[[], str] = new_event_id
) -> Stages:
    """Fresh stages; ``event_ids`` names the events that begin."""
    return Stages(
        tracker=PersonTracker(TrackerConfig.starting_at(config.track_confidence), config.first_track_id),
        clips=TieredClips(config.model, config.clip, config.light_model, config.light_clip),
        smoother=ActionSmoother(config.smoother, new_event_id=event_ids),
        stride=StrideController(adaptive=config.adaptive),
        form=FormWatch(config.form),
        motion=MotionVoice(config.motion),
        measures=measures or Measures(),
    )
