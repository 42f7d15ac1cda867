"""What boxes say beside each fold's network, as ``motion.json`` does beside the one that ships.

Heads learn from the tracks of the data set in the same folds (``models.motion_training``). What they say is put beside
stored answers by the service's own voice, which sees the stored boxes again: no network is asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.data.manifest import Dataset, Split
from models.evaluation.figures.calibration import fit_temperature, log_probabilities
from models.evaluation.figures.metrics import Floats, Ints
from models.evaluation.videos.replay import Replay
from models.evaluation.videos.run import ClipRun, VideoRun
from models.motion_training import TEMPERATURE, fold_heads, fused, looks, people, said
from pipeline.entities import ActionScores, Frame
from pipeline.motion_voice import MotionHead, MotionVoice

_NO_PICTURE = np.zeros((1, 1, 3), np.uint8)
_NETWORK = ""  # the name of the network in answers that are played back


def box_heads(
    known: Dataset, work: Path, logits: Mapping[int, Floats], temperatures: Mapping[int, float]
) -> dict[int, MotionHead]:
    """→ by fold, from 1, a head that saw none of its source videos. Raises DatasetError.

    ``known``: labelled clips alone; ``work``: where their tracks are. ``logits``: by fold, of its network to the clips
    that it holds out (N, C), and ``temperatures`` of the networks: on the other folds' answers that of both is fitted.
    """
    rows = [looks(way, seed) for seed, way in enumerate(people(known, work))]
    targets = np.asarray(known.targets((*known.of(Split.TRAIN), *known.of(Split.VAL))), np.int64)
    folds = dict(enumerate(fold_heads(rows, known), 1))
    moved = {fold: said(head, [rows[index] for index in held]) for fold, (held, head) in folds.items()}
    truth = {fold: targets[held] for fold, (held, _) in folds.items()}
    return {
        fold: replace(head, temperature=_of_both(fold, logits, moved, truth, temperatures.get(fold, 1.0)))
        for fold, (_, head) in folds.items()
    }


def _of_both(
    fold: int, logits: Mapping[int, Floats], moved: Mapping[int, Floats], truth: Mapping[int, Ints], temperature: float
) -> float:
    """The temperature of network and boxes together; ``temperature``: of the network by itself."""
    others = [other for other in logits if other != fold]
    if not others:
        return TEMPERATURE
    network = log_probabilities(np.concatenate([logits[other] for other in others]), temperature)
    both = fused(network, np.concatenate([moved[other] for other in others]))
    return round(fit_temperature(both, np.concatenate([truth[other] for other in others])), 4)


def beside(run: VideoRun, head: MotionHead) -> VideoRun:
    """The answers of a network that spoke alone with what boxes say in them, where enough of a person's way is known.

    What was shown and the events stay as they were. Raises ValueError where both know different labels.
    """
    if head.labels != run.labels:
        raise ValueError(f"expected the labels {', '.join(run.labels)} of {run.video}, got {', '.join(head.labels)}")
    voice, told = MotionVoice({_NETWORK: head}), dict[tuple[int, float, float], tuple[float, ...]]()
    for time_s, tracks, answers in Replay(run).frames:
        voice.see(Frame(_NO_PICTURE, 0, time_s, 0.0, 0.0), tracks)
        told |= {_which(each): tuple(each.probabilities.tolist()) for each in voice.beside(answers)}
    clips = (
        clip.model_copy(update={"probabilities": told.get(_which(clip), clip.probabilities)}) for clip in run.clips
    )
    return run.model_copy(update={"clips": tuple(clips)})


def _which(clip: ClipRun | ActionScores) -> tuple[int, float, float]:
    return clip.track_id, clip.start_s, clip.end_s
