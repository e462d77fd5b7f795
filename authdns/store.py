"""What must survive a restart: one SQLite file in the state folder.

For now, what was last served of each zone, so that a secondary hears of a serial that rose while the server was down,
and a forgotten serial is noticed across restarts. Used by one thread at a time. A damaged file is set aside and begun
anew: everything in it can be found out again.
"""

import errno
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

FILE_NAME = "authdns.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS served (
    apex BLOB PRIMARY KEY,
    serial INTEGER NOT NULL,
    digest BLOB NOT NULL,
    announced INTEGER NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Served:
    """The highest serial published of a zone, the digest of its content, and whether every NOTIFY for it ended."""

    serial: int
    digest: bytes
    announced: bool


class Store:
    """Opens or creates the file. `set_aside` names the damaged file that was found, if one was. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "no right to write there")
        self.path = folder / FILE_NAME
        self.set_aside: Path | None = None
        try:
            self._database = self._open()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # no right, no space, locked: the file itself is whole
                raise OSError(f"cannot open {self.path}: {error}") from error
            self.set_aside = self.path.with_suffix(".damaged")
            os.replace(self.path, self.set_aside)
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=2.0)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            if database.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("quick_check failed")
            database.execute(_SCHEMA)
        except sqlite3.Error:
            database.close()
            raise
        return database

    def served(self, apex: bytes) -> Served | None:
        row = self._database.execute("SELECT serial, digest, announced FROM served WHERE apex = ?", (apex,)).fetchone()
        return None if row is None else Served(row[0], row[1], bool(row[2]))

    def record(self, apex: bytes, served: Served) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO served (apex, serial, digest, announced) VALUES (?, ?, ?, ?)",
            (apex, served.serial, served.digest, served.announced),
        )

    def announced(self, apex: bytes, serial: int) -> None:
        """Every NOTIFY for this serial has been answered or given up."""
        self._database.execute("UPDATE served SET announced = 1 WHERE apex = ? AND serial = ?", (apex, serial))

    def close(self) -> None:
        self._database.close()
