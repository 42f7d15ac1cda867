"""The video that comes with the project, for commands that are given none."""

from pathlib import Path

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "street.mp4"
