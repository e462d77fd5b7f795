"""Questions to a server, and zones as sets of records that compare across implementations."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.SOA
import dns.rrset
import dns.tsig
import dns.zone

AXFR_SECONDS = 20.0
EXCHANGE_SECONDS = 15.0
IN_FLIGHT = 16


class Record(NamedTuple):
    """One record as text, but canonical: owner in lower case, rdata in the one spelling that dnspython gives it."""

    owner: str
    ttl: int
    type: str
    rdata: str


def ask(
    server: tuple[str, int], name: str, rdtype: str, *, timeout: float = 2.0, flags: int = 0, edns: bool = False
) -> dns.message.Message | None:
    """The response to one question over UDP; None without one in time. A closed port is noticed at once."""
    query = dns.message.make_query(name, rdtype, flags=flags, use_edns=0 if edns else None)
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as connected:
        connected.settimeout(timeout)
        try:
            connected.connect(server)
            connected.send(query.to_wire())
            response = dns.message.from_wire(connected.recv(65_535))
        except (OSError, dns.exception.DNSException):
            return None
    return response if query.is_response(response) else None


def exchange(server: tuple[str, int], queries: Sequence[bytes]) -> list[bytes]:
    """The responses to many queries over UDP, in their order, some queries always under way at once.

    The ids are set here. TimeoutError if a server leaves one without response.
    """
    responses: dict[int, bytes] = {}
    with socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, socket.SOCK_DGRAM) as connected:
        connected.settimeout(EXCHANGE_SECONDS)
        connected.connect(server)
        for number in range(len(queries) + IN_FLIGHT):
            if number < len(queries):
                connected.send(number.to_bytes(2, "big") + queries[number][2:])
            while len(responses) < min(number + 1 - IN_FLIGHT, len(queries)) or number >= len(queries) > len(responses):
                response = connected.recv(65_535)
                responses[int.from_bytes(response[:2], "big")] = response
    return [responses[number] for number in range(len(queries))]


def ask_all(
    server: tuple[str, int], questions: Iterable[tuple[str, str]], *, flags: int = 0, dnssec_ok: bool = True
) -> list[dns.message.Message]:
    """The responses to many questions over UDP, each with EDNS and, unless told otherwise, DO."""
    queries = [
        dns.message.make_query(name, rdtype, flags=flags, want_dnssec=dnssec_ok, use_edns=0, payload=4096)
        for name, rdtype in questions
    ]
    return [dns.message.from_wire(response) for response in exchange(server, [each.to_wire() for each in queries])]


def serial_at(server: tuple[str, int], zone: str, timeout: float = 2.0) -> int | None:
    """The serial of `zone` as `server` answers it with authority; None if it does not."""
    response = ask(server, zone, "SOA", timeout=timeout)
    if response is None or not response.flags & dns.flags.AA:
        return None
    for rrset in response.answer:
        if rrset.rdtype == dns.rdatatype.SOA:
            soa = rrset[0]
            assert isinstance(soa, dns.rdtypes.ANY.SOA.SOA)
            return soa.serial
    return None


def axfr(server: tuple[str, int], zone: str, key: tuple[str, str, str] | None = None) -> frozenset[Record]:
    """All records of `zone`, transferred from `server`; signed if a `key` (a `TsigKey`) is given.

    Raises what `dns.query.xfr` raises.
    """
    return frozenset(record for rrset in xfr(server, zone, key) for record in of_rrset(rrset))


def xfr(
    server: tuple[str, int], zone: str, key: tuple[str, str, str] | None = None, serial: int | None = None
) -> list[dns.rrset.RRset]:
    """What a transfer carries, as it comes: IXFR if a `serial` is given; raises what `dns.query.xfr` raises."""
    address, port = server
    asked: dict[str, Any] = {"rdtype": "AXFR"} if serial is None else {"rdtype": "IXFR", "serial": serial}
    if key is not None:
        asked |= {"keyring": keyring(key), "keyname": key[0]}
    messages = dns.query.xfr(address, zone, port=port, relativize=False, lifetime=AXFR_SECONDS, **asked)
    return [rrset for message in messages for rrset in message.answer]


def keyring(key: tuple[str, str, str]) -> dict[dns.name.Name, dns.tsig.Key]:
    """`key` as dnspython wants it."""
    name, secret, algorithm = key
    return {dns.name.from_text(name): dns.tsig.Key(name, secret, f"{algorithm}.")}


def records_in_file(path: Path, origin: str) -> frozenset[Record]:
    """All records of a zone file, as dnspython reads it."""
    zone = dns.zone.from_file(str(path), origin=origin, relativize=False)
    rrsets = (
        dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset)) for name, rdataset in zone.iterate_rdatasets()
    )
    return frozenset(record for rrset in rrsets for record in of_rrset(rrset))


def of_rrset(rrset: dns.rrset.RRset) -> list[Record]:
    owner = rrset.name.canonicalize().to_text()
    rdtype = dns.rdatatype.to_text(rrset.rdtype)
    return [Record(owner, rrset.ttl, rdtype, rdata.to_text(origin=dns.name.root, relativize=False)) for rdata in rrset]
