"""Addresses, prefixes and names, and what people write instead of them."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authdns.config import BadValue, Endpoint, parse_domain, parse_endpoint, parse_network


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("192.0.2.1", "192.0.2.1:53"),
        ("192.0.2.1:5353", "192.0.2.1:5353"),
        ("::", "[::]:53"),
        ("2001:db8::1", "[2001:db8::1]:53"),
        ("[::1]", "[::1]:53"),
        ("[::1]:5353", "[::1]:5353"),
        ("::ffff:192.0.2.1", "192.0.2.1:53"),
    ],
)
def test_an_endpoint(text: str, shown: str) -> None:
    assert str(parse_endpoint(text)) == shown


@given(st.ip_addresses(), st.integers(1, 65535))
@settings(deadline=None)
def test_an_endpoint_reads_back_what_it_shows(host: IPv4Address | IPv6Address, port: int) -> None:
    plain = (isinstance(host, IPv6Address) and host.ipv4_mapped) or host
    endpoint = Endpoint(plain, port)
    assert parse_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("*", 'for every address write "0.0.0.0:53" and "[::]:53"'),
        ("*:5353", 'for every address write "0.0.0.0:5353" and "[::]:5353"'),
        (":5353", 'for every address write "0.0.0.0:5353" and "[::]:5353"'),
        ("5353", 'for every address write "0.0.0.0:5353" and "[::]:5353"'),
        ("192.0.2.1#5353", 'write "192.0.2.1:5353"'),
        ("::1@5353", 'write "[::1]:5353"'),
        ("192.0.2.1 port 5353", 'write "192.0.2.1:5353"'),
        ("localhost:5353", 'write "127.0.0.1:5353" and "[::1]:5353"'),
        ("192.0.2.0/24", "a prefix stands for many addresses; one is needed here"),
        ("192.0.2.1, 192.0.2.2", "one entry holds one address"),
        ("ns1.example.com", 'such as "192.0.2.1"'),
        ("192.0.2.1:", 'such as "192.0.2.1"'),
        ("192.0.2.1:٥٣", 'such as "192.0.2.1"'),
        ("[192.0.2.1]:53", 'such as "192.0.2.1"'),
        ("", 'such as "192.0.2.1"'),
    ],
)
def test_what_is_no_endpoint_says_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse_endpoint(text, listening=True)
    assert str(caught.value).startswith(f"expected an address with or without a port, found `{text}`; {hint}")


def test_a_target_is_never_every_address() -> None:
    for text in ("*", ":5353"):
        with pytest.raises(BadValue, match="such as"):
            parse_endpoint(text)


def test_a_port_has_its_range() -> None:
    for text in ("192.0.2.1:0", "192.0.2.1:65536"):
        with pytest.raises(BadValue, match="expected a port from 1 to 65535"):
            parse_endpoint(text)
    assert parse_endpoint("192.0.2.1:0", listening=True) == Endpoint(ip_address("192.0.2.1"), 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("192.0.2.1/24", "did you mean 192.0.2.0/24?"),
        ("!192.0.2.1", "nothing can be excluded, what is not listed is refused"),
        ("192.0.2.1:53", "there is no port here, clients use any"),
        ("192.0.2.1; 192.0.2.2;", "one entry holds one address; write several as a list: [a, b]"),
        ("192.0.2.300", "such as 192.0.2.1, 192.0.2.0/24"),
        ("::ffff:192.0.2.1", "IPv4 clients are seen with their IPv4 address; write 192.0.2.1"),
    ],
)
def test_what_is_no_network_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse_network(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("example.com", b"\x07example\x03com\0"),
        ("Example.COM.", b"\x07Example\x03COM\0"),
        (".", b"\0"),
        ("_tcp.bücher.example", b"\x04_tcp\x0dxn--bcher-kva\x07example\0"),
        ("BÜCHER。example", b"\x0dxn--bcher-kva\x07example\0"),
    ],
)
def test_a_domain(text: str, wire: bytes) -> None:
    assert parse_domain(text) == wire


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a domain name"),
        ("@", "expected a domain name"),
        ("exam ple.com", "expected a domain name"),
        ("example..com", "two dots follow each other"),
        ("a" * 64, "a label is 64 octets long"),
        ("☃-.example☃\u0378", "expected a domain name"),
        ("192.0.2.0/24", "its reverse zone is 2.0.192.in-addr.arpa"),
        ("192.0.2.1", "its reverse zone is 1.2.0.192.in-addr.arpa"),
        ("2001:db8::/32", "its reverse zone is 8.b.d.0.1.0.0.2.ip6.arpa"),
        ("fe80::1%eth0/64", "its reverse zone is 0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa"),
    ],
)
def test_what_is_no_domain_says_why(text: str, message: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse_domain(text)
    assert message in str(caught.value)


@given(st.text())
@settings(deadline=None)
def test_no_text_makes_a_parser_fail_otherwise(text: str) -> None:
    for parse in (parse_endpoint, parse_network, parse_domain):
        try:
            parse(text)
        except BadValue:
            pass
