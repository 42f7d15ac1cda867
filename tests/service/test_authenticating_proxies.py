"""Behind a proxy that logs people in: whom it names, and whoever else names somebody."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.settings import Settings, SettingsError, load_settings
from tests.service.access.desk import Recorder
from tests.service.conftest import RunningApi, running_api
from tests.service.test_access import BEHIND, ws_status
from tests.service.test_routes_streams import problem

PROOF = "a secret of the proxy"
ROLES = {"admin": ("sysadmins",), "operator": ("guards",), "viewer": ("staff", "family, friends")}


GIVEN: dict[str, Any] = {
    "proxy_user_header": "Remote-User",
    "proxy_role_map": ROLES,
    "proxy_secret": PROOF,
    "logout_url": "https://auth.example/logout",
}


def checked(**given: Any) -> dict[str, Any]:
    """As settings are when they were read."""
    settings = Settings(**given)
    return {name: getattr(settings, name) for name in given}


@pytest.fixture
def proxied(run_api: Callable[..., RunningApi]) -> Callable[..., RunningApi]:
    """The API behind a proxy that logs people in, on this machine."""
    return lambda **changes: run_api(**checked(**{**GIVEN, **changes}))


@pytest.fixture(scope="module")
def file_proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """The same for tests that only ask."""
    with running_api(tmp_path_factory, **checked(**GIVEN)) as api:
        yield api


def in_bytes(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """As proxies send them: UTF-8."""
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def named(name: str, groups: str | None, **changes: str) -> dict[str, str]:
    given = {**BEHIND, "Remote-User": name, "X-Proxy-Secret": PROOF}
    return {**given, **({} if groups is None else {"Remote-Groups": groups}), **changes}


@pytest.mark.parametrize(
    ("groups", "role"),
    [("staff", "viewer"), ("staff, sysadmins", "admin"), ("guards,staff", "operator"), ("a,guards", "operator")],
)
def test_proxys_user_has_the_highest_role_of_its_groups(file_proxied: RunningApi, groups: str, role: str):
    me = file_proxied.client.get("/v1/me", headers=in_bytes(named("José", groups))).json()
    assert (me["kind"], me["name"], me["id"], me["role"], me["visible"]) == ("proxy", "José", "josé", role, "all")
    assert me["logout_url"] == "https://auth.example/logout"


def test_proxys_user_without_a_role_is_told_which_headers_came(file_proxied: RunningApi):
    said = problem(file_proxied.client.get("/v1/me", headers=named("anna", "visitors")), 403)["detail"]
    assert "Remote-User names anna" in said and "Remote-Groups: visitors" in said and "sysadmins" not in said
    said = problem(file_proxied.client.get("/v1/me", headers=named("anna", None)), 403)["detail"]
    assert "no header Remote-Groups came" in said


def test_groups_may_be_parted_otherwise_and_everybody_may_have_a_role(proxied: Callable[..., RunningApi]):
    api = proxied(proxy_separator="|", proxy_role_map={**ROLES, "viewer": ("*",)})
    for groups, role in (("staff|sysadmins", "admin"), ("staff,sysadmins", "viewer"), (None, "viewer")):
        assert api.client.get("/v1/me", headers=named("anna", groups)).json()["role"] == role


@pytest.mark.parametrize(
    "change",
    [{"X-Proxy-Secret": "another secret, longer"}, {"X-Proxy-Secret": ""}, {"Remote-User": ""}],
    ids=["wrong secret", "no secret", "no name"],
)
def test_forged_headers_count_for_nothing(file_proxied: RunningApi, change: dict[str, str]):
    problem(file_proxied.client.get("/v1/me", headers=named("anna", "sysadmins", **change)), 401)
    assert ws_status(file_proxied, named("anna", "sysadmins", **change)) == 401
    assert ws_status(file_proxied, named("anna", "sysadmins")) == 101
    problem(file_proxied.client.get("/v1/me"), 401)  # whoever comes past the proxy is not this machine's admin either


def test_headers_of_a_peer_that_is_not_trusted_count_for_nothing(proxied: Callable[..., RunningApi]):
    api = proxied(trusted_proxies=("192.0.2.0/24",))
    problem(api.client.get("/v1/me", headers=named("anna", "sysadmins")), 401)


def test_identity_headers_count_for_nothing_where_no_proxy_is_configured(api: RunningApi):
    api.add_user("anna", "admin")
    problem(api.client.get("/v1/me", headers=named("anna", "sysadmins")), 401)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PROXY_USER_HEADER": "Remote-User"}, "PROXY_ROLE_MAP"),
        (
            {"PROXY_USER_HEADER": "Remote-User", "PROXY_ROLE_MAP": '{"admin": ["a"]}'},
            "PROXY_SECRET, or TRUSTED_PROXIES",
        ),
        ({"PROXY_USER_HEADER": "Remote User"}, "name of a header"),
        ({"PROXY_ROLE_MAP": '{"root": ["a"]}'}, "admin"),
        ({"PROXY_ROLE_MAP": "admin=a"}, "PROXY_ROLE_MAP"),
        ({"PROXY_SECRET": "c4n4ry"}, "16"),
        ({"ORIGINS": "cameras.example"}, "such as https://cameras.example"),
        ({"LOGOUT_URL": "javascript:x"}, "URL"),
    ],
)
def test_settings_of_proxies_that_cannot_be_are_explained(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
):
    for name, value in variables.items():
        monkeypatch.setenv(f"ACTOSCOPE_{name}", value)
    with pytest.raises(SettingsError, match=said) as error:
        load_settings()
    assert "c4n4ry" not in str(error.value)


def test_settings_of_a_proxy_elsewhere_are_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ACTOSCOPE_PROXY_USER_HEADER", "Remote-User")
    monkeypatch.setenv("ACTOSCOPE_PROXY_ROLE_MAP", '{"admin": ["sysadmins"], "viewer": ["*"]}')
    monkeypatch.setenv("ACTOSCOPE_TRUSTED_PROXIES", "172.16.0.0/12")
    settings = load_settings()
    assert {role.value: groups for role, groups in settings.proxy_role_map.items()} == {
        "admin": ("sysadmins",),
        "viewer": ("*",),
    }


def test_denials_are_in_the_audit(proxied: Callable[..., RunningApi]):
    api = proxied()
    recorder = Recorder()
    object.__setattr__(api.context, "audit", recorder)
    headers = named("anna", "staff")
    problem(api.client.delete("/v1/users/usr_0123456789abcdef", headers=headers), 403)
    problem(api.client.get("/v1/audit", headers=named("bert", "visitors")), 403)
    assert api.client.get("/v1/streams", headers=headers).status_code == 200
    problem(api.client.get("/v1/streams"), 401)
    assert recorder.rows == [
        ("anna", "denied", "/v1/users/usr_0123456789abcdef", "refused"),
        ("-", "denied", "/v1/audit", "refused"),
        ("-", "denied", "/v1/streams", "refused"),
    ]
    assert recorder.addresses == {"203.0.113.9", "127.0.0.1"}  # the latter of the stranger
    assert recorder.details[0]["needs"] == "users:write"
