"""What the process of a training says, and what it hears."""

from __future__ import annotations

import io
import json
import os
import threading

import pytest

from models.retraining import child
from models.retraining.child import ALONE, Voice
from tests.support.service import wait_for


def test_work_is_held_up_while_paused_and_ends_with_whoever_ordered_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    ears, mouth = os.pipe()
    output = io.StringIO()
    voice = Voice(output)
    listening = threading.Thread(target=voice.listen, args=(ears,))
    listening.start()
    os.write(mouth, b"nonsense\npau")
    os.write(mouth, b"se\n")
    wait_for(lambda: not voice.may_go.is_set(), 10, "the pause was not heard")
    working = threading.Thread(target=voice.progress, args=("learning", 1.0, None))
    working.start()
    working.join(0.1)
    assert working.is_alive() and output.getvalue() == ""
    os.write(mouth, b"go\n")
    working.join(10)
    assert json.loads(output.getvalue()) == {"progress": {"what": "learning", "share": 1.0, "left_s": None}}
    os.close(mouth)
    listening.join(10)
    os.close(ears)
    assert ended == [ALONE]


def test_progress_is_told_now_and_then_and_its_end_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "TOLD_EVERY_S", 1000.0)
    output = io.StringIO()
    voice = Voice(output)
    voice._told_s = -2000.0
    for share in (0.1, 0.2, 0.9, 1.0):
        voice.progress("learning", share, 1.0)
    assert [json.loads(line)["progress"]["share"] for line in output.getvalue().splitlines()] == [0.1, 1.0]
