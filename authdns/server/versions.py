"""What is kept of each zone's versions in the store: what led from one to the next (IXFR), and enough to serve the last
one again. Everything here runs in the worker, the only thread that writes to the store.
"""

import sqlite3
import time
from collections.abc import Sequence

from authdns.server.log import log
from authdns.store import Keep, Lease, Served, Store
from authdns.wire import name as names
from authdns.zone.delta import Delta, applied, decode, encode
from authdns.zone.patch import patched
from authdns.zone.problem import Problems
from authdns.zone.records import build, pack_zone, unpack
from authdns.zone.zone import Zone

MOST_OCTETS_OF_DELTAS = 64 << 10  # then, or when they are longer than itself, the whole zone is kept anew


class Versions:
    """`keep` bounds the history of each zone; whoever has read the configuration says it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.keep = Keep()

    def add(self, zone: Zone, deltas: Sequence[Delta], *, content: bool = True) -> None:
        """A version that `deltas` lead to from the one that was added before; none: nobody knows how, so the history
        begins anew. `content`: its records have to be kept here. Raises sqlite3.Error."""
        apex, serial = zone.apex, zone.soa.serial
        with self.store.transaction():
            if not deltas:
                self.store.forget_history(apex)
            for delta in deltas:
                self.store.add_delta(apex, delta.serials, encode(delta), int(time.time()), self.keep)
            if not content:
                self.store.forget_content(apex)  # of when it was smaller
            elif not deltas or not self._is_restorable(apex, serial):
                self.store.keep_content(apex, serial, pack_zone(zone))

    def commit(self, zone: Zone, deltas: Sequence[Delta], lease: Lease) -> None:
        """A version that was transferred, and for how long it may be served: all of it or nothing is kept. Raises
        sqlite3.Error."""
        with self.store.transaction():
            self.add(zone, deltas)
            self.store.record(zone.apex, Served(zone.soa.serial, b"", announced=False))
            self.store.keep_lease(zone.apex, lease)

    def _is_restorable(self, apex: bytes, serial: int) -> bool:
        """Whether the records that were kept, and a history that is not much longer, lead to this version."""
        kept = self.store.content_size(apex)
        if kept is None:
            return False
        begin, octets = kept
        deltas = self.store.history(apex, begin, serial, uncommitted=True)
        return bool(deltas) and sum(map(len, deltas)) < max(MOST_OCTETS_OF_DELTAS, octets)

    def led_to(self, zone: Zone) -> Zone:
        """The version that was added last, if the history leads there from this one; else as far as it leads."""
        try:
            for delta in self.store.history(zone.apex, zone.soa.serial):
                zone = patched(zone, decode(delta), Problems(), "the state folder")
        except (sqlite3.Error, ValueError) as error:
            apex = names.zone_text(zone.apex)
            log.error("zone %s/IN: what was published last cannot be restored: %s", apex, error)
        return zone

    def last(self, apex: bytes) -> Zone | None:
        """The version that was added last, by this process or the one before."""
        try:
            content = self.store.content(apex)
            if content is None:
                return None
            serial, octets = content
            records = unpack(octets)
            for delta in self.store.history(apex, serial):
                records = applied(records, decode(delta))
            return build(apex, records)
        except (sqlite3.Error, ValueError, TypeError) as error:  # TypeError: damage has changed what a column holds
            log.error("zone %s/IN: what was published last cannot be restored: %s", names.zone_text(apex), error)
            return None

    def last_committed(self, apex: bytes) -> Zone | None:
        """The version that was transferred last, and never an older one, which damage may bring to light: the lease is
        not its own."""
        zone, served = self.last(apex), self.store.served(apex)
        if zone is None or (served is not None and served.serial == zone.soa.serial):
            return zone
        log.error(
            "zone %s/IN: what was published last cannot be restored: what is left is serial %d, not the last one",
            names.zone_text(apex),
            zone.soa.serial,
        )
        return None
