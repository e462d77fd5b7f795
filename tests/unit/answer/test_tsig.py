"""TSIG on the ladder: verified before all else, and whatever answers is signed, with room kept for that."""

import dns.message
import dns.rcode
import dns.tsig
import pytest

from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.limiter import Limiter, RateLimit
from authdns.answer.respond import NANOSECONDS, Chaos, Responder
from authdns.wire import name as names
from authdns.wire.query import Query, parse_query
from authdns.wire.tsig import ALGORITHMS, Fault, Key, Signer, TsigError
from authdns.wire.types import Class, Flag, Opcode, Rcode, Type
from tests.unit.answer.packets import APEX, WWW, below_apex, header, opt, option, query, question, seen, tsig
from tests.unit.answer.test_respond import table_zone

NOW = 1_800_000_000
KEY = Key(names.from_text("transfer.example."), ALGORITHMS["hmac-sha256"], bytes(32))
THEIRS = dns.tsig.Key("transfer.example.", KEY.secret, "hmac-sha256.")
SERVED = ServedZone(table_zone())
BIG = names.from_text("big.example.com.")
HUGE = names.from_text("huge.example.com.")


def responder(*, tcp: bool = False, limiter: Limiter | None = None) -> Responder:
    table = ZoneTable()
    table.publish(APEX, SERVED)
    made = Responder(table, tcp=tcp, chaos=Chaos("ns1"), limiter=limiter)
    made.keys = {KEY.name: KEY}
    return made


def signed(packet: bytes, key: Key = KEY, at: int = NOW) -> tuple[bytes, bytes]:
    """(the packet with TSIG, its MAC)."""
    signer = Signer(key, b"", at)
    return signer.sign(packet, at), signer.mac


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dns.message.time.time", lambda: NOW)


def verified(packet: bytes, to: Responder) -> dns.message.Message:
    """The response, after dnspython has verified it."""
    request, mac = signed(packet)
    response = to.respond(request, "192.0.2.1", NOW * NANOSECONDS)
    assert isinstance(response, bytes)
    message = dns.message.from_wire(response, keyring=THEIRS, request_mac=mac)
    assert message.had_tsig
    return message


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize(
    "packet",
    [
        query(),
        query(edns=opt()),
        query(b"\2nx" + APEX),
        query(b"\3org\0"),
        query(APEX, Type.SOA),
        query(qclass=3),
        query(names.from_text("id.server."), Type.TXT, Class.CH),
        query(edns=opt(version=1)),
        query(qtype=Type.TKEY),
        header(Flag.AA, (1, 0, 0, 0), Opcode.NOTIFY) + question(APEX, Type.A),
    ],
)
def test_the_response_is_that_without_tsig_and_signed(packet: bytes, tcp: bool) -> None:
    plain = responder(tcp=tcp).respond(packet)
    assert isinstance(plain, bytes)
    request, mac = signed(packet)
    response = responder(tcp=tcp).respond(request, "192.0.2.1", NOW * NANOSECONDS)
    assert isinstance(response, bytes)
    found = parse_tsig(response)
    assert response[:10] == plain[:10]
    assert response[12:found] == plain[12:]
    assert dns.message.from_wire(response, keyring=THEIRS, request_mac=mac).had_tsig


def parse_tsig(response: bytes) -> int:
    """Where TSIG begins."""
    return response.rindex(KEY.name + b"\0\xfa")


def test_transfers_are_handed_back_with_the_proof() -> None:
    for qtype in (Type.AXFR, Type.IXFR):
        to = responder(tcp=True)
        request, mac = signed(query(APEX, qtype))
        handed = to.respond(request, "192.0.2.1", NOW * NANOSECONDS)
        assert isinstance(handed, Query)
        assert handed.signer is not None
        assert handed.signer.key is KEY
        refusal = to.refuse(request, handed, Rcode.REFUSED)
        assert dns.message.from_wire(refusal, keyring=THEIRS, request_mac=mac).rcode() == dns.rcode.REFUSED
    again = responder().respond(request, "192.0.2.1", NOW * NANOSECONDS)
    assert isinstance(again, Query)
    alone = dns.message.from_wire(responder().soa_alone(request, again), keyring=THEIRS, request_mac=mac)
    assert [int(rrset.rdtype) for rrset in alone.answer] == [Type.SOA]


def test_without_tsig_nothing_is_proven() -> None:
    handed = responder(tcp=True).respond(query(APEX, Type.AXFR))
    assert isinstance(handed, Query)
    assert handed.signer is None


@pytest.mark.parametrize(
    ("packet", "complete"),
    [(query(BIG, Type.TXT, edns=opt()), True), (query(HUGE, Type.TXT, edns=opt()), False), (query(WWW), True)],
)
def test_room_is_kept_for_tsig(packet: bytes, complete: bool) -> None:
    message = verified(packet, responder())
    assert bool(message.flags & Flag.TC) != complete
    assert bool(message.answer) == complete
    assert message.rcode() == dns.rcode.NOERROR


def test_what_fits_only_without_tsig_is_question_and_tsig_with_tc() -> None:
    """RFC 8945 section 5.3."""
    plain = responder().respond(query(BIG, Type.TXT, edns=opt()))
    assert isinstance(plain, bytes)
    for payload in range(512, 1233, 8):
        packet = query(BIG, Type.TXT, edns=opt(payload=payload))
        message = verified(packet, responder())
        size = len(signed(packet)[0]) - len(packet) + len(plain)
        assert bool(message.flags & Flag.TC) == (size > payload)
        if size > payload:
            assert not message.answer
            assert not message.authority
            assert not message.additional


def test_where_not_even_tsig_has_room_there_is_tc() -> None:
    """A question of 255 octets and a key of 255 octets without EDNS."""
    long = below_apex(255)
    key = Key(long, KEY.algorithm, KEY.secret)
    to, by_tcp = responder(), responder(tcp=True)
    for each in (to, by_tcp):
        each.keys = {long: key}
    request, mac = signed(query(long), key)
    response = to.respond(request, "192.0.2.1", NOW * NANOSECONDS)
    assert isinstance(response, bytes)
    assert seen(request, response) == "NOERROR tc question 0/0/0"
    whole = by_tcp.respond(request, "192.0.2.1", NOW * NANOSECONDS)
    assert isinstance(whole, bytes)
    theirs = dns.tsig.Key(names.to_text(long), key.secret, "hmac-sha256.")
    assert dns.message.from_wire(whole, keyring=theirs, request_mac=mac).had_tsig


def test_who_is_over_the_limit_gets_a_signed_tc() -> None:
    to = responder(limiter=Limiter(RateLimit(1, 1, 1, False, ())))
    verified(query(), to)
    message = verified(query(), to)
    assert message.flags & Flag.TC
    assert not message.answer


@pytest.mark.parametrize(
    ("key", "at", "error", "is_signed"),
    [
        (Key(b"\3new\0", KEY.algorithm, KEY.secret), NOW, TsigError.BADKEY, False),
        (Key(KEY.name, ALGORITHMS["hmac-sha512"], KEY.secret), NOW, TsigError.BADKEY, False),
        (Key(KEY.name, KEY.algorithm, b"x"), NOW, TsigError.BADSIG, False),
        (KEY, NOW - 301, TsigError.BADTIME, True),
        (KEY, NOW + 301, TsigError.BADTIME, True),
    ],
)
@pytest.mark.parametrize("qtype", [Type.A, Type.AXFR])
@pytest.mark.parametrize("tcp", [False, True])
def test_what_cannot_be_verified_is_refused_and_told(
    key: Key, at: int, error: TsigError, is_signed: bool, qtype: int, tcp: bool
) -> None:
    told: list[tuple[str, Query, Fault]] = []
    to = responder(tcp=tcp)
    to.distrusted = lambda *said: told.append(said)
    request, _ = signed(query(APEX, qtype, edns=opt()), key, at)
    response = to.respond(request, "192.0.2.1", NOW * NANOSECONDS)
    assert isinstance(response, bytes)
    expected = f"NOTAUTH question 0/0/0 opt0:1232 tsig:{'BADVERS' if error == 16 else error.name}"
    assert seen(request, response) == expected + ":signed" * is_signed
    [(host, asked, fault)] = told
    assert (host, asked.qtype, fault.error) == ("192.0.2.1", qtype, error)


def test_a_mac_that_is_too_short_is_malformed() -> None:
    request = query(edns=tsig(owner=KEY.name, mac=bytes(9)))
    response = responder().respond(request, "192.0.2.1", NOW * NANOSECONDS)
    assert seen(request, response if isinstance(response, bytes) else None) == "FORMERR question 0/0/0"


def test_nothing_that_was_signed_is_remembered_for_the_short_way() -> None:
    """The same octets with an ARCOUNT of 1 are no query."""
    to = responder()
    request, _ = signed(query(edns=opt(options=option(3))))
    assert isinstance(to.respond(request, "192.0.2.1", NOW * NANOSECONDS), bytes)
    spoilt = request[:11] + b"\1" + request[12:]
    response = to.respond(spoilt, "192.0.2.1", NOW * NANOSECONDS)
    assert isinstance(response, bytes)
    assert response[3] & 15 == Rcode.FORMERR


def test_sizes_count_what_is_sent() -> None:
    to = responder()
    request, _ = signed(query())
    response = to.respond(request, "192.0.2.1", NOW * NANOSECONDS)
    assert isinstance(response, bytes)
    assert [step for step, number in enumerate(to.sizes) if number] == [len(response) >> 6]
    assert sum(to.sizes) == 1
    assert parse_query(request).tsig is not None
