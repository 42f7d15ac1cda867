"""``actoscope dataset clips``: labelled examples → a data set to train on."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from models.data.clip_file import ClipFormat
from models.data.manifest import Dataset
from models.data.tracks.clips import DATASET_FOLDER, ClipsConfig, make_clips
from models.data.tracks.example_folders import EXAMPLES_FOLDER, from_folders
from models.data.tracks.example_manifest import read_group_facts
from models.data.tracks.labelled_examples import Collected, from_tracks, input_of, read_videos, unread_videos
from models.weights.cards import ModelInput
from service.commands.dataset.working_folder import add_grouping, add_work, grouping_of, labels_table
from service.commands.options import names
from service.commands.printing import failures_told, show_failures, show_list, show_table
from service.commands.progress import ProgressBar


def add_options(parser: argparse.ArgumentParser) -> None:
    add_work(parser)
    parser.add_argument("--output", type=Path, help="folder of the data set (WORK/dataset)")
    parser.add_argument("--from", dest="origin", choices=("tracks", "examples"),
                        help="cut them by the table, or take what `group` wrote (default: where it did)")  # fmt: skip
    parser.add_argument("--whole", action="store_true", help="one clip an example, as long as it is")
    parser.add_argument("--classes", type=names, default=(), metavar="A,B,…", help="the classes in their order")
    parser.add_argument("--exclude", type=names, default=(), metavar="A,B,…", help="labels to leave out")
    parser.add_argument("--format", choices=("h264", "ffv1", "jpeg"), default="h264", help="of the clips (h264)")
    parser.add_argument("--description", default="", help="origin and licence of the videos, for the model's card")
    parser.add_argument("--overwrite", action="store_true", help="write clips again that are there")
    add_grouping(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    failed: list[str] = []
    with failures_told("cannot be read", failed), ProgressBar("clip", arguments.quiet, stays=False) as bar:
        found, form = _collect(arguments, bar, failed)
        failed.extend(found.failed)
        form_of_clips = ClipFormat(arguments.format)
        config = ClipsConfig(
            form, arguments.whole, form_of_clips, arguments.classes, arguments.description, arguments.overwrite
        )
        _show_left_out(found)
        folder = arguments.output or arguments.work / DATASET_FOLDER
        data = make_clips(found.examples, folder, config, bar.step, failed, found.unread)
    _show_splits(data)
    return show_failures("cannot be read", failed)


def _collect(arguments: argparse.Namespace, bar: ProgressBar, failed: list[str]) -> tuple[Collected, ModelInput]:
    """The labelled examples, and the form of clips made of them."""
    rows, root = labels_table(arguments.work), arguments.work / EXAMPLES_FOLDER
    origin = arguments.origin or ("examples" if root.is_dir() else "tracks")
    print(f"clips are made from {arguments.work / origin}")
    if origin == "examples":
        form = read_group_facts(root).input.model_copy(update={"frames": arguments.length})
        return from_folders(root, rows or (), arguments.exclude), form
    grouping = grouping_of(arguments, whole=arguments.whole)
    videos = read_videos(arguments.work, bar.step, failed)
    form = input_of(videos, grouping.full, grouping.rate_hz)
    found = from_tracks(videos, rows, arguments.exclude, grouping)
    return replace(found, unread=unread_videos(arguments.work, videos)), form


def _show_left_out(found: Collected) -> None:
    show_list("conflicts, the folder's class is taken", found.conflicts)
    for reason, count in sorted(found.left_out.items()):
        print(f"left out, {reason}: {count}")


def _show_splits(data: Dataset) -> None:
    """Clips of each class and split."""
    counts = Counter((record.label, record.split.value or "no split") for record in data.records)
    splits = sorted({split for _, split in counts})
    rows: list[tuple[object, ...]] = [("class", "index", *splits, "all")]
    for index, label in enumerate(data.labels):
        numbers = [counts[label, split] for split in splits]
        rows.append((label, index, *numbers, sum(numbers)))
    show_table(rows)
    print(f"{len(data.records)} clips → {data.folder}")
    if "no split" in splits:
        print(f"no split yet: `actoscope dataset split {data.folder}` makes one", file=sys.stderr)
