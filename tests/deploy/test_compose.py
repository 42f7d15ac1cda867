"""docker-compose.yml and Caddy's file, as far as they can be read without Docker."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # comes with ultralytics, without types

from service.settings import PREFIX, Settings
from tests.support.places import REPOSITORY

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
START = REPOSITORY / "deploy" / "docker" / "start.sh"
INSTALL = START.with_name("install_for_cpus.sh")
CADDYFILE = REPOSITORY / "deploy" / "caddy" / "Caddyfile"


def test_only_caddy_is_reached_from_outside():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["caddy"]
    assert SERVICES["actoscope"]["networks"]["default"]["aliases"] == ["actoscope"]
    assert "reverse_proxy actoscope:8000" in CADDYFILE.read_text()


def test_trusted_proxies_are_the_network_that_caddy_is_in():
    (network,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    trusted = SERVICES["actoscope"]["environment"]["ACTOSCOPE_TRUSTED_PROXIES"]
    assert trusted == network["subnet"]
    assert ipaddress.ip_network(trusted).is_private


@pytest.mark.parametrize("name", ["actoscope", "gpu"])
def test_settings_are_ones_that_exist(name: str):
    for variable in SERVICES[name]["environment"]:
        assert variable.removeprefix(PREFIX).lower() in Settings.model_fields


def test_folders_and_volumes_exist():
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (REPOSITORY / source).exists(), volume


def test_weights_lie_in_the_volume_and_the_image_starts_with_the_program_that_links_the_shipped_ones():
    service, caddy = SERVICES["actoscope"], SERVICES["caddy"]
    assert "data:/data" in service["volumes"] and "data:/data" not in caddy["volumes"]
    base = DOCKERFILE.partition("\nFROM gpu AS train")[0]
    assert "ACTOSCOPE_WEIGHTS_DIR=/data/weights" in base
    assert "COPY weights weights" in base and "COPY deploy/docker deploy/docker" in base
    assert f'ENTRYPOINT ["/app/{START.relative_to(REPOSITORY)}"]' in base
    assert os.access(START, os.X_OK)


def started(image: Path, volume: Path) -> list[str]:
    """What the image's first program does → the words that Actoscope itself was called with."""
    here = image / START.relative_to(REPOSITORY)
    here.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(START, here)
    (image / "bin").mkdir(exist_ok=True)
    (image / "bin" / "actoscope").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (image / "bin" / "actoscope").chmod(0o755)
    environment = {"PATH": f"{image / 'bin'}:{os.environ['PATH']}", "ACTOSCOPE_WEIGHTS_DIR": str(volume)}
    done = subprocess.run([here, "serve", "a b"], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def shipped(image: Path, content: str) -> Path:
    for name in ("guard", "person"):
        (image / "weights" / name).mkdir(parents=True)
        (image / "weights" / name / "card.json").write_text(content)
    return image


def test_versions_outlive_an_upgrade_that_brings_newer_shipped_networks(tmp_path: Path):
    volume = tmp_path / "data" / "weights"
    assert started(shipped(tmp_path / "old", "old"), volume) == ["serve", "a b"]
    (volume / "guard@2").mkdir()
    (volume / "guard@2" / "card.json").write_text("learnt")
    (volume / "own").mkdir()
    fresh = shipped(tmp_path / "new", "new")
    shutil.copytree(fresh / "weights" / "guard", fresh / "weights" / "own")  # of a name that is taken
    shutil.rmtree(tmp_path / "old")
    for _ in range(2):
        started(fresh, volume)
        found = {path.parent.name: path.read_text() for path in volume.glob("*/card.json")}
        assert found == {"guard": "new", "person": "new", "guard@2": "learnt"}
    assert sorted(path.name for path in (fresh / "weights").iterdir()) == ["guard", "own", "person"]
    assert sorted(path.name for path in (fresh / "weights" / "guard").iterdir()) == ["card.json"]


def test_image_whose_weights_are_its_own_folder_is_left_as_it_is(tmp_path: Path):
    image = shipped(tmp_path, "x")
    started(image, image / "weights")
    assert not any(path.is_symlink() for path in image.rglob("*"))


@pytest.mark.parametrize("site", ["localhost", "cameras.example"])
def test_caddy_takes_its_file(site: str, monkeypatch: pytest.MonkeyPatch):
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("caddy is not installed")
    monkeypatch.setenv("ACTOSCOPE_SITE", site)
    command = [program, "validate", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    adapted = subprocess.run(
        [program, "adapt", "--config", str(CADDYFILE)], capture_output=True, text=True, timeout=60, check=True
    )
    assert site in adapted.stdout


@pytest.mark.parametrize(
    ("index", "machine", "calls"), [("", "x86_64", 3), ("https://torch.example/cpu", "aarch64", 2)]
)
def test_images_of_cpus_take_the_builds_for_cpus(index: str, machine: str, calls: int, tmp_path: Path):
    for name, answer in (("pip", '"pip $*" >> calls'), ("uname", machine)):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {answer}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TORCH_INDEX": index}
    subprocess.run([INSTALL, "postgres,train"], env=environment, cwd=tmp_path, check=True)
    called = (tmp_path / "calls").read_text().splitlines()
    assert "pip install -c constraints.txt -e .[postgres,train]" in called and len(called) == calls
    assert ("pip install -c constraints.txt --no-deps tensorflow-cpu" in called) == (machine == "x86_64")
    assert (called[0] == f"pip install -c constraints.txt --no-deps --index-url {index} torch torchvision") == bool(
        index
    )
    assert DOCKERFILE.count("TORCH_INDEX=$TORCH_INDEX deploy/docker/install_for_cpus.sh ") == 2
    assert 'args: {TORCH_INDEX: "${TORCH_INDEX:-}"}' in (REPOSITORY / "docker-compose.yml").read_text()
