"""From settings to what the parts are told: the one entrance for every command that finds or classifies people.

``serve``, ``annotate``, ``evaluate``, ``dataset`` and ``export`` all take their configurations from here, so that equal
settings mean equal work. Arguments of a command stand over the settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import CardError
from pipeline.actions import SmootherConfig, stricter
from pipeline.clips import ClipConfig
from pipeline.form.exercises import AUTO, Exercise, Overrides, rules_with
from pipeline.form.watch import FormConfig
from pipeline.motion_voice import MotionHead
from service.versions.pointer import Pointers

if TYPE_CHECKING:
    from service.settings import Settings


CROPS_HZ = 25.0  # in which the settings count


@dataclass(frozen=True)
class EngineConfig:
    """What the inference engine loads. Paths are absolute; ``None`` means the default of the part.

    The defaults are those of the settings (a test holds them together). ``model`` is a folder's name in
    ``weights_dir``, or an absolute path.
    """

    weights_dir: Path
    cache_dir: Path
    model: str = "surveillance"
    runtime: str = "auto"
    detector: Path | None = None
    detector_image_size: int = 640
    detector_confidence: float = 0.1
    appearance: Path | None = None
    pose_weights: Path | None = None
    max_batch: int = 8
    max_models: int = 6  # of which a model with a lighter network counts as two
    stem_memory_mb: int = 512  # features of overlapping clips that each network keeps at most; 0: none
    threads: int = 0  # of each network on a CPU; 0: as many as there are cores
    light_first: bool = False  # whether the lighter network of ``model`` is loaded first, and that one behind it
    measure: bool = False  # whether runtime `auto` times what there is for ``model``, if it is new to this host

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        model: str | None = None,
        runtime: str | None = None,
        detector: Path | None = None,
        light_first: bool = False,
        measure: bool = False,
    ) -> EngineConfig:
        """What is None is taken from the settings. Of an alias the version that serves now is loaded."""
        return cls(
            weights_dir=settings.weights_dir.resolve(),
            cache_dir=settings.cache_dir.resolve(),
            model=Pointers.of(settings).serving(model or settings.model),
            runtime=runtime or settings.runtime,
            detector=_resolved(detector or settings.detector),
            detector_image_size=settings.detector_image_size,
            detector_confidence=settings.detector_confidence,
            appearance=_resolved(settings.appearance),
            pose_weights=_resolved(settings.pose_weights),
            max_batch=settings.batch,
            stem_memory_mb=settings.stem_memory_mb,
            threads=settings.threads,
            light_first=light_first,
            measure=measure,
        )

    @property
    def model_dir(self) -> Path:
        return self.weights_dir / self.model


@dataclass(frozen=True)
class StagesConfig:
    """What the stages of one stream are made of (``stages.build_stages``).

    ``light_clip``: for the lighter network ``light_model`` of the same labels, None where there is none. ``motion``:
    what speaks beside a network, by its name. ``adaptive`` leaves frames out where the machine cannot keep up with a
    camera; a file waits instead.
    """

    clip: ClipConfig = field(default_factory=ClipConfig)
    track_confidence: float = 0.3  # detections from it on start a track
    smoother: SmootherConfig = field(default_factory=SmootherConfig)
    adaptive: bool = False
    first_track_id: int = 1
    model: str = ""
    light_clip: ClipConfig | None = None
    light_model: str = ""
    form: FormConfig | None = None  # None: nobody's exercises are counted
    motion: Mapping[str, MotionHead] = field(default_factory=dict)

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        model_dir: Path,
        *,
        hop: int | None = None,
        first_clip: int | None = None,
        track_confidence: float | None = None,
        with_light: bool = False,
    ) -> StagesConfig:
        """For the network in ``model_dir``, whose card says how it wants its clips; what is None is the settings'.

        ``hop`` and ``first_clip`` count the network's own crops, the settings' count 25 a second.

        ``with_light``: also for the lighter network that its card names, where there is one.

        Raises CardError where the card cannot be read or asks for clips that nobody can make.
        """
        from models.weights import cards, motion_head  # noqa: PLC0415 - a stream's process reads no card, needs no pydantic

        card = cards.read_card(model_dir)
        pace = card.input.rate_hz / CROPS_HZ
        crops = (
            hop or max(1, round(settings.clip_hop * pace)),
            first_clip or max(1, round(settings.first_clip * pace)),
        )
        plain = replace(
            cls.without_card(settings),
            clip=card.input.clip_config(*crops),
            model=model_dir.name,
            motion=motion_head.motion_heads(card) if settings.motion else {},
            track_confidence=track_confidence or settings.track_confidence,
            smoother=SmootherConfig(evidence=card.evidence),
        )
        light = cards.light_card(card) if with_light else None
        if light is None:
            return plain
        thinner = light.input.rate_hz / card.input.rate_hz
        clip = light.input.clip_config(*(max(1, round(count * thinner)) for count in crops))
        smoother = SmootherConfig(evidence=stricter(card.evidence, light.evidence))
        further = motion_head.motion_heads(light) if settings.motion else {}
        heads = {**plain.motion, **further}
        return replace(plain, light_clip=clip, light_model=light.folder.name, motion=heads, smoother=smoother)

    @classmethod
    def without_card(cls, settings: Settings) -> StagesConfig:
        """For a network whose folder cannot be read now: the usual clips."""
        clip = ClipConfig(hop=settings.clip_hop, provisional_from=settings.first_clip)
        return cls(clip=clip, track_confidence=settings.track_confidence)

    def lighter(self) -> StagesConfig:
        """→ the same for the lighter network alone. Raises CardError where there is none."""
        if self.light_clip is None:
            raise CardError(f"{self.model} has no lighter network: its card.json names none in `light`")
        return replace(self, clip=self.light_clip, model=self.light_model, light_clip=None, light_model="")

    def watching_for(self, thresholds: Mapping[str, float] | None) -> StagesConfig:
        """→ the same, but that only these labels become events, each from its threshold on; None: all labels."""
        return replace(self, smoother=replace(self.smoother, thresholds=thresholds or None))


def read_form(choice: str, file: Path | None, overrides: Overrides | None) -> FormConfig:
    """What exercises are counted by: the usual thresholds, ``file``'s over them, the stream's own over those.

    ``choice``: one of ``CHOICES``. Raises ValueError, which names the file where it is that.
    """
    exercise = None if choice == AUTO else Exercise(choice)
    return FormConfig(exercise, rules_with(_form_file(file), overrides))


def _form_file(file: Path | None) -> Overrides | None:
    """``{"squat": {"low_deg": 95}}``. Raises ValueError for a file that cannot be read or holds something else."""
    if file is None:
        return None
    try:
        content = json.loads(file.read_text("utf-8"))
        if not isinstance(content, dict):
            raise TypeError(f"got {type(content).__name__}")
        rules_with(content)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f'{file}: expected JSON such as {{"squat": {{"low_deg": 95}}}}: {error}') from None
    return dict(content)


def _resolved(path: Path | None) -> Path | None:
    return None if path is None else path.resolve()
