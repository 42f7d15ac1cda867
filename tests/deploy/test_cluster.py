"""deploy/cluster, as far as it can be read without Docker, Kubernetes or systemd's manager."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # has none
import pytest
import yaml  # type: ignore[import-untyped]  # comes with ultralytics, without types

from service.cli import build_parser
from service.settings import PREFIX, Settings
from tests.support.places import REPOSITORY

CLUSTER = REPOSITORY / "deploy" / "cluster"
COMPOSE: dict[str, Any] = yaml.safe_load((CLUSTER / "compose.yml").read_text())
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((CLUSTER / "kubernetes" / "cluster.yaml").read_text()))
UNITS = sorted((CLUSTER / "systemd").glob("*.service"))
OURS = ("api", "node-1", "node-2")
RELEASES = ("1.28", "1.31", kubernetes_validate.latest_version())  # of Kubernetes


def pods() -> list[dict[str, Any]]:
    return [each["spec"]["template"]["spec"] for each in MANIFESTS if each["kind"] in ("StatefulSet", "DaemonSet")]


def test_commands_and_settings_are_ones_that_exist():
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    commands = [COMPOSE["services"][name]["command"] for name in OURS]
    commands += [container["args"] for pod in pods() for container in pod["containers"]]
    for command in commands:
        build_parser(command).parse_args(command)
    variables = {name for service in OURS for name in COMPOSE["services"][service]["environment"]}
    variables |= {each["name"] for pod in pods() for container in pod["containers"] for each in container["env"]}
    for unit in UNITS:
        variables |= {
            line.partition("=")[2].partition("=")[0] for line in lines(unit) if line.startswith("Environment=")
        }
    assert variables <= known


def test_what_a_container_mounts_is_a_volume_of_its_pod():
    assert MANIFESTS and all(each["metadata"]["namespace"] == "actoscope" for each in MANIFESTS)
    claims = {"data"}  # of the StatefulSet
    for pod in pods():
        volumes = {volume["name"] for volume in pod["volumes"]} | claims
        for container in (*pod["initContainers"], *pod["containers"]):
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_the_image_that_they_use_is_made_by_the_dockerfile():
    target = COMPOSE["services"]["api"]["build"]["target"]
    assert f"FROM base AS {target}\n" in (REPOSITORY / "Dockerfile").read_text()
    assert {c["image"] for pod in pods() for c in pod["containers"]} == {"actoscope:cluster"}
    assert COMPOSE["services"]["api"]["image"] == "actoscope:cluster"


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_manifests_are_what_kubernetes_takes(manifest: dict[str, Any], release: str):
    """Strictly: a key that no release knows is refused, as a server does that validates."""
    assert kubernetes_validate.validate(manifest, release, strict=True) in release


def test_a_manifest_with_a_misspelt_key_would_be_seen():
    wrong = {**MANIFESTS[0], "spec": {**MANIFESTS[0]["spec"], "porst": []}}
    with pytest.raises(kubernetes_validate.ValidationError, match="porst"):
        kubernetes_validate.validate(wrong, RELEASES[0], strict=True)


def lines(unit: Path) -> list[str]:
    return [line.strip() for line in unit.read_text().splitlines()]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_are_understood_by_systemd(unit: Path, tmp_path: Path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    copy = tmp_path / unit.name  # with a program that is here
    copy.write_text(unit.read_text().replace("/opt/actoscope/.venv/bin/actoscope", "/bin/true"))
    checked = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
