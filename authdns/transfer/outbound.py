"""Outbound zone transfer (RFC 5936): one immutable Zone to a stream of messages. No sockets, no pacing: the caller
takes the next message when there is room for it, so nothing is ever encoded ahead.

Compression is one idea: every message repeats the question (RFC 5936 §2.2.1 allows it), so the apex is always at
offset 12, and each owner is its own labels and a pointer there. That costs a slice and a concatenation per record.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from authdns.wire.message import answering_options, header, opt_record
from authdns.wire.query import Query
from authdns.wire.rdata import COMPRESSIBLE
from authdns.wire.types import Flag, Type
from authdns.zone.delta import Delta
from authdns.zone.records import Record
from authdns.zone.zone import RRsets, Zone

# Short enough that queries wait less than a millisecond for the next message to be encoded, long enough that neither
# framing nor system calls matter. A larger record gets a message of its own, of at most 65,535 octets.
MESSAGE_OCTETS = 16384
_APEX_POINTER = b"\xc0\x0c"


class Message(NamedTuple):
    """One message of a transfer, without the two octets of TCP framing."""

    wire: bytes
    records: int


def axfr(zone: Zone, query: Query, payload: int) -> Iterator[Message]:
    """The whole zone: SOA, everything else, SOA (RFC 5936 §2.2). Also answers IXFR in full form (RFC 1995 §4)."""
    return _messages(_records(zone), query, payload)


def ixfr(zone: Zone, delta: Delta, query: Query, payload: int) -> Iterator[Message]:
    """What changed up to this version of the zone, as one difference sequence (RFC 1995 §4): the new SOA; the old one
    and what was removed; the new one and what was added; the new one."""
    before, after = delta.before, delta.after
    records = chain((after, before), delta.removed, (after,), delta.added, (after,))
    return _messages((_piece(record, zone.apex) for record in records), query, payload)


def _messages(records: Iterable[bytes], query: Query, payload: int) -> Iterator[Message]:
    """Of records behind a question for the apex at offset 12."""
    opt = b"" if query.edns is None else opt_record(payload, 0, query.edns.dnssec_ok, answering_options(query.edns))
    ident = query.id.to_bytes(2, "big")
    flags = Flag.QR | Flag.AA | query.flags & Flag.RD
    pieces: list[bytes] = []
    octets = 0
    for piece in records:
        octets += len(piece)
        if octets > MESSAGE_OCTETS and pieces:
            head = header(ident, flags, 0, (1, len(pieces), 0, bool(opt) + 0))
            yield Message(b"".join((head, query.question, *pieces, opt)), len(pieces))
            pieces, octets = [], len(piece)
        pieces.append(piece)
    head = header(ident, flags, 0, (1, len(pieces), 0, bool(opt) + 0))
    yield Message(b"".join((head, query.question, *pieces, opt)), len(pieces))


def _records(zone: Zone) -> Iterator[bytes]:
    """Every record on the wire, behind a question for the apex at offset 12."""
    apex = zone.apex
    apex_octets = len(apex)
    fixed_parts: dict[tuple[int, int], bytes] = {}
    spelling = zone.spelling
    soa = b""
    for owner, rrsets in _apex_first(zone):
        if not rrsets:
            continue
        spelled = spelling.get(owner, owner) if spelling else owner
        prefix = spelled[:-apex_octets] + _APEX_POINTER
        for rrtype, ttl, rdatas in rrsets:
            fixed = fixed_parts.get((rrtype, ttl))
            if fixed is None:
                fixed = rrtype.to_bytes(2, "big") + b"\0\1" + ttl.to_bytes(4, "big")
                fixed_parts[rrtype, ttl] = fixed
            for rdata in rdatas:
                if rrtype in COMPRESSIBLE:
                    rdata = _shortened(rrtype, rdata, apex)
                piece = prefix + fixed + len(rdata).to_bytes(2, "big") + rdata
                if rrtype == Type.SOA:
                    soa = piece
                yield piece
    yield soa


def _piece(record: Record, apex: bytes) -> bytes:
    owner, rrtype, ttl, rdata = record
    if rrtype in COMPRESSIBLE:
        rdata = _shortened(rrtype, rdata, apex)
    fixed = rrtype.to_bytes(2, "big") + b"\0\1" + ttl.to_bytes(4, "big") + len(rdata).to_bytes(2, "big")
    return owner[: -len(apex)] + _APEX_POINTER + fixed + rdata


def _apex_first(zone: Zone) -> Iterator[tuple[bytes, RRsets]]:
    apex_rrsets = zone.names[zone.apex]
    yield zone.apex, tuple(sorted(apex_rrsets, key=lambda rrset: rrset.type != Type.SOA))
    for owner, rrsets in zone.owners():
        if owner != zone.apex:
            yield owner, rrsets


def _shortened(rrtype: int, rdata: bytes, apex: bytes) -> bytes:
    """`rdata` with names in the zone cut to a pointer at the apex."""
    layout = COMPRESSIBLE[rrtype]
    parts = [rdata[: layout.skip]]
    position = layout.skip
    for _ in range(layout.names):
        start = position
        cut = -1
        while length := rdata[position]:
            if rdata.startswith(apex, position):
                cut = position
                break
            position += length + 1
        if cut < 0:
            position += 1
            parts.append(rdata[start:position])
        else:
            position += len(apex)
            parts += (rdata[start:cut], _APEX_POINTER)
    parts.append(rdata[position:])
    return b"".join(parts)


def framed(message: bytes) -> bytes:
    """With the two octets of length that TCP wants (RFC 1035 §4.2.2)."""
    return len(message).to_bytes(2, "big") + message
