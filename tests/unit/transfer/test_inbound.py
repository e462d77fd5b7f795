"""Conversations with a primary: what it gives is a whole version, or nothing and a reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authdns.transfer.inbound import Ask, Caps, Changes, Failed, Inbound, Trouble, UpToDate, Whole
from authdns.wire.message import EXPIRE, opt_record
from authdns.wire.query import parse_query
from authdns.wire.tsig import ALGORITHMS, Key
from authdns.wire.types import Rcode, Type
from authdns.zone.records import Record
from tests.hostile_primary import FAULTS, Copy, Fault
from tests.hostile_primary.actions import Action, Raw, Wait
from tests.hostile_primary.conversation import NOW, Answers, End, converse, honest, inbound, lower, zone_after
from tests.hostile_primary.faults import AXFR, IXFR, SOA, Talk
from tests.hostile_primary.messages import framed, name, record, soa

KEY = Key(name("key.example."), ALGORITHMS["hmac-sha256"], b"0123456789abcdef0123456789abcdef")
CAPS = Caps(records=25_000, octets=1 << 20)


def zone(*serials: int, hosts: int = 3) -> Copy:
    copy = Copy("example.com", hosts)
    copy.versions.clear()
    for serial in serials:
        copy.edit(serial)
    return copy


def in_turn(answers: dict[str, Answers]) -> Answers:
    """By phase; honest where none is given."""
    return lambda talk: answers.get(talk.phase, honest)(talk)


def one_by_one(talk: Talk) -> Iterable[Action]:
    return talk.honest(1)


def with_rcode(rcode: int) -> Answers:
    return lambda talk: [talk.message(rcode=rcode)]


def is_new(end: End, copy: Copy) -> bool:
    """Exactly the newest version."""
    assert isinstance(end, Whole | Changes), end
    return zone_after(end, copy.versions[0]) == lower(copy.new)


# --- AXFR -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_message", [1, 2, 3, 1000])
def test_a_zone_that_is_not_there_yet(per_message: int) -> None:
    copy = zone(5)
    asked: list[str] = []

    def answers(talk: Talk) -> Iterable[Action]:
        asked.append(talk.phase)
        return talk.honest(per_message)

    end = converse(inbound(copy), copy, answers)
    assert isinstance(end, Whole)
    assert asked == [SOA, AXFR]
    assert end.records == len(copy.new) + 1
    assert end.expire is None
    assert zone_after(end) == lower(copy.new)


def test_messages_without_records_are_passed_over() -> None:
    copy = zone(5)
    end = converse(
        inbound(copy),
        copy,
        in_turn({AXFR: lambda talk: chain.from_iterable((talk.message(), m) for m in one_by_one(talk))}),
    )
    assert is_new(end, copy)


def test_names_keep_the_spelling_of_the_primary_and_its_soas_may_differ_in_case() -> None:
    """Compression against another spelling changes it."""
    copy = zone(5)

    def answers(talk: Talk) -> Iterable[Action]:
        first, *rest = talk.new
        loud = [each._replace(owner=each.owner.upper()) for each in rest]
        yield talk.message([first, *loud, first._replace(owner=first.owner.upper(), rdata=b"\3NS1" + first.rdata[4:])])

    end = converse(inbound(copy), copy, in_turn({AXFR: answers}))
    assert isinstance(end, Whole)
    built = end.builder.build()
    assert built is not None
    assert built.spelling[b"\2h1" + copy.apex] == b"\2H1\7EXAMPLE\3COM\0"


def test_all_of_it_can_be_asked_for_although_there_is_a_version() -> None:
    copy = zone(1, 2)
    end = converse(inbound(copy, copy.versions[0][0], whole=True), copy, in_turn({IXFR: with_rcode(Rcode.SERVFAIL)}))
    assert isinstance(end, Whole)
    assert zone_after(end) == lower(copy.new)


# --- IXFR -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_message", [1, 2, 5, 1000])
@pytest.mark.parametrize("serials", [(1, 2), (1, 2, 3, 4), (4_294_967_295, 0), (4_294_967_290, 4_294_967_295, 3)])
def test_what_changed(serials: Sequence[int], per_message: int) -> None:
    copy = zone(*serials)
    end = converse(inbound(copy, copy.versions[0][0]), copy, lambda talk: talk.honest(per_message))
    assert isinstance(end, Changes)
    assert [delta.serials for delta in end.deltas] == list(pairwise(serials))
    assert is_new(end, copy)


@pytest.mark.parametrize("per_message", [1, 2, 1000])
def test_an_ixfr_that_is_all_of_the_zone(per_message: int) -> None:
    copy = zone(1, 2)
    copy.versions[0] = zone(7).new  # the primary does not know what we have
    end = converse(inbound(copy, soa(copy.apex, 1)), copy, lambda talk: talk.honest(per_message))
    assert isinstance(end, Whole)
    assert zone_after(end) == lower(copy.new)


def test_an_ixfr_with_an_soa_alone_that_we_have() -> None:
    """The primary's SOA promised more than it has at the next question."""
    copy = zone(1, 2)
    answers = in_turn({IXFR: lambda talk: [talk.message([soa(copy.apex, 1)])]})
    assert converse(inbound(copy, copy.versions[0][0]), copy, answers) == UpToDate(1, None)


@pytest.mark.parametrize("rcode", [1, 2, 4, 5, 9, 15])
def test_without_ixfr_all_is_asked_for(rcode: int) -> None:
    copy = zone(1, 2)
    end = converse(inbound(copy, copy.versions[0][0]), copy, in_turn({IXFR: with_rcode(rcode)}))
    assert isinstance(end, Whole)
    assert zone_after(end) == lower(copy.new)


def test_an_ixfr_that_is_refused_after_its_first_record_leaves_nothing_behind() -> None:
    copy = zone(1, 2)
    answers = in_turn({IXFR: lambda talk: [talk.message(talk.new[:1]), talk.message(rcode=Rcode.NOTIMP)]})
    end = converse(inbound(copy, copy.versions[0][0]), copy, answers)
    assert isinstance(end, Whole)
    assert zone_after(end) == lower(copy.new)


def test_what_is_asked() -> None:
    """The SOA that we have goes along with IXFR; every question asks for EXPIRE, and has an id of its own."""
    copy = zone(1, 2)
    have = copy.versions[0][0]
    machine = inbound(copy, have)
    first = machine.begin(NOW)
    step = machine.receive(next(iter(Talk(first, parse_query(first), copy, None).honest())), NOW)
    assert isinstance(step, Ask)
    second = parse_query(step.request)
    third_step = machine.receive(Talk(step.request, second, copy, None).message(rcode=Rcode.FORMERR), NOW)
    assert isinstance(third_step, Ask)
    queries = [parse_query(each) for each in (first, step.request, third_step.request)]
    assert [query.qtype for query in queries] == [Type.SOA, Type.IXFR, Type.AXFR]
    assert [query.ixfr_serial for query in queries] == [None, 1, None]
    assert len({query.id for query in queries}) == 3
    for query in queries:
        assert query.edns is not None
        assert query.edns.option(EXPIRE) == b""
    assert have.rdata in step.request


# --- what is not newer ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(5, 5), (5, 4), (0, 4_294_967_295), (7, 7 + (1 << 31)), (1 << 31, 0), (4_294_967_295, 9 - 10 & 0xFFFFFFFF)],
)
def test_a_serial_that_is_not_newer(ours: int, theirs: int) -> None:
    copy = zone(theirs)
    assert converse(inbound(copy, soa(copy.apex, ours)), copy) == UpToDate(theirs, None)


@given(st.integers(0, 0xFFFFFFFF), st.integers(1, (1 << 31) - 1))
def test_every_newer_serial_is_fetched(ours: int, ahead: int) -> None:
    copy = zone(ours, ours + ahead & 0xFFFFFFFF)
    assert isinstance(converse(inbound(copy, copy.versions[0][0]), copy), Changes)
    copy.versions.reverse()
    assert isinstance(converse(inbound(copy, copy.versions[0][0]), copy), UpToDate)


# --- EXPIRE (RFC 7314) ------------------------------------------------------------------------------------------------


def saying(seconds: bytes) -> bytes:
    return opt_record(1232, 0, False, EXPIRE.to_bytes(2, "big") + len(seconds).to_bytes(2, "big") + seconds)


def with_expire(talk: Talk, seconds: bytes) -> Iterable[Action]:
    (plain,) = talk.honest(1000)
    yield plain[:11] + bytes((plain[11] + 1,)) + plain[12:] + saying(seconds)


@pytest.mark.parametrize(
    ("said", "expire"),
    [(b"\0\0\1\0", 256), (bytes(4), 0), (b"\xff" * 4, 4_294_967_295), (b"", None), (b"\0\0\1", None)],
)
def test_expire_of_what_is_confirmed_and_of_what_is_transferred(said: bytes, expire: int | None) -> None:
    copy = zone(1)
    answers: Answers = lambda talk: with_expire(talk, said)  # noqa: E731
    assert converse(inbound(copy, copy.new[0]), copy, answers) == UpToDate(1, expire)
    copy.edit(2)
    for have in (None, copy.versions[0][0]):
        end = converse(inbound(copy, have), copy, answers)
        assert isinstance(end, Whole | Changes)
        assert end.expire == expire


def test_expire_of_the_soa_query_is_not_that_of_the_transfer() -> None:
    copy = zone(1, 2)
    answers = in_turn({SOA: lambda talk: with_expire(talk, b"\0\0\0\1")})
    end = converse(inbound(copy, copy.versions[0][0]), copy, answers)
    assert isinstance(end, Changes)
    assert end.expire is None


# --- TSIG -------------------------------------------------------------------------------------------------------------


def every(number: int, signed_end: bool = True) -> Answers:
    """One message in so many is signed (RFC 8945 §5.3.1), the first, and the last."""

    def answers(talk: Talk) -> Iterable[Action]:
        plain = [talk.message([each], sign=False) for each in talk.records()]
        unsigned = b""
        for place, each in enumerate(plain):
            last = place == len(plain) - 1
            if place % number and not (last and signed_end):
                unsigned += each
                yield each
                continue
            yield talk.signed_after(unsigned, each)
            unsigned = b""

    return answers


@pytest.mark.parametrize("number", [1, 2, 99, 100])
def test_a_signed_stream(number: int) -> None:
    copy = zone(1, 2, hosts=250)
    for have in (None, copy.versions[0][0]):
        end = converse(inbound(copy, have, KEY), copy, in_turn({AXFR: every(number), IXFR: every(number)}), KEY)
        assert is_new(end, copy)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (every(101), "more than 99 messages in a row are not signed"),
        (every(100, signed_end=False), "the last message is not signed"),
    ],
)
def test_a_stream_that_is_not_signed_enough(answers: Answers, reason: str) -> None:
    copy = zone(1, hosts=250)
    end = converse(inbound(copy, None, KEY), copy, in_turn({AXFR: answers}), KEY)
    assert isinstance(end, Failed)
    assert end.trouble is Trouble.DISTRUSTED
    assert reason in end.reason


@pytest.mark.parametrize("change", [0, 1, 40, 149, 248])
def test_a_change_of_any_message_is_noticed(change: int) -> None:
    """Signed or not: at the latest with the next signature."""
    copy = zone(1, hosts=250)

    def answers(talk: Talk) -> Iterable[Action]:
        for place, octets in enumerate(every(50)(talk)):
            assert isinstance(octets, bytes)
            at = octets.find(b"\0\1\0\1\0\0\1\x2c\0\4") + 13  # an address
            if place >= change and at > 12:
                yield octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]
            else:
                yield octets

    end = converse(inbound(copy, None, KEY), copy, in_turn({AXFR: answers}), KEY)
    assert isinstance(end, Failed)
    assert "the MAC is not that of key" in end.reason


def test_without_ixfr_a_signed_refusal_leads_to_axfr_and_an_unsigned_one_does_not() -> None:
    copy = zone(1, 2)
    end = converse(inbound(copy, copy.versions[0][0], KEY), copy, in_turn({IXFR: with_rcode(Rcode.NOTIMP)}), KEY)
    assert is_new(end, copy)
    unsigned = in_turn({IXFR: lambda talk: [talk.message(rcode=Rcode.NOTIMP, sign=False)]})
    end = converse(inbound(copy, copy.versions[0][0], KEY), copy, unsigned, KEY)
    assert end == Failed(Trouble.DISTRUSTED, "the primary answered NOTIMP; TSIG: it is not signed")


# --- every fault ------------------------------------------------------------------------------------------------------


def with_fault(fault: Fault) -> Answers:
    def answers(talk: Talk) -> Iterable[Action]:
        if talk.phase not in fault.phases:
            yield from talk.honest()
            return
        for action in fault.commit(talk):
            if isinstance(action, Raw | Wait):
                return  # of octets and time the machine knows nothing
            yield action

    return answers


SEEN_LATER = {
    "no-ns",
    "types-without-end",
    "record-without-room",
    "labels-without-end",
    "ixfr-removes-what-is-not-there",
}
AT_SOCKETS = {"no answer in time", "closed the connection", "too slow"}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_fault_has_its_reason(fault: Fault) -> None:
    copy = zone(1, 2)
    key = KEY if fault.signed else None
    end = converse(inbound(copy, copy.versions[0][0], key, caps=CAPS), copy, with_fault(fault), key)
    if isinstance(end, Whole | Changes):
        # What is no zone, or does not fit to what was there, only the next one sees.
        if fault.name in SEEN_LATER:
            with pytest.raises(ValueError, match=fault.reason):
                zone_after(end, copy.versions[0])
        else:
            assert fault.whole
            found = zone_after(end, copy.versions[0])
            assert fault.name == "ixfr-removes-the-name-servers" or lower(copy.new) <= found
        return
    if isinstance(end, UpToDate):
        assert "not newer" in fault.reason
        return
    assert isinstance(end, Failed)
    assert end.of_changes == (end.trouble is Trouble.CONTENT and SOA not in fault.phases)
    if end.trouble is Trouble.UNREACHABLE:
        assert end.reason.startswith("the primary closed the connection")
        assert any(each in fault.reason for each in AT_SOCKETS) or fault.whole or fault.name in ("empty-frame",)
    elif "more than [0-9]+" in fault.reason:
        assert re.search("more than (25000 records|1048576 octets)", end.reason)
    else:
        assert re.search(fault.reason, end.reason), end.reason


def test_troubles() -> None:
    """Whether another primary may do better, and how soon to try again."""
    copy = zone(1, 2)
    for fault, trouble in {
        "refused": Trouble.REFUSED,
        "not-authoritative": Trouble.REFUSED,
        "half-of-it": Trouble.UNREACHABLE,
        "soa-in-the-middle": Trouble.CONTENT,
        "soa-with-another-id": Trouble.CONTENT,
        "not-signed": Trouble.DISTRUSTED,
    }.items():
        key = KEY if FAULTS[fault].signed else None
        end = converse(inbound(copy, copy.versions[0][0], key), copy, with_fault(FAULTS[fault]), key)
        assert isinstance(end, Failed)
        assert end.trouble is trouble, fault


# --- a reset at every octet -------------------------------------------------------------------------------------------


def whole_messages(octets: bytes) -> Iterable[bytes]:
    """As a stream reader finds them."""
    at = 0
    while at + 2 <= len(octets) and at + 2 + (length := int.from_bytes(octets[at : at + 2], "big")) <= len(octets):
        yield octets[at + 2 : at + 2 + length]
        at += 2 + length


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "signed"])
@pytest.mark.parametrize("per_message", [1, 3, 1000])
@pytest.mark.parametrize("has", [False, True], ids=["AXFR", "IXFR"])
def test_a_stream_that_ends_at_any_octet(has: bool, per_message: int, key: Key | None) -> None:
    """All but the last octet of it: nothing. With it: the new version."""
    copy = zone(1, 2, 3)
    have = copy.versions[0][0] if has else None
    stream = b""

    def answers(cut: int | None) -> Answers:
        def answer(talk: Talk) -> Iterable[Action]:
            nonlocal stream
            if talk.phase == SOA:
                return talk.honest()
            stream = stream or b"".join(map(framed, talk.honest(per_message)))  # the same each time: ids and clock are
            return whole_messages(stream[:cut])

        return answer

    assert is_new(converse(inbound(copy, have, key), copy, answers(None), key), copy)
    octets = len(stream)
    assert octets > 300
    for cut in range(octets):
        end = converse(inbound(copy, have, key), copy, answers(cut), key)
        assert isinstance(end, Failed), cut
        assert end.trouble is Trouble.UNREACHABLE


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caps", "reason"),
    [(Caps(records=10), "more than 10 records"), (Caps(octets=400), "more than 400 octets")],
)
def test_caps(caps: Caps, reason: str) -> None:
    copy = zone(1, hosts=20)
    for per_message in (1, 1000):
        end = converse(inbound(copy, caps=caps), copy, lambda talk, n=per_message: talk.honest(n))  # type: ignore[misc]
        assert end == Failed(Trouble.CONTENT, reason)


def test_progress_is_told() -> None:
    copy = zone(1)
    machine: Inbound = inbound(copy)
    machine.begin(NOW)
    assert machine.progress == "SOA, 0 records, 0 bytes"
    assert machine.broken_off() == Failed(Trouble.UNREACHABLE, "the primary closed the connection")
    half = in_turn({AXFR: lambda talk: [talk.message(talk.new[:4])]})
    machine = inbound(copy)
    end = converse(machine, copy, half)
    assert end == Failed(Trouble.UNREACHABLE, "the primary closed the connection after 4 records")
    assert re.fullmatch("AXFR, 4 records, [0-9]+ bytes", machine.progress)


def test_records_outside_are_named() -> None:
    copy = zone(1)
    stranger: Record = record("www.example.org.", "A", "192.0.2.1")
    end = converse(inbound(copy), copy, in_turn({AXFR: lambda talk: [talk.whole(stranger)]}))
    assert isinstance(end, Failed)
    assert not end.of_changes
    assert "www.example.org. lies outside the zone example.com." in end.reason


# --- EDNS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rcode", [Rcode.FORMERR, Rcode.NOTIMP])
def test_a_primary_that_does_not_know_edns_is_asked_without(rcode: int) -> None:
    """RFC 6891 section 7."""
    copy = zone(5)
    with_edns: list[tuple[str, bool]] = []

    def answers(talk: Talk) -> Iterable[Action]:
        knows = parse_query(talk.request).edns is not None
        with_edns.append((talk.phase, knows))
        return [talk.message(rcode=rcode)] if knows else honest(talk)

    assert is_new(converse(inbound(copy), copy, answers), copy)
    assert with_edns == [(SOA, True), (SOA, False), (AXFR, False)]


def test_a_primary_that_refuses_its_own_kind_of_query_is_left() -> None:
    copy = zone(5)
    end = converse(inbound(copy), copy, in_turn({SOA: with_rcode(Rcode.FORMERR)}))
    assert end == Failed(Trouble.REFUSED, "the primary answered FORMERR to SOA")
