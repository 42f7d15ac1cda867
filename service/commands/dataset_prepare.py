"""``actoscope dataset prepare | split | balance | stats | duplicates``: public data sets in, sound splits out."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.data.layouts.prepare import Cutter, Prepared
    from models.data.manifest import ClipRecord, Dataset, Split
    from models.data.near_duplicates import HashConfig
    from models.data.source_video import Layout, LeftOut
    from models.data.split import SplitConfig

_SPLITS = ("train", "val", "test")
_SHOWN = 20  # lines of a long list; the rest is in a file


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the five subcommands to ``actoscope dataset``."""
    _add_prepare(commands)
    _add_split(commands)
    _add_balance(commands)
    stats = commands.add_parser("stats", help="clips, groups and durations per class and split, as table and plots")
    stats.add_argument("data", type=Path, help="a data set's folder")
    stats.add_argument("--no-plots", action="store_true", help="only the table")
    stats.set_defaults(run=_stats)
    duplicates = commands.add_parser("duplicates", help="clips of different splits that look alike")
    duplicates.add_argument("data", type=Path, help="a data set's folder")
    duplicates.add_argument("--groups", action="store_true", help="compare different groups instead, split or not")
    _add_hashing(duplicates)
    duplicates.set_defaults(run=_duplicates)


def _add_prepare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    prepare = commands.add_parser("prepare", help="public layouts → a data set")
    layouts = prepare.add_subparsers(required=True, metavar="LAYOUT")
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
        layout.set_defaults(run=_prepare)


def _add_cutting(parser: argparse.ArgumentParser, min_s: float) -> None:
    parser.add_argument("--size", type=int, default=224, help="pixels of a clip's sides (default 224)")
    parser.add_argument("--short-side", type=int, help="the frame's shorter side before the cut (default 8/7 of size)")
    parser.add_argument("--rate", type=float, default=25.0, help="pictures a second of media time (default 25)")
    parser.add_argument("--min-seconds", type=float, default=min_s, help=f"leave out shorter ones (default {min_s:g})")
    parser.add_argument("--piece-seconds", type=float, default=10.0, help="longer videos become several clips")
    parser.add_argument("--format", choices=("h264", "ffv1", "jpeg"), default="h264", help="(default h264)")
    people = parser.add_argument_group("clips of people instead of whole frames")
    people.add_argument("--per-person", action="store_true", help="every tracked person gets the video's label")
    people.add_argument("--people", type=_count, metavar="N", help="only the N in view longest (default all)")
    people.add_argument("--margin", type=float, default=0.2, help="around a person's box (default 0.2)")
    people.add_argument("--tracks", type=Path, help="given tracks: a folder of MOTChallenge .txt or CVAT .xml")
    people.add_argument(
        "--fill", type=int, default=25, metavar="FRAMES", help="longest hole filled in them (default 25)"
    )
    parser.add_argument("--jobs", type=_count, default=max(1, (os.cpu_count() or 2) // 2), help="videos at a time")
    parser.add_argument("--description", default="", help="origin and licence, for the model's card")
    parser.add_argument("--drop-leaks", action="store_true", help="keep leaking groups only in their last split")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_split(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    split = commands.add_parser("split", help="train, val and test by group, stratified by class")
    split.add_argument("data", type=Path, help="a data set's folder")
    for name, default in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        split.add_argument(f"--{name}", type=float, default=default, help=f"share (default {default:g})")
    split.add_argument("--by", choices=("group", "video", "person"), default="group", help="what stays together")
    split.add_argument("--of", nargs="+", choices=_SPLITS, default=(), help="only split these anew; others stay")
    split.add_argument("--folds", type=_count, help="cross-validation: this many equal folds …")
    split.add_argument("--fold", type=_count, help="… of which this one (from 1) becomes val, the others train")
    split.add_argument("--seed", type=int, default=0)
    split.add_argument("--check", action="store_true", help="change nothing, only look for leaks and near-duplicates")
    split.add_argument("--no-duplicates", action="store_true", help="do not look for near-duplicates afterwards")
    _add_hashing(split)
    split.set_defaults(run=_split)


def _add_hashing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pictures", type=_count, default=5, help="pictures hashed of each clip (default 5)")
    parser.add_argument("--max-bits", type=int, default=12, help="of 64 that may differ in alike pictures (default 12)")
    parser.add_argument("--min-share", type=float, default=0.6, help="of a clip's pictures alike (default 0.6)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _add_balance(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    balance = commands.add_parser("balance", help="a target number of clips per class: repeat or leave out rows")
    balance.add_argument("data", type=Path, help="a data set's folder")
    what = balance.add_mutually_exclusive_group(required=True)
    what.add_argument("--target", type=_target, help="clips per class, or min, median, mean or max of the classes'")
    what.add_argument("--undo", action="store_true", help="the whole manifest again")
    balance.add_argument("--splits", nargs="+", choices=_SPLITS, default=("train",), help="(default train)")
    only = balance.add_mutually_exclusive_group()
    only.add_argument("--only-over", dest="resample", action="store_const", const="over", help="leave nothing out")
    only.add_argument("--only-under", dest="resample", action="store_const", const="under", help="repeat nothing")
    balance.add_argument("--seed", type=int, default=0)
    balance.set_defaults(run=_balance, resample="both")


def _count(text: str) -> int:
    """→ a whole number from 1 on. Raises what argparse turns into a usage error."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _target(text: str) -> int | str:
    return text if text in ("min", "median", "mean", "max") else _count(text)


def _read_ucf101(arguments: argparse.Namespace) -> Layout:
    from models.data.layouts.ucf101 import read_ucf101  # noqa: PLC0415 - commands load only what they need

    return read_ucf101(arguments.root, arguments.lists, arguments.fold)


def _read_ucf_sports(arguments: argparse.Namespace) -> Layout:
    from models.data.layouts.ucf_sports import read_ucf_sports  # noqa: PLC0415

    return read_ucf_sports(arguments.root)


def _read_kinetics(arguments: argparse.Namespace) -> Layout:
    from models.data.layouts.kinetics import read_kinetics  # noqa: PLC0415

    return read_kinetics(arguments.root, arguments.csv)


def _read_folders(arguments: argparse.Namespace) -> Layout:
    from models.data.layouts.folders import Grouping, read_folders  # noqa: PLC0415

    return read_folders(arguments.root, Grouping(arguments.group_pattern, arguments.groups))


def _prepare(arguments: argparse.Namespace) -> int:
    from models.data.clip_file import ClipFormat  # noqa: PLC0415
    from models.data.layouts.prepare import LEFT_OUT_FILE, PrepareConfig, prepare  # noqa: PLC0415

    layout = arguments.read(arguments)
    cutter = _person_cutter(arguments, layout) if arguments.per_person else _frame_cutter(arguments)
    jobs = 1 if arguments.per_person else arguments.jobs  # one set of networks
    config = PrepareConfig(ClipFormat(arguments.format), jobs, arguments.description, arguments.drop_leaks)
    with _Bar("video", arguments.quiet) as bar:
        done = prepare(layout, arguments.output, cutter, config, bar)
    _show_prepared(done, layout, arguments.output / LEFT_OUT_FILE)
    return 0


def _frame_cutter(arguments: argparse.Namespace) -> Cutter:
    from models.data.layouts.whole_frame import WholeFrameCutter  # noqa: PLC0415

    short_side = arguments.short_side or round(arguments.size * 256 / 224)
    times = (arguments.rate, arguments.min_seconds, arguments.piece_seconds)
    return WholeFrameCutter(arguments.size, short_side, *times)


def _person_cutter(arguments: argparse.Namespace, layout: Layout) -> Cutter:
    from models.data.layouts.per_person import PerPersonCutter  # noqa: PLC0415
    from models.data.layouts.prepare import SCRATCH_FOLDER  # noqa: PLC0415
    from service.commands.dataset import people_source  # noqa: PLC0415

    people = people_source(arguments, [video.path.resolve() for video in layout.videos])
    times = (arguments.rate, arguments.min_seconds, arguments.piece_seconds)
    scratch = arguments.output / SCRATCH_FOLDER
    return PerPersonCutter(people, scratch, arguments.size, arguments.margin, *times, arguments.people)


def _show_prepared(done: Prepared, layout: Layout, left_out_file: Path) -> None:
    _show_stats(done.dataset)
    _show_left_out(done.left_out, left_out_file)
    empty = [label for label in layout.labels if label not in done.dataset.info.class2label]
    if empty:
        print(f"classes without a clip, not in the data set: {', '.join(empty)}")
    print(f"{len(done.dataset.records)} clips, {len(done.dataset.labels)} classes → {done.dataset.folder}")


def _show_left_out(left_out: Sequence[LeftOut], file: Path) -> None:
    if not left_out:
        return
    print(f"left out: {len(left_out)} (all in {file})")
    for item in left_out[:_SHOWN]:
        print(f"  {item.what}: {item.reason}")
    if len(left_out) > _SHOWN:
        reasons = Counter(item.reason for item in left_out[_SHOWN:])
        for reason, count in reasons.most_common(_SHOWN):
            print(f"  … and {count} more: {reason}")


def _split(arguments: argparse.Namespace) -> int:
    from models.data.balance import refuse_balanced  # noqa: PLC0415
    from models.data.leaks import check_leaks  # noqa: PLC0415
    from models.data.manifest import Split, read_dataset, write_dataset  # noqa: PLC0415
    from models.data.split import missing_classes  # noqa: PLC0415
    from models.data.tracks.clips import refresh_lists  # noqa: PLC0415

    data = read_dataset(arguments.data)
    if arguments.check:
        check_leaks(data.records)
    else:
        refuse_balanced(arguments.data)
        data = _with_records(data, _new_splits(data.records, arguments))
        write_dataset(data)
        refresh_lists(data)
    _show_stats(data)
    used = [split for split in Split if split is not Split.NONE and data.of(split)]
    for line in missing_classes(data.records, used):
        print(line)
    if not arguments.no_duplicates:
        _report_duplicates(data, _hash_config(arguments), across_splits=True, quiet=arguments.quiet)
    return 0


def _new_splits(records: Sequence[ClipRecord], arguments: argparse.Namespace) -> tuple[ClipRecord, ...]:
    from models.data.split import split, take_fold  # noqa: PLC0415
    from models.errors import DatasetError  # noqa: PLC0415

    if (arguments.folds is None) != (arguments.fold is None):
        raise DatasetError("expected --folds and --fold together")
    config = _split_config(arguments)
    if arguments.folds is not None:
        return take_fold(records, arguments.folds, arguments.fold - 1, config)
    return split(records, config)


def _split_config(arguments: argparse.Namespace) -> SplitConfig:
    from models.data.manifest import Split  # noqa: PLC0415
    from models.data.split import GroupBy, SplitConfig  # noqa: PLC0415

    shares = {Split(name): getattr(arguments, name) for name in _SPLITS}
    of = tuple(Split(name) for name in arguments.of)
    return SplitConfig(shares, arguments.seed, GroupBy(arguments.by), of)


def _balance(arguments: argparse.Namespace) -> int:
    from models.data.balance import BalanceConfig, Resample, balance_dataset, restore  # noqa: PLC0415
    from models.data.tracks.clips import refresh_lists  # noqa: PLC0415

    if arguments.undo:
        data = restore(arguments.data)
    else:
        resample = Resample(arguments.resample)
        config = BalanceConfig(arguments.target, _splits(arguments.splits), resample, arguments.seed)
        data = balance_dataset(arguments.data, config)
    refresh_lists(data)
    _show_stats(data)
    return 0


def _splits(names: Sequence[str]) -> tuple[Split, ...]:
    from models.data.manifest import Split  # noqa: PLC0415

    return tuple(dict.fromkeys(Split(name) for name in names))


def _stats(arguments: argparse.Namespace) -> int:
    from models.data.manifest import read_dataset  # noqa: PLC0415
    from models.data.stats import class_stats, stats_rows, write_stats  # noqa: PLC0415

    data = read_dataset(arguments.data)
    stats = class_stats(data)
    rows = stats_rows(stats)
    _show_table(rows)
    written = [write_stats(data.folder, rows)]
    if not arguments.no_plots:
        from models.data.stats_plots import write_plots  # noqa: PLC0415

        written += write_plots(data, stats)
    print(", ".join(map(str, written)))
    return 0


def _duplicates(arguments: argparse.Namespace) -> int:
    from models.data.manifest import read_dataset  # noqa: PLC0415

    data = read_dataset(arguments.data)
    _report_duplicates(data, _hash_config(arguments), across_splits=not arguments.groups, quiet=arguments.quiet)
    return 0


def _hash_config(arguments: argparse.Namespace) -> HashConfig:
    from models.data.near_duplicates import HashConfig  # noqa: PLC0415

    return HashConfig(arguments.pictures, arguments.max_bits, arguments.min_share)


def _report_duplicates(data: Dataset, config: HashConfig, across_splits: bool, quiet: bool) -> None:
    from models.data.near_duplicates import near_duplicates, write_pairs  # noqa: PLC0415

    with _Bar("clip", quiet) as bar:
        pairs = near_duplicates(data.records, data.folder, config, bar, across_splits)
    path = write_pairs(data.folder, pairs)
    between = "splits" if across_splits else "groups"
    print(f"near-duplicates in different {between}: {len(pairs)} pairs" + (f" (all in {path})" if pairs else ""))
    for pair in pairs[:_SHOWN]:
        sides = (
            f"{side.split.value} {side.group}: {side.path.relative_to(data.folder)}"
            for side in (pair.first, pair.second)
        )
        print(f"  {' ~ '.join(sides)} ({pair.share:.0%} of the pictures, {pair.bits} bits)")


def _with_records(data: Dataset, records: tuple[ClipRecord, ...]) -> Dataset:
    from dataclasses import replace  # noqa: PLC0415

    return replace(data, records=records)


def _show_stats(data: Dataset) -> None:
    from models.data.stats import class_stats, stats_rows  # noqa: PLC0415

    _show_table(stats_rows(class_stats(data)))


def _show_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns aligned: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells))


class _Bar:
    """A progress bar that is a ``progress(done, total)`` callable."""

    def __init__(self, unit: str, quiet: bool) -> None:
        from tqdm import tqdm  # noqa: PLC0415

        self._bar = tqdm(unit=unit, disable=quiet, dynamic_ncols=True)

    def __enter__(self) -> Callable[[int, int], None]:
        return self._show

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _show(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)
