"""The command line as a whole: every command by its name, and nothing loaded that was not asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import pytest

from service.cli import COMMANDS, Command, Family, build_parser, main
from service.commands.exit_status import EXIT_FAILED, EXIT_INTERRUPTED
from service.ids import service_version
from tests.service.commands.command_line import REPOSITORY, run

TRAINING = ("tensorflow", "keras", "jax", "torch", "albumentations", "sklearn", "matplotlib", "nncf", "imagehash")
EXTRAS = (*TRAINING[2:], "jinja2", "tensorboard", "onnx", "onnxruntime", "tf2onnx", "coremltools", "ai_edge_litert")


def commands(entries: Mapping[str, Command | Family] = COMMANDS) -> Iterator[tuple[str, Command]]:
    """Every command as it is typed, with its entry."""
    for name, entry in entries.items():
        if isinstance(entry, Command):
            yield name, entry
        else:
            yield from ((f"{name} {inner}", command) for inner, command in commands(entry.commands))


def fresh_interpreter(code: str) -> subprocess.CompletedProcess[str]:
    """A process of its own: what other tests have imported is not there, and what is kept away stays away."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)


def in_a_fresh_interpreter(code: str) -> str:
    """→ what it printed last."""
    done = fresh_interpreter(code)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def loaded_after(names: tuple[str, ...], *lines: list[str]) -> str:
    """Which of ``names`` are loaded once the parser has dealt with these lines, one after the other, as a list each."""
    return in_a_fresh_interpreter(
        "import sys\nfrom service.cli import main\nloaded = []\n"
        f"for words in {lines!r}:\n    try:\n        main(words)\n    except SystemExit:\n        pass\n"
        f"    loaded.append([name for name in {names!r} if name in sys.modules])\n"
        "print(loaded)"
    )


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("weights",), ("serve", "--port", "many")])
def test_what_is_no_command_is_a_usage_error(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main([*arguments])
    out, err = capsys.readouterr()
    assert (left.value.code, out) == (2, "")
    assert err.startswith("usage: ")


def test_usage_error_of_a_process_is_no_traceback(tmp_path: Path):
    status, out, err = run(tmp_path, "serve", "--port", "many")
    assert (status, out) == (2, "")
    assert err.startswith("usage: ")
    assert "Traceback" not in err


def test_help_names_every_command(tmp_path: Path):
    status, out, _ = run(tmp_path, "--help")
    assert status == 0
    for command in ("serve", "annotate", "weights", "settings"):
        assert command in out


@pytest.mark.parametrize("name", dict(commands()))
def test_command_has_its_module_and_its_help(name: str, capsys: pytest.CaptureFixture[str]):
    module = import_module(dict(commands())[name].module)
    assert callable(module.add_options) and callable(module.run)
    with pytest.raises(SystemExit) as left:
        main([*name.split(), "--help"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: actoscope {name} [-h]")


def test_every_file_of_a_command_is_named_in_the_table():
    folder = REPOSITORY / "service" / "commands"
    modules = {command.module for _, command in commands()}
    for path in folder.rglob("*.py"):
        if "\ndef run(" in path.read_text("utf-8"):
            assert ".".join(path.relative_to(REPOSITORY).with_suffix("").parts) in modules


def test_command_after_an_option_is_not_run(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(["-h", "settings"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("usage: actoscope [-h] [--version] COMMAND")


def test_parser_of_no_words_in_particular_knows_every_option():
    parser = build_parser()
    assert parser.parse_args(["serve", "--port", "1"]).port == 1
    assert parser.parse_args(["dataset", "balance", "here", "--undo"]).undo is True


def test_help_and_a_mistyped_command_load_no_command():
    lines: tuple[list[str], ...] = (
        ["--help"],
        ["dataset", "--help"],
        ["weights", "--help"],
        [],
        ["exprot"],
        ["dataset", "extarct"],
    )
    heavy = ("numpy", "cv2", "pydantic", "tqdm", "keras", "tensorflow", "service.settings")
    assert loaded_after(heavy, *lines) == "[[], [], [], [], [], []]"


def test_options_of_no_command_load_what_takes_seconds():
    """So that help and a wrong option are answered at once, and ``export`` can hush TensorFlow before it starts."""
    code = "import sys\nfrom service.cli import build_parser\nbuild_parser()\n"
    assert in_a_fresh_interpreter(f"{code}print([name for name in {TRAINING!r} if name in sys.modules])") == "[]"


def test_options_of_every_command_are_known_without_the_extras():
    code = f"import sys\nfor name in {EXTRAS!r}:\n    sys.modules[name] = None\n"
    assert in_a_fresh_interpreter(f"{code}from service.cli import build_parser\nbuild_parser()\nprint('all')") == "all"


def test_serve_loads_no_other_command_and_nothing_of_training():
    others = tuple(command.module for name, command in commands() if name != "serve")
    training = ("models.training", "models.evaluation", "models.exports", "models.data.manifest", *TRAINING)
    assert loaded_after((*others, *training), ["serve", "--help"]) == "[[]]"


def test_missing_packages_are_told_with_what_installs_them():
    words = ["dataset", "augment", "data", "--per-class", "3"]
    code = "import sys\nsys.modules['albumentations'] = None\nfrom service.cli import main\n"
    done = fresh_interpreter(f"{code}sys.exit(main({words!r}))")
    assert (done.returncode, done.stdout) == (EXIT_FAILED, "")
    assert done.stderr.startswith("actoscope: this command needs more packages: pip install -e '.[train]'")
    assert "albumentations" in done.stderr


def test_packages_missing_at_a_command_s_own_imports_are_told_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "service.commands.compare", None)
    assert main(["compare", "a", "b", "data"]) == EXIT_FAILED
    assert "needs more packages" in capsys.readouterr().err


def test_ctrl_c_gives_the_status_that_shells_expect(monkeypatch: pytest.MonkeyPatch):
    def interrupted(_arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("service.commands.settings.run", interrupted)
    assert main(["settings"]) == EXIT_INTERRUPTED


def test_version_is_told_without_a_command(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"actoscope {service_version()}\n"


@pytest.mark.parametrize("line", ["dataset clips WORK --output", "dataset extract VIDEO --work", "dataset stats"])
def test_path_of_blanks_is_a_usage_error(line: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        main([*line.split(), "  "])
    assert left.value.code == 2
    assert "expected a file or a folder, got nothing but blanks" in capsys.readouterr().err
