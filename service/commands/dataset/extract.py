"""``actoscope dataset extract``: videos → a working folder with the crops of every person."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from models.data.clip_file import ClipFormat
from models.data.tracks.extract import ExtractConfig, Extracted, extract, find_videos
from service.commands.dataset.people import people_source
from service.commands.printing import SHOWN, show_failures, show_table
from service.commands.progress import ProgressBar


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("videos", type=Path, nargs="+", metavar="VIDEO", help="a video file, or a folder of them")
    parser.add_argument("--work", type=Path, required=True, help="working folder; made, or gone on with")
    parser.add_argument("--tracks", type=Path, help="given tracks (MOTChallenge .txt, CVAT .xml): a file or a folder")
    parser.add_argument("--fill", type=int, default=25, metavar="FRAMES", help="longest hole filled in them (25)")
    parser.add_argument("--margin", type=float, default=0.2, help="around a person's box, of its longer side (0.2)")
    parser.add_argument("--size", type=int, default=224, help="side of a crop in pixels (224)")
    parser.add_argument("--format", choices=("jpeg", "h264", "ffv1"), default="jpeg", help="ffv1 is lossless (jpeg)")
    parser.add_argument("--overwrite", action="store_true", help="extract finished videos again")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> int:
    config = ExtractConfig(arguments.margin, arguments.size, ClipFormat(arguments.format), arguments.overwrite)
    found = find_videos(arguments.videos, arguments.work)
    videos = found.videos
    done: list[Extracted] = []
    try:
        with ProgressBar("frame", arguments.quiet, stays=False) as bar:
            people = people_source(arguments.tracks, arguments.fill, videos)
            done.extend(extract(videos, arguments.work, people, config, bar.step))
    finally:
        if done:
            _show(done, len(videos), arguments.work)
    failed = [f"{item.video}: {item.note}" for item in done if item.failed]
    return show_failures("not extracted", [*found.problems, *failed])


def _show(done: Sequence[Extracted], wanted: int, work: Path) -> None:
    rows: list[tuple[object, ...]] = [("video", "frames", "people", "crops", "")]
    noted = [item for item in done if item.note not in ("", "already there") and not item.failed]
    whole = [item for item in done if not item.failed]
    rows += [(item.video, item.frames, item.people, item.crops, item.note) for item in (noted or whole)[:SHOWN]]
    if len(noted or whole) > SHOWN:
        rows.append((f"… and {len(noted or whole) - SHOWN} more", "", "", "", ""))
    rows.append(("all", *(sum(getattr(item, name) for item in done) for name in ("frames", "people", "crops")), ""))
    show_table(rows)
    already = sum(item.note.startswith("already there") for item in done)
    failed = sum(item.failed for item in done)
    print(f"{len(done) - failed} of {wanted} videos in {work / 'tracks'} ({already} were there), {failed} failed")
