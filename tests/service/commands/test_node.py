"""What `actoscope node` is told."""

from __future__ import annotations

import argparse

import pytest

from service.commands.node import add_options


@pytest.mark.parametrize(
    ("given", "classify"), [([], None), (["--classify"], "always"), (["--classify", "never"], "never")]
)
def test_classifying_for_others_is_asked_for_by_a_word(given: list[str], classify: str | None):
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert parser.parse_args(given).cluster_classify == classify
