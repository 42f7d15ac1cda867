"""``actoscope users`` and ``actoscope tokens``, without a service and beside one."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.commands.access_desk import NoPassword
from service.errors_base import Conflict, InvalidRequest, NotFound
from tests.service.commands.command_line import run, typed
from tests.service.conftest import PASSWORD, RunningApi
from tests.support.service import wait_for


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Types a command with a line on standard input."""
    monkeypatch.setenv("ACTOSCOPE_DATA_DIR", str(tmp_path / "fresh"))

    def type_in(*words: str, line: str = "") -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{line}\n"))
        return typed(*words)

    return type_in


def test_users_are_added_listed_changed_and_removed(types: Callable[..., int], capsys: pytest.CaptureFixture[str]):
    assert types("users", "add", "Anna", "--role", "admin", "--password-stdin", line=PASSWORD) == 0
    streams = "str_0123456789abcdef, group:yard"
    types("users", "add", "bert", "--role", "viewer", "--streams", streams, "--password-stdin", line=PASSWORD)
    types("users", "passwd", "ANNA", "--password-stdin", line="staple by staple")
    capsys.readouterr()
    types("users", "list")
    _, anna, bert = capsys.readouterr().out.splitlines()
    assert "Anna" in anna and "admin on *" in anna
    assert "viewer on str_0123456789abcdef, viewer on group:yard" in bert
    assert PASSWORD not in anna + bert and "argon2" not in anna + bert
    for name in ("bert", "anna"):  # the last admin too: nobody is kept out of a service that does not run
        assert types("users", "remove", name) == 0
    capsys.readouterr()
    types("users", "list")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_what_commands_change_is_in_the_audit(types: Callable[..., int], capsys: pytest.CaptureFixture[str]):
    types("users", "add", "anna", "--role", "admin", "--password-stdin", line=PASSWORD)
    types("users", "passwd", "anna", "--password-stdin", line="staple by staple")
    types("tokens", "add", "program", "--scopes", "read")
    token = capsys.readouterr().out.splitlines()[-1]
    types("tokens", "revoke", token[5:13])
    types("users", "remove", "anna")
    capsys.readouterr()
    types("audit", "list", "--json", "--principal", "local:command")
    written = capsys.readouterr().out
    actions = [json.loads(line)["action"] for line in written.splitlines()]
    assert actions == ["users.remove", "tokens.revoke", "tokens.add", "users.change", "users.add"]
    assert not any(secret in written for secret in (PASSWORD, "staple by staple", token[14:]))
    assert types("audit", "verify") == 0


def test_mistakes_are_explained(types: Callable[..., int], monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InvalidRequest, match="12 to 256 characters, got 5"):
        types("users", "add", "anna", "--role", "admin", "--password-stdin", line="short")
    with pytest.raises(Conflict, match="admin"):
        types("users", "add", "anna", "--role", "viewer", "--password-stdin", line=PASSWORD)
    with pytest.raises(NotFound, match="anna"):
        types("users", "remove", "anna")
    with pytest.raises(NoPassword, match="--password-stdin"):
        types("users", "add", "anna", "--role", "admin")
    with pytest.raises(NotFound, match="00000000"):
        types("tokens", "revoke", "00000000")
    for words in (("users", "add", "anna"), ("tokens", "add", "x", "--scopes", "root"), ("tokens", "add", "x")):
        with pytest.raises(SystemExit):
            types(*words)
    monkeypatch.setattr("sys.stdin", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    answers = iter(["one password here", "another password"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    with pytest.raises(NoPassword, match="two that differ"):
        typed("users", "add", "anna", "--role", "admin")


def test_running_service_notices_what_the_commands_change_within_a_second(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
):
    """In processes of their own, as people run them."""
    settings = {"DATA_DIR": str(api.settings.data_dir)}

    def command(*words: str) -> str:
        status, out, err = run(api.settings.data_dir, *words, **settings)
        assert status == 0, err
        return out

    token = command("tokens", "add", "program", "--scopes", "read", "--days", "never").strip()
    program = api.visitor(token=token)
    assert program.get("/v1/me").json()["name"] == "program"
    user = api.add_user("anna", "admin")
    api.log_in("anna")
    status, _, err = run(api.settings.data_dir, "users", "remove", "anna", **settings)
    assert (status, "admin" in err) == (1, True)  # the service runs
    rung: list[str | None] = []
    monkeypatch.setattr(api.context.changes, "notify", rung.append)
    command("tokens", "revoke", token[5:13])
    began = time.monotonic()
    assert program.get("/v1/me").status_code == 401
    wait_for(lambda: token[5:13] in rung, 2, "the doorbell rings")
    assert time.monotonic() - began < 1.5
    api.call(change_password(api, user["id"]))
    assert api.client.get("/v1/me").status_code == 401


async def change_password(api: RunningApi, user_id: str) -> None:
    from service.access.accounts import Actor, UserChange

    await api.context.access.accounts.change(Actor(None), user_id, UserChange(password="staple by staple"))
