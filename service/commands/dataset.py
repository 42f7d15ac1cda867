"""``actoscope dataset extract | group | oversample | clips | label``: own videos → a data set of per-person clips."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.data.tracks.extract import Extracted
    from models.data.tracks.group import GroupConfig
    from models.data.tracks.labelled_examples import Collected
    from models.data.tracks.labels_csv import LabelRow
    from models.data.tracks.people import PeopleSource
    from models.weights.cards import ModelInput

EXIT_FAILED = 1
_SHOWN = 20  # lines of a long list


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``actoscope dataset`` with all its steps."""
    from service.commands import dataset_augment as cli_dataset_augment  # noqa: PLC0415
    from service.commands import dataset_prepare as cli_dataset_prepare  # noqa: PLC0415

    dataset = commands.add_parser("dataset", help="videos → data sets: extract, label, group, clips, prepare, split …")
    steps = dataset.add_subparsers(required=True, metavar="STEP")
    _add_extract(steps)
    _add_label(steps)
    _add_group(steps)
    _add_oversample(steps)
    _add_clips(steps)
    cli_dataset_prepare.add(steps)
    cli_dataset_augment.add(steps)


def _add_extract(steps: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    extract = steps.add_parser("extract", help="videos → crops of every person, numbered by frame")
    extract.add_argument("videos", type=Path, nargs="+", metavar="VIDEO", help="a video file, or a folder of them")
    extract.add_argument("--work", type=Path, required=True, help="working folder; made, or gone on with")
    extract.add_argument("--tracks", type=Path, help="given tracks (MOTChallenge .txt, CVAT .xml): a file or a folder")
    extract.add_argument("--fill", type=int, default=25, metavar="FRAMES", help="longest hole filled in them (25)")
    extract.add_argument("--margin", type=float, default=0.2, help="around a person's box, of its longer side (0.2)")
    extract.add_argument("--size", type=int, default=224, help="side of a crop in pixels (224)")
    extract.add_argument("--format", choices=("jpeg", "h264", "ffv1"), default="jpeg", help="ffv1 is lossless (jpeg)")
    extract.add_argument("--overwrite", action="store_true", help="extract finished videos again")
    _finish(extract, _extract)


def _add_label(steps: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    label = steps.add_parser("label", help="contact sheets of every track, and a table to fill or import into")
    label.add_argument("work", type=Path, help="working folder of `extract`")
    label.add_argument("--import", dest="imports", type=Path, nargs="+", default=(), metavar="FILE",
                       help="tables of actions (.csv) or CVAT files (.xml)")  # fmt: skip
    label.add_argument("--pictures", type=int, default=12, help="on a contact sheet; 0: no sheets (12)")
    label.add_argument("--every", type=float, metavar="SECONDS", help="a row for each so long piece of a track")
    _finish(label, _label)


def _add_group(steps: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    group = steps.add_parser("group", help="tracks → examples of 64 to 80 samples, to look at and to sort by hand")
    group.add_argument("work", type=Path, help="working folder of `extract`")
    group.add_argument("--sort", action="store_true", help="put labelled examples into class folders")
    _add_grouping(group)
    _finish(group, _group)


def _add_oversample(steps: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    oversample = steps.add_parser("oversample", help="short examples are played back and forth to full length")
    oversample.add_argument("work", type=Path, help="working folder of `extract`")
    oversample.add_argument("--length", type=int, default=64, help="samples of a full example (64)")
    _finish(oversample, _oversample)


def _add_clips(steps: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    clips = steps.add_parser("clips", help="labelled examples → a data set to train on")
    clips.add_argument("work", type=Path, help="working folder of `extract`")
    clips.add_argument("--output", type=Path, help="folder of the data set (WORK/dataset)")
    clips.add_argument("--from", dest="origin", choices=("tracks", "examples"),
                       help="cut them by the table, or take what `group` wrote (default: where it did)")  # fmt: skip
    clips.add_argument("--whole", action="store_true", help="one clip an example, as long as it is")
    clips.add_argument("--classes", type=_names, default=(), metavar="A,B,…", help="the classes in their order")
    clips.add_argument("--exclude", type=_names, default=(), metavar="A,B,…", help="labels to leave out")
    clips.add_argument("--format", choices=("h264", "ffv1", "jpeg"), default="h264", help="of the clips (h264)")
    clips.add_argument("--description", default="", help="origin and licence of the videos, for the model's card")
    clips.add_argument("--overwrite", action="store_true", help="write clips again that are there")
    _add_grouping(clips)
    _finish(clips, _clips)


def _add_grouping(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--length", type=int, default=64, help="samples of a full example (64)")
    parser.add_argument("--longest", type=int, default=80, help="samples of the longest example (80)")
    parser.add_argument("--shortest", type=int, default=8, help="samples below which a piece is left out (8)")
    parser.add_argument("--rate", type=float, default=25.0, help="samples a second of media time (25)")
    parser.add_argument("--native", action="store_true", help="take every frame instead")
    parser.add_argument("--gap", type=float, default=1.0, help="seconds of loss that split an example (1)")


def _finish(parser: argparse.ArgumentParser, run: Any) -> None:
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=run)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _extract(arguments: argparse.Namespace) -> int:
    from models.data.clip_file import ClipFormat  # noqa: PLC0415
    from models.data.tracks.extract import ExtractConfig, extract, find_videos  # noqa: PLC0415

    config = ExtractConfig(arguments.margin, arguments.size, ClipFormat(arguments.format), arguments.overwrite)
    videos = find_videos(arguments.videos, arguments.work)
    done: list[Extracted] = []
    try:
        with _Bar(arguments.quiet, "frame") as bar:
            done.extend(extract(videos, arguments.work, people_source(arguments, videos), config, bar.report))
    finally:
        if done:
            _show_extracted(done, len(videos), arguments.work)
    return EXIT_FAILED if any(item.failed for item in done) else 0


def people_source(arguments: argparse.Namespace, videos: Sequence[Path]) -> PeopleSource:
    from models.data.tracks.people import given_people, pipeline_people  # noqa: PLC0415

    if arguments.tracks is not None:
        return given_people(arguments.tracks, videos, arguments.fill)
    from pipeline.appearance import AppearanceConfig, AppearanceEncoder  # noqa: PLC0415
    from pipeline.tracker import TrackerConfig  # noqa: PLC0415
    from service.configuration import EngineConfig  # noqa: PLC0415
    from service.engine import load_detector  # noqa: PLC0415
    from service.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    engine = EngineConfig.from_settings(settings)
    detector = load_detector(engine)
    encoder = AppearanceEncoder.load(engine.appearance, AppearanceConfig(engine.cache_dir, engine.threads))
    # not the runtime: a video that was begun on a GPU may be gone on with on a CPU
    words = f"{detector.description.split()[0]} at {engine.detector_image_size}, from {settings.track_confidence}"
    return pipeline_people(detector, encoder, words, TrackerConfig.starting_at(settings.track_confidence))


def _show_extracted(done: Sequence[Extracted], wanted: int, work: Path) -> None:
    rows: list[tuple[object, ...]] = [("video", "frames", "people", "crops", "")]
    noted = [item for item in done if item.note not in ("", "already there")]
    rows += [(item.video, item.frames, item.people, item.crops, item.note) for item in (noted or done)[:_SHOWN]]
    if len(noted or done) > _SHOWN:
        rows.append((f"… and {len(noted or done) - _SHOWN} more", "", "", "", ""))
    rows.append(("all", *(sum(getattr(item, name) for item in done) for name in ("frames", "people", "crops")), ""))
    _show_table(rows)
    already = sum(item.note.startswith("already there") for item in done)
    failed = sum(item.failed for item in done)
    print(f"{len(done) - failed} of {wanted} videos in {work / 'tracks'} ({already} were there), {failed} failed")


def _label(arguments: argparse.Namespace) -> int:
    from models.data.tracks.contact_sheet import SHEETS_FOLDER, write_sheets  # noqa: PLC0415
    from models.data.tracks.labelled_examples import read_videos  # noqa: PLC0415
    from models.data.tracks.labels_csv import (  # noqa: PLC0415
        LABELS_FILE,
        add_missing,
        empty_rows,
        merge_actions,
        read_actions,
        write_labels,
    )

    table = arguments.work / LABELS_FILE
    imported = [row for path in arguments.imports for row in read_actions(path)]
    with _Bar(arguments.quiet, "sheet") as bar:
        videos = read_videos(arguments.work, bar.report)
        merged = merge_actions(_table(arguments.work) or (), imported, videos)
        proposed = empty_rows(videos, arguments.every)
        rows = add_missing(merged.rows, proposed)
        write_labels(table, rows)
        if arguments.pictures:
            write_sheets(videos, proposed, arguments.work / SHEETS_FOLDER, arguments.pictures, bar.report)
    _show_list("conflicts, the table's label stays", merged.conflicts)
    _show_list("not taken over", merged.left_out)
    counts = Counter(row.label or "(no label yet)" for row in rows)
    _show_table([("label", "rows"), *sorted(counts.items()), ("all", len(rows))])
    print(f"{len(imported)} rows imported, {merged.taken} taken → {table}")
    return 0


def _group(arguments: argparse.Namespace) -> int:
    from models.data.tracks.example_folders import EXAMPLES_FOLDER, write_examples  # noqa: PLC0415
    from models.data.tracks.example_manifest import GroupFacts  # noqa: PLC0415
    from models.data.tracks.group import plan_examples  # noqa: PLC0415
    from models.data.tracks.labelled_examples import format_of, input_of, read_videos  # noqa: PLC0415
    from models.data.tracks.labels_csv import rows_by_clip  # noqa: PLC0415

    grouping, rows = _group_config(arguments), _table(arguments.work)
    with _Bar(arguments.quiet, "example") as bar:
        videos = read_videos(arguments.work, bar.report)
        by_clip = None if rows is None else rows_by_clip(rows)
        plans = [
            (video, plan_examples(video, None if by_clip is None else by_clip[video.name], grouping))
            for video in videos
        ]
        facts = GroupFacts(
            input=input_of(videos, 64, grouping.rate_hz), grouping=str(grouping), format=format_of(videos)
        )
        pairs = [(video, example) for video, plan in plans for example in plan.examples]
        done = write_examples(arguments.work / EXAMPLES_FOLDER, pairs, facts, arguments.sort, bar.report)
    full = sum(row.filled >= grouping.full for row in done.rows)
    _show_table([
        ("examples", "full", "shorter", "written", "were there", "removed", "too short"),
        (len(done.rows), full, len(done.rows) - full, done.written, len(done.rows) - done.written, done.removed,
         sum(plan.too_short for _, plan in plans)),
    ])  # fmt: skip
    print(f"→ {arguments.work / EXAMPLES_FOLDER}: sort them into class folders there, or label them in the table")
    return 0


def _oversample(arguments: argparse.Namespace) -> int:
    from models.data.tracks.example_folders import EXAMPLES_FOLDER, oversample  # noqa: PLC0415

    with _Bar(arguments.quiet, "example") as bar:
        extended, count = oversample(arguments.work / EXAMPLES_FOLDER, arguments.length, bar.report)
    _show_table([("examples", "extended", "long enough"), (count, extended, count - extended)])
    return 0


def _clips(arguments: argparse.Namespace) -> int:
    from models.data.clip_file import ClipFormat  # noqa: PLC0415
    from models.data.tracks.clips import DATASET_FOLDER, ClipsConfig, make_clips  # noqa: PLC0415

    with _Bar(arguments.quiet, "clip") as bar:
        found, form = _collect(arguments, bar)
        form_of_clips = ClipFormat(arguments.format)
        config = ClipsConfig(
            form, arguments.whole, form_of_clips, arguments.classes, arguments.description, arguments.overwrite
        )
        _show_left_out(found)
        data = make_clips(found.examples, arguments.output or arguments.work / DATASET_FOLDER, config, bar.report)
    _show_splits(data)
    return 0


def _collect(arguments: argparse.Namespace, bar: _Bar) -> tuple[Collected, ModelInput]:
    """The labelled examples, and the form of clips made of them."""
    from models.data.tracks.example_folders import EXAMPLES_FOLDER, from_folders  # noqa: PLC0415
    from models.data.tracks.example_manifest import read_group_facts  # noqa: PLC0415
    from models.data.tracks.labelled_examples import from_tracks, input_of, read_videos  # noqa: PLC0415

    rows, root = _table(arguments.work), arguments.work / EXAMPLES_FOLDER
    origin = arguments.origin or ("examples" if root.is_dir() else "tracks")
    print(f"clips are made from {arguments.work / origin}")
    if origin == "examples":
        form = read_group_facts(root).input.model_copy(update={"frames": arguments.length})
        return from_folders(root, rows or (), arguments.exclude), form
    grouping = _group_config(arguments, whole=arguments.whole)
    videos = read_videos(arguments.work, bar.report)
    form = input_of(videos, grouping.full, grouping.rate_hz)
    return from_tracks(videos, rows, arguments.exclude, grouping), form


def _table(work: Path) -> tuple[LabelRow, ...] | None:
    """The table of labels; None where there is none."""
    from models.data.tracks.labels_csv import LABELS_FILE, read_labels  # noqa: PLC0415

    path = work / LABELS_FILE
    return read_labels(path) if path.exists() else None


def _group_config(arguments: argparse.Namespace, *, whole: bool = False) -> GroupConfig:
    from models.data.tracks.group import GroupConfig  # noqa: PLC0415

    rate_hz = None if arguments.native else arguments.rate
    return GroupConfig(arguments.length, arguments.longest, arguments.shortest, rate_hz, arguments.gap, whole)


def _show_left_out(found: Collected) -> None:
    _show_list("conflicts, the folder's class is taken", found.conflicts)
    for reason, count in sorted(found.left_out.items()):
        print(f"left out, {reason}: {count}")


def _show_splits(data: Any) -> None:
    """Clips of each class and split."""
    counts = Counter((record.label, record.split.value or "no split") for record in data.records)
    splits = sorted({split for _, split in counts})
    rows = [("class", "index", *splits, "all")]
    for index, label in enumerate(data.labels):
        numbers = [counts[label, split] for split in splits]
        rows.append((label, index, *numbers, sum(numbers)))
    _show_table(rows)
    print(f"{len(data.records)} clips → {data.folder}")
    if "no split" in splits:
        print(f"no split yet: `actoscope dataset split {data.folder}` makes one", file=sys.stderr)


def _show_list(title: str, lines: Sequence[str]) -> None:
    if lines:
        print(f"{title}: {len(lines)}", file=sys.stderr)
    for line in lines[:_SHOWN]:
        print(f"  {line}", file=sys.stderr)
    if len(lines) > _SHOWN:
        print(f"  … and {len(lines) - _SHOWN} more", file=sys.stderr)


def _show_table(rows: Sequence[Sequence[object]]) -> None:
    """Columns of equal width; numbers to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    columns = list(zip(*cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [all(cell.isdecimal() for cell in column[1:] if cell) and len(column) > 1 for column in columns]
    for row in cells:
        aligned = zip(row, widths, numeric, strict=True)
        print("  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in aligned).rstrip())


class _Bar:
    """One progress bar for each thing that ``report`` tells of, one after the other."""

    def __init__(self, quiet: bool, unit: str) -> None:
        self._quiet = quiet
        self._unit = unit
        self._bar: Any = None
        self._item = ""

    def report(self, item: str, done: int, total: int | None) -> None:
        from tqdm import tqdm  # noqa: PLC0415

        if self._bar is None or item != self._item:
            self.__exit__(None, None, None)
            self._bar = tqdm(
                desc=item, total=total, unit=self._unit, disable=self._quiet, leave=False, dynamic_ncols=True
            )
            self._item = item
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
