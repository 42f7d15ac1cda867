"""Conversion libraries that report their use over the network, kept quiet."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

_REPORTERS = tuple(f"openvino.tools.ovc.{name}" for name in ("convert_impl", "telemetry_utils", "utils"))


def silence() -> None:
    """Call before OpenVINO's converter or NNCF are used, best before they are imported: nothing is left to report with.

    Both fall back to a silent stand-in when ``openvino_telemetry`` cannot be imported; a converter that was imported
    already gets it now. NNCF's own switch is set too, for releases that come to report in another way.
    """
    absent: dict[str, Any] = sys.modules  # None there makes an import fail (docs.python.org, the import system)
    absent["openvino_telemetry"] = None
    os.environ["NNCF_CI"] = "1"
    loaded: list[Any] = [sys.modules[name] for name in _REPORTERS if name in sys.modules]
    for module in loaded:
        module.tm = importlib.import_module("openvino.tools.ovc.telemetry_stub")
