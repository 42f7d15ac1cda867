"""Teaching the end of a network: close to the teacher's vectors, and people of one video apart.

Regression onto the teacher's vector of the sharp crop (cosine), mixed with the mean over the person's track, which says
the same of all crops of a person; the teacher's similarities within a batch (Park et al. 2019, relational
distillation); and for each crop its least alike crop of the same person against the most alike person of the same
frame (Hermans et al. 2017, batch-hard triplets).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from torch.nn import functional

from models.appearance_training.crops import Crops
from models.appearance_training.graph import TrainableGraph
from models.appearance_training.judging import tell
from models.appearance_training.views import small, varied
from pipeline.entities import Floats, Image

Say = Callable[[str], None]
RUN_BATCH = 16


@dataclass(frozen=True)
class Tuning:
    """How long and how fast is learnt. ``track_share``: of the track's mean in what a crop's vector should be."""

    epochs: int = 6
    batch: int = 96
    learning_rate: float = 5e-4
    track_share: float = 0.5
    relation_weight: float = 2.0
    triplet_weight: float = 0.5
    triplet_margin: float = 0.3
    judged_px: int = 56  # height of the people that the held-out crops are shrunk to
    seed: int = 1


class Runner:
    """An OpenVINO model on one CPU thread: uint8 (N, H, W, 3) RGB → its first output, float32."""

    def __init__(self, model: openvino.Model, threads: int = 1) -> None:
        options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        self._request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
        self._single = not model.input().get_partial_shape()[0].is_dynamic

    def __call__(self, pictures: list[Image]) -> Floats:
        parts = []
        step = 1 if self._single else RUN_BATCH
        for start in range(0, len(pictures), step):
            batch = np.stack(pictures[start : start + step]).transpose(0, 3, 1, 2)  # (B, 3, H, W)
            self._request.infer([np.ascontiguousarray(batch, np.float32)])
            parts.append(np.array(self._request.output_tensors[0].data, np.float32))
        return np.concatenate(parts)


def unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def targets(taught: Floats, people: NDArray[np.int64], share: float) -> Floats:
    """(N, D) unit vectors → those with ``share`` of their track's mean."""
    _, index = np.unique(people, return_inverse=True)
    sums = np.zeros((index.max() + 1, taught.shape[1]), np.float32)
    np.add.at(sums, index, taught)
    return unit((1 - share) * taught + share * unit(sums)[index])


def teach(graph: TrainableGraph, crops: Crops, taught: Floats, tuning: Tuning, say: Say) -> list[float]:
    """Train ``graph`` in place → for each epoch (0: before any) the share of held-out crops told right; the best stays.

    ``taught``: (N, D) unit vectors of the teacher for all crops, those held out among them.
    """
    torch.manual_seed(tuning.seed)
    generator = np.random.default_rng(tuning.seed)
    front = Runner(graph.front_model)
    held_out = crops.part(crops.held_out)
    seen_held_out = torch.tensor(front([small(p, tuning.judged_px, graph.size_hw) for p in held_out.pictures]))
    wanted = torch.tensor(targets(taught, crops.people, tuning.track_share))
    learnt_from = np.flatnonzero(~crops.held_out)
    scores = [judge(graph, seen_held_out, held_out, wanted[crops.held_out], say, 0)]
    best = copy.deepcopy(graph.state_dict())
    optimizer = torch.optim.AdamW(graph.parameters(), tuning.learning_rate, weight_decay=1e-4)
    steps = tuning.epochs * -(-len(learnt_from) // tuning.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share_of_rate(step, steps))
    for epoch in range(1, tuning.epochs + 1):
        for chosen in batches(crops, learnt_from, tuning.batch, generator):
            seen = torch.tensor(front([varied(crops.pictures[i], generator, graph.size_hw) for i in chosen]))
            loss = loss_of(functional.normalize(graph(seen)), wanted[chosen], crops, chosen, tuning)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(graph.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        scores.append(judge(graph, seen_held_out, held_out, wanted[crops.held_out], say, epoch))
        if scores[-1] >= max(scores):
            best = copy.deepcopy(graph.state_dict())
    graph.load_state_dict(best)
    return scores


def share_of_rate(step: int, steps: int) -> float:
    """Up over the first tenth, down as a cosine."""
    return min(1.0, (step + 1) / max(1, steps // 10)) * 0.5 * (1 + math.cos(math.pi * step / max(1, steps)))


def batches(
    crops: Crops, of: NDArray[np.int64], size: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Every crop of ``of`` once, videos in random order but their crops together: the people to be told apart."""
    videos = generator.permutation(np.unique(crops.videos[of]))
    place = {video: rank for rank, video in enumerate(videos.tolist())}
    shuffled = generator.permutation(of)
    sorted_by_video = shuffled[np.argsort([place[v] for v in crops.videos[shuffled].tolist()], kind="stable")]
    for start in range(0, len(sorted_by_video), size):
        yield sorted_by_video[start : start + size]


def loss_of(
    vectors: torch.Tensor, wanted: torch.Tensor, crops: Crops, chosen: NDArray[np.int64], tuning: Tuning
) -> torch.Tensor:
    """(B, D) unit vectors against (B, D) → the sum of the three terms."""
    regression = 1 - (vectors * wanted).sum(1)
    similar = vectors @ vectors.T
    relation = (similar - wanted @ wanted.T).square().mean()
    people, frames = torch.tensor(crops.people[chosen]), torch.tensor(crops.frames[chosen])
    videos = torch.tensor(crops.videos[chosen])
    mine = people[:, None] == people[None]
    rivals = ~mine & (videos[:, None] == videos[None]) & (frames[:, None] == frames[None])
    mine = mine & ~torch.eye(len(chosen), dtype=torch.bool)
    farthest = similar.masked_fill(~mine, 2.0).amin(1)
    nearest = similar.masked_fill(~rivals, -2.0).amax(1)
    known = mine.any(1) & rivals.any(1)
    triplet = functional.relu(nearest - farthest + tuning.triplet_margin)[known]
    triplets = triplet.mean() if len(triplet) else similar.new_zeros(())
    return regression.mean() + tuning.relation_weight * relation + tuning.triplet_weight * triplets


def judge(graph: TrainableGraph, seen: torch.Tensor, crops: Crops, wanted: torch.Tensor, say: Say, epoch: int) -> float:
    """→ the share of held-out crops told right. ``seen``: the front's answer to them, ``wanted``: (N, D)."""
    with torch.no_grad():
        vectors = functional.normalize(graph(seen))
    told = tell(vectors.numpy(), crops)
    close = float((vectors * wanted).sum(1).mean())
    say(f"epoch {epoch}: {told.right:.3f} right, same {told.same:.3f}, other {told.other:.3f}, to teacher {close:.3f}")
    return told.right
