from __future__ import annotations

import json
import subprocess
import sys

from tests.support.places import REPOSITORY


def test_silence_leaves_nothing_to_report_with() -> None:
    program = (
        "import json, os; from models.conversion.telemetry import silence; silence()\n"
        "try:\n    import openvino_telemetry\nexcept ImportError:\n    print(json.dumps(os.environ['NNCF_CI']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert json.loads(done.stdout) == "1"


def test_silence_reaches_a_converter_that_was_imported_before() -> None:
    program = (
        "import openvino, sys; from openvino.tools.ovc import convert_impl, telemetry_utils, utils\n"
        "from models.conversion.telemetry import silence; silence()\n"
        "print({module.tm.__name__ for module in (convert_impl, telemetry_utils, utils)})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "{'openvino.tools.ovc.telemetry_stub'}"
