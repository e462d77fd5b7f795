"""What must survive a restart: one SQLite file in the state folder.

What was last served of each zone, so that a secondary hears of a serial that rose while the server was down, and a
forgotten serial is noticed across restarts; its records, for a start at which the zone file is broken; its history,
what changed from version to version, for IXFR; until when a secondary zone may be served; which zones each catalog
made here lists and listed; and which zones are served because a catalog of somebody else lists them.

A commit survives the end of this process at any moment (of the machine too, but for the last moments before it:
synchronous=NORMAL). One thread writes, and a second connection reads, for another thread. A damaged file is set aside
and begun anew: everything in it can be found out again.
"""

import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

MAX_JOURNAL_OCTETS = 64 << 20  # of the -wal file when it is at rest
FILE_NAME = "authdns.sqlite"
MAX_FORMER = 100_000  # zones that a catalog listed once; one that is forgotten and comes back has its first label again
_SCHEMA = """
CREATE TABLE IF NOT EXISTS served (
    apex BLOB PRIMARY KEY,
    serial INTEGER NOT NULL,
    digest BLOB NOT NULL,
    announced INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history (
    number INTEGER PRIMARY KEY,
    apex BLOB NOT NULL,
    before INTEGER NOT NULL,
    after INTEGER NOT NULL,
    at INTEGER NOT NULL,
    delta BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS contents (
    apex BLOB PRIMARY KEY,
    serial INTEGER NOT NULL,
    records BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS leases (
    apex BLOB PRIMARY KEY,
    at INTEGER NOT NULL,
    seconds REAL NOT NULL,
    boot TEXT NOT NULL,
    since_boot REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS members (
    catalog BLOB NOT NULL,
    zone BLOB NOT NULL,
    life INTEGER NOT NULL,
    gone_at INTEGER,
    PRIMARY KEY (catalog, zone)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY,
    apex BLOB NOT NULL,
    at INTEGER NOT NULL,
    level TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of ON events (apex, number);
CREATE TABLE IF NOT EXISTS listed (
    zone BLOB PRIMARY KEY,
    catalog BLOB NOT NULL,
    label BLOB NOT NULL,
    groups BLOB NOT NULL,
    coo BLOB
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS history_of ON history (apex, number);
"""
# The rows of a zone from the last one that leads on from a serial. Deltas of those before it are not read.
_FROM_SERIAL = (
    "FROM history WHERE apex = ?1 AND number >= (SELECT max(number) FROM history WHERE apex = ?1 AND before = ?2)"
)
# Of these the file is innocent: no right, no space, locked.
_NO_DAMAGE = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_AUTH,
}


def _columns(database: sqlite3.Connection) -> set[tuple[str, str]]:
    """Of all tables."""
    tables = "SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns"
    return set(database.execute(f"{tables} WHERE tables.type = 'table'"))


def _expected() -> set[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(_SCHEMA)
        return _columns(database)


_EXPECTED = _expected()


@dataclass(frozen=True, slots=True)
class Served:
    """The highest serial published of a zone, the digest of its content, and whether every NOTIFY for it ended."""

    serial: int
    digest: bytes
    announced: bool


@dataclass(frozen=True, slots=True)
class Lease:
    """A secondary zone may be served for `seconds` from the moment at which its primary confirmed it. That moment in
    two clocks: `at` in seconds since 1970, `since_boot` in seconds after the start of the machine that `boot` names."""

    at: int
    seconds: float
    boot: str
    since_boot: float

    def left(self, now: "Lease") -> float:
        """How many seconds of it are left `now`. The clock of one run of the machine is never set. After another start
        of it there is the time of day alone; if that went back, nobody knows how long it has been, and the lease is
        over: a clock that is set back prolongs no zone's life."""
        if self.boot and self.boot == now.boot:
            return self.seconds - (now.since_boot - self.since_boot)
        return self.seconds - (now.at - self.at) if now.at >= self.at else 0.0


@dataclass(frozen=True, slots=True)
class Life:
    """How often a zone was removed from a catalog and added again, and whether the catalog lists it now."""

    number: int
    listed: bool


class Event(NamedTuple):
    """Something that happened to a zone, as the log has it; `at` in seconds since 1970."""

    apex: bytes
    at: int
    level: str
    text: str


class Listed(NamedTuple):
    """A zone that is served because `catalog` lists it: as what (zone/catalog.Member)."""

    catalog: bytes
    label: bytes
    groups: tuple[bytes, ...]
    coo: bytes | None


@dataclass(frozen=True, slots=True)
class Keep:
    """How much of the history of each zone is kept: versions, their age, and octets of deltas; and how many events of
    all zones together, which become no older."""

    versions: int = 100
    seconds: int = 30 * 24 * 3600
    octets: int = 64 << 20
    events: int = 10_000


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
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter is about a message that quotes damage
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NO_DAMAGE:
                raise OSError(f"cannot open {self.path}: {error}") from error
            self.set_aside = self.path.with_suffix(".damaged")
            os.replace(self.path, self.set_aside)
            for suffix in ("-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            self._database = self._open()
        self._reader = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode=ro",
            uri=True,
            check_same_thread=False,
            isolation_level=None,
            timeout=0.1,
        )

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=2.0)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute(f"PRAGMA journal_size_limit={MAX_JOURNAL_OCTETS}")
            if database.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("quick_check failed")
            database.executescript(_SCHEMA)
            if not _EXPECTED.issubset(_columns(database)):  # CREATE passes over any table of that name
                raise sqlite3.DatabaseError("its tables are not ours")
        except (sqlite3.Error, UnicodeDecodeError):
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

    def add_delta(self, apex: bytes, serials: tuple[int, int], delta: bytes, now: int, keep: Keep) -> None:
        """What changed between two versions; what is more than is to be kept is forgotten, oldest first. `now` in
        seconds since 1970."""
        database = self._database
        with self.transaction():
            database.execute(
                "INSERT INTO history (apex, before, after, at, delta) VALUES (?, ?, ?, ?, ?)",
                (apex, *serials, now, delta),
            )
            octets = 0
            rows = database.execute(
                "SELECT number, at, length(delta) FROM history WHERE apex = ? ORDER BY number DESC", (apex,)
            ).fetchall()
            for place, (number, at, length) in enumerate(rows):
                octets += length
                if place >= keep.versions or now - at > keep.seconds or octets > keep.octets:
                    database.execute("DELETE FROM history WHERE apex = ? AND number <= ?", (apex, number))
                    break

    def forget_history(self, apex: bytes) -> None:
        """It does not lead to what is served now."""
        self._database.execute("DELETE FROM history WHERE apex = ?", (apex,))

    def history(
        self, apex: bytes, serial: int, until: int | None = None, *, uncommitted: bool = False, most: int | None = None
    ) -> list[bytes]:
        """The deltas from one serial to another (None: as far as they lead), in order; none if they do not reach, or
        have more than `most` octets, in which case they are not read. For any thread; with those that are
        `uncommitted`, for the one that writes."""
        found: list[bytes] = []
        reached = serial
        database = self._database if uncommitted else self._reader
        if most is not None:
            (octets,) = database.execute(f"SELECT total(length(delta)) {_FROM_SERIAL}", (apex, serial)).fetchone()
            if octets > most:
                return []
        rows = database.execute(f"SELECT before, after, delta {_FROM_SERIAL} ORDER BY number", (apex, serial))
        for before, after, delta in rows:
            if before != reached:
                return []
            found.append(delta)
            reached = after
        return found if until in (None, reached) else []

    def keep_content(self, apex: bytes, serial: int, records: bytes) -> None:
        """All records of a version; what changed since then is in the history."""
        self._database.execute(
            "INSERT OR REPLACE INTO contents (apex, serial, records) VALUES (?, ?, ?)", (apex, serial, records)
        )

    def forget_content(self, apex: bytes) -> None:
        """Something else keeps the zone."""
        self._database.execute("DELETE FROM contents WHERE apex = ?", (apex,))

    def content(self, apex: bytes) -> tuple[int, bytes] | None:
        """(serial, records) as they were kept. For the thread that writes."""
        found: tuple[int, bytes] | None = self._database.execute(
            "SELECT serial, records FROM contents WHERE apex = ?", (apex,)
        ).fetchone()
        return found

    def content_size(self, apex: bytes) -> tuple[int, int] | None:
        """(serial, octets of the records) as they were kept; they are not read. For the thread that writes."""
        found: tuple[int, int] | None = self._database.execute(
            "SELECT serial, length(records) FROM contents WHERE apex = ?", (apex,)
        ).fetchone()
        return found

    def keep_lease(self, apex: bytes, lease: Lease) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO leases (apex, at, seconds, boot, since_boot) VALUES (?, ?, ?, ?, ?)",
            (apex, lease.at, lease.seconds, lease.boot, lease.since_boot),
        )

    def lease(self, apex: bytes) -> Lease | None:
        row = self._database.execute("SELECT at, seconds, boot, since_boot FROM leases WHERE apex = ?", (apex,))
        found = row.fetchone()
        return None if found is None else Lease(*found)

    def forget_versions(self, apex: bytes) -> None:
        """What was served last is still to be remembered, so that a serial that goes back is noticed."""
        with self.transaction():
            self.forget_history(apex)
            self.forget_content(apex)

    def forget_lease(self, apex: bytes) -> None:
        """It has a zone file now."""
        self._database.execute("DELETE FROM leases WHERE apex = ?", (apex,))

    def add_events(self, events: Sequence[Event], now: int, keep: Keep) -> None:
        """The oldest are forgotten. `now` in seconds since 1970."""
        with self.transaction():
            self._database.executemany("INSERT INTO events (apex, at, level, text) VALUES (?, ?, ?, ?)", events)
            self._database.execute(
                "DELETE FROM events WHERE at < ? OR number <= (SELECT max(number) FROM events) - ?",
                (now - keep.seconds, keep.events),
            )

    def forget(self, apex: bytes) -> None:
        """Everything about a zone that is no longer configured."""
        with self.transaction():
            for table in ("served", "history", "contents", "leases"):
                self._database.execute(f"DELETE FROM {table} WHERE apex = ?", (apex,))

    def lives(self, catalog: bytes) -> dict[bytes, Life]:
        """Of each zone that a catalog of ours lists or listed."""
        rows = self._database.execute("SELECT zone, life, gone_at FROM members WHERE catalog = ?", (catalog,))
        return {zone: Life(number, gone_at is None) for zone, number, gone_at in rows}

    def record_lives(self, catalog: bytes, changed: Mapping[bytes, Life], now: int) -> None:
        """`now` in seconds since 1970. Of the zones that are no longer listed, MAX_FORMER are remembered, the last."""
        rows = [(catalog, zone, life.number, None if life.listed else now) for zone, life in changed.items()]
        with self.transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO members (catalog, zone, life, gone_at) VALUES (?, ?, ?, ?)", rows
            )
            self._database.execute(
                "DELETE FROM members WHERE catalog = ?1 AND zone IN (SELECT zone FROM members WHERE catalog = ?1 AND "
                "gone_at IS NOT NULL ORDER BY gone_at DESC, zone LIMIT -1 OFFSET ?2)",
                (catalog, MAX_FORMER),
            )

    def listed(self) -> dict[bytes, Listed]:
        """The zones that are served because somebody else's catalogs list them."""
        rows = self._database.execute("SELECT zone, catalog, label, groups, coo FROM listed")
        return {zone: Listed(catalog, label, _unpack(groups), coo) for zone, catalog, label, groups, coo in rows}

    def record_listed(
        self, changed: Mapping[bytes, Listed], dropped: Iterable[bytes], forgotten: Iterable[bytes]
    ) -> None:
        """Zones that are listed now, or otherwise than before; those that are `dropped` from there; and those whose
        state must be `forgotten`, listed or not: all of it or nothing."""
        rows = [(zone, each.catalog, each.label, _pack(each.groups), each.coo) for zone, each in changed.items()]
        with self.transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO listed (zone, catalog, label, groups, coo) VALUES (?, ?, ?, ?, ?)", rows
            )
            self._database.executemany("DELETE FROM listed WHERE zone = ?", [(zone,) for zone in dropped])
            for zone in forgotten:
                self.forget(zone)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing; one inside another belongs to it."""
        if self._database.in_transaction:
            yield
            return
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # where the disk is full, SQLite has rolled back by itself
                self._database.execute("ROLLBACK")
            raise

    def close(self) -> None:
        self._reader.close()
        self._database.close()


def read_events(folder: Path, apex: bytes | None, most: int) -> list[Event]:
    """The last events, of one zone or of all, the oldest first; beside the server, which may be running. Raises
    OSError."""
    path = folder / FILE_NAME
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    which, values = ("", ()) if apex is None else ("WHERE apex = ? ", (apex,))
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=2.0)) as database:
            rows = database.execute(
                f"SELECT apex, at, level, text FROM events {which}ORDER BY number DESC LIMIT ?", (*values, most)
            ).fetchall()
    except sqlite3.Error as error:
        raise OSError(f"cannot read {path}: {error}") from error
    return [Event(*row) for row in reversed(rows)]


def _pack(groups: Iterable[bytes]) -> bytes:
    """Texts of at most 255 octets, each behind its length."""
    return b"".join(bytes((len(group),)) + group for group in groups)


def _unpack(octets: bytes) -> tuple[bytes, ...]:
    found = []
    while octets:
        end = 1 + octets[0]
        found.append(octets[1:end])
        octets = octets[end:]
    return tuple(found)
