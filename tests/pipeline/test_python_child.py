"""Python in a process of its own: what it is given, what comes back, and that it always ends."""

from __future__ import annotations

import os
import time

import pytest

from pipeline.errors import ChildError
from pipeline.python_child import run_python

LINES = "for n in range(3): print(n, flush=True)"


def test_run_python_gives_its_output_and_takes_our_packages_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    program = (
        "import os, sys, pipeline; "
        "print(os.environ['ADDED'], '/somewhere/else' in sys.path, repr(sys.stdin.read()), sys.argv[1:])"
    )
    output = run_python(["-c", program, "one", "two"], timeout_s=60, environment={"ADDED": "here"})
    assert output == "here True '' ['one', 'two']\n"


def test_run_python_that_fails_raises_its_last_words() -> None:
    program = "import sys; print('half'); print('first', file=sys.stderr); raise ValueError('no such thing')"
    with pytest.raises(ChildError, match=r"^ValueError: no such thing$") as caught:
        run_python(["-c", program], timeout_s=60)
    assert caught.value.output == "half\n"
    assert "first" in caught.value.complaints
    assert caught.value.tail(1) == "ValueError: no such thing"
    assert not caught.value.timed_out


def test_run_python_that_says_nothing_is_known_by_its_status() -> None:
    with pytest.raises(ChildError, match=r"^exit status 3$"):
        run_python(["-c", "import os; os._exit(3)"], timeout_s=60)


def test_run_python_that_takes_too_long_is_ended_and_what_it_said_is_kept() -> None:
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    start = time.monotonic()
    with pytest.raises(ChildError) as caught:
        run_python(["-c", program], timeout_s=2)
    assert time.monotonic() - start < 30
    assert caught.value.timed_out
    with pytest.raises(ProcessLookupError):
        os.kill(int(caught.value.output), 0)


def test_run_python_tells_lines_while_the_child_runs() -> None:
    heard: list[tuple[str, float]] = []
    program = "import time\n" + LINES + "\ntime.sleep(1.5); print('the end', end='')"
    run_python(["-c", program], timeout_s=60, on_line=lambda line: heard.append((line, time.monotonic())))
    assert [line for line, _ in heard] == ["0", "1", "2", "the end"]
    assert heard[-1][1] - heard[2][1] > 0.5


def test_run_python_whose_listener_raises_leaves_no_child() -> None:
    children: list[int] = []

    def hear(line: str) -> None:
        children.append(int(line))
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        run_python(
            ["-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"], timeout_s=60, on_line=hear
        )
    with pytest.raises(ProcessLookupError):
        os.kill(children[0], 0)


def test_run_python_does_not_wait_for_a_grandchild_that_keeps_the_output() -> None:
    program = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'])"
    start = time.monotonic()
    run_python(["-c", program], timeout_s=60)
    assert time.monotonic() - start < 15
