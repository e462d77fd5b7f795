"""secondary.py after a NOTIFY: what comes of it must not wait for the zone's retry time."""

from __future__ import annotations

import pytest

from authdns.secondary import FIRST_SECONDS, Attempt, Refresher
from authdns.wire.rdata import Soa

APEX = b"\7example\3com\0"
RETRY = 7200
SOA = Soa(b"\0", b"\0", 1, 86_400, RETRY, 604_800, 300)


@pytest.fixture
def refresher() -> Refresher:
    """At time 0 the zone has just been transferred from its only primary."""
    made = Refresher(lambda: 0.0, 10)
    made.add(APEX, 1, 0.0)
    assert made.poll(0.0) == [Attempt(APEX, 0)]
    made.refreshed(APEX, SOA, 0.0, replaced=True)
    return made


def test_a_primary_that_breaks_off_after_its_notify_is_asked_again_soon(refresher: Refresher) -> None:
    now, waits = 100.0, []
    refresher.notified(APEX, 0, now)
    for _ in range(16):
        assert refresher.poll(now) == [Attempt(APEX, 0)]
        waits.append(refresher.failed(APEX, now))
        assert refresher.poll(now + waits[-1] - 0.1) == []
        now += waits[-1]
    assert waits[:3] == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS]
    assert waits[-1] == RETRY


def test_without_news_it_is_the_retry_time(refresher: Refresher) -> None:
    refresher.notified(APEX, 0, 100.0)
    assert refresher.poll(100.0)
    refresher.refreshed(APEX, SOA, 100.0, replaced=False)
    now = 100.0 + SOA.refresh
    assert refresher.poll(now)
    assert refresher.failed(APEX, now) == RETRY


def test_after_changes_of_no_use_the_same_primary_is_asked_at_once(refresher: Refresher) -> None:
    refresher.notified(APEX, 0, 100.0)
    assert refresher.poll(100.0)
    refresher.otherwise(APEX, 100.0)
    assert refresher.poll(100.0) == [Attempt(APEX, 0)]
    assert refresher.poll(100.0) == [], "it is under way"
