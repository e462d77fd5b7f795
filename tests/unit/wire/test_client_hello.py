"""The protocols in a ClientHello: of real ones, of those cut off or into pieces, and of what is none."""

from __future__ import annotations

import contextlib
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authdns.wire.client_hello import MAX_HELLO_OCTETS, MAX_RECORDS, Incomplete, Unreadable, offered_protocols


def hello(*protocols: str, name: str | None = "ns1.example.com") -> bytes:
    """As OpenSSL sends it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(list(protocols))
    sent = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return sent.read()


def in_records(octets: bytes, number: int) -> bytes:
    """The same message, cut into so many records of about the same size."""
    message = octets[5:]
    step = -(-len(message) // number)
    parts = [message[at : at + step] for at in range(0, len(message), step)]
    return b"".join(octets[:3] + len(part).to_bytes(2, "big") + part for part in parts)


DOT = hello("dot")
MANY = hello("h2", "http/1.1", "dot")


def test_what_openssl_sends() -> None:
    assert offered_protocols(DOT) == (b"dot",)
    assert offered_protocols(MANY) == (b"h2", b"http/1.1", b"dot")
    assert offered_protocols(hello("h2", name=None)) == (b"h2",)
    assert offered_protocols(hello()) is None


def test_what_comes_behind_it_is_not_looked_at() -> None:
    assert offered_protocols(DOT + b"whatever") == (b"dot",)


def test_every_beginning_is_incomplete() -> None:
    for octets in (MANY, in_records(MANY, 3)):
        for end in range(len(octets)):
            with pytest.raises(Incomplete):
                offered_protocols(octets[:end])


def test_it_may_be_cut_into_records() -> None:
    for number in range(1, MAX_RECORDS + 1):
        assert offered_protocols(in_records(MANY, number)) == (b"h2", b"http/1.1", b"dot")
    with pytest.raises(Unreadable):
        offered_protocols(in_records(MANY, MAX_RECORDS + 2))


@pytest.mark.parametrize(
    "octets",
    [
        b"\0\x1d\0\1",  # DNS over TCP, without TLS
        b"GET / HTTP/1.1\r\n",
        b"\x15\3\1\0\2\2\x28",  # an alert
        b"\x16\3\1\0\4\2\0\0\0",  # a ServerHello
        b"\x16\3\1\0\4\1\0\x40\0",  # a ClientHello that is to become larger than any
        b"\x16\3\1\0\4\1\0\0\0",  # one without anything in it
        b"\x16\3\1\0\0" * MAX_RECORDS,  # records without anything in them
        b"\x16\3\1\xff\xff\1\0\xff\xff",
    ],
)
def test_what_is_none(octets: bytes) -> None:
    with pytest.raises(Unreadable):
        offered_protocols(octets)


def test_extensions_that_are_cut_off_inside() -> None:
    at = DOT.index(b"\0\x10\0\6\0\4\3dot")
    for offset, octet in ((2, 250), (5, 250), (6, 250)):
        broken = DOT[: at + offset] + bytes((octet,)) + DOT[at + offset + 1 :]
        with pytest.raises(Unreadable):
            offered_protocols(broken)


@given(
    st.one_of(
        st.binary(max_size=400),
        st.builds(
            lambda at, new, end: (MANY[:at] + new + MANY[at + len(new) :])[:end],
            st.integers(0, len(MANY) - 1),
            st.binary(min_size=1, max_size=4),
            st.integers(len(MANY) // 2, len(MANY)),
        ),
    )
)
def test_whatever_comes(octets: bytes) -> None:
    try:
        found = offered_protocols(octets)
    except (Incomplete, Unreadable):
        return
    assert found is None or all(len(each) <= 255 for each in found)


@pytest.mark.parametrize("size", [0x3FFF, 0x800, 0x400, 1])
def test_nobody_waits_for_more_than_the_limit(size: int) -> None:
    """The largest possible message, in large records and in small ones: from some octet on it is no longer Incomplete,
    and that octet comes before the limit."""
    body = b"\1" + (MAX_HELLO_OCTETS - 4).to_bytes(3, "big") + bytes(2 * MAX_HELLO_OCTETS)
    parts = (body[at : at + size] for at in range(0, len(body), size))
    octets = b"".join(b"\x16\3\1" + len(part).to_bytes(2, "big") + part for part in parts)
    limit = MAX_HELLO_OCTETS + 5 * (MAX_RECORDS + 1)
    with pytest.raises(Incomplete):
        offered_protocols(octets[:5])
    with contextlib.suppress(Unreadable):
        assert offered_protocols(octets[:limit]) is None
