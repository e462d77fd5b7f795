"""Catalogs that the server reads: what they list is served, whatever becomes of the catalog."""

from __future__ import annotations

import copy
import os
import signal
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import dns.rcode
import dns.xfr
import pytest

from tests.peers import Authdns, Record, axfr, serial_at, wait_until
from tests.scenario.conftest import Serve
from tests.scenario.tools import SECONDS, Tcp, parsed, question, rcode_of, replace, write_zone

FLEET = "fleet.example"
OTHER = "other.example"
TIMERS = "86400 7200 2419200 0"
SERVFAIL, REFUSED = int(dns.rcode.SERVFAIL), int(dns.rcode.REFUSED)


class Primary:
    """A server whose catalogs are zone files: they may say anything. Its other zones are files of a folder."""

    def __init__(self, folder: Path, serve: Serve, **catalogs: Mapping[str, str]) -> None:
        self._folder = folder / "primary"
        (self._folder / "zones").mkdir(parents=True)
        self.serials = dict.fromkeys((FLEET, OTHER), 0)
        self.notify: list[str] = []
        for name in self.serials:
            self.say(name, catalogs.get(name.partition(".")[0], {}))
        entries = [{"zone": name, "file": str(self._folder / name), "notify-ns": False} for name in self.serials]
        defaults = {"allow-transfer": "127.0.0.1", "notify-ns": False}
        folder_entry = {"folder": str(self._folder / "zones")}
        self.server: Authdns = serve([*entries, folder_entry], defaults=defaults)

    @property
    def address(self) -> str:
        return str(self.server.endpoint)

    def tells(self, *servers: Authdns) -> None:
        """NOTIFY goes there."""
        reconfigure(
            self.server, lambda settings: settings["defaults"].update(notify=[str(s.endpoint) for s in servers])
        )

    def say(self, catalog: str, members: Mapping[str, str], *more: str, timers: str = TIMERS) -> None:
        """`members`: zone -> label."""
        lines = [f"{label}.zones PTR {zone}." for zone, label in members.items()]
        self.write(catalog, 'version TXT "2"', *lines, *more, timers=timers)

    def write(self, catalog: str, *lines: str, timers: str = TIMERS) -> None:
        self.serials[catalog] += 1
        head = f"$TTL 0\n@ SOA invalid. invalid. {self.serials[catalog]} {timers}\n@ NS invalid.\n"
        replace(self._folder / catalog, head + "".join(f"{line}\n" for line in lines))

    def add(self, *zones: str, serial: int = 1) -> None:
        for zone in zones:
            write_zone(self._folder / "zones" / f"{zone}.zone", serial)


class Consumer:
    """A server that knows nothing but catalogs."""

    def __init__(self, serve: Serve, *primaries: Primary, members: Mapping[str, Any] = {}, **more: Any) -> None:
        address = primaries[0].address
        self.server: Authdns = serve(
            [{"zone": name, "primaries": address, "members": dict(members), **more} for name in (FLEET, OTHER)]
        )
        primaries[0].tells(self.server)

    def serves(self, zone: str, serial: int = 1) -> None:
        self.server.wait_until_serving(zone, serial, seconds=SECONDS)

    def serves_none(self, *zones: str) -> None:
        for zone in zones:
            wait_until(lambda zone=zone: rcode_of(self.server.endpoint, zone) == REFUSED, f"no {zone}", SECONDS)  # type: ignore[misc]

    def says(self, pattern: str, since: int = 0) -> None:
        self.server.wait_for_log(pattern, since, seconds=SECONDS)

    def has_catalog(self, serial: int, catalog: str = FLEET) -> None:
        self.server.wait_until_serving(catalog, serial, seconds=SECONDS)

    def rows(self, zone: str) -> int:
        """What the state folder has of a zone."""
        wire = b"".join(bytes((len(label),)) + label.encode() for label in zone.split(".")) + b"\0"
        with closing(sqlite3.connect(self.server.folder / "state" / "authdns.sqlite")) as database:
            tables = {"served": "apex", "contents": "apex", "leases": "apex", "history": "apex", "listed": "zone"}
            return sum(
                int(database.execute(f"SELECT count(*) FROM {table} WHERE {key} = ?", (wire,)).fetchone()[0])
                for table, key in tables.items()
            )

    def restart(self) -> None:
        self.server.stop()
        mark = self.server.log_mark()
        self.server.start()
        self.server.wait_for_log("serving [0-9]+ ", since=mark, seconds=SECONDS)


def reconfigure(server: Authdns, change: Callable[[dict[str, Any]], object]) -> None:
    """Also for the next start."""
    settings = copy.deepcopy(server.configuration)
    change(settings)
    server.zone_settings = settings.pop("zones")
    server.more = settings
    mark = server.log_mark()
    server.write_configuration()
    server.wait_for_log("the configuration was read again", since=mark, seconds=SECONDS)


def transferred(server: Authdns, zone: str) -> frozenset[Record] | None:
    with suppress(EOFError, OSError, dns.xfr.TransferError):
        return axfr(server.endpoint, zone)
    return None


@pytest.fixture
def primary(tmp_path: Path, serve: Serve) -> Primary:
    made = Primary(tmp_path, serve, fleet={"a.example": "1", "b.example": "2"})
    made.add("a.example", "b.example")
    return made


def test_a_file_on_the_primary_is_a_zone_on_the_secondary(tmp_path: Path, serve: Serve) -> None:
    """Both are authdns; nobody touches the secondary."""
    folder = tmp_path / "zones"
    folder.mkdir()
    write_zone(folder / "a.example.zone")
    local = "127.0.0.1"
    primary = serve(
        [{"folder": str(folder), "catalog": FLEET}],
        catalogs={FLEET: {"allow-transfer": local}},
        defaults={"allow-transfer": local, "notify-ns": False},
    )
    secondary = serve([{"zone": FLEET, "primaries": str(primary.endpoint), "members": {}}])

    def tell(settings: dict[str, Any]) -> None:
        settings["catalogs"][FLEET]["notify"] = settings["defaults"]["notify"] = str(secondary.endpoint)

    reconfigure(primary, tell)
    secondary.wait_until_serving("a.example", 1, seconds=SECONDS)
    write_zone(folder / "b.example.zone")
    secondary.wait_until_serving("b.example", 1, seconds=SECONDS)
    write_zone(folder / "b.example.zone", 2, "new A 192.0.2.9")
    secondary.wait_until_serving("b.example", 2, seconds=SECONDS)
    (folder / "a.example.zone").unlink()
    wait_until(lambda: rcode_of(secondary.endpoint, "a.example") == REFUSED, "a.example is gone", SECONDS)
    write_zone(folder / "a.example.zone")
    secondary.wait_until_serving("a.example", 1, seconds=SECONDS)


def test_what_a_catalog_no_longer_lists_is_gone_from_the_state_too(primary: Primary, serve: Serve) -> None:
    consumer = Consumer(serve, primary)
    consumer.serves("a.example")
    consumer.serves("b.example")
    assert consumer.rows("b.example")
    primary.say(FLEET, {"a.example": "1"})
    consumer.serves_none("b.example")
    wait_until(lambda: not consumer.rows("b.example"), "nothing is kept", SECONDS)
    consumer.says(r"catalog fleet\.example: serial 2 is applied: 1 members, 1 removed")
    consumer.serves("a.example")


def test_a_group_chooses_the_settings_and_the_first_one_of_the_file_decides(primary: Primary, serve: Serve) -> None:
    groups = {"closed": {"allow-transfer": []}, "open": {"allow-transfer": "127.0.0.1"}}
    consumer = Consumer(serve, primary, members={"groups": groups, "notify-ns": False})
    for zone in ("a.example", "b.example"):
        consumer.serves(zone)
        assert transferred(consumer.server, zone) is None
    members = {"a.example": "1", "b.example": "2"}
    primary.say(FLEET, members, 'group.1.zones TXT "open"', 'group.2.zones TXT "open"', 'group.2.zones TXT "closed"')
    wait_until(lambda: transferred(consumer.server, "a.example"), "a.example is open", SECONDS)
    assert transferred(consumer.server, "b.example") is None
    reconfigure(consumer.server, lambda settings: settings["zones"][0]["members"]["groups"].pop("closed"))
    wait_until(lambda: transferred(consumer.server, "b.example"), "b.example is, too", SECONDS)
    assert serial_at(consumer.server.endpoint, "a.example") == 1


def test_a_broken_catalog_changes_nothing_and_a_restart_neither(primary: Primary, serve: Serve) -> None:
    consumer = Consumer(serve, primary)
    consumer.serves("a.example")
    consumer.serves("b.example")
    primary.write(FLEET, "1.zones PTR a.example.", "3.zones PTR c.example.")
    why = r"catalog fleet\.example: serial 2 is broken and not processed .* expected version\.fleet\.example\. TXT"
    consumer.says(why)
    consumer.serves("b.example")
    primary.server.stop()
    mark = consumer.server.log_mark()
    consumer.restart()
    consumer.serves("a.example")
    consumer.serves("b.example")
    consumer.says(why, mark)
    primary.server.start()
    primary.add("c.example")
    primary.say(FLEET, {"a.example": "1", "c.example": "3"})
    consumer.serves("c.example")
    consumer.serves_none("b.example")


def test_all_members_are_served_before_any_primary_answers(primary: Primary, serve: Serve) -> None:
    consumer = Consumer(serve, primary)
    consumer.serves("a.example")
    consumer.serves("b.example")
    primary.server.stop()
    consumer.restart()
    for zone in ("a.example", "b.example"):
        assert serial_at(consumer.server.endpoint, zone) == 1, "at once"


def test_a_catalog_that_expired_takes_nothing_with_it(primary: Primary, serve: Serve) -> None:
    primary.say(FLEET, {"a.example": "1"}, timers="1 1 2 0")
    consumer = Consumer(serve, primary)
    consumer.serves("a.example")
    primary.server.stop()
    consumer.says(r"zone fleet\.example/IN: expired")
    assert rcode_of(consumer.server.endpoint, FLEET) == SERVFAIL
    consumer.serves("a.example")
    consumer.restart()
    consumer.serves("a.example")
    primary.server.start()
    primary.say(FLEET, {"b.example": "2"}, timers="1 1 2 0")
    consumer.serves("b.example")
    consumer.serves_none("a.example")


def test_what_is_configured_by_hand_wins_and_may_be_left_to_the_catalog(
    primary: Primary, serve: Serve, tmp_path: Path
) -> None:
    consumer = Consumer(serve, primary)
    consumer.serves("a.example")
    consumer.serves("b.example")
    own = write_zone(tmp_path / "own.zone", 77)
    mine = {"zone": "a.example", "file": str(own)}
    reconfigure(consumer.server, lambda settings: settings["zones"].append(mine))
    consumer.serves("a.example", 77)
    clash = r"zone a\.example/IN: do nothing: .* in the configuration, which comes first"
    consumer.says(clash)
    primary.say(FLEET, {"a.example": "1", "b.example": "2"})
    consumer.has_catalog(2)
    primary.say(FLEET, {"b.example": "2"})
    consumer.has_catalog(3)
    consumer.serves("a.example", 77)
    primary.say(FLEET, {"a.example": "9", "b.example": "2"})
    consumer.has_catalog(4)
    reconfigure(consumer.server, lambda settings: settings["zones"].pop())
    consumer.serves("a.example", 1)


def test_a_secondary_zone_that_was_configured_by_hand_is_left_to_the_catalog_as_it_is(
    primary: Primary, serve: Serve
) -> None:
    consumer = Consumer(serve, primary)
    primary.add("c.example")
    by_hand = {"zone": "c.example", "primaries": primary.address}
    reconfigure(consumer.server, lambda settings: settings["zones"].append(by_hand))
    consumer.serves("c.example")
    primary.say(FLEET, {"a.example": "1", "c.example": "3"})
    consumer.says(r"zone c\.example/IN: do nothing: ")
    primary.server.stop()
    reconfigure(consumer.server, lambda settings: settings["zones"].pop())
    consumer.says(r"zone c\.example/IN: configure it: catalog fleet\.example lists it")
    assert serial_at(consumer.server.endpoint, "c.example") == 1, "no primary answers; it was kept"
    consumer.restart()
    assert serial_at(consumer.server.endpoint, "c.example") == 1


def test_another_label_means_that_a_zone_begins_anew(primary: Primary, serve: Serve) -> None:
    consumer = Consumer(serve, primary)
    primary.add("a.example", serial=9)
    consumer.serves("a.example", 9)
    consumer.serves("b.example")
    primary.add("a.example", serial=3)
    primary.server.wait_for_log("serial went back", seconds=SECONDS)
    assert serial_at(consumer.server.endpoint, "a.example") == 9
    primary.say(FLEET, {"a.example": "x", "b.example": "2"})
    consumer.serves("a.example", 3)
    consumer.says(r"zone a\.example/IN: forget its state, configure it anew")
    consumer.serves("b.example")


def test_a_zone_is_handed_over_from_one_catalog_to_another(primary: Primary, serve: Serve) -> None:
    """RFC 9432 section 4.3.1; the zone is served all the time, from what was kept: it is on no primary any more."""
    consumer = Consumer(serve, primary)
    consumer.serves("a.example")
    consumer.serves("b.example")
    (primary._folder / "zones" / "a.example.zone").unlink()
    primary.say(OTHER, {"a.example": "1"})
    consumer.says(r"zone a\.example/IN: do nothing: .*: it stays with catalog fleet\.example")
    primary.say(FLEET, {"a.example": "1", "b.example": "2"}, f"coo.1.zones PTR {OTHER}.")
    consumer.says(r"zone a\.example/IN: it belongs to this catalog now, with its state")
    primary.say(FLEET, {"b.example": "2"})
    consumer.has_catalog(3)
    assert serial_at(consumer.server.endpoint, "a.example") == 1
    primary.say(OTHER, {})
    consumer.serves_none("a.example")


def test_what_takes_most_members_away_waits_for_somebody_to_agree(primary: Primary, serve: Serve) -> None:
    many = {f"z{number}.example": str(number) for number in range(20)}
    primary.add(*many)
    primary.say(FLEET, many)
    consumer = Consumer(serve, primary)
    for zone in many:
        consumer.serves(zone)
    primary.say(FLEET, {"a.example": "a"})
    consumer.says(r"catalog fleet\.example: serial 3 takes away 20 of 20 members: they stay for 24 hours")
    consumer.serves("a.example")
    assert serial_at(consumer.server.endpoint, "z7.example") == 1
    consumer.restart()
    assert serial_at(consumer.server.endpoint, "z7.example") == 1
    mark = consumer.server.log_mark()
    consumer.says(r"they stay for 24 hours", 0)
    primary.say(FLEET, many)
    consumer.says(r"serial 4 is applied: 20 members, 1 removed", mark)
    primary.say(FLEET, {})
    consumer.says(r"serial 5 takes away 20 of 20 members: they stay", mark)
    os.kill(consumer.server.pid, signal.SIGHUP)
    consumer.serves_none(*many)


def test_a_catalog_is_passed_on_and_strangers_learn_its_serial(primary: Primary, serve: Serve) -> None:
    opened = {"allow-transfer": "127.0.0.1"}
    middle = Consumer(serve, primary, members={**opened, "notify-ns": False}, **opened)
    last = serve([{"zone": FLEET, "primaries": str(middle.server.endpoint), "members": {}}])

    def tell(settings: dict[str, Any]) -> None:
        for entry in settings["zones"]:
            entry["notify"] = entry["members"]["notify"] = str(last.endpoint)

    reconfigure(middle.server, tell)
    for server in (middle.server, last):
        server.wait_until_serving("b.example", 1, seconds=SECONDS)
        for name, rdtype in ((FLEET, "NS"), (f"version.{FLEET}", "TXT"), (f"1.zones.{FLEET}", "PTR")):
            assert rcode_of(server.endpoint, name, rdtype) == REFUSED
    primary.add("c.example")
    primary.say(FLEET, {"a.example": "1", "c.example": "3"})
    last.wait_until_serving("c.example", 1, seconds=SECONDS)
    wait_until(lambda: rcode_of(last.endpoint, "b.example") == REFUSED, "b.example is gone", SECONDS)
    with Tcp(middle.server.endpoint, source="127.0.0.2") as tcp:
        assert parsed(tcp.ask(question(FLEET, "AXFR")).message()).rcode() == dns.rcode.REFUSED


def test_a_catalog_that_is_no_longer_configured_as_one_lets_its_members_go(primary: Primary, serve: Serve) -> None:
    consumer = Consumer(serve, primary)
    consumer.serves("a.example")
    reconfigure(consumer.server, lambda settings: settings["zones"][0].pop("members"))
    consumer.serves_none("a.example", "b.example")
    assert rcode_of(consumer.server.endpoint, f"version.{FLEET}", "TXT") == 0, "it is a zone as others are"
    reconfigure(consumer.server, lambda settings: settings["zones"][0].update(members={}))
    consumer.serves("a.example")
    assert rcode_of(consumer.server.endpoint, f"version.{FLEET}", "TXT") == REFUSED
