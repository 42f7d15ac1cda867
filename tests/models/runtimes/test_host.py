from __future__ import annotations

import json
from pathlib import Path

from models.runtimes.host import cores, describe_host, host_facts


def test_host_facts_name_the_cpu_and_every_package() -> None:
    facts = host_facts()
    assert len(facts) == len(set(facts))
    assert json.dumps(facts)
    assert any(fact.startswith("openvino=") and not fact.endswith("none") for fact in facts)
    assert f"cores={cores()}" in facts


def test_host_is_named_by_its_processor(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast CPU 9000\nmodel name\t: other\n")
    assert describe_host(cpuinfo).startswith("Fast CPU 9000, ")
    assert "cores, " in describe_host(tmp_path / "nothing")
