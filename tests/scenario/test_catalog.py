"""Catalogs that the server makes: they follow the zones, across restarts too, and are not for strangers."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.xfr
import pytest
import yaml

from tests.peers import Authdns, ask, axfr, free_port, serial_at, wait_until
from tests.scenario.conftest import Serve
from tests.scenario.tools import SECONDS, Tcp, ixfr_question, parsed, question, write_zone

FLEET = "fleet.example"
OTHER = "other.example"
Members = dict[str, tuple[str, list[str], str | None]]  # zone -> label, groups, coo


class Served:
    """A server with a folder of zones that a catalog lists."""

    def __init__(self, folder: Path, serve: Serve, **more: Any) -> None:
        self.folder = folder / "zones"
        self.folder.mkdir()
        self.add("a.example", "b.example")
        entry = {"folder": str(self.folder), "catalog": FLEET, "notify-ns": False, **more}
        catalogs = {name: {"allow-transfer": "127.0.0.1"} for name in (FLEET, OTHER)}
        self.server: Authdns = serve([entry], catalogs=catalogs)

    def add(self, *zones: str) -> None:
        for zone in zones:
            write_zone(self.folder / f"{zone}.zone")

    def remove(self, zone: str) -> None:
        (self.folder / f"{zone}.zone").unlink()

    def members(self, catalog: str = FLEET) -> Members:
        found: Members = {}
        records = axfr(self.server.endpoint, catalog)
        by_owner = {(record.owner, record.type): record.rdata for record in records}
        for owner, _, rdtype, zone in records:
            label, _, rest = owner.partition(".")
            if rdtype == "PTR" and rest == f"zones.{catalog}.":
                groups = [each.rdata.strip('"') for each in records if each[::2] == (f"group.{owner}", "TXT")]
                found[zone.rstrip(".")] = (label, sorted(groups), by_owner.get((f"coo.{owner}", "PTR")))
        return found

    def lists(self, *zones: str, catalog: str = FLEET) -> Members:
        found: list[Members] = []

        def listed() -> bool:
            with suppress(EOFError, dns.xfr.TransferError):
                members = self.members(catalog)
                if set(members) == set(zones):
                    found.append(members)
            return bool(found)

        wait_until(listed, f"{catalog} lists {zones}", SECONDS)
        return found[-1]

    def serial(self, catalog: str = FLEET) -> int:
        return self.server.wait_until_serving(catalog, seconds=SECONDS)

    def restart(self, change: Callable[[], object] = lambda: None) -> None:
        self.server.stop()
        change()
        mark = self.server.log_mark()
        self.server.start()
        self.server.wait_for_log("serving [0-9]+ ", since=mark, seconds=SECONDS)

    def reconfigure(self, **entry: Any) -> None:
        self.configure(lambda settings: settings["zones"][0].update(entry))

    def configure(self, change: Callable[[dict[str, Any]], object]) -> None:
        path = self.server.folder / "authdns.yaml"
        settings = yaml.safe_load(path.read_text())
        change(settings)
        aside = path.with_suffix(".new")
        aside.write_text(yaml.safe_dump(settings))
        os.replace(aside, path)


@pytest.fixture
def served(tmp_path: Path, serve: Serve) -> Served:
    return Served(tmp_path, serve)


def test_it_follows_the_zones(served: Served) -> None:
    first = served.lists("a.example", "b.example")
    assert served.members(OTHER) == {}
    serial = served.serial()
    served.add("c.example")
    second = served.lists("a.example", "b.example", "c.example")
    assert {zone: second[zone] for zone in first} == first, "who stays has the same label"
    assert served.serial() > serial
    served.remove("b.example")
    served.lists("a.example", "c.example")
    assert serial_at(served.server.endpoint, "b.example") is None
    served.add("b.example")
    third = served.lists("a.example", "b.example", "c.example")
    assert third["a.example"] == first["a.example"]
    assert third["b.example"] != first["b.example"], "who came back has another one: RFC 9432 section 5.4"
    assert len({label for label, _, _ in third.values()}) == 3


def test_a_zone_that_cannot_be_loaded_stays_listed_but_is_not_hidden(served: Served) -> None:
    before = served.lists("a.example", "b.example")
    (served.folder / "a.example.zone").write_text("nonsense\n")
    (served.folder / "c.example.zone").write_text("nonsense\n")
    served.server.wait_for_log("zone c.example/IN: not loaded", seconds=SECONDS)
    after = served.lists("a.example", "b.example", "c.example")
    assert {zone: after[zone] for zone in before} == before
    served.restart()
    assert served.lists("a.example", "b.example", "c.example") == after


def test_over_a_restart_the_serial_rises_if_and_only_if_something_changed(served: Served) -> None:
    before = served.lists("a.example", "b.example")
    serial = served.serial()
    served.restart()
    assert served.serial() == serial
    assert served.members() == before
    served.restart(lambda: served.remove("b.example"))
    served.lists("a.example")
    assert served.serial() > serial
    serial = served.serial()
    served.restart(lambda: served.add("b.example"))
    again = served.lists("a.example", "b.example")
    assert served.serial() > serial
    assert again["a.example"] == before["a.example"]
    assert again["b.example"] != before["b.example"]


def test_if_the_state_is_lost_no_member_has_another_label(served: Served) -> None:
    """But one that was removed and came back. Else all secondaries would drop all zones."""
    before = served.lists("a.example", "b.example")
    serial = served.serial()

    def lose() -> None:
        for file in (served.server.folder / "state").glob("authdns.sqlite*"):
            file.unlink()

    served.restart(lose)
    assert served.lists("a.example", "b.example") == before
    assert served.serial() >= serial


def test_nothing_is_removed_because_a_folder_is_missing(served: Served) -> None:
    """A folder on a disk that is mounted too late must not empty a whole fleet."""
    before = served.lists("a.example", "b.example")
    serial = served.serial()
    away = served.folder.with_name("away")
    served.restart(lambda: served.folder.rename(away))
    assert served.members() == before
    assert served.serial() == serial
    served.server.wait_for_log(r"the catalog lists a\.example and 1 more, which cannot be found, but a folder")
    (away / "b.example.zone").unlink()
    away.rename(served.folder)
    served.lists("a.example")
    assert served.serial() > serial


def test_groups_and_who_may_take_a_zone_over_follow_the_configuration(served: Served) -> None:
    before = served.lists("a.example", "b.example")
    served.reconfigure(group=["eu", "signed"], coo=OTHER)

    def says(members: Members, groups: list[str], coo: str | None) -> bool:
        return all(each[1:] == (groups, coo) for each in members.values())

    wait_until(lambda: says(served.members(), ["eu", "signed"], f"{OTHER}."), "it says so", SECONDS)
    assert served.members(OTHER) == {}
    served.reconfigure(catalog=[FLEET, OTHER])
    moved = served.lists("a.example", "b.example", catalog=OTHER)
    assert says(moved, ["eu", "signed"], None)
    assert {zone: each[0] for zone, each in moved.items()} == {zone: each[0] for zone, each in before.items()}
    assert says(served.lists("a.example", "b.example"), ["eu", "signed"], f"{OTHER}.")
    served.reconfigure(catalog=OTHER, coo="elsewhere.example")
    served.lists()
    wait_until(lambda: says(served.members(OTHER), ["eu", "signed"], "elsewhere.example."), "and on", SECONDS)


def test_many_new_zones_are_few_versions_and_what_changed_is_sent(served: Served) -> None:
    served.lists("a.example", "b.example")
    mark = served.server.log_mark()
    many = [f"z{number}.example" for number in range(300)]
    served.add(*many)
    served.lists("a.example", "b.example", *many)
    versions = served.server.log_text(mark).count(f"zone {FLEET}/IN: loaded serial")
    assert 1 <= versions <= 100
    wait_until(lambda: served.server.log_text(mark).count("loaded serial") >= 301, "all are loaded", SECONDS)
    last = served.serial()

    served.remove("z7.example")
    wait_until(lambda: served.serial() > last, "one less", SECONDS)

    def from_last() -> bool:
        with Tcp(served.server.endpoint) as tcp:
            message = parsed(tcp.ask(ixfr_question(FLEET, last)).message())
        return [rrset.rdtype.name for rrset in message.answer] == ["SOA", "SOA", "PTR", "SOA", "SOA"]

    wait_until(from_last, "one PTR record is what is sent", SECONDS)


def test_a_zone_that_is_transferred_to_here_may_be_listed_too(served: Served) -> None:
    """Even before it has arrived, as one whose file is broken."""
    before = served.lists("a.example", "b.example")
    secondary = {"zone": "c.example", "primaries": f"127.0.0.1:{free_port()}", "catalog": FLEET, "group": "far"}
    served.configure(lambda settings: settings["zones"].append(secondary))
    after = served.lists("a.example", "b.example", "c.example")
    assert after["c.example"][1:] == (["far"], None)
    assert {zone: after[zone] for zone in before} == before
    served.configure(lambda settings: settings["zones"].pop())
    assert served.lists("a.example", "b.example") == before


def test_nobody_tells_the_server_of_changes_of_its_own_catalog(served: Served) -> None:
    served.lists("a.example", "b.example")
    notify = dns.message.make_query(FLEET, "SOA")
    notify.set_opcode(dns.opcode.NOTIFY)
    address, port = served.server.endpoint
    response = dns.query.udp(notify, address, port=port, timeout=SECONDS)
    assert response.rcode() == dns.rcode.NOTAUTH


@pytest.mark.parametrize("dnssec_ok", [False, True])
def test_strangers_learn_its_serial_and_nothing_else(served: Served, dnssec_ok: bool) -> None:
    members = served.lists("a.example", "b.example")
    label = members["a.example"][0]
    endpoint = served.server.endpoint
    for name, rdtype in [
        (FLEET, "NS"),
        (FLEET, "ANY"),
        (FLEET, "DS"),
        (f"version.{FLEET}", "TXT"),
        (f"{label}.zones.{FLEET}", "PTR"),
        (f"{label}.zones.{FLEET}", "SOA"),
        (f"nothing.zones.{FLEET}", "PTR"),
        (f"nothing.{FLEET}", "A"),
    ]:
        response = ask(endpoint, name, rdtype, edns=dnssec_ok)
        assert response is not None
        assert (response.rcode(), response.answer, response.authority) == (dns.rcode.REFUSED, [], [])
        with Tcp(endpoint) as tcp:
            assert parsed(tcp.ask(question(name, rdtype)).message()).rcode() == dns.rcode.REFUSED
    assert serial_at(endpoint, FLEET) == served.serial()
    with Tcp(endpoint, source="127.0.0.2") as tcp:
        assert parsed(tcp.ask(question(FLEET, "AXFR")).message()).rcode() == dns.rcode.REFUSED
    served.server.wait_for_log(f"'{FLEET}/AXFR/IN' denied: no rule allows 127.0.0.2")


def test_a_catalog_that_is_no_longer_made_is_gone_and_may_come_back(served: Served) -> None:
    before = served.lists("a.example", "b.example")
    path = served.server.folder / "authdns.yaml"
    with_it = path.read_text()
    settings = yaml.safe_load(with_it)
    del settings["catalogs"], settings["zones"][0]["catalog"]
    path.write_text(yaml.safe_dump(settings))
    served.server.wait_for_log(f"zone {FLEET}/IN: no longer configured", seconds=SECONDS)
    assert serial_at(served.server.endpoint, FLEET) is None
    assert serial_at(served.server.endpoint, "a.example") == 1
    path.write_text(with_it)
    assert served.lists("a.example", "b.example") == before
