"""The primary without sockets: the other end is authdns' own machine for inbound transfers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count

from authdns.transfer.inbound import Ask, Caps, Changes, Failed, Inbound, Step, UpToDate, Whole
from authdns.wire.query import parse_query
from authdns.wire.tsig import Key
from authdns.zone.delta import applied
from authdns.zone.records import Record, records_of
from tests.hostile_primary.actions import Action, Close, Reset, Wait
from tests.hostile_primary.faults import Talk
from tests.hostile_primary.zones import Copy

NOW = 1_800_000_000
Answers = Callable[[Talk], Iterable[Action]]
End = UpToDate | Whole | Changes | Failed


def inbound(
    copy: Copy, have: Record | None = None, key: Key | None = None, *, whole: bool = False, caps: Caps | None = None
) -> Inbound:
    """With ids that count."""
    ids = count(0x1234)
    return Inbound(copy.apex, have, key, lambda: next(ids) & 0xFFFF, "the primary", whole=whole, caps=caps)


def honest(talk: Talk) -> Iterable[Action]:
    return talk.honest()


def converse(machine: Inbound, copy: Copy, answers: Answers = honest, key: Key | None = None, *, now: int = NOW) -> End:
    """How it ends. Waiting is the end of patience, and raw octets are no messages: both break it off."""
    request = machine.begin(now)
    while True:
        step: Step | None = None
        for action in answers(Talk(request, parse_query(request), copy, key, now)):
            if not isinstance(action, bytes):
                if isinstance(action, Wait):
                    continue
                assert isinstance(action, Close | Reset), action
                return machine.broken_off()
            step = machine.receive(action, now)
            if step is not None:
                break
        if step is None:
            return machine.broken_off()
        if not isinstance(step, Ask):
            return step
        request = step.request


def lower(records: Iterable[Record]) -> frozenset[Record]:
    return frozenset(each._replace(owner=each.owner.lower()) for each in records)


def zone_after(end: Whole | Changes, before: Iterable[Record] = ()) -> frozenset[Record]:
    """The records that are to be served. Raises ValueError if what changed does not fit to what was there, or if it is
    no zone."""
    if isinstance(end, Changes):
        records = list(before)
        for delta in end.deltas:
            records = applied(records, delta)
        return lower(records)
    zone = end.builder.build()
    if zone is None:
        raise ValueError(next(str(problem) for problem in end.builder.problems))
    return lower(each for owner, rrsets in zone.owners() for each in records_of(zone, owner, rrsets))
