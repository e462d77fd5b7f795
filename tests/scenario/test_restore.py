"""A zone file that is broken when the server starts: what was published last is served, and the log says so."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from authdns.answer.executor import COMPILE_WHOLE_NAMES
from authdns.server import zones
from authdns.store import FILE_NAME
from tests.peers import axfr, wait_until
from tests.scenario.tools import (
    SECONDS,
    LocalServer,
    addresses_of,
    hosts,
    over_udp,
    question,
    rcode,
    write_zone,
)

SERVFAIL = 2
RESTORED = "not loaded because of errors; serial {serial} is served, which was published last"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_zone(tmp_path / "zone", 1, "www A 192.0.2.1", "Other TXT one")


def server(tmp_path: Path, file: Path) -> LocalServer:
    zone = {"zone": "example.com", "file": str(file), "allow-transfer": "127.0.0.1"}
    return LocalServer(tmp_path / "server", [zone])


def serves(running: LocalServer, address: str) -> None:
    wait_until(lambda: addresses_of(running.endpoint, "www.example.com") == {address}, address, SECONDS)


def spoil(file: Path, how: str) -> None:
    if how == "gone":
        file.unlink()
    else:
        file.write_text(file.read_text() + "www A 192.0.2.256\n")


@pytest.mark.parametrize("how", ["broken", "gone"])
@pytest.mark.parametrize("edits", [0, 1, 3])
def test_what_was_published_last_is_served(how: str, edits: int, tmp_path: Path, file: Path) -> None:
    with server(tmp_path, file) as running:
        serves(running, "192.0.2.1")
        for number in range(2, 2 + edits):
            write_zone(file, number, f"www A 192.0.2.{number}", f"x{number} TXT more")
            serves(running, f"192.0.2.{number}")
        before = axfr(running.endpoint, "example.com")
    spoil(file, how)
    for _ in range(2):
        with server(tmp_path, file) as running:
            serves(running, f"192.0.2.{1 + edits}")
            running.wait_for_log(RESTORED.format(serial=1 + edits))
            assert axfr(running.endpoint, "example.com") == before
    with server(tmp_path, file) as running:
        serves(running, f"192.0.2.{1 + edits}")
        write_zone(file, 9, "www A 192.0.2.9")
        serves(running, "192.0.2.9")
        running.wait_for_log("loaded serial 9")


def test_a_version_with_a_forgotten_serial_too(tmp_path: Path, file: Path) -> None:
    with server(tmp_path, file) as running:
        serves(running, "192.0.2.1")
        write_zone(file, 1, "www A 192.0.2.2")
        serves(running, "192.0.2.2")
        running.wait_for_log("the content changed but the serial is still 1")
    spoil(file, "broken")
    with server(tmp_path, file) as running:
        serves(running, "192.0.2.2")


def test_a_large_zone_too(tmp_path: Path) -> None:
    many = hosts(COMPILE_WHOLE_NAMES + 1)
    file = write_zone(tmp_path / "zone", 1, "www A 192.0.2.1", *many)
    with server(tmp_path, file) as running:
        serves(running, "192.0.2.1")
        write_zone(file, 2, "www A 192.0.2.2", *many)
        serves(running, "192.0.2.2")
        before = axfr(running.endpoint, "example.com")
        wait_until(lambda: kept(tmp_path), "what is kept", SECONDS)
    spoil(file, "broken")
    with server(tmp_path, file) as running:
        serves(running, "192.0.2.2")
        running.wait_for_log(RESTORED.format(serial=2))
        assert axfr(running.endpoint, "example.com") == before


def kept(tmp_path: Path) -> bool:
    if list(tmp_path.rglob("*.image")):
        return True
    with sqlite3.connect(tmp_path / "server" / "state" / FILE_NAME) as database:
        return bool(database.execute("SELECT 1 FROM contents").fetchone())


@pytest.mark.parametrize("what", ["contents", "history"])
def test_what_cannot_be_restored_is_not_served(what: str, tmp_path: Path, file: Path) -> None:
    with server(tmp_path, file) as running:
        serves(running, "192.0.2.1")
        write_zone(file, 2, "www A 192.0.2.2")
        serves(running, "192.0.2.2")
        running.wait_for_log("loaded serial 2")
    column = "records" if what == "contents" else "delta"
    with sqlite3.connect(tmp_path / "server" / "state" / FILE_NAME) as database:
        assert database.execute(f"UPDATE {what} SET {column} = x'00'").rowcount == 1
    spoil(file, "broken")
    with server(tmp_path, file) as running:
        running.wait_for_log("what was published last cannot be restored: records are")
        running.wait_for_log("queries get SERVFAIL")
        assert rcode(over_udp(running.endpoint, question("www.example.com"))) == SERVFAIL


def test_a_zone_that_was_small_and_one_that_was_large(tmp_path: Path) -> None:
    """Neither what was kept of the small one nor of the large one is taken for what was published last."""
    many = hosts(COMPILE_WHOLE_NAMES + 1)
    file = write_zone(tmp_path / "zone", 1, "www A 192.0.2.1")
    for serial, more in ((2, many), (3, [])):
        with server(tmp_path, file) as running:
            serves(running, f"192.0.2.{serial - 1}")
            write_zone(file, serial, f"www A 192.0.2.{serial}", *more)
            serves(running, f"192.0.2.{serial}")
            wait_until(lambda: kept(tmp_path), "what is kept", SECONDS)
            running.wait_for_log(f"loaded serial {serial}")
        good = file.read_text()
        spoil(file, "broken")
        with server(tmp_path, file) as running:
            serves(running, f"192.0.2.{serial}")
        file.write_text(good)


def test_what_cannot_be_served_again_keeps_no_other_zone_from_being_read(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server(tmp_path, file) as running:
        serves(running, "192.0.2.1")
        wait_until(lambda: published(tmp_path), "it is in the store", SECONDS)
    spoil(file, "broken")

    def fail(zone: object) -> bytes:
        raise MemoryError("a fault of ours")

    monkeypatch.setattr(zones, "content_digest", fail)
    other = write_zone(tmp_path / "other", 1, "www A 192.0.2.1", "Other TXT one")
    entries = [{"zone": "example.com", "file": str(file)}, {"zone": "example.net", "file": str(other)}]
    with LocalServer(tmp_path / "server", entries) as running:
        running.wait_for_log("what was published last cannot be served again")
        running.wait_for_log("zone example.net/IN: loaded serial 1")
        assert rcode(over_udp(running.endpoint, question("www.example.com"))) == SERVFAIL


def published(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / "server" / "state" / FILE_NAME)) as database:
        return bool(database.execute("SELECT count(*) FROM contents").fetchone() == (1,))


def test_a_zone_that_went_and_came_back_as_it_was(tmp_path: Path, file: Path) -> None:
    """When it went, what was kept of it was forgotten; that it is the same as ever does not mean that it is kept."""
    folder = tmp_path / "zones"
    folder.mkdir()
    path, away = folder / "example.com.zone", tmp_path / "away"
    file.rename(path)
    write_zone(folder / "example.net.zone", 1, "www A 192.0.2.1")  # or nothing would be left
    with LocalServer(tmp_path / "server", [{"folder": str(folder)}]) as running:
        serves(running, "192.0.2.1")
        path.rename(away)
        running.wait_for_log("zone example.com/IN: no longer configured")
        away.rename(path)
        serves(running, "192.0.2.1")
    spoil(path, "broken")
    with LocalServer(tmp_path / "server", [{"folder": str(folder)}]) as running:
        running.wait_for_log(RESTORED.format(serial=1))
        serves(running, "192.0.2.1")
