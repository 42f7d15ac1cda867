from __future__ import annotations

import pytest

from service.commands.printing import SHOWN, show_list, show_table


def test_table_has_columns_of_equal_width_and_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    show_table([("class", "clips", "s", "note"), ("walking", 12, "3.50", ""), ("run", 7, "12.25", "short")])
    assert capsys.readouterr().out.splitlines() == [
        "class    clips      s  note",
        "walking     12   3.50",
        "run          7  12.25  short",
    ]


def test_table_column_of_numbers_and_words_goes_to_the_left(capsys: pytest.CaptureFixture[str]) -> None:
    show_table([("fold", "left out"), (1, "2"), (2, "none")])
    assert capsys.readouterr().out.splitlines() == ["fold  left out", "   1  2", "   2  none"]


def test_table_without_heading_is_text_and_its_columns_have_the_least_width(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_table([("size", 5), ("a longer name", 12)], heading=False, least=(6,), gap=": ")
    assert capsys.readouterr().out.splitlines() == ["size         : 5", "a longer name: 12"]
    show_table([("x", 1)], heading=False, least=(4,), gap="")
    assert capsys.readouterr().out == "x   1\n"


def test_table_of_nothing_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show_table([], heading=False)
    assert capsys.readouterr().out == ""


def test_list_is_counted_and_cut_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    show_list("nothing", [])
    show_list("left out", [f"item {number}" for number in range(SHOWN + 2)])
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and lines[0] == f"left out: {SHOWN + 2}"
    assert lines[1] == "  item 0" and lines[-2:] == [f"  item {SHOWN - 1}", "  … and 2 more"]
