"""Secondary zones: the shell around secondary.py, which says when one is asked for, and from which primary.

Every attempt is one connection to one primary (asking.py). What came is made into a zone and looked at by the worker
thread, committed to the store as a whole, and then published like any other version; so at the next start it is served
before any primary has answered. What fails changes nothing but the time of the next attempt.
"""

import asyncio
import random
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from authdns.answer.executor import PrivateZone, ServedZone, UnavailableZone, ZoneTable
from authdns.config import Config, ConfiguredZone, Primary
from authdns.secondary import Attempt, Refresher
from authdns.server import clock
from authdns.server.asking import Asking, named, secured
from authdns.server.counters import Counters
from authdns.server.events import about
from authdns.server.imaging import Imaging, without_collection
from authdns.server.keys import Keys
from authdns.server.log import log
from authdns.server.publish import Publisher
from authdns.server.versions import Versions
from authdns.transfer.inbound import Changes, Failed, Trouble, UpToDate, Whole
from authdns.transfer.policy import Address, plain
from authdns.wire import name as names
from authdns.wire.serial import is_newer
from authdns.zone.checks import errors_at, errors_of
from authdns.zone.delta import Delta, difference
from authdns.zone.patch import DoesNotFit, caught_up, owners_of
from authdns.zone.problem import Problems, Severity, TooManyErrors
from authdns.zone.zone import Zone

TURN_SECONDS = 0.02  # of bringing back zones from the store, before what was brought back is served
LOOK_SECONDS = 30.0  # at the latest: the clock of timers stands still while the machine sleeps


@dataclass(slots=True)
class SecondaryState:
    """What is known of one secondary zone, also while it is not served. Times in seconds since 1970, 0 for never;
    `error` is why the last attempt came to nothing."""

    configured: ConfiguredZone
    served: ServedZone | None = None
    expired: bool = False
    whole: bool = False  # the next transfer has to be one: what changed was no good, or did not fit to what we have
    foreign: bool = False  # what is served came from a file, or nobody knows whence, whatever its serial says
    loaded_at: float = 0.0
    load_seconds: float = 0.0
    checked_at: float = 0.0
    failed_at: float = 0.0
    error: str | None = None
    primary: str = ""
    task: "asyncio.Task[None] | None" = field(default=None, repr=False)


class Secondaries:
    """All secondary zones. Its methods are called on the event loop."""

    def __init__(
        self,
        config: Config,
        table: ZoneTable,
        publisher: Publisher,
        versions: Versions,
        worker: ThreadPoolExecutor,
        imaging: Imaging,
        counters: Counters,
        keys: Callable[[], Keys],
    ) -> None:
        self.states: dict[bytes, SecondaryState] = {}
        self._table = table
        self._publisher = publisher
        self._versions = versions
        self._worker = worker
        self._imaging = imaging
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._refresher = Refresher(random.SystemRandom().random, config.incoming.at_once)
        self._asking = Asking(config, keys, self._is_crowded)
        # Told of each version of a catalog (`members`) that is served, and with None that none is any more.
        self.arrived: Callable[[bytes, Zone | None], None] = lambda catalog, zone: None
        self._to_restore: deque[bytes] = deque()
        self._restored: deque[tuple[bytes, _Kept | None]] = deque()  # from the worker
        self._restoring: asyncio.Task[None] | None = None
        self._to_forget: set[bytes] = set()  # whose rows the worker is about to remove
        self._timer: asyncio.TimerHandle | None = None

    # Configuration.

    def take_over(self, config: Config) -> None:
        self._refresher.at_once = config.incoming.at_once
        self._asking.take_over(config)

    def add(self, apex: bytes, configured: ConfiguredZone, served: ServedZone | None = None) -> None:
        """A zone that was not there, or changed: its version in the store is served, its primaries are asked. One that
        had a zone file until now goes on with what is `served`, as long as if it had just been transferred."""
        state = self.states.get(apex)
        if state is None and served is not None:
            state = self.states[apex] = SecondaryState(configured, foreign=True)
            life = self._refresher.life(served.zone.soa, None)
            self._begin(apex, _Kept(served, life, announced=True))
        elif state is None:
            self.states[apex] = SecondaryState(configured)
            self._to_restore.append(apex)
            if self._restoring is None:
                self._restoring = self._loop.create_task(self._restore_all())
            return
        others = state.configured.primaries != configured.primaries
        was_private, state.configured = state.configured.is_private, configured
        if state.served is not None and not state.expired and was_private != configured.is_private:
            self._serve(apex, state, state.served, announce=False)
        if others and apex in self._refresher:
            self._refresher.reconfigure(apex, len(configured.primaries), clock.since_boot())
            self._poll_soon()

    def remove(self, apex: bytes, *, has_file: bool = False) -> None:
        """It is no longer a secondary zone; if it `has_file` now, what was served of it is still to be remembered."""
        state = self.states.pop(apex, None)
        if state is None:
            return
        if state.task is not None:
            state.task.cancel()
        self._refresher.remove(apex)
        store = self._versions.store
        if has_file:
            self._worker.submit(self._write, store.forget_lease, apex)
        else:
            self._to_forget.add(apex)
            self._worker.submit(self._forget, apex)

    def _forget(self, apex: bytes) -> None:
        self._to_forget.discard(apex)
        self._write(self._versions.store.forget, apex)

    def _write(self, change: Callable[[bytes], None], apex: bytes) -> None:
        try:
            change(apex)
        except sqlite3.Error as error:
            log.error("cannot write %s: %s", self._versions.store.path, error)

    async def restored(self) -> None:
        """Every zone that the store had a version of is served."""
        while self._restoring is not None:
            await asyncio.shield(self._restoring)

    async def _restore_all(self) -> None:
        try:
            while self._to_restore:
                await self._loop.run_in_executor(self._worker, self._restore_some)
                while self._restored:
                    apex, kept = self._restored.popleft()
                    try:
                        self._begin(apex, kept)
                    except Exception:  # which must not keep the others from being brought back
                        log.exception("zone %s/IN: bringing it back failed", names.zone_text(apex))
        finally:
            self._restoring = None

    def _restore_some(self) -> None:
        """In the worker, as many as fit into a turn."""
        begun = time.perf_counter()
        store = self._versions.store
        while self._to_restore and time.perf_counter() - begun < TURN_SECONDS:
            apex = self._to_restore.popleft()
            kept = None
            try:
                if apex in self._to_forget:  # it was removed a moment ago, and is here again: it begins anew
                    store.forget(apex)
                lease = store.lease(apex)
                zone = None if lease is None else self._versions.last_committed(apex)
                if lease is not None and zone is not None:
                    last = store.served(apex)
                    announced = last is None or last.announced
                    served = self._to_serve(apex, zone)
                    if not isinstance(served, PrivateZone):
                        served = self._imaging.made(served)
                    kept = _Kept(served, clock.left(lease), announced)
            except Exception:
                log.exception("zone %s/IN: its last version cannot be brought back", names.zone_text(apex))
            self._restored.append((apex, kept))

    def _to_serve(self, apex: bytes, zone: Zone) -> ServedZone:
        """A catalog is for those only who may transfer it."""
        state = self.states.get(apex)
        return PrivateZone(zone) if state is not None and state.configured.is_private else ServedZone(zone)

    def _begin(self, apex: bytes, kept: "_Kept | None") -> None:
        state = self.states.get(apex)
        if state is None or apex in self._refresher:
            return  # removed meanwhile, and perhaps come again
        now = clock.since_boot()
        primaries = len(state.configured.primaries)
        if kept is None:
            self._refresher.add(apex, primaries, now)
        else:
            served, left, announced = kept
            soa = served.zone.soa
            left = min(left, self._refresher.life(soa, None))  # whatever the store says
            state.served, state.loaded_at = served, time.time()
            self._refresher.add(apex, primaries, now, soa, left)
            if left > 0:
                self._serve(apex, state, served, announce=not announced)
                where = "from its zone file" if state.foreign else "from the state folder"
                log.info("zone %s/IN: serial %d %s, for %d s more", names.zone_text(apex), soa.serial, where, left)
            else:
                self._expire(apex, state)
        self._poll_soon()

    def expiry(self, apex: bytes, expire: int) -> int:
        """In how many seconds a zone expires whose SOA says `expire`: if it is not a secondary one, it is always as
        good as just refreshed (RFC 7314 §3.1)."""
        left = self._refresher.left(apex, clock.since_boot())
        return expire if left is None else int(left)

    # What is due.

    def notified(self, apex: bytes, address: Address, serial: int | None) -> str:
        """A NOTIFY from somebody who may send it: what becomes of it, for the log."""
        state = self.states.get(apex)
        if state is None or apex not in self._refresher:
            return "the zone is being brought back from the state folder"
        if serial is not None and state.served is not None and not (state.expired or state.foreign):
            ours = state.served.zone.soa.serial
            if serial == ours:
                return f"we have serial {serial}"
        hosts = [plain(each.endpoint.host) for each in state.configured.primaries]
        number = hosts.index(address) if address in hosts else None
        self._refresher.notified(apex, number, clock.since_boot())
        self._poll_soon()
        return "asking"

    def _poll_soon(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(0, self._poll)

    def _poll(self) -> None:
        now = clock.since_boot()
        for apex in self._refresher.expire(now):
            try:
                self._expire(apex, self.states[apex])
            except Exception:  # which must not keep others from expiring, or being asked for
                log.exception("zone %s/IN: withdrawing what has expired failed", names.zone_text(apex))
        for attempt in self._refresher.poll(now):
            state = self.states[attempt.apex]
            state.task = self._loop.create_task(self._attempt(attempt, state))
        deadline = self._refresher.deadline()
        wait = LOOK_SECONDS if deadline is None else min(max(deadline - now, 0.0), LOOK_SECONDS)
        self._timer = self._loop.call_later(wait, self._poll)

    def _expire(self, apex: bytes, state: SecondaryState) -> None:
        state.expired = True
        if state.configured.is_private:
            self.arrived(apex, None)
        why = "" if state.error is None else f"; the last error: {state.error}"
        self._table.publish(apex, UnavailableZone("it has expired: no primary has confirmed it for too long"))
        log.error(
            "zone %s/IN: expired: no primary has confirmed it for too long; queries get SERVFAIL%s",
            names.zone_text(apex),
            why,
            extra=about(apex),
        )

    def _is_crowded(self) -> bool:
        return self._refresher.is_crowded(clock.since_boot())

    # One attempt.

    async def _attempt(self, attempt: Attempt, state: SecondaryState) -> None:
        apex = attempt.apex
        primary = state.configured.primaries[attempt.primary % len(state.configured.primaries)]
        begun = time.perf_counter()
        done: _Version | UpToDate | Failed
        step: UpToDate | Whole | Changes | Failed | None = None
        try:
            served = None if state.foreign or state.served is None else state.served.zone
            step = await self._asking.ask(apex, served, primary, whole=state.whole)
            if isinstance(step, Whole | Changes):
                done = await self._loop.run_in_executor(self._worker, self._made, apex, state, primary, step)
            else:
                done = step
        except Exception as error:  # a fault of ours must not keep the zone from being asked for again
            log.exception("zone %s/IN: the attempt failed inside the server", names.zone_text(apex))
            reason = f"the server failed on it, which is its fault: {error!r}"
            done = Failed(Trouble.CONTENT, reason, of_changes=isinstance(step, Changes))
        state.task = None
        if self.states.get(apex) is not state:
            return
        state.checked_at = time.time()
        state.load_seconds = time.perf_counter() - begun
        try:
            self._ended(apex, state, primary, done)
        except Exception as error:  # nor keep its place; and nobody knows what is served now, so all of it is needed
            state.foreign = True
            log.exception("zone %s/IN: the end of the attempt failed inside the server", names.zone_text(apex))
            state.error, state.failed_at = f"the server failed on it, which is its fault: {error!r}", time.time()
            self._refresher.over(apex, clock.since_boot())
        self._poll_soon()

    def _ended(
        self, apex: bytes, state: SecondaryState, primary: Primary, done: "_Version | UpToDate | Failed"
    ) -> None:
        if isinstance(done, _Version):
            self._take(apex, state, primary, done)
        elif primary not in state.configured.primaries:
            self._leave(apex, primary)
        elif isinstance(done, UpToDate):
            self._confirm(apex, state, primary, done)
        else:
            self._fail(apex, state, primary, done)

    def _leave(self, apex: bytes, primary: Primary) -> None:
        """What it said does not count any more; those that it was replaced by are asked."""
        self._refresher.otherwise(apex, clock.since_boot())
        text = "zone %s/IN: what came from %s is not taken: it is no longer one of the zone's primaries"
        log.info(text, names.zone_text(apex), named(primary), extra=about(apex))

    def _made(self, apex: bytes, state: SecondaryState, primary: Primary, step: Whole | Changes) -> "_Version | Failed":
        """In the worker: what was received as a zone that is in the store; nothing less is published."""
        before = None if state.served is None else state.served.zone
        try:
            with without_collection():
                if isinstance(step, Whole):
                    zone, deltas = _whole(step, before)
                else:
                    assert before is not None, "a change was asked for from what there was"
                    zone, deltas = _changed(before, step), step.deltas
                served, replaced = self._to_serve(apex, zone), state.served
                if isinstance(served, PrivateZone):
                    pass  # there is nothing to compile
                elif replaced is None or not self._imaging.follow(replaced, served, deltas):
                    # The engine goes on with all of the version before until there is the next image.
                    imaged = replaced is not None and replaced.image is not None
                    served = self._imaging.made(served, large=imaged)
        except DoesNotFit as error:
            return Failed(Trouble.CONTENT, str(error), of_changes=isinstance(step, Changes))
        if primary not in state.configured.primaries:  # of a transfer that took long, perhaps because it is hostile
            return Failed(Trouble.REFUSED, "it is no longer one of the zone's primaries")
        soa = zone.soa
        left = self._refresher.life(soa, step.expire)
        try:
            self._versions.commit(zone, deltas, clock.lease(left))
        except (sqlite3.Error, OverflowError) as error:
            # It is served all the same: neither a full disk nor a zone too large for it is a reason for an old one.
            log.error(
                "cannot write %s: %s; at the next start there will be an older version, or none",
                self._versions.store.path,
                error,
            )
        state.whole = False
        kind = "AXFR" if isinstance(step, Whole) else "IXFR"
        return _Version(served, kind, step.records, step.octets, step.expire)

    def _take(self, apex: bytes, state: SecondaryState, primary: Primary, version: "_Version") -> None:
        served = version.served
        soa = served.zone.soa
        state.served, state.loaded_at, state.error, state.primary = served, time.time(), None, str(primary.endpoint)
        state.foreign = False
        left = self._refresher.refreshed(apex, soa, clock.since_boot(), replaced=True, expire=version.expire)
        self._counters.incoming(version.kind.lower())
        log.info(
            "zone %s/IN: transferred serial %d from %s (%s, %d records, %d bytes, %.3f s%s)",
            names.zone_text(apex),
            soa.serial,
            named(primary),
            version.kind,
            version.records,
            version.octets,
            state.load_seconds,
            secured(primary),
            extra=about(apex),
        )
        if left <= 0:
            self._expire(apex, state)
        else:
            self._serve(apex, state, served, announce=True)

    def _serve(self, apex: bytes, state: SecondaryState, served: ServedZone, *, announce: bool) -> None:
        state.expired = False
        if isinstance(served, PrivateZone) != state.configured.is_private:  # it was configured otherwise meanwhile
            served = PrivateZone(served.zone) if state.configured.is_private else ServedZone(served.zone)
            state.served = served
        self._publisher.transferred(apex, served, state.configured.policy if announce else None)
        if isinstance(served, PrivateZone):
            self.arrived(apex, served.zone)
            return  # the engine must not answer for it

        def imaged(made: ServedZone) -> None:
            if state.served is served and self.states.get(apex) is state:
                state.served = made
                if not state.expired:
                    self._publisher.imaged(apex, made)

        self._imaging.later(served, imaged)

    def _confirm(self, apex: bytes, state: SecondaryState, primary: Primary, answer: UpToDate) -> None:
        """The primary has what we have, or something older; then another may have more."""
        served = state.served
        assert served is not None, "without a version everything is news"
        soa = served.zone.soa
        if answer.serial != soa.serial:
            reason = f"it has serial {answer.serial}, which is not newer than ours, {soa.serial}"
            self._fail(apex, state, primary, Failed(Trouble.REFUSED, reason))
            return
        state.error, state.primary = None, str(primary.endpoint)
        left = self._refresher.refreshed(apex, soa, clock.since_boot(), replaced=False, expire=answer.expire)
        self._counters.incoming("up to date")
        self._worker.submit(self._keep_lease, served.zone, left)
        log.debug("zone %s/IN: %s has serial %d too", names.zone_text(apex), named(primary), soa.serial)
        if left <= 0 and not state.expired:
            self._expire(apex, state)
        if state.expired and left > 0:
            zone = names.zone_text(apex)
            log.info("zone %s/IN: serial %d is confirmed, and served again", zone, soa.serial, extra=about(apex))
            self._serve(apex, state, served, announce=False)

    def _keep_lease(self, zone: Zone, left: float) -> None:
        """In the worker. If the version itself could not be written when it came (a full disk), it is now: what is
        there is an older one, and the lease must not be taken for its."""
        store, lease = self._versions.store, clock.lease(left)
        try:
            last = store.served(zone.apex)
            if last is not None and last.serial == zone.soa.serial:
                store.keep_lease(zone.apex, lease)
            else:
                self._versions.commit(zone, (), lease)
        except sqlite3.Error as error:
            log.error("cannot write %s: %s", self._versions.store.path, error)

    def _fail(self, apex: bytes, state: SecondaryState, primary: Primary, failed: Failed) -> None:
        now = clock.since_boot()
        if failed.of_changes:
            state.whole = True  # until there is a new version, so this happens once
            self._refresher.otherwise(apex, now)
            then = "asking for all of the zone"
        else:
            wait = self._refresher.failed(apex, now, content=failed.trouble is Trouble.CONTENT)
            then = f"again in {wait:.0f} s" if wait else "asking the next primary"
        state.error, state.failed_at = f"{named(primary)}: {failed.reason}", time.time()
        self._counters.incoming(failed.trouble.name.lower())
        text, zone = "zone %s/IN: no transfer from %s: %s; %s", names.zone_text(apex)
        log.warning(text, zone, named(primary), failed.reason, then, extra=about(apex))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for state in self.states.values():
            if state.task is not None:
                state.task.cancel()
        if self._restoring is not None:
            self._restoring.cancel()
        self._asking.close()


class _Kept(NamedTuple):
    """A version that there was before any primary was asked, and for how many seconds it may still be served."""

    served: ServedZone
    left: float
    announced: bool


class _Version(NamedTuple):
    """A version that is in the store."""

    served: ServedZone
    kind: str
    records: int
    octets: int
    expire: int | None


def _whole(step: Whole, before: Zone | None) -> tuple[Zone, Sequence[Delta]]:
    """The zone, and what changed, if that is known and shorter. Raises DoesNotFit."""
    try:
        zone = step.builder.build()
    except TooManyErrors:
        zone = None
    if zone is None:
        raise DoesNotFit(next(str(each) for each in step.builder.problems if each.severity is Severity.ERROR))
    _refuse(errors_of(zone))
    follows = before is not None and is_newer(zone.soa.serial, before.soa.serial)
    delta = difference(before, zone, zone.records) if before is not None and follows else None
    return zone, () if delta is None else (delta,)


def _changed(before: Zone, step: Changes) -> Zone:
    zone = caught_up(before, step.deltas, Problems(), "IXFR")
    _refuse(errors_at(zone, owners_of(step.deltas)))
    return zone


def _refuse(errors: Sequence[str]) -> None:
    if errors:
        more = f", and {len(errors) - 1} more errors" if len(errors) > 1 else ""
        raise DoesNotFit(f"{errors[0]}{more}")
