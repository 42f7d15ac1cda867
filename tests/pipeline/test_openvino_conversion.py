"""Networks of torch converted once, and the errors that people see."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import openvino
from pipeline.errors import DetectorError
from pipeline.openvino import converted, run_statement


def test_converted_other_key_is_another_folder_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise DetectorError("broken")

    with pytest.raises(DetectorError, match="broken"):
        converted(tmp_path, "net", {"v": "1"}, fail)
    assert list((tmp_path / "openvino").iterdir()) == []
    one, two = (converted(tmp_path, "net", {"v": v}, lambda folder: None) for v in "12")
    assert one != two


def test_converted_unwritable_cache_is_a_detector_error(tmp_path: Path) -> None:
    (tmp_path / "openvino").write_text("a file where a folder should be")
    with pytest.raises(DetectorError, match="cannot write"):
        converted(tmp_path, "net", {}, lambda folder: None)


def test_run_statement_failure_shows_the_end_of_its_output() -> None:
    program = "import sys; print('told before'); sys.exit('reason-of-failure')"
    with pytest.raises(DetectorError, match=r"^converting a network failed:\ntold before\nreason-of-failure$"):
        run_statement(program)


def test_run_statement_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "CONVERSION_TIMEOUT_S", 0.2)
    with pytest.raises(DetectorError, match="converting a network took more than 0 s"):
        run_statement("import time; time.sleep(60)")
