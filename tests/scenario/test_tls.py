"""DNS over TLS (RFC 7858) and zone transfers over TLS (RFC 9103), with real clients and hostile ones."""

from __future__ import annotations

import os
import socket
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from authdns.server import tcp
from tests.peers import Authdns, Endpoint, Zone, dig, free_port, requires, wait_until
from tests.peers.certificates import Certificate, make
from tests.peers.validators import kdig
from tests.scenario.conftest import Serve
from tests.scenario.test_process import ended
from tests.scenario.tools import (
    SECONDS,
    LocalServer,
    Tcp,
    Tls,
    addresses_of,
    framed,
    ident,
    ixfr_question,
    memory_of,
    over_udp,
    question,
    rcode,
    trusting,
    write_zone,
)

NOERROR, REFUSED = 0, 5
BIG_RECORDS = 20_000
WWW = question("www.example.com")
AXFR = question("example.com", "AXFR")


@dataclass(frozen=True)
class Certificates:
    """`ns3` is signed by nobody who is believed."""

    ca: Certificate
    server: Certificate
    ns2: Certificate
    wildcard: Certificate
    ns3: Certificate

    def settings(self, at: Endpoint) -> dict[str, Any]:
        return {
            "listen": [str(at)],
            "certificate": str(self.server.certificate),
            "private-key": str(self.server.private_key),
            "client-certificates": str(self.ca.certificate),
        }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def certificates(folder: Path) -> Certificates:
    ca = make(folder, "ca", ca=True)
    return Certificates(
        ca,
        make(folder, "ns1.example.com", issuer=ca),
        make(folder, "ns2.example.net", issuer=ca, names=("x.example.net", "NS2.example.net")),
        make(folder, "wildcard", issuer=ca, names=("*.example.net",)),
        make(folder, "ns3", names=("ns2.example.net",)),
    )


@pytest.fixture(scope="module")
def file(folder: Path) -> Path:
    return write_zone(folder / "example.com.zone", 1, "www A 192.0.2.80")


@pytest.fixture(scope="module")
def big(folder: Path) -> Path:
    """About 9 MB as a transfer: more than the buffers between server and client hold."""
    text = " ".join(['"' + "x" * 225 + '"'] * 2)
    return write_zone(folder / "big.example.zone", 1, *(f"h{i} TXT {text}" for i in range(BIG_RECORDS)))


@pytest.fixture(scope="module")
def at() -> Endpoint:
    return Endpoint("127.0.0.1", free_port())


@pytest.fixture(scope="module")
def server(serve_all: Serve, certificates: Certificates, file: Path, big: Path, at: Endpoint) -> Authdns:
    """Answers over TLS at `at`. What the zones want of transfers is in their names."""

    def ruled(name: str, rule: dict[str, str]) -> dict[str, Any]:
        return {"zone": name, "file": str(file), "allow-transfer": [rule], "notify-ns": False}

    return serve_all(
        [
            Zone("example.com", file),
            Zone("big.example", big),
            ruled("tls.example", {"address": "127.0.0.1", "tls": "required"}),
            ruled("named.example", {"address": "127.0.0.1", "tls": "ns2.example.net"}),
        ],
        tls=certificates.settings(at),
        tcp={"idle-seconds": 60.0, "per-client": 500},
    )


@pytest.fixture
def local(tmp_path: Path, certificates: Certificates, file: Path, stack: ExitStack) -> Callable[..., LocalServer]:
    """A server in this process, and where it answers over TLS as its attribute `tls`."""

    def start(**more: Any) -> LocalServer:
        place = Endpoint("127.0.0.1", free_port())
        more = {key.replace("_", "-"): value for key, value in more.items()}
        made = LocalServer(tmp_path, [Zone("example.com", file)], more={"tls": certificates.settings(place), **more})
        stack.enter_context(made)
        made.over_tls = place  # type: ignore[attr-defined]
        return made

    return start


def place_of(server: LocalServer) -> Endpoint:
    found: Endpoint = server.over_tls  # type: ignore[attr-defined]
    return found


def answers(client: Tcp) -> bool:
    return rcode(client.ask(WWW).message()) == NOERROR


def logged(server: Authdns, text: str, cause: Callable[[], object]) -> None:
    """Waits for the line, causing it again and again: there are few such lines in a second."""
    mark = server.log_mark()

    def said() -> bool:
        cause()
        return text in server.log_text(mark)

    wait_until(said, f"a log line with {text!r}", SECONDS)


# Queries.


def test_queries(server: Authdns, at: Endpoint, certificates: Certificates) -> None:
    with Tls(at) as client:
        assert (client.socket.version(), client.socket.selected_alpn_protocol()) == ("TLSv1.3", "dot")
        assert client.certificate == certificates.server.der
        client.ask(*(question("www.example.com", ident=number) for number in range(1000)))
        assert sorted(map(ident, client.messages(1000))) == list(range(1000))
        assert answers(client)
        assert client.socket.session is None or not client.socket.session.has_ticket


def test_a_query_without_alpn_is_answered_and_a_transfer_is_not(server: Authdns, at: Endpoint) -> None:
    """RFC 7858 knows no ALPN; RFC 9103 section 7.1 wants it."""
    with Tls(at, trusting(alpn=())) as client:
        assert client.socket.selected_alpn_protocol() is None
        assert answers(client)
        assert rcode(client.ask(AXFR).message()) == REFUSED
        assert answers(client)
        logged(server, "denied: over TLS, but without the ALPN token `dot`", lambda: client.ask(AXFR).message())


def test_who_offers_only_other_protocols_is_turned_away(server: Authdns, at: Endpoint) -> None:
    def refused() -> None:
        with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
            Tls(at, trusting(alpn=("h2", "http/1.1")))

    logged(server, "no TLS: by ALPN it offers 'h2', 'http/1.1', and not `dot`", refused)
    with Tls(at, trusting(alpn=("h2", "dot"))) as client:
        assert client.socket.selected_alpn_protocol() == "dot"
        assert answers(client)


def test_no_tls_1_2(server: Authdns, at: Endpoint) -> None:
    old = trusting()
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        Tls(at, old)


def test_every_octet_in_a_record_of_its_own(server: Authdns, at: Endpoint) -> None:
    with Tls(at) as client:
        for octet in framed(WWW) * 20:
            client.send(bytes((octet,)))
        assert [rcode(message) for message in client.messages(20)] == [NOERROR] * 20


def test_who_has_said_goodbye_still_gets_the_answers(server: Authdns, at: Endpoint) -> None:
    """close_notify ends one direction (RFC 8446 section 6.1), as does a FIN."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting().wrap_bio(incoming, outgoing)
    with Tcp(at) as below:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                below.send(outgoing.read())
                incoming.write(below.socket.recv(65536))
        client.write(framed(WWW) * 200)
        with pytest.raises(ssl.SSLWantReadError):
            client.unwrap()
        below.send(outgoing.read()).end()
        while got := below.socket.recv(65536):
            incoming.write(got)
    answered = b""
    with suppress(ssl.SSLZeroReturnError):  # its close_notify; without, this is SSLWantReadError
        while True:
            answered += client.read(65536)
    assert len(answered) == 200 * (2 + len(WWW) + 16)


def test_a_client_that_goes_at_any_time_does_no_harm(server: Authdns, at: Endpoint) -> None:
    with Tls(at) as client:
        client.send(framed(WWW)[:5])
    with Tls(at) as client:
        client.ask(WWW).reset()
    with Tcp(at) as client:
        client.send(b"\x16\3\1\0\xf0\1\0")
    with Tcp(at) as client:
        client.send(b"\x16\3\1\0\xf0\1\0").reset()
    with Tls(at) as client:
        assert answers(client)


@pytest.mark.parametrize(
    "octets",
    [framed(WWW), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\3\1\0\4\1\0\0\0", bytes(20_000)],
    ids=["DNS", "HTTP", "an empty hello", "zeros"],
)
def test_what_is_no_tls(server: Authdns, at: Endpoint, octets: bytes) -> None:
    def turned_away() -> None:
        with Tcp(at) as client:
            client.send(octets)
            client.wait_until_closed()

    logged(server, "no TLS: ", turned_away)
    assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.80"}


def test_what_is_no_tls_after_the_handshake(server: Authdns, at: Endpoint) -> None:
    with Tls(at) as client:
        assert answers(client)
        with socket.socket(fileno=os.dup(client.socket.fileno())) as below:
            below.send(b"\x17\3\3\0\x20" + bytes(32))
        with pytest.raises((ssl.SSLError, OSError, EOFError)):
            client.message()
    with Tls(at) as client:
        assert answers(client)


def test_padding(server: Authdns, at: Endpoint) -> None:
    padded = question("www.example.com", payload=1232)[:-2] + b"\0\4\0\x0c\0\0"
    with Tls(at) as client:
        assert len(client.ask(padded).message()) == 468
    with Tcp(server.endpoint) as client:
        assert len(client.ask(padded).message()) < 100


# Transfers.


def test_a_transfer_with_queries_in_between(server: Authdns, at: Endpoint) -> None:
    mark = server.log_mark()
    with Tls(at, receive_buffer=8192) as client:
        client.ask(question("big.example", "AXFR"))
        transfer = [client.message()]
        client.ask(question("www.example.com", ident=77))
        while ident(message := client.message()) != 77:
            transfer.append(message)
        assert rcode(message) == NOERROR
        transfer += client.transfer_after(transfer[0])
        assert sum(int.from_bytes(each[6:8], "big") for each in transfer) == BIG_RECORDS + 6
    server.wait_for_log(r"transfer of 'big\.example/IN': AXFR started \(serial 1, TLS\)", since=mark)
    server.wait_for_log(rf"AXFR ended: {BIG_RECORDS + 6} records", since=mark)


def test_readers_that_are_slow_do_not_make_the_server_grow(server: Authdns, at: Endpoint) -> None:
    with ExitStack() as stack:
        before = memory_of(server.pid)
        for _ in range(20):
            client = stack.enter_context(Tls(at, receive_buffer=8192))
            client.ask(*[question("big.example", "AXFR")] * 2)
        assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.80"}
        grown = memory_of(server.pid) - before
        assert grown < 20 * 600 << 10, f"{grown >> 10} KiB"


NONE = "cleartext"


@pytest.mark.parametrize(
    ("zone", "allowed", "reason"),
    [
        ("example.com", {NONE, "tls", "ns2", "wildcard"}, ""),
        ("tls.example", {"tls", "ns2", "wildcard"}, "(zones[2].allow-transfer), but it must come over TLS\n"),
        ("named.example", {"ns2"}, "but it must come over TLS with a client certificate for ns2.example.net\n"),
    ],
)
def test_a_rule_that_wants_tls(
    server: Authdns, at: Endpoint, certificates: Certificates, zone: str, allowed: set[str], reason: str
) -> None:
    def client(how: str) -> Tcp:
        if how == NONE:
            return Tcp(server.endpoint)
        return Tls(at, trusting(None if how == "tls" else getattr(certificates, how)))

    for how in (NONE, "tls", "ns2", "wildcard"):
        for request in (question(zone, "AXFR"), ixfr_question(zone, 0), ixfr_question(zone, 1)):
            mark = server.log_mark()
            with client(how) as asking:
                message = asking.ask(request).message()
            assert rcode(message) == (NOERROR if how in allowed else REFUSED), (how, request)
            assert (message[6:8] != b"\0\0") == (how in allowed), (how, request)
            if how in allowed:
                proof = {NONE: "", "tls": ", TLS", "wildcard": r", TLS as \*\.example\.net"}
                proved = proof.get(how, ", TLS as ns2.example.net and x.example.net")
                server.wait_for_log(rf"\(serial 1{proved}\)", since=mark)
    if NONE not in allowed:
        with client(NONE) as asking:
            logged(server, reason, lambda: asking.ask(question(zone, "AXFR")).message())


def test_no_rule_that_wants_tls_is_met_by_udp(server: Authdns) -> None:
    for zone, expected in (("tls.example", REFUSED), ("named.example", REFUSED), ("example.com", NOERROR)):
        for serial in (0, 1):
            message = over_udp(server.endpoint, ixfr_question(zone, serial))
            assert rcode(message) == expected
            assert (message[6:8] == b"\0\0") == (expected == REFUSED)


def test_a_certificate_that_nobody_vouches_for(server: Authdns, at: Endpoint, certificates: Certificates) -> None:
    def refused() -> None:
        with pytest.raises((ssl.SSLError, OSError, EOFError)), Tls(at, trusting(certificates.ns3)) as client:
            client.ask(question("named.example", "AXFR")).message()

    logged(server, "no TLS: the certificate cannot be verified: ", refused)


@requires("dig")
def test_dig(server: Authdns, at: Endpoint, certificates: Certificates) -> None:
    found = dig(at, "+tls", "www.example.com", "A")
    assert (found.status, found.answer) == ("NOERROR", ["www.example.com. 300 IN A 192.0.2.80"])
    strict = ["+tls", f"+tls-ca={certificates.ca.certificate}", "+tls-hostname=ns1.example.com"]
    assert dig(at, *strict, "www.example.com").status == "NOERROR"
    wrong = [*strict[:-1], "+tls-hostname=ns9.example.com"]
    assert dig(at, *wrong, "www.example.com").status is None
    assert len(dig(at, "+tls", "tls.example", "AXFR").records) == 7
    assert "Transfer failed" in dig(server.endpoint, "tls.example", "AXFR").text
    assert "Transfer failed" in dig(at, "+tls", "named.example", "AXFR").text
    own = [f"+tls-certfile={certificates.ns2.certificate}", f"+tls-keyfile={certificates.ns2.private_key}"]
    assert len(dig(at, *strict, *own, "named.example", "AXFR").records) == 7


@requires("kdig")
def test_kdig(server: Authdns, at: Endpoint, certificates: Certificates) -> None:
    pinned = f"+tls-pin={certificates.server.pin}"
    assert "status: NOERROR" in kdig(at, pinned, "www.example.com")
    assert "TLS session (TLS1.3)" in kdig(at, pinned, "www.example.com")
    assert "status: NOERROR" not in kdig(at, f"+tls-pin={certificates.ns2.pin}", "www.example.com")
    assert "Received 468 B" in kdig(at, "+tls", "+padding", "www.example.com")
    assert "(1 messages, 7 records)" in kdig(at, pinned, "tls.example", "AXFR")
    own = [f"+tls-certfile={certificates.ns2.certificate}", f"+tls-keyfile={certificates.ns2.private_key}"]
    assert "(1 messages, 7 records)" in kdig(at, "+tls", *own, "named.example", "AXFR")
    assert "REFUSED" in kdig(at, "+tls", "named.example", "AXFR")


# Limits.


def test_a_handshake_that_stalls_is_ended(local: Callable[..., LocalServer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "HANDSHAKE_SECONDS", 0.5)
    server = local(tcp={"idle-seconds": 3600.0})
    hello = client_hello()
    with ExitStack() as stack:
        clients = [stack.enter_context(Tcp(place_of(server))) for _ in range(4)]
        for client, sent in zip(clients, (b"", hello[:3], hello[:-1], hello), strict=True):
            client.send(sent)
        patient = stack.enter_context(Tls(place_of(server)))
        for client in clients:
            client.wait_until_closed()
        assert answers(patient), "its handshake is over"
    wait_until(lambda: server.app._counters.tls_handshakes == {"completed": 1, "failed": 4}, "they count")


def client_hello() -> bytes:
    sent = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        trusting().wrap_bio(ssl.MemoryBIO(), sent).do_handshake()
    return sent.read()


def test_an_idle_connection_is_closed(local: Callable[..., LocalServer]) -> None:
    server = local(tcp={"idle-seconds": 0.5})
    with Tls(place_of(server)) as client:
        assert answers(client)
        client.wait_until_closed()


def test_a_message_that_is_begun_must_be_finished_soon(
    local: Callable[..., LocalServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "MESSAGE_SECONDS", 0.5)
    server = local(tcp={"idle-seconds": 3600.0})
    with Tls(place_of(server)) as client:
        assert answers(client)
        client.send(framed(WWW)[:7])
        client.wait_until_closed()


@contextmanager
def strangers(server: tuple[str, int], number: int, source: str) -> Iterator[list[Tcp]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Tcp(server, source=source)) for _ in range(number)]


def test_connections_without_a_handshake_take_places(local: Callable[..., LocalServer]) -> None:
    """Of one client together with those by TCP, and of all."""
    server = local(tcp={"per-client": 3, "connections": 5})
    with strangers(place_of(server), 2, "127.0.0.2"), Tcp(server.endpoint, source="127.0.0.2") as third:
        assert answers(third)
        with Tcp(place_of(server), source="127.0.0.2") as fourth:
            fourth.wait_until_closed()
        with strangers(place_of(server), 2, "127.0.0.3"):
            wait_until(lambda: server.app._counters.tcp_connections == 5, "all places are taken")
            with Tls(place_of(server), source="127.0.0.4") as newcomer:
                assert answers(newcomer)
            assert server.app._counters.tcp_evicted == 1


def test_handshakes_are_paid_for(local: Callable[..., LocalServer], monkeypatch: pytest.MonkeyPatch) -> None:
    """They, and nothing else, use up the time of a client that asks nothing; another has its own."""
    monkeypatch.setattr("authdns.server.guards.TIME_A_SECOND", 10)
    monkeypatch.setattr("authdns.server.guards.TIME_AT_ONCE", 20_000)
    server = local(rate_limit={"exempt": []})

    def shake(source: str) -> bool:
        try:
            with Tls(place_of(server), source=source):
                return True
        except OSError:
            return False

    done = 0
    while shake("127.0.0.2"):
        done += 1
        assert done < 5000
    assert done > 10
    wait_until(lambda: server.app.counts()["tcp_over_time"] >= 1, "it counts")
    assert shake("127.0.0.3")
    assert shake("127.0.0.1"), "it may transfer the zone"


def test_many_handshakes_at_once(server: Authdns, at: Endpoint) -> None:
    """More than there are in a turn: all are done, UDP is answered meanwhile, and memory is bounded."""
    hello = client_hello()
    before = memory_of(server.pid)
    with strangers(at, 300, "127.0.0.1") as clients:
        for client in clients:
            client.send(hello)
        for _ in range(20):
            assert rcode(over_udp(server.endpoint, WWW)) == NOERROR
        for client in clients:
            assert client.socket.recv(5)[:3] == b"\x16\3\3"  # ServerHello
        grown = memory_of(server.pid) - before
        assert grown < 300 * 200 << 10, f"{grown >> 10} KiB"


# Certificates.


def test_a_new_certificate_is_used_without_a_restart_and_a_broken_one_is_not(
    serve: Serve, tmp_path: Path, certificates: Certificates, file: Path
) -> None:
    at = Endpoint("127.0.0.1", free_port())
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificates.server.put(certificate, key)
    settings = {**certificates.settings(at), "certificate": str(certificate), "private-key": str(key)}
    server = serve([Zone("example.com", file)], tls=settings)

    def shown() -> bytes | None:
        with Tls(at) as client:
            assert answers(client)
            return client.certificate

    with Tls(at) as old:
        assert old.certificate == certificates.server.der
        certificates.ns2.put(certificate, key)
        wait_until(lambda: shown() == certificates.ns2.der, "the new one is used", SECONDS)
        server.wait_for_log(f"the certificate was read again: {certificate}")
        assert answers(old), "its connection goes on"
    certificate.write_text("half a certif")
    kept = "expected a certificate in PEM, found none; the certificate that was read before stays in use"
    wait_until(lambda: shown() == certificates.ns2.der and kept in server.log_text(), "it is told", SECONDS)
    assert f"ERROR   tls.certificate: {certificate}: {kept}" in server.log_text()
    certificates.server.put(certificate, key)
    wait_until(lambda: shown() == certificates.server.der, "the right one is used", SECONDS)


def test_what_is_wrong_is_said_at_the_start_and_by_check(
    tmp_path: Path, certificates: Certificates, file: Path
) -> None:
    at = Endpoint("127.0.0.1", free_port())
    server = Authdns(tmp_path / "server", [Zone("example.com", file)])
    missing, other = tmp_path / "missing.pem", certificates.ns2.private_key
    for settings, message in (
        ({"certificate": str(missing)}, f"tls.certificate: cannot read {missing}: No such file or directory"),
        ({"private-key": str(other)}, f"tls.private-key: {other}: it is not the key of the certificate in "),
    ):
        server.more = {"tls": {**certificates.settings(at), **settings}}
        code, output = ended(server)
        assert code == os.EX_CONFIG
        assert "Traceback" not in output
        (line,) = (line for line in output.splitlines() if message in line)
        assert line.startswith(f"authdns: {server.folder / 'authdns.yaml'}:")


def test_a_port_that_is_taken(tmp_path: Path, certificates: Certificates, file: Path, server: Authdns) -> None:
    again = Authdns(tmp_path / "server", [Zone("example.com", file)])
    taken = Endpoint("127.0.0.1", free_port())
    with socket.create_server(taken):
        again.more = {"tls": certificates.settings(taken)}
        code, output = ended(again)
    assert code == os.EX_UNAVAILABLE
    assert f"cannot listen on {taken}: another program uses this port" in output


# Figures, and the end.


def test_metrics(serve: Serve, certificates: Certificates, file: Path) -> None:
    at, metrics = Endpoint("127.0.0.1", free_port()), Endpoint("127.0.0.1", free_port())
    serve([Zone("example.com", file)], tls=certificates.settings(at), metrics={"listen": str(metrics)})
    with Tls(at) as client:
        assert answers(client)
    with Tcp(at) as cleartext:
        cleartext.send(framed(WWW)).wait_until_closed()

    def shown() -> str:
        with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=SECONDS) as page:
            return str(page.read().decode())

    wait_until(lambda: 'tls_handshakes_total{outcome="failed"} 1.0' in shown(), "both are counted", SECONDS)
    text = shown()
    assert 'authdns_tls_handshakes_total{outcome="completed"} 1.0' in text
    assert 'authdns_responses_total{rcode="NOERROR",transport="tls",type="A"} 1.0' in text
    assert 'authdns_responses_total{rcode="NOERROR",transport="tcp"' not in text


def test_connections_end_with_a_goodbye_when_the_server_stops(
    serve: Serve, certificates: Certificates, file: Path
) -> None:
    at = Endpoint("127.0.0.1", free_port())
    server = serve([Zone("example.com", file)], tls=certificates.settings(at))
    with Tls(at) as client, Tcp(at) as silent:
        assert answers(client)
        assert server.sigterm() == 0
        assert client.socket.recv(1) == b"", "close_notify: without it this would be an error"
        silent.wait_until_closed()
