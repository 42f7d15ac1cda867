"""Videos in a public layout → a data set that a training can start with, in one step: cut, and split where need be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from models.data.layouts.folders import Grouping, read_folders
from models.data.layouts.prepare import PrepareConfig, Prepared, Progress, prepare
from models.data.layouts.ucf101 import read_ucf101
from models.data.layouts.ucf_sports import MIN_S, read_ucf_sports
from models.data.layouts.whole_frame import WholeFrameCutter
from models.data.manifest import Split, write_dataset
from models.data.source_video import Layout
from models.data.split import SplitConfig, split

SHARES: Mapping[Split, float] = {Split.TRAIN: 0.7, Split.VAL: 0.15, Split.TEST: 0.15}


@dataclass(frozen=True, slots=True)
class KnownLayout:
    """``min_s``: seconds under which a video is left out."""

    read: Callable[[Path], Layout]
    min_s: float = 0.0


LAYOUTS: Mapping[str, KnownLayout] = {
    "folders": KnownLayout(lambda root: read_folders(root, Grouping())),
    "ucf101": KnownLayout(read_ucf101),
    "ucf-sports": KnownLayout(read_ucf_sports, MIN_S),
}


def make_ready(layout: str, videos: Path, folder: Path, size: int, progress: Progress) -> Prepared:
    """The videos below ``videos``, laid out as ``layout`` of ``LAYOUTS``, as a data set of squares of ``size`` pixels.

    Its own splits stay; where it has none, whole groups are drawn. A second run goes on where the first was stopped,
    with the splits of the first. Raises DatasetError as ``prepare`` and ``split`` do.
    """
    known = LAYOUTS[layout]
    cutter = WholeFrameCutter(size, round(size * 256 / 224), min_s=known.min_s)
    done = prepare(known.read(videos), folder, cutter, PrepareConfig(), progress)
    if any(record.split is not Split.NONE for record in done.dataset.records):
        return done
    dataset = replace(done.dataset, records=split(done.dataset.records, SplitConfig(SHARES)))
    write_dataset(dataset)
    return replace(done, dataset=dataset)
