"""BIND, Knot and PowerDNS configure themselves by a catalog that authdns makes, and authdns by one that they make:
members come, change, begin anew, move and go."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import dns.exception
import pytest

from tests.interop.zones import EXAMPLE_COM, write
from tests.peers import (
    Authdns,
    Bind,
    Endpoint,
    Knot,
    NameServer,
    Pdns,
    TsigKey,
    Zone,
    axfr,
    free_port,
    requires,
    serial_at,
)
from tests.peers import wait_until as until

pytestmark = pytest.mark.only_authdns
ARRIVAL_SECONDS = 30.0
PEERS = [
    pytest.param(Bind, marks=requires("bind")),
    pytest.param(Knot, marks=requires("knot")),
    pytest.param(Pdns, marks=requires("pdns")),
]
SIGNING_CONSUMERS = PEERS[:2]  # PowerDNS signs what it asks of members only once each of them was told to
COO_CONSUMERS = [PEERS[0], PEERS[2]]  # Knot 3.2 knows none
KEY = TsigKey("catalog.key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
FLEET = "fleet.example"
OTHER = "other.example"


class Fleet:
    """authdns with folders of zones in catalogs, and one secondary that knows nothing but the catalogs."""

    def __init__(self, folder: Path, stack: ExitStack, kind: type[NameServer], *, key: TsigKey | None = None) -> None:
        self.folder = folder
        endpoint = Endpoint("127.0.0.1", free_port())
        secondary: dict[str, Any] = {"transfer-from": "127.0.0.1", "notify-to": str(endpoint)}
        more: dict[str, Any] = {
            "secondaries": {"peer": secondary},
            "catalogs": {name: {"secondaries": "peer"} for name in (FLEET, OTHER)},
            "defaults": {"secondaries": "peer", "notify-ns": False, "catalog": FLEET},
        }
        if key is not None:
            secondary["key"] = key.name
            more["keys"] = {key.name: {"secret": key.secret}}
        for name in ("plain", "europe"):
            (folder / name).mkdir()
        self.entries: list[Mapping[str, Any]] = [
            {"folder": str(folder / "plain")},
            {"folder": str(folder / "europe"), "group": "europe"},
        ]
        self.more = more
        self.add("a.example", "plain")
        self.add("b.example", "europe")
        self.primary = stack.enter_context(Authdns(folder / "primary", self.entries, more=more))
        catalogs = [
            Zone(name, primary=self.primary.endpoint, key=key, groups=("europe",) if name == FLEET else ())
            for name in (FLEET, OTHER)
        ]
        self.secondary = stack.enter_context(kind(folder / "secondary", catalogs, port=endpoint.port))

    def add(self, zone: str, folder: str, serial: int = 1, more: str = "") -> None:
        write(self.folder / folder / f"{zone}.zone", EXAMPLE_COM, zone, serial, more)

    def remove(self, zone: str, folder: str) -> None:
        (self.folder / folder / f"{zone}.zone").unlink()

    def reconfigure(self, **entry: Any) -> None:
        """Of the zones in the folder `plain`."""
        merged = {**self.entries[0], **entry}
        self.entries[0] = {key: value for key, value in merged.items() if value is not None}
        self.primary.zone_settings = [dict(each) for each in self.entries]
        self.primary.write_configuration()

    def arrives(self, zone: str, serial: int = 1) -> None:
        self.secondary.wait_until_serving(zone, serial, seconds=ARRIVAL_SECONDS)

    def vanishes(self, zone: str) -> None:
        until(
            lambda: serial_at(self.secondary.endpoint, zone, timeout=0.3) is None,
            f"{self.secondary.name} no longer serves {zone}\n{self.secondary.log_tail()}",
            ARRIVAL_SECONDS,
        )

    def catalogs_arrive(self) -> None:
        """The secondary has the catalogs as the primary has them now."""

        def both() -> bool:
            return all(copied(self.primary, each) == copied(self.secondary, each) for each in (FLEET, OTHER))

        until(both, f"{self.secondary.name} has the catalogs\n{self.secondary.log_tail()}", ARRIVAL_SECONDS)


def copied(server: NameServer, zone: str) -> object:
    """All records, or that there are none; Knot ends connections when its zones change."""
    with suppress(OSError, EOFError, dns.exception.DNSException):
        return axfr(server.endpoint, zone)
    return f"nothing from {server.name}"


def can_be_transferred(server: NameServer, zone: str) -> bool:
    return not isinstance(copied(server, zone), str)


@pytest.mark.parametrize("kind", PEERS)
def test_members_come_change_and_go(kind: type[NameServer], tmp_path: Path, stack: ExitStack) -> None:
    fleet = Fleet(tmp_path, stack, kind)
    fleet.arrives("a.example")
    fleet.arrives("b.example")
    assert copied(fleet.secondary, "a.example") == axfr(fleet.primary.endpoint, "a.example")
    fleet.add("c.example", "plain")
    fleet.arrives("c.example")
    fleet.add("c.example", "plain", 2, "added IN A 192.0.2.7\n")
    fleet.arrives("c.example", 2)
    assert copied(fleet.secondary, "c.example") == axfr(fleet.primary.endpoint, "c.example")
    fleet.remove("b.example", "europe")
    fleet.vanishes("b.example")
    fleet.arrives("a.example")
    fleet.catalogs_arrive()


@pytest.mark.parametrize("kind", PEERS)
def test_a_zone_that_was_removed_and_comes_back_begins_anew(
    kind: type[NameServer], tmp_path: Path, stack: ExitStack
) -> None:
    """With a lower serial, which no secondary would take for the zone that it had."""
    fleet = Fleet(tmp_path, stack, kind)
    fleet.add("a.example", "plain", 7)
    fleet.arrives("a.example", 7)
    mark = fleet.primary.log_mark()
    fleet.remove("a.example", "plain")
    fleet.primary.wait_for_log(rf"zone {FLEET}/IN: loaded serial", since=mark, seconds=ARRIVAL_SECONDS)
    fleet.add("a.example", "plain", 3)
    fleet.arrives("a.example", 3)


@pytest.mark.parametrize("kind", SIGNING_CONSUMERS)
def test_with_a_key(kind: type[NameServer], tmp_path: Path, stack: ExitStack) -> None:
    fleet = Fleet(tmp_path, stack, kind, key=KEY)
    fleet.arrives("a.example")
    fleet.add("c.example", "plain")
    fleet.arrives("c.example")
    assert not can_be_transferred(fleet.primary, FLEET), "who does not sign learns nothing"


@requires("knot")
def test_groups_choose_the_template(tmp_path: Path, stack: ExitStack) -> None:
    """Knot lets nobody transfer what is in the group (tests/peers)."""
    fleet = Fleet(tmp_path, stack, Knot)
    fleet.arrives("a.example")
    fleet.arrives("b.example")
    assert can_be_transferred(fleet.secondary, "a.example")
    assert not can_be_transferred(fleet.secondary, "b.example")
    fleet.reconfigure(group="europe")
    until(
        lambda: not can_be_transferred(fleet.secondary, "a.example"), "a.example is in the group too", ARRIVAL_SECONDS
    )
    fleet.arrives("a.example")


@pytest.mark.parametrize("kind", COO_CONSUMERS)
def test_a_zone_is_handed_over_to_another_catalog(kind: type[NameServer], tmp_path: Path, stack: ExitStack) -> None:
    """RFC 9432 section 4.3.1, in the three steps that the README says. Were it not handed over, it would be removed in
    the last one."""
    fleet = Fleet(tmp_path, stack, kind)
    fleet.arrives("a.example")
    fleet.catalogs_arrive()
    for changed, catalog, coo in ((FLEET, FLEET, OTHER), (OTHER, [FLEET, OTHER], OTHER), (FLEET, OTHER, None)):
        mark = fleet.primary.log_mark()
        fleet.reconfigure(catalog=catalog, coo=coo)
        fleet.primary.wait_for_log(rf"zone {changed}/IN: loaded serial", since=mark, seconds=ARRIVAL_SECONDS)
        fleet.catalogs_arrive()
        fleet.arrives("a.example")
    fleet.add("a.example", "plain", 2)
    fleet.arrives("a.example", 2)
    fleet.arrives("b.example")


@pytest.mark.parametrize("kind", PEERS)
def test_a_zone_moves_by_leaving_first(kind: type[NameServer], tmp_path: Path, stack: ExitStack) -> None:
    """RFC 9432 section 5.5, for secondaries that know no `coo`."""
    fleet = Fleet(tmp_path, stack, kind)
    fleet.arrives("a.example")
    fleet.reconfigure(catalog=[])
    fleet.vanishes("a.example")
    fleet.reconfigure(catalog=OTHER)
    fleet.arrives("a.example")
    fleet.arrives("b.example")


# The other way round.


class Produced:
    """A peer with a catalog of its zones, and an authdns that knows nothing but the catalog. BIND 9.18 makes none:
    what it serves is written here."""

    def __init__(self, folder: Path, stack: ExitStack, kind: type[NameServer], *, key: TsigKey | None = None) -> None:
        self.folder, self.key = folder, key
        self.endpoint = Endpoint("127.0.0.1", free_port())
        self.serial = 0
        self.members: dict[str, Zone] = {}
        self.enter("a.example")
        self.enter("b.example", "europe")
        self.peer = stack.enter_context(kind(folder / "peer", self._zones()))
        members = {"notify-ns": False, "groups": {"europe": {"allow-transfer": "127.0.0.1"}}}
        main: dict[str, Any] = {"address": str(self.peer.endpoint)}
        more: dict[str, Any] = {"primaries": {"main": main}}
        if key is not None:
            main["key"] = key.name
            more["keys"] = {key.name: {"secret": key.secret}}
        entry = {"zone": FLEET, "primaries": "main", "members": members}
        served = Authdns(folder / "authdns", [entry], port=self.endpoint.port, more=more)
        self.authdns = stack.enter_context(served)

    def enter(self, zone: str, group: str | None = None, serial: int = 1, more: str = "") -> None:
        file = write(self.folder / f"{zone}.zone", EXAMPLE_COM, zone, serial, more)
        self.members[zone] = Zone(zone, file, notify=(self.endpoint,), key=self.key, catalog=FLEET, group=group)

    def _zones(self) -> list[Zone]:
        self.serial += 1
        lines = [f"@ 0 IN SOA invalid. invalid. {self.serial} 3600 600 86400 0", "@ 0 IN NS invalid."]
        lines.append('version 0 IN TXT "2"')
        for zone in self.members.values():
            node = f"{zone.name.replace('.', '-')}.zones"
            lines.append(f"{node} 0 IN PTR {zone.name}.")
            lines += [f'group.{node} 0 IN TXT "{zone.group}"'] if zone.group else []
        file = self.folder / "fleet.zone"
        file.write_text("\n".join(lines) + "\n")
        catalog = Zone(FLEET, file, notify=(self.endpoint,), key=self.key, makes_catalog=True)
        return [*self.members.values(), catalog]

    def _changed(self) -> None:
        self.peer.zones = tuple(self._zones())
        self.peer.write_configuration()
        self.peer.reload()

    def add(self, zone: str, group: str | None = None, serial: int = 1, more: str = "") -> None:
        self.enter(zone, group, serial, more)
        self._changed()

    def remove(self, zone: str) -> None:
        del self.members[zone]
        self._changed()

    def arrives(self, zone: str, serial: int = 1) -> None:
        self.authdns.wait_until_serving(zone, serial, seconds=ARRIVAL_SECONDS)

    def vanishes(self, zone: str) -> None:
        until(
            lambda: serial_at(self.authdns.endpoint, zone) is None,
            f"authdns no longer serves {zone}\n{self.authdns.log_tail()}",
            ARRIVAL_SECONDS,
        )


@pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
@pytest.mark.parametrize("kind", PEERS)
def test_authdns_follows_the_catalog_of_a_peer(
    kind: type[NameServer], key: TsigKey | None, tmp_path: Path, stack: ExitStack
) -> None:
    produced = Produced(tmp_path, stack, kind, key=key)
    produced.arrives("a.example")
    produced.arrives("b.example")
    assert axfr(produced.authdns.endpoint, "b.example") == axfr(produced.peer.endpoint, "b.example", key)
    assert not can_be_transferred(produced.authdns, "a.example"), "it is in no group"
    produced.add("c.example")
    produced.arrives("c.example")
    produced.add("c.example", None, 2, "added IN A 192.0.2.7\n")
    produced.arrives("c.example", 2)
    produced.remove("b.example")
    produced.vanishes("b.example")
    produced.enter("d.example")  # PowerDNS 4.7 makes no new version if nothing but a group has changed
    produced.add("a.example", "europe")
    until(lambda: can_be_transferred(produced.authdns, "a.example"), "it is in the group", ARRIVAL_SECONDS)
    produced.arrives("c.example", 2)


@pytest.mark.parametrize("kind", PEERS)
def test_authdns_goes_on_without_the_peer_and_begins_anew_when_it_says_so(
    kind: type[NameServer], tmp_path: Path, stack: ExitStack
) -> None:
    """A zone that was removed and comes back with a lower serial; before, the peer was away, and authdns restarted."""
    produced = Produced(tmp_path, stack, kind)
    produced.add("c.example", None, 7)
    produced.arrives("c.example", 7)
    produced.peer.stop()
    produced.authdns.stop()
    produced.authdns.start()
    produced.arrives("c.example", 7)
    produced.peer.start()
    produced.remove("c.example")
    produced.vanishes("c.example")
    produced.add("c.example", None, 3)
    produced.arrives("c.example", 3)
    produced.arrives("a.example")
