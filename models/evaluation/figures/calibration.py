"""Whether a model's probabilities mean what they say, and the one number that mends them.

Temperature scaling: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017). Logits are
divided by T > 0 before softmax; T is the value with the least negative log-likelihood on held-out examples. It never
changes which class wins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from scipy.optimize import minimize_scalar

from models.errors import CardError
from models.evaluation.figures.metrics import Floats, Ints, Value, check, ratio
from models.weights.cards import CARD_FILE, ModelCard
from pipeline.files import write_atomically

BINS = 15  # as in the paper
TEMPERATURES = (0.05, 20.0)  # limits of the search; separable examples would drive T to 0


class ReliabilityBin(Value):
    """The predictions whose confidence lies in (``low``, ``high``]. Empty bins have means of 0."""

    low: float
    high: float
    count: int
    confidence: float  # mean probability of the winner
    accuracy: float


class Calibration(Value):
    """How well probabilities fit. ``nll``: mean negative log-likelihood; ``ece``: expected calibration error, 0..1.

    Few examples make an error above 0 by chance alone: ``ece_by_chance`` is what perfect probabilities would get.
    """

    temperature: float
    nll: float
    ece: float
    ece_by_chance: float
    brier: float  # mean squared distance to the one-hot truth, 0..2
    bins: tuple[ReliabilityBin, ...]


def probabilities(logits: Floats, temperature: float = 1.0) -> Floats:
    """(N, C) → softmax(logits / T), float64 (N, C)."""
    return np.asarray(np.exp(log_probabilities(logits, temperature)), np.float64)


def log_probabilities(logits: Floats, temperature: float = 1.0) -> Floats:
    """(N, C) → log softmax(logits / T), float64 (N, C)."""
    scaled = np.asarray(logits, np.float64) / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    return np.asarray(scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)), np.float64)


def fit_temperature(logits: Floats, targets: Ints) -> float:
    """The temperature with the least negative log-likelihood, within ``TEMPERATURES``.

    ``logits`` (N, C), ``targets`` (N,). Raises ValueError when they do not fit together or are empty.
    """
    check(logits, targets, logits.shape[1])
    # The loss is convex in 1/T, hence has one minimum in log T too.
    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(logits, targets, float(np.exp(log_t))),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return float(np.exp(found.x))


def fit_by_group(logits: Floats, targets: Ints, groups: Sequence[str], folds: int = 10) -> Floats:
    """→ (N,) the temperature for each example, fitted on the examples of other groups only.

    Calibration measured on the very examples that T was fitted on flatters; with these temperatures it does not.
    Groups are dealt out to ``folds`` by size. With one group only there is nothing to hold out: T is 1.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    fold_of = np.zeros(len(names), np.int64)
    order = np.argsort(-np.bincount(index), kind="stable")
    fold_of[order] = np.arange(len(names)) % min(folds, len(names))
    temperatures = np.ones(len(targets))
    for fold in range(min(folds, len(names)) if len(names) > 1 else 0):
        held_out = fold_of[index] == fold
        temperatures[held_out] = fit_temperature(logits[~held_out], targets[~held_out])
    return temperatures


def negative_log_likelihood(logits: Floats, targets: Ints, temperature: float = 1.0) -> float:
    """Mean over the examples, in nats."""
    return float(-log_probabilities(logits, temperature)[np.arange(len(targets)), targets].mean())


def calibration(logits: Floats, targets: Ints, temperature: float | Floats = 1.0, bins: int = BINS) -> Calibration:
    """``temperature``: one for all, or (N,) one for each example (the mean is reported then)."""
    each = np.broadcast_to(np.asarray(temperature, np.float64), len(targets))
    scaled = np.asarray(logits, np.float64) / each[:, None]
    check(scaled, targets, scaled.shape[1])
    chances = probabilities(scaled)
    truth = np.eye(chances.shape[1])[targets]
    return Calibration(
        temperature=float(each.mean()),
        nll=negative_log_likelihood(scaled, targets),
        ece=expected_calibration_error(chances, targets, bins),
        ece_by_chance=error_by_chance(chances, bins),
        brier=float(((chances - truth) ** 2).sum(axis=1).mean()),
        bins=reliability(chances, targets, bins),
    )


def bin_sums(chances: Floats, targets: Ints, bins: int = BINS) -> Floats:
    """→ (N, bins, 3): each example's count, confidence and hit, in the bin of its confidence; they add up."""
    confidence = chances.max(axis=1)
    hit = chances.argmax(axis=1) == targets
    place = _bin_of(confidence, bins)
    sums = np.zeros((len(targets), bins, 3))
    sums[np.arange(len(targets)), place] = np.stack([np.ones(len(targets)), confidence, hit], axis=1)
    return sums


def error_from_sums(sums: Floats) -> Floats:
    """(B, bins, 3) sums of ``bin_sums`` → expected calibration error (B,)."""
    gaps = np.abs(sums[..., 1] - sums[..., 2]).sum(axis=-1)  # count · |mean confidence - accuracy|, summed
    return ratio(gaps, sums[..., 0].sum(axis=-1))


def expected_calibration_error(chances: Floats, targets: Ints, bins: int = BINS) -> float:
    """Mean gap between confidence and accuracy over equally wide bins, weighted by their counts."""
    return float(error_from_sums(bin_sums(chances, targets, bins).sum(axis=0)[None])[0])


def error_by_chance(chances: Floats, bins: int = BINS, draws: int = 200, seed: int = 0) -> float:
    """The mean calibration error if these very probabilities were true: the outcomes are drawn from them."""
    confidence = chances.max(axis=1)
    place = _bin_of(confidence, bins)
    counts = np.bincount(place, minlength=bins)
    expected = np.bincount(place, confidence, bins)
    rng = np.random.default_rng(seed)
    errors = []
    for _ in range(draws):
        hits = np.bincount(place, rng.random(len(confidence)) < confidence, bins)
        errors.append(np.abs(hits - expected).sum() / counts.sum())
    return float(np.mean(errors))


def _bin_of(confidence: Floats, bins: int) -> Ints:
    """(N,) → (N,) number of the bin (low, high] that holds it."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability(chances: Floats, targets: Ints, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """The bins of the reliability plot."""
    sums = bin_sums(chances, targets, bins).sum(axis=0)
    means = ratio(sums[:, 1:], sums[:, :1])
    return tuple(
        ReliabilityBin(
            low=place / bins,
            high=(place + 1) / bins,
            count=int(sums[place, 0]),
            confidence=float(means[place, 0]),
            accuracy=float(means[place, 1]),
        )
        for place in range(bins)
    )


def write_temperature(folder: Path, temperature: float, metrics: Mapping[str, float] | None = None) -> None:
    """Put ``temperature`` (and ``metrics``, beside those there) into ``card.json``, all of it or nothing.

    Other fields keep their values and order. Raises CardError when the card cannot be read or would become invalid.
    """
    path = folder / CARD_FILE
    try:
        card = json.loads(path.read_text("utf-8"))
        card["temperature"] = round(float(temperature), 6)
        card["metrics"] = {**card.get("metrics", {}), **(metrics or {})}
        ModelCard.model_validate(card)
    except (OSError, UnicodeDecodeError, ValueError, TypeError, ValidationError) as error:
        raise CardError(f"{path}: the temperature cannot be written: {error}") from error
    write_atomically(path, json.dumps(card, indent=2, ensure_ascii=False) + "\n")
