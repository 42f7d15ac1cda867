"""Conversion libraries that report their use over the network, kept quiet."""

from __future__ import annotations

import os
import sys
from typing import Any


def silence() -> None:
    """Call before OpenVINO's converter or NNCF are imported: they then find no package to report with.

    Both fall back to a silent stand-in when ``openvino_telemetry`` cannot be imported. NNCF's own switch is set too,
    for releases that come to report in another way.
    """
    absent: dict[str, Any] = sys.modules  # None there makes an import fail (docs.python.org, the import system)
    absent["openvino_telemetry"] = None
    os.environ["NNCF_CI"] = "1"
