"""The classes of queries: what must agree for two queries to have the same answer.

A query falls into a class by *position* and type. There are two kinds of position: **at** an existing name, and
**below** an existing name where the next label does not exist (the closest encloser of RFC 4592). Whether that means
data, a wildcard, a referral or a denial follows from the position alone; it is `lookup` that finds out. Of the types,
those matter that some name on the way has; all others are one class, OTHER.

In a signed zone one record of an answer below a closest encloser depends on more than this: see compiler.Opening.
"""

from collections.abc import Iterator
from typing import NamedTuple

from authdns.answer.lookup import BESIDE_CNAME, MAX_CHAIN, Found, find, substitution
from authdns.wire import name as names
from authdns.wire.types import Type
from authdns.zone.zone import Zone, find_rrset

OTHER = 0  # stands for every type that is not named; RFC 6895 §3.1 reserves it, no zone can hold it


class Position(NamedTuple):
    """`node` exists in the zone. With `below`, the queries are for names under it whose next label does not exist."""

    node: bytes
    below: bool


def position_of(zone: Zone, qname: bytes) -> Position:
    """The position of a lower-case name at or below the apex."""
    encloser = zone.closest_encloser(qname)
    return Position(encloser, encloser is not qname)


def positions(zone: Zone) -> Iterator[Position]:
    for node in zone.names:
        yield Position(node, below=False)
        if representative(zone, Position(node, below=True)) is not None:
            yield Position(node, below=True)


def representative(zone: Zone, position: Position) -> bytes | None:
    """A name at that position; None if no name is (nothing fits below a name of 254 octets)."""
    if not position.below:
        return position.node
    if len(position.node) + 2 > names.MAX_NAME_OCTETS:
        return None
    for octet in range(256):
        if octet in range(0x41, 0x5B):
            continue  # upper case is not a name of its own
        candidate = bytes((1, octet)) + position.node
        if candidate not in zone.names:
            return candidate
    # All one-octet labels exist; a label of two octets is always free below fewer than 65,536 names, and so on.
    room = min(names.MAX_LABEL_OCTETS, names.MAX_NAME_OCTETS - len(position.node) - 1)
    for length in range(2, room + 1):
        for number in range(len(zone.names) + 1):
            candidate = bytes((length,)) + f"{number:0{length}d}"[-length:].encode() + position.node
            if candidate not in zone.names:
                return candidate
    return None


def types_that_matter(zone: Zone, qname: bytes) -> set[int]:
    """Every type for which the answer at `qname` may differ from that to OTHER."""
    found: set[int] = set()
    name = qname
    if not zone.cuts and not zone.dnames:  # most names of most zones: nothing hides them, and they lead nowhere
        found.update(rrset.type for rrset in zone.names.get(qname, ()))
        if found and Type.CNAME not in found:
            found.add(Type.ANY)
            return found
    for _ in range(MAX_CHAIN):
        match = find(zone, name, OTHER)
        if match.found is Found.DELEGATION:
            if match.node == name:
                found.add(Type.DS)
            return found
        if match.found is Found.DNAME and name != qname:  # behind a CNAME; at first, each query is looked up by itself
            name = substitution(match, name)[1].lower()
            if len(name) > names.MAX_NAME_OCTETS or not names.is_at_or_below(name, zone.apex):
                return found
            continue
        if match.found not in (Found.EXACT, Found.WILDCARD):
            return found
        found.update(rrset.type for rrset in match.rrsets)
        if match.rrsets:
            found.add(Type.ANY)
        cname = find_rrset(match.rrsets, Type.CNAME)
        if cname is None:
            return found
        found.update(BESIDE_CNAME)
        name = cname.rdatas[0].lower()
        if not names.is_at_or_below(name, zone.apex):
            return found
    return found
