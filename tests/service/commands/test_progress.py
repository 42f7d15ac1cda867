from __future__ import annotations

import pytest

from service.commands.progress import ProgressBar


def test_bar_is_there_from_the_beginning_and_stays(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("clip", False, "small") as bar:
        assert "small: 0clip" in capsys.readouterr().err
        bar(0, 4)
        bar(4, 4)
    out, err = capsys.readouterr()
    assert out == "" and "small: 100%" in err and "4/4" in err and err.endswith("\n")


def test_bar_follows_a_count_that_begins_anew(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("clip", False) as bar:
        bar.step("train", 9, 9)
        bar.step("val", 2, 3)
    assert "val:  67%" in capsys.readouterr().err.splitlines()[-1].rpartition("\r")[2]


def test_bars_of_steps_come_with_their_first_news_and_go(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("frame", False, stays=False) as bar:
        assert capsys.readouterr().err == ""
        bar.step("a.mp4", 0, 3)
        assert "a.mp4:   0%" in capsys.readouterr().err
        bar.step("b.mp4", 0, None)
        assert "b.mp4: 0frame" in capsys.readouterr().err
    err = capsys.readouterr().err
    assert "\n" not in err and err.rpartition("\r")[2].strip() == "", "it is wiped away"


def test_line_ends_a_step_and_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("it", False, stays=False) as bar:
        bar.step("epoch", 1, 2)
        bar.say("done: 1")
        assert capsys.readouterr().out == "done: 1\n"
        bar.step("epoch", 0, 2)
        assert "epoch:   0%" in capsys.readouterr().err


def test_quiet_bar_shows_nothing_but_the_lines_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("video", True) as bar:
        bar(1, 2, "street: was there")
        bar.step("more", 2, 2)
        bar.say("kept")
    assert capsys.readouterr() == ("kept\n", "")


def test_note_stands_above_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("video", False) as bar:
        bar(1, 2, "street: 250 frames")
    out, err = capsys.readouterr()
    assert out == "street: 250 frames\n" and "1/2" in err
