"""Answer to Plan: the semantics run once per class, the encoded answer is kept.

A Plan is everything of a response that the class decides: header words, body, where it may be cut. The body is
encoded for a question of `base_octets`; for a longer question every pointer in it grows by the same delta. Kept as one
big integer with a second one that has a 1 in each pointer's last place, all of them are patched by a single
multiplication and addition: image + delta * ones. (A pointer never overflows: message.Encoder keeps a reserve.)

A plan may be *open*: something of each question still has to go in. In a signed zone that is the proof that the next
closer name does not exist: which NSEC or NSEC3 it is depends on the interval that the name or its hash falls into. (One
plan for each interval and closest encloser would be the product of both.) And below a DNAME it is the part of the name
that is moved.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from authdns.answer.classes import OTHER, types_that_matter
from authdns.answer.lookup import Answer, denied_name, lookup, proven
from authdns.wire import name as names
from authdns.wire.message import COOKIE_OCTETS, MAX_NSID_OCTETS, MOVED, POINTERS_END, Body, Encoder, Stop
from authdns.wire.query import HEADER_OCTETS
from authdns.wire.types import Class, Flag, Rcode, Type
from authdns.zone.zone import Zone

# Which of the eight forms of a response's header: bits to add up.
WITH_RD: Final = 1
WITH_CD: Final = 2
WITH_OPT: Final = 4

_BODY_END: Final = 0x10000  # a body that goes on until here fits into no response, and how it goes on does not matter

OTHER_KEY: Final = OTHER.to_bytes(2, "big")

# Fits into 512 octets beside header, the longest question and OPT with NSID and COOKIE: such a body is never cut.
_ALWAYS_FITS_OCTETS: Final = 512 - 12 - 259 - 11 - 4 - MAX_NSID_OCTETS - 4 - COOKIE_OCTETS

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
    the body is made from `image` and `ones`. `direct`: not to be sent as it is, ServedZone.direct must be asked.
    `exceptions` are the names of the class that need plans of their own."""

    __slots__ = (
        "authoritative",
        "base_octets",
        "direct",
        "exceptions",
        "heads",
        "image",
        "octets",
        "ones",
        "rcode",
        "stops",
        "wire",
    )

    def __init__(self, answer: Answer, body: Body, *, fixed: bool) -> None:
        octets = len(body.wire)
        self.rcode = int(answer.rcode)
        self.authoritative = answer.authoritative
        self.direct = False
        self.exceptions = answer.exceptions
        self.heads = heads(self.rcode, self.authoritative, False, body.stops[-1].counts)
        self.stops = body.stops if octets > _ALWAYS_FITS_OCTETS else ()
        self.octets = octets
        self.base_octets = body.base_octets
        self.wire: bytes | None = None
        self.image = self.ones = 0
        if fixed or not body.pointers:
            self.wire = body.wire
        else:
            self.image = int.from_bytes(body.wire, "big")
            self.ones = _ones(octets, body.pointers)

    def body(self, name_octets: int) -> bytes:
        """The body behind a question whose name has that many octets."""
        if self.wire is not None:
            return self.wire
        return (self.image + (name_octets - self.base_octets) * self.ones).to_bytes(self.octets, "big")

    def stop(self, room: int) -> Stop:
        """The longest whole number of RRsets that fits into `room` octets."""
        return next(stop for stop in reversed(self.stops) if stop.octets <= room)


class OpenPlan(Plan):
    """A compiled answer into which something of each question goes: at the offsets `moved`, what DNAMEs move (an octet
    holds its place); and `opening` octets behind the question, at the end of the authority section, the proof that the
    next closer name does not exist. What is moved is longer than one octet by as much as the question is longer than
    the base, so `ones` counts at each pointer how many such places are in front of its target.
    """

    __slots__ = ("base", "denied_below", "moved", "number", "opening", "proven", "pushed")

    def __init__(self, answer: Answer, body: Body) -> None:
        super().__init__(answer, body, fixed=True)
        self.direct = True
        self.stops = body.stops
        self.base = answer.base
        self.denied_below = answer.denied_below
        self.moved = body.moved
        self.proven = proven(answer)
        self.number = min(len(answer.answer) + len(answer.authority), len(body.stops) - 1)  # of the stop at the opening
        self.opening = body.stops[self.number].octets
        here = HEADER_OCTETS + body.base_octets + 4
        targets = {offset: _pointer(body.wire, offset) - here for offset in body.pointers}
        growing = [offset for offset, to in targets.items() for _ in range(1 + bisect_left(body.moved, to))]
        self.image = int.from_bytes(body.wire, "big")
        self.ones = _ones(self.octets, [*growing, *body.lengths])
        # Additional records point at each other across what goes in behind the opening.
        self.pushed = _ones(
            self.octets, [at for at, to in targets.items() if at >= self.opening and to >= self.opening]
        )

    def closed(self, qname: bytes, owner: bytes = b"", proof: Sequence[bytes] = ()) -> "ClosedPlan":
        """The plan for this question, with the records of `proof`, all of one owner."""
        longer = len(qname) - self.base_octets
        grown = longer * len(self.moved)
        opening = self.opening + grown
        body_at = HEADER_OCTETS + len(qname) + 4
        stops = self.stops
        image = self.image + longer * self.ones
        wire = _with_owner(self.base, len(qname), body_at + opening, owner, proof) if proof else b""
        if proof and self.pushed:
            if body_at + self.octets + grown + len(wire) < POINTERS_END:
                image += len(wire) * self.pushed
            else:  # additional records may be left out (RFC 2181 §9)
                stops = stops[: self.number + 1]
        body = image.to_bytes(self.octets, "big")[: stops[-1].octets]
        if self.moved:
            starts = (0, *[offset + 1 for offset in self.moved])
            pieces = [body[start:end] for start, end in zip(starts, (*self.moved, None), strict=True)]
            body = qname[: len(qname) - len(self.base)].join(pieces)
        return ClosedPlan(self, body[:opening] + wire + body[opening:], stops, longer, len(wire), len(proof))


class ClosedPlan(Plan):
    """An open plan with what was missing, for one response. Where it may be cut is found out only if it has to be."""

    __slots__ = ("_longer", "_plan", "_proof_octets", "_records")

    def __init__(
        self, plan: OpenPlan, wire: bytes, stops: tuple[Stop, ...], longer: int, proof_octets: int, records: int
    ) -> None:
        self.rcode = plan.rcode
        self.authoritative = plan.authoritative
        self.direct = False
        self.wire = wire
        self.octets = len(wire)
        self.stops = stops  # those of `plan`
        self._plan = plan
        self._longer = longer
        self._proof_octets = proof_octets
        self._records = records
        answer, authority, additional = stops[-1].counts
        self.heads = heads(plan.rcode, plan.authoritative, False, (answer, authority + records, additional))

    def stop(self, room: int) -> Stop:
        number, moved = self._plan.number, self._plan.moved
        for place in range(len(self.stops) - 1, -1, -1):
            octets, (answer, authority, additional), truncated = self.stops[place]
            octets += self._longer * bisect_left(moved, octets)
            if place >= number:
                whole = octets + self._proof_octets
                if whole <= room:
                    return Stop(whole, (answer, authority + self._records, additional), truncated)
            if place <= number and octets <= room:
                return Stop(octets, (answer, authority, additional), truncated or self._records > 0)
        raise AssertionError("there is always room for nothing")


def compiled(answer: Answer, qname: bytes) -> Plan:
    """The plan of an answer to `qname`, or, if its base is less than that, to all questions that end in the base."""
    fixed = answer.base == qname
    moving = any(rrset.type == Type.CNAME and rrset.rdatas[0].startswith(MOVED) for _, rrset in answer.answer)
    body = encode(answer, MOVED if moving else b"")
    if moving and not body.moved:  # to where it was
        body = encode(answer)
    if body.moved or answer.denied_below is not None:
        return OpenPlan(answer, body)
    return Plan(answer, body, fixed=fixed)


def _pointer(wire: bytes, offset: int) -> int:
    return int.from_bytes(wire[offset : offset + 2], "big") & (POINTERS_END - 1)


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
    again = first if len(first) == 2 or here >= POINTERS_END else (0xC000 | here).to_bytes(2, "big")
    return first + again.join(records)


def encode(answer: Answer, above: bytes = b"") -> Body:
    """Everything behind a question for `above` the answer's base."""
    encoder = Encoder(answer.base, above)
    needed = len(answer.answer) + len(answer.authority) + answer.required_glue
    counts = [0, 0, 0]
    stops = [Stop(0, (0, 0, 0), truncated=needed > 0)]
    for number, section in enumerate((answer.answer, answer.authority, answer.additional)):
        for owner, rrset in section:
            encoder.rrset(owner, rrset.type, rrset.ttl, rrset.rdatas)
            counts[number] += len(rrset.rdatas)
            # TC is set when something is left out that had to be there (RFC 2181 §9, RFC 9471 §3).
            truncated = len(stops) < needed
            octets = min(len(encoder.wire), _BODY_END)
            stops.append(Stop(octets, (counts[0], counts[1], counts[2]), truncated))
            if octets == _BODY_END:  # no response will ever get here
                return encoder.body(tuple(stops))
    return encoder.body(tuple(stops))


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
            return compiled(answer, qname)
        plan = self._shared.get(answer)
        if plan is None:
            if len(self._shared) >= MAX_SHARED_PLANS:
                self._shared.clear()
            plan = self._shared[answer] = compiled(answer, b"")  # b"": other questions than this one will use it
        return plan

    def close(self, plan: OpenPlan, qname: bytes) -> Plan:
        """An open plan made whole for `qname`."""
        if plan.denied_below is None:
            return plan.closed(qname)
        assert self._zone.denial is not None, "only a chain can deny"
        owner = self._zone.denial.covering(denied_name(qname, plan.base, plan.denied_below))
        if owner in plan.proven:
            return plan.closed(qname)
        return plan.closed(qname, owner, self._proofs.get(owner) or self._kept(owner))

    def _kept(self, owner: bytes) -> tuple[bytes, ...]:
        if len(self._proofs) >= MAX_KEPT_PROOFS:
            self._proofs.clear()
        found = self._proofs[owner] = self.proof(owner)
        return found

    def proof(self, owner: bytes) -> tuple[bytes, ...]:
        """The NSEC or NSEC3 at `owner` and their RRSIGs as they are sent, without the owner in front."""
        records = []
        for rrtype, ttl, rdatas in self._zone.proof(owner):
            fixed = (rrtype << 48 | Class.IN << 32 | ttl).to_bytes(8, "big")
            records += [fixed + len(rdata).to_bytes(2, "big") + rdata for rdata in rdatas]
        return tuple(records)


def failure(rcode: Rcode) -> Plan:
    """A plan without records: SERVFAIL for a zone that cannot be served, REFUSED for a name that is not ours."""
    return compiled(Answer(rcode, False, (), (), (), 0, names.ROOT), b"")


def truncated() -> Plan:
    """A plan without records, and with TC."""
    plan = failure(Rcode.NOERROR)
    plan.heads = heads(Rcode.NOERROR, False, True, (0, 0, 0))
    return plan


def _pending() -> Plan:
    plan = failure(Rcode.SERVFAIL)
    plan.direct = True
    return plan


PENDING: Final = _pending()  # stands where a class has not been asked for yet
