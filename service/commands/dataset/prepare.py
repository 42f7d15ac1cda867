"""``actoscope dataset prepare``: a public data set's own layout → a data set of ours."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from models.data.clip_file import ClipFormat
from models.data.layouts.folders import Grouping, read_folders
from models.data.layouts.kinetics import read_kinetics
from models.data.layouts.per_person import PerPersonCutter
from models.data.layouts.prepare import LEFT_OUT_FILE, SCRATCH_FOLDER, Cutter, PrepareConfig, Prepared, prepare
from models.data.layouts.ucf101 import read_ucf101
from models.data.layouts.ucf_sports import read_ucf_sports
from models.data.layouts.whole_frame import WholeFrameCutter
from models.data.source_video import Layout, LeftOut
from service.commands.dataset.people import people_source
from service.commands.dataset.stats import show_stats
from service.commands.options import positive
from service.commands.printing import SHOWN, show_failures
from service.commands.progress import ProgressBar


def add_options(parser: argparse.ArgumentParser) -> None:
    layouts = parser.add_subparsers(required=True, metavar="LAYOUT")
    ucf101 = layouts.add_parser("ucf101", help="Class/v_Class_gNN_cNN.avi with the official lists")
    ucf101.add_argument("--lists", type=Path, help="folder of classInd.txt, trainlist0N.txt, testlist0N.txt")
    ucf101.add_argument("--fold", type=int, default=1, choices=(1, 2, 3), help="which of the lists (default 1)")
    ucf101.set_defaults(read=_read_ucf101)
    sports = layouts.add_parser("ucf-sports", help="Class/001/….avi; the views of an action become one class")
    sports.set_defaults(read=_read_ucf_sports)
    kinetics = layouts.add_parser("kinetics", help="CSV files and <id>_<start>_<end>.mp4")
    kinetics.add_argument("--csv", type=Path, nargs="+", required=True, help="train, validate and test CSV")
    kinetics.set_defaults(read=_read_kinetics)
    folders = layouts.add_parser("folders", help="class/….mp4 or train|val|test/class/….mp4")
    grouping = folders.add_mutually_exclusive_group()
    grouping.add_argument("--groups", type=Path, help="CSV: clip, group (or source_group) and, if wanted, split")
    grouping.add_argument("--group-pattern", help="regular expression on the path; its first group is the source")
    folders.set_defaults(read=_read_folders)
    for layout, min_s in ((ucf101, 0.0), (sports, 1.0), (kinetics, 0.0), (folders, 0.0)):
        layout.add_argument("root", type=Path, help="folder of the videos")
        layout.add_argument("--output", type=Path, required=True, help="folder of the data set; made, or gone on with")
        _add_cutting(layout, min_s)


def _add_cutting(parser: argparse.ArgumentParser, min_s: float) -> None:
    parser.add_argument("--size", type=int, default=224, help="pixels of a clip's sides (default 224)")
    parser.add_argument("--short-side", type=int, help="the frame's shorter side before the cut (default 8/7 of size)")
    parser.add_argument("--rate", type=float, default=25.0, help="pictures a second of media time (default 25)")
    parser.add_argument("--min-seconds", type=float, default=min_s, help=f"leave out shorter ones (default {min_s:g})")
    parser.add_argument("--piece-seconds", type=float, default=10.0, help="longer videos become several clips")
    parser.add_argument("--format", choices=("h264", "ffv1", "jpeg"), default="h264", help="(default h264)")
    people = parser.add_argument_group("clips of people instead of whole frames")
    people.add_argument("--per-person", action="store_true", help="every tracked person gets the video's label")
    people.add_argument("--people", type=positive, metavar="N", help="only the N in view longest (default all)")
    people.add_argument("--margin", type=float, default=0.2, help="around a person's box (default 0.2)")
    people.add_argument("--tracks", type=Path, help="given tracks: a folder of MOTChallenge .txt or CVAT .xml")
    people.add_argument(
        "--fill", type=int, default=25, metavar="FRAMES", help="longest hole filled in them (default 25)"
    )
    parser.add_argument("--jobs", type=positive, default=max(1, (os.cpu_count() or 2) // 2), help="videos at a time")
    parser.add_argument("--description", default="", help="origin and licence, for the model's card")
    parser.add_argument("--drop-leaks", action="store_true", help="keep leaking groups only in their last split")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _read_ucf101(arguments: argparse.Namespace) -> Layout:
    return read_ucf101(arguments.root, arguments.lists, arguments.fold)


def _read_ucf_sports(arguments: argparse.Namespace) -> Layout:
    return read_ucf_sports(arguments.root)


def _read_kinetics(arguments: argparse.Namespace) -> Layout:
    return read_kinetics(arguments.root, arguments.csv)


def _read_folders(arguments: argparse.Namespace) -> Layout:
    return read_folders(arguments.root, Grouping(arguments.group_pattern, arguments.groups))


def run(arguments: argparse.Namespace) -> int:
    layout = arguments.read(arguments)
    cutter = _person_cutter(arguments, layout) if arguments.per_person else _frame_cutter(arguments)
    jobs = 1 if arguments.per_person else arguments.jobs  # one set of networks
    config = PrepareConfig(ClipFormat(arguments.format), jobs, arguments.description, arguments.drop_leaks)
    with ProgressBar("video", arguments.quiet) as bar:
        done = prepare(layout, arguments.output, cutter, config, bar)
    _show(done, layout, arguments.output / LEFT_OUT_FILE)
    return show_failures("cannot be read", [f"{item.what}: {item.reason}" for item in done.left_out if item.bad])


def _frame_cutter(arguments: argparse.Namespace) -> Cutter:
    short_side = arguments.short_side or round(arguments.size * 256 / 224)
    times = (arguments.rate, arguments.min_seconds, arguments.piece_seconds)
    return WholeFrameCutter(arguments.size, short_side, *times)


def _person_cutter(arguments: argparse.Namespace, layout: Layout) -> Cutter:
    people = people_source(arguments.tracks, arguments.fill, [video.path.resolve() for video in layout.videos])
    times = (arguments.rate, arguments.min_seconds, arguments.piece_seconds)
    scratch = arguments.output / SCRATCH_FOLDER
    return PerPersonCutter(people, scratch, arguments.size, arguments.margin, *times, arguments.people)


def _show(done: Prepared, layout: Layout, left_out_file: Path) -> None:
    show_stats(done.dataset)
    _show_left_out(done.left_out, left_out_file)
    empty = [label for label in layout.labels if label not in done.dataset.info.class2label]
    if empty:
        print(f"classes without a clip, not in the data set: {', '.join(empty)}")
    print(f"{len(done.dataset.records)} clips, {len(done.dataset.labels)} classes → {done.dataset.folder}")


def _show_left_out(left_out: Sequence[LeftOut], file: Path) -> None:
    if not left_out:
        return
    print(f"left out: {len(left_out)} (all in {file})")
    for item in left_out[:SHOWN]:
        print(f"  {item.what}: {item.reason}")
    if len(left_out) > SHOWN:
        reasons = Counter(item.reason for item in left_out[SHOWN:])
        for reason, count in reasons.most_common(SHOWN):
            print(f"  … and {count} more: {reason}")
