"""TSIG at the running server: who must sign, what a reload changes, and what of it is logged."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import dns.message
import dns.tsig
import pytest

from authdns.wire import name as names
from authdns.wire.tsig import ALGORITHMS, Key, Signer
from tests.peers import Authdns
from tests.scenario.conftest import Serve
from tests.scenario.tools import (
    Tcp,
    hosts,
    ixfr_question,
    over_udp,
    parsed,
    question,
    rcode,
    write_zone,
)

NOERROR, REFUSED, NOTAUTH = 0, 5, 9


def key(name: str, secret: bytes = b"0123456789abcdef") -> Key:
    return Key(names.from_text(f"{name}."), ALGORITHMS["hmac-sha256"], secret)


def theirs(ours: Key) -> dns.tsig.Key:
    return dns.tsig.Key(names.to_text(ours.name), ours.secret, "hmac-sha256.")


ONE, TWO = key("one"), key("two", b"another secret!!")
KEYS = {str(each): {"secret": base64.b64encode(each.secret).decode()} for each in (ONE, TWO)}
ALLOWED: dict[str, list[Any]] = {
    "both.example": [{"address": "127.0.0.1", "key": "one"}],
    "key.example": [{"key": "one"}],
    "either.example": ["127.0.0.1", {"key": "one"}],
    "elsewhere.example": [{"address": "192.0.2.0/24", "key": "one"}],
    "nobody.example": [],
}


def signed(wire: bytes, by: Key, shift: int = 0) -> tuple[bytes, bytes]:
    """(the request, its MAC)."""
    now = int(time.time()) + shift
    signer = Signer(by, b"", now)
    return signer.sign(wire, now), signer.mac


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    file = write_zone(tmp_path_factory.mktemp("zones") / "z.zone", 5, *hosts(1000))
    return [
        {"zone": name, "file": str(file), "allow-transfer": allowed, "notify-ns": False}
        for name, allowed in ALLOWED.items()
    ]


@pytest.fixture(scope="module")
def server(serve_all: Serve, zones: list[dict[str, Any]]) -> Authdns:
    return serve_all(zones, keys=KEYS)


@pytest.mark.parametrize("zone", ALLOWED)
@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("by", [None, ONE, TWO])
def test_every_combination_of_address_and_key(server: Authdns, zone: str, source: str, by: Key | None) -> None:
    wire, mac = question(zone, "AXFR"), b""
    if by is not None:
        wire, mac = signed(wire, by)
    here, has_one = source == "127.0.0.1", by is ONE
    allowed = {
        "both.example": here and has_one,
        "key.example": has_one,
        "either.example": here or has_one,
        "elsewhere.example": False,
        "nobody.example": False,
    }[zone]
    with Tcp(server.endpoint, source=source) as tcp:
        tcp.ask(wire)
        first = tcp.message()
        assert rcode(first) == (NOERROR if allowed else REFUSED)
        messages = [first]
        if allowed:
            if by is None:
                messages += tcp.transfer_after(first)
            else:
                while len(messages) < 3:
                    messages.append(tcp.message())
    if by is None:
        assert all(parsed_unsigned(message) for message in messages)
        return
    context = None
    for message in messages:
        read = dns.message.from_wire(
            message, keyring=theirs(by), request_mac=mac, tsig_ctx=context, multi=True, one_rr_per_rrset=True
        )
        assert read.had_tsig
        context = read.tsig_ctx


def parsed_unsigned(message: bytes) -> bool:
    return not parsed(message).had_tsig


def test_ixfr_by_udp_is_signed_and_needs_the_key(server: Authdns) -> None:
    wire, mac = signed(ixfr_question("both.example", 5), ONE)
    message = dns.message.from_wire(over_udp(server.endpoint, wire), keyring=theirs(ONE), request_mac=mac)
    assert message.rcode() == NOERROR
    assert message.had_tsig
    assert len(message.answer) == 1
    assert rcode(over_udp(server.endpoint, ixfr_question("both.example", 5))) == REFUSED


def test_refusals_are_logged_with_what_was_missing(serve: Serve, zones: list[dict[str, Any]]) -> None:
    server = serve(zones, keys=KEYS)  # of its own: strangers cause few lines a second
    mark = server.log_mark()
    for wire in (
        question("both.example", "IXFR"),
        signed(question("both.example", "IXFR"), TWO)[0],
        signed(question("elsewhere.example", "IXFR"), ONE)[0],
        signed(question("www.both.example"), key("none"))[0],
        signed(question("www.both.example"), key("one", b"x"))[0],
        signed(question("www.both.example"), ONE, -1000)[0],
    ):
        assert rcode(over_udp(server.endpoint, wire)) in (REFUSED, NOTAUTH)
    for said in (
        r"'both\.example/IXFR/IN' denied: the address matches 127\.0\.0\.1/32 .*, but it must be signed with key one$",
        r"must be signed with key one, not two$",
        r"signed with key one, but no rule allows that from 127\.0\.0\.1; the nearest is 192\.0\.2\.0/24 with key one",
        r"client 127\.0\.0\.1: 'www\.both\.example/A': TSIG refused: there is no key none$",
        r"TSIG refused: the MAC is not that of key one: the secrets differ",
        r"TSIG refused: signed with key one, but its clock and ours differ by -100\d s, and 300 s are allowed$",
    ):
        server.wait_for_log(said, since=mark)


def test_a_large_zone_takes_several_signed_messages_that_dnspython_verifies(server: Authdns) -> None:
    wire, mac = signed(question("key.example", "AXFR"), ONE)
    records = messages = soas = 0
    context = None
    with Tcp(server.endpoint) as tcp:
        tcp.ask(wire)
        while soas < 2:
            read = dns.message.from_wire(
                tcp.message(),
                keyring=theirs(ONE),
                request_mac=mac,
                tsig_ctx=context,
                multi=True,
                one_rr_per_rrset=True,
            )
            assert read.had_tsig
            context = read.tsig_ctx
            soas += sum(rrset.rdtype == 6 for rrset in read.answer)
            records += len(read.answer)
            messages += 1
    assert messages > 2
    assert records == 2000 + 6


def test_a_reload_changes_keys(serve: Serve, tmp_path: Path) -> None:
    file = write_zone(tmp_path / "z.zone", 5)
    secret = tmp_path / "secret"
    secret.write_text(base64.b64encode(ONE.secret).decode())
    zones = [{"zone": "z.example", "file": str(file), "allow-transfer": [{"key": "one"}], "notify-ns": False}]
    server = serve(zones, keys={"one": {"secret-file": str(secret)}})

    def asked(by: Key) -> int:
        return rcode(over_udp(server.endpoint, signed(ixfr_question("z.example", 5), by)[0]))

    new = key("one", b"a secret of today")
    assert (asked(ONE), asked(new)) == (NOERROR, NOTAUTH)
    secret.write_text(base64.b64encode(new.secret).decode())
    mark = server.log_mark()
    server.reload()
    server.wait_for_log("the configuration was read again", since=mark)
    assert (asked(ONE), asked(new)) == (NOTAUTH, NOERROR)
    secret.unlink()
    mark = server.log_mark()
    server.reload()
    server.wait_for_log("key one: .*; the secret that was read before stays", since=mark)
    assert asked(new) == NOERROR
    assert base64.b64encode(new.secret).decode() not in server.log_text()


def test_an_incremental_transfer_is_signed_too(serve: Serve, tmp_path: Path) -> None:
    file = write_zone(tmp_path / "z.zone", 5, *hosts(50))
    zone = {"zone": "z.example", "file": str(file), "allow-transfer": [{"key": "one"}], "notify-ns": False}
    server = serve([zone], keys=KEYS)
    write_zone(file, 6, *hosts(50), "new A 192.0.2.6")
    server.wait_until_serving("z.example", 6)
    wire, mac = signed(ixfr_question("z.example", 5), ONE)
    with Tcp(server.endpoint) as tcp:
        by_tcp = tcp.ask(wire).message()
    for response in (over_udp(server.endpoint, wire), by_tcp):
        message = dns.message.from_wire(response, keyring=theirs(ONE), request_mac=mac, one_rr_per_rrset=True)
        assert message.had_tsig
        assert [int(rrset.rdtype) for rrset in message.answer] == [6, 6, 6, 1, 6]
