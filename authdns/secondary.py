"""When a secondary zone is refreshed, from which of its primaries, and when it expires (RFC 1034 §4.3.5, RFC 1996).

A machine without sockets, for all secondary zones together: `poll` gives the attempts that are due, `refreshed`,
`failed` and `otherwise` are told what came of each, `notified` makes one due at once, `deadline` says when to poll
next. What an attempt is (SOA, then IXFR or AXFR) it does not know. At most so many are under way at a time, so ten
thousand zones at a start do not stampede; and jitter keeps them apart afterwards.

The times that it is told are those of a clock that is never set and runs on while the machine sleeps: a clock set back
prolongs no zone's life.
"""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from authdns.wire.rdata import Soa

# What a primary's SOA may make us do, in seconds (the upper limits are BIND's).
MIN_REFRESH, MAX_REFRESH = 1, 2_419_200
MIN_RETRY, MAX_RETRY = 1, 1_209_600
MAX_EXPIRE = 14_515_200
JITTER = 0.1  # of an interval, which is never made longer
# After a round in which every primary failed, without a version to serve, or after a NOTIFY: soon, then less and less
# often.
FIRST_SECONDS, MAX_FIRST_SECONDS = 2.0, 900.0
# After one in which what came was no zone: it will not be another one a moment later.
CONTENT_SECONDS, MAX_CONTENT_SECONDS = 30.0, 86_400.0
NOTIFIED_AFTER_FAILURE = 1.0  # a NOTIFY does not make a failed attempt again before so many seconds are over
OVERTAKEN_PER_ZONE, MAX_OVERTAKEN = 3, 100  # entries of a heap that may stay until their turn


@dataclass(frozen=True, slots=True)
class Timers:
    """Of an SOA, within our limits, in seconds. A zone lives for at least a refresh and a retry."""

    refresh: float
    retry: float
    expire: float

    @classmethod
    def of(cls, soa: Soa) -> "Timers":
        refresh = min(max(soa.refresh, MIN_REFRESH), MAX_REFRESH)
        retry = min(max(soa.retry, MIN_RETRY), MAX_RETRY)
        return cls(refresh, retry, max(min(soa.expire, MAX_EXPIRE), refresh + retry))


class Attempt(NamedTuple):
    """Ask the primary of that number for the zone now."""

    apex: bytes
    primary: int


@dataclass(slots=True)
class _Zone:
    """`due` is when the next attempt is, `expires` when the version that is served is too old; `timers` are its, None
    without one. `primary` is the one to be asked next, at best the one that worked last; `tried` so many of them have
    been in this round; `failures` counts rounds in a row in which nobody gave anything. `news`: a NOTIFY came, and
    no primary has answered well since."""

    primaries: int
    due: float
    timers: Timers | None = None
    expires: float = math.inf
    expired: bool = False
    running: bool = False
    notified: bool = False
    news: bool = False
    primary: int = 0
    tried: int = 0
    failures: int = 0
    failed_at: float = -math.inf
    content: bool = False  # in this round some primary sent what is no zone


class Refresher:
    """All secondary zones. `chance` gives numbers from 0 to 1; at most `at_once` attempts are under way."""

    def __init__(self, chance: Callable[[], float], at_once: int) -> None:
        self.at_once = at_once
        self._chance = chance
        self._zones: dict[bytes, _Zone] = {}
        self._running = 0
        self._due: list[tuple[float, bytes]] = []  # heaps; entries that were overtaken stay until their turn
        self._ages: list[tuple[float, bytes]] = []

    def __contains__(self, apex: bytes) -> bool:
        return apex in self._zones

    def add(self, apex: bytes, primaries: int, now: float, soa: Soa | None = None, left: float = 0.0) -> None:
        """A zone, with the SOA of the version that there is, which may be served for `left` seconds more."""
        zone = self._zones[apex] = _Zone(primaries, now, None if soa is None else Timers.of(soa))
        if soa is not None:
            self._live_until(apex, zone, now + left)
            zone.expired = left <= 0
        self._attempt_at(apex, zone, now)

    def reconfigure(self, apex: bytes, primaries: int, now: float) -> None:
        """It has other primaries: they are asked at once. An attempt under way ends as it would have."""
        zone = self._zones[apex]
        zone.primaries, zone.primary, zone.tried, zone.failures = primaries, 0, 0, 0
        self._again(apex, zone, now)

    def remove(self, apex: bytes) -> None:
        zone = self._zones.pop(apex, None)
        if zone is not None and zone.running:
            self._running -= 1

    def notified(self, apex: bytes, primary: int | None, now: float) -> None:
        """A NOTIFY came, from that primary if it is one. Any number of them make one attempt."""
        zone = self._zones[apex]
        zone.news = True
        if primary is not None and not zone.running:
            zone.primary, zone.tried = primary, 0
        self._again(apex, zone, now)

    def _again(self, apex: bytes, zone: _Zone, now: float) -> None:
        if zone.running:
            zone.notified = True
        elif now - zone.failed_at < NOTIFIED_AFTER_FAILURE:
            self._attempt_at(apex, zone, min(zone.due, zone.failed_at + NOTIFIED_AFTER_FAILURE))
        else:
            self._attempt_at(apex, zone, min(zone.due, now))  # not before others that were due earlier

    def poll(self, now: float) -> list[Attempt]:
        """The attempts to make now; each ends in `refreshed`, `failed` or `otherwise`, unless the zone is removed."""
        found = []
        while self._running < self.at_once and (zone := self._front()) is not None and zone.due <= now:
            _, apex = heapq.heappop(self._due)
            zone.running = True
            zone.notified = False
            self._running += 1
            found.append(Attempt(apex, zone.primary))
        return found

    def is_crowded(self, now: float) -> bool:
        """Whether zones that are due wait for a place."""
        if self._running < self.at_once:
            return False
        first = self._front()
        return first is not None and first.due <= now

    def expire(self, now: float) -> list[bytes]:
        """The zones that must not be served any longer, each once."""
        found = []
        while self._ages and self._ages[0][0] <= now:
            at, apex = heapq.heappop(self._ages)
            zone = self._zones.get(apex)
            if zone is not None and zone.expires == at and not zone.expired:
                zone.expired = True
                found.append(apex)
        return found

    def left(self, apex: bytes, now: float) -> float | None:
        """For how many seconds it may still be served; None if it is not one of these, or has no version."""
        zone = self._zones.get(apex)
        return None if zone is None or zone.timers is None else max(0.0, zone.expires - now)

    def deadline(self) -> float | None:
        """When `poll` or `expire` has something to do next; None if nothing is to come."""
        first = self._front() if self._running < self.at_once else None
        times = [] if first is None else [first.due]
        times += [self._ages[0][0]] if self._ages else []
        return min(times, default=None)

    def _front(self) -> _Zone | None:
        """The zone whose attempt is due first. What was removed, put off or begun since is passed over."""
        while self._due:
            due, apex = self._due[0]
            zone = self._zones.get(apex)
            if zone is not None and zone.due == due and not zone.running:
                return zone
            heapq.heappop(self._due)
        return None

    def refreshed(self, apex: bytes, soa: Soa, now: float, *, replaced: bool, expire: int | None = None) -> float:
        """An attempt ended well: the version with that SOA is the primary's, and was `replaced` by it or was ours
        before. `expire` is what the primary says it may be served (RFC 7314 §4), in seconds. Returns for how long it
        may be."""
        zone = self._zones[apex]
        timers = zone.timers = Timers.of(soa)
        left = self.life(soa, expire)
        if not replaced and not zone.expired and zone.expires < math.inf:
            left = max(left, zone.expires - now)
        zone.expired = left <= 0
        self._live_until(apex, zone, now + left)
        self._end(zone)
        zone.tried = zone.failures = 0
        zone.news = zone.notified
        zone.failed_at = -math.inf
        self._attempt_at(apex, zone, now if zone.notified else now + self._sooner(timers.refresh))
        return left

    @staticmethod
    def life(soa: Soa, expire: int | None) -> float:
        """For how many seconds a version may be served from now on, if a primary with that `expire` has just given it:
        never longer than its SOA says."""
        seconds = Timers.of(soa).expire
        return seconds if expire is None else min(float(expire), seconds)

    def failed(self, apex: bytes, now: float, *, content: bool = False) -> float:
        """An attempt came to nothing: the next primary is asked, or all of them again later. `content`: what came was
        no zone. Returns in how many seconds."""
        zone = self._zones[apex]
        self._end(zone)
        zone.tried += 1
        zone.content |= content
        zone.primary = (zone.primary + 1) % zone.primaries
        if zone.tried < zone.primaries:
            wait = 0.0
        else:
            wait = self._wait(zone)
            zone.failures += 1
            zone.tried = 0
            zone.content = False
            zone.failed_at = now
            if zone.notified:
                wait = min(wait, NOTIFIED_AFTER_FAILURE)
        self._attempt_at(apex, zone, now + wait)
        return wait

    def over(self, apex: bytes, now: float) -> None:
        """An attempt is over whose end was not carried out, whether it has been told here or not."""
        zone = self._zones[apex]
        if zone.running:
            self.failed(apex, now, content=True)
        else:
            self._attempt_at(apex, zone, min(zone.due, now + CONTENT_SECONDS))

    def otherwise(self, apex: bytes, now: float) -> None:
        """An attempt came to nothing that can be made otherwise, at the same primary, at once."""
        zone = self._zones[apex]
        self._end(zone)
        self._attempt_at(apex, zone, now)

    def _wait(self, zone: _Zone) -> float:
        """After a round without success."""
        doubled = 2.0 ** min(zone.failures, 30)
        if zone.timers is None:
            wait = min(FIRST_SECONDS * doubled, MAX_FIRST_SECONDS)
        elif zone.news:  # who has sent NOTIFY may just be reloading: that is no reason to wait for hours
            wait = min(FIRST_SECONDS * doubled, zone.timers.retry)
        else:
            wait = zone.timers.retry
        if zone.content:
            wait = max(wait, min(CONTENT_SECONDS * doubled, MAX_CONTENT_SECONDS))
        return self._sooner(wait)

    def _sooner(self, seconds: float) -> float:
        return seconds * (1 - JITTER * self._chance())

    def _end(self, zone: _Zone) -> None:
        zone.running = False
        self._running -= 1

    def _attempt_at(self, apex: bytes, zone: _Zone, due: float) -> None:
        zone.due = due
        heapq.heappush(self._due, (due, apex))
        if self._has_too_many(self._due):
            self._due = [(each.due, apex) for apex, each in self._zones.items() if not each.running]
            heapq.heapify(self._due)

    def _live_until(self, apex: bytes, zone: _Zone, expires: float) -> None:
        zone.expires = expires
        heapq.heappush(self._ages, (expires, apex))
        if self._has_too_many(self._ages):
            self._ages = [(each.expires, apex) for apex, each in self._zones.items() if each.expires < math.inf]
            heapq.heapify(self._ages)

    def _has_too_many(self, heap: list[tuple[float, bytes]]) -> bool:
        """A refresh every hour leaves 672 entries in the four weeks until its turn, and whoever floods us with NOTIFY
        has no limit of his own."""
        return len(heap) > len(self._zones) * (OVERTAKEN_PER_ZONE + 1) + MAX_OVERTAKEN
