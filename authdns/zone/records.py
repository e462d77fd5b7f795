"""Single records, and all records of a zone as octets: what is kept in the state folder.

Owners are as spelled, rdata is uncompressed; the class is IN.
"""

import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from struct import Struct, error
from typing import NamedTuple

from authdns.wire.rdata import name_at
from authdns.zone.builder import ZoneBuilder
from authdns.zone.problem import Problems
from authdns.zone.zone import RRsets, Zone

MAX_OCTETS = 1 << 30  # of what is unpacked
_FIXED = Struct(">HIH")  # type, TTL, octets of rdata
_PIECES = 10_000  # compressed at a time


class Record(NamedTuple):
    """`ttl` in seconds."""

    owner: bytes
    type: int
    ttl: int
    rdata: bytes


def records_of(zone: Zone, owner: bytes, rrsets: RRsets) -> Iterator[Record]:
    """`owner` in lower case."""
    spelled = zone.spelling.get(owner, owner)
    for rrtype, ttl, rdatas in rrsets:
        for rdata in rdatas:
            yield Record(spelled, rrtype, ttl, rdata)


def pack(records: Iterable[Record]) -> bytes:
    return _packed(
        piece for owner, rrtype, ttl, rdata in records for piece in (owner, _FIXED.pack(rrtype, ttl, len(rdata)), rdata)
    )


def pack_zone(zone: Zone) -> bytes:
    """All records of a zone, as `pack` would."""

    def pieces() -> Iterator[bytes]:
        spelling, fixed = zone.spelling, _FIXED.pack
        for owner, rrsets in zone.owners():
            spelled = spelling.get(owner, owner)
            for rrtype, ttl, rdatas in rrsets:
                for rdata in rdatas:
                    yield spelled + fixed(rrtype, ttl, len(rdata)) + rdata

    return _packed(pieces())


def _packed(pieces: Iterable[bytes]) -> bytes:
    packer = zlib.compressobj(1)
    waiting = iter(pieces)
    parts = []
    while some := b"".join(islice(waiting, _PIECES)):
        parts.append(packer.compress(some))
    return b"".join((*parts, packer.flush()))


def unpack(octets: bytes) -> list[Record]:
    """Raises ValueError."""
    reader = zlib.decompressobj()
    try:
        plain = reader.decompress(octets, MAX_OCTETS)
    except zlib.error as damage:
        raise ValueError(f"records are damaged: {damage}") from None
    if not reader.eof or reader.unused_data:
        raise ValueError("records are cut off, or too large")
    found = []
    at = 0
    try:
        while at < len(plain):
            owner = name_at(plain, at)
            rrtype, ttl, length = _FIXED.unpack_from(plain, at := at + len(owner))
            rdata = plain[at + _FIXED.size : (at := at + _FIXED.size + length)]
            found.append(Record(owner, rrtype, ttl, rdata))
    except (IndexError, error):
        at = len(plain) + 1
    if at != len(plain):
        raise ValueError("records are cut off")
    return found


def build(apex: bytes, records: Iterable[Record]) -> Zone:
    """Raises ValueError if they make no zone."""
    problems = Problems()
    builder = ZoneBuilder(apex, problems, ["the state folder"])
    for owner, rrtype, ttl, rdata in records:
        folded = owner.lower()
        if folded != owner:
            builder.spell(folded, owner)
        builder.add(folded, rrtype, ttl, rdata, 0)
    zone = builder.build()
    if zone is None:
        raise ValueError(next((str(problem) for problem in problems), "records make no zone"))
    return zone
