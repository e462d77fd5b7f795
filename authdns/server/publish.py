"""Publishing: the one place where a version of a zone becomes the one that is served.

What follows from it is decided here too: whether the serial says so (RFC 1982), whether secondaries are told, what is
remembered for the next start, and what the operator hears about a serial that was forgotten.
"""

import hashlib
from enum import Enum

from authdns.store import Served
from authdns.wire import name as names
from authdns.wire.serial import is_newer
from authdns.zone.zone import Zone


class Change(Enum):
    """How a newly read version relates to the one that was last served with its serial noted."""

    FIRST = "never served before"
    NEWER = "the serial rose"
    SAME = "same serial, same content"
    FORGOTTEN = "same serial, other content"
    BACKWARDS = "the serial went back"


def compare(last: Served | None, serial: int, digest: bytes) -> Change:
    """`last` is what the store has; a forgotten serial is not stored, so it is found again at every reload."""
    if last is None:
        return Change.FIRST
    if serial == last.serial:
        return Change.SAME if digest == last.digest else Change.FORGOTTEN
    return Change.NEWER if is_newer(serial, last.serial) else Change.BACKWARDS


def warning(apex: bytes, change: Change, last: Served | None, serial: int) -> str | None:
    """What the operator should hear, or None."""
    zone = names.zone_text(apex)
    if change is Change.FORGOTTEN:
        return (
            f"zone {zone}/IN: the content changed but the serial is still {serial}: it is served here, but no "
            "secondary will notice; raise the serial"
        )
    if change is Change.BACKWARDS and last is not None:
        return (
            f"zone {zone}/IN: the serial went back from {last.serial} to {serial}: it is served here, but secondaries "
            f"keep what they have until the serial is above {last.serial} (RFC 1982)"
        )
    return None


def content_digest(zone: Zone) -> bytes:
    """A digest of all records, whatever their order in the file and the comments around them."""
    digest = hashlib.blake2b(digest_size=16)
    for owner in sorted(zone.names):
        for rrset in sorted(zone.names[owner]):
            digest.update(b"%b%d %d %d " % (owner, rrset.type, rrset.ttl, len(rrset.rdatas)))
            for rdata in sorted(rrset.rdatas):
                digest.update(len(rdata).to_bytes(2, "big") + rdata)
    return digest.digest()
