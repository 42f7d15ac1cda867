from pathlib import Path

import pytest

from tests.service.processes.scripted_child import Scripted


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    return Scripted(tmp_path, monkeypatch)
