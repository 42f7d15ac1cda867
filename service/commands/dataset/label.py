"""``actoscope dataset label``: what a person needs to say what every track does, and labels from elsewhere."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from models.data.tracks.contact_sheet import SHEETS_FOLDER, write_sheets
from models.data.tracks.context_sheet import CONTEXT_FOLDER, ContextConfig, write_context_sheets
from models.data.tracks.labelled_examples import read_videos
from models.data.tracks.labels_csv import (
    LABELS_FILE,
    LabelRow,
    add_missing,
    empty_rows,
    merge_actions,
    read_actions,
    write_labels,
)
from models.data.tracks.track_folders import VideoTracks
from models.errors import DatasetError
from service.commands.dataset.working_folder import add_work, labels_table
from service.commands.printing import failures_told, show_failures, show_list, show_table
from service.commands.progress import ProgressBar


def add_options(parser: argparse.ArgumentParser) -> None:
    add_work(parser)
    parser.add_argument("--import", dest="imports", type=Path, nargs="+", default=(), metavar="FILE",
                        help="tables of actions (.csv) or CVAT files (.xml)")  # fmt: skip
    parser.add_argument("--pictures", type=int, help="on a contact sheet; 0: no sheets (12; with --context 8)")
    parser.add_argument("--context", action="store_true", help="sheets with the scene around, from the source video")
    parser.add_argument("--animate", action="store_true", help="with --context: a GIF beside each sheet")
    parser.add_argument("--of", metavar="LABEL", help="sheets of the table's rows with this label only, as Unclear")
    parser.add_argument("--every", type=float, metavar="SECONDS", help="a row for each so long piece of a track")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    table = arguments.work / LABELS_FILE
    imported, failed = _read_all(arguments.imports)
    with failures_told("cannot be read", failed), ProgressBar("sheet", arguments.quiet, stays=False) as bar:
        videos = read_videos(arguments.work, bar.step, failed)
        merged = merge_actions(labels_table(arguments.work) or (), imported, videos)
        proposed = empty_rows(videos, arguments.every)
        rows = add_missing(merged.rows, proposed)
        write_labels(table, rows)
        shown = proposed if arguments.of is None else [row for row in rows if row.label == arguments.of]
        _write_sheets(arguments, videos, shown, bar.step, failed)
    show_list("conflicts, the table's label stays", merged.conflicts)
    show_list("not taken over", merged.left_out)
    counts = Counter(row.label or "(no label yet)" for row in rows)
    show_table([("label", "rows"), *sorted(counts.items()), ("all", len(rows))])
    print(f"{len(imported)} rows imported, {merged.taken} taken → {table}")
    return show_failures("cannot be read", failed)


def _write_sheets(
    arguments: argparse.Namespace,
    videos: Sequence[VideoTracks],
    rows: Sequence[LabelRow],
    report: Callable[[str, int, int | None], None],
    failed: list[str],
) -> None:
    pictures = arguments.pictures
    if pictures == 0:
        return
    if arguments.context:
        config = ContextConfig(pictures or ContextConfig.pictures, arguments.animate)
        write_context_sheets(videos, rows, arguments.work / CONTEXT_FOLDER, config, report, failed)
    else:
        write_sheets(videos, rows, arguments.work / SHEETS_FOLDER, pictures or 12, report, failed)


def _read_all(paths: Sequence[Path]) -> tuple[list[LabelRow], list[str]]:
    """→ rows of all files that can be read, and what is wrong with the others. Raises DatasetError where none can."""
    rows: list[LabelRow] = []
    failed: list[str] = []
    for path in paths:
        try:
            rows.extend(read_actions(path))
        except DatasetError as error:
            failed.append(str(error))
    if failed and len(failed) == len(paths):
        raise DatasetError("\n".join(failed))
    return rows, failed
