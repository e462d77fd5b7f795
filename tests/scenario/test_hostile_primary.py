"""authdns as the secondary of a primary that commits every fault we know: the old version is served or the new one,
whole; the log says what was wrong; other zones go on; and all is well as soon as the primary behaves.

One server has a zone for each fault. Its deadlines and caps are made small, since a minute is long for a test.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest

from authdns import secondary
from authdns.server import asking
from authdns.transfer.inbound import Caps
from authdns.wire.tsig import ALGORITHMS, Key
from authdns.wire.types import Flag, Type
from authdns.zone.records import Record as WireRecord
from tests.hostile_primary import FAULTS, Copy, Fault, HostilePrimary
from tests.hostile_primary.actions import Action, Wait
from tests.hostile_primary.faults import AXFR, IXFR, Talk, reset_after
from tests.hostile_primary.messages import framed, message, name
from tests.peers import Record, axfr, serial_at, wait_until
from tests.peers.records import of_rrset
from tests.scenario.tools import SECONDS, LocalServer, memory_of, over_udp, parsed, question

KEY = Key(name("key.example."), ALGORITHMS["hmac-sha256"], b"0123456789abcdef0123456789abcdef")
SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
CAPS = Caps(records=50_000, octets=4 << 20)
MESSAGE_SECONDS = 2.0
AGAIN_SECONDS = 5.0
UNREACHABLE = {"ixfr-without-end"}  # it may go better next time
MAX_GROWTH = 400 << 20  # octets, of the server and the test that it runs in
AT_ONCE = 3  # of attempts, where all places are taken
CUTS = 12  # of each transfer; all of them: tests/unit/transfer/test_inbound.py


class World:
    """The primary, the server, and a zone for each fault."""

    def __init__(self, folder: Path) -> None:
        self.copies = {each.name: Copy(f"{each.name}.example") for each in FAULTS.values()}
        self.neighbour = Copy("neighbour.example")
        self.cut = Copy("cut.example", hosts=10)
        copies = [*self.copies.values(), self.neighbour, self.cut]
        self.primary = HostilePrimary(copies, {KEY.name: KEY})
        at = "{}:{}".format(*self.primary.address)
        signed = {name for name, fault in FAULTS.items() if fault.signed}
        self.server = LocalServer(
            folder,
            [
                {
                    "zone": copy.zone,
                    "primaries": ["signed" if copy.zone.removesuffix(".example") in signed else "plain"],
                    "allow-transfer": ["127.0.0.1"],
                    "allow-notify": ["127.0.0.1"],
                    "notify-ns": False,
                }
                for copy in copies
            ],
            more={
                "primaries": {"plain": {"address": [at]}, "signed": {"address": [at], "key": "key.example"}},
                "keys": {"key.example": {"secret": SECRET}},
            },
        )

    def begin(self) -> None:
        for copy in self.primary.copies.values():
            wait_until(lambda copy=copy: self.served(copy) is not None, f"{copy.zone} is served", SECONDS)  # type: ignore[misc]
        self.octets = memory_of_self()

    def served(self, copy: Copy) -> int | None:
        """The serial, as a query is answered."""
        response = parsed(over_udp(self.server.endpoint, question(f"{copy.zone}.", "SOA")))
        return response.answer[0][0].serial if response.answer else None

    def records(self, copy: Copy) -> frozenset[Record]:
        """All that is served, after a look at one of them by a query."""
        found = axfr(self.server.endpoint, copy.zone)
        response = parsed(over_udp(self.server.endpoint, question(copy.owner("version"), "TXT")))
        (version,) = (record for record in found if record.owner == copy.owner("version"))
        assert response.answer[0][0].to_text() == version.rdata
        return found

    def notify(self, copy: Copy) -> None:
        request = message(7, copy.apex + bytes((0, Type.SOA, 0, 1)), copy.new[:1], flags=Flag.AA | 4 << 11)
        assert over_udp(self.server.endpoint, request)[3] & 15 == 0

    def follow(self, copy: Copy, serial: int) -> None:
        """The primary behaves, and says so until it is heard."""
        copy.edit(serial)
        if copy.fault is not None and copy.fault.whole:
            copy.versions = copy.versions[-1:]  # what is served is none of its versions, so no IXFR leads on from it
        copy.fault = None

        def arrived() -> bool:
            self.notify(copy)
            return self.served(copy) == serial

        wait_until(arrived, f"serial {serial} of {copy.zone}\n{self.server.log_text[-2000:]}", SECONDS, poll=0.1)
        assert self.records(copy) == texts(copy.new)

    def said(self, copy: Copy, pattern: str) -> bool:
        return re.search(f"zone {re.escape(copy.zone)}/IN: .*({pattern})", self.server.log_text) is not None

    def wait_for(self, copy: Copy, pattern: str) -> None:
        """On a slow machine another deadline may have been missed first: then it is asked to try again."""
        again = time.monotonic() + AGAIN_SECONDS

        def said() -> bool:
            nonlocal again
            if time.monotonic() > again:
                again += AGAIN_SECONDS
                self.notify(copy)
            return self.said(copy, pattern)

        try:
            wait_until(said, f"a line with {pattern!r}", SECONDS)
        except TimeoutError as error:
            lines = [line for line in self.server.log_text.splitlines() if copy.zone in line]
            raise TimeoutError("\n".join((str(error), *lines))) from None


def texts(records: tuple[WireRecord, ...]) -> frozenset[Record]:
    """As dnspython shows them."""
    found: set[Record] = set()
    for owner, rrtype, ttl, rdata in records:
        parsed_name, _ = dns.name.from_wire(owner, 0)
        read = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType.make(rrtype), rdata, 0, len(rdata))
        found.update(of_rrset(dns.rrset.from_rdata(parsed_name, ttl, read)))
    return frozenset(found)


def memory_of_self() -> int:
    return memory_of(os.getpid())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("secondary"))
    with pytest.MonkeyPatch.context() as patch, world.primary:
        patch.setattr(asking, "MESSAGE_SECONDS", MESSAGE_SECONDS)
        patch.setattr(asking, "GRACE_SECONDS", 1.0)
        patch.setattr(asking, "CAPS", CAPS)
        patch.setattr(secondary, "NOTIFIED_AFTER_FAILURE", 0.1)
        with world.server:
            world.begin()
            yield world


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_old_version_is_served_or_the_new_one(world: World, fault: Fault) -> None:
    copy = world.copies[fault.name]
    old = world.records(copy)
    assert old == texts(copy.new)

    copy.fault = fault
    copy.edit(2)
    world.notify(copy)
    assert copy.begun.wait(SECONDS), "the server did not ask"
    world.follow(world.neighbour, world.neighbour.serial + 1)
    world.wait_for(copy, fault.reason)

    if fault.phases == {IXFR} and fault.name not in UNREACHABLE:  # all of the zone is asked for at once
        world.wait_for(copy, "transferred serial 2 .*AXFR")
        assert world.records(copy) == texts(copy.new)
    found = world.records(copy)
    assert found == old or ((fault.whole or fault.phases == {IXFR}) and texts(copy.new) <= found)
    world.follow(copy, 5)


def test_a_reset_at_a_sample_of_octets(world: World) -> None:
    copy = world.cut
    whole = len(b"".join(map(framed, (message(1, copy.apex + bytes(4), [each]) for each in copy.new))))
    for octets in range(0, whole // 2, whole // 2 // CUTS):
        old = world.records(copy)
        serial = copy.serial + 1
        copy.begun.clear()
        copy.fault = reset_after(octets)
        copy.edit(serial)
        attempts = world.server.log_text.count(f"zone {copy.zone}/IN: ")
        world.notify(copy)
        assert copy.begun.wait(SECONDS)
        wait_until(lambda n=attempts: world.server.log_text.count(f"zone {copy.zone}/IN: ") > n, "an end", SECONDS)  # type: ignore[misc]
        found = world.records(copy)
        assert found in (old, texts(copy.new)), octets
        world.follow(copy, serial + 1)


def test_what_faults_cost_is_bounded(world: World) -> None:
    """The last one: after all the others."""
    assert memory_of_self() - world.octets < MAX_GROWTH


def trickle(talk: Talk) -> Iterator[Action]:
    """A little now and then, for ever."""
    yield talk.message(talk.new)
    for number in count():
        owners = (b"\6%03d%03d" % (number // 1000, i) + talk.apex for i in range(20))
        yield talk.message([WireRecord(owner, 1, 300, b"\1\2\3\4") for owner in owners])
        yield Wait(0.1)


def test_slow_primaries_do_not_hold_up_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "GRACE_SECONDS", 1.0)
    fault = Fault("trickle", "", frozenset((IXFR, AXFR)), "", trickle)
    slow = [Copy(f"slow{number}.example", fault=fault) for number in range(AT_ONCE)]
    good = Copy("zgood.example")  # due a moment after the others
    with HostilePrimary(slow) as hostile, HostilePrimary([good]) as primary:
        zones = [
            {"zone": copy.zone, "primaries": ["{}:{}".format(*of.address)], "notify-ns": False}
            for of, copies in ((hostile, slow), (primary, [good]))
            for copy in copies
        ]
        with LocalServer(tmp_path, zones, more={"incoming": {"at-once": AT_ONCE}}) as server:
            wait_until(
                lambda: serial_at(server.endpoint, "zgood.example") in (1, 2), "zgood.example is served", SECONDS
            )
            server.wait_for_log("too slow while other zones wait")
