from __future__ import annotations

import argparse

import pytest

from service.commands.options import names, positive


def test_positive_takes_whole_numbers_from_one_on() -> None:
    assert positive("12") == 12
    for text in ("0", "-3", "1.5", "many", ""):
        with pytest.raises(argparse.ArgumentTypeError, match=f"at least 1, got '{text}'"):
            positive(text)


def test_names_are_parted_by_commas_and_bare() -> None:
    assert names(" push up, squat ,,") == ("push up", "squat")
