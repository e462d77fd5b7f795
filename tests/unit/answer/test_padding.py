"""The Padding option (RFC 7830): over TLS whoever pads gets blocks of 468 octets (RFC 8467), nobody else gets any."""

from __future__ import annotations

import dns.edns
import dns.message
import dns.tsig
import pytest

from authdns.answer.cookies import Cookies
from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.respond import MAX_TCP_OCTETS, NANOSECONDS, PADDING_BLOCK_OCTETS, SIZE_SHIFT, Chaos, Responder
from authdns.wire import name as names
from authdns.wire.query import Query
from authdns.wire.tsig import ALGORITHMS, Key, Signer
from authdns.wire.types import Class, Rcode, Type
from tests.unit.answer.packets import APEX, WWW, below_apex, opt, option, query
from tests.unit.answer.test_respond import table_zone

NOW = 1_800_000_000
KEY = Key(names.from_text("transfer.example."), ALGORITHMS["hmac-sha256"], bytes(32))
PADDING, NSID, COOKIE, EXPIRE = option(12), option(3), option(10, bytes(8)), option(9)
ASKED = {
    "an answer": (WWW, Type.A, Class.IN),
    "the SOA": (APEX, Type.SOA, Class.IN),
    "no data": (WWW, Type.MX, Class.IN),
    "no such name": (below_apex(40), Type.A, Class.IN),
    "not ours": (names.from_text("example.org."), Type.A, Class.IN),
    "of the server": (names.from_text("id.server."), Type.TXT, Class.CH),
    "a refused type": (WWW, Type.MAILA, Class.IN),
}


def responder(*, pads: bool = True, tcp: bool = True) -> Responder:
    table = ZoneTable()
    table.publish(APEX, ServedZone(table_zone()))
    made = Responder(table, tcp=tcp, chaos=Chaos("ns1"), cookies=Cookies([bytes(16)]), pads=pads)
    made.keys = {KEY.name: KEY}
    return made


def response_to(packet: bytes, to: Responder) -> bytes:
    response = to.respond(packet, "192.0.2.1", NOW * NANOSECONDS)
    assert isinstance(response, bytes)
    assert sum(to.sizes) == 1
    assert to.sizes[len(response) >> SIZE_SHIFT] == 1
    return response


def options_in(message: dns.message.Message) -> list[int]:
    return [int(each.otype) for each in message.options]


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("options", [PADDING, NSID + PADDING + COOKIE + EXPIRE, EXPIRE + option(12, bytes(100))])
def test_a_response_is_as_long_as_its_blocks(asked: tuple[bytes, int, int], options: bytes) -> None:
    packet = query(*asked, edns=opt(options=options))
    plain = dns.message.from_wire(response_to(packet, responder(pads=False)))
    response = response_to(packet, responder())
    assert len(response) % PADDING_BLOCK_OCTETS == 0
    message = dns.message.from_wire(response)
    assert options_in(message) == [*options_in(plain), 12]
    assert not any(message.options[-1].to_wire() or b"")
    assert (message.rcode(), message.sections) == (plain.rcode(), plain.sections)


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_signed_response_is_as_long_as_its_blocks(
    asked: tuple[bytes, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dns.message.time.time", lambda: NOW)
    signer = Signer(KEY, b"", NOW)
    packet = signer.sign(query(*asked, edns=opt(options=PADDING + COOKIE + EXPIRE)), NOW)
    response = response_to(packet, responder())
    assert len(response) % PADDING_BLOCK_OCTETS == 0
    theirs = dns.tsig.Key("transfer.example.", KEY.secret, "hmac-sha256.")
    message = dns.message.from_wire(response, keyring=theirs, request_mac=signer.mac)
    assert message.had_tsig
    assert options_in(message)[-1] == 12


def test_what_is_handed_over_is_padded_as_well() -> None:
    to = responder()
    packet = query(APEX, Type.AXFR, edns=opt(options=PADDING + EXPIRE))
    handed = to.respond(packet, "192.0.2.1", NOW * NANOSECONDS)
    assert isinstance(handed, Query)
    assert len(to.refuse(packet, handed, Rcode.REFUSED)) == PADDING_BLOCK_OCTETS
    assert len(to.soa_alone(packet, handed)) % PADDING_BLOCK_OCTETS == 0


def test_nobody_else_gets_any() -> None:
    for packet, to in (
        (query(WWW, edns=opt(options=PADDING)), responder(pads=False)),
        (query(WWW, edns=opt(options=PADDING)), responder(pads=False, tcp=False)),
        (query(WWW, edns=opt()), responder()),
        (query(WWW, edns=opt(options=NSID)), responder()),
        (query(WWW), responder()),
        (query(WWW, edns=opt(version=1, options=PADDING)), responder()),
    ):
        response = response_to(packet, to)
        assert len(response) < PADDING_BLOCK_OCTETS
        assert 12 not in options_in(dns.message.from_wire(response))


def test_every_length_fits_a_block() -> None:
    """Questions of all lengths: however much is missing, it is filled; also where nothing is missing."""
    missing = set()
    for octets in range(len(APEX) + 2, 256):
        packet = query(below_apex(octets), edns=opt(options=PADDING))
        response = response_to(packet, responder())
        assert len(response) % PADDING_BLOCK_OCTETS == 0
        assert len(response) <= MAX_TCP_OCTETS
        missing.add(dns.message.from_wire(response).options[-1].to_wire())
    assert len(missing) > 100
