"""When secondary zones are refreshed, and when they expire: on a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from authdns.secondary import (
    CONTENT_SECONDS,
    FIRST_SECONDS,
    JITTER,
    MAX_CONTENT_SECONDS,
    MAX_EXPIRE,
    MAX_FIRST_SECONDS,
    MAX_OVERTAKEN,
    MAX_REFRESH,
    MAX_RETRY,
    NOTIFIED_AFTER_FAILURE,
    OVERTAKEN_PER_ZONE,
    Attempt,
    Refresher,
    Timers,
)
from authdns.wire.rdata import Soa

ZONE = b"\7example\0"
OTHER = b"\5other\0"
REFRESH, RETRY, EXPIRE = 3600, 600, 86_400
SOA = Soa(b"\0", b"\0", 1, REFRESH, RETRY, EXPIRE, 300)


class Clock:
    """A refresher, and the time; `chance` is what the jitter is made of, 0 for none."""

    def __init__(self, at_once: int = 10, chance: Callable[[], float] = lambda: 0.0) -> None:
        self.now = 1000.0
        self.refresher = Refresher(chance, at_once)

    def add(self, apex: bytes = ZONE, primaries: int = 1, soa: Soa | None = None, left: float = 0.0) -> None:
        self.refresher.add(apex, primaries, self.now, soa, left)

    def poll(self) -> list[Attempt]:
        return self.refresher.poll(self.now)

    def attempt(self, apex: bytes = ZONE) -> int:
        """The one that is due: which primary is asked."""
        (found,) = self.poll()
        assert found.apex == apex
        return found.primary

    def refreshed(
        self, apex: bytes = ZONE, soa: Soa = SOA, *, replaced: bool = False, expire: int | None = None
    ) -> float:
        return self.refresher.refreshed(apex, soa, self.now, replaced=replaced, expire=expire)

    def failed(self, apex: bytes = ZONE, *, content: bool = False) -> float:
        return self.refresher.failed(apex, self.now, content=content)

    def notified(self, apex: bytes = ZONE, primary: int | None = None) -> None:
        self.refresher.notified(apex, primary, self.now)

    def expire(self) -> list[bytes]:
        return self.refresher.expire(self.now)

    def until_due(self) -> float:
        """Moves to the next deadline. Returns the seconds."""
        deadline = self.refresher.deadline()
        assert deadline is not None
        seconds = max(0.0, deadline - self.now)
        self.now += seconds
        return seconds

    def left(self, apex: bytes = ZONE) -> float | None:
        return self.refresher.left(apex, self.now)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def served(clock: Clock) -> Clock:
    """A zone that was just transferred."""
    clock.add()
    clock.attempt()
    clock.refreshed(replaced=True)
    return clock


# --- timers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("soa", "timers"),
    [
        (SOA, Timers(REFRESH, RETRY, EXPIRE)),
        (SOA._replace(refresh=0, retry=0, expire=0), Timers(1, 1, 2)),
        (SOA._replace(refresh=1 << 31, retry=1 << 31, expire=1 << 31), Timers(MAX_REFRESH, MAX_RETRY, MAX_EXPIRE)),
        (SOA._replace(expire=10), Timers(REFRESH, RETRY, REFRESH + RETRY)),
    ],
)
def test_timers_of_an_soa_within_our_limits(soa: Soa, timers: Timers) -> None:
    assert Timers.of(soa) == timers


# --- refresh, retry ---------------------------------------------------------------------------------------------------


def test_a_new_zone_is_asked_for_at_once(clock: Clock) -> None:
    assert clock.refresher.deadline() is None
    clock.add()
    assert ZONE in clock.refresher
    assert clock.left() is None
    assert clock.refresher.deadline() == clock.now
    assert clock.attempt() == 0
    assert clock.poll() == []
    assert clock.refresher.deadline() is None  # nothing to do until it has ended


def test_after_a_refresh_the_next_one_is_due_when_the_soa_says(served: Clock) -> None:
    assert served.left() == EXPIRE
    assert served.until_due() == REFRESH
    assert served.attempt() == 0
    served.refreshed()
    assert served.until_due() == REFRESH


def test_after_a_failure_it_is_tried_again_when_the_soa_says(served: Clock) -> None:
    served.until_due()
    served.attempt()
    assert served.failed() == RETRY
    assert served.until_due() == RETRY
    served.attempt()
    assert served.failed() == RETRY
    served.until_due()
    served.attempt()
    served.refreshed()
    assert served.until_due() == REFRESH


def test_without_a_version_failures_are_further_and_further_apart(clock: Clock) -> None:
    clock.add()
    waits = []
    for _ in range(40):
        clock.attempt()
        waits.append(clock.failed())
        assert clock.until_due() == pytest.approx(waits[-1])
    assert waits[:4] == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS, 8 * FIRST_SECONDS]
    assert waits[-1] == MAX_FIRST_SECONDS == max(waits)
    clock.attempt()
    clock.refreshed(replaced=True)
    assert clock.until_due() == REFRESH


def test_bad_content_is_not_asked_for_again_soon(served: Clock) -> None:
    """The retry of the SOA may be a second."""
    impatient = SOA._replace(retry=1)
    served.notified()
    served.attempt()
    served.refreshed(soa=impatient, replaced=True)
    waits = []
    for _ in range(20):
        served.notified()
        served.now += 10
        served.poll()
        waits.append(served.failed(content=True))
        served.now += 10
    assert waits[:3] == [CONTENT_SECONDS, 2 * CONTENT_SECONDS, 4 * CONTENT_SECONDS]
    assert waits[-1] == MAX_CONTENT_SECONDS
    served.notified()
    served.poll()
    assert served.failed() == 1  # what then fails in another way is no reason to wait


def test_bad_content_of_one_primary_counts_for_the_round(clock: Clock) -> None:
    clock.add(primaries=2)
    clock.attempt()
    assert clock.failed(content=True) == 0
    clock.attempt()
    assert clock.failed() == CONTENT_SECONDS
    clock.until_due()
    clock.attempt()
    clock.failed()
    clock.attempt()
    assert clock.failed() == 2 * FIRST_SECONDS


@settings(max_examples=50)
@given(st.floats(0, 1), st.integers(0, 1 << 32), st.integers(0, 1 << 32))
def test_jitter_makes_no_interval_longer_and_none_much_shorter(chance: float, refresh: int, retry: int) -> None:
    clock = Clock(chance=lambda: chance)
    soa = SOA._replace(refresh=refresh, retry=retry, expire=1 << 32)
    timers = Timers.of(soa)
    clock.add()
    clock.attempt()
    clock.refreshed(soa=soa, replaced=True)
    assert timers.refresh * (1 - JITTER) - 0.001 <= clock.until_due() <= timers.refresh + 0.001
    clock.attempt()
    assert timers.retry * (1 - JITTER) <= clock.failed() <= timers.retry


def test_the_same_primary_may_be_asked_again_at_once() -> None:
    """Which is no failure of a round."""
    clock = Clock(at_once=1)
    clock.add(primaries=2)
    clock.attempt()
    clock.failed()
    assert clock.attempt() == 1
    clock.refresher.otherwise(ZONE, clock.now)
    assert clock.attempt() == 1
    assert clock.failed() == FIRST_SECONDS


# --- several primaries ------------------------------------------------------------------------------------------------


def test_whatever_became_of_an_attempt_its_place_is_free_and_it_is_made_again() -> None:
    clock = Clock(at_once=1)
    clock.add()
    clock.attempt()
    clock.refresher.over(ZONE, clock.now)  # of nothing else it was told
    assert clock.until_due() == CONTENT_SECONDS
    clock.attempt()
    clock.refreshed(replaced=True)
    clock.refresher.over(ZONE, clock.now)
    assert clock.until_due() == CONTENT_SECONDS
    clock.attempt()


def test_the_next_primary_is_asked_at_once_and_after_the_last_one_comes_a_pause(clock: Clock) -> None:
    clock.add(primaries=3)
    for number in range(3):
        assert clock.attempt() == number
        assert clock.failed() == (0 if number < 2 else FIRST_SECONDS)
    assert clock.poll() == []
    clock.until_due()
    assert clock.attempt() == 0


def test_the_one_that_worked_is_asked_first(clock: Clock) -> None:
    clock.add(primaries=3)
    clock.attempt()
    clock.failed()
    assert clock.attempt() == 1
    clock.refreshed(replaced=True)
    clock.until_due()
    assert clock.attempt() == 1
    clock.failed()
    assert clock.attempt() == 2
    clock.failed()
    assert clock.attempt() == 0
    assert clock.failed() == RETRY
    clock.until_due()
    assert clock.attempt() == 1


def test_other_primaries_are_asked_at_once(served: Clock) -> None:
    served.refresher.reconfigure(ZONE, 2, served.now)
    assert served.attempt() == 0
    served.refreshed()
    assert served.left() == EXPIRE


def test_other_primaries_while_an_attempt_is_under_way(served: Clock) -> None:
    """Which ends as it would have; fewer of them than before are no numbers that do not exist."""
    served.refresher.reconfigure(ZONE, 3, served.now)
    served.attempt()
    served.failed()
    assert served.attempt() == 1
    served.refresher.reconfigure(ZONE, 1, served.now)
    assert served.poll() == []
    assert served.failed() <= NOTIFIED_AFTER_FAILURE
    served.until_due()
    assert served.attempt() == 0


# --- NOTIFY -----------------------------------------------------------------------------------------------------------


def test_any_number_of_notifies_are_one_attempt(served: Clock) -> None:
    for _ in range(1000):
        served.notified()
    assert served.refresher.deadline() == served.now
    served.attempt()
    assert served.poll() == []
    served.refreshed()
    assert served.until_due() == REFRESH


def test_notifies_during_an_attempt_are_one_more(served: Clock) -> None:
    """It may have begun before what they announce."""
    served.notified()
    served.attempt()
    for _ in range(1000):
        served.notified()
    assert served.poll() == []
    served.refreshed()
    served.attempt()
    served.refreshed()
    assert served.poll() == []


def test_who_says_that_there_is_news_is_asked_first(clock: Clock) -> None:
    clock.add(primaries=3)
    clock.attempt()
    clock.refreshed(replaced=True)
    clock.notified(primary=2)
    assert clock.attempt() == 2
    clock.failed()
    assert clock.attempt() == 0
    clock.failed()
    assert clock.attempt() == 1
    assert clock.failed() == FIRST_SECONDS


def test_a_notify_after_a_failure_waits_a_moment(served: Clock) -> None:
    served.notified()
    served.attempt()
    served.failed()
    for _ in range(1000):
        served.notified()
    assert served.poll() == []
    assert served.until_due() == NOTIFIED_AFTER_FAILURE
    served.attempt()


def test_a_notify_during_an_attempt_that_fails_makes_the_next_one_soon(served: Clock) -> None:
    served.notified()
    served.attempt()
    served.notified()
    assert served.failed(content=True) == NOTIFIED_AFTER_FAILURE
    served.until_due()
    served.attempt()
    assert served.failed() == 2 * FIRST_SECONDS


def test_a_notify_long_after_a_failure_is_heard_at_once(served: Clock) -> None:
    served.notified()
    served.attempt()
    served.failed()
    served.now += NOTIFIED_AFTER_FAILURE
    served.notified()
    served.attempt()


def test_a_flood_of_notifies_does_not_hold_up_other_zones() -> None:
    clock = Clock(at_once=1)
    clock.add()
    clock.attempt()
    clock.now += 1
    clock.add(OTHER)
    clock.now += 1
    clock.notified()
    clock.refreshed(replaced=True)
    clock.notified()
    clock.attempt(OTHER)
    clock.failed(OTHER)
    clock.attempt()


def test_a_flood_of_notifies_takes_no_memory() -> None:
    """Also while no attempt may begin."""
    clock = Clock(at_once=1)
    clock.add(OTHER)
    clock.attempt(OTHER)
    clock.add()
    for _ in range(10_000):
        clock.notified()
    assert len(clock.refresher._due) <= 2 * (OVERTAKEN_PER_ZONE + 1) + MAX_OVERTAKEN
    clock.refreshed(OTHER, replaced=True)
    clock.attempt(ZONE)


def test_years_of_refreshes_take_no_memory(served: Clock) -> None:
    for _ in range(10_000):
        served.notified()
        served.attempt()
        served.refreshed()
        served.now += 1
    most = OVERTAKEN_PER_ZONE + 1 + MAX_OVERTAKEN
    assert len(served.refresher._due) <= most
    assert len(served.refresher._ages) <= most
    served.now += EXPIRE - 2
    assert served.expire() == []
    served.now += 1
    assert served.expire() == [ZONE]


# --- how many at a time -----------------------------------------------------------------------------------------------


def test_no_more_attempts_than_allowed_are_under_way() -> None:
    clock = Clock(at_once=3)
    zones = [bytes((1, letter, 0)) for letter in range(97, 107)]
    for apex in zones:
        clock.add(apex)
    begun = [attempt.apex for attempt in clock.poll()]
    assert len(begun) == 3
    assert clock.poll() == []
    assert clock.refresher.deadline() is None
    while begun:
        clock.refreshed(begun.pop(0), replaced=True)
        begun += [attempt.apex for attempt in clock.poll()]
        assert len(begun) <= 3
    clock.refresher.at_once = 5
    clock.now += REFRESH
    assert len(clock.poll()) + len(begun) == 5


def test_zones_are_asked_for_in_the_order_in_which_they_are_due() -> None:
    clock = Clock(at_once=1)
    for number, apex in enumerate((b"\1a\0", b"\1b\0", b"\1c\0")):
        clock.add(apex)
        clock.attempt(apex)
        clock.refreshed(apex, SOA._replace(refresh=1000 - number * 100), replaced=True)
    clock.now += 1000
    order = []
    while found := clock.poll():
        order.append(found[0].apex)
        clock.refreshed(found[0].apex)
    assert order == [b"\1c\0", b"\1b\0", b"\1a\0"]


def test_a_zone_that_is_removed_gives_its_place_away() -> None:
    clock = Clock(at_once=1)
    clock.add()
    clock.attempt()
    clock.add(OTHER)
    assert clock.poll() == []
    clock.refresher.remove(ZONE)
    assert ZONE not in clock.refresher
    assert clock.left() is None
    clock.attempt(OTHER)
    clock.refresher.remove(b"\7unknown\0")


def test_a_zone_that_is_removed_neither_falls_due_nor_expires(served: Clock) -> None:
    served.refresher.remove(ZONE)
    served.now += 10 * EXPIRE
    assert served.poll() == []
    assert served.expire() == []
    served.add()
    served.attempt()
    served.refreshed(replaced=True)
    assert served.left() == EXPIRE


# --- expiry -----------------------------------------------------------------------------------------------------------


def test_a_zone_that_nobody_confirms_expires_once(served: Clock) -> None:
    served.now += EXPIRE - 0.001
    assert served.expire() == []
    served.now += 0.001
    assert served.expire() == [ZONE]
    assert served.expire() == []
    assert served.left() == 0
    served.now += EXPIRE
    assert served.expire() == []


def test_while_it_fails_it_expires_in_time(served: Clock) -> None:
    begun = served.now
    while not (expired := served.expire()):
        served.until_due()
        for _ in served.poll():
            served.failed()
    assert expired == [ZONE]
    assert served.now == begun + EXPIRE


def test_an_expired_zone_is_asked_for_further_and_lives_again(served: Clock) -> None:
    served.now += EXPIRE
    served.expire()
    served.attempt()
    assert served.failed() == RETRY
    served.until_due()
    served.attempt()
    assert served.refreshed() == EXPIRE
    assert served.left() == EXPIRE
    served.now += EXPIRE
    assert served.expire() == [ZONE]


def test_a_version_from_before_lives_for_as_long_as_was_left(clock: Clock) -> None:
    clock.add(soa=SOA, left=100.0)
    clock.attempt()
    assert clock.failed() == RETRY
    clock.now += 100
    assert clock.expire() == [ZONE]
    clock.add(OTHER, soa=SOA, left=-5.0)
    assert clock.left(OTHER) == 0
    assert clock.expire() == [], "it was not served, so nothing has to end"


def test_each_confirmation_prolongs_its_life(served: Clock) -> None:
    for _ in range(5):
        served.now += EXPIRE / 2
        served.poll()
        assert served.refreshed() == EXPIRE
    assert served.expire() == []


# RFC 7314 §4: EXPIRE of what is transferred is how long that may be served; of what is confirmed, it prolongs what is
# left and never shortens it. Our SOA's own expire is the upper limit of both.


def test_expire_of_a_transfer_counts_in_place_of_the_soa(served: Clock) -> None:
    for expire, life in ((100, 100), (EXPIRE, EXPIRE), (EXPIRE + 1, EXPIRE), (0, 0)):
        served.notified()
        served.attempt()
        assert served.refreshed(replaced=True, expire=expire) == life
        assert served.left() == life


def test_expire_of_a_confirmation_never_shortens_a_life(served: Clock) -> None:
    served.now += 1000
    for expire, life in ((100, EXPIRE - 1000), (0, EXPIRE - 1000), (EXPIRE - 10, EXPIRE - 10), (2 * EXPIRE, EXPIRE)):
        served.notified()
        served.attempt()
        assert served.refreshed(expire=expire) == life


def test_expire_of_a_confirmation_of_what_has_expired(served: Clock) -> None:
    served.now += EXPIRE
    served.expire()
    served.attempt()
    assert served.refreshed(expire=0) == 0
    served.notified()
    served.attempt()
    assert served.refreshed(expire=50) == 50
    served.now += 50
    assert served.expire() == [ZONE]


def test_the_life_that_is_written_down() -> None:
    assert Refresher.life(SOA, None) == EXPIRE
    assert Refresher.life(SOA, 7) == 7
    assert Refresher.life(SOA, 1 << 31) == EXPIRE


# --- any order of events ----------------------------------------------------------------------------------------------

NAMES = [bytes((1, letter, 0)) for letter in b"abcde"]
zones = st.sampled_from(NAMES)
soas = st.builds(
    lambda refresh, retry, expire: SOA._replace(refresh=refresh, retry=retry, expire=expire),
    st.integers(0, 5000),
    st.integers(0, 5000),
    st.integers(0, 20_000),
)


class Model:
    """What a zone may do, said in another way: when it was last known to be good, and for how long."""

    def __init__(self) -> None:
        self.must_end_at: float | None = None  # while it is served
        self.running = False


class AnyOrder(RuleBasedStateMachine):
    @initialize(at_once=st.integers(1, 3), chance=st.floats(0, 1))
    def begin(self, at_once: int, chance: float) -> None:
        self.clock = Clock(at_once, lambda: chance)
        self.models: dict[bytes, Model] = {}

    def running(self) -> list[bytes]:
        return [apex for apex, model in self.models.items() if model.running]

    @rule(apex=zones, primaries=st.integers(1, 3), soa=st.none() | soas, left=st.floats(-10, 10_000))
    def add(self, apex: bytes, primaries: int, soa: Soa | None, left: float) -> None:
        if apex in self.models:
            return
        self.clock.add(apex, primaries, soa, left)
        self.models[apex] = model = Model()
        if soa is not None and left > 0:
            model.must_end_at = self.clock.now + left

    @rule(apex=zones)
    def remove(self, apex: bytes) -> None:
        self.clock.refresher.remove(apex)
        self.models.pop(apex, None)

    @rule(apex=zones, primary=st.none() | st.just(0), times=st.integers(1, 200))
    def notify(self, apex: bytes, primary: int | None, times: int) -> None:
        if apex in self.models:
            for _ in range(times):
                self.clock.notified(apex, primary)

    @rule(apex=zones, primaries=st.integers(1, 3))
    def reconfigure(self, apex: bytes, primaries: int) -> None:
        if apex in self.models:
            self.clock.refresher.reconfigure(apex, primaries, self.clock.now)

    @rule(at_once=st.integers(1, 3))
    def other_limit(self, at_once: int) -> None:
        self.clock.refresher.at_once = at_once

    @rule(seconds=st.floats(0, 10_000))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.look()

    @rule()
    def look(self) -> None:
        """As the shell does: at its deadline, or earlier."""
        for apex in self.clock.expire():
            model = self.models[apex]
            assert model.must_end_at is not None, "reported twice, or never served"
            assert model.must_end_at <= self.clock.now
            model.must_end_at = None
        for apex, model in self.models.items():
            assert model.must_end_at is None or model.must_end_at > self.clock.now, apex
        room = self.clock.refresher.at_once - len(self.running())
        found = self.clock.poll()
        assert len(found) <= max(0, room)
        for attempt in found:
            assert not self.models[attempt.apex].running
            self.models[attempt.apex].running = True

    @rule()
    def until_the_deadline(self) -> None:
        deadline = self.clock.refresher.deadline()
        if deadline is not None:
            self.clock.now = max(self.clock.now, deadline)
            self.look()

    @precondition(lambda self: self.running())
    @rule(number=st.integers(0, 4), soa=soas, replaced=st.booleans(), expire=st.none() | st.integers(0, 30_000))
    def succeed(self, number: int, soa: Soa, replaced: bool, expire: int | None) -> None:
        apex = self.running()[number % len(self.running())]
        model = self.models[apex]
        left = self.clock.refreshed(apex, soa, replaced=replaced, expire=expire)
        life = Timers.of(soa).expire
        assert left <= max(life, (model.must_end_at or 0) - self.clock.now)
        if expire is not None and replaced:
            assert left <= expire
        model.running = False
        model.must_end_at = self.clock.now + left if left > 0 else None

    @precondition(lambda self: self.running())
    @rule(number=st.integers(0, 4), content=st.booleans())
    def fail(self, number: int, content: bool) -> None:
        apex = self.running()[number % len(self.running())]
        assert 0 <= self.clock.failed(apex, content=content) <= max(MAX_CONTENT_SECONDS, MAX_RETRY)
        self.models[apex].running = False

    @precondition(lambda self: self.running())
    @rule(number=st.integers(0, 4))
    def ask_again(self, number: int) -> None:
        apex = self.running()[number % len(self.running())]
        self.clock.refresher.otherwise(apex, self.clock.now)
        self.models[apex].running = False

    @invariant()
    def every_zone_is_running_or_due(self) -> None:
        if not hasattr(self, "models"):
            return
        refresher = self.clock.refresher
        waiting = [apex for apex, model in self.models.items() if not model.running]
        in_heap = set(refresher._due)
        for apex in waiting:
            assert (refresher._zones[apex].due, apex) in in_heap
            assert refresher._zones[apex].due < self.clock.now + max(MAX_CONTENT_SECONDS, MAX_REFRESH) + 1
        if waiting and len(self.running()) < refresher.at_once:
            deadline = refresher.deadline()
            assert deadline is not None
            assert deadline <= min(refresher._zones[apex].due for apex in waiting)
        assert refresher._running == len(self.running())
        for apex, model in self.models.items():
            assert apex in refresher
            left = refresher.left(apex, self.clock.now)
            if model.must_end_at is not None:
                assert left == pytest.approx(max(0.0, model.must_end_at - self.clock.now))
                assert refresher.deadline() is not None

    @invariant()
    def memory_is_bounded(self) -> None:
        if hasattr(self, "models"):
            most = len(NAMES) * (OVERTAKEN_PER_ZONE + 1) + MAX_OVERTAKEN
            assert max(len(self.clock.refresher._due), len(self.clock.refresher._ages)) <= most


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
