"""Answer to Plan: the semantics run once per class, the encoded answer is kept.

A Plan is everything of a response that the class decides: header words, body, where it may be cut. The body is
encoded for a question of `base_octets`; for a longer question every pointer in it grows by the same delta. Kept as one
big integer with a second one that has a 1 in each pointer's last place, all of them are patched by a single
multiplication and addition: image + delta * ones. (A pointer never overflows: message.Encoder keeps a reserve.)

A plan of a signed zone may be *open*: the proof that the question's next closer name does not exist still has to go in
at the end of the authority section. Which NSEC or NSEC3 that is depends on the interval that the name or its hash falls
into; `closed` puts it in. (One plan for each interval and closest encloser would be the product of both.)
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from authdns.answer.classes import OTHER, types_that_matter
from authdns.answer.lookup import Answer, lookup, proven
from authdns.wire import name as names
from authdns.wire.message import Body, Encoder, Stop
from authdns.wire.query import HEADER_OCTETS
from authdns.wire.types import Class, Flag, Rcode
from authdns.zone.zone import Zone

# Which of the eight forms of a response's header: bits to add up.
WITH_RD: Final = 1
WITH_CD: Final = 2
WITH_OPT: Final = 4

_BODY_END: Final = 0x10000  # a body that goes on until here fits into no response, and how it goes on does not matter
_POINTERS_END: Final = 0x4000  # what 14 bits can point at (RFC 1035 §4.1.4)

OTHER_KEY: Final = OTHER.to_bytes(2, "big")

# Fits into 512 octets beside header, the longest question and OPT: such a body is never cut.
_ALWAYS_FITS_OCTETS: Final = 512 - 12 - 259 - 11

MAX_SHARED_PLANS: Final = 100_000  # referrals, mostly; then the memo starts anew

MAX_KEPT_PROOFS: Final = 20_000  # some hundred octets each; then the memo starts anew

Heads = tuple[bytes, ...]


@lru_cache(maxsize=4096)
def heads(rcode: int, authoritative: bool, truncated: bool, counts: tuple[int, int, int]) -> Heads:
    """Octets 2-12 of a response with one question, for every sum of WITH_RD, WITH_CD, WITH_OPT. Shared by all plans.

    RD and CD are copied from the query (RFC 1035 §4.1.1, RFC 4035 §3.1.6), RA and AD stay clear.
    """
    found = []
    for form in range(8):
        flags = Flag.QR | rcode & 15
        flags |= (authoritative and Flag.AA) | (truncated and Flag.TC)
        flags |= (form & WITH_RD and Flag.RD) | (form & WITH_CD and Flag.CD)
        answer, authority, additional = counts
        words = (flags, 1, answer, authority, additional + bool(form & WITH_OPT))
        found.append(b"".join(word.to_bytes(2, "big") for word in words))
    return tuple(found)


class Plan:
    """A compiled answer. `wire` is the body where the class fixes the whole question name; otherwise it is None and
    the body is made from `image` and `ones`. `direct`: not to be sent as it is, ServedZone.direct must be asked."""

    __slots__ = (
        "authoritative",
        "base_octets",
        "direct",
        "heads",
        "image",
        "octets",
        "ones",
        "opening",
        "per_query",
        "rcode",
        "stops",
        "wire",
    )

    def __init__(self, answer: Answer, qname: bytes) -> None:
        body = encode(answer, answer.base)
        octets = len(body.wire)
        self.rcode = int(answer.rcode)
        self.authoritative = answer.authoritative
        self.direct = self.per_query = answer.per_query
        self.heads = heads(self.rcode, self.authoritative, False, body.stops[-1].counts)
        self.stops = body.stops if octets > _ALWAYS_FITS_OCTETS else ()
        self.octets = octets
        self.base_octets = body.base_octets
        self.wire: bytes | None = None
        self.image = self.ones = 0
        if answer.base == qname or not body.pointers:
            self.wire = body.wire
        else:
            self.image = int.from_bytes(body.wire, "big")
            self.ones = _ones(octets, body.pointers)
        self.opening: Opening | None = None
        if answer.denies_next_closer:
            self.direct = True
            self.stops = body.stops
            self.opening = Opening(answer, body)

    def body(self, name_octets: int) -> bytes:
        """The body behind a question whose name has that many octets."""
        if self.wire is not None:
            return self.wire
        return (self.image + (name_octets - self.base_octets) * self.ones).to_bytes(self.octets, "big")

    def stop(self, room: int) -> Stop:
        """The longest whole number of RRsets that fits into `room` octets."""
        return next(stop for stop in reversed(self.stops) if stop.octets <= room)

    def closed(self, name_octets: int, owner: bytes, proof: Sequence[bytes]) -> "ClosedPlan":
        """An open plan for a name of that many octets with the records of `proof`, all of one owner, put in."""
        opening = self.opening
        assert opening is not None, "only an open plan can be closed"
        body_at = HEADER_OCTETS + name_octets + 4
        wire = _with_owner(opening.base, name_octets, body_at + opening.octets, owner, proof)
        body = self.body(name_octets)
        kept = self.stops
        if opening.moved:
            if body_at + self.octets + len(wire) < _POINTERS_END:
                patched = int.from_bytes(body, "big") + len(wire) * opening.moved
                body = patched.to_bytes(self.octets, "big")
            else:  # additional records may be left out (RFC 2181 §9)
                body, kept = body[: opening.octets], kept[: opening.number + 1]
        return ClosedPlan(self, body[: opening.octets] + wire + body[opening.octets :], kept, len(wire), len(proof))


class ClosedPlan(Plan):
    """An open plan with its proof, for one response. Where it may be cut is found out only if it has to be."""

    __slots__ = ("_grown", "_number", "_records")

    def __init__(self, plan: Plan, wire: bytes, stops: tuple[Stop, ...], grown: int, records: int) -> None:
        assert plan.opening is not None
        self.rcode = plan.rcode
        self.authoritative = plan.authoritative
        self.direct = self.per_query = False
        self.opening = None
        self.wire = wire
        self.octets = len(wire)
        self.stops = stops  # those of `plan`
        self._number = plan.opening.number
        self._grown = grown
        self._records = records
        answer, authority, additional = stops[-1].counts
        self.heads = heads(plan.rcode, plan.authoritative, False, (answer, authority + records, additional))

    def stop(self, room: int) -> Stop:
        before = self.stops[: self._number + 1]
        behind = self.stops[self._number :]
        for octets, (answer, authority, additional), truncated in reversed(behind):
            if octets + self._grown <= room:
                return Stop(octets + self._grown, (answer, authority + self._records, additional), truncated)
        return next(stop._replace(truncated=True) for stop in reversed(before) if stop.octets <= room)


class Opening:
    """Where the missing proof goes into the body of a plan: at the end of the authority section, before the additional
    one, the pointers of which that stay behind it grow with it (`moved`, like Plan.ones)."""

    __slots__ = ("base", "moved", "number", "octets", "proven")

    def __init__(self, answer: Answer, body: Body) -> None:
        self.base = answer.base
        self.proven = proven(answer)
        self.number = min(len(answer.answer) + len(answer.authority), len(body.stops) - 1)  # of the stop there
        self.octets = body.stops[self.number].octets
        here = HEADER_OCTETS + body.base_octets + 4 + self.octets
        behind = [offset for offset in body.pointers if offset >= self.octets]
        self.moved = _ones(len(body.wire), [offset for offset in behind if _pointer(body.wire, offset) >= here])


def _pointer(wire: bytes, offset: int) -> int:
    return int.from_bytes(wire[offset : offset + 2], "big") & (_POINTERS_END - 1)


def _ones(octets: int, pointers: Iterable[int]) -> int:
    """An integer of so many octets with a 1 in the last place of each pointer."""
    return sum(1 << 8 * (octets - offset - 2) for offset in pointers)


def _with_owner(base: bytes, name_octets: int, here: int, owner: bytes, records: Sequence[bytes]) -> bytes:
    """`records` with their owner in front, the first at the message's octet `here`. It is compressed against the
    question, which ends in `base`, and not against the rest of the body."""
    shared = base
    while not names.is_at_or_below(owner, shared):
        shared = names.parent(shared)
    first = owner[: len(owner) - len(shared)] + (0xC000 | HEADER_OCTETS + name_octets - len(shared)).to_bytes(2, "big")
    again = first if len(first) == 2 or here >= _POINTERS_END else (0xC000 | here).to_bytes(2, "big")
    return first + again.join(records)


def encode(answer: Answer, base: bytes) -> Body:
    """Everything behind the question, for a question whose name is as long as `base`."""
    encoder = Encoder(base)
    needed = len(answer.answer) + len(answer.authority) + answer.required_glue
    counts = [0, 0, 0]
    stops = [Stop(0, (0, 0, 0), truncated=needed > 0)]
    for number, section in enumerate((answer.answer, answer.authority, answer.additional)):
        for owner, rrset in section:
            encoder.rrset(owner, rrset.type, rrset.ttl, rrset.rdatas)
            counts[number] += len(rrset.rdatas)
            # TC is set when something is left out that had to be there (RFC 2181 §9, RFC 9471 §3).
            truncated = len(stops) < needed
            if len(encoder.wire) >= _BODY_END:  # no response will ever get here
                stops.append(Stop(_BODY_END, (counts[0], counts[1], counts[2]), truncated))
                pointers = tuple(offset for offset in encoder.pointers if offset < _BODY_END - 1)
                return Body(bytes(encoder.wire[:_BODY_END]), len(base), pointers, tuple(stops))
            stops.append(Stop(len(encoder.wire), (counts[0], counts[1], counts[2]), truncated))
    return Body(bytes(encoder.wire), len(base), tuple(encoder.pointers), tuple(stops))


class Compiler:
    """Makes the plans of one zone, with or without DO; answers that many classes give are encoded once."""

    def __init__(self, zone: Zone, dnssec_ok: bool) -> None:
        self._zone = zone
        self._dnssec_ok = dnssec_ok
        self._shared: dict[Answer, Plan] = {}
        self._proofs: dict[bytes, tuple[bytes, ...]] = {}  # owner -> its NSEC or NSEC3 and RRSIGs, without the owner

    def pending(self, qname: bytes) -> dict[bytes, Plan]:
        """The classes at the position of `qname`, by the two octets of the type, none of them compiled yet."""
        plans = {OTHER_KEY: PENDING}
        for qtype in types_that_matter(self._zone, qname):
            plans[qtype.to_bytes(2, "big")] = PENDING
        return plans

    def plan(self, qname: bytes, qtype: int) -> Plan:
        """The plan of the class of (qname, qtype)."""
        answer = lookup(self._zone, qname, qtype, self._dnssec_ok)
        if answer.answer or (answer.authoritative and answer.base != self._zone.apex):
            return Plan(answer, qname)
        plan = self._shared.get(answer)
        if plan is None:
            if len(self._shared) >= MAX_SHARED_PLANS:
                self._shared.clear()
            plan = self._shared[answer] = Plan(answer, b"")  # b"": other questions than this one will use it
        return plan

    def close(self, plan: Plan, qname: bytes) -> Plan:
        """An open plan made whole for `qname`."""
        assert plan.opening is not None
        assert self._zone.denial is not None, "only a chain leaves plans open"
        owner = self._zone.denial.covering(names.next_closer(qname, plan.base_octets))
        if owner in plan.opening.proven:
            return plan
        return plan.closed(len(qname), owner, self._proofs.get(owner) or self._proof(owner))

    def _proof(self, owner: bytes) -> tuple[bytes, ...]:
        if len(self._proofs) >= MAX_KEPT_PROOFS:
            self._proofs.clear()
        records = []
        for rrtype, ttl, rdatas in self._zone.proof(owner):
            fixed = (rrtype << 48 | Class.IN << 32 | ttl).to_bytes(8, "big")
            records += [fixed + len(rdata).to_bytes(2, "big") + rdata for rdata in rdatas]
        found = self._proofs[owner] = tuple(records)
        return found


def failure(rcode: Rcode) -> Plan:
    """A plan without records: SERVFAIL for a zone that cannot be served, REFUSED for a name that is not ours."""
    return Plan(Answer(rcode, False, (), (), (), 0, b"\0", per_query=False, denies_next_closer=False), b"")


def _pending() -> Plan:
    plan = failure(Rcode.SERVFAIL)
    plan.direct = True
    return plan


PENDING: Final = _pending()  # stands where a class has not been asked for yet
