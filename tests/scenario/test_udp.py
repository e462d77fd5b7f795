"""DNS over UDP: where answers come from, how large they may be, and that nothing ends the server."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authdns.answer.respond import Responder
from tests.peers import Authdns, Endpoint, Zone
from tests.scenario.conftest import Serve
from tests.scenario.tools import (
    SECONDS,
    LocalServer,
    Tcp,
    ident,
    over_udp,
    parsed,
    question,
    rcode,
    udp_socket,
    write_zone,
)

NOERROR, FORMERR, SERVFAIL = 0, 1, 2
NUMBERS = range(1, 200, 7)
PAYLOAD = 1232


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = ["www A 192.0.2.80"]
    for number in NUMBERS:
        lines += [f"n{number} A 10.0.{i >> 8}.{i & 255}" for i in range(number)]
        lines += [f't{number} TXT "{i} {"x" * number}"' for i in range(12)]
    return write_zone(tmp_path_factory.mktemp("zones") / "example.com.zone", 1, *lines)


@pytest.fixture(scope="module")
def server(serve_all: Serve, file: Path) -> Authdns:
    return serve_all([Zone("example.com", file)])


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this host has no ::1")


@pytest.fixture
def on(tmp_path: Path, file: Path, stack: ExitStack) -> Callable[..., LocalServer]:
    return lambda address: stack.enter_context(LocalServer(tmp_path, [Zone("example.com", file)], address=address))


def test_a_wildcard_socket_answers_from_the_address_that_was_asked(on: Callable[..., LocalServer]) -> None:
    """The client's sockets are connected, so an answer from another address would not arrive."""
    port = on("0.0.0.0").endpoint.port
    for address in ("127.0.0.5", "127.0.0.1", "127.200.3.4"):
        endpoint = Endpoint(address, port)
        assert rcode(over_udp(endpoint, question("www.example.com"))) == NOERROR
        with Tcp(endpoint) as client:
            assert rcode(client.ask(question("www.example.com")).message()) == NOERROR


@needs_ipv6
@pytest.mark.parametrize("address", ["::1", "::"])
def test_ipv6(on: Callable[..., LocalServer], address: str) -> None:
    endpoint = Endpoint("::1", on(address).endpoint.port)
    assert rcode(over_udp(endpoint, question("www.example.com"))) == NOERROR
    with Tcp(endpoint) as client:
        assert rcode(client.ask(question("www.example.com")).message()) == NOERROR


def test_what_is_no_query_gets_no_answer(server: Authdns) -> None:
    with udp_socket(server.endpoint) as sock:
        for request in (
            b"",
            b"\0",
            question("www.example.com")[:11],
            question("www.example.com", "A", 7, flags=0x8000),
        ):
            sock.send(request)
        sock.send(question("www.example.com", ident=8))
        assert ident(sock.recv(65535)) == 8  # one socket is answered in order
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(65535)


def test_port_0_gets_no_answer(server: Authdns) -> None:
    """Sent as it would come from the network: with a header of our own."""
    wire = question("www.example.com", ident=7)
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    except PermissionError:
        pytest.skip("raw sockets are for root")
    with (
        raw,
        udp_socket(server.endpoint) as sock,
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as all_,
    ):
        raw.bind(("127.0.0.99", 0))
        all_.bind(("127.0.0.99", 0))
        all_.setblocking(False)
        for port in (0, 4242):  # the second shows that such a packet arrives, and that its answer would be seen
            words = (port, server.endpoint.port, 8 + len(wire), 0)
            raw.sendto(b"".join(word.to_bytes(2, "big") for word in words) + wire, server.endpoint)
        sock.send(question("www.example.com", ident=8))
        assert ident(sock.recv(65535)) == 8
        heard = []
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = all_.recv(65535)
                heard.append(packet[20:])  # behind the header of IPv4
        answered = [int.from_bytes(datagram[2:4], "big") for datagram in heard if datagram[10:11] >= b"\x80"]
        assert answered == [4242]


def test_clients_that_are_gone_before_their_answer_comes_harm_nobody(server: Authdns) -> None:
    """The host answers for them with an ICMP error."""
    for _ in range(200):
        with udp_socket(server.endpoint) as sock:
            sock.send(question("www.example.com"))
    assert rcode(over_udp(server.endpoint, question("www.example.com"))) == NOERROR


LONGEST = 65_507  # octets in a datagram by IPv4


def test_datagrams_longer_than_any_query_are_malformed(server: Authdns) -> None:
    plain = question("www.example.com", ident=9)
    behind = plain.ljust(LONGEST, b"\0")
    for octets in (4096, 4097, 5000, LONGEST):
        for wire in (plain.ljust(octets, b"\0"), padded("www.example.com", octets), b"\0\x09".ljust(octets, b"\0")):
            answer = over_udp(server.endpoint, wire)
            expected = NOERROR if octets == 4096 and wire[11] else FORMERR
            assert (ident(answer), rcode(answer)) == (9, expected), (octets, wire[:20])
            assert len(answer) < 100
    with Tcp(server.endpoint) as client:  # which takes what is well-formed, up to its own limit
        assert rcode(client.ask(padded("www.example.com", 65535)).message()) == NOERROR
        assert rcode(client.ask(behind).message()) == FORMERR


def padded(name: str, octets: int) -> bytes:
    """A query of that many octets, most of them an EDNS option that means nothing."""
    wire = question(name, ident=9, payload=1232)
    room = octets - len(wire)
    return wire[:-2] + room.to_bytes(2, "big") + b"\xfd\xe9" + (room - 4).to_bytes(2, "big") + bytes(room - 4)


def test_a_truncated_answer_is_complete_over_tcp(server: Authdns) -> None:
    for payload, limit in ((None, 512), (512, 512), (100, 512), (1000, 1000), (1232, 1232), (65535, PAYLOAD)):
        request = question("t197.example.com", "TXT", payload=payload)
        wire = over_udp(server.endpoint, request)
        assert parsed(wire).flags & dns.flags.TC
        assert len(wire) <= limit
        with Tcp(server.endpoint) as client:
            complete = parsed(client.ask(request).message())
        assert not complete.flags & dns.flags.TC
        assert len(complete.answer) == 12


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from([f"{kind}{number}" for kind in "nt" for number in NUMBERS]),
    payload=st.none() | st.integers(0, 65535) | st.integers(500, 1300),
    rdtype=st.sampled_from(["A", "TXT", "ANY"]),
)
def test_no_answer_is_larger_than_it_may_be(server: Authdns, name: str, payload: int | None, rdtype: str) -> None:
    wire = over_udp(server.endpoint, question(f"{name}.example.com", rdtype, payload=payload))
    assert len(wire) <= (512 if payload is None else min(max(payload, 512), PAYLOAD))
    message = parsed(wire)
    assert rcode(wire) == NOERROR
    if not message.flags & dns.flags.TC:
        with Tcp(server.endpoint) as client:
            assert len(parsed(client.ask(question(f"{name}.example.com", rdtype)).message()).answer) == len(
                message.answer
            )


@pytest.mark.parametrize("identity", ["ns1.example.com", None])
def test_the_configured_identity_is_told_as_nsid_and_in_class_ch(
    serve: Serve, file: Path, identity: str | None
) -> None:
    server = serve([Zone("example.com", file)], identity=identity)
    asking = dns.message.make_query("www.example.com", "A", options=[dns.edns.NSIDOption(b"")]).to_wire()
    chaos = question("id.server", "TXT", rdclass=3)
    with Tcp(server.endpoint) as client:
        for answer in (over_udp(server.endpoint, asking), client.ask(asking).message()):
            told = [option.nsid for option in parsed(answer).options if isinstance(option, dns.edns.NSIDOption)]
            assert told == ([] if identity is None else [identity.encode()])
        for answer in (over_udp(server.endpoint, chaos), client.ask(chaos).message()):
            texts = [rdata.to_text() for rrset in parsed(answer).answer for rdata in rrset]
            assert texts == ([] if identity is None else [f'"{identity}"'])


@pytest.mark.parametrize("rdclass", [1, 3], ids=["Python", "what the engine declines"])
def test_an_error_inside_is_servfail_and_the_server_lives(
    tmp_path: Path, file: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch, rdclass: int
) -> None:
    respond = Responder.respond

    def faulty(self: Responder, request: bytes, host: str, now: int) -> object:
        if b"\4boom" in request:
            raise RuntimeError("boom")
        return respond(self, request, host, now)

    monkeypatch.setattr(Responder, "respond", faulty)
    more = {"engine": "python"} if rdclass == 1 else {}
    server = stack.enter_context(LocalServer(tmp_path, [Zone("example.com", file)], more=more))
    bad, good = question("boom.example.com", ident=5, rdclass=rdclass), question("www.example.com", ident=6)
    with Tcp(server.endpoint) as client:
        for wire in (over_udp(server.endpoint, bad), client.ask(bad).message()):
            assert (ident(wire), rcode(wire)) == (5, SERVFAIL)
        for wire in (over_udp(server.endpoint, good), client.ask(good).message()):
            assert (ident(wire), rcode(wire)) == (6, NOERROR)
    server.wait_for_log(f"a request raised an error; it was: {bad.hex()}", SECONDS)
    assert "RuntimeError: boom" in server.log_text
    assert server.app.counts()["failed"] == 2
