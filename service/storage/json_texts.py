"""Columns that hold a JSON list of texts, in conditions: each database has a function of its own for its elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.functions import FunctionElement


class _Elements(FunctionElement[Any]):
    """The elements of a JSON list, one a row, in a column ``value``."""

    name = "json_each"
    inherit_cache = True


@compiles(_Elements)
def _sqlite(element: _Elements, compiler: Any, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Elements, "postgresql")
def _postgresql(element: _Elements, compiler: Any, **options: Any) -> str:
    return f"json_array_elements_text({compiler.process(element.clauses, **options)})"


def any_of_json(column: InstrumentedAttribute[Any], wanted: Sequence[str]) -> ColumnElement[bool]:
    """→ whether the list in ``column`` (NULL: an empty one) has one of ``wanted``."""
    elements = _Elements(column).table_valued("value")
    return select(1).select_from(elements).where(elements.c.value.in_(wanted)).exists()


def elements_of(column: InstrumentedAttribute[Any], where: ColumnElement[bool]) -> Select[Any]:
    """→ every element of the lists in ``column`` of the rows that pass, one a row."""
    elements = _Elements(column).table_valued("value")
    return select(elements.c.value).select_from(column.class_).join(elements, true()).where(where)
