from __future__ import annotations

import pytest

from models.conversion.formats import FORMATS, checked_precision, folder_name
from models.errors import ExportError
from models.weights.export_record import ExportFormat


def test_formats_name_their_precisions_and_folders() -> None:
    assert set(FORMATS) == set(ExportFormat)
    litert, onnx = FORMATS[ExportFormat.LITERT], FORMATS[ExportFormat.ONNX]
    assert (checked_precision(litert, None), checked_precision(litert, "int8")) == ("f32", "int8")
    assert (folder_name(litert, "f16"), folder_name(onnx, "f32")) == ("litert-f16", "onnx")
    with pytest.raises(ExportError, match="onnx comes in f32; got 'int8'"):
        checked_precision(onnx, "int8")
