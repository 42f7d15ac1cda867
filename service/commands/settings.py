"""``actoscope settings``: every setting, its default and its meaning."""

from __future__ import annotations

import argparse
from typing import Any

from service.settings import AUTO, PREFIX, Settings


def add_options(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(_arguments: argparse.Namespace) -> int:
    print(settings_table())
    return 0


def settings_table() -> str:
    """→ a Markdown table of every setting: variable, default, meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = f"`{_shown_default(name, field.get_default(call_default_factory=True))}`"
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def _shown_default(name: str, default: Any) -> str:
    if name == "weights_dir":
        return "weights"
    words = {"database_url": "sqlite", "node": "hostname", **dict.fromkeys(AUTO, "auto")}
    if default is None or default == "":
        return words.get(name, "none")
    if isinstance(default, tuple):
        return ",".join(default) or "[]"
    return str(default).lower() if isinstance(default, bool) else str(default)
