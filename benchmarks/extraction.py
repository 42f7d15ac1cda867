"""How fast `actoscope dataset extract` is beside `actoscope annotate`, on the same video in the same run.

    python benchmarks/extraction.py [--video FILE] [--model NAME] [--rounds 3] [--json FILE]

Both use the same detector, tracker and crops. ``annotate`` also classifies, draws and encodes a video; ``extract``
writes every crop. Each way's networks are loaded and warm before its clock starts. The ways take turns; the middle
round of each counts, since other work on the machine disturbs single ones. The floor is a ratio of 0.5.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from models.data.clip_file import ClipFormat  # noqa: E402
from models.data.tracks.extract import ExtractConfig, extract  # noqa: E402
from models.data.tracks.people import PeopleSource, pipeline_people  # noqa: E402
from pipeline.sources.url import SourceUrl  # noqa: E402
from pipeline.sources.video_source import SourceOptions, VideoSource  # noqa: E402
from service.configuration import EngineConfig, StagesConfig  # noqa: E402
from service.engine import InferenceEngine, load_detector, load_encoder  # noqa: E402
from service.offline.annotate import AnnotateJob, FileSink  # noqa: E402
from service.offline.local_inference import LocalInference  # noqa: E402
from service.settings import load_settings  # noqa: E402
from service.stages import build_stages  # noqa: E402
from service.stream import run_stream  # noqa: E402
from tests.support.service import SAMPLE  # noqa: E402

FLOOR = 0.5


def main() -> int:
    options = parse()
    engine = engine_config(options.model)
    annotate = annotator(options.video, engine)
    ways: dict[str, Callable[[Path], int]] = {"annotate": annotate}
    people = people_of(engine)
    for form in (ClipFormat.JPEG, ClipFormat.FFV1):
        ways[f"extract {form.value}"] = extractor(options.video, people, form)
    report = measure(ways, options.rounds)
    report |= {"video": options.video.name, "model": engine.model, "floor": FLOOR}
    show(report)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written to {options.json}")
    return 0 if report["ways"]["extract jpeg"]["ratio"] >= FLOOR else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, default=SAMPLE)
    parser.add_argument("--model", help="action network of annotate (default: the service's)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=REPOSITORY / "benchmarks" / "results" / "extraction.json")
    return parser.parse_args()


def engine_config(model: str | None) -> EngineConfig:
    settings = load_settings()
    return replace(EngineConfig.from_settings(settings, model=model), cache_dir=REPOSITORY / ".cache" / "tests")


def annotator(video: Path, config: EngineConfig) -> Callable[[Path], int]:
    """`annotate` without the loading of its networks."""
    engine = InferenceEngine(config)

    def run(folder: Path) -> int:
        source = VideoSource(SourceUrl.from_path(video), SourceOptions(), lambda *_: None)
        stages = StagesConfig.from_settings(load_settings(), config.model_dir)
        job = AnnotateJob(SourceUrl.from_path(video), folder / "out.mp4", folder / "out.jsonl", config, stages)
        sink = FileSink(job, stages.clip.length)
        run_stream(source, LocalInference(engine, config.model), build_stages(stages), sink)
        sink.close()
        return sink.frames

    return run


def people_of(config: EngineConfig) -> PeopleSource:
    return pipeline_people(load_detector(config), load_encoder(config), "benchmark")


def extractor(video: Path, people: PeopleSource, form: ClipFormat) -> Callable[[Path], int]:
    def run(folder: Path) -> int:
        (done,) = extract([video], folder / "work", people, ExtractConfig(format=form), lambda *_: None)
        return done.frames

    return run


def measure(ways: dict[str, Callable[[Path], int]], rounds: int) -> dict[str, Any]:
    """→ frames a second of every way in every round, the middle one, and its ratio to annotate's."""
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                begin = time.monotonic()
                frames = run(Path(folder))
                speeds[name].append(frames / (time.monotonic() - begin))
    middle = {name: statistics.median(values) for name, values in speeds.items()}
    return {
        "ways": {
            name: {
                "fps": round(middle[name], 2),
                "ratio": round(middle[name] / middle["annotate"], 2),
                "rounds_fps": [round(value, 2) for value in speeds[name]],
            }
            for name in ways
        }
    }


def show(report: dict[str, Any]) -> None:
    print(f"{'':14} {'frames/s':>9} {'of annotate':>12}   rounds")
    for name, row in report["ways"].items():
        rounds = ", ".join(map(str, row["rounds_fps"]))
        print(f"{name:14} {row['fps']:9.2f} {row['ratio']:12.2f}   {rounds}")


if __name__ == "__main__":
    sys.exit(main())
