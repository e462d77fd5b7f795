"""The bounded form of `python -m tests.fuzz.transfers`, and that its checks see what they are for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from authdns.transfer import inbound, reading
from authdns.wire.tsig import SignedStream
from authdns.zone.records import Record
from tests.fuzz.invariants import Violation
from tests.fuzz.transfers import run

CONVERSATIONS = 20_000
OUTCOMES = (
    "up to date",
    "failed: CONTENT",
    "failed: UNREACHABLE",
    "failed: DISTRUSTED",
    "failed: REFUSED",
    "whole, the primary's",
    "whole, as it was sent",
    "whole, and no zone",
    "changes, the primary's",
    "changes, as it was sent",
    "changes, and no zone",
)


def test_changed_conversations() -> None:
    outcomes = run(range(CONVERSATIONS))
    assert set(outcomes) == set(OUTCOMES)
    assert min(outcomes.values()) > CONVERSATIONS / 2000, outcomes  # or nothing was tested
    assert outcomes["changes, the primary's"] > CONVERSATIONS / 20


def verifies_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SignedStream, "take", lambda *_: None)


def needs_no_signature_at_the_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SignedStream, "end", lambda *_: None)


def takes_any_soa_for_the_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inbound, "_same_soa", lambda *_: True)


def takes_steps_from_anywhere(patch: pytest.MonkeyPatch) -> None:
    def begin(self: inbound._Differences, record: Record, serial: int) -> None:
        self._before = record

    patch.setattr(inbound._Differences, "_begin", begin)


def remembers_what_came_to_nothing(patch: pytest.MonkeyPatch) -> None:
    ask = inbound.Inbound._ask

    def asking(self: inbound.Inbound, phase: inbound._Phase, now: int) -> bytes:
        before = self._first, self._records
        request = ask(self, phase, now)
        self._first, self._records = before
        return request

    patch.setattr(inbound.Inbound, "_ask", asking)


def reads_ttls_wrongly(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reading, "MAX_TTL", 0)


@pytest.mark.parametrize(
    "broken",
    [
        verifies_nothing,
        needs_no_signature_at_the_end,
        takes_any_soa_for_the_last,
        takes_steps_from_anywhere,
        remembers_what_came_to_nothing,
        reads_ttls_wrongly,
    ],
)
def test_a_machine_with_a_fault_is_found_out(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    with pytest.raises(Violation):
        run(range(CONVERSATIONS))
