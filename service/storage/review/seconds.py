"""Times of rows in conditions: whole seconds, and what clocks show then. Each database rounds in a way of its own."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, and_, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.functions import FunctionElement

from service.local_time.time_of_day import DAY_S, TimeOfDay
from service.local_time.zones import pieces


class Whole(FunctionElement[int]):
    """A time that is not negative, without its fraction."""

    name = "whole"
    type = BigInteger()
    inherit_cache = True


@compiles(Whole)
def _sqlite(element: Whole, compiler: Any, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS INTEGER)"


@compiles(Whole, "postgresql")
def _postgresql(element: Whole, compiler: Any, **options: Any) -> str:
    return f"CAST(FLOOR({compiler.process(element.clauses, **options)}) AS BIGINT)"


def in_time_of_day(
    column: InstrumentedAttribute[float], wanted: TimeOfDay, zone: ZoneInfo, span: tuple[float, float]
) -> ColumnElement[bool]:
    """→ whether clocks in the zone show such a time then. ``span``: Unix times between which all rows lie."""
    found = pieces(zone, *span)
    conditions = []
    for place, piece in enumerate(found):
        within = [_lies_in((Whole(column) + piece.offset_s) % DAY_S, wanted)]
        if place > 0:
            within.append(column >= piece.begin)
        if place < len(found) - 1:
            within.append(column < piece.end)
        conditions.append(and_(*within))
    return or_(*conditions)


def _lies_in(second: ColumnElement[int], wanted: TimeOfDay) -> ColumnElement[bool]:
    from_on, until = second >= wanted.begin_s, second < wanted.end_s
    return and_(from_on, until) if wanted.begin_s < wanted.end_s else or_(from_on, until)
