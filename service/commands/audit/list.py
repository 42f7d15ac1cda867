"""``actoscope audit list``: the newest rows, for people or as JSON lines."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import datetime

from service.commands.audit.stored import with_database
from service.commands.printing import say, show_table
from service.storage.access.audit import AuditFilter, AuditRecord, list_audit
from service.storage.records import MAX_PAGE
from service.wire_messages import rfc3339


def _moment(text: str) -> float:
    """RFC 3339 with an offset → Unix seconds."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"expected a time such as 2026-05-04T03:02:01Z, got {text}")
    return moment.timestamp()


def _rows(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MAX_PAGE:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {MAX_PAGE}, got {text}")
    return int(text)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=_rows, default=50, metavar="N", help=f"rows, at most {MAX_PAGE} (default: 50)")
    parser.add_argument("--principal", action="append", default=[], help="kind:id, id or name; may be repeated")
    parser.add_argument("--action", action="append", default=[], help="as streams:write, login; may be repeated")
    parser.add_argument("--result", action="append", default=[], choices=["ok", "refused", "failed"])
    parser.add_argument("--since", type=_moment, metavar="TIME", help="from this time on (RFC 3339)")
    parser.add_argument("--until", type=_moment, metavar="TIME", help="before this time (RFC 3339)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(arguments: argparse.Namespace) -> int:
    """Newest first. Raises ServiceError."""
    wanted = AuditFilter(
        arguments.principal, arguments.action, arguments.result, since=arguments.since, until=arguments.until
    )
    page = with_database(lambda database: list_audit(database, wanted, None, arguments.limit))
    if arguments.json:
        for record in page.items:
            say(json.dumps({**asdict(record), "at": rfc3339(record.at)}, ensure_ascii=False))
    else:
        show_table([_HEADING, *map(_row, page.items)])
    return 0


_HEADING = ("id", "time", "principal", "address", "action", "object", "result", "detail")


def _row(record: AuditRecord) -> tuple[str, ...]:
    detail = " ".join(f"{name}={value}" for name, value in record.detail.items())
    who = (record.principal, record.address or "-", record.action, record.object, record.result)
    return tuple(map(_one_line, (str(record.id), rfc3339(record.at), *who, detail)))


def _one_line(text: str) -> str:
    """What strangers typed into a log-in must not move the cursor of whoever reads it."""
    return "".join(sign if sign.isprintable() else "�" for sign in text)
