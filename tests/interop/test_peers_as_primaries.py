"""BIND, NSD, Knot and PowerDNS as primaries, as the tests of secondary zones use them: what dnspython gets from them.

Each serves what is in its zone file, reads it again when told to, sends NOTIFY of that to whom it should (here a socket
of the test), and answers IXFR with what changed; with a key, only to who signs, and with NOTIFY signed.
"""

from __future__ import annotations

import base64
import socket
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import dns.exception
import dns.message
import dns.opcode
import dns.rdatatype
import dns.rrset
import pytest

from tests.interop.zones import EXAMPLE_COM, write
from tests.peers import Bind, Endpoint, Knot, NameServer, Nsd, Pdns, Record, TsigKey, Zone, axfr, records_in_file
from tests.peers.availability import requires
from tests.peers.process import free_port, wait_until
from tests.peers.records import keyring, of_rrset, xfr

KEY = TsigKey("transfer.example", base64.b64encode(bytes(range(32))).decode())
NOTIFY_SECONDS = 20.0  # PowerDNS looks once a second for what is new
PRIMARIES = [
    pytest.param(Bind, marks=requires("bind")),
    pytest.param(Nsd, marks=requires("nsd")),
    pytest.param(Knot, marks=requires("knot")),
    pytest.param(Pdns, marks=requires("pdns")),
]
WITH_AND_WITHOUT_KEY = pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
WITHOUT_IXFR_OUT = (Pdns,)  # answers it with the whole zone, or with its SOA alone
# NSD 4.6 adds what is there already: of a name with several types, some RRsets that did not change.
ADDING_AGAIN = (Nsd,)
MORE = {2: "added IN A 192.0.2.200\n", 3: "added IN A 192.0.2.201\n", 4: ""}


class Notified:
    """A secondary that does nothing but confirm NOTIFY: over UDP, and over TCP, as Knot sends it."""

    def __init__(self, key: TsigKey | None) -> None:
        self.endpoint = Endpoint("127.0.0.1", free_port())
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(self.endpoint)
        self._udp.setblocking(False)
        self._tcp = socket.create_server(self.endpoint)
        self._tcp.setblocking(False)
        self._key = key
        self._seen: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._udp.close()
        self._tcp.close()

    def next(self) -> dns.message.Message:
        """The next NOTIFY, repetitions passed over; TimeoutError without one."""
        found = wait_until(self._receive, "a NOTIFY", NOTIFY_SECONDS)
        assert found is not None
        return found

    def _receive(self) -> dns.message.Message | None:
        with suppress(BlockingIOError):
            packet, sender = self._udp.recvfrom(65_535)
            notify, response = self._confirmed(packet)
            self._udp.sendto(response, sender)
            return notify
        with suppress(BlockingIOError):
            connection, _ = self._tcp.accept()
            with connection, connection.makefile("rwb") as stream:
                connection.settimeout(NOTIFY_SECONDS)
                notify, response = self._confirmed(stream.read(int.from_bytes(stream.read(2), "big")))
                stream.write(len(response).to_bytes(2, "big") + response)
            return notify
        return None

    def _confirmed(self, packet: bytes) -> tuple[dns.message.Message | None, bytes]:
        """What came, or None if it came before; and the response to it."""
        notify = dns.message.from_wire(packet, keyring=keyring(self._key) if self._key else None)
        assert notify.opcode() == dns.opcode.NOTIFY
        repeated = notify.id in self._seen
        self._seen.add(notify.id)
        return None if repeated else notify, dns.message.make_response(notify).to_wire()


class Versions:
    """A primary of one zone whose file is edited, and who is told of it."""

    def __init__(
        self, kind: type[NameServer], key: TsigKey | None, folder: Path, stack: ExitStack, *notify: Endpoint
    ) -> None:
        self.key = key
        self.file = write(folder / "example.com.zone", EXAMPLE_COM, "example.com", 1)
        self.records = {1: records_in_file(self.file, "example.com")}
        zone = Zone("example.com", self.file, notify=notify, key=key)
        self.server = stack.enter_context(kind(folder / kind.name, [zone]))

    def edit(self, serial: int, more: str) -> None:
        write(self.file, EXAMPLE_COM, "example.com", serial, more)
        self.records[serial] = records_in_file(self.file, "example.com")
        self.server.zone_file_changed()

    def transferred(self) -> frozenset[Record]:
        return axfr(self.server.endpoint, "example.com", self.key)


def of_another_secret(key: TsigKey) -> TsigKey:
    return key._replace(secret=base64.b64encode(bytes(32)).decode())


@WITH_AND_WITHOUT_KEY
@pytest.mark.parametrize("kind", PRIMARIES)
def test_it_notifies_and_serves_each_version(
    kind: type[NameServer], key: TsigKey | None, tmp_path: Path, stack: ExitStack
) -> None:
    notified = stack.enter_context(Notified(key))
    versions = Versions(kind, key, tmp_path, stack, notified.endpoint)
    assert versions.transferred() == versions.records[1]
    notified.next()  # of what it has at start
    for serial, more in MORE.items():
        versions.edit(serial, more)
        notify = notified.next()
        assert [(str(each.name), each.rdtype) for each in notify.question] == [("example.com.", dns.rdatatype.SOA)]
        assert notify.had_tsig is (key is not None)
        versions.server.wait_until_serving("example.com", serial)
        assert versions.transferred() == versions.records[serial]


@WITH_AND_WITHOUT_KEY
@pytest.mark.parametrize("kind", PRIMARIES)
def test_ixfr_has_the_differences(
    kind: type[NameServer], key: TsigKey | None, tmp_path: Path, stack: ExitStack
) -> None:
    versions = Versions(kind, key, tmp_path, stack)
    for serial, more in MORE.items():
        versions.edit(serial, more)
        versions.server.wait_until_serving("example.com", serial)
    last = max(MORE)
    for serial in range(1, last):
        rrsets = xfr(versions.server.endpoint, "example.com", key, serial)
        if kind in WITHOUT_IXFR_OUT:
            assert {record for rrset in rrsets for record in of_rrset(rrset)} == versions.records[last]
        else:
            assert applied(rrsets, versions.records[serial], again=kind in ADDING_AGAIN) == versions.records[last]


def applied(rrsets: list[dns.rrset.RRset], before: frozenset[Record], *, again: bool) -> frozenset[Record]:
    """What the differences of an IXFR make of a zone (RFC 1995 section 4); what is deleted has to be there, and what is
    added has not, unless that may happen `again`."""
    rows = [record for rrset in rrsets for record in of_rrset(rrset)]
    first, *between, last = rows
    assert first == last
    assert first.type == between[0].type == "SOA", "not the whole zone"
    now = set(before)
    deleting = False
    for row in between:
        if row.type == "SOA":
            deleting = not deleting
        if deleting:
            now.remove(row)
        else:
            assert again or row not in now
            now.add(row)
    return frozenset(now)


@pytest.mark.parametrize("kind", PRIMARIES)
def test_with_a_key_only_who_signs_gets_the_zone(kind: type[NameServer], tmp_path: Path, stack: ExitStack) -> None:
    versions = Versions(kind, KEY, tmp_path, stack)
    for key in (None, of_another_secret(KEY)):
        with pytest.raises(dns.exception.DNSException):
            axfr(versions.server.endpoint, "example.com", key)
    assert versions.transferred() == versions.records[1]


@pytest.mark.parametrize("kind", PRIMARIES)
def test_it_reads_its_file_when_it_starts_again(kind: type[NameServer], tmp_path: Path, stack: ExitStack) -> None:
    versions = Versions(kind, None, tmp_path, stack)
    versions.edit(2, MORE[2])
    versions.server.wait_until_serving("example.com", 2)
    versions.server.stop()
    write(versions.file, EXAMPLE_COM, "example.com", 3)
    versions.server.start()
    versions.server.wait_until_serving("example.com", 3)
    assert versions.transferred() == records_in_file(versions.file, "example.com")
