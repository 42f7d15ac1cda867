"""``actoscope settings``, and settings that no command takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.commands.settings import settings_table
from service.settings import Settings
from tests.service.commands.command_line import check_one_line, run


def test_settings_prints_the_table_of_every_setting(tmp_path: Path):
    status, out, err = run(tmp_path, "settings")
    assert (status, out, err) == (0, settings_table() + "\n", "")
    for name, field in Settings.model_fields.items():
        assert f"`ACTOSCOPE_{name.upper()}`" in out
        assert field.description and field.description in out


def test_settings_prints_the_table_also_when_a_setting_is_wrong(tmp_path: Path):
    assert run(tmp_path, "settings", PROT="8001")[0] == 0


@pytest.mark.parametrize("command", [("serve",), ("weights", "list"), ("annotate", "samples/street.mp4")])
def test_unknown_setting_is_refused_with_the_nearest_names(tmp_path: Path, command: tuple[str, ...]):
    check_one_line(run(tmp_path, *command, PROT="8001"), "ACTOSCOPE_PROT", "did you mean ACTOSCOPE_PORT")
    assert list(tmp_path.iterdir()) == []


def test_setting_of_a_wrong_kind_is_refused_with_its_name_and_value(tmp_path: Path):
    check_one_line(run(tmp_path, "serve", PORT="many"), "ACTOSCOPE_PORT", "valid integer", "'many'")
    check_one_line(run(tmp_path, "serve", "--port", "70000"), "ACTOSCOPE_PORT", "65535", "70000")
