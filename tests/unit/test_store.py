"""The state file: it remembers, and a damaged one is set aside."""

import sqlite3
from pathlib import Path

import pytest

from authdns import store as stores
from authdns.store import FILE_NAME, Event, Keep, Lease, Life, Listed, Served, Store, read_events

APEX = b"\x07example\x03com\0"
OTHER = b"\x07example\x03net\0"
KEEP = Keep()


def test_what_was_recorded_is_there_after_opening_it_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "new" / "folder")
    assert store.served(APEX) is None
    store.record(APEX, Served(4294967295, b"digest", announced=False))
    store.close()
    store = Store(tmp_path / "new" / "folder")
    assert store.served(APEX) == Served(4294967295, b"digest", announced=False)
    store.announced(APEX, 1)
    assert store.served(APEX) == Served(4294967295, b"digest", announced=False)
    store.announced(APEX, 4294967295)
    assert store.served(APEX) == Served(4294967295, b"digest", announced=True)
    store.close()


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_file_is_set_aside_and_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    store = Store(tmp_path)
    assert store.set_aside is not None
    assert store.set_aside.read_bytes() == content
    assert store.served(APEX) is None
    store.close()


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        Store(tmp_path / "file" / "state")


def add(store: Store, before: int, after: int, *, at: int = 1000, octets: int = 10, keep: Keep = KEEP) -> None:
    store.add_delta(APEX, (before, after), f"{before}-{after}".encode().ljust(octets), at, keep)


def chain(store: Store, serial: int, until: int) -> list[str]:
    return [delta.decode().strip() for delta in store.history(APEX, serial, until)]


def test_history_leads_from_one_serial_to_another(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for before, after in ((1, 2), (2, 4_294_967_290), (4_294_967_290, 3)):
        add(store, before, after)
    store.add_delta(b"\3net\0", (2, 3), b"other", 1000, KEEP)
    assert chain(store, 1, 3) == ["1-2", "2-4294967290", "4294967290-3"]
    assert chain(store, 4_294_967_290, 3) == ["4294967290-3"]
    assert chain(store, 3, 3) == chain(store, 7, 3) == chain(store, 1, 5) == chain(store, 1, 2) == []
    store.close()
    store = Store(tmp_path)
    assert chain(store, 1, 3) == ["1-2", "2-4294967290", "4294967290-3"]
    store.forget_history(APEX)
    assert chain(store, 1, 3) == []
    assert store.history(b"\3net\0", 2, 3) == [b"other"]
    store.close()


def test_history_of_more_octets_than_wanted_is_not_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for serial in (1, 2, 3):
        add(store, serial, serial + 1, octets=10)
    assert len(store.history(APEX, 2, 4, most=20)) == 2
    assert store.history(APEX, 2, 4, most=19) == []
    assert store.history(APEX, 1, 4, most=29) == []
    assert store.history(APEX, 7, 4, most=29) == []
    store.close()


def test_history_that_does_not_lead_on_leads_nowhere(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for before, after in ((1, 2), (2, 3), (7, 8)):
        add(store, before, after)
    assert chain(store, 1, 3) == chain(store, 1, 8) == []
    assert chain(store, 7, 8) == ["7-8"]
    for before, after in ((8, 1), (1, 9)):
        add(store, before, after)
    assert chain(store, 7, 9) == ["7-8", "8-1", "1-9"]
    assert chain(store, 1, 9) == ["1-9"]
    store.close()


def test_history_is_bounded(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for serial in range(1, 8):
        add(store, serial, serial + 1, keep=Keep(versions=3))
    assert chain(store, 4, 8) == []
    assert chain(store, 5, 8) == ["5-6", "6-7", "7-8"]
    add(store, 8, 9, octets=50, keep=Keep(octets=65))
    assert chain(store, 7, 9) == ["7-8", "8-9"]
    assert chain(store, 6, 9) == []
    add(store, 9, 10, at=2001, keep=Keep(seconds=1000))
    assert chain(store, 9, 10) == ["9-10"]
    assert chain(store, 8, 10) == []
    add(store, 10, 11, octets=100, keep=Keep(octets=99))
    assert chain(store, 10, 11) == []
    store.close()


def test_the_lives_of_the_members_of_catalogs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    assert store.lives(APEX) == {}
    here, gone = Life(0, listed=True), Life(3, listed=False)
    store.record_lives(APEX, {b"a": here, b"b": gone}, 1)
    store.record_lives(b"other", {b"a": gone}, 1)
    assert store.lives(APEX) == {b"a": here, b"b": gone}
    store.record_lives(APEX, {b"a": gone}, 2)
    assert store.lives(APEX) == {b"a": gone, b"b": gone}
    monkeypatch.setattr(stores, "MAX_FORMER", 2)
    store.record_lives(APEX, {b"c": gone, b"d": here}, 3)
    assert store.lives(APEX) == {b"a": gone, b"c": gone, b"d": here}, "who went first is forgotten first"
    assert store.lives(b"other") == {b"a": gone}
    store.close()


def test_events_are_kept_in_their_order_and_bounded(tmp_path: Path) -> None:
    store = Store(tmp_path)
    events = [Event(APEX if number % 2 else OTHER, 1000 + number, "info", f"event {number}") for number in range(10)]
    store.add_events(events[:4], 1010, Keep(events=6))
    store.add_events(events[4:], 1010, Keep(events=6))
    assert read_events(tmp_path, None, 100) == events[4:]
    assert read_events(tmp_path, None, 2) == events[8:]
    assert read_events(tmp_path, APEX, 100) == [event for event in events[4:] if event.apex == APEX]
    store.add_events([Event(APEX, 1020, "error", "later")], 1020, Keep(seconds=12))
    assert [event.at for event in read_events(tmp_path, None, 100)] == [1008, 1009, 1020]
    store.close()
    with pytest.raises(FileNotFoundError):
        read_events(tmp_path / "elsewhere", None, 1)


# A lease of 1,000 seconds, given in the tenth minute after the machine was started.
LEASE = Lease(at=1_800_000_000, seconds=1000.0, boot="this", since_boot=600.0)


def later(seconds: float, *, clock: float | None = None, boot: str = "this", since_boot: float | None = None) -> Lease:
    """So many seconds later, by the clocks; `clock` is what the time of day says has passed."""
    at = LEASE.at + int(seconds if clock is None else clock)
    return Lease(at, 0.0, boot, LEASE.since_boot + seconds if since_boot is None else since_boot)


@pytest.mark.parametrize("seconds", [0, 1, 999.5, 1000, 5000])
@pytest.mark.parametrize("clock", [0, 10, -3600, -10 * 365 * 86400, 3600, 10 * 365 * 86400])
def test_while_the_machine_runs_the_time_of_day_does_not_matter_to_a_lease(seconds: float, clock: float) -> None:
    assert LEASE.left(later(seconds, clock=clock)) == 1000 - seconds


@pytest.mark.parametrize(
    ("clock", "left"),
    [
        (0, 1000),
        (400, 600),
        (1000, 0),
        (5000, -4000),
        (-1, 0),
        (-3600, 0),
        (-10 * 365 * 86400, 0),
        (1 << 33, 1000 - (1 << 33)),
    ],
)
@pytest.mark.parametrize("since_boot", [1.0, 600.0, 100_000.0])
def test_after_another_start_of_the_machine_a_clock_that_went_back_ends_a_lease(
    clock: float, left: float, since_boot: float
) -> None:
    assert LEASE.left(later(0, clock=clock, boot="other", since_boot=since_boot)) == left


def test_where_no_start_of_the_machine_is_known_from_another_only_the_time_of_day_counts() -> None:
    unknown = Lease(LEASE.at, 1000.0, "", 600.0)
    assert unknown.left(Lease(LEASE.at + 10, 0.0, "", 600.0)) == 990
    assert unknown.left(Lease(LEASE.at - 10, 0.0, "", 610.0)) == 0


def test_leases_are_kept_and_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.lease(APEX) is None
    store.keep_lease(APEX, LEASE)
    store.keep_lease(b"\3net\0", later(5, clock=1 << 33))
    store.keep_lease(APEX, longer := Lease(LEASE.at, 2000.5, "this", 601.25))
    store.close()
    store = Store(tmp_path)
    assert store.lease(APEX) == longer
    assert store.lease(b"\3net\0") == later(5, clock=1 << 33)
    store.forget(APEX)
    assert store.lease(APEX) is None
    assert store.lease(b"\3net\0") is not None
    store.close()


def test_what_the_catalogs_of_others_list(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.listed() == {}
    one = Listed(b"fleet", b"1", (b"eu", b"", b"\xff" * 255), b"other")
    two = Listed(b"fleet", b"2", (), None)
    store.record_listed({b"a": one, b"b": two, b"c": two}, [], [])
    for zone in (b"a", b"b", b"c"):
        store.record(zone, Served(1, b"", announced=True))
    store.record_listed({b"b": one}, [b"a", b"c"], [b"a", b"b"])
    store.close()
    store = Store(tmp_path)
    assert store.listed() == {b"b": one}
    assert [store.served(zone) is None for zone in (b"a", b"b", b"c")] == [True, True, False]
    store.close()


def test_of_a_zone_that_is_withdrawn_only_the_last_serial_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for apex in (APEX, OTHER):
        store.record(apex, Served(2, b"digest", announced=True))
        store.keep_content(apex, 1, b"records")
        store.add_delta(apex, (1, 2), b"delta", 0, KEEP)
    store.forget_versions(APEX)
    assert store.content(APEX) is None
    assert store.history(APEX, 1) == []
    assert store.served(APEX) == Served(2, b"digest", announced=True)
    assert store.content(OTHER) == (1, b"records")
    assert store.content_size(APEX) is None
    assert store.content_size(OTHER) == (1, len(b"records"))
    assert store.history(OTHER, 1) == [b"delta"]
    store.close()


def test_a_full_disk_is_said_to_be_one_and_ends_the_transaction(tmp_path: Path) -> None:
    """SQLite rolls back by itself then, and there is nothing more to roll back."""
    store = Store(tmp_path)
    store._database.execute("PRAGMA max_page_count = 30")
    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        add(store, 1, 2, octets=1 << 20)
    assert chain(store, 1, 2) == []
    with store.transaction():
        store.record(APEX, Served(2, b"", announced=False))
    store.close()
    store = Store(tmp_path)
    assert store.served(APEX) == Served(2, b"", announced=False)
    store.close()
