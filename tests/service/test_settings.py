"""Settings: the environment is read once, completely, and without silent mistakes."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.commands.settings import settings_table
from service.settings import PREFIX, Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch):
    import os

    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)


def test_defaults_need_no_environment():
    settings = load_settings()
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8000, Path("data"))
    assert settings.sqlalchemy_url() == f"sqlite:///{Path('data/actoscope.db').resolve()}"
    assert settings.detector is None and settings.appearance is None
    assert settings.media_roots == ()


def test_environment_is_read_and_arguments_win(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACTOSCOPE_PORT", "9000")
    monkeypatch.setenv("actoscope_host", "0.0.0.0")
    monkeypatch.setenv("ACTOSCOPE_LOG_LEVEL", "DEBUG")
    settings = load_settings(port=9001)
    assert (settings.port, settings.host, settings.log_level) == (9001, "0.0.0.0", "debug")


@pytest.mark.parametrize("text", ['["/a b", "/c"]', "/a b,/c", " /a b , /c ,"])
def test_lists_are_json_or_separated_by_commas(monkeypatch: pytest.MonkeyPatch, text: str):
    monkeypatch.setenv("ACTOSCOPE_MEDIA_ROOTS", text)
    assert load_settings().media_roots == (Path("/a b"), Path("/c"))


def test_words_for_defaults_and_empty_variables_mean_the_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACTOSCOPE_DETECTOR", "auto")
    monkeypatch.setenv("ACTOSCOPE_APPEARANCE", "mobilenet")
    monkeypatch.setenv("ACTOSCOPE_PORT", "")
    settings = load_settings()
    assert (settings.detector, settings.appearance, settings.port) == (None, None, 8000)


def test_unknown_variable_is_an_error_that_names_what_was_meant(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACTOSCOPE_DATADIR", "/x")
    with pytest.raises(SettingsError, match=r"unknown setting ACTOSCOPE_DATADIR.*ACTOSCOPE_DATA_DIR"):
        load_settings()


def test_variables_of_the_test_suite_are_no_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACTOSCOPE_TEST_GST_PYTHON", "/usr/bin/python3")
    load_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "eighty"),
        ("RUNTIME", "jax"),
        ("DETECTOR_IMAGE_SIZE", "641"),
        ("DETECTOR_CONFIDENCE", "1.5"),
        ("MEDIA_ROOTS", '["/a"'),
        ("RECORDINGS_MAX_GB", "-1"),
        ("LOG_FORMAT", "xml"),
        ("SEGMENT_S", "nan"),
    ],
)
def test_impossible_value_is_an_error_that_names_the_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(SettingsError, match=PREFIX + name):
        load_settings()


def test_database_password_is_in_no_text(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACTOSCOPE_DATABASE_URL", "postgresql://me:c4n4ry@db/actoscope")
    settings = load_settings()
    assert "c4n4ry" not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert "c4n4ry" in settings.sqlalchemy_url()


def test_settings_are_frozen_and_take_no_unknown_argument():
    with pytest.raises(ValidationError):
        load_settings().port = 1  # type: ignore[misc]
    with pytest.raises(SettingsError, match="PROT"):
        load_settings(prot=1)


def test_table_has_every_setting_with_its_default_and_meaning():
    lines = settings_table().splitlines()[2:]
    assert len(lines) == len(Settings.model_fields)
    for line, (name, field) in zip(lines, Settings.model_fields.items(), strict=True):
        variable, default, meaning = (cell.strip() for cell in line.strip("|").split("|"))
        assert variable == f"`{PREFIX}{name.upper()}`"
        assert default.strip("`") and "Undefined" not in default
        assert meaning == field.description
        assert len(meaning) > 10


@pytest.mark.parametrize("url", ["cameras.example", "javascript:x", "https://a/?b", "https://u:p@a", "https://"])
def test_public_url_is_one_that_links_can_begin_with(url: str):
    with pytest.raises(ValueError, match="expected an http or https URL"):
        Settings(public_url=url)
    assert Settings(public_url="https://a/cameras/").public_url == "https://a/cameras"
