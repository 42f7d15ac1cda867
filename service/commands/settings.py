"""``actoscope settings``: every setting, its default and its meaning."""

from __future__ import annotations

import argparse

from service.settings import settings_table


def add_options(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(_arguments: argparse.Namespace) -> int:
    print(settings_table())
    return 0
