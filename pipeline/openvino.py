"""Networks on this CPU by OpenVINO: what it multiplies natively, which precision is fastest here, converting only once.

Nothing here imports torch or ultralytics: a converted network starts in well under a second and in little memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.entities import Floats
from pipeline.errors import ChildError, DetectorError
from pipeline.files import default_cache_dir, kept_folder, write_atomically
from pipeline.python_child import run_python

Precision = str  # "bf16" | "f32"
CONVERSION_TIMEOUT_S = 600.0
ISA_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")  # oneDNN's own; it refuses a network whose precision is beyond
_BEYOND_AVX2 = ("avx512", "amx")
_BEYOND = {  # limit → beginnings of what it leaves out
    **dict.fromkeys(("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2"), _BEYOND_AVX2),
    **dict.fromkeys(("AVX512_CORE", "AVX512_CORE_VNNI"), ("avx512_bf16", "avx512_fp16", "amx")),
    **dict.fromkeys(("AVX512_CORE_BF16", "AVX512_CORE_FP16"), ("amx",)),
}


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo"), environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Instruction sets of the first core as Linux names them, without those that oneDNN is told to leave alone.

    Empty where there is no such file.
    """
    try:
        text = cpuinfo.read_text(errors="replace")
    except OSError:
        return frozenset()
    limit = next((environment[name].upper() for name in ISA_LIMITS if name in environment), "")
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(flag for flag in value.split() if not flag.startswith(_BEYOND.get(limit, ())))
    return frozenset()


def precision_candidates(flags: frozenset[str]) -> tuple[Precision, ...]:
    """What is worth trying: AMX always wins with bf16; AVX512-BF16 alone may or may not, so that is measured."""
    if "amx_bf16" in flags:
        return ("bf16",)
    if "avx512_bf16" in flags:
        return ("bf16", "f32")
    return ("f32",)


class CpuNetwork:
    """One compiled OpenVINO network. Use each instance from one thread."""

    def __init__(self, model: Any, sample: NDArray[Any], threads: int = 0, notes: Path | None = None) -> None:
        """Compile an ``openvino.Model``. ``sample`` is a typical input batch, ``notes`` a file for the best precision.

        Raises DetectorError when OpenVINO refuses the network.
        """
        try:
            self._request, self.precision = _compile_fastest(model, sample, threads, notes)
        except RuntimeError as error:
            raise DetectorError(f"OpenVINO cannot run this network on the CPU: {error}") from error

    def __call__(self, batch: NDArray[Any]) -> list[Floats]:
        """One input batch → the network's outputs in order, each float32 and the caller's own."""
        self._request.infer([np.ascontiguousarray(batch)], share_inputs=True)
        return [np.array(tensor.data, np.float32) for tensor in self._request.output_tensors]


def takes_uint8(model: Any, mean: Sequence[float], scale: Sequence[float]) -> Any:
    """Move the change from uint8 (B, H, W, 3) to float32 (B, 3, H, W), minus ``mean``, by ``scale``, into the graph.

    ``mean`` and ``scale`` are for each RGB channel, of values in 0..255.
    """
    library = _library()
    steps = library.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(library.Type.u8).set_layout(library.Layout("NHWC"))
    steps.input().model().set_layout(library.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(library.Type.f32).mean(list(mean)).scale(list(scale))
    return steps.build()


def without_mvn(model: Any, environment: Mapping[str, str] = os.environ) -> Any:
    """Where oneDNN's instruction sets are limited (``ISA_LIMITS``), every MVN as the operations that it is made of.

    OpenVINO 2026.4 ends the process (SIGSEGV) in MVN on a processor with AVX-512 that is limited to AVX2. In place →
    the model: the same numbers, a few more nodes.
    """
    if not any(name in environment for name in ISA_LIMITS):
        return model
    for node in model.get_ordered_ops():
        if node.get_type_name() == "MVN":
            _replace_mvn(node)
    model.validate_nodes_and_infer_types()
    return model


def _replace_mvn(node: Any) -> None:
    opset13 = _library().opset13
    given, axes = (port.get_source_output() for port in node.inputs())
    about, shape = node.get_attributes(), given.get_partial_shape()
    sizes = [shape[int(axis)] for axis in axes.get_node().data]
    if any(size.is_dynamic for size in sizes):
        return
    share = opset13.constant(np.float32(1 / np.prod([size.get_length() for size in sizes])))

    def mean(of: Any) -> Any:  # ReduceMean would be made an MVN again
        return opset13.reduce_sum(opset13.multiply(of, share), axes, keep_dims=True)

    changed = opset13.subtract(given, mean(given))
    if about["normalize_variance"]:
        epsilon = opset13.constant(np.float32(about["eps"]))
        variance = mean(opset13.multiply(changed, changed))
        inside = about["eps_mode"].lower() == "inside_sqrt"
        deviation = (
            opset13.sqrt(opset13.add(variance, epsilon)) if inside else opset13.add(opset13.sqrt(variance), epsilon)
        )
        changed = opset13.divide(changed, deviation)
    changed.set_friendly_name(node.get_friendly_name())
    for reader in list(node.output(0).get_target_inputs()):
        reader.replace_source_output(changed.output(0))


def precision_notes(cache_dir: Path | None, file: Path) -> Path:
    """Where the fastest precision of the network in ``file`` is remembered."""
    return (cache_dir or default_cache_dir()) / "openvino" / f"{file.parent.name}-{file.stem}.precision"


def _library() -> Any:
    import openvino  # noqa: PLC0415 - 0.3 s that a process without a network should not pay

    return openvino


def _compile_fastest(model: Any, sample: NDArray[Any], threads: int, notes: Path | None) -> tuple[Any, Precision]:
    candidates = precision_candidates(cpu_flags())
    known = _read_note(notes)
    if known in candidates:
        candidates = (known,)
    timed = [(_compile(model, precision, threads), precision) for precision in candidates]
    if len(timed) == 1:
        return timed[0]
    best = min(timed, key=lambda pair: _median_time_s(pair[0], sample))
    _write_note(notes, best[1])
    return best


def _compile(model: Any, precision: Precision, threads: int) -> Any:
    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    if threads > 0:
        options["INFERENCE_NUM_THREADS"] = threads
    return _library().Core().compile_model(model, "CPU", options).create_infer_request()


def _median_time_s(request: Any, sample: NDArray[Any], repeats: int = 7) -> float:
    times = []
    for _ in range(repeats + 2):  # the first two allocate
        start = time.perf_counter()
        request.infer([sample], share_inputs=True)
        times.append(time.perf_counter() - start)
    return float(np.median(times[2:]))


def _note_key() -> str:
    return " ".join([version("openvino"), *sorted(cpu_flags() & {"amx_bf16", "avx512_bf16", "avx2", "avx512f"})])


def _read_note(notes: Path | None) -> Precision | None:
    if notes is None:
        return None
    try:
        value = json.loads(notes.read_text()).get(_note_key())
    except (OSError, ValueError, AttributeError):
        return None
    return str(value) if value else None


def _write_note(notes: Path | None, precision: Precision) -> None:
    """Best effort: a read-only cache only costs measuring again."""
    if notes is None:
        return
    try:
        notes.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(notes, json.dumps({_note_key(): precision}))
    except OSError:
        return


def converted(cache_dir: Path | None, name: str, key: Mapping[str, str], convert: Callable[[Path], None]) -> Path:
    """The folder with the result of ``convert(folder)`` for this ``key``: made at the first call, found at later ones.

    Raises DetectorError when the conversion fails or the folder cannot be written.
    """
    digest = hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()[:16]
    root = (cache_dir or default_cache_dir()) / "openvino"
    try:
        return kept_folder(root, f"{name}-{digest}", convert)
    except OSError as error:
        raise DetectorError(f"cannot write converted networks to {root}: {error.strerror or error}") from error


def run_statement(statement: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """Run one Python statement in a process of its own, so that what it imports (torch) leaves with it.

    ``arguments`` are its ``sys.argv[1:]``. Raises DetectorError with the end of its output when it fails.
    """
    try:
        run_python(["-c", statement, *arguments], timeout_s=CONVERSION_TIMEOUT_S, environment=environment)
    except ChildError as error:
        if error.timed_out:
            raise DetectorError(f"converting a network took more than {CONVERSION_TIMEOUT_S:.0f} s") from error
        raise DetectorError(f"converting a network failed:\n{error.tail(6)}") from error
