"""What changed between two versions of a zone: what IXFR sends (RFC 1995), and what is kept of the history.

Owners are as spelled, and compared in lower case; a record is another one if its TTL is. What only was spelled
otherwise has not changed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from authdns.wire.rdata import parse_soa
from authdns.wire.types import Type
from authdns.zone.records import Record, pack, records_of, unpack
from authdns.zone.zone import RRsets, Zone


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
    for owner, rrsets in _owners(old):
        now = new.at(owner)
        if rrsets and now != rrsets:
            _compare(owner, rrsets, now, old, new, removed, added)
            if len(removed) + len(added) > most:
                return None
    for owner, rrsets in _owners(new):
        if rrsets and not old.at(owner):
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
                key = _key(record)
                if others.pop(key, None) is None:
                    there[key] = record
    return Delta(deltas[0].before, deltas[-1].after, tuple(removed.values()), tuple(added.values()))


def applied(records: Iterable[Record], delta: Delta) -> list[Record]:
    """The later version, from all records of the one before. Raises ValueError if something is to be removed that is
    not there."""
    left = {_key(record): record for record in records}
    for record in (delta.before, *delta.removed):
        if left.pop(_key(record), None) is None:
            raise ValueError("a delta removes what is not there")
    left |= {_key(record): record for record in (delta.after, *delta.added)}
    return list(left.values())


def encode(delta: Delta) -> bytes:
    """The records as in an IXFR, without the SOAs at its ends: SOA, removed, SOA, added."""
    return pack((delta.before, *delta.removed, delta.after, *delta.added))


def decode(octets: bytes) -> Delta:
    """Raises ValueError."""
    records = unpack(octets)
    soas = [place for place, record in enumerate(records) if record.type == Type.SOA]
    if len(soas) != 2 or soas[0] != 0:
        raise ValueError("a delta has two SOA records, one of them in front")
    _, middle = soas
    return Delta(records[0], records[middle], records[1:middle], records[middle + 1 :])


def _key(record: Record) -> Record:
    return record._replace(owner=record.owner.lower())


def _owners(zone: Zone) -> Iterator[tuple[bytes, RRsets]]:
    """Each once, with all that it has."""
    for owner, rrsets in zone.names.items():
        yield owner, rrsets + zone.nsec3[owner] if owner in zone.nsec3 else rrsets
    for owner, rrsets in zone.nsec3.items():
        if owner not in zone.names:
            yield owner, rrsets


def _compare(
    owner: bytes, before: RRsets, now: RRsets, old: Zone, new: Zone, removed: list[Record], added: list[Record]
) -> None:
    were = {record[1:]: record for record in _records(old, owner, before)}
    are = {record[1:]: record for record in _records(new, owner, now)}
    removed += [record for key, record in were.items() if key not in are]
    added += [record for key, record in are.items() if key not in were]


def _records(zone: Zone, owner: bytes, rrsets: RRsets) -> Iterator[Record]:
    return (record for record in records_of(zone, owner, rrsets) if record.type != Type.SOA)


def _soa(zone: Zone) -> Record:
    rrtype, ttl, (rdata,) = zone.soa_rrset
    return Record(zone.spelling.get(zone.apex, zone.apex), rrtype, ttl, rdata)
