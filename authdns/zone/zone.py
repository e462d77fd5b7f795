"""The immutable Zone: what every answer and every transfer is made from.

`names` holds every name that exists in the zone, empty non-terminals included (RFC 4592 §2.2.2, with no RRsets).
The facts that a lookup needs (zone cuts, DNAMEs) are computed once, by the builder, never per query.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from authdns.wire.rdata import Soa, parse_soa
from authdns.wire.types import Type


class RRset(NamedTuple):
    """`rdatas` are uncompressed wire bytes in file order, names inside them as spelled; `ttl` is in seconds."""

    type: int
    ttl: int
    rdatas: tuple[bytes, ...]


RRsets = tuple[RRset, ...]


def find_rrset(rrsets: RRsets, rrtype: int) -> RRset | None:
    for rrset in rrsets:
        if rrset.type == rrtype:
            return rrset
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """A complete, checked version of one zone.

    `apex` and the keys of `names` are lower-case wire names, the `longest` of so many octets; `spelling` has the owner
    names that the file wrote otherwise. `cuts` are the delegations (NS below the apex, not themselves below another
    cut), `dnames` the owners of DNAME. `soa_rrset` stands for itself, `negative_soa` is the same with the TTL of
    negative answers: the smaller of its own and MINIMUM (RFC 2308 §5). `records` counts RRs.
    """

    apex: bytes
    names: Mapping[bytes, RRsets]
    longest: int
    spelling: Mapping[bytes, bytes]
    cuts: frozenset[bytes]
    dnames: frozenset[bytes]
    soa_rrset: RRset
    negative_soa: RRset
    records: int

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
        position, too_long = 0, len(above) - self.longest
        while position < too_long:
            position += above[position] + 1
        suffixes = []
        while len(above) - position > len(self.apex):
            suffixes.append(above[position:])
            position += above[position] + 1
        suffixes.append(self.apex)
        low, high = 0, len(suffixes) - 1  # suffixes[high] is the apex
        while low < high:
            middle = (low + high) // 2
            if suffixes[middle] in self.names:
                high = middle
            else:
                low = middle + 1
        return suffixes[low]

    def iterate(self) -> Iterator[tuple[bytes, RRset]]:
        """Every RRset with its owner as spelled; the SOA first (RFC 5936 §2.2)."""
        yield self.spelling.get(self.apex, self.apex), self.soa_rrset
        for owner, rrsets in self.names.items():
            spelled = self.spelling.get(owner, owner)
            for rrset in rrsets:
                if rrset.type != Type.SOA:
                    yield spelled, rrset
