"""NOTIFY to secondaries (RFC 1996): who has to hear of which serial, when to try again, what an answer means.

A machine without sockets: `zone_changed` starts it, `poll` gives the datagrams that are due, `receive` takes what came
back and says what it meant, `deadline` says when to poll next. Zones and targets are independent of each other: a dead
secondary delays nobody. A newer serial replaces the one that is still being sent.

To a target with a key a NOTIFY is signed (RFC 8945), once for all attempts, so that whichever is answered can be
verified. An answer that is not signed with that key is none: the NOTIFY goes on waiting.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from authdns.transfer.policy import Address
from authdns.wire import name as names
from authdns.wire.message import header
from authdns.wire.query import Malformed, tsig_of_response
from authdns.wire.tsig import Key, Signer, verify_response
from authdns.wire.types import Class, Flag, Opcode, Rcode, Type, rcode_to_text
from authdns.zone.zone import RRset

# Seconds to wait for an answer, one entry an attempt (RFC 1996 §3.6 asks for backoff and leaves the numbers open).
# A minute in all; a secondary that is longer away finds out by its refresh timer.
TIMEOUTS_SECONDS = (2.0, 4.0, 8.0, 16.0, 30.0)
# Datagrams in one poll, and the pause after a full one: ten thousand zones at start leave at 1,000 a second.
# (65,536 ids a target are many more than any batch, so a free one is always found.)
BATCH = 50
BATCH_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Target:
    """Where a NOTIFY goes. `label` is for people: the secondary's name or the NS name that led here. With `key` it is
    signed, and so must be the answer."""

    address: Address
    port: int
    label: str
    key: Key | None = None

    def __str__(self) -> str:
        return f"{self.address}#{self.port}"


class Meaning(Enum):
    """What became of one NOTIFY, as told to a person."""

    ACCEPTED = "accepted"
    NOTAUTH = "NOTAUTH: that server does not (yet) serve this zone as our secondary"
    REFUSED = "REFUSED: that server does not accept NOTIFY from this address"
    OTHER = "an unexpected answer"
    TIMEOUT = "no answer"


@dataclass(frozen=True, slots=True)
class Send:
    """A datagram that is due."""

    target: Target
    wire: bytes
    apex: bytes
    serial: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one NOTIFY; `rcode` is what was answered, if anything was."""

    apex: bytes
    serial: int
    target: Target
    meaning: Meaning
    rcode: int | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Ignored:
    """An answer that was not taken for one; `reason` is for a person."""

    apex: bytes
    target: Target
    reason: str


@dataclass(slots=True)
class _Pending:
    target: Target
    serial: int
    soa: RRset
    ident: int
    attempts: int
    due: float
    wire: bytes = b""  # once it was sent
    signer: Signer | None = None


_Key = tuple[bytes, Address, int]  # apex, and where to


class Notifier:
    """All NOTIFYs under way. `new_id` gives unpredictable 16-bit message ids. Times are seconds of one clock;
    `wall` is the time for TSIG, in seconds since 1970."""

    def __init__(self, new_id: Callable[[], int]) -> None:
        self._new_id = new_id
        self._pending: dict[_Key, _Pending] = {}
        self._by_answer: dict[tuple[int, Address, int], _Key] = {}  # (id, address, port): what an answer must fit
        self._left: Counter[bytes] = Counter()  # NOTIFYs under way of each zone
        self._due: list[tuple[float, int, _Key]] = []  # a heap of (time, id, key); entries that were overtaken stay
        self._paused_until = 0.0

    def zone_changed(self, apex: bytes, serial: int, soa: RRset, targets: Iterable[Target], now: float) -> None:
        """Starts, or starts anew, one NOTIFY to each target."""
        for target in targets:
            key = (apex, target.address, target.port)
            if key in self._pending:
                self._drop(key)
            ident = self._new_id()
            while (ident, target.address, target.port) in self._by_answer:
                ident = self._new_id()
            self._pending[key] = _Pending(target, serial, soa, ident, attempts=0, due=now)
            self._by_answer[ident, target.address, target.port] = key
            self._left[apex] += 1
            heapq.heappush(self._due, (now, ident, key))

    def _drop(self, key: _Key) -> None:
        pending = self._pending.pop(key)
        del self._by_answer[pending.ident, key[1], key[2]]
        self._left[key[0]] -= 1

    def forget(self, apex: bytes) -> None:
        """The zone is no longer served."""
        for key in [key for key in self._pending if key[0] == apex]:
            self._drop(key)

    def waits_for(self, apex: bytes) -> bool:
        """True while some NOTIFY for the zone has not ended."""
        return self._left[apex] > 0

    def deadline(self) -> float | None:
        """When `poll` has something to do next; None when nothing is under way."""
        due = self._next()
        return None if due is None else max(due.due, self._paused_until)

    def _next(self) -> _Pending | None:
        """The one that is due first. What was answered, replaced or postponed since it was put there is passed over."""
        while self._due:
            due, ident, key = self._due[0]
            pending = self._pending.get(key)
            if pending is not None and (pending.due, pending.ident) == (due, ident):
                return pending
            heapq.heappop(self._due)
        return None

    def poll(self, now: float, wall: int = 0) -> tuple[list[Send], list[Outcome]]:
        """The datagrams to send now, and those NOTIFYs that have been tried often enough."""
        sends: list[Send] = []
        outcomes: list[Outcome] = []
        while now >= self._paused_until and (pending := self._next()) is not None and pending.due <= now:
            _, ident, key = heapq.heappop(self._due)
            if pending.attempts == len(TIMEOUTS_SECONDS):
                self._drop(key)
                outcomes.append(
                    Outcome(key[0], pending.serial, pending.target, Meaning.TIMEOUT, None, pending.attempts)
                )
                continue
            pending.due = now + TIMEOUTS_SECONDS[pending.attempts]
            pending.attempts += 1
            heapq.heappush(self._due, (pending.due, ident, key))
            if not pending.wire:
                pending.wire, pending.signer = _message(key[0], pending, wall)
            sends.append(Send(pending.target, pending.wire, key[0], pending.serial, pending.attempts))
            if len(sends) == BATCH:
                self._paused_until = now + BATCH_PAUSE_SECONDS
        return sends, outcomes

    def receive(self, wire: bytes, address: Address, port: int, wall: int = 0) -> Outcome | Ignored | None:
        """An answer from the network. None if it belongs to no NOTIFY of ours (forged, late, malformed), Ignored if it
        seems to, but is not signed as it must be."""
        if len(wire) < 12 or not wire[2] & Flag.QR >> 8 or wire[2] >> 3 & 15 != Opcode.NOTIFY:
            return None
        key = self._by_answer.get((int.from_bytes(wire[:2], "big"), address, port))
        if key is None or not _question_fits(wire, key[0]):
            return None
        pending = self._pending[key]
        if pending.signer is not None and (reason := _distrust(pending.signer, wire, wall)) is not None:
            return Ignored(key[0], pending.target, reason)
        self._drop(key)
        rcode = wire[3] & 15
        return Outcome(
            key[0], pending.serial, pending.target, _MEANINGS.get(rcode, Meaning.OTHER), rcode, pending.attempts
        )


_MEANINGS: dict[int, Meaning] = {
    Rcode.NOERROR: Meaning.ACCEPTED,
    Rcode.NOTAUTH: Meaning.NOTAUTH,
    Rcode.REFUSED: Meaning.REFUSED,
}


def _message(apex: bytes, pending: _Pending, wall: int) -> tuple[bytes, Signer | None]:
    wire = notify_message(apex, pending.soa, pending.ident)
    if pending.target.key is None:
        return wire, None
    signer = Signer(pending.target.key, b"", wall)
    return signer.sign(wire, wall), signer


def _distrust(asked: Signer, wire: bytes, wall: int) -> str | None:
    """Why the answer is not taken for genuine, if so."""
    try:
        fault = verify_response(asked, wire, tsig_of_response(wire), wall)
    except Malformed as error:
        return f"it cannot be read: {error}"
    return None if fault is None else fault.reason


def _question_fits(wire: bytes, apex: bytes) -> bool:
    """Some servers leave the question out of an error; a question that is there must be ours."""
    if wire[4:6] == b"\0\0":
        return True
    end = 12 + len(apex)
    return wire[12:end].lower() == apex and wire[end : end + 2] == Type.SOA.to_bytes(2, "big")


def notify_message(apex: bytes, soa: RRset, ident: int) -> bytes:
    """RFC 1996 §3.7: opcode NOTIFY, AA, the zone as question, the new SOA as a hint in the answer section."""
    question = apex + Type.SOA.to_bytes(2, "big") + Class.IN.to_bytes(2, "big")
    rdata = soa.rdatas[0]
    record = b"\xc0\x0c" + Type.SOA.to_bytes(2, "big") + Class.IN.to_bytes(2, "big")
    record += soa.ttl.to_bytes(4, "big") + len(rdata).to_bytes(2, "big") + rdata
    flags = Opcode.NOTIFY << 11 | Flag.AA
    return header(ident.to_bytes(2, "big"), flags, 0, (1, 1, 0, 0)) + question + record


def outcome_text(outcome: Outcome) -> str:
    """One line in the words of a BIND log: `zone example.com/IN: notify to 192.0.2.1#53: accepted (serial 7)`."""
    said = outcome.meaning.value
    if outcome.meaning is Meaning.OTHER:
        said = f"answered {rcode_to_text(outcome.rcode or 0)}"
    elif outcome.meaning is Meaning.TIMEOUT:
        said = f"no answer after {outcome.attempts} attempts"
    zone = names.zone_text(outcome.apex)
    return f"zone {zone}/IN: notify to {outcome.target} ({outcome.target.label}): {said} (serial {outcome.serial})"


def ignored_text(ignored: Ignored) -> str:
    """`zone example.com/IN: notify to 192.0.2.1#53 (two): an answer is ignored: it is not signed`."""
    zone = names.zone_text(ignored.apex)
    return (
        f"zone {zone}/IN: notify to {ignored.target} ({ignored.target.label}): an answer is ignored: {ignored.reason}"
    )
