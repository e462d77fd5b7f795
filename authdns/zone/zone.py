"""The immutable Zone: what every answer and every transfer is made from.

`names` holds every name that exists in the zone, empty non-terminals included (RFC 4592 §2.2.2, with no RRsets). The
owners of NSEC3 are not among them: they exist for those who know the hash, but no query finds them (RFC 5155 §7.2.8).
The facts that a lookup needs (zone cuts, DNAMEs, the chain of denial) are computed once, by the builder, never per
query.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from authdns.wire import name as names
from authdns.wire.rdata import Soa, parse_soa
from authdns.wire.types import Type
from authdns.zone.denial import Nsec, Nsec3


class RRset(NamedTuple):
    """`rdatas` are uncompressed wire bytes in file order, names inside them as spelled; `ttl` is in seconds.

    The RRSIGs of a name are one RRset for each type that they cover: together they are none (RFC 4035 §2.2).
    """

    type: int
    ttl: int
    rdatas: tuple[bytes, ...]


RRsets = tuple[RRset, ...]


def find_rrset(rrsets: RRsets, rrtype: int) -> RRset | None:
    for rrset in rrsets:
        if rrset.type == rrtype:
            return rrset
    return None


def signatures(rrsets: RRsets, covered: int) -> RRset | None:
    """The RRSIGs that cover the RRset of that type (RFC 4034 §3.1.1)."""
    start = covered.to_bytes(2, "big")
    for rrset in rrsets:
        if rrset.type == Type.RRSIG and rrset.rdatas[0].startswith(start):
            return rrset
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """A complete, checked version of one zone.

    `apex` and the keys of `names` are lower-case wire names, the `longest` of so many octets; `spelling` has the owner
    names that the file wrote otherwise. `cuts` are the delegations (NS below the apex, not themselves below another
    cut), `dnames` the owners of DNAME. `nsec3` holds NSEC3 and the RRSIGs that cover it, by owner; `denial` is the
    chain that negative answers are proved with, if there is one; `signed` says whether any RRset has an RRSIG.
    `records` counts RRs.
    """

    apex: bytes
    names: Mapping[bytes, RRsets]
    longest: int
    spelling: Mapping[bytes, bytes]
    cuts: frozenset[bytes]
    dnames: frozenset[bytes]
    nsec3: Mapping[bytes, RRsets]
    denial: Nsec | Nsec3 | None
    signed: bool
    records: int

    @property
    def soa_rrset(self) -> RRset:
        found = self.rrset(self.apex, Type.SOA)
        assert found is not None, "the builder has seen to it"
        return found

    @property
    def negative_soa(self) -> RRset:
        """With the TTL of negative answers: the smaller of its own and MINIMUM (RFC 2308 §5)."""
        found = self.soa_rrset
        return found._replace(ttl=min(found.ttl, parse_soa(found.rdatas[0]).minimum))

    @property
    def soa(self) -> Soa:
        return parse_soa(self.soa_rrset.rdatas[0])

    def rrset(self, owner: bytes, rrtype: int) -> RRset | None:
        return find_rrset(self.names.get(owner, ()), rrtype)

    def closest_encloser(self, name: bytes) -> bytes:
        """The longest existing ancestor of `name`, or `name` itself (RFC 4592 §3.3.1); `name` is in the zone.

        Every ancestor of an existing name exists, so a long name is searched by halving, not label by label.
        """
        if name in self.names:
            return name
        above = name[name[0] + 1 :]
        if above in self.names:
            return above
        return self.encloser_above(name, names.label_starts(name), len(name) - len(self.apex))

    def encloser_above(self, name: bytes, starts: Sequence[int], existing: int) -> bytes:
        """The same; `starts` are those of the labels of `name`, of which the rest from octet `existing` on exists."""
        low = bisect_left(starts, len(name) - self.longest)
        high = bisect_left(starts, existing)
        while low < high:
            middle = (low + high) // 2
            if name[starts[middle] :] in self.names:
                high = middle
            else:
                low = middle + 1
        return name[starts[low] :] if low < len(starts) else name[existing:]

    def owners(self) -> Iterator[tuple[bytes, RRsets]]:
        """Everything that the zone holds, by lower-case owner, NSEC3 last."""
        yield from self.names.items()
        yield from self.nsec3.items()

    def at(self, owner: bytes) -> RRsets:
        """All that an owner has, NSEC3 last. Hardly any has both, but nothing forbids it."""
        rrsets = self.names.get(owner, ())
        nsec3 = self.nsec3.get(owner)
        return rrsets if nsec3 is None else rrsets + nsec3

    def proof(self, owner: bytes) -> RRsets:
        """The NSEC or NSEC3 at an owner that `denial` named, and the RRSIGs that cover it."""
        found = self.nsec3.get(owner)
        if found is None:
            rrsets = self.names[owner]
            found = tuple(filter(None, (find_rrset(rrsets, Type.NSEC), signatures(rrsets, Type.NSEC))))
        return found

    def iterate(self) -> Iterator[tuple[bytes, RRset]]:
        """Every RRset with its owner as spelled; the SOA first (RFC 5936 §2.2)."""
        yield self.spelling.get(self.apex, self.apex), self.soa_rrset
        for owner, rrsets in self.owners():
            spelled = self.spelling.get(owner, owner)
            for rrset in rrsets:
                if rrset.type != Type.SOA:
                    yield spelled, rrset
