"""``actoscope dataset export-cvat``: people and labels of a recording → CVAT XML, to be corrected there."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.data.exports.cvat import write_cvat
from service.recording.people import read_people


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recording", type=Path, help="a finished recording (.mp4), its .jsonl.gz beside it")
    parser.add_argument("--output", type=Path, help='"CVAT for video 1.1" (the recording\'s name with .xml)')


def run(arguments: argparse.Namespace) -> int:
    video: Path = arguments.recording
    target: Path = arguments.output or video.with_suffix(".xml")
    people = read_people(video)
    write_cvat(target, people.tracks, people.labels, people.size_hw, people.frames, video.name)
    print(f"{len(people.tracks)} people in {people.frames} frames → {target}")
    return 0
