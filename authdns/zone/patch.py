"""A new version of a zone from the one before and a delta, touching only what changed: IXFR in (RFC 1995).

All records of the owners in the delta, as they are to be, go through a ZoneBuilder of their own. So grouping, TTLs,
caps and all else that a single name can show are the builder's. What is known of the zone as a whole (which names
exist, delegations, the chain of denial) is then carried over, with the differences that those owners make.

A delta fits exactly or not at all. A record to be removed that is not there, or to be added that is there already,
proves that our copy is not what the primary takes it for, and then only the whole zone is right again. BIND and Knot
refuse both and fetch the zone; NSD ignores both, and keeps the difference. Records are compared by owner, type and
rdata, names without regard to case, and whatever their TTL: what is removed and added with another one has changed its
TTL. A record that is *added* twice by one delta counts once, with a warning, as in a zone file.

Ordinary changes cost what they are, and besides at most one run over the names (whether anything is left below a name
that lost its records) and copies of flat lists. Delegations with names below them that vanish, another NSEC3PARAM, and
the change between NSEC and NSEC3 look at every record.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from authdns.wire import name as names
from authdns.wire.rdata import folded, parse_soa
from authdns.wire.types import Type, type_to_text
from authdns.zone.builder import (
    EMPTY_NON_TERMINALS_PER_OWNER,
    MAX_EMPTY_NON_TERMINALS,
    ZoneBuilder,
    nsec3_chain,
    nsec3_chains,
    unhidden,
)
from authdns.zone.delta import Delta
from authdns.zone.denial import Nsec, Nsec3
from authdns.zone.overlay import edited
from authdns.zone.problem import Problems, Severity, TooManyErrors
from authdns.zone.records import Record
from authdns.zone.zone import RRsets, Zone, find_rrset

V = TypeVar("V")


class DoesNotFit(ValueError):
    """The delta does not lead from this zone to another one; the message says why."""


def owners_of(deltas: Iterable[Delta]) -> set[bytes]:
    """In lower case, of every record that they remove or add."""
    return {
        record.owner.lower() for delta in deltas for record in (delta.before, delta.after, *delta.removed, *delta.added)
    }


def patched(zone: Zone, delta: Delta, problems: Problems, source: str) -> Zone:
    """The later version; `zone` stays as it is. The records of the delta are well-formed.

    Warnings go to `problems`, with `source` as their place. Raises DoesNotFit.
    """
    return caught_up(zone, (delta,), problems, source)


def caught_up(zone: Zone, deltas: Sequence[Delta], problems: Problems, source: str) -> Zone:
    """The same for several, each from where the one before it ends, at the cost of one.

    Each must fit; but the versions between, which nobody will see, are not held against the builder's rules.
    """
    if not deltas:
        return zone
    touched = owners_of(deltas)
    part = _rebuilt(zone, deltas, touched, problems, source)
    name_changes = _name_changes(zone, part, touched)
    new_names = edited(zone.names, name_changes)
    records = zone.records + part.records - _count(zone, touched)
    # The builder counts owners, which nobody knows here; there are no more of them than records.
    if len(new_names) > records * (EMPTY_NON_TERMINALS_PER_OWNER + 1) + MAX_EMPTY_NON_TERMINALS:
        raise DoesNotFit(f"the owners have so many labels that {len(new_names)} names exist for {records} records")
    same_dnames = zone.dnames.isdisjoint(touched) and not part.dnames
    new = replace(
        zone,
        names=new_names,
        longest=_longest(zone, new_names, name_changes),
        spelling=edited(zone.spelling, _changes(zone.spelling, part.spelling, touched)),
        dnames=zone.dnames if same_dnames else (zone.dnames - touched) | part.dnames,
        nsec3=edited(zone.nsec3, _changes(zone.nsec3, part.nsec3, touched)),
        records=records,
    )
    return replace(
        new,
        cuts=_cuts(zone, new, touched),
        denial=_denial(zone, new, touched),
        signed=part.signed or (zone.signed and _has_signatures(new)),
    )


# -- the owners that the delta touches


def _rebuilt(zone: Zone, deltas: Sequence[Delta], touched: set[bytes], problems: Problems, source: str) -> Zone:
    """A zone of these owners alone, with their new records."""
    found = Problems()
    builder = ZoneBuilder(zone.apex, found, [source])
    records = {owner: _Records(zone, owner) for owner in touched}
    serial = zone.soa.serial
    for delta in deltas:
        _follow(zone.apex, delta, serial, records)
        serial = parse_soa(delta.after.rdata).serial
    try:
        for owner, each in records.items():
            if each.spelling is not None:
                builder.spell(owner, each.spelling)
            for rrtype, ttl, rdata in chain.from_iterable(each.found.values()):
                builder.add(owner, rrtype, ttl, rdata, 0)
        part = builder.build()
    except TooManyErrors:
        part = None
    if part is None:
        raise DoesNotFit(next(problem.message for problem in found if problem.severity is Severity.ERROR))
    for problem in found:
        problems.add(problem.severity, problem.place, problem.message)
    return part


class _Records:
    """Those of one owner while deltas are followed: by what tells one from another, with what the builder gets, which
    is more than one if a delta adds the same record twice."""

    def __init__(self, zone: Zone, owner: bytes) -> None:
        self.spelling = zone.spelling.get(owner)
        self.found: dict[tuple[int, bytes], list[tuple[int, int, bytes]]] = {
            (rrtype, folded(rrtype, rdata)): [(rrtype, ttl, rdata)]
            for rrtype, ttl, rdatas in zone.at(owner)
            for rdata in rdatas
        }

    def remove(self, key: tuple[int, bytes]) -> bool:
        is_there = self.found.pop(key, None) is not None
        if not self.found:
            self.spelling = None
        return is_there

    def add(self, key: tuple[int, bytes], record: Record) -> None:
        self.found.setdefault(key, []).append(record[1:])
        if self.spelling is None and record.owner != record.owner.lower():
            self.spelling = record.owner


def _follow(apex: bytes, delta: Delta, serial: int, records: dict[bytes, _Records]) -> None:
    for soa in (delta.before, delta.after):
        if soa.type != Type.SOA or soa.owner.lower() != apex:
            expected = f"where the SOA of {names.to_text(apex)} was expected (RFC 1995 §4)"
            raise DoesNotFit(f"{_what(soa.owner, soa.type)} {expected}")
    if (first := parse_soa(delta.before.rdata).serial) != serial:
        raise DoesNotFit(f"{_what(apex, Type.SOA)}: the delta leads on from serial {first}, the zone has {serial}")
    for key in [key for key in records[apex].found if key[0] == Type.SOA]:
        records[apex].remove(key)
    for record in delta.removed:
        owner, key = _key(record)
        if not records[owner].remove(key):
            raise DoesNotFit(f"{_what(owner, record.type)}: the delta removes a record that the zone does not have")
    added = set()
    for record in (delta.after, *delta.added):
        owner, key = _key(record)
        if key in records[owner].found and (owner, key) not in added:
            raise DoesNotFit(f"{_what(owner, record.type)}: the delta adds a record that the zone has already")
        if not names.is_at_or_below(owner, apex):
            raise DoesNotFit(f"{_what(owner, record.type)} lies outside the zone {names.to_text(apex)}")
        added.add((owner, key))
        records[owner].add(key, record)


def _key(record: Record) -> tuple[bytes, tuple[int, bytes]]:
    return record.owner.lower(), (record.type, folded(record.type, record.rdata))


def _what(owner: bytes, rrtype: int) -> str:
    return f"{names.to_text(owner)} {type_to_text(rrtype)}"


def _count(zone: Zone, owners: Iterable[bytes]) -> int:
    return sum(len(rrset.rdatas) for owner in owners for rrset in zone.at(owner))


def _changes(old: Mapping[bytes, V], part: Mapping[bytes, V], touched: Iterable[bytes]) -> dict[bytes, V | None]:
    return {owner: part.get(owner) for owner in touched if old.get(owner) != part.get(owner)}


# -- which names exist


def _name_changes(zone: Zone, part: Zone, touched: set[bytes]) -> dict[bytes, RRsets | None]:
    """What becomes of names: their records, none for those that exist for others below them, None if they vanish."""
    changes: dict[bytes, RRsets | None] = {
        owner: rrsets for owner, rrsets in part.names.items() if rrsets or owner not in zone.names
    }

    def has_records(name: bytes) -> bool:
        return bool((part if name in touched else zone).names.get(name))

    emptied: set[bytes] = set()  # and every name above them that may have existed for their sake alone
    for owner in touched:
        if has_records(owner):
            continue
        if owner in zone.names:
            changes[owner] = ()
            name = owner
        elif owner in zone.nsec3 and owner not in part.nsec3:
            name = names.parent(owner)
        else:
            continue
        while name not in emptied and not has_records(name):
            emptied.add(name)
            name = names.parent(name)
    if not emptied:
        return changes

    children = _children(zone.names, emptied)
    if not (isinstance(zone.denial, Nsec3) and len(zone.denial.owners) == len(zone.nsec3)):
        # Not all of them are in the chain, and so directly below the apex.
        children += _children((owner for owner in zone.nsec3 if owner not in zone.names), emptied)
    for owner in touched | changes.keys():
        if owner not in zone.names:
            is_there = owner in changes or owner in part.nsec3
            children[names.parent(owner)] += is_there - (owner in zone.nsec3)
    for name in sorted(emptied, key=len, reverse=True):  # from below
        if not children[name]:
            changes[name] = None
            if name not in (part if name in touched else zone).nsec3:
                children[names.parent(name)] -= 1
    return changes


def _children(owners: Iterable[bytes], parents: set[bytes]) -> Counter[bytes]:
    """How many of the owners stand directly below each of these names."""
    return Counter([parent for name in owners if (parent := name[name[0] + 1 :]) in parents])


def _longest(zone: Zone, new_names: Iterable[bytes], changes: Mapping[bytes, RRsets | None]) -> int:
    there = max(len(name) for name, rrsets in changes.items() if rrsets is not None)  # the apex at least
    gone = max((len(name) for name, rrsets in changes.items() if rrsets is None), default=0)
    if there >= zone.longest or gone < zone.longest:
        return max(there, zone.longest)
    for name in new_names:
        if len(name) > there:
            there = len(name)
            if there == zone.longest:
                break
    return there


# -- what is known of the zone as a whole


def _cuts(old: Zone, new: Zone, touched: Iterable[bytes]) -> frozenset[bytes]:
    come, gone = _came_and_went(old, new, touched, Type.NS)
    if not come and not gone:
        return old.cuts
    owners = (old.cuts - gone) | come
    above_some = {owner for owner in gone & old.cuts if owner in new.names}
    if above_some and _children(new.names, above_some):
        owners |= {owner for owner in _owners(new, Type.NS) if not above_some.isdisjoint(names.ancestors(owner))}
    return unhidden(owners, new.apex)


def _denial(old: Zone, new: Zone, touched: Iterable[bytes]) -> Nsec | Nsec3 | None:
    params = new.rrset(new.apex, Type.NSEC3PARAM)
    known = old.rrset(old.apex, Type.NSEC3PARAM)
    if params is None and known is None:
        come, gone = _came_and_went(old, new, touched, Type.NSEC)
        if old.denial is None or not (come or gone):
            return Nsec.of(come) if come else old.denial
        assert isinstance(old.denial, Nsec), "there was no NSEC3PARAM"
        nsec = old.denial.edited(gone, come)
        return nsec if nsec.owners else None
    if isinstance(old.denial, Nsec3) and params and known and params.rdatas == known.rdatas and len(params.rdatas) == 1:
        was, now = (
            set(nsec3_chains(zone.apex, _some(zone.nsec3, touched)).get(old.denial.parameters, ()))
            for zone in (old, new)
        )
        if was == now:
            return old.denial
        nsec3 = old.denial.edited(was - now, now - was)
        if nsec3.owners:
            return nsec3
    return nsec3_chain(new.apex, new.names[new.apex], new.nsec3) or (
        Nsec.of(owners) if (owners := set(_owners(new, Type.NSEC))) else None
    )


def _came_and_went(old: Zone, new: Zone, touched: Iterable[bytes], rrtype: int) -> tuple[set[bytes], set[bytes]]:
    was, now = ({owner for owner in touched if zone.rrset(owner, rrtype)} for zone in (old, new))
    return now - was, was - now


def _some(mapping: Mapping[bytes, RRsets], owners: Iterable[bytes]) -> dict[bytes, RRsets]:
    return {owner: mapping[owner] for owner in owners if owner in mapping}


def _owners(zone: Zone, rrtype: int) -> Iterator[bytes]:
    return (owner for owner, rrsets in zone.names.items() if find_rrset(rrsets, rrtype))


def _has_signatures(zone: Zone) -> bool:
    return any(rrset.type == Type.RRSIG for _, rrsets in zone.owners() for rrset in rrsets)
