"""What `actoscope annotate` is asked for reaches the source."""

from __future__ import annotations

from typing import Any

import pytest

from service.cli import build_parser
from service.commands.annotate import run


def asked(monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[str, float]:
    """→ transport and seconds between snapshots, as the work is given them."""
    jobs: list[Any] = []

    def annotate(job: Any, *_: object) -> None:
        jobs.append(job)
        raise KeyboardInterrupt

    monkeypatch.setattr("service.commands.annotate.annotate", annotate)
    with pytest.raises(KeyboardInterrupt):
        run(build_parser(["annotate"]).parse_args(["annotate", "rtsp://127.0.0.1:9/cam", *words]))
    return jobs[0].options.transport, jobs[0].options.snapshot_s


def test_transport_and_pace_of_snapshots_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch) == ("tcp", 1.0)
    assert asked(monkeypatch, "--transport", "udp", "--snapshot-seconds", "0.2") == ("udp", 0.2)


@pytest.mark.parametrize("wrong", [("--transport", "http"), *(("--snapshot-seconds", s) for s in ("0", "nan", "1e9"))])
def test_what_no_source_can_do_is_a_usage_error(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        build_parser(["annotate"]).parse_args(["annotate", "rtsp://127.0.0.1:9/cam", *wrong])
    assert left.value.code == 2
    assert f"argument {wrong[0]}" in capsys.readouterr().err
