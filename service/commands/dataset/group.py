"""``actoscope dataset group``: tracks → folders of pictures, one an example, for sorting by hand."""

from __future__ import annotations

import argparse

from models.data.tracks.example_folders import EXAMPLES_FOLDER, write_examples
from models.data.tracks.example_manifest import GroupFacts
from models.data.tracks.group import plan_examples
from models.data.tracks.labelled_examples import format_of, input_of, read_videos, unread_videos
from models.data.tracks.labels_csv import rows_by_clip
from service.commands.dataset.working_folder import add_grouping, add_work, grouping_of, labels_table
from service.commands.printing import failures_told, show_failures, show_table
from service.commands.progress import ProgressBar


def add_options(parser: argparse.ArgumentParser) -> None:
    add_work(parser)
    parser.add_argument("--sort", action="store_true", help="put labelled examples into class folders")
    add_grouping(parser)
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    grouping, rows = grouping_of(arguments), labels_table(arguments.work)
    failed: list[str] = []
    with failures_told("cannot be read", failed), ProgressBar("example", arguments.quiet, stays=False) as bar:
        videos = read_videos(arguments.work, bar.step, failed)
        by_clip = None if rows is None else rows_by_clip(rows)
        plans = [
            (video, plan_examples(video, None if by_clip is None else by_clip[video.name], grouping))
            for video in videos
        ]
        facts = GroupFacts(
            input=input_of(videos, 64, grouping.rate_hz), grouping=str(grouping), format=format_of(videos)
        )
        pairs = [(video, example) for video, plan in plans for example in plan.examples]
        unread = unread_videos(arguments.work, videos)
        done = write_examples(arguments.work / EXAMPLES_FOLDER, pairs, facts, arguments.sort, bar.step, failed, unread)
    full = sum(row.filled >= grouping.full for row in done.rows)
    show_table([
        ("examples", "full", "shorter", "written", "were there", "removed", "too short"),
        (len(done.rows), full, len(done.rows) - full, done.written, len(done.rows) - done.written, done.removed,
         sum(plan.too_short for _, plan in plans)),
    ])  # fmt: skip
    print(f"→ {arguments.work / EXAMPLES_FOLDER}: sort them into class folders there, or label them in the table")
    return show_failures("cannot be read", failed)
