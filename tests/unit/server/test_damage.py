"""Single bits of the state file are turned over: what it gives then is what was kept in it, or nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from authdns.server import clock
from authdns.server.versions import Versions
from authdns.store import FILE_NAME, Store
from authdns.zone.delta import difference
from authdns.zone.reader import read_zone
from authdns.zone.records import Record, records_of
from authdns.zone.zone import Zone

APEX = b"\7example\3com\0"
SECONDS = 1000.0
TRIES = 250


def version(serial: int) -> Zone:
    text = f"$TTL 300\n@ SOA ns1 hostmaster {serial} 86400 7200 2419200 300\n NS ns1\nns1 A 192.0.2.{serial}\n"
    text += "".join(f'host{number} TXT "{"x" * 50}{number}"\n' for number in range(60))
    zone = read_zone("zone", APEX, lambda path: text.encode(), 0).zone
    assert zone is not None
    return zone


def records(zone: Zone) -> set[Record]:
    return {record for owner, rrsets in zone.owners() for record in records_of(zone, owner, rrsets)}


@pytest.fixture
def state(tmp_path: Path) -> bytes:
    """The file, with a whole version, and deltas that lead to the last one."""
    store = Store(tmp_path)
    versions = Versions(store)
    before = version(1)
    versions.commit(before, (), clock.lease(SECONDS))
    for serial in (2, 3, 4):
        after = version(serial)
        delta = difference(before, after, after.records)
        assert delta is not None
        versions.commit(after, (delta,), clock.lease(SECONDS))
        before = after
    store.close()
    return (tmp_path / FILE_NAME).read_bytes()


def test_what_was_committed_or_nothing(tmp_path: Path, state: bytes) -> None:
    chance = random.Random(1)
    places = chance.sample([place for place, octet in enumerate(state) if octet], TRIES)
    expected = records(version(4))
    found = {"all of it": 0, "nothing": 0, "set aside": 0}
    for number, place in enumerate(places):
        folder = tmp_path / str(number)
        folder.mkdir()
        damaged = bytearray(state)
        damaged[place] ^= 1 << chance.randrange(8)
        (folder / FILE_NAME).write_bytes(damaged)
        store = Store(folder)
        zone = Versions(store).last_committed(APEX)
        if zone is not None:
            assert records(zone) == expected
        found["set aside" if store.set_aside else "nothing" if zone is None else "all of it"] += 1
        if store.set_aside:
            assert zone is None
        store.close()
    assert all(found.values()), found
