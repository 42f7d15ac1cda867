"""What ``make test-cluster`` leaves out is there to be left out."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.single_machine import LEFT_OUT, reason_of

HERE = Path(__file__).parent


def test_every_name_that_is_left_out_is_a_file_or_a_test_and_has_a_reason():
    files = {path.name: path.read_text("utf-8") for path in HERE.glob("test_*.py")}
    names = {*files, *re.findall(r"^def (test_\w+)", "\n".join(files.values()), re.MULTILINE)}
    assert [name for name in LEFT_OUT if name not in names] == []
    assert all(len(reason) > 20 for reason in LEFT_OUT.values())
    assert reason_of("test_cluster.py", "test_any") and not reason_of("test_main_job.py", "test_any")
