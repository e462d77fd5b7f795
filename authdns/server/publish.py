"""Publishing: the one place where a version of a zone becomes the one that is served.

What follows from it is decided here too: whether the serial says so (RFC 1982), whether secondaries are told, what is
remembered for the next start, and what the operator hears about a serial that was forgotten.
"""

import asyncio
import sqlite3
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import NamedTuple

from authdns.answer.executor import PrivateZone, ServedZone, UnavailableZone, ZoneTable
from authdns.config import ZonePolicy
from authdns.server.counters import Counters
from authdns.server.events import about
from authdns.server.images import is_large
from authdns.server.log import log
from authdns.server.notify import NotifyService
from authdns.server.versions import Versions
from authdns.server.zones import Step, ZoneState
from authdns.store import Served
from authdns.transfer.notify import Outcome
from authdns.wire import name as names
from authdns.wire.serial import is_newer
from authdns.zone.delta import difference
from authdns.zone.digest import content_digest
from authdns.zone.zone import Zone


class Publisher:
    """Takes what `Zones` reads. Its methods are called on the event loop, but for `last_published`; the store is used
    by the worker alone. `keeps_large`: the records of large zones as well, of which no image is kept (of private ones
    there never is one)."""

    def __init__(
        self,
        table: ZoneTable,
        versions: Versions,
        notify: NotifyService,
        counters: Counters,
        worker: ThreadPoolExecutor,
        *,
        keeps_large: bool,
    ) -> None:
        self._table = table
        self._versions = versions
        self._store = versions.store
        self._notify = notify
        self._counters = counters
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._keeps_large = keeps_large
        self._published: deque[_Published] = deque()  # to be compared with what was before
        notify.on_end(self._notify_ended)

    def coming(self, apex: bytes) -> None:
        """It is about to be read for the first time: no refusal, SERVFAIL until then."""
        if apex not in self._table.by_apex:
            self._table.publish(apex, UnavailableZone("it is being read"))

    def publish(self, apex: bytes, state: ZoneState) -> None:
        """The commit point. Everything after it is told to others."""
        served = state.served
        assert served is not None, "Zones publishes what it could read"
        before = self._table.by_apex.get(apex)
        self._table.publish(apex, served)
        log.info(
            "zone %s/IN: loaded serial %d (%d records, %.0f ms)",
            names.zone_text(apex),
            served.zone.soa.serial,
            served.zone.records,
            state.load_seconds * 1000,
            extra=about(apex) if isinstance(before, ServedZone) else None,
        )
        replaced = before if isinstance(before, ServedZone) else None
        self._published.append(_Published(apex, served, replaced, state.step, state.configured.policy))
        if len(self._published) == 1:  # else the worker will come to it: thousands may be read at a start
            self._worker.submit(self._compare_all)

    def imaged(self, apex: bytes, served: ServedZone) -> None:
        """The engine can answer for it now."""
        self._table.publish(apex, served)
        log.debug("zone %s/IN: the engine answers", names.zone_text(apex))

    def begins_anew(self, apex: bytes) -> None:
        """What is served of it must not be served any longer."""
        self._table.publish(apex, UnavailableZone("its catalog says that it begins anew: it has to be transferred"))
        self._notify.forget(apex)

    def transferred(self, apex: bytes, served: ServedZone, announce_by: ZonePolicy | None) -> None:
        """A version of a secondary zone, which is in the store already. Our own secondaries are told, if it is new."""
        self._table.publish(apex, served)
        if announce_by is not None:
            self._notify.announce(served.zone, announce_by)

    def failed(self, apex: bytes, state: ZoneState) -> None:
        """It could not be read: the last good version stays."""
        zone = names.zone_text(apex)
        served = self._table.by_apex.get(apex)
        if isinstance(served, ServedZone):
            log.error(
                "zone %s/IN: not loaded because of errors; serial %d stays",
                zone,
                served.zone.soa.serial,
                extra=about(apex),
            )
        else:
            self._table.publish(apex, UnavailableZone(state.error or "not loaded"))
            log.error("zone %s/IN: not loaded because of errors; queries get SERVFAIL", zone, extra=about(apex))

    def withdrawn(self, apex: bytes) -> None:
        self._table.withdraw(apex)
        self._notify.forget(apex)
        log.info("zone %s/IN: no longer configured, no longer served", names.zone_text(apex), extra=about(apex))
        self._worker.submit(self._forget_versions, apex)

    def _forget_versions(self, apex: bytes) -> None:
        """In the worker."""
        try:
            self._store.forget_versions(apex)
        except sqlite3.Error as error:
            log.error("cannot write %s: %s", self._store.path, error)

    def _compare_all(self) -> None:
        """In the worker."""
        changed = []
        while self._published:
            published = self._published[0]
            if self._is_news(published):
                changed.append((published.apex, published.served, published.policy))
            self._published.popleft()
        self._loop.call_soon_threadsafe(self._announce_all, changed)

    def _is_news(self, published: "_Published") -> bool:
        """What was served before decides whether secondaries are told."""
        apex, served = published.apex, published.served
        zone = served.zone
        serial = zone.soa.serial
        try:
            digest = served.digest = served.digest or content_digest(zone)
            last = self._last(apex)
            change = compare(last, serial, digest)
            if text := warning(apex, change, last, serial):
                log.warning("%s", text, extra=about(apex))
            if change is not Change.SAME:
                self._keep_history(published, last if change is Change.NEWER else None)
            elif self._wants_content(served) and self._store.content_size(apex) is None:  # it was withdrawn meanwhile
                self._keep_history(published, None)
            if change in (Change.FIRST, Change.NEWER):
                self._remember(apex, Served(serial, digest, announced=False))
            unfinished = change is Change.SAME and last is not None and not last.announced
            return change in (Change.FIRST, Change.NEWER) or unfinished
        except Exception:
            log.exception("zone %s/IN: could not compare it with what was served before", names.zone_text(apex))
            return False

    def _keep_history(self, published: "_Published", last: Served | None) -> None:
        """What led from `last`, as it was announced, to what is served now. If that is not known (the server was down,
        or served something else under that serial meanwhile), the history begins anew: IXFR must not mend what it does
        not know."""
        zone, before, step = published.served.zone, published.before, published.step
        delta = None
        if before is not None and last is not None and before.digest == last.digest:
            if step is not None and step.digest == before.digest:
                delta = step.delta
            else:
                delta = difference(before.zone, zone, zone.records)
        try:
            content = self._wants_content(published.served)
            self._versions.add(zone, () if delta is None else (delta,), content=content)
        except sqlite3.Error as error:
            log.error("cannot write %s: %s; secondaries will need whole transfers", self._store.path, error)

    def _wants_content(self, served: ServedZone) -> bool:
        """Of large zones the engine's images are kept; of private ones there are none."""
        return self._keeps_large or not is_large(served.zone) or isinstance(served, PrivateZone)

    def last_published(self, apex: bytes, kept: Zone | None = None) -> Zone | None:
        """In the worker: the version that was published last, by this process or the one before; `kept` is one that
        was kept elsewhere."""
        last = self._versions.last(apex)
        return self._versions.led_to(kept) if last is None and kept is not None else last

    def restored(self, apex: bytes, state: ZoneState) -> None:
        """The file could not be read at the start: the version that was published last is served."""
        served = state.served
        assert served is not None, "Zones restores what it could"
        self._table.publish(apex, served)
        log.error(
            "zone %s/IN: not loaded because of errors; serial %d is served, which was published last, from the state "
            "folder",
            names.zone_text(apex),
            served.zone.soa.serial,
            extra=about(apex),
        )

    def _last(self, apex: bytes) -> Served | None:
        try:
            return self._store.served(apex)
        except sqlite3.Error as error:
            log.error("cannot read %s: %s; secondaries are told once more than needed", self._store.path, error)
            return None

    def _remember(self, apex: bytes, served: Served) -> None:
        """A full disk must not keep secondaries from hearing of a new serial; they hear of it twice at the worst."""
        try:
            self._store.record(apex, served)
        except sqlite3.Error as error:
            log.error("cannot write %s: %s", self._store.path, error)

    def _announce_all(self, changed: list[tuple[bytes, ServedZone, ZonePolicy]]) -> None:
        for apex, served, policy in changed:
            if self._table.by_apex.get(apex) is served:
                self._notify.announce(served.zone, policy)

    def _notify_ended(self, outcome: Outcome, done: bool) -> None:
        """`done`: no NOTIFY for the zone is under way any more."""
        self._counters.notify(outcome.meaning.name.lower())
        if done:
            self._worker.submit(self._announced, outcome.apex, outcome.serial)

    def _announced(self, apex: bytes, serial: int) -> None:
        try:
            self._store.announced(apex, serial)
        except sqlite3.Error as error:
            log.error("cannot write %s: %s", self._store.path, error)


class _Published(NamedTuple):
    """A version and the one that it replaced in this process; `step` is what led to it, if that is known."""

    apex: bytes
    served: ServedZone
    before: ServedZone | None
    step: Step | None
    policy: ZonePolicy


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
        same = digest == last.digest or not last.digest  # it was transferred, and the serial is all that is known
        return Change.SAME if same else Change.FORGOTTEN
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
