"""The command line: what it prints, and one clear line and an exit status when it cannot."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from models.weights.cards import CARD_FILE, LABELS_FILE, MODEL_FILE, ModelCard, ModelInput
from pipeline.files import file_sha256
from service.cli import build_parser
from service.settings import Settings, settings_table
from tests.support.places import REPOSITORY


def run(folder: Path, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """``actoscope`` with these settings and no others. → exit status, stdout, stderr."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ACTOSCOPE_")},
        "ACTOSCOPE_DATA_DIR": str(folder / "data"),
        **{f"ACTOSCOPE_{name}": value for name, value in settings.items()},
    }
    command = [sys.executable, "-m", "service.cli", *arguments]
    done = subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout, done.stderr


def check_one_line(result: tuple[int, str, str], *parts: str) -> None:
    """Failed with status 1, and said so in one line that holds these words."""
    status, out, err = result
    assert (status, out) == (1, "")
    assert err.startswith("actoscope: ") and err.count("\n") == 1, err
    for part in parts:
        assert part in err


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


def test_weights_list_names_what_is_there(tmp_path: Path):
    folder = tmp_path / "weights" / "small"
    folder.mkdir(parents=True)
    (folder / LABELS_FILE).write_text("walking\nrunning\n")
    (folder / MODEL_FILE).write_bytes(b"not looked into by a list")
    card = ModelCard(
        name="small",
        kind="se_i3d",
        num_classes=2,
        input=ModelInput(),
        provenance="made by a test",
        licence="none",
        sha256={name: file_sha256(folder / name) for name in (LABELS_FILE, MODEL_FILE)},
        folder=folder,
    )
    (folder / CARD_FILE).write_text(card.model_dump_json())
    status, out, err = run(tmp_path, "weights", "list", WEIGHTS_DIR=str(tmp_path / "weights"))
    assert (status, out, err) == (0, "small\t2 labels\tse_i3d\n", "")


def test_weights_list_of_an_empty_folder_says_how_to_get_some(tmp_path: Path):
    status, out, err = run(tmp_path, "weights", "list", WEIGHTS_DIR=str(tmp_path / "none"))
    assert (status, out) == (0, "")
    assert "actoscope weights pull i3d-kinetics400" in err


def test_weights_pull_of_an_unknown_name_says_what_there_is(tmp_path: Path):
    result = run(tmp_path, "weights", "pull", "nonsense", WEIGHTS_DIR=str(tmp_path / "weights"))
    check_one_line(result, "'nonsense'", "i3d-kinetics400")
    assert list(tmp_path.iterdir()) == []


def test_serve_on_a_port_in_use_says_so_before_it_starts_anything(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        check_one_line(run(tmp_path, "serve", "--port", port), "127.0.0.1", port, "already in use", "--port")


def test_serve_on_an_address_that_is_not_ours_says_so(tmp_path: Path):
    # 192.0.2.0/24 is for documentation: no machine has it (RFC 5737).
    check_one_line(run(tmp_path, "serve", "--host", "192.0.2.1"), "192.0.2.1", "Cannot assign requested address")


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("weights",), ("serve", "--port", "many")])
def test_what_is_no_command_is_a_usage_error(tmp_path: Path, arguments: tuple[str, ...]):
    status, out, err = run(tmp_path, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("usage: ")
    assert "Traceback" not in err


def test_help_names_every_command(tmp_path: Path):
    status, out, _ = run(tmp_path, "--help")
    assert status == 0
    for command in ("serve", "annotate", "weights", "settings"):
        assert command in out


@pytest.mark.parametrize("command", [["serve"], ["annotate", "street.mp4"], ["evaluate", "surveillance", "data"]])
def test_runtime_may_name_a_precision_and_unknown_ones_are_listed(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert build_parser().parse_args([*command, "--runtime", "openvino:int8"]).runtime == "openvino:int8"
    with pytest.raises(SystemExit):
        build_parser().parse_args([*command, "--runtime", "caffe"])
    assert "tensorflow, tensorflow-xla, openvino" in capsys.readouterr().err
