"""The token without which the cluster mode does not start."""

import pytest

from service.cluster.links.errors import ClusterError
from service.cluster.links.token import check_token, ray_environment


def test_without_one_it_is_said_how_to_make_one():
    with pytest.raises(ClusterError, match=r"umask 077 && openssl rand -hex 32 > .*set ACTOSCOPE_CLUSTER_TOKEN"):
        check_token(None)


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [("a" * 64, 0o644, "chmod 600"), ("short", 0o600, "at least 32 characters"), (None, 0, "cannot be read")],
)
def test_one_that_others_may_read_or_that_is_none_is_refused(tmp_path, content, mode, why):
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    with pytest.raises(ClusterError, match=why):
        check_token(path)


def test_processes_that_speak_ray_get_the_file_s_place_and_no_setting_but_folders(tmp_path, monkeypatch):
    path = tmp_path / "token"
    path.write_text("a" * 64 + "\n")
    path.chmod(0o600)
    monkeypatch.setenv("ACTOSCOPE_DATABASE_URL", "postgresql://secret")
    monkeypatch.setenv("ACTOSCOPE_WEIGHTS_DIR", "/data/weights")
    environment = ray_environment(check_token(path))
    assert (environment["RAY_AUTH_MODE"], environment["RAY_AUTH_TOKEN_PATH"]) == ("token", str(path))
    assert [name for name in environment if name.startswith("ACTOSCOPE_")] == ["ACTOSCOPE_WEIGHTS_DIR"]
