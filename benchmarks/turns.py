"""What it saves to classify people by what is to be gained, and whether the labels are the same.

    python benchmarks/turns.py [VIDEO …] [--model surveillance-light] [--hop-s 0.64] [--settled-hop-s 8]

Runs the straight line over each video (default: the bundled sample) as ``annotate`` does, with the same detections and
tracks: once every person has a turn each ``hop`` seconds, once settled people wait longer (``service.budget.turns``).
Prints clips classified, and the share of boxes with a label in both whose label is the same. The same of two runs that
differ by the place of their clips alone is what labels differ by anyway.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
if str(REPOSITORY) not in sys.path[:1]:  # before this folder, whose pipeline.py would hide the package of that name
    sys.path.insert(0, str(REPOSITORY))

from models.runtimes.host import describe_host  # noqa: E402
from pipeline.entities import ActionEvent, Frame, FrameResult  # noqa: E402
from pipeline.files import write_atomically  # noqa: E402
from pipeline.sources.url import SourceUrl  # noqa: E402
from pipeline.sources.video_source import SourceOptions, VideoSource  # noqa: E402
from service.budget.plan import Plan, Tier  # noqa: E402
from service.configuration import EngineConfig, StagesConfig  # noqa: E402
from service.engine import InferenceEngine  # noqa: E402
from service.offline.local_inference import LocalInference  # noqa: E402
from service.settings import load_settings  # noqa: E402
from service.stages import build_stages  # noqa: E402
from service.stream import run_stream  # noqa: E402

RESULTS = REPOSITORY / "benchmarks" / "results" / "turns.json"


@dataclass
class Seen:
    """What one run showed: (frame, track) → label; the clips that it took."""

    labels: dict[tuple[int, int], str] = field(default_factory=dict)
    clips: int = 0
    left_out: int = 0

    def publish(self, result: FrameResult) -> None:
        for track_id, label in result.labels.items():
            self.labels[result.frame.index, track_id] = label.action

    def publish_events(self, events: Sequence[ActionEvent], frame: Frame) -> None: ...


def run(video: Path, engine: InferenceEngine, stages: StagesConfig, plan: Plan) -> Seen:
    """One pass over the video."""
    seen, line = Seen(), build_stages(stages)
    before = engine.measures.value("clips_classified_total")
    source = VideoSource(SourceUrl.from_path(video), SourceOptions(), lambda *_: None)
    try:
        run_stream(source, LocalInference(engine, engine.config.model, plan), line, seen)
    finally:
        source.stop()
    seen.clips = int(engine.measures.value("clips_classified_total") - before)
    seen.left_out = line.turns.left_out
    return seen


def agreement(one: Seen, other: Seen) -> float:
    """The share of boxes with a label in both runs whose label is the same."""
    both = one.labels.keys() & other.labels.keys()
    return sum(one.labels[key] == other.labels[key] for key in both) / max(1, len(both))


def measure(
    video: Path, engine: InferenceEngine, stages: StagesConfig, hop_s: float, settled_hop_s: float
) -> dict[str, object]:
    plan = Plan(Tier.LIGHT, hop_s, hop_s)
    every = run(video, engine, stages, plan)
    turns = run(video, engine, stages, replace(plan, settled_hop_s=settled_hop_s))
    late = replace(stages, clip=replace(stages.clip, provisional_from=stages.clip.provisional_from + 2))
    shifted = run(video, engine, late, plan)
    return {
        "video": video.name,
        "clips": every.clips,
        "clips_by_turns": turns.clips,
        "saved": round(1 - turns.clips / max(1, every.clips), 3),
        "labelled_boxes": len(every.labels),
        "labelled_boxes_by_turns": len(turns.labels),
        "same_label": round(agreement(every, turns), 4),
        "same_label_of_shifted_clips": round(agreement(every, shifted), 4),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=Path, default=[REPOSITORY / "samples" / "street.mp4"])
    parser.add_argument("--model", default="surveillance-light")
    parser.add_argument("--hop-s", type=float, default=0.64)
    parser.add_argument("--settled-hop-s", type=float, default=8.0)
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    settings = load_settings()
    config = EngineConfig.from_settings(settings, model=options.model)
    engine = InferenceEngine(config)
    hop = max(1, round(options.hop_s * engine.classifier(config.model).card.input.rate_hz))
    stages = StagesConfig.from_settings(settings, config.model_dir, hop=hop, first_clip=3)
    rows = [measure(video, engine, stages, options.hop_s, options.settled_hop_s) for video in options.videos]
    print("| video | clips | by turns | saved | same label | … of shifted clips |\n|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['video']} | {row['clips']} | {row['clips_by_turns']} | {row['saved']:.0%} "
            f"| {row['same_label']:.1%} | {row['same_label_of_shifted_clips']:.1%} |"
        )
    options.json.parent.mkdir(exist_ok=True)
    write_atomically(options.json, json.dumps({"host": describe_host(), "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
