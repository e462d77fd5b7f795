"""Whether two versions of a zone hold the same records."""

import hashlib

from authdns.zone.zone import Zone

_OCTETS = 16


def content_digest(zone: Zone) -> bytes:
    """A digest of all records, whatever their order in the file and the comments around them: the sum of those of all
    owners, so that nothing need be sorted that has a million."""
    total = 0
    for owner, rrsets in zone.owners():
        parts = [owner]
        for rrtype, ttl, rdatas in sorted(rrsets):
            parts.append(b"%d %d %d " % (rrtype, ttl, len(rdatas)))
            parts += [len(rdata).to_bytes(2, "big") + rdata for rdata in sorted(rdatas)]
        total += int.from_bytes(hashlib.blake2b(b"".join(parts), digest_size=_OCTETS).digest(), "big")
    return (total % (1 << 8 * _OCTETS)).to_bytes(_OCTETS, "big")
