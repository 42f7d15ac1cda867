"""What processes are told when they start: out of the settings and of what is stored of a stream."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from models.errors import CardError
from pipeline.form.watch import FormConfig
from service.budget.plan import TierChoice
from service.configuration import EngineConfig, StagesConfig, read_form
from service.processes.messages import InferenceSetup, RecordingSetup, SourceSetup, StreamSetup
from service.settings import Settings
from service.storage.records import StreamRecord

log = logging.getLogger(__name__)


def inference_setup(settings: Settings, address: str, shadows: Mapping[str, str] | None = None) -> InferenceSetup:
    """What the inference process is told."""
    engine = EngineConfig.from_settings(settings, light_first=True, measure=True)
    return InferenceSetup(
        log_level=settings.log_level,
        log_format=settings.log_format,
        engine=engine,
        address=address,
        shadows=shadows or {},
    )


def stream_setup(
    settings: Settings, stream: StreamRecord, inference: str, stages: StagesConfig | None = None
) -> StreamSetup:
    """What one stream's process is told; ``inference`` is the address of the worker, ``stages`` those of its model."""
    stages = stages or stream_stages(settings, stream, stream.model)
    source = SourceSetup(
        url=stream.url.get_secret_value(),
        transport=stream.transport,
        pace=stream.pace,
        loop=stream.loop,
        media_roots=tuple(settings.media_roots),
        hls_hosts=tuple(settings.hls_hosts),
        max_pixels=settings.max_pixels,
        snapshot_s=stream.snapshot_s,
        tls_verify=stream.tls_verify,
        camera_ca=settings.camera_ca,
    )
    folder = (settings.recordings_dir / stream.id).resolve()
    recording = RecordingSetup(folder, settings.segment_s, settings.recordings_min_free_mb << 20, stream.record_overlay)
    return StreamSetup(
        log_level=settings.log_level,
        log_format=settings.log_format,
        memory_limit_bytes=settings.stream_memory_mb << 20,
        stream_id=stream.id,
        model=stages.model,
        source=source,
        stages=stages,
        inference=inference,
        tracks_hz=settings.tracks_hz,
        tier=TierChoice(stream.tier),
        recording=recording if stream.record else None,
    )


def stream_stages(settings: Settings, stream: StreamRecord, version: str) -> StagesConfig:
    """A stream's stages for the clips of one version of its model."""
    return replace(stages_config(settings, version).watching_for(stream.actions), form=form_config(settings, stream))


def form_config(settings: Settings, stream: StreamRecord) -> FormConfig | None:
    """None where the stream counts no exercises. The operator's file must not keep a stream from starting."""
    if stream.exercise is None:
        return None
    try:
        return read_form(stream.exercise, settings.exercise_rules, stream.form)
    except ValueError as error:
        log.error("stream %s goes by the usual thresholds: %s", stream.id, error)
        return read_form(stream.exercise, None, None)


def stages_config(settings: Settings, model: str) -> StagesConfig:
    """For the clips that ``weights/<model>`` was trained on; the usual ones while that folder cannot be read.

    The inference process reports an unreadable folder as the stream's problem; it must not keep the stream from
    starting, since the folder may come back.
    """
    try:
        return StagesConfig.from_settings(settings, settings.weights_dir / model, with_light=True)
    except CardError as error:
        log.warning("model %s: %s", model, error)
        return replace(StagesConfig.without_card(settings), model=model)
