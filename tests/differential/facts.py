"""What a set of zones says about a name, as far as the reasons for deviations need it: no server's code, and slow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from authdns.wire import name as names
from authdns.wire.types import type_from_text
from tests.differential.comparison import Difference
from tests.differential.messages import CNAME
from tests.differential.zones import ZoneText


class Facts:
    """Names (in wire format and lower case) and their types, of all zones together."""

    def __init__(
        self, apexes: Iterable[bytes], records: Iterable[tuple[bytes, int]], signed: Iterable[str] = ()
    ) -> None:
        """`signed` says how those of the zones are signed that are."""
        self.apexes = frozenset(apexes)
        self.signed = frozenset(signed)
        self.types: dict[bytes, set[int]] = {apex: set() for apex in self.apexes}
        for owner, rrtype in records:
            for name in names.ancestors(owner):
                self.types.setdefault(name, set())
                if name in self.apexes:
                    break
            self.types[owner].add(rrtype)

    def wildcard(self, name: bytes) -> bytes | None:
        """The wildcard that applies to a name that does not exist (RFC 4592 §2.2), whether or not there is one."""
        if name in self.types:
            return None
        return next((b"\1*" + each for each in names.ancestors(name) if each in self.types), None)

    def at(self, name: bytes) -> set[int]:
        """The types of a name, or of the wildcard in its place."""
        return self.types.get(self.wildcard(name) or name, set())

    def enclosing(self, name: bytes, rrtype: int) -> bytes | None:
        """The name or the next one above it, below and at an apex, that has such a record."""
        return next((each for each in names.ancestors(name) if rrtype in self.types.get(each, ())), None)

    def apex(self, name: bytes) -> bytes | None:
        return next((each for each in names.ancestors(name) if each in self.apexes), None)


@lru_cache(maxsize=8)
def facts_of(group: tuple[ZoneText, ...]) -> Facts:
    """What the zones hold, without what a zone has where another one of the group begins."""
    apexes = {names.from_text(zone.origin).lower() for zone in group}
    records = []
    for zone in group:
        apex = names.from_text(zone.origin).lower()
        for record in zone.records:
            owner = names.from_text(zone.absolute(record.owner)).lower()
            if apex == next((each for each in names.ancestors(owner) if each in apexes), None):
                records.append((owner, type_from_text(record.type)))
    return Facts(apexes, records, (zone.signed for zone in group if zone.signed is not None))


def names_on_the_way(found: Difference) -> Iterator[bytes]:
    """The question, and every name that an alias in anybody's answer leads to."""
    yield found.qname
    for response in found.responses.values():
        yield from (row.rdata for row in response.answer if row.type == CNAME)
