"""Clips for the two networks of a model from one stream of frames, whichever is wanted now.

The light network's buffers are always filled, so that it can take over at once: small crops, few of them. The full
network's are filled only while the plan is to use it; until a person's first complete clip for it, and as long as the
light network has a complete one, the light network goes on answering for that person.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from pipeline.clips import ClipConfig
from pipeline.entities import Clip, Frame, Track
from pipeline.pace import TooSlow
from pipeline.scene_clips import clip_buffer
from service.budget.plan import Tier


class TieredClips:
    """Not thread-safe: it belongs to the stream's own thread. ``light`` None: there is one network only."""

    def __init__(self, model: str, full: ClipConfig, light_model: str = "", light: ClipConfig | None = None) -> None:
        self._names = {Tier.FULL: model, Tier.LIGHT: light_model}
        self._full_config = full
        self._full = clip_buffer(full)
        self._light_config = light
        self._light = None if light is None else clip_buffer(light)
        self._gone_skipped = 0

    def change(self, model: str, full: ClipConfig, light_model: str = "", light: ClipConfig | None = None) -> None:
        """Clips are for these networks from now on. A buffer goes on where they want the same clips, else it is filled
        anew.
        """
        self._names = {Tier.FULL: model, Tier.LIGHT: light_model}
        if full != self._full_config:
            self._gone_skipped += self._full.skipped
            self._full_config, self._full = full, clip_buffer(full)
        if light != self._light_config:
            self._gone_skipped += 0 if self._light is None else self._light.skipped
            self._light_config, self._light = light, None if light is None else clip_buffer(light)

    @property
    def _light_length(self) -> int:
        return 0 if self._light_config is None else self._light_config.length

    @property
    def skipped(self) -> int:
        """How often a track got no buffer in a frame because as many others as may be had one."""
        light = 0 if self._light is None else self._light.skipped
        return self._gone_skipped + self._full.skipped + light

    @property
    def too_slow(self) -> TooSlow | None:
        """Set while pictures come too rarely for every network that is asked now."""
        light = None if self._light is None else self._light.too_slow
        if self._light is None or (light is not None and self._full.fill()):
            return self._full.too_slow
        return light

    def push(self, frame: Frame, tracks: Sequence[Track], tier: Tier = Tier.FULL) -> list[Clip]:
        """Takes what is due at this frame → the clips that became due, at most one a track."""
        if self._light is None:
            return self._named(self._full.push(frame, tracks), Tier.FULL)
        light = self._named(self._light.push(frame, tracks), Tier.LIGHT)
        if tier is Tier.LIGHT:
            self._drop_full()
            return light
        full = self._named(self._full.push(frame, tracks), Tier.FULL)
        ready = {track_id for track_id, held in self._light.fill().items() if held >= self._light_length}
        return self._best(full, light, ready)

    def fill(self) -> dict[int, int]:
        """→ how far each track's buffer is filled, by track_id: 1 to the full network's ``length``."""
        full = self._full.fill()
        if self._light is None:
            return full
        length = self._full_config.length
        light = {key: max(1, held * length // self._light_length) for key, held in self._light.fill().items()}
        return {**light, **full}

    def _best(self, full: Sequence[Clip], light: Sequence[Clip], ready: Collection[int]) -> list[Clip]:
        """→ one clip a track: the full network's, but while its buffer fills the light network's complete ones.

        ``ready``: tracks of which the light network has a complete clip.
        """
        filled = self._full.fill()
        chosen = {clip.track_id: clip for clip in full if not (clip.provisional and clip.track_id in ready)}
        for clip in light:
            filling = filled.get(clip.track_id, 0) < self._full_config.length or self._full.too_slow is not None
            if filling and (not clip.provisional or clip.track_id not in chosen):
                chosen[clip.track_id] = clip
        return list(chosen.values())

    def _drop_full(self) -> None:
        """Its crops would be stale when it is wanted again, and hold megabytes meanwhile."""
        if self._full.fill():
            self._gone_skipped += self._full.skipped
            self._full = clip_buffer(self._full_config)

    def _named(self, clips: Sequence[Clip], tier: Tier) -> list[Clip]:
        return [replace(clip, model=self._names[tier]) for clip in clips]
