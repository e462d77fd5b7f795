"""Zone transfer as secondaries and strangers see it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers import Authdns, Zone, dig, requires
from tests.scenario.conftest import Serve
from tests.scenario.tools import (
    Tcp,
    addresses_of,
    ixfr_question,
    opened,
    over_udp,
    parsed,
    question,
    rcode,
    write_zone,
)

NOERROR, FORMERR, REFUSED, NOTAUTH = 0, 1, 5, 9
RECORDS = 20_000
TEXT = " ".join(['"' + "x" * 225 + '"'] * 2)  # about 9 MB in all: more than the buffers on the way hold


def large(path: Path, serial: int) -> Path:
    return write_zone(path, serial, f"www A 192.0.2.{serial}", *(f"h{i} {serial} TXT {TEXT}" for i in range(RECORDS)))


@pytest.fixture(scope="module")
def server(serve_all: Serve, tmp_path_factory: pytest.TempPathFactory) -> Authdns:
    """The serial of example.com is 5; 127.0.0.1 may transfer it."""
    file = write_zone(tmp_path_factory.mktemp("zones") / "example.com.zone", 5, "www A 192.0.2.80")
    closed = write_zone(file.with_name("closed.example.zone"), 1)
    ruled = {"zone": "ruled.example", "file": str(closed), "allow-transfer": ["127.0.9.0/24", "10.0.0.1"]}
    return serve_all(
        [
            Zone("example.com", file),
            {"zone": "closed.example", "file": str(closed), "notify-ns": False},
            {**ruled, "notify-ns": False},
        ]
    )


@pytest.mark.parametrize("number", [1, 12])
def test_a_transfer_is_of_one_version_although_the_zone_is_edited_meanwhile(
    serve: Serve, tmp_path: Path, number: int
) -> None:
    """The readers are slow; more of them than transfers at once (10) means that some wait for the others."""
    file = large(tmp_path / "example.com.zone", 1)
    server = serve([Zone("example.com", file)])
    with ExitStack() as stack:
        clients = [stack.enter_context(Tcp(server.endpoint, receive_buffer=8192)) for _ in range(number)]
        for client in clients:
            client.ask(question("example.com", "AXFR"))
        begun = [(client, client.message()) for client in clients[:10]]
        large(file, 2)
        server.wait_until_serving("example.com", 2, seconds=30)
        assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.2"}
        for client, first in begun:
            messages = [first, *client.transfer_after(first)]
            assert sum(int.from_bytes(message[6:8], "big") for message in messages) == RECORDS + 7
            for message in (messages[0], messages[len(messages) // 2], messages[-1]):
                for rrset in parsed(message).answer:
                    name, text = rrset.name.to_text(), rrset[0].to_text()
                    assert rrset.ttl == (1 if name.startswith("h") else 300)
                    assert name != "www.example.com." or text == "192.0.2.1"
                    assert rrset.rdtype.name != "SOA" or text.split()[2] == "1"
        for client in clients[10:]:
            soa = parsed(client.transfer()[0]).answer[0][0].to_text()
            assert soa.split()[2] == "1", "what was asked for at that time"


def test_a_transfer_is_denied_by_default_and_the_log_says_why(server: Authdns) -> None:
    mark = server.log_mark()
    with Tcp(server.endpoint) as client:
        for rdtype in ("AXFR", "IXFR"):
            assert rcode(client.ask(question("closed.example", rdtype)).message()) == REFUSED
            server.wait_for_log(
                rf"client 127\.0\.0\.1#\d+: zone transfer 'closed\.example/{rdtype}/IN' denied: no rule for IPv4", mark
            )
        assert rcode(client.ask(question("ruled.example", "AXFR")).message()) == REFUSED
        server.wait_for_log(r"no rule allows 127\.0\.0\.1; the nearest is 127\.0\.9\.0/24 \(.*allow-transfer", mark)
        assert rcode(client.ask(question("not.example", "AXFR")).message()) == NOTAUTH
        server.wait_for_log(r"'not\.example/AXFR/IN' denied: it is not one of our zones", mark)
    with Tcp(server.endpoint, source="127.0.9.7") as client:
        assert len(client.ask(question("ruled.example", "AXFR")).transfer()) == 1


def test_ixfr_gets_the_soa_if_up_to_date_and_the_zone_if_not(server: Authdns) -> None:
    with Tcp(server.endpoint) as client:
        for serial in (5, 6, 5 + 2**31 - 1):
            message = parsed(client.ask(ixfr_question("example.com", serial)).message())
            assert [rrset.rdtype.name for rrset in message.answer] == ["SOA"]
        for serial in (4, 0, 4_000_000_000):
            (whole,) = client.ask(ixfr_question("example.com", serial)).transfer()
            types = [rrset.rdtype.name for rrset in parsed(whole).answer]
            assert len(types) == 7
            assert (types[0], types[-1]) == ("SOA", "SOA")


def test_over_udp_ixfr_gets_the_soa_and_axfr_an_error(server: Authdns) -> None:
    message = parsed(over_udp(server.endpoint, ixfr_question("example.com", 1)))
    assert [rrset.rdtype.name for rrset in message.answer] == ["SOA"]
    assert rcode(over_udp(server.endpoint, question("example.com", "AXFR"))) == FORMERR
    assert rcode(over_udp(server.endpoint, ixfr_question("closed.example", 1))) == REFUSED


def test_many_transfers_over_one_connection(server: Authdns) -> None:
    with Tcp(server.endpoint) as client:
        client.ask(*(question("example.com", "AXFR", ident) for ident in range(30)))
        assert [int.from_bytes(client.transfer()[0][:2], "big") for _ in range(30)] == list(range(30))


def test_transfers_lined_up_without_end_end_the_connection(serve: Serve, tmp_path: Path) -> None:
    server = serve([Zone("example.com", large(tmp_path / "example.com.zone", 1))])
    with Tcp(server.endpoint, receive_buffer=4096) as client:
        client.ask(*(question("example.com", "AXFR", ident) for ident in range(100)))
        client.wait_until_closed()
    with opened(server.endpoint, 3) as others:
        for other in others:
            assert len(other.ask(question("example.com", "AXFR")).transfer()) > 100


@requires("dig")
def test_a_transfer_signed_with_an_unknown_key_is_notauth_with_badkey(server: Authdns) -> None:
    found = dig(server.endpoint, "-y", "hmac-sha256:nobody:AAAAAAAAAAAAAAAAAAAAAA==", "example.com", "AXFR")
    assert "BADKEY" in found.text
    assert not any(" SOA " in record for record in found.records)
