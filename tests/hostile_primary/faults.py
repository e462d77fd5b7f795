"""Every fault that we know a primary can commit, by name.

A fault gets the request and says what happens to the connection. `reason` is what a secondary that is authdns says of
it: a regular expression for its log.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count, pairwise

from authdns.wire.message import opt_record
from authdns.wire.query import Query
from authdns.wire.tsig import FUDGE_SECONDS, Key, Signer, Tsig, tsig_record, with_record
from authdns.wire.types import Class, Flag, Rcode, Type
from authdns.zone.records import Record
from tests.hostile_primary.actions import Action, Close, Raw, Reset, Wait
from tests.hostile_primary.messages import (
    ANSWER,
    framed,
    in_messages,
    message,
    name,
    raw_record,
    record,
    serial_of,
    soa,
)
from tests.hostile_primary.zones import Copy

PER_MESSAGE = 100
SOA, IXFR, AXFR = "SOA", "IXFR", "AXFR"
_HALF = 1 << 31
_MASK = (1 << 32) - 1
_PHASES = {Type.SOA: SOA, Type.IXFR: IXFR, Type.AXFR: AXFR}
A_BIT = 0.05  # seconds


class Talk:
    """One request, and what is needed to answer it. Messages are signed if the request was."""

    def __init__(self, request: bytes, query: Query, copy: Copy, key: Key | None, now: int | None = None) -> None:
        self.request = request
        self.query = query
        self.copy = copy
        self.new = copy.new  # which stays, should the zone be edited meanwhile
        self.serial = serial_of(self.new[0])
        self.ident = query.id
        self.question = query.question
        self.apex = copy.apex
        self.phase = _PHASES.get(Type(query.qtype), "") if query.qtype in _PHASES else ""
        self.now = int(time.time()) if now is None else now
        self.signer = None if query.tsig is None or key is None else Signer(key, query.tsig.mac, self.now)

    def message(self, records: Iterable[Record | bytes] = (), *, sign: bool = True, **changes: int) -> bytes:
        """`ident`, and all that `messages.message` takes, may be other than they should."""
        plain = message(changes.pop("ident", self.ident), self.question, records, **changes)  # type: ignore[arg-type]
        return self.signed(plain) if sign else plain

    def signed(self, plain: bytes) -> bytes:
        return plain if self.signer is None else self.signer.sign(plain, self.now)

    def signed_after(self, unsigned: bytes, plain: bytes) -> bytes:
        """In a stream in which not every message is signed: the MAC covers the one before, the messages since, and
        the times (RFC 8945 §5.3.1)."""
        signer = self.signer
        if signer is None or not unsigned:
            return self.signed(plain)
        times = self.now.to_bytes(6, "big") + FUDGE_SECONDS.to_bytes(2, "big")
        covered = len(signer.mac).to_bytes(2, "big") + signer.mac + unsigned + plain + times
        signer.mac = hmac.digest(signer.key.secret, covered, signer.key.algorithm.digest)
        tsig = Tsig(signer.key.name, signer.key.algorithm.wire_name, self.now, FUDGE_SECONDS, self.ident)
        return with_record(plain, tsig_record(tsig, signer.mac))

    def records(self) -> list[Record]:
        """What an honest primary answers with."""
        if self.phase == SOA:
            return [self.new[0]]
        if self.phase == IXFR and (found := self.copy.ixfr(self.query.ixfr_serial or 0)) is not None:
            return found
        return self.axfr()

    def axfr(self) -> list[Record]:
        return [*self.new, self.new[0]]

    def honest(self, per_message: int = PER_MESSAGE) -> Iterator[bytes]:
        if not self.phase:
            yield self.message(rcode=Rcode.NOTIMP)
            return
        for records in in_messages(self.records(), per_message):
            yield self.message(records)

    def whole(self, *more: Record | bytes) -> bytes:
        """All of the zone in one message, and `more` before the SOA that ends it."""
        return self.message([*self.new, *more, self.new[0]])


Commit = Callable[[Talk], Iterator[Action]]


@dataclass(frozen=True)
class Fault:
    """`phases` are the requests that it is committed on. `signed`: it needs a key. `whole`: it leads to a zone all the
    same, or the secondary may ask in another way, so the new version may be served afterwards."""

    name: str
    what: str
    phases: frozenset[str]
    reason: str
    commit: Commit
    signed: bool = False
    whole: bool = False


FAULTS: dict[str, Fault] = {}


def fault(*phases: str, reason: str, signed: bool = False, whole: bool = False) -> Callable[[Commit], Commit]:
    def register(commit: Commit) -> Commit:
        known_as = commit.__name__.replace("_", "-")
        what = " ".join((commit.__doc__ or "").split())
        FAULTS[known_as] = Fault(known_as, what, frozenset(phases), reason, commit, signed, whole)
        return commit

    return register


# --- the SOA ----------------------------------------------------------------------------------------------------------


@fault(SOA, reason="the message has the id")
def soa_with_another_id(talk: Talk) -> Iterator[Action]:
    """The answer has another id than the question."""
    yield talk.message(talk.records(), ident=talk.ident ^ 1)


@fault(SOA, reason="answers another question")
def soa_of_another_question(talk: Talk) -> Iterator[Action]:
    """The question of the answer names another zone."""
    question = name("other.example.") + talk.question[-4:]
    yield talk.signed(message(talk.ident, question, talk.records()))


@fault(SOA, reason="answers another question")
def soa_of_another_class(talk: Talk) -> Iterator[Action]:
    """The question of the answer is of class CH."""
    question = talk.question[:-2] + Class.CH.to_bytes(2, "big")
    yield talk.signed(message(talk.ident, question, talk.records()))


@fault(SOA, reason="it does not serve the zone")
def soa_of_another_zone(talk: Talk) -> Iterator[Action]:
    """The question is right, and the SOA is that of another zone."""
    yield talk.message([soa(name("other.example."), 2)])


@fault(SOA, reason="2 SOA records")
def two_soas(talk: Talk) -> Iterator[Action]:
    """The answer to the SOA query has two of them."""
    yield talk.message([talk.new[0], soa(talk.apex, talk.serial + 7)])


@fault(SOA, reason="it does not serve the zone")
def no_soa(talk: Talk) -> Iterator[Action]:
    """NOERROR without a record."""
    yield talk.message()


@fault(SOA, reason="is not authoritative for the zone")
def not_authoritative(talk: Talk) -> Iterator[Action]:
    """A resolver's answer."""
    yield talk.message(talk.records(), flags=Flag.QR)


@fault(SOA, reason="cut off .TC.")
def soa_with_tc(talk: Talk) -> Iterator[Action]:
    """TC, over TCP."""
    yield talk.message(talk.records(), flags=ANSWER | Flag.TC)


@fault(SOA, reason="no answer to a query")
def notify_for_an_answer(talk: Talk) -> Iterator[Action]:
    """The answer has the opcode of NOTIFY."""
    yield talk.message(talk.records(), flags=ANSWER | 4 << 11)


@fault(SOA, reason="no answer to a query")
def the_question_back(talk: Talk) -> Iterator[Action]:
    """An echo."""
    yield talk.request


@fault(SOA, reason="answered REFUSED to SOA")
def refused(talk: Talk) -> Iterator[Action]:
    """REFUSED."""
    yield talk.message(rcode=Rcode.REFUSED)


@fault(SOA, reason="answered RCODE15 to SOA")
def unknown_rcode(talk: Talk) -> Iterator[Action]:
    """An rcode that nobody knows."""
    yield talk.message(rcode=15)


@fault(SOA, reason="not newer than ours")
def soa_far_ahead(talk: Talk) -> Iterator[Action]:
    """A serial 2^31 ahead, which is neither newer nor older (RFC 1982)."""
    yield talk.message([soa(talk.apex, (talk.serial - 1 + _HALF) & _MASK)])


@fault(SOA, reason="not newer than ours")
def soa_of_yesterday(talk: Talk) -> Iterator[Action]:
    """An older serial."""
    yield talk.message([soa(talk.apex, (talk.serial - 100) & _MASK)])


@fault(SOA, reason="closed the connection")
def closes_at_once(talk: Talk) -> Iterator[Action]:
    """FIN instead of an answer."""
    yield Close()


@fault(SOA, reason="closed the connection")
def resets_at_once(talk: Talk) -> Iterator[Action]:
    """RST instead of an answer."""
    yield Reset()


@fault(SOA, reason="no answer in time")
def silence(talk: Talk) -> Iterator[Action]:
    """Takes the question and says nothing."""
    while True:
        yield Wait(A_BIT)


@fault(SOA, reason="no answer in time")
def one_octet_a_second(talk: Talk) -> Iterator[Action]:
    """The answer drips."""
    for octet in framed(talk.message(talk.records())):
        yield Raw(bytes((octet,)))
        yield Wait(1.0)


@fault(SOA, reason="shorter than a header")
def empty_frame(talk: Talk) -> Iterator[Action]:
    """A message of no octets."""
    yield Raw(b"\0\0")


@fault(SOA, reason="(no answer in time|closed the connection)")
def speaks_http(talk: Talk) -> Iterator[Action]:
    """A web server."""
    yield Raw(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    yield Close()


@fault(SOA, reason="the message is cut off")
def counts_what_is_not_there(talk: Talk) -> Iterator[Action]:
    """The header promises 65,535 records."""
    yield talk.message(talk.records(), count=65535, sign=False)


@fault(SOA, reason="answers another question")
def two_questions(talk: Talk) -> Iterator[Action]:
    """QDCOUNT 2."""
    yield talk.message(talk.records(), questions=2)


@fault(SOA, reason="[0-9]+ octets behind the end")
def octets_behind_the_end(talk: Talk) -> Iterator[Action]:
    """More octets than the header speaks of."""
    yield talk.message(talk.records()) + b"more"


@fault(SOA, reason="neither the one OPT nor TSIG|a type that no zone holds|is of class")
def two_opts(talk: Talk) -> Iterator[Action]:
    """OPT twice."""
    opt = opt_record(1232, 0, False)
    yield with_record(with_record(talk.message(talk.records(), sign=False), opt), opt)


# --- the form of records ----------------------------------------------------------------------------------------------


def _with(*records: Record | bytes) -> Commit:
    """A transfer that holds them."""

    def commit(talk: Talk) -> Iterator[Action]:
        yield talk.whole(*records)

    return commit


_BAD_RECORDS: dict[str, tuple[str, str, bytes]] = {
    "record-of-class-ch": (
        "A record of class CH in the transfer.",
        "is of class 3, not IN",
        raw_record(b"\1a\xc0\x0c", Type.TXT, b"\1a", rrclass=Class.CH),
    ),
    "record-of-type-any": (
        "A record of type ANY.",
        "of a type that no zone holds",
        raw_record(b"\1a\xc0\x0c", Type.ANY, b"\1a"),
    ),
    "record-of-type-tsig": (
        "TSIG among the records.",
        "of a type that no zone holds",
        raw_record(b"\1a\xc0\x0c", Type.TSIG, b"\1a"),
    ),
    "record-of-type-0": ("Type 0.", "of a type that no zone holds", raw_record(b"\1a\xc0\x0c", 0, b"")),
    "address-of-five-octets": (
        "Rdata that is not that of its type.",
        "are not those of its type",
        raw_record(b"\1a\xc0\x0c", Type.A, b"\1\2\3\4\5"),
    ),
    "rdata-beyond-the-message": (
        "The length of a record goes beyond the end of the message.",
        "a record is cut off",
        b"\1a\xc0\x0c\0\x10\0\1\0\0\1\x2c\xff\xff\1a",
    ),
    "name-beyond-its-rdata": (
        "A name in rdata that ends behind it.",
        "beyond the end of its record",
        b"\1a\xc0\x0c\0\2\0\1\0\0\1\x2c\0\1\1a\0",
    ),
    "pointer-to-itself": ("A compression pointer to itself.", "does not lead backward", b""),
    "pointer-forward": (
        "A compression pointer that leads forward.",
        "does not lead backward",
        raw_record(b"\xff\xff", Type.A, b"\1\2\3\4"),
    ),
    "pointer-into-the-header": (
        "A compression pointer into the header.",
        "does not lead backward",
        raw_record(b"\xc0\x00", Type.A, b"\1\2\3\4"),
    ),
    "unknown-label-type": (
        "A label of a type that was never there.",
        "does not lead backward, or an unknown label type",
        raw_record(b"\x80\x0c", Type.A, b"\1\2\3\4"),
    ),
    "name-of-256-octets": (
        "A name that is too long.",
        "longer than 255 octets",
        raw_record(b"\x3f" + b"x" * 63 + b"\x3f" + b"y" * 63 + b"\x3f" + b"z" * 63 + b"\x3f" + b"w" * 63 + b"\xc0\x0c",
                   Type.A, b"\1\2\3\4"),
    ),
}  # fmt: skip
for _name, (_what, _reason, _record) in _BAD_RECORDS.items():
    FAULTS[_name] = Fault(_name, _what, frozenset((IXFR, AXFR)), _reason, _with(_record))


def _points_at_itself(talk: Talk) -> Iterator[Action]:
    before = message(talk.ident, talk.question, talk.new)
    at = len(before)
    loop = raw_record((0xC000 | at).to_bytes(2, "big"), Type.A, b"\1\2\3\4")
    yield talk.message([*talk.new, loop, talk.new[0]])


FAULTS["pointer-to-itself"] = replace(FAULTS["pointer-to-itself"], commit=_points_at_itself)


@fault(IXFR, AXFR, reason="more than 16 compression pointers")
def too_many_pointers(talk: Talk) -> Iterator[Action]:
    """Rdata of an unknown type that is a chain of pointers, and an owner at its end."""
    start = len(message(talk.ident, talk.question, talk.new)) + 12  # of the rdata
    chain = [12, *(start + 2 * i for i in range(20))]
    rdata = b"".join((0xC000 | target).to_bytes(2, "big") for target in chain)
    at_its_end = raw_record((0xC000 | start + 2 * 20).to_bytes(2, "big"), Type.A, b"\1\2\3\4")
    yield talk.whole(raw_record(b"\xc0\x0c", 65280, rdata), at_its_end)


# --- the course of a transfer -----------------------------------------------------------------------------------------


def _half(talk: Talk) -> list[Record]:
    return talk.axfr()[: len(talk.new) // 2]


@fault(IXFR, AXFR, reason="closed the connection after [0-9]+ records")
def half_of_it(talk: Talk) -> Iterator[Action]:
    """A transfer that ends before its time, between two messages."""
    yield talk.message(_half(talk))
    yield Close()


@fault(IXFR, AXFR, reason="closed the connection after 0 records")
def half_a_message(talk: Talk) -> Iterator[Action]:
    """A transfer that ends within a message."""
    octets = framed(talk.whole())
    yield Raw(octets[: len(octets) // 2])
    yield Close()


@fault(IXFR, AXFR, reason="closed the connection after [0-9]+ records")
def reset_halfway(talk: Talk) -> Iterator[Action]:
    """RST in the middle."""
    yield talk.message(_half(talk))
    yield Wait(A_BIT)
    yield Reset()


def reset_after(octets: int) -> Fault:
    """RST behind so many octets of an otherwise honest transfer."""

    def commit(talk: Talk) -> Iterator[Action]:
        yield Raw(b"".join(map(framed, talk.honest(3)))[:octets])
        yield Wait(A_BIT)
        yield Reset()

    what = f"RST behind {octets} octets."
    return Fault(f"reset-after-{octets}", what, frozenset((IXFR, AXFR)), "closed the connection", commit)


@fault(IXFR, AXFR, reason="no answer in time .[AI]XFR, [0-9]+ records")
def silent_halfway(talk: Talk) -> Iterator[Action]:
    """Half of it, and then nothing."""
    yield talk.message(_half(talk))
    while True:
        yield Wait(A_BIT)


@fault(IXFR, AXFR, reason="no answer in time")
def one_octet_a_second_halfway(talk: Talk) -> Iterator[Action]:
    """A message of the transfer drips."""
    yield talk.message(_half(talk))
    for octet in framed(talk.message(talk.new)):
        yield Raw(bytes((octet,)))
        yield Wait(1.0)


@fault(IXFR, AXFR, reason="too slow: [0-9]+ bytes in")
def a_trickle(talk: Talk) -> Iterator[Action]:
    """A small message from time to time, for ever."""
    yield talk.message(_half(talk))
    for number in count():
        yield talk.message([record(talk.copy.owner(f"n{number}"), "A", "192.0.2.1")])
        yield Wait(0.1)


@fault(IXFR, AXFR, reason="the message has the id")
def another_id_halfway(talk: Talk) -> Iterator[Action]:
    """The second message has another id."""
    yield talk.message(_half(talk))
    yield talk.message(talk.axfr()[len(_half(talk)) :], ident=talk.ident ^ 0x8000)


@fault(IXFR, AXFR, reason="answers another question")
def another_question_halfway(talk: Talk) -> Iterator[Action]:
    """The second message answers for another zone."""
    yield talk.message(_half(talk))
    rest = talk.axfr()[len(_half(talk)) :]
    yield talk.signed(message(talk.ident, name("other.example.") + talk.question[-4:], rest))


@fault(IXFR, AXFR, reason="cut off .TC.")
def tc_halfway(talk: Talk) -> Iterator[Action]:
    """The second message has TC."""
    yield talk.message(_half(talk))
    yield talk.message(talk.axfr()[len(_half(talk)) :], flags=ANSWER | Flag.TC)


@fault(IXFR, AXFR, reason="no answer to a query")
def notify_halfway(talk: Talk) -> Iterator[Action]:
    """The second message is a NOTIFY."""
    yield talk.message(_half(talk))
    yield talk.message(talk.axfr()[len(_half(talk)) :], flags=ANSWER | 4 << 11)


@fault(IXFR, AXFR, reason="answered SERVFAIL to [AI]XFR")
def servfail_halfway(talk: Talk) -> Iterator[Action]:
    """The primary breaks the transfer off with an rcode."""
    yield talk.message(_half(talk))
    yield talk.message(rcode=Rcode.SERVFAIL)


@fault(IXFR, AXFR, reason="answered REFUSED to AXFR: it does not allow us to transfer the zone")
def gives_the_soa_alone(talk: Talk) -> Iterator[Action]:
    """Everybody may ask for the SOA, nobody for the zone."""
    yield talk.message(rcode=Rcode.REFUSED)


@fault(IXFR, AXFR, reason="message after message without records")
def empty_messages(talk: Talk) -> Iterator[Action]:
    """Messages without records, for ever."""
    while True:
        yield talk.message()


@fault(IXFR, AXFR, reason="message after message without records")
def empty_messages_halfway(talk: Talk) -> Iterator[Action]:
    """Half of it, and then messages without records for ever."""
    yield talk.message(_half(talk))
    while True:
        yield talk.message()


@fault(IXFR, AXFR, reason="more than [0-9]+ records")
def never_ends(talk: Talk) -> Iterator[Action]:
    """A zone with more and more names."""
    yield talk.message(_half(talk))
    for number in count():
        owners = (b"\x08%08d" % (number * 1000 + i) + talk.apex for i in range(1000))
        yield talk.message([Record(owner, Type.A, 300, b"\1\2\3\4") for owner in owners])


@fault(IXFR, AXFR, reason="more than [0-9]+ records")
def the_same_record_for_ever(talk: Talk) -> Iterator[Action]:
    """One record, again and again."""
    yield talk.message(_half(talk))
    again = [record(talk.copy.owner("again"), "A", "192.0.2.1")] * 1000
    while True:
        yield talk.message(again)


@fault(IXFR, AXFR, reason="more than [0-9]+ octets")
def large_records_for_ever(talk: Talk) -> Iterator[Action]:
    """Messages as large as they can be."""
    yield talk.message(_half(talk))
    octets = b"\xff" + b"x" * 255
    for number in count():
        owner = name(talk.copy.owner(f"n{number}"))
        yield talk.message([raw_record(owner, Type.TXT, octets * 240)])


@fault(IXFR, AXFR, reason="does not begin with the SOA")
def begins_without_soa(talk: Talk) -> Iterator[Action]:
    """The first record is some other one."""
    yield talk.message([*talk.new[1:], talk.new[0]])


@fault(IXFR, AXFR, reason="does not begin with the SOA of the zone")
def begins_with_another_zone(talk: Talk) -> Iterator[Action]:
    """The first SOA is that of another zone."""
    other = soa(name("other.example."), talk.serial)
    yield talk.message([other, *talk.new[1:], other])


@fault(IXFR, AXFR, reason="an SOA in the middle")
def soa_in_the_middle(talk: Talk) -> Iterator[Action]:
    """The SOA stands among the other records too."""
    first, *rest = talk.new
    yield talk.message([first, *rest, first, *rest, first])


@fault(IXFR, AXFR, reason="an SOA in the middle")
def soa_below_the_apex(talk: Talk) -> Iterator[Action]:
    """A name below the apex has an SOA too."""
    yield talk.whole(soa(b"\3sub" + talk.apex, 1))


@fault(IXFR, AXFR, reason="an SOA in the middle")
def records_behind_the_end(talk: Talk) -> Iterator[Action]:
    """Records behind the SOA that ends it."""
    yield talk.message([*talk.axfr(), record(talk.copy.owner("behind"), "A", "192.0.2.1")])


@fault(IXFR, AXFR, reason="ends with another SOA")
def ends_with_another_soa(talk: Talk) -> Iterator[Action]:
    """The zone was edited while it was sent, and the primary has no versions."""
    yield talk.message([*talk.new, soa(talk.apex, talk.serial + 1)])


@fault(IXFR, AXFR, reason="ends with another SOA")
def ends_with_other_timers(talk: Talk) -> Iterator[Action]:
    """The same serial, another refresh."""
    yield talk.message([*talk.new, soa(talk.apex, talk.serial, refresh=1)])


@fault(IXFR, AXFR, reason="not newer than ours|2 which is not newer")
def older_than_it_said(talk: Talk) -> Iterator[Action]:
    """The SOA promised a newer version than the transfer is of."""
    old = talk.copy.versions[0]
    yield talk.message([*old, old[0]])


@fault(IXFR, AXFR, reason="which is not newer than ours")
def half_way_round(talk: Talk) -> Iterator[Action]:
    """The transfer is of a serial 2^31 ahead."""
    jump = soa(talk.apex, serial_of(talk.copy.versions[0][0]) + _HALF & _MASK)
    yield talk.message([jump, *talk.new[1:], jump])


@fault(IXFR, AXFR, reason="lies outside the zone")
def out_of_zone(talk: Talk) -> Iterator[Action]:
    """Records of somebody else's zone."""
    yield talk.whole(record("www.bank.example.", "A", "192.0.2.66"))


@fault(IXFR, AXFR, reason="lies outside the zone")
def all_out_of_zone(talk: Talk) -> Iterator[Action]:
    """A message full of names of other zones."""
    yield talk.message([talk.new[0], *(record(f"n{i}.", "A", "192.0.2.66") for i in range(2500))])


@fault(IXFR, AXFR, reason="the zone has no NS record")
def no_ns(talk: Talk) -> Iterator[Action]:
    """A zone without name servers."""
    yield talk.message([each for each in talk.axfr() if each.type != Type.NS])


@fault(IXFR, AXFR, reason="the zone has no NS record|begins at serial")
def nothing_but_the_soa(talk: Talk) -> Iterator[Action]:
    """The SOA twice."""
    yield talk.message([talk.new[0]] * 2)


# --- the size of what is sent -----------------------------------------------------------------------------------------


@fault(IXFR, AXFR, reason="record types, and RRSIGs")
def types_without_end(talk: Talk) -> Iterator[Action]:
    """A name with 300 types."""
    owner = name(talk.copy.owner("types"))
    yield talk.whole(*(Record(owner, 60000 + number, 300, b"x") for number in range(300)))


@fault(IXFR, AXFR, reason="too large for any message")
def record_without_room(talk: Talk) -> Iterator[Action]:
    """A record that fits into the transfer, and into no answer once the name in it is written out."""
    rdata = bytes(18) + b"\xc0\x0c"
    filler = bytes(65_535 - 12 - len(talk.question) - 12 - len(rdata))
    yield talk.message(talk.new)
    yield talk.message([raw_record(b"\xc0\x0c", Type.SIG, rdata + filler)], sign=False)
    yield talk.message(talk.new[:1])


@fault(IXFR, AXFR, reason="transferred serial 2 ", whole=True)
def huge_rrset(talk: Talk) -> Iterator[Action]:
    """More addresses at one name than an answer can hold."""
    owner = name(talk.copy.owner("huge"))
    addresses = [Record(owner, Type.A, 300, bytes((10, 1, i >> 8, i & 255))) for i in range(6000)]
    yield talk.message(talk.new)
    for some in in_messages(addresses, 1000):
        yield talk.message(some)
    yield talk.message([talk.new[0]])


@fault(IXFR, AXFR, reason="transferred serial 2 ", whole=True)
def name_servers_without_end(talk: Talk) -> Iterator[Action]:
    """Twenty thousand NS records at the apex."""
    servers = [Record(talk.apex, Type.NS, 300, b"\5%05d" % i + talk.apex) for i in range(20_000)]
    yield talk.message(talk.new)
    for some in in_messages(servers, 500):
        yield talk.message(some)
    yield talk.message([talk.new[0]])


@fault(IXFR, AXFR, reason="have so many labels")
def labels_without_end(talk: Talk) -> Iterator[Action]:
    """Names of 255 octets, with as many labels as they can have."""
    yield talk.message(talk.new)
    room = (255 - len(talk.apex) - 5) // 2
    for number in range(1000):
        owner = b"\1a" * room + b"\4" + f"{number:04}".encode() + talk.apex
        yield talk.message([Record(owner, Type.A, 300, b"\1\2\3\4")])
    yield talk.message([talk.new[0]])


# --- IXFR -------------------------------------------------------------------------------------------------------------


def _steps(talk: Talk, *records: Record) -> bytes:
    """An IXFR to the newest version with these in between."""
    return talk.message([talk.new[0], *records, talk.new[0]])


def _have(talk: Talk) -> Record:
    """The SOA of the version that the secondary has."""
    return soa(talk.apex, talk.query.ixfr_serial or 0)


@fault(IXFR, reason="not (there|have)", whole=True)
def ixfr_removes_what_is_not_there(talk: Talk) -> Iterator[Action]:
    """A record is to be removed that the secondary never had."""
    ghost = record(talk.copy.owner("ghost"), "A", "192.0.2.66")
    yield _steps(talk, _have(talk), ghost, talk.new[0])


@fault(IXFR, reason="begins at serial [0-9]+, and not at")
def ixfr_from_another_version(talk: Talk) -> Iterator[Action]:
    """The differences begin at a version that the secondary does not have."""
    yield _steps(talk, soa(talk.apex, (talk.query.ixfr_serial or 0) - 5 & _MASK), talk.new[0])


@fault(IXFR, reason="begins at serial [0-9]+, and not at")
def ixfr_with_a_gap(talk: Talk) -> Iterator[Action]:
    """A step begins elsewhere than the one before it ended."""
    have, last = talk.query.ixfr_serial or 0, talk.serial
    yield talk.message(
        [soa(talk.apex, last + 8), _have(talk), soa(talk.apex, have + 2), soa(talk.apex, have + 4)]
        + [soa(talk.apex, last + 8)] * 2
    )


@fault(IXFR, reason="which is not newer")
def ixfr_backward(talk: Talk) -> Iterator[Action]:
    """A step leads to an older version."""
    yield _steps(talk, _have(talk), soa(talk.apex, (talk.query.ixfr_serial or 0) - 1 & _MASK))


@fault(IXFR, reason="which is not newer")
def ixfr_on_the_spot(talk: Talk) -> Iterator[Action]:
    """Steps that lead nowhere, for ever."""
    yield talk.message([talk.new[0]])
    while True:
        yield talk.message([_have(talk), _have(talk)])


@fault(IXFR, reason="more than [0-9]+ (records|octets)")
def ixfr_round_all_serials(talk: Talk) -> Iterator[Action]:
    """Steps of 2^30, each newer than the one before, for ever; who sets a serial back goes round them once."""
    yield talk.message([talk.new[0]])
    for number in count():
        serials = [(talk.query.ixfr_serial or 0) + ((number * 200 + i) << 30) & _MASK for i in range(201)]
        yield talk.message([soa(talk.apex, each) for step in pairwise(serials) for each in step])


@fault(IXFR, reason="begins at serial [0-9]+, and not at")
def ixfr_that_ends_elsewhere(talk: Talk) -> Iterator[Action]:
    """It says that it leads to one version, and ends at another."""
    last = soa(talk.apex, talk.serial + 5)
    yield talk.message([last, _have(talk), talk.new[0], last])


@fault(IXFR, reason="ends with another SOA")
def ixfr_with_other_timers(talk: Talk) -> Iterator[Action]:
    """The SOA that it adds has the serial that it says, and another refresh."""
    yield _steps(talk, _have(talk), soa(talk.apex, talk.serial, refresh=1))


@fault(IXFR, reason="lies outside the zone")
def ixfr_out_of_zone(talk: Talk) -> Iterator[Action]:
    """A record of somebody else's zone is added."""
    yield _steps(talk, _have(talk), talk.new[0], record("www.bank.example.", "A", "192.0.2.66"))


@fault(IXFR, reason="an SOA at .*, below the apex")
def ixfr_soa_below_the_apex(talk: Talk) -> Iterator[Action]:
    """A name below the apex gets an SOA."""
    yield _steps(talk, _have(talk), talk.new[0], soa(b"\3sub" + talk.apex, 1))


@fault(IXFR, reason="closed the connection after [0-9]+ records")
def ixfr_without_end(talk: Talk) -> Iterator[Action]:
    """The SOA that ends it does not come."""
    yield talk.message(talk.records()[:-1])
    yield Close()


@fault(IXFR, reason="behind the end of the transfer")
def ixfr_behind_the_end(talk: Talk) -> Iterator[Action]:
    """Records behind the SOA that ends it."""
    yield talk.message([*talk.records(), record(talk.copy.owner("behind"), "A", "192.0.2.1")])


@fault(IXFR, reason="the zone has no NS record|has no NS", whole=True)
def ixfr_removes_the_name_servers(talk: Talk) -> Iterator[Action]:
    """What is left is no zone."""
    servers = [each for each in talk.copy.versions[0] if each.type == Type.NS]
    yield _steps(talk, _have(talk), *servers, talk.new[0])


@fault(IXFR, reason="transferred serial 2 ", whole=True)
def ixfr_refused_halfway(talk: Talk) -> Iterator[Action]:
    """An SOA, then NOTIMP: the secondary asks for the whole zone over the same connection."""
    yield talk.message([talk.new[0]])
    yield talk.message(rcode=Rcode.NOTIMP)


# --- TSIG -------------------------------------------------------------------------------------------------------------


@fault(SOA, reason="the answer is signed, and the question was not|TSIG: ")
def signed_without_being_asked(talk: Talk) -> Iterator[Action]:
    """TSIG on the answer to a question without."""
    tsig = Tsig(name("key.example."), name("hmac-sha256."), talk.now, FUDGE_SECONDS, talk.ident)
    yield with_record(talk.message(talk.records(), sign=False), tsig_record(tsig, bytes(32)))


@fault(SOA, reason="TSIG: it is not signed", signed=True)
def not_signed(talk: Talk) -> Iterator[Action]:
    """No TSIG on the answer to a signed question."""
    yield talk.message(talk.records(), sign=False)


@fault(SOA, reason="answered REFUSED; TSIG: it is not signed", signed=True)
def refused_without_tsig(talk: Talk) -> Iterator[Action]:
    """An error that anybody may have sent."""
    yield talk.message(rcode=Rcode.REFUSED, sign=False)


@fault(SOA, reason="says BADKEY", signed=True)
def does_not_know_the_key(talk: Talk) -> Iterator[Action]:
    """BADKEY, unsigned as it has to be."""
    asked = talk.query.tsig
    assert asked is not None
    said = replace(asked, mac=b"", error=17)
    yield with_record(talk.message(rcode=Rcode.NOTAUTH, sign=False), tsig_record(said, b""))


@fault(SOA, reason="signed with another key, other.example", signed=True)
def another_key(talk: Talk) -> Iterator[Action]:
    """Signed with a key of another name."""
    assert talk.signer is not None
    key = replace(talk.signer.key, name=name("other.example."))
    yield Signer(key, talk.signer.mac, talk.now).sign(talk.message(talk.records(), sign=False), talk.now)


@fault(SOA, reason="the MAC is not that of key", signed=True)
def another_secret(talk: Talk) -> Iterator[Action]:
    """Signed with another secret."""
    assert talk.signer is not None
    key = replace(talk.signer.key, secret=b"something else entirely")
    yield Signer(key, talk.signer.mac, talk.now).sign(talk.message(talk.records(), sign=False), talk.now)


@fault(SOA, reason="its clock and ours differ by", signed=True)
def clock_of_another_day(talk: Talk) -> Iterator[Action]:
    """Signed by a primary whose clock is wrong."""
    assert talk.signer is not None
    yield talk.signer.sign(talk.message(talk.records(), sign=False), talk.now - 86_400)


def _one_by_one(talk: Talk) -> Iterator[tuple[int, bytes]]:
    """(number, plain message) of a transfer of more than a hundred."""
    more = [record(talk.copy.owner(f"m{i}"), "A", "192.0.2.1") for i in range(300)]
    for number, each in enumerate([*talk.new, *more, talk.new[0]]):
        yield number, talk.message([each], sign=False)


@fault(IXFR, AXFR, reason="the MAC is not that of key", signed=True)
def bad_tsig_at_message_100(talk: Talk) -> Iterator[Action]:
    """The hundredth message was changed after it was signed."""
    for number, plain in _one_by_one(talk):
        octets = talk.signed(plain)
        yield octets if number != 100 else octets[: -1 - 6] + bytes((octets[-7] ^ 1,)) + octets[-6:]


@fault(IXFR, AXFR, reason="the MAC is not that of key", signed=True)
def unsigned_message_changed(talk: Talk) -> Iterator[Action]:
    """One in a hundred messages is signed, and one between them was changed."""
    assert talk.signer is not None
    between = b""
    for number, plain in _one_by_one(talk):
        if number % 50 == 0:
            octets = talk.signed(plain)
            yield octets
            continue
        between += plain
        yield plain[:-1] + bytes((plain[-1] ^ 1,)) if number == 30 else plain


@fault(IXFR, AXFR, reason="more than 99 messages in a row are not signed", signed=True)
def too_many_unsigned(talk: Talk) -> Iterator[Action]:
    """Only the first message is signed."""
    for number, plain in _one_by_one(talk):
        yield plain if number else talk.signed(plain)


@fault(IXFR, AXFR, reason="the last message is not signed", signed=True)
def end_without_tsig(talk: Talk) -> Iterator[Action]:
    """Every message is signed but the last."""
    yield talk.message(_half(talk))
    yield talk.message(talk.axfr()[len(_half(talk)) :], sign=False)
