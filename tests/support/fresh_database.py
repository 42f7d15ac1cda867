"""A new database as the service's first start makes it: migrated once a test process, copied for whoever needs one."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from service.storage.database import make_engine, migrate


def fresh_database(data_dir: Path) -> Path:
    """→ the SQLite file that the service looks for in this data folder; both are made, where they are not there yet."""
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / "actoscope.db"
    if not path.exists():
        path.write_bytes(_migrated())
    return path


def fresh_url(data_dir: Path) -> str:
    """→ the same for SQLAlchemy."""
    return f"sqlite:///{fresh_database(data_dir)}"


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "actoscope.db"
        engine = make_engine(f"sqlite:///{path}")
        migrate(engine)
        engine.dispose()  # what stands in the write-ahead log comes into the file with the last connection's end
        return path.read_bytes()
