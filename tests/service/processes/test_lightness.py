"""What a process of each kind imports: there is one a camera, so what it does not need costs memory many times."""

import subprocess
import sys

import pytest

WEB = {"fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic"}
NETWORKS = {"tensorflow", "keras", "torch", "ultralytics", "openvino"}
TRAINING = {"sklearn", "matplotlib", "jinja2", "tensorboard", "albumentations"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("service.processes.stream_process", WEB | NETWORKS | TRAINING | {"pydantic"}),
        ("service.processes.inference_process", WEB | TRAINING | {"av", "tensorflow", "keras", "torch", "ultralytics"}),
        (
            "service.processes.lending.node_inference_process",
            WEB | TRAINING | {"av", "tensorflow", "keras", "torch", "ultralytics", "ray"},
        ),
        ("service.app", NETWORKS | TRAINING),
    ],
)
def test_process_imports_nothing_that_it_does_not_need(module: str, absent: set[str]):
    code = f"import sys, {module}; print(sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
