"""What changed between two versions of a zone: what IXFR sends (RFC 1995), and what is kept of the history.

Owners are as spelled, and compared in lower case; a record is another one if its TTL is. What only was spelled
otherwise has not changed.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from authdns.wire.rdata import name_at, parse_soa
from authdns.wire.types import Type
from authdns.zone.zone import RRsets, Zone

MAX_OCTETS = 1 << 28  # of what a delta is unpacked to
_FIXED = Struct(">HIH")  # type, TTL, octets of rdata
_COUNT = Struct(">I")


class Record(NamedTuple):
    """One record of class IN; `rdata` uncompressed, `ttl` in seconds."""

    owner: bytes
    type: int
    ttl: int
    rdata: bytes


@dataclass(frozen=True, slots=True)
class Delta:
    """From one version to a later one. `before` and `after` are their SOA records, which are not among the others."""

    before: Record
    after: Record
    removed: Sequence[Record]
    added: Sequence[Record]

    @property
    def serials(self) -> tuple[int, int]:
        return parse_soa(self.before.rdata).serial, parse_soa(self.after.rdata).serial

    def __len__(self) -> int:
        """How many records an IXFR of it has (RFC 1995 §4): each SOA stands in it twice."""
        return len(self.removed) + len(self.added) + 4


def difference(old: Zone, new: Zone, most: int) -> Delta | None:
    """None if more than `most` records have changed."""
    removed: list[Record] = []
    added: list[Record] = []
    for owner, rrsets in old.owners():
        now = _at(new, owner)
        if rrsets and now != rrsets:
            _compare(owner, rrsets, now, old, new, removed, added)
            if len(removed) + len(added) > most:
                return None
    for owner, rrsets in new.owners():
        if rrsets and not _at(old, owner):
            added += _records(new, owner, rrsets)
            if len(removed) + len(added) > most:
                return None
    return Delta(_soa(old), _soa(new), removed, added)


def condensed(deltas: Sequence[Delta]) -> Delta:
    """One delta for several, each from where the one before it ends (RFC 1995 §5)."""
    removed: dict[Record, Record] = {}  # owner in lower case -> as spelled
    added: dict[Record, Record] = {}
    for delta in deltas:
        for these, there, others in ((delta.removed, removed, added), (delta.added, added, removed)):
            for record in these:
                key = record._replace(owner=record.owner.lower())
                if others.pop(key, None) is None:
                    there[key] = record
    return Delta(deltas[0].before, deltas[-1].after, tuple(removed.values()), tuple(added.values()))


def encode(delta: Delta) -> bytes:
    parts: list[bytes] = []
    for soa, records in ((delta.before, delta.removed), (delta.after, delta.added)):
        parts.append(_COUNT.pack(len(records)))
        for owner, rrtype, ttl, rdata in (soa, *records):
            parts += (owner, _FIXED.pack(rrtype, ttl, len(rdata)), rdata)
    return zlib.compress(b"".join(parts), 1)


def decode(octets: bytes) -> Delta:
    """Raises ValueError."""
    try:
        reader = zlib.decompressobj()
        plain = reader.decompress(octets, MAX_OCTETS)
        if not reader.eof:
            raise ValueError("a delta is cut off, or too large")
    except zlib.error as error:
        raise ValueError(f"a delta is damaged: {error}") from None
    records, end = _decode_part(plain, 0)
    more, end = _decode_part(plain, end)
    if end != len(plain):
        raise ValueError("octets behind the end of a delta")
    return Delta(records[0], more[0], records[1:], more[1:])


def _decode_part(plain: bytes, at: int) -> tuple[list[Record], int]:
    try:
        (count,) = _COUNT.unpack_from(plain, at)
        at += _COUNT.size
        found = []
        for _ in range(count + 1):
            owner = name_at(plain, at)
            at += len(owner)
            rrtype, ttl, octets = _FIXED.unpack_from(plain, at)
            at += _FIXED.size
            found.append(Record(owner, rrtype, ttl, plain[at : at + octets]))
            at += octets
    except (IndexError, ValueError, OverflowError) as error:
        raise ValueError(f"a delta does not hold what it should: {error}") from None
    if at > len(plain):
        raise ValueError("a delta is cut off")
    return found, at


def _at(zone: Zone, owner: bytes) -> RRsets:
    return zone.names.get(owner) or zone.nsec3.get(owner, ())


def _compare(
    owner: bytes, before: RRsets, now: RRsets, old: Zone, new: Zone, removed: list[Record], added: list[Record]
) -> None:
    were = {record[1:]: record for record in _records(old, owner, before)}
    are = {record[1:]: record for record in _records(new, owner, now)}
    removed += [record for key, record in were.items() if key not in are]
    added += [record for key, record in are.items() if key not in were]


def _records(zone: Zone, owner: bytes, rrsets: RRsets) -> Iterator[Record]:
    """All but the SOA."""
    spelled = zone.spelling.get(owner, owner)
    for rrtype, ttl, rdatas in rrsets:
        if rrtype != Type.SOA:
            for rdata in rdatas:
                yield Record(spelled, rrtype, ttl, rdata)


def _soa(zone: Zone) -> Record:
    rrtype, ttl, (rdata,) = zone.soa_rrset
    return Record(zone.spelling.get(zone.apex, zone.apex), rrtype, ttl, rdata)
