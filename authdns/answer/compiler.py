"""Answer to Plan: the semantics run once per class, the encoded answer is kept.

A Plan is everything of a response that the class decides: header words, body, where it may be cut. The body is
encoded for a question of `base_octets`; for a longer question every pointer in it grows by the same delta. Kept as one
big integer with a second one that has a 1 in each pointer's last place, all of them are patched by a single
multiplication and addition: image + delta * ones. (A pointer never overflows: message.Encoder keeps a reserve.)
"""

from functools import lru_cache
from typing import Final

from authdns.answer.classes import OTHER, types_that_matter
from authdns.answer.lookup import Answer, lookup
from authdns.wire.message import Body, Encoder, Stop
from authdns.wire.types import Flag, Rcode
from authdns.zone.zone import Zone

# Which of the eight forms of a response's header: bits to add up.
WITH_RD: Final = 1
WITH_CD: Final = 2
WITH_OPT: Final = 4

OTHER_KEY: Final = OTHER.to_bytes(2, "big")

# Fits into 512 octets beside header, the longest question and OPT: such a body is never cut.
_ALWAYS_FITS_OCTETS: Final = 512 - 12 - 259 - 11

MAX_SHARED_PLANS: Final = 100_000  # referrals, mostly; then the memo starts anew

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

    __slots__ = ("authoritative", "base_octets", "direct", "heads", "image", "octets", "ones", "rcode", "stops", "wire")

    def __init__(self, answer: Answer, qname: bytes) -> None:
        body = encode(answer, answer.base)
        octets = len(body.wire)
        self.rcode = int(answer.rcode)
        self.authoritative = answer.authoritative
        self.direct = answer.per_query
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
            self.ones = sum(1 << 8 * (octets - offset - 2) for offset in body.pointers)

    def body(self, name_octets: int) -> bytes:
        """The body behind a question whose name has that many octets."""
        if self.wire is not None:
            return self.wire
        return (self.image + (name_octets - self.base_octets) * self.ones).to_bytes(self.octets, "big")

    def stop(self, room: int) -> Stop:
        """The longest whole number of RRsets that fits into `room` octets."""
        return next(stop for stop in reversed(self.stops) if stop.octets <= room)


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
            stops.append(Stop(len(encoder.wire), (counts[0], counts[1], counts[2]), truncated=len(stops) < needed))
    return Body(bytes(encoder.wire), len(base), tuple(encoder.pointers), tuple(stops))


class Compiler:
    """Makes the plans of one zone; answers that many classes give are encoded once."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._shared: dict[Answer, Plan] = {}

    def pending(self, qname: bytes) -> dict[bytes, Plan]:
        """The classes at the position of `qname`, by the two octets of the type, none of them compiled yet."""
        plans = {OTHER_KEY: PENDING}
        for qtype in types_that_matter(self._zone, qname):
            plans[qtype.to_bytes(2, "big")] = PENDING
        return plans

    def plan(self, qname: bytes, qtype: int) -> Plan:
        """The plan of the class of (qname, qtype)."""
        answer = lookup(self._zone, qname, qtype)
        if answer.answer:
            return Plan(answer, qname)
        plan = self._shared.get(answer)
        if plan is None:
            if len(self._shared) >= MAX_SHARED_PLANS:
                self._shared.clear()
            plan = self._shared[answer] = Plan(answer, b"")  # b"": other questions than this one will use it
        return plan


def failure(rcode: Rcode) -> Plan:
    """A plan without records: SERVFAIL for a zone that cannot be served, REFUSED for a name that is not ours."""
    return Plan(Answer(rcode, False, (), (), (), required_glue=0, base=b"\0", per_query=False), b"")


def _pending() -> Plan:
    plan = failure(Rcode.SERVFAIL)
    plan.direct = True
    return plan


PENDING: Final = _pending()  # stands where a class has not been asked for yet
