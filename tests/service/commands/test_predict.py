"""``actoscope predict``: in words, and as a GIF."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from models.errors import CardError
from tests.models.data.trees import write_video
from tests.service.commands.command_line import typed
from tests.service.tiny_model import LABELS, tiny_weights  # noqa: F401 - a fixture


def test_predict_tells_the_likeliest_classes_first_and_writes_a_gif(
    tiny_weights: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ACTOSCOPE_DATA_DIR", str(tiny_weights.parent / "data"))  # converted once for all tests
    video = write_video(tmp_path / "video.mp4", 30)
    target = tmp_path / "made" / "video.gif"
    assert typed("predict", tiny_weights, video, "--runtime", "tensorflow", "--top", 2, "--gif", target) == 0
    *rows, last = capsys.readouterr().out.splitlines()
    told = [re.fullmatch(r" *([\d.]+)%  (\w+)", row) for row in rows]
    assert len(told) == 2 and all(match is not None and match[2] in LABELS for match in told)
    shares = [float(match[1]) for match in told if match is not None]
    assert shares == sorted(shares, reverse=True)
    assert last == str(target)
    with Image.open(target) as found:
        assert found.format == "GIF"


def test_predict_of_no_model_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="expected the name of a model"):
        typed("predict", tmp_path / "nothing" / "here", tmp_path / "video.mp4")
