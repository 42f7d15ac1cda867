"""Tables as people make them: CSV files that an editor, a spreadsheet or a script has saved, read as they are meant.

UTF-8, UTF-16 and UTF-32, with a byte order mark or without, and Windows-1252 ("ANSI"); commas, semicolons, tabs or
strokes; a first line ``sep=;``; headings in any case and in any order; empty rows, and empty cells at a row's end.
"""

from __future__ import annotations

import codecs
import csv
import io
import logging
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.data.class_names import tidy
from models.errors import DatasetError

_LOG = logging.getLogger(__name__)
_SEPARATORS = ",;\t|"
_BYTE_ORDER_MARKS = (  # the longer first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # xlsx and ods; xls
# 1.000 may be one or a thousand; nobody writes frames or people of more than nine digits
_WHOLE = re.compile(r"\+?(\d{1,9})([.,](0{1,2}|0{4,}))?")
_NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_FAILED_FORMULAS = ("#REF!", "#N/A", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row. ``where``: file and line. ``cells``: by the column's name, as they stand there."""

    where: str
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """The cell without blanks around and anything invisible; empty where there is none.

        Raises ValueError, which names the column, for what a failed formula left.
        """
        found = tidy(self.cells.get(column, ""))
        if found.upper() in _FAILED_FORMULAS:
            raise ValueError(f"column {column}: expected text, got {found}, a formula that failed")
        return found

    def whole_number(self, column: str, empty: int | None = None) -> int:
        """A number from 0 on, also written 1.0 or 1,0. An empty cell is ``empty``.

        Raises ValueError, which names the column.
        """
        found = self.text(column)
        if not found and empty is not None:
            return empty
        match = _WHOLE.fullmatch(found)
        if match is None:
            raise ValueError(f"column {column}: expected a whole number, got {found or 'an empty cell'!r}")
        return int(match[1])

    def number(self, column: str, empty: float | None = None) -> float:
        """Any finite number, its point also written as a comma. An empty cell is ``empty``.

        Raises ValueError, which names the column.
        """
        found = self.text(column)
        if not found and empty is not None:
            return empty
        value = float(found.replace(",", ".")) if _NUMBER.fullmatch(found) else math.nan
        if not math.isfinite(value):
            raise ValueError(f"column {column}: expected a number, got {found or 'an empty cell'!r}")
        return value


def named_cell(row: TableRow, column: str) -> str:
    """The name of a file or video, with all its characters. Raises ValueError, which names the column: empty."""
    if not row.text(column):
        raise ValueError(f"column {column}: expected the name of a video, got an empty cell")
    return row.cells[column].strip()


def read_table(
    path: Path,
    columns: Sequence[str],
    required: Collection[str],
    other_names: Mapping[str, str] | None = None,
    *,
    comments: bool = False,
    exact: bool = False,
) -> Iterator[TableRow]:
    """→ the rows in their order, line by line, those without any content left out.

    ``other_names``: what else a column may be called → its name. ``comments``: lines that begin with ``#`` are none.
    ``exact``: blanks behind a separator belong to the cell, as a program wrote it.
    Raises DatasetError with file and line: no text, a ``required`` column missing or named twice, a row with more cells
    than there are headings, a quotation mark that is not closed.
    """
    text = _decoded(path)
    lines, separator = _without_sep_line(text)
    known = {name: name for name in columns} | dict(other_names or {})
    rows = _split_rows(lines, path, separator, known, comments=comments, exact=exact)
    line, headings = next(rows, (1, []))
    names = [known.get(_heading(cell), _heading(cell)) for cell in headings]
    _check_headings(names, columns, required, path)
    for line, cells in rows:
        if any(tidy(cell) for cell in cells[len(names) :]):
            raise DatasetError(
                f"{path}:{line}: {len(cells)} cells, the headings are {len(names)}: a cell with the separator in it "
                f"needs quotation marks; got {' | '.join(cells)}"
            )
        padded = [*cells, *[""] * (len(names) - len(cells))]
        yield TableRow(f"{path}:{line}", dict(zip(names, padded, strict=False)))


def _check_headings(names: Sequence[str], columns: Sequence[str], required: Collection[str], path: Path) -> None:
    missing = [name for name in columns if name in required and name not in names]
    if missing:
        raise DatasetError(
            f"{path} lacks the columns {', '.join(missing)}; expected {', '.join(columns)}, got "
            f"{', '.join(name for name in names if name) or 'none'}"
        )
    twice = sorted({name for name in names if name in columns and names.count(name) > 1})
    if twice:
        raise DatasetError(f"{path} has two columns {', '.join(twice)}; expected one of each")


def _heading(cell: str) -> str:
    return re.sub(r"[\s\-_]+", "_", tidy(cell).casefold()).strip("_")


def _decoded(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    if data.startswith(_WORKBOOKS):
        raise DatasetError(f"{path} is a workbook of a spreadsheet, not a table of text: save it as CSV (UTF-8)")
    encoding = _encoding(data)
    try:
        text = data.decode(encoding).removeprefix("\ufeff") if encoding else _without_unicode(data, path)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DatasetError(f"{path}:{line}: cannot be read as {encoding}: save it as CSV (UTF-8)") from error
    if "\0" in text:
        raise DatasetError(f"{path}:{text[: text.index(chr(0))].count(chr(10)) + 1}: binary data, expected text")
    return text


def _encoding(data: bytes) -> str:
    """→ the name of a Unicode encoding, empty where it is none."""
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return name
    head = data[:4096]
    for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if len(head) >= 2 and zeros.count(0) > 0.4 * len(zeros) and head.count(0) < 0.7 * len(head):
            return name
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "utf-8"


def _without_unicode(data: bytes, path: Path) -> str:
    """Windows-1252, unless the rest of the file is UTF-8: then one place is damaged, and nothing can be meant by it."""
    plain = data.decode("utf-8", "replace")
    line = plain[: plain.index("\ufffd")].count("\n") + 1
    if any(not letter.isascii() and letter != "\ufffd" for letter in plain):
        raise DatasetError(f"{path}:{line}: neither UTF-8 nor another encoding throughout: save it as CSV (UTF-8)")
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}:{line}: neither UTF-8 nor Windows-1252: save it as CSV (UTF-8)") from error
    sample = re.search(r"\w*[^\x00-\x7f]\w*", text)
    _LOG.warning("%s is not UTF-8, and read as Windows-1252: %r", path, sample[0] if sample else "")
    return text


def _without_sep_line(text: str) -> tuple[list[str], str]:
    """→ the lines with their ends, and the separator that a first line ``sep=;`` names; the line is emptied."""
    lines = list(io.StringIO(text, newline=""))
    match = re.fullmatch(r'"?sep=([^\w\s"]|\t)"?[,;\t]*\s*', lines[0], re.IGNORECASE) if lines else None
    if match is None:
        return lines, ""
    return ["\n", *lines[1:]], match[1]


def _split_rows(
    lines: Sequence[str], path: Path, separator: str, known: Collection[str], *, comments: bool, exact: bool
) -> Iterator[tuple[int, list[str]]]:
    """→ line (from 1) and cells of every row that has content, the headings first."""
    kept = ["\n" if comments and line.startswith("#") else line for line in lines]
    first = next((line for line in kept if tidy(line.strip(_SEPARATORS + '" \r\n'))), "")
    delimiter = _separator(first, separator, known)
    reader = csv.reader(kept, delimiter=delimiter, strict=True, skipinitialspace=not exact)
    begin = 1
    try:
        for cells in reader:
            if any(tidy(cell) for cell in cells):
                yield begin, cells
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DatasetError(f"{path}:{begin}: a row that cannot be taken apart: {error}") from error


def _separator(headings: str, named: str, known: Collection[str]) -> str:
    """What parts the headings into most names that are known; of equals what the file names, then the comma."""

    def recognised(separator: str) -> int:
        return sum(_heading(cell.strip('"')) in known for cell in headings.split(separator))

    return max(dict.fromkeys(named + _SEPARATORS), key=recognised)
