"""Inbound zone transfer (RFC 5936, RFC 1995): one conversation with one primary, over one stream.

A machine without sockets: `begin` gives the first request, `receive` takes each message and says what follows: another
request, an end, or nothing yet. It asks for the SOA, and only if that is newer for the zone: what changed (IXFR) if
there is a version to start from, and the whole (AXFR) if not, or if the primary does not do IXFR. Everything is asked
over the one stream: nobody can forge an answer there who does not sit on the way.

Nothing that was received is in use before all of it has been received and looked at. What a hostile primary can cost
is bounded by Caps; time and rate are the caller's to bound, who has the clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from authdns.transfer.reading import Answer, BadMessage, read_answer
from authdns.wire import name as names
from authdns.wire.message import EXPIRE, header, opt_record
from authdns.wire.rdata import folded, parse_soa
from authdns.wire.serial import is_newer
from authdns.wire.tsig import Key, SignedStream, Signer, TsigError
from authdns.wire.types import Class, Rcode, Type, rcode_to_text
from authdns.zone.builder import ZoneBuilder
from authdns.zone.delta import Delta
from authdns.zone.problem import Problems
from authdns.zone.records import Record

PAYLOAD = 1232  # what our OPT says; it matters by UDP only
_ASKING_EXPIRE = EXPIRE.to_bytes(2, "big") + b"\0\0"


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that one transfer may have. A zone of ten million records is about 600 MB on the wire; whoever has read
    the configuration says how many there may be."""

    records: int = 1_000_000_000
    octets: int = 2 << 30
    messages_without_records: int = 16


class Trouble(Enum):
    """What kind of failure: whether another primary may do better, and how soon to try again."""

    UNREACHABLE = auto()  # no connection, or it broke
    REFUSED = auto()  # it answers, and does not give
    DISTRUSTED = auto()  # TSIG, or TLS
    CONTENT = auto()  # what it sends is no zone, or no protocol


@dataclass(frozen=True, slots=True)
class Ask:
    """Send this, and go on receiving."""

    request: bytes


@dataclass(frozen=True, slots=True)
class UpToDate:
    """The primary has `serial`, which is not newer than ours. `expire`: seconds that it may be served, where the
    primary said that (RFC 7314)."""

    serial: int
    expire: int | None


@dataclass(frozen=True, slots=True)
class Whole:
    """All records of a version are in `builder`, which says what is wrong with them."""

    builder: ZoneBuilder
    records: int
    octets: int
    expire: int | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What led from our version to a newer one, step by step; never empty."""

    deltas: tuple[Delta, ...]
    records: int
    octets: int
    expire: int | None


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing came of it; `reason` is for a person. `of_changes`: what was no good is an IXFR, so the same primary may
    still give all of the zone."""

    trouble: Trouble
    reason: str
    of_changes: bool = False


Step = Ask | UpToDate | Whole | Changes | Failed


class _Phase(Enum):
    SOA = auto()
    IXFR = auto()
    AXFR = auto()


class Inbound:
    """One conversation about the zone `apex`. `have` is the SOA record of our version, None if we have none; `whole`:
    ask for all of a newer one even so. Times are in seconds since 1970."""

    def __init__(
        self,
        apex: bytes,
        have: Record | None,
        key: Key | None,
        new_id: Callable[[], int],
        source: str,
        *,
        whole: bool = False,
        caps: Caps | None = None,
    ) -> None:
        self._apex = apex
        self._have = have
        self._have_serial = None if have is None else parse_soa(have.rdata).serial
        self._key = key
        self._new_id = new_id
        self._source = source
        self._caps = caps or Caps()
        self._wants_whole = whole or have is None
        self._phase = _Phase.SOA
        self._knows_edns = True  # the primary, until it complains
        self._ident = 0
        self._question = b""
        self._signed: SignedStream | None = None
        self._expire: int | None = None
        self._sequence: _Whole | _Differences | None = None
        self._first: Record | None = None  # the SOA that a transfer begins with
        self._octets = self._records = self._idle = 0

    def begin(self, now: int) -> bytes:
        """The SOA query."""
        return self._ask(_Phase.SOA, now)

    def receive(self, message: bytes, now: int) -> Step | None:
        """What follows from a message; None: more messages. After an end nothing may be received any more."""
        try:
            return self._receive(message, now)
        except BadMessage as error:
            return Failed(Trouble.CONTENT, str(error), of_changes=self._phase is _Phase.IXFR)

    def broken_off(self) -> Failed:
        """The stream has ended before its time."""
        done = "" if self._phase is _Phase.SOA else f" after {self._records} records"
        return Failed(Trouble.UNREACHABLE, f"the primary closed the connection{done}")

    @property
    def progress(self) -> str:
        """How far it got, for a person."""
        return f"{self._phase.name}, {self._records} records, {self._octets} bytes"

    def _ask(self, phase: _Phase, now: int) -> bytes:
        self._phase = phase
        self._first = self._sequence = None  # an answer that came to nothing may have begun before
        self._records = self._idle = 0
        self._ident = self._new_id()
        qtype = Type[phase.name]
        self._question = self._apex + qtype.to_bytes(2, "big") + Class.IN.to_bytes(2, "big")
        authority = b""
        if phase is _Phase.IXFR and self._have is not None:
            _, rrtype, ttl, rdata = self._have
            fixed = rrtype.to_bytes(2, "big") + Class.IN.to_bytes(2, "big") + ttl.to_bytes(4, "big")
            authority = b"\xc0\x0c" + fixed + len(rdata).to_bytes(2, "big") + rdata
        opt = opt_record(PAYLOAD, 0, False, _ASKING_EXPIRE) if self._knows_edns else b""
        counts = (1, 0, bool(authority) + 0, bool(opt) + 0)
        request = header(self._ident.to_bytes(2, "big"), 0, 0, counts) + self._question + authority + opt
        self._signed = None
        if self._key is not None:
            signer = Signer(self._key, b"", now)
            request = signer.sign(request, now)
            self._signed = SignedStream(signer)
        return request

    def _receive(self, message: bytes, now: int) -> Step | None:
        self._octets += len(message)
        if self._octets > self._caps.octets:
            raise BadMessage(f"more than {self._caps.octets} octets")
        answer = read_answer(message, self._ident, self._question)
        if self._signed is not None:
            fault = self._signed.take(message, answer.tsig, now)
            if fault is not None:
                return Failed(Trouble.DISTRUSTED, _tsig_reason(answer, fault.reason))
        elif answer.tsig is not None:
            return Failed(Trouble.DISTRUSTED, "the answer is signed, and the question was not")
        if answer.edns is not None:
            expire = answer.edns.option(EXPIRE)
            if expire is not None and len(expire) == 4:
                self._expire = int.from_bytes(expire, "big")
        if answer.rcode != Rcode.NOERROR:
            return self._declined(answer, now)
        if self._phase is _Phase.SOA:
            return self._soa(answer, now)
        return self._transfer(answer.records, now)

    def _declined(self, answer: Answer, now: int) -> Step:
        if self._phase is _Phase.IXFR and self._sequence is None:  # it need not know IXFR (RFC 1995 §4)
            return Ask(self._ask(_Phase.AXFR, now))
        if self._phase is _Phase.SOA and self._knows_edns and answer.rcode in (Rcode.FORMERR, Rcode.NOTIMP):
            self._knows_edns = False  # RFC 6891 §7
            return Ask(self._ask(_Phase.SOA, now))
        said = rcode_to_text(answer.rcode)
        why = _RCODES.get(answer.rcode, "")
        return Failed(Trouble.REFUSED, f"the primary answered {said} to {self._phase.name}{why}")

    def _soa(self, answer: Answer, now: int) -> Step:
        found = [r for r in answer.records if r.type == Type.SOA and r.owner.lower() == self._apex]
        if not answer.authoritative or len(found) != 1:
            if len(found) > 1:
                raise BadMessage(f"the primary gave {len(found)} SOA records; a zone has one")
            lame = "it is not authoritative for the zone" if found else "it does not serve the zone"
            return Failed(Trouble.REFUSED, f"the primary gave no SOA: {lame}")
        unsigned = None if self._signed is None else self._signed.end()
        if unsigned is not None:
            return Failed(Trouble.DISTRUSTED, unsigned.reason)
        serial = parse_soa(found[0].rdata).serial
        if not self._is_news(serial):
            return UpToDate(serial, self._expire)
        self._expire = None  # of the version that is transferred now
        return Ask(self._ask(_Phase.AXFR if self._wants_whole else _Phase.IXFR, now))

    def _transfer(self, records: list[Record], now: int) -> Step | None:
        """Records of a transfer, in their order (RFC 5936 §2.2, RFC 1995 §4)."""
        self._records += len(records)
        if self._records > self._caps.records:
            raise BadMessage(f"more than {self._caps.records} records")
        if not records:
            self._idle += 1
            if self._idle > self._caps.messages_without_records:
                raise BadMessage("message after message without records")
            return None
        if self._first is None:
            self._first = self._opening(records.pop(0))
        if self._sequence is None:
            if not records:
                return self._only_soa(self._first)
            self._sequence = self._kind(self._first, records[0])
        if not self._sequence.take(records):
            return None
        unsigned = None if self._signed is None else self._signed.end()
        if unsigned is not None:
            return Failed(Trouble.DISTRUSTED, unsigned.reason)
        return self._sequence.result(self._records, self._octets, self._expire)

    def _opening(self, record: Record) -> Record:
        if record.type != Type.SOA or record.owner.lower() != self._apex:
            raise BadMessage("the transfer does not begin with the SOA of the zone")
        return record

    def _only_soa(self, first: Record) -> Step | None:
        """To an IXFR that is an answer by itself; of any other transfer more is to come."""
        serial = parse_soa(first.rdata).serial
        if self._phase is _Phase.AXFR or self._is_news(serial):
            return None
        unsigned = None if self._signed is None else self._signed.end()
        return Failed(Trouble.DISTRUSTED, unsigned.reason) if unsigned else UpToDate(serial, self._expire)

    def _is_news(self, serial: int) -> bool:
        return self._have_serial is None or is_newer(serial, self._have_serial)

    def _kind(self, first: Record, second: Record) -> "_Whole | _Differences":
        """An IXFR may be answered with all of the zone (RFC 1995 §4): then no SOA follows, or one that ends it."""
        serial = parse_soa(first.rdata).serial
        if not self._is_news(serial):  # another server behind the same address, say
            raise BadMessage(f"the transfer is of serial {serial}, which is not newer than ours, {self._have_serial}")
        if self._phase is _Phase.IXFR and self._have is not None and second.type == Type.SOA:
            return _Differences(self._apex, first, self._have)
        return _Whole(self._apex, first, self._source)


class _Whole:
    """SOA, everything else, the same SOA (RFC 5936 §2.2)."""

    def __init__(self, apex: bytes, first: Record, source: str) -> None:
        self._apex = apex
        self._first = first
        self._problems = Problems()
        self._builder = ZoneBuilder(apex, self._problems, [source])
        self._number = 0
        self._ended = False
        self._add((first,))

    def take(self, records: list[Record]) -> bool:
        """True if they end it. Raises BadMessage."""
        last = records[-1]
        if last.type == Type.SOA and last.owner.lower() == self._apex:
            if not _same_soa(last, self._first):
                raise BadMessage(_OTHER_END)
            self._ended = True
            records.pop()
        self._add(records)
        return self._ended

    def _add(self, records: "list[Record] | tuple[Record, ...]") -> None:
        add, spell = self._builder.add, self._builder.spell
        number = self._number
        for owner, rrtype, ttl, rdata in records:
            number += 1
            if rrtype == Type.SOA and number > 1:
                raise BadMessage("an SOA in the middle of the transfer")
            lower = owner.lower()
            if lower != owner:
                spell(lower, owner)
            add(lower, rrtype, ttl, rdata, number)
        self._number = number
        if self._problems.errors:
            raise BadMessage(next(str(problem) for problem in self._problems))

    def result(self, records: int, octets: int, expire: int | None) -> Whole:
        return Whole(self._builder, records, octets, expire)


class _Differences:
    """The new SOA; then once or more: an older SOA, what was removed, a newer SOA, what was added; the new SOA again
    (RFC 1995 §4). It begins at our version, and each step at the end of the one before."""

    def __init__(self, apex: bytes, first: Record, have: Record) -> None:
        self._apex = apex
        self._last = first
        self._last_serial = parse_soa(first.rdata).serial
        self._serial = parse_soa(have.rdata).serial  # where the steps have led so far
        self._before: Record | None = None
        self._after: Record | None = None
        self._removed: list[Record] = []
        self._added: list[Record] = []
        self._deltas: list[Delta] = []
        self._ended = False

    def take(self, records: list[Record]) -> bool:
        for record in records:
            if self._ended:
                raise BadMessage("more records behind the end of the transfer")
            owner = record.owner.lower()
            if not names.is_at_or_below(owner, self._apex):
                raise BadMessage(f"{names.to_text(owner)} lies outside the zone")
            if record.type == Type.SOA:
                if owner != self._apex:
                    raise BadMessage(f"an SOA at {names.to_text(owner)}, below the apex")
                self._soa(record)
            elif self._after is not None:
                self._added.append(record)
            elif self._before is not None:
                self._removed.append(record)
        return self._ended

    def _soa(self, record: Record) -> None:
        serial = parse_soa(record.rdata).serial
        if self._before is None:
            self._begin(record, serial)
        elif self._after is None:
            if not is_newer(serial, self._serial):
                raise BadMessage(f"a step of the IXFR leads from serial {self._serial} to {serial}, which is not newer")
            self._after = record
            self._serial = serial
        else:
            after = self._after
            self._deltas.append(Delta(self._before, after, self._removed, self._added))
            self._before = self._after = None
            self._removed, self._added = [], []
            if self._serial == self._last_serial:
                if not _same_soa(record, self._last) or not _same_soa(after, self._last):
                    raise BadMessage(_OTHER_END)
                self._ended = True
            else:
                self._begin(record, serial)

    def _begin(self, record: Record, serial: int) -> None:
        if serial != self._serial:
            raise BadMessage(f"a step of the IXFR begins at serial {serial}, and not at {self._serial}")
        self._before = record

    def result(self, records: int, octets: int, expire: int | None) -> Changes:
        return Changes(tuple(self._deltas), records, octets, expire)


_OTHER_END = "the transfer ends with another SOA than the one it began with"


def _same_soa(one: Record, other: Record) -> bool:
    """Compression may have changed the case of the names in them."""
    return folded(Type.SOA, one.rdata) == folded(Type.SOA, other.rdata)


# What the operator of a secondary wants to hear.
_RCODES: dict[int, str] = {
    Rcode.REFUSED: ": it does not allow us to transfer the zone",
    Rcode.NOTAUTH: ": it does not serve the zone, or wants another key than ours, or any",
    Rcode.SERVFAIL: ": it has not loaded the zone, or it has expired there",
    Rcode.NXDOMAIN: ": it knows no such name",
}


_TSIG_ERRORS = {
    TsigError.BADKEY: "it does not know our key",
    TsigError.BADSIG: "its secret for that key is another one",
    TsigError.BADTIME: "its clock and ours differ",
}


def _tsig_reason(answer: Answer, reason: str) -> str:
    said = "" if answer.rcode == Rcode.NOERROR else f"the primary answered {rcode_to_text(answer.rcode)}; "
    hint = next((f": {hint}" for error, hint in _TSIG_ERRORS.items() if reason.endswith(f"says {error.name}")), "")
    return f"{said}TSIG: {reason}{hint}"
