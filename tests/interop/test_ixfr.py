"""IXFR out (RFC 1995): what changed reaches each peer and dnspython as differences, and is what was served."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import dns.rdtypes.ANY.SOA
import dns.versioned
import dns.xfr
import dns.zone
import pytest

from tests.interop.conftest import Serve
from tests.interop.test_secondaries import SECONDARIES, Pair
from tests.interop.zones import EXAMPLE_COM, write
from tests.peers import NameServer
from tests.peers.records import of_rrset, records_in_file

pytestmark = pytest.mark.only_authdns  # of how the log says it
STARTED = r"transfer of 'example\.com/IN': {kind} started \(serial {serial}\)"
EDITS = (
    "added IN A 192.0.2.200\n",
    "added IN A 192.0.2.200\nadded IN A 192.0.2.201\nAdded2 IN TXT text\n",
    "added 17 IN A 192.0.2.201\n",
    "a.b.c.added IN AAAA 2001:db8::1\n*.c.added IN MX 10 added\n",
    "",
)


@pytest.mark.parametrize("kind", SECONDARIES)
def test_a_secondary_gets_what_changed(kind: type[NameServer], tmp_path: Path, serve: Serve, stack: ExitStack) -> None:
    pair = Pair(tmp_path, serve, stack, [kind])
    pair.arrives("example.com", 1)
    for serial, more in enumerate(EDITS, 2):
        mark = pair.primary.log_mark()
        pair.edit("example.com", EXAMPLE_COM, serial, more)
        pair.arrives("example.com", serial)
        pair.primary.wait_for_log(STARTED.format(kind="IXFR", serial=serial), since=mark)
    pair.primary.stop()
    pair.primary.start()
    pair.edit("example.com", EXAMPLE_COM, 20, "added IN A 192.0.2.200\n")
    pair.arrives("example.com", 20)


class Copy:
    """A secondary of dnspython, which is particular about what an IXFR may hold."""

    def __init__(self, server: NameServer) -> None:
        self._server = server
        self.zone = dns.versioned.Zone("example.com", relativize=False)

    def transfer(self, *, udp: dns.query.UDPMode = dns.query.UDPMode.NEVER) -> int:
        """Brings it up to date; returns its serial."""
        query, _ = dns.xfr.make_query(self.zone)
        address, port = self._server.endpoint
        dns.query.inbound_xfr(address, self.zone, query, port=port, udp_mode=udp, lifetime=20)
        return self.serial

    @property
    def serial(self) -> int:
        with self.zone.reader() as reader:
            soa = reader.get("@", "SOA") or reader.get("example.com.", "SOA")
            assert soa is not None
            (rdata,) = soa
            assert isinstance(rdata, dns.rdtypes.ANY.SOA.SOA)
            return rdata.serial

    def is_at(self, file: Path) -> bool:
        with self.zone.reader() as reader:
            rows = [
                record
                for name, rdataset in reader.iterate_rdatasets()
                for record in of_rrset(dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset)))
            ]
        return frozenset(rows) == records_in_file(file, "example.com")


@pytest.fixture
def pair(tmp_path: Path, serve: Serve, stack: ExitStack) -> Pair:
    pair = Pair(tmp_path, serve, stack, [])
    pair.arrives("example.com", 1)
    return pair


def serves(pair: Pair, serial: int, more: str) -> Path:
    """Edits the zone file and waits until the history knows."""
    mark = pair.primary.log_mark()
    pair.edit("example.com", EXAMPLE_COM, serial, more)
    pair.primary.wait_for_log(rf"example\.com/IN: loaded serial {serial} ", since=mark)
    pair.arrives("example.com", serial)
    return pair.files["example.com"]


def test_several_versions_come_as_one(pair: Pair) -> None:
    copies = []
    for serial, more in enumerate(EDITS, 2):
        copies.append(copy := Copy(pair.primary))
        copy.transfer()
        file = serves(pair, serial, more)
    mark = pair.primary.log_mark()
    for copy in copies:
        assert copy.transfer() == len(EDITS) + 1
        assert copy.is_at(file)
    pair.primary.wait_for_log(STARTED.format(kind="IXFR", serial=len(EDITS) + 1), since=mark)
    assert "AXFR" not in pair.primary.log_text(mark)


def test_the_history_survives_a_restart_and_goes_on(pair: Pair) -> None:
    copy = Copy(pair.primary)
    copy.transfer()
    serves(pair, 2, EDITS[0])
    pair.primary.stop()
    pair.primary.start()
    serves(pair, 3, EDITS[1])
    file = serves(pair, 4, EDITS[2])
    mark = pair.primary.log_mark()
    assert copy.transfer() == 4
    assert copy.is_at(file)
    pair.primary.wait_for_log(STARTED.format(kind="IXFR", serial=4), since=mark)


@pytest.mark.parametrize("how", ["a serial was forgotten", "an edit while it was down", "too long ago"])
def test_where_the_history_does_not_reach_the_zone_comes_whole(how: str, pair: Pair) -> None:
    copy = Copy(pair.primary)
    copy.transfer()
    if how == "a serial was forgotten":
        pair.edit("example.com", EXAMPLE_COM, 1, EDITS[0])
        pair.primary.wait_for_log(r"the content changed but the serial is still 1")
    elif how == "an edit while it was down":
        pair.primary.stop()
        write(pair.files["example.com"], EXAMPLE_COM, "example.com", 2, EDITS[0])
        pair.primary.start()
    else:
        copy.zone = dns.versioned.Zone("example.com", relativize=False)
        with copy.zone.writer(replacement=True) as writer:
            old = write(pair.files["example.com"].with_name("old"), EXAMPLE_COM, "example.com", 0)
            older = dns.zone.from_file(str(old), "example.com", relativize=False)
            for name, rdataset in older.iterate_rdatasets():
                writer.add(name, rdataset)
    file = serves(pair, 3, EDITS[1])
    mark = pair.primary.log_mark()
    assert copy.transfer() == 3
    assert copy.is_at(file)
    pair.primary.wait_for_log(STARTED.format(kind="AXFR-style IXFR", serial=3), since=mark)


def test_over_udp_it_comes_if_it_fits(pair: Pair) -> None:
    small, large = Copy(pair.primary), Copy(pair.primary)
    large.transfer()
    more = "".join(f'x{number} IN TXT "{"x" * 100}"\n' for number in range(12))
    serves(pair, 2, more)
    small.transfer()
    file = serves(pair, 3, f"{more}added IN A 192.0.2.1\n")
    mark = pair.primary.log_mark()
    assert small.transfer(udp=dns.query.UDPMode.ONLY) == 3
    assert small.is_at(file)
    pair.primary.wait_for_log(r"'example\.com/IN': IXFR over UDP \(serial 3\)", since=mark)
    assert large.transfer(udp=dns.query.UDPMode.TRY_FIRST) == 3
    assert large.is_at(file)
    assert pair.primary.log_text(mark).count(": IXFR started") == 1, "by TCP, what did not fit"


def test_a_change_larger_than_the_zone_is_the_zone(pair: Pair) -> None:
    many = "".join(f"x{number} IN A 192.0.2.1\n" for number in range(500))
    serves(pair, 2, many)
    copy = Copy(pair.primary)
    copy.transfer()
    file = serves(pair, 3, "")
    mark = pair.primary.log_mark()
    assert copy.transfer() == 3
    assert copy.is_at(file)
    pair.primary.wait_for_log(STARTED.format(kind="AXFR-style IXFR", serial=3), since=mark)
