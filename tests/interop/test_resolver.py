"""unbound resolves through the server: every kind of answer, understood by a strict reader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.conftest import Serve
from tests.interop.zones import CHILD, EXAMPLE_COM, EXAMPLE_NET, write
from tests.peers import Dig, NameServer, Unbound, Zone, dig, requires

pytestmark = requires("unbound", "dig")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, serve_all: Serve) -> NameServer:
    folder = tmp_path_factory.mktemp("zones")
    return serve_all(
        [
            Zone("example.com", write(folder / "example.com.zone", EXAMPLE_COM, "example.com", 1)),
            Zone("example.net", write(folder / "example.net.zone", EXAMPLE_NET, "example.net", 1)),
        ]
    )


@pytest.fixture(scope="module", params=[False, True], ids=["resolving", "forwarding"])
def resolver(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, server: NameServer
) -> Iterator[NameServer]:
    zones = [Zone(name, primary=server.endpoint) for name in ("example.com", "example.net")]
    with Unbound(tmp_path_factory.mktemp("unbound"), zones, forward=bool(request.param)) as unbound:
        yield unbound


def without_ttl(lines: list[str]) -> set[str]:
    """`owner type rdata` of each line of a section."""
    return {" ".join((owner, rdtype, rdata)) for owner, _, _, rdtype, rdata in (line.split(" ", 4) for line in lines)}


def assert_answer(found: Dig, *records: str) -> None:
    assert found.status == "NOERROR", found.text
    assert without_ttl(found.answer) == set(records), found.text


def test_plain(resolver: NameServer) -> None:
    assert_answer(
        dig(resolver.endpoint, "www.example.com", "A"),
        "www.example.com. A 192.0.2.80",
        "www.example.com. A 192.0.2.81",
    )
    assert_answer(dig(resolver.endpoint, "example.com", "MX"), "example.com. MX 10 mail.example.com.")
    assert_answer(dig(resolver.endpoint, "a.b.deep.example.com"), "a.b.deep.example.com. A 192.0.2.50")


def test_an_answer_larger_than_a_datagram(resolver: NameServer) -> None:
    found = dig(resolver.endpoint, "big.example.com", "TXT", "+tcp")
    assert found.status == "NOERROR"
    assert len(found.answer) == 4


def test_wildcard(resolver: NameServer) -> None:
    assert_answer(dig(resolver.endpoint, "any.wild.example.com"), "any.wild.example.com. A 192.0.2.99")
    assert_answer(dig(resolver.endpoint, "x.y.wild.example.com"), "x.y.wild.example.com. A 192.0.2.99")
    assert_answer(dig(resolver.endpoint, "here.wild.example.com"), "here.wild.example.com. A 192.0.2.98")
    assert_answer(dig(resolver.endpoint, "here.wild.example.com", "TXT"))  # the name exists: no wildcard
    assert_answer(dig(resolver.endpoint, "any.example.net", "MX"), "any.example.net. MX 10 mail.example.net.")


def test_cname_chain(resolver: NameServer) -> None:
    assert_answer(
        dig(resolver.endpoint, "one.example.com", "AAAA"),
        "one.example.com. CNAME two.example.com.",
        "two.example.com. CNAME three.example.com.",
        "three.example.com. CNAME www.example.com.",
        "www.example.com. AAAA 2001:db8::80",
    )


def test_cname_into_another_zone(resolver: NameServer) -> None:
    assert_answer(
        dig(resolver.endpoint, "away.example.com"),
        "away.example.com. CNAME www.example.net.",
        "www.example.net. A 198.51.100.80",
    )


def test_cname_to_nothing(resolver: NameServer) -> None:
    found = dig(resolver.endpoint, "dangling.example.com")
    assert found.status == "NXDOMAIN"
    assert without_ttl(found.answer) == {"dangling.example.com. CNAME nothing.example.com."}


def test_nxdomain_and_nodata(resolver: NameServer) -> None:
    for name, rdtype, status in (
        ("nothing.example.com", "A", "NXDOMAIN"),
        ("below.nothing.example.com", "A", "NXDOMAIN"),
        ("www.example.com", "MX", "NOERROR"),
        ("deep.example.com", "A", "NOERROR"),  # an empty non-terminal exists
        ("b.deep.example.com", "A", "NOERROR"),
    ):
        found = dig(resolver.endpoint, name, rdtype)
        assert found.status == status, found.text
        assert found.answer == []
        assert [line.split()[3] for line in found.authority] == ["SOA"], found.text
        assert int(found.authority[0].split()[1]) <= 300  # RFC 2308 section 5: not longer than the SOA's minimum


def test_dname(resolver: NameServer) -> None:
    assert_answer(
        dig(resolver.endpoint, "host.old.example.com"),
        "old.example.com. DNAME new.example.com.",
        "host.old.example.com. CNAME host.new.example.com.",
        "host.new.example.com. A 192.0.2.90",
    )
    assert dig(resolver.endpoint, "nothing.old.example.com").status == "NXDOMAIN"


def test_delegation(tmp_path: Path, serve: Serve, stack: ExitStack, address_with_port_53: str) -> None:
    """unbound is sent from the parent to the child by referral and glue, and back by a CNAME."""
    child_zone = write(tmp_path / "child.zone", CHILD, "child.example.com", 1, child=address_with_port_53)
    child = serve([Zone("child.example.com", child_zone)], address=address_with_port_53, port=53)
    parent_zone = write(tmp_path / "example.com.zone", EXAMPLE_COM, "example.com", 1, child=child.address)
    parent = serve([Zone("example.com", parent_zone)])

    found = dig(parent.endpoint, "host.child.example.com", "+norec")
    assert found.status == "NOERROR"
    assert "aa" not in found.flags
    assert found.answer == []
    assert without_ttl(found.authority) == {"child.example.com. NS ns.child.example.com."}
    assert without_ttl(found.additional) == {f"ns.child.example.com. A {child.address}"}

    zones = [Zone("example.com", primary=parent.endpoint)]
    resolver = stack.enter_context(Unbound(tmp_path / "unbound", zones))
    assert_answer(dig(resolver.endpoint, "host.child.example.com"), "host.child.example.com. A 203.0.113.7")
    assert_answer(
        dig(resolver.endpoint, "alias.child.example.com", "AAAA"),
        "alias.child.example.com. CNAME www.example.com.",
        "www.example.com. AAAA 2001:db8::80",
    )
    assert dig(resolver.endpoint, "nothing.child.example.com").status == "NXDOMAIN"
