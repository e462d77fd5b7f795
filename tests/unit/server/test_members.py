"""What catalogs of others make of the zones here: what is decided, kept and said. (The wire: tests/scenario.)"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from pathlib import Path

import pytest

from authdns.config import ConfiguredZone, MemberSettings, Where, ZonePolicy
from authdns.config import Members as MembersSettings
from authdns.server import clock, members, zones
from authdns.server.members import HOLD_SECONDS, MASS_REMOVAL, NOTHING, Members, Steps
from authdns.store import Listed, Store
from authdns.wire import name as names
from authdns.zone.catalog import Member, make_catalog
from authdns.zone.records import build, records_of
from authdns.zone.zone import Zone

FLEET, OTHER = (names.from_text(f"{name}.example.") for name in ("fleet", "other"))
A, B, C = (names.from_text(f"{letter}.example.") for letter in "abc")
HERE = Where("authdns.yaml", 3)


def settings(notify_ns: bool = True) -> MemberSettings:
    return MemberSettings(ZonePolicy(notify_ns=notify_ns), (), (), HERE)


PLAIN, EUROPE, ASIA = settings(), settings(), settings(notify_ns=False)
SETTINGS = MembersSettings(PLAIN, ((b"asia", ASIA), (b"europe", EUROPE)))


def listing(*found: Member | bytes, apex: bytes = FLEET, serial: int = 1) -> Zone:
    return make_catalog(apex, serial, [each if isinstance(each, Member) else Member(each, each[1:2]) for each in found])


def many(number: int) -> list[Member]:
    return [Member(names.from_text(f"z{each}.example."), b"%d" % each) for each in range(number)]


def broken(apex: bytes = FLEET) -> Zone:
    found = listing(A, apex=apex, serial=9)
    of_all = (records_of(found, owner, rrsets) for owner, rrsets in found.owners() if owner[1:8] != b"version")
    return build(apex, [record for records in of_all for record in records])


class Server:
    """What server/zones does with the steps, and no more."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.by_hand = {
            apex: ConfiguredZone(apex, None, ZonePolicy(), HERE, members=SETTINGS) for apex in (FLEET, OTHER)
        }
        self.restart()

    def restart(self) -> None:
        self.members = Members(self.store)
        self.served: dict[bytes, ConfiguredZone] = {}

    def look(self, *, agreed: bool = False) -> Steps:
        steps = self.members.look({**self.served, **self.by_hand}, agreed=agreed)
        for apex in steps.withdrawn:
            self.served.pop(apex, None)
        self.served.update(steps.configured)
        for apex in self.by_hand.keys() & self.served.keys():
            del self.served[apex]
        assert set(steps.reset) <= set(steps.configured)
        return steps

    def arrives(self, zone: Zone | None, apex: bytes = FLEET) -> Steps:
        self.members.arrived(apex, zone)
        return self.look()


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_members_come_and_go_and_are_known_after_a_restart(server: Server) -> None:
    assert server.look() == NOTHING
    steps = server.arrives(listing(A, B))
    assert (set(steps.configured), steps.withdrawn, set(steps.reset)) == ({A, B}, (), set())
    assert server.served[A].catalog == FLEET
    assert server.look() is NOTHING
    server.restart()
    assert set(server.look().configured) == {A, B}, "before the catalog is there"
    assert server.arrives(listing(A, B)) is NOTHING
    server.store.record_listed({}, [], [])
    assert server.arrives(listing(B, C, serial=2)).withdrawn == (A,)
    assert server.store.listed() == {zone: Listed(FLEET, zone[1:2], (), None) for zone in (B, C)}


def test_groups_choose_the_settings_in_the_order_of_the_configuration(server: Server) -> None:
    server.arrives(listing(A, Member(B, b"1", (b"europe",)), Member(C, b"2", (b"asia", b"europe", b"mars"))))
    assert [server.served[zone].policy for zone in (A, B, C)] == [each.policy for each in (PLAIN, EUROPE, ASIA)]
    server.restart()
    server.look()
    assert not server.served[C].policy.notify_ns
    turned = MembersSettings(ASIA)
    server.by_hand[FLEET] = ConfiguredZone(FLEET, None, ZonePolicy(), HERE, members=turned)
    assert set(server.look().configured) == {A, B}, "C has had these before"
    assert server.look() is NOTHING


def test_a_broken_or_expired_catalog_changes_nothing(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.arrives(listing(A))
    assert server.arrives(broken()) is NOTHING
    server.look()
    assert caplog.text.count("serial 9 is broken and not processed (RFC 9432 §5.1)") == 1
    assert server.members.lists(A) is False
    assert "it is no catalog" in (server.members.error(FLEET) or "")
    assert server.arrives(None) is NOTHING
    server.restart()
    assert set(server.look().configured) == {A}
    server.arrives(broken())
    assert set(server.served) == {A}
    assert set(server.arrives(listing(B)).configured) == {B}


def test_what_is_configured_by_hand_stays_and_is_told_once(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.by_hand[A] = ConfiguredZone(A, "file", ZonePolicy(), HERE)
    server.arrives(listing(A, B))
    server.arrives(listing(A, B, C, serial=2))
    assert set(server.served) == {B, C}
    assert caplog.text.count("zone a.example/IN: do nothing") == 1
    assert server.members.lists(A)
    del server.by_hand[A]
    assert set(server.look().configured) == {A}
    server.by_hand[B] = ConfiguredZone(B, "file", ZonePolicy(), HERE)
    steps = server.look()
    assert (steps.withdrawn, set(server.store.listed())) == ((), {A, C}), "what is served of B is not touched"


def test_a_zone_of_two_catalogs_stays_with_the_first(server: Server) -> None:
    server.arrives(listing(A))
    assert server.arrives(listing(A, B, apex=OTHER), OTHER).configured.keys() == {B}
    assert server.served[A].catalog == FLEET
    steps = server.arrives(listing(serial=2))
    assert steps.withdrawn == ()
    assert (set(steps.reset), server.served[A].catalog) == ({A}, OTHER), "RFC 9432 section 5.5: its state does not stay"


def test_a_zone_is_handed_over_with_its_state_or_without(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.arrives(listing(Member(A, b"1", (), OTHER), Member(B, b"2", (), OTHER), C))
    steps = server.arrives(listing(Member(A, b"1"), Member(B, b"x"), apex=OTHER), OTHER)
    assert (set(steps.configured), set(steps.reset)) == ({A, B}, {B})
    assert {zone: made.catalog for zone, made in server.served.items()} == {A: OTHER, B: OTHER, C: FLEET}
    server.arrives(listing(C, serial=2))
    assert set(server.served) == {A, B, C}
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], "that is how it should be"


def test_another_label_means_that_all_is_forgotten(server: Server) -> None:
    server.arrives(listing(Member(A, b"1"), Member(B, b"2")))
    steps = server.arrives(listing(Member(A, b"x"), Member(B, b"2"), serial=2))
    assert (set(steps.reset), set(steps.configured)) == ({A}, {A})
    assert server.store.listed()[A].label == b"x"


def test_most_members_go_when_somebody_agrees_or_a_day_later(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(clock, "since_boot", lambda: now[0])
    server.arrives(listing(*many(2 * MASS_REMOVAL)))
    half = listing(*many(MASS_REMOVAL), serial=2)
    assert len(server.arrives(half).withdrawn) == MASS_REMOVAL, "half of them are not most"
    assert server.arrives(listing(C, serial=3)).withdrawn == ()
    assert len(server.served) == MASS_REMOVAL + 1
    assert server.members.error(FLEET) == "it takes most members away"
    assert server.look().withdrawn == ()
    now[0] += HOLD_SECONDS - 1
    assert server.look().withdrawn == ()
    now[0] += 1
    assert len(server.look().withdrawn) == MASS_REMOVAL
    server.arrives(listing(C, *many(MASS_REMOVAL), serial=4))
    anew = [Member(each.zone, b"x" + each.label) for each in many(MASS_REMOVAL)]
    assert server.arrives(listing(C, *anew, serial=5)) is NOTHING
    assert len(server.look(agreed=True).reset) == MASS_REMOVAL
    assert server.members.error(FLEET) is None
    assert server.look() is NOTHING


def test_a_mistake_that_was_mended_in_time_is_forgotten(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(clock, "since_boot", lambda: now[0])
    full = listing(*many(MASS_REMOVAL))
    server.arrives(full)
    server.arrives(listing(serial=2))
    now[0] += HOLD_SECONDS - 1
    server.arrives(full)
    assert server.arrives(listing(serial=4)).withdrawn == ()
    now[0] += HOLD_SECONDS - 1
    assert server.look().withdrawn == ()


def test_the_members_go_with_the_catalog(server: Server) -> None:
    server.arrives(listing(*many(MASS_REMOVAL)))
    del server.by_hand[FLEET]
    server.restart()
    assert len(server.look().withdrawn) == MASS_REMOVAL, "nobody has to agree: somebody has just said so"
    assert server.store.listed() == {}
    assert server.look() is NOTHING


def test_without_the_store_members_are_served_all_the_same(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(server.store, "listed", fail)
    monkeypatch.setattr(server.store, "record_listed", fail)
    server.arrives(listing(A))
    assert set(server.served) == {A}
    assert caplog.text.count("disk is full") == 2


def test_of_many_lines_some_are_left_out(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(members, "MAX_LINES", 3)
    caplog.set_level(logging.INFO, "authdns")
    server.arrives(listing(*many(9)))
    assert caplog.text.count("configure it") == 3
    assert "serial 1 is applied: 9 members, 9 new" in caplog.text


def test_many_zones_are_taken_in_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zones, "LOOP_SECONDS", 0.001)
    done: list[int] = []
    seen: list[int] = []

    def slowly(each: int) -> None:
        time.sleep(0.002)
        done.append(each)

    async def look_on() -> None:
        while len(done) < 20:
            seen.append(len(done))
            await asyncio.sleep(0)

    async def both() -> None:
        watching = asyncio.create_task(look_on())
        await zones._in_turns(range(20), slowly)
        await watching

    asyncio.run(both())
    assert done == list(range(20))
    assert len(set(seen)) > 10, "others had their turns in between"
