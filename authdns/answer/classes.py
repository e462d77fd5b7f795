"""The classes of queries: what must agree for two queries to have the same answer.

A query falls into a class by *position* and type. There are two kinds of position: **at** an existing name, and
**below** an existing name where the next label does not exist (the closest encloser of RFC 4592). Whether that means
data, a wildcard, a referral or a denial follows from the position alone; it is `lookup` that finds out. Of the types,
those matter that some name on the way has; all others are one class, OTHER.

A DNAME makes another place appear below its owner. A name down there is at the position that its substituted name has
in that other place: *at* it, if the substituted name exists, else *below* as much of it as exists (`Substitutions`).

In a signed zone one record of an answer below a closest encloser depends on more than this, and so do names that a
DNAME moves: see compiler.OpenPlan.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from authdns.answer.lookup import BESIDE_CNAME, MAX_CHAIN, MAX_DNAME_LINKS, Found, find, hidden, substitution
from authdns.wire import name as names
from authdns.wire.types import Type
from authdns.zone.zone import Zone, find_rrset

OTHER = 0  # stands for every type that is not named; RFC 6895 §3.1 reserves it, no zone can hold it


class Position(NamedTuple):
    """`node` exists, or a DNAME makes it appear. With `below`, the queries are for names under it whose next label does
    not exist; the DNAME link number `too_long` makes them too long for names (RFC 6672 §2.2), if there is one."""

    node: bytes
    below: bool
    too_long: int | None = None


class _Path(NamedTuple):
    """Where DNAMEs lead from one owner, as far as it is the same for every name below it."""

    rooms: tuple[int, ...]  # octets that may stand above the owner, for each link
    room: int  # the least of them
    end: bytes | None  # the last target, if what is below it decides how it goes on


class Substitutions:
    """The positions below the DNAMEs of one zone. What it learns about the zone it keeps, at most something for each
    name there."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._hiders: dict[bytes, bytes | None] = {}
        self._paths: dict[bytes, _Path] = {}

    def position(self, qname: bytes, starts: Sequence[int], encloser: bytes) -> Position | None:
        """Of a name that does not exist, by where its labels start and its closest encloser; None if no DNAME is above
        it."""
        owner = self._hider(encloser)
        if owner is None or owner not in self._zone.dnames:
            return None
        above = octets = len(qname) - len(owner)  # of the question what is not known to exist; what the DNAMEs move
        links = 0
        while True:
            path = self._paths.get(owner) or self._path(owner)
            if octets > path.room:
                links += next(link for link, room in enumerate(path.rooms) if octets > room)
                return Position(qname[above:], True, links)
            links += len(path.rooms)
            if path.end is None or links > MAX_DNAME_LINKS:
                return Position(qname[above:], True)
            name = qname[:octets] + path.end
            encloser = self._zone.encloser_above(name, starts, octets)
            if len(encloser) == len(name):
                return Position(qname, False)
            owner = self._hider(encloser) or encloser
            octets = len(name) - len(owner)
            above = min(above, octets)
            if links == MAX_DNAME_LINKS or owner not in self._zone.dnames:
                return Position(qname[above:], True)

    def _hider(self, encloser: bytes) -> bytes | None:
        """The owner of the cut or the DNAME that hides the names below an existing one."""
        try:
            return self._hiders[encloser]
        except KeyError:
            match = hidden(self._zone, encloser)
            found = self._hiders[encloser] = None if match is None else match.node
            return found

    def _path(self, owner: bytes) -> _Path:
        zone = self._zone
        rooms: list[int] = []
        end = None
        node, between = owner, b""
        while len(rooms) < MAX_DNAME_LINKS:
            dname = zone.rrset(node, Type.DNAME)
            assert dname is not None, "zone.dnames lists owners of DNAME"
            to = between + dname.rdatas[0].lower()
            rooms.append(names.MAX_NAME_OCTETS - len(to))
            if not names.is_at_or_below(to, zone.apex):
                break
            encloser = zone.closest_encloser(to)
            hider = self._hider(encloser)
            if hider is None or hider not in zone.dnames:
                if hider is None and encloser is to:
                    end = to
                break
            node, between = hider, to[: len(to) - len(hider)]
        path = self._paths[owner] = _Path(tuple(rooms), min(rooms), end)
        return path


def position_of(zone: Zone, qname: bytes) -> Position:
    """The position of a lower-case name at or below the apex."""
    encloser = zone.closest_encloser(qname)
    if encloser is qname:
        return Position(qname, below=False)
    return Substitutions(zone).position(qname, names.label_starts(qname), encloser) or Position(encloser, below=True)


def representatives(zone: Zone) -> Iterator[bytes]:
    """A name at each position; below a DNAME, where there are as many as in the other place, at some of them."""
    for node in zone.names:
        yield node
        below = representative_below(zone, node)
        if below is not None:
            yield below


def representative_below(zone: Zone, node: bytes, besides: Collection[bytes] = ()) -> bytes | None:
    """A name that does not exist, directly below one that does, and is none of `besides`; None if none fits (below a
    name of 254 octets)."""
    if len(node) + 2 > names.MAX_NAME_OCTETS:
        return None
    for octet in range(256):
        if octet in range(0x41, 0x5B):
            continue  # upper case is not a name of its own
        candidate = bytes((1, octet)) + node
        if candidate not in zone.names and candidate not in besides:
            return candidate
    # All one-octet labels exist; a label of two octets is always free below fewer than 65,536 names, and so on.
    room = min(names.MAX_LABEL_OCTETS, names.MAX_NAME_OCTETS - len(node) - 1)
    for length in range(2, room + 1):
        for number in range(len(zone.names) + len(besides) + 1):
            candidate = bytes((length,)) + f"{number:0{length}d}"[-length:].encode() + node
            if candidate not in zone.names and candidate not in besides:
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
        if match.found is Found.DNAME:
            found.add(Type.CNAME)  # it makes one
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
