"""``actoscope compare``: several models on the same clips, the first of which the others are held to."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from models.evaluation.clips_and_videos import ClipsJob, answers
from models.evaluation.compare import Candidate, Comparison, compare, write_comparison
from models.weights.cards import ModelCard, read_card
from service.commands.clip_options import add_clip_options, clips_job, loaded, tell_missing
from service.commands.options import model_folder
from service.commands.printing import say, show_table
from service.commands.progress import ProgressBar
from service.settings import load_settings


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", metavar="MODEL", help="two or more; the first is what others are held to")
    parser.add_argument("data", type=Path, help="folder of a data set")
    add_clip_options(parser)


def run(arguments: argparse.Namespace) -> int:
    settings = load_settings()
    cards = [read_card(model_folder(settings, name)) for name in arguments.models]  # all of them, before any work
    output = arguments.output or Path("evaluations") / "comparison"
    job = clips_job(arguments, output)
    candidates = [_candidate(card, job, arguments) for card in cards]
    comparison = compare(candidates, job.split.value, job.judging, job.dataset.folder.name)
    report = write_comparison(comparison, output)
    tell_missing(comparison.tables[0].without_clips, arguments.split)
    _show(comparison)
    say(report)
    return 0


def _candidate(card: ModelCard, job: ClipsJob, arguments: argparse.Namespace) -> Candidate:
    folder = card.folder
    classifier = loaded(folder, arguments)
    own = replace(job, output=job.output / folder.name)
    with ProgressBar("clip", arguments.quiet, folder.name) as bar:
        return Candidate(folder.name, answers(classifier, own, job.split, bar.step), card.temperature)


def _show(comparison: Comparison) -> None:
    for table in comparison.tables:
        say(f"\nmacro F1 over {', '.join(table.labels) if len(table.labels) < 8 else len(table.labels)}")
        rows = []
        for row in table.rows:
            found = row.macro_f1
            rows.append((row.model, f"{found.value:.3f}", f"[{found.low:.3f}, {found.high:.3f}]", f"ECE {row.ece:.3f}"))
        show_table(rows, heading=False, least=(32,))
