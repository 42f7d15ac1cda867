"""Commands as a person types them: in this process, where mistakes raise, or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from service.cli import build_parser

REPOSITORY = Path(__file__).resolve().parents[3]


def typed(*words: object) -> int:
    """``actoscope`` with these words, in this process. → exit status; raises what ``main`` would tell of."""
    texts = [str(word) for word in words]
    arguments = build_parser(texts).parse_args(texts)
    return int(arguments.run(arguments))


def run(folder: Path, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """``actoscope`` with these settings and no others. → exit status, stdout, stderr."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ACTOSCOPE_")},
        "ACTOSCOPE_DATA_DIR": str(folder / "data"),
        **{f"ACTOSCOPE_{name}": value for name, value in settings.items()},
    }
    command = [sys.executable, "-m", "service.cli", *arguments]
    done = subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout, done.stderr


def check_one_line(result: tuple[int, str, str], *parts: str) -> None:
    """Failed with status 1, and said so in one line that holds these words."""
    status, out, err = result
    assert (status, out) == (1, "")
    assert err.startswith("actoscope: ") and err.count("\n") == 1, err
    for part in parts:
        assert part in err
