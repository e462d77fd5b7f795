"""NOTIFY on a clock of the test's own: no sockets, no waiting."""

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import count

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest

from authdns.transfer.notify import (
    BATCH,
    TIMEOUTS_SECONDS,
    Ignored,
    Meaning,
    Notifier,
    Outcome,
    Send,
    Target,
    ignored_text,
    outcome_text,
)
from authdns.wire import name as names
from authdns.wire.query import parse_query
from authdns.wire.tsig import ALGORITHMS, Key, Signer, TsigError, unsigned_refusal, verify, with_record
from authdns.zone.zone import RRset, Zone
from tests.unit.answer.zones import zone_from_text

APEX = names.from_text("example.com.")
ONE = Target(ip_address("192.0.2.1"), 53, "ns2.example.net")
OTHER = Target(ip_address("2001:db8::1"), 5300, "mine")


@pytest.fixture
def zone() -> Zone:
    return zone_from_text("www.example.com. 60 A 192.0.2.1")


@pytest.fixture
def soa(zone: Zone) -> RRset:
    return zone.soa_rrset


@pytest.fixture
def notifier() -> Notifier:
    ids: Iterator[int] = count(1000)
    return Notifier(lambda: next(ids))


def answer(send: Send, rcode: int = 0) -> bytes:
    response = dns.message.make_response(dns.message.from_wire(send.wire))
    response.set_rcode(dns.rcode.Rcode.make(rcode))
    return response.to_wire()


def test_the_message_is_what_rfc_1996_wants(notifier: Notifier, soa: RRset) -> None:
    notifier.zone_changed(APEX, 7, soa, [ONE], 0.0)
    [send], _ = notifier.poll(0.0)
    message = dns.message.from_wire(send.wire)
    assert message.opcode() == dns.opcode.NOTIFY
    assert message.flags & dns.flags.AA
    assert not message.flags & dns.flags.QR
    assert message.question[0].name.to_text() == "example.com."
    assert message.question[0].rdtype == dns.rdatatype.SOA
    assert message.answer[0][0].to_text().split()[2] == "7"


def test_an_answer_ends_it(notifier: Notifier, soa: RRset) -> None:
    notifier.zone_changed(APEX, 7, soa, [ONE], 0.0)
    [send], _ = notifier.poll(0.0)
    outcome = notifier.receive(answer(send), ONE.address, ONE.port)
    assert isinstance(outcome, Outcome)
    assert outcome.meaning is Meaning.ACCEPTED
    assert outcome_text(outcome) == (
        "zone example.com/IN: notify to 192.0.2.1#53 (ns2.example.net): accepted (serial 7)"
    )
    assert notifier.deadline() is None
    assert not notifier.waits_for(APEX)


@pytest.mark.parametrize(
    ("rcode", "meaning", "words"),
    [
        (9, Meaning.NOTAUTH, "does not (yet) serve this zone"),
        (5, Meaning.REFUSED, "does not accept NOTIFY from this address"),
        (4, Meaning.OTHER, "answered NOTIMP"),
        (15, Meaning.OTHER, "answered RCODE15"),
    ],
)
def test_each_answer_has_its_meaning(notifier: Notifier, soa: RRset, rcode: int, meaning: Meaning, words: str) -> None:
    notifier.zone_changed(APEX, 7, soa, [ONE], 0.0)
    [send], _ = notifier.poll(0.0)
    wire = bytearray(answer(send))
    wire[3] = wire[3] & 0xF0 | rcode
    outcome = notifier.receive(bytes(wire), ONE.address, ONE.port)
    assert isinstance(outcome, Outcome)
    assert outcome.meaning is meaning
    assert words in outcome_text(outcome)


def test_it_is_sent_again_with_growing_pauses_and_then_given_up(notifier: Notifier, soa: RRset) -> None:
    notifier.zone_changed(APEX, 7, soa, [ONE], 100.0)
    now = 100.0
    for timeout in TIMEOUTS_SECONDS:
        assert notifier.deadline() == now
        sends, outcomes = notifier.poll(now)
        assert [send.target for send in sends] == [ONE]
        assert not outcomes
        assert notifier.poll(now + timeout / 2) == ([], [])
        now += timeout
    sends, [outcome] = notifier.poll(now)
    assert not sends
    assert outcome.meaning is Meaning.TIMEOUT
    assert outcome_text(outcome).endswith("no answer after 5 attempts (serial 7)")
    assert notifier.deadline() is None


def test_a_dead_target_does_not_delay_another(notifier: Notifier, soa: RRset) -> None:
    notifier.zone_changed(APEX, 7, soa, [ONE, OTHER], 0.0)
    sends, _ = notifier.poll(0.0)
    by_target = {send.target: send for send in sends}
    assert set(by_target) == {ONE, OTHER}
    assert notifier.receive(answer(by_target[OTHER]), OTHER.address, OTHER.port) is not None
    [again], _ = notifier.poll(TIMEOUTS_SECONDS[0])
    assert again.target == ONE


def test_a_newer_serial_replaces_the_one_under_way(notifier: Notifier, zone: Zone) -> None:
    notifier.zone_changed(APEX, 7, zone.soa_rrset, [ONE], 0.0)
    [old], _ = notifier.poll(0.0)
    notifier.zone_changed(APEX, 8, zone.soa_rrset, [ONE], 1.0)
    [new], _ = notifier.poll(1.0)
    assert (new.serial, new.attempt) == (8, 1)
    assert notifier.receive(answer(old), ONE.address, ONE.port) is None
    outcome = notifier.receive(answer(new), ONE.address, ONE.port)
    assert isinstance(outcome, Outcome)
    assert outcome.serial == 8


@pytest.mark.parametrize("spoil", ["id", "address", "port", "query", "opcode", "zone", "short"])
def test_what_does_not_match_is_ignored(notifier: Notifier, soa: RRset, spoil: str) -> None:
    notifier.zone_changed(APEX, 7, soa, [ONE], 0.0)
    [send], _ = notifier.poll(0.0)
    wire, address, port = bytearray(answer(send)), ONE.address, ONE.port
    match spoil:
        case "id":
            wire[0] ^= 1
        case "address":
            address = ip_address("192.0.2.2")
        case "port":
            port = 54
        case "query":
            wire[2] &= 0x7F
        case "opcode":
            wire[2] &= 0x87
        case "zone":
            wire[13] ^= 1
        case "short":
            wire = wire[:11]
    assert notifier.receive(bytes(wire), address, port) is None
    assert notifier.waits_for(APEX)


def test_many_zones_leave_in_batches(notifier: Notifier, soa: RRset) -> None:
    for i in range(BATCH + 1):
        notifier.zone_changed(names.from_text(f"z{i}.example."), 1, soa, [ONE], 0.0)
    sends, _ = notifier.poll(0.0)
    assert len(sends) == BATCH
    assert notifier.poll(0.0) == ([], [])
    due = notifier.deadline()
    assert due is not None
    sends, _ = notifier.poll(due)
    assert len(sends) == 1


def test_a_zone_that_is_no_longer_served_is_forgotten(notifier: Notifier, soa: RRset) -> None:
    notifier.zone_changed(APEX, 7, soa, [ONE, OTHER], 0.0)
    notifier.forget(APEX)
    assert notifier.deadline() is None
    assert not notifier.waits_for(APEX)


def test_two_ids_that_collide_are_told_apart(soa: RRset) -> None:
    ids = iter([5, 5, 5, 6])
    notifier = Notifier(lambda: next(ids))
    notifier.zone_changed(APEX, 1, soa, [ONE], 0.0)
    notifier.zone_changed(names.from_text("example.org."), 1, soa, [ONE], 0.0)
    sends, _ = notifier.poll(0.0)
    assert len({send.wire[:2] for send in sends}) == 2


# Signed

KEY = Key(b"\x08transfer\x07example\0", ALGORITHMS["hmac-sha256"], bytes(32))
SIGNED = Target(ip_address("192.0.2.1"), 53, "signing", KEY)
WALL = 1_800_000_000


def verified(wire: bytes, wall: int = WALL) -> Signer:
    tsig = parse_query(wire).tsig
    assert tsig is not None
    found = verify({KEY.name: KEY}, wire, tsig, wall)
    assert isinstance(found, Signer)
    return found


def unsigned(send: Send, rcode: int = 0) -> bytes:
    """An answer with the question alone."""
    question = send.wire[12 : 12 + len(APEX) + 4]
    return send.wire[:2] + bytes((0xA4, rcode)) + b"\0\1" + bytes(6) + question


def test_a_notify_to_a_target_with_a_key_is_signed_once(notifier: Notifier, soa: RRset) -> None:
    notifier.zone_changed(APEX, 7, soa, [SIGNED, OTHER], 0.0)
    first, _ = notifier.poll(0.0, WALL)
    by_target = {send.target: send.wire for send in first}
    assert parse_query(by_target[OTHER]).tsig is None
    assert verified(by_target[SIGNED]).key is KEY
    again, _ = notifier.poll(TIMEOUTS_SECONDS[0], WALL + 2)
    assert by_target[SIGNED] in {send.wire for send in again}


def test_a_signed_answer_ends_it(notifier: Notifier, soa: RRset) -> None:
    notifier.zone_changed(APEX, 7, soa, [SIGNED], 0.0)
    [send], _ = notifier.poll(0.0, WALL)
    wire = verified(send.wire).sign(unsigned(send, 9), WALL + 1)
    outcome = notifier.receive(wire, ONE.address, 53, WALL + 1)
    assert isinstance(outcome, Outcome)
    assert outcome.meaning is Meaning.NOTAUTH
    assert not notifier.waits_for(APEX)


def test_any_other_answer_is_ignored_and_it_goes_on(notifier: Notifier, soa: RRset) -> None:
    notifier.zone_changed(APEX, 7, soa, [SIGNED], 0.0)
    [send], _ = notifier.poll(0.0, WALL)
    plain = unsigned(send)
    request = parse_query(send.wire).tsig
    assert request is not None
    other = Signer(Key(KEY.name, KEY.algorithm, b"x"), request.mac, WALL)
    bad = {
        "it is not signed": plain,
        "it is not signed, and says BADKEY": with_record(plain, unsigned_refusal(request, TsigError.BADKEY)),
        "the MAC is not that of key transfer.example": other.sign(plain, WALL),
        "signed with key transfer.example, but its clock and ours differ by -900 s": verified(send.wire).sign(
            plain, WALL - 900
        ),
        "it says BADTIME": verified(send.wire).refuse(plain, request, TsigError.BADTIME),
        "it cannot be read": plain + b"x",
        "it is not signed, and says BADSIG": with_record(
            plain[:4] + bytes(8), unsigned_refusal(request, TsigError.BADSIG)
        ),
    }
    for reason, wire in bad.items():
        ignored = notifier.receive(wire, ONE.address, 53, WALL)
        assert isinstance(ignored, Ignored)
        said = "zone example.com/IN: notify to 192.0.2.1#53 (signing): an answer is ignored: "
        assert ignored_text(ignored).startswith(said + reason)
        assert notifier.waits_for(APEX)
    genuine = notifier.receive(verified(send.wire).sign(plain, WALL), ONE.address, 53, WALL)
    assert isinstance(genuine, Outcome)
    assert genuine.meaning is Meaning.ACCEPTED
