from __future__ import annotations

import pytest

from service.cli import build_parser


@pytest.mark.parametrize("command", [["serve"], ["annotate", "street.mp4"], ["evaluate", "surveillance", "data"]])
def test_runtime_may_name_a_precision_and_unknown_ones_are_listed(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert build_parser().parse_args([*command, "--runtime", "openvino:int8"]).runtime == "openvino:int8"
    with pytest.raises(SystemExit):
        build_parser().parse_args([*command, "--runtime", "caffe"])
    assert "tensorflow, tensorflow-xla, openvino" in capsys.readouterr().err
