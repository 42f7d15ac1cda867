"""What OpenVINO is told of this CPU."""

from __future__ import annotations

from pathlib import Path

from pipeline import openvino as cpu
from pipeline.openvino import cpu_flags, precision_candidates


def test_precision_follows_the_cpu(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags\t\t: fpu avx512_bf16 amx_bf16\nflags : other\n")
    assert precision_candidates(cpu_flags(cpuinfo)) == ("bf16",)
    assert precision_candidates(frozenset({"avx512_bf16"})) == ("bf16", "f32")
    assert precision_candidates(cpu_flags(tmp_path / "none")) == ("f32",)


def test_what_onednn_is_told_to_leave_alone_is_not_there(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags : avx2 avx512f avx512_bf16 amx_bf16\n")
    assert cpu_flags(cpuinfo, {"ONEDNN_MAX_CPU_ISA": "AVX2"}) == {"avx2"}
    assert cpu_flags(cpuinfo, {"DNNL_MAX_CPU_ISA": "avx512_core"}) == {"avx2", "avx512f"}
    assert cpu_flags(cpuinfo, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}) == {"avx2", "avx512f", "avx512_bf16"}
    assert cpu_flags(cpuinfo, {"ONEDNN_MAX_CPU_ISA": "ALL"}) == cpu_flags(cpuinfo, {})


def test_precision_note_is_remembered_and_damage_is_survived(tmp_path: Path) -> None:
    note = tmp_path / "net.precision"
    assert cpu._read_note(note) is None
    cpu._write_note(note, "f32")
    assert cpu._read_note(note) == "f32"
    note.write_text("{")
    assert cpu._read_note(note) is None
    cpu._write_note(tmp_path / "new" / "net.precision", "f32")  # no export has made the folder of the shipped network
    assert cpu._read_note(tmp_path / "new" / "net.precision") == "f32"
    cpu._write_note(note / "net.precision", "f32")  # a cache that cannot be written costs nothing else
