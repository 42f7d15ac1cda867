"""Stands in for the package ``lap``, which ultralytics' trackers import and nothing here installs."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def lapjv(cost: Floats, extend_cost: bool = True, cost_limit: float = np.inf) -> tuple[float, Indices, Indices]:
    """(N, M) costs → the sum, each row's column, each column's row; -1 for who stays alone.

    As ``lap.lapjv``: everybody may stay alone for half the limit, so no pair costs more than it.
    Raises ValueError without a finite limit, which no tracker here asks for.
    """
    if not extend_cost or not np.isfinite(cost_limit):
        raise ValueError("expected extend_cost and a finite cost_limit")
    rows, columns = cost.shape
    whole = np.full((rows + columns, rows + columns), cost_limit / 2)
    whole[:rows, :columns] = cost
    whole[rows:, columns:] = 0.0
    by_row, by_column = np.full(rows, -1, np.intp), np.full(columns, -1, np.intp)
    for row, column in zip(*linear_sum_assignment(whole), strict=True):
        if row < rows and column < columns:
            by_row[row], by_column[column] = column, row
    paired = np.flatnonzero(by_row >= 0)
    return float(cost[paired, by_row[paired]].sum()), by_row, by_column


def install() -> str:
    """Puts the stand-in where ``import lap`` finds it, unless ``lap`` is there. → which one it is."""
    if importlib.util.find_spec("lap") is not None:
        return "lap"
    module: Any = ModuleType("lap")
    module.lapjv, module.__version__ = lapjv, "0.5.12"  # the oldest that ultralytics takes
    sys.modules["lap"] = module
    return "scipy in the place of lap"
