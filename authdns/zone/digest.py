"""Whether two versions of a zone hold the same records."""

import hashlib
from collections.abc import Iterable

from authdns.wire import name as names
from authdns.zone.zone import RRsets, Zone

_OCTETS = 16
_MODULUS = 1 << 8 * _OCTETS


def content_digest(zone: Zone) -> bytes:
    """A digest of all records, whatever their order in the file and the comments around them: the sum of those of all
    owners, so that nothing need be sorted that has a million."""
    return _octets(sum(_of_owner(owner, rrsets) for owner, rrsets in zone.owners()))


def updated_digest(digest: bytes, before: Zone, after: Zone, owners: Iterable[bytes]) -> bytes:
    """That of `after`, from that of `before`, if they differ in the records of these owners alone."""
    total = int.from_bytes(digest, "big")
    above = {name for owner in owners for name in names.ancestors(owner)}  # empty non-terminals come and go
    for owner in above.union(owners):
        total += _at(after, owner) - _at(before, owner)
    return _octets(total)


def _at(zone: Zone, owner: bytes) -> int:
    each = (mapping[owner] for mapping in (zone.names, zone.nsec3) if owner in mapping)
    return sum(_of_owner(owner, rrsets) for rrsets in each)


def _of_owner(owner: bytes, rrsets: RRsets) -> int:
    parts = [owner]
    for rrtype, ttl, rdatas in sorted(rrsets):
        parts.append(b"%d %d %d " % (rrtype, ttl, len(rdatas)))
        parts += [len(rdata).to_bytes(2, "big") + rdata for rdata in sorted(rdatas)]
    return int.from_bytes(hashlib.blake2b(b"".join(parts), digest_size=_OCTETS).digest(), "big")


def _octets(total: int) -> bytes:
    return (total % _MODULUS).to_bytes(_OCTETS, "big")
