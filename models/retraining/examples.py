"""Which corrections a training learns from, which only measure, and what is left out, with the reason.

Corrections are chosen by the errors of the network that is served: whoever measures on them alone finds every other
network better. So the audit sample is kept apart, by incident and by person, and nothing of it is ever learnt.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from models.data.clip_file import read_clip
from models.data.near_duplicates import HashConfig, Hashes, alike, hash_clip
from models.errors import UnreadableFileError
from models.retraining.corrections import Correction
from pipeline.files import file_sha256

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """``camera_day``: clips of one camera and day. ``ratio``: how many times the smallest class the largest may have,
    where a class counts as ``rare`` clips at least: few labels of a rare class shall not cost all others.

    ``like``: when two clips of one camera and class show the same; of such, ``same_kept`` of each camera and class stay
    in any case. Within ``audit_s`` of a clip of the audit sample nothing like it is learnt.
    """

    camera_day: int = 60
    ratio: int = 3
    rare: int = 10
    like: HashConfig = field(default_factory=lambda: HashConfig(max_bits=6, min_share=0.8))
    same_kept: int = 8
    audit_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Known:
    """The network that learns: what its versions are called, and its lighter one's, and its labels."""

    aliases: Collection[str]
    labels: Collection[str]


@dataclass(frozen=True, slots=True)
class Chosen:
    """``left_out``: reason → how many."""

    train: tuple[Correction, ...]
    audit: tuple[Correction, ...]
    left_out: Mapping[str, int]


def choose(
    corrections: Sequence[Correction], known: Known, limits: Limits, progress: Progress = lambda *_: None
) -> Chosen:
    """``known``: the network that learns. Pictures are looked at once; the same corrections give the same choice."""
    sieve = _Sieve()
    usable = sieve.keep(_usable(corrections, known))
    hashes: dict[str, Hashes] = {}
    readable = sieve.keep(_readable(usable, hashes, limits, progress))
    audit = [each for each in readable if each.audit]
    train = sieve.keep(_apart([each for each in readable if not each.audit], audit, hashes, limits))
    for step in (partial(_distinct, hashes=hashes), _within_days, _balanced):
        train = sieve.keep(step(train, limits))
    in_time = sorted(train, key=lambda each: (each.at, each.id))
    return Chosen(tuple(in_time), tuple(audit), dict(sieve.left_out))


class _Sieve:
    """Keeps what has no reason against it, and counts the others."""

    def __init__(self) -> None:
        self.left_out: Counter[str] = Counter()

    def keep(self, judged: Iterable[tuple[Correction, str]]) -> list[Correction]:
        pairs = list(judged)
        self.left_out.update(reason for _, reason in pairs if reason)
        return [each for each, reason in pairs if not reason]


def _usable(corrections: Iterable[Correction], known: Known) -> Iterable[tuple[Correction, str]]:
    for each in corrections:
        if each.superseded:
            yield each, "a later verdict took its place"
        elif each.model not in ("", *known.aliases):
            yield each, "of another network"
        elif each.label not in known.labels:
            yield each, "a label that the network does not know"
        else:
            yield each, _damage(each)


def _damage(each: Correction) -> str:
    if not each.clip.is_file():
        return "its clip is gone"
    return "the clip is damaged" if file_sha256(each.clip) != each.sha256 else ""


def _readable(
    usable: Sequence[Correction], hashes: dict[str, Hashes], limits: Limits, progress: Progress
) -> Iterable[tuple[Correction, str]]:
    """Fills ``hashes``: of a clip that shows next to nothing, such as a dark night, there are none."""
    for number, each in enumerate(usable, 1):
        try:
            hashes[each.id] = hash_clip(read_clip(each.clip), limits.like.pictures)
        except UnreadableFileError:
            yield each, "the clip cannot be read"
        else:
            yield each, ""
        progress(number, len(usable))


def _apart(
    train: Sequence[Correction], audit: Sequence[Correction], hashes: Mapping[str, Hashes], limits: Limits
) -> Iterable[tuple[Correction, str]]:
    """What shares an incident or a person with the audit sample, or shows the same at the same time, is not learnt."""
    groups, people = {each.group for each in audit}, {each.person for each in audit}
    for each in train:
        if each.group in groups or each.person in people:
            yield each, "its incident or person is in the audit sample"
            continue
        near = [
            hashes[other.id]
            for other in audit
            if other.stream_id == each.stream_id and abs(other.at - each.at) <= limits.audit_s and len(hashes[other.id])
        ]
        yield each, "shows what a clip of the audit sample shows" if alike(hashes[each.id], near, limits.like) else ""


def _distinct(
    train: Sequence[Correction], limits: Limits, hashes: Mapping[str, Hashes]
) -> Iterable[tuple[Correction, str]]:
    """Of clips that show the same the best is kept, and some more where a camera has few of the class."""
    kept: defaultdict[tuple[str, str], list[Hashes]] = defaultdict(list)
    for each in _best_first(train):
        before, mine = kept[each.stream_id, each.label], hashes[each.id]
        same = len(before) >= limits.same_kept and alike(mine, before, limits.like)
        if not same and len(mine):
            before.append(mine)
        yield each, "shows what another clip shows" if same else ""


def _within_days(train: Sequence[Correction], limits: Limits) -> Iterable[tuple[Correction, str]]:
    seen: Counter[tuple[str, int]] = Counter()
    for each in _best_first(train):
        seen[each.stream_id, each.day] += 1
        full = seen[each.stream_id, each.day] > limits.camera_day
        yield each, f"more than {limits.camera_day} of a camera and day" if full else ""


def _balanced(train: Sequence[Correction], limits: Limits) -> Iterable[tuple[Correction, str]]:
    counts = Counter(each.label for each in train)
    most = limits.ratio * max(limits.rare, min(counts.values(), default=0))
    seen: Counter[str] = Counter()
    for each in _best_first(train):
        seen[each.label] += 1
        yield each, f"its class had more than {limits.ratio} times the smallest" if seen[each.label] > most else ""


def _best_first(corrections: Iterable[Correction]) -> list[Correction]:
    """What teaches most: errors, then what the network was unsure of, then the newest."""
    return sorted(corrections, key=lambda each: (each.verdict != "wrong", not each.near_threshold, -each.at, each.id))
