"""Clips that look alike in different splits: re-encoded copies, cuts of one recording, the same scene once more.

Pictures spread evenly over each clip get a perceptual hash (pHash of the ``imagehash`` library: the signs of 64 low
frequencies against their median), which survives scaling and compression. Two clips are near-duplicates when enough
pictures of one have a picture in the other whose hash differs in few bits. Every picture is compared with every one,
so that a shift in time does not matter. Flat pictures (black, padding) hash to noise and are passed over.

Memory: eight bytes a picture, and some fifty for comparing one clip with all others. Hashes are noted in
``near_duplicates.jsonl`` beside the manifest, so that a stopped run goes on and a second one only compares.
"""

from __future__ import annotations

import bisect
import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.data.clip_file import Clip, read_clip
from models.data.journal import Journal, stamp_of
from models.data.manifest import ClipRecord, Split
from models.errors import DatasetError, UnreadableFileError
from pipeline.files import write_atomically

JOURNAL_FILE, REPORT_FILE = "near_duplicates.jsonl", "near_duplicates.csv"
_FLAT = 6.0  # standard deviation of grey levels of 255

Progress = Callable[[int, int], None]  # clips hashed, clips in all
Hashes = NDArray[np.uint64]  # (pictures,)


@dataclass(frozen=True, slots=True)
class HashConfig:
    """``pictures`` of each clip are hashed; two are alike when at most ``max_bits`` of 64 differ.

    ``min_share`` of the pictures of one of two clips must have a like in the other. Measured on 239 surveillance clips
    of 36 cameras (whole frames, 112 pixels): the defaults find 99 of the 1060 pairs of one camera and none of the 27381
    of two; 8 bits find 53, and 14 bits call 2 pairs of two cameras alike.
    """

    pictures: int = 5
    max_bits: int = 12
    min_share: float = 0.6

    def __post_init__(self) -> None:
        if self.pictures < 1 or not 0 <= self.max_bits < 32 or not 0 < self.min_share <= 1:
            raise DatasetError("expected pictures >= 1, 0 <= max_bits < 32 and 0 < min_share <= 1")


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two clips, the one of the earlier split first. ``share``: of pictures alike; ``bits``: the least difference."""

    first: ClipRecord
    second: ClipRecord
    share: float
    bits: int


def near_duplicates(
    records: Sequence[ClipRecord],
    folder: Path,
    config: HashConfig,
    progress: Progress,
    across_splits: bool = True,
    failed: list[str] | None = None,
) -> list[NearDuplicate]:
    """Pairs in different splits, the most alike first; with ``across_splits=False`` in different groups, split or not.

    Raises UnreadableFileError for a clip that cannot be read, unless it can be added to ``failed``.
    """
    keyed = _distinct(records, across_splits)
    hashes = _hash_all([record for _, record in keyed], folder, config, progress, failed)
    usable = [index for index, found in enumerate(hashes) if len(found)]
    pairs = _compare([keyed[index] for index in usable], [hashes[index] for index in usable], config)
    return sorted(pairs, key=lambda pair: (-pair.share, pair.bits, str(pair.first.path), str(pair.second.path)))


def hash_clip(clip: Clip, pictures: int) -> Hashes:
    """uint8 (T, H, W, 3) RGB → uint64 (at most ``pictures``,): pHash of evenly spread pictures that are not flat."""
    places = np.unique(((np.arange(pictures) + 0.5) * len(clip) / pictures).astype(int))
    kept = [clip[place] for place in places if clip[place].std(axis=(0, 1)).max() >= _FLAT]
    import imagehash  # noqa: PLC0415 - an extra that only hashing needs, not the options of the command

    bits = [imagehash.phash(Image.fromarray(picture)).hash.ravel() for picture in kept]
    return np.packbits(np.array(bits, bool).reshape(-1, 64), axis=1).view(np.uint64).ravel()


def alike(mine: Hashes, others: Sequence[Hashes], config: HashConfig) -> bool:
    """Whether a clip is a near-duplicate of one of ``others``, none of which is flat."""
    if not len(mine) or not others:
        return False
    starts = np.cumsum([0, *map(len, others)])[:-1]
    shares, _ = _likeness(mine, np.concatenate(others), starts, config.max_bits)
    return bool((shares >= config.min_share).any())


def _distinct(records: Iterable[ClipRecord], across_splits: bool) -> list[tuple[str, ClipRecord]]:
    """Each file once (a balanced manifest repeats some), as (what must differ to be told, record), sorted by it."""
    order = {split: str(place) for place, split in enumerate(Split)}  # train, val, test
    files = {record.path: record for record in records if record.split is not Split.NONE or not across_splits}
    keyed = [(order[record.split] if across_splits else record.group, record) for record in files.values()]
    return sorted(keyed, key=lambda pair: pair[0])


def _hash_all(
    clips: Sequence[ClipRecord], folder: Path, config: HashConfig, progress: Progress, failed: list[str] | None
) -> list[Hashes]:
    found: list[Hashes] = []
    progress(0, len(clips))
    with Journal(folder / JOURNAL_FILE, {"pictures": config.pictures}, restart=True) as journal:
        for number, record in enumerate(clips, 1):
            try:
                found.append(_hashes(record.path, folder, journal, config.pictures))
            except UnreadableFileError as error:
                if failed is None:
                    raise
                failed.append(str(error))
                found.append(np.zeros(0, np.uint64))
            progress(number, len(clips))
    return found


def _hashes(path: Path, folder: Path, journal: Journal, pictures: int) -> Hashes:
    key = path.relative_to(folder).as_posix()
    stamp = stamp_of(path) if path.exists() else ""
    entry = journal.found(key, stamp)
    if entry is not None:
        return np.array([int(text, 16) for text in entry["hashes"]], np.uint64)
    hashes = hash_clip(read_clip(path), pictures)
    journal.note(key, stamp, hashes=[f"{value:016x}" for value in hashes.tolist()])
    return hashes


def _compare(
    keyed: Sequence[tuple[str, ClipRecord]], hashes: Sequence[Hashes], config: HashConfig
) -> list[NearDuplicate]:
    """Each clip with all of later keys (``keyed`` is sorted by key)."""
    keys, clips = [key for key, _ in keyed], [record for _, record in keyed]
    starts = np.cumsum([0, *map(len, hashes)])
    flat = np.concatenate([*hashes, np.empty(0, np.uint64)])
    pairs = []
    for index, mine in enumerate(hashes):
        first = bisect.bisect_right(keys, keys[index])
        if first < len(clips):
            shares, bits = _likeness(mine, flat[starts[first] :], starts[first:-1] - starts[first], config.max_bits)
            for other in np.flatnonzero(shares >= config.min_share):
                pair = NearDuplicate(clips[index], clips[first + other], float(shares[other]), int(bits[other]))
                pairs.append(pair)
    return pairs


def _likeness(
    mine: Hashes, others: Hashes, starts: NDArray[np.int_], max_bits: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """One clip's hashes (P,) against those of N clips, which begin at ``starts`` (N,) of ``others``.

    → (N,) the larger share of pictures that have a like in the other clip, and (N,) the least number of differing bits.
    """
    differing = np.bitwise_count(mine[:, None] ^ others)  # (P, pictures of all others)
    nearest = np.minimum.reduceat(differing, starts, axis=1)  # (P, N)
    of_mine = (nearest <= max_bits).mean(axis=0)
    sizes = np.diff(starts, append=len(others))
    of_theirs = np.add.reduceat(differing.min(axis=0) <= max_bits, starts, dtype=int) / sizes
    return np.maximum(of_mine, of_theirs), nearest.min(axis=0)


def write_pairs(folder: Path, pairs: Sequence[NearDuplicate]) -> Path:
    """→ ``folder``/near_duplicates.csv, one row a pair: split, group and path of both, share, bits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("split", "group", "path")
    writer.writerow((*names, *(f"other_{name}" for name in names), "share", "bits"))
    for pair in pairs:
        sides = [
            (side.split.value, side.group, side.path.relative_to(folder).as_posix())
            for side in (pair.first, pair.second)
        ]
        writer.writerow((*sides[0], *sides[1], f"{pair.share:.2f}", pair.bits))
    write_atomically(folder / REPORT_FILE, text.getvalue())
    return folder / REPORT_FILE
