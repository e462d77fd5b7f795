"""The small values of a configuration, from text: addresses with ports, prefixes, domain names.

Each parser raises BadValue with a sentence for the person who wrote the text: what was expected, and, where the
mistake is one that people coming from other servers make, what to write instead. No places here: the caller has them.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

import idna

from authdns.config.problem import quoted
from authdns.wire import name as names

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DNS_PORT = 53
DNS_OVER_TLS_PORT = 853
MAX_PORT = 65535
PIN_OCTETS = 32

_BRACKETED = re.compile(r"\[([^\]]*)\](?::([0-9]{1,5}))?")
# `192.0.2.1#5353` (BIND's logs, dig), `192.0.2.1@5353` (NSD, Knot), `192.0.2.1 port 5353` (named.conf)
_FOREIGN_PORT = re.compile(r"([0-9A-Fa-f:.]+)(?:#|@|\s+port\s+)([0-9]{1,5})")
_ANY_HOST = re.compile(r"\*?:?([0-9]{1,5})?")
_SEVERAL = re.compile(r"[,;\s]")


class BadValue(ValueError):
    """The text does not stand for such a value; the message says what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and a port. `str()` gives `127.0.0.1:5353` or `[::1]:5353`, which `parse_endpoint` reads back."""

    host: Address
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.host.version == 4 else f"[{self.host}]:{self.port}"


def parse_endpoint(text: str, *, default_port: int = DNS_PORT, listening: bool = False) -> Endpoint:
    """`192.0.2.1`, `192.0.2.1:5353`, `::1`, `[::1]` or `[::1]:5353`. Raises BadValue.

    `listening`: port 0 is allowed, the system then chooses one.
    """
    if bracketed := _BRACKETED.fullmatch(text):
        host, port = bracketed[1], bracketed[2]
        if ":" not in host:
            raise _no_endpoint(text, default_port, listening)
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        if not port.isascii() or not port.isdigit() or len(port) > 5:
            raise _no_endpoint(text, default_port, listening)
    else:
        host, port = text, None
    try:
        address = ip_address(host)
    except ValueError:
        raise _no_endpoint(text, default_port, listening) from None
    number = default_port if port is None else int(port)
    lowest_port = 0 if listening else 1
    if not lowest_port <= number <= MAX_PORT:
        raise BadValue(f"expected a port from {lowest_port} to {MAX_PORT}, found {number}")
    return Endpoint(_unmapped(address), number)


def _no_endpoint(text: str, default_port: int, listening: bool) -> BadValue:
    message = f"expected an address with or without a port, found {quoted(text)}"
    if listening and text and (anywhere := _ANY_HOST.fullmatch(text)):
        port = anywhere[1] or default_port
        hint = f'for every address write "0.0.0.0:{port}" and "[::]:{port}"'
    elif (foreign := _FOREIGN_PORT.fullmatch(text)) and _is_address(foreign[1]):
        hint = f'write "{Endpoint(ip_address(foreign[1]), int(foreign[2]))}"'
    elif text.partition(":")[0] == "localhost":
        port = text.partition(":")[2] or default_port
        hint = f'write "127.0.0.1:{port}" and "[::1]:{port}"'
    elif "/" in text and _is_network(text):
        hint = "a prefix stands for many addresses; one is needed here"
    elif _SEVERAL.search(text.strip()):
        hint = "one entry holds one address; write several as a list: [a, b]"
    else:
        hint = 'such as "192.0.2.1", "192.0.2.1:5353" or "[2001:db8::1]:5353"'
    return BadValue(f"{message}; {hint}")


def parse_secret(text: str) -> bytes:
    """A secret in base64. Raises BadValue, which never shows any of it."""
    try:
        secret = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadValue("expected a secret in base64, found something else") from None
    if not secret:
        raise BadValue("expected a secret in base64, found nothing")
    return secret


def parse_pin(text: str) -> bytes:
    """The SHA-256 of a public key, in base64 (RFC 7858 §4.2). Raises BadValue."""
    try:
        pin = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pin = b""
    if len(pin) != PIN_OCTETS:
        octets = f"{len(pin)} octets" if pin else quoted(text)
        raise BadValue(f"expected a SHA-256 of {PIN_OCTETS} octets in base64, found {octets}")
    return pin


def parse_network(text: str) -> Network:
    """An address (a network of one) or a prefix without host bits. Raises BadValue."""
    try:
        network = ip_network(text)
    except ValueError:
        raise _no_network(text) from None
    if isinstance(network, IPv6Network) and (mapped := network.network_address.ipv4_mapped):
        raise BadValue(
            f"{quoted(text)} would never match, IPv4 clients are seen with their IPv4 address; write {mapped}"
        )
    return network


def _no_network(text: str) -> BadValue:
    message = f"expected an address or a prefix, found {quoted(text)}"
    if "/" in text and _is_network(text):
        return BadValue(
            f"{message}, which has bits set behind the prefix; did you mean {ip_network(text, strict=False)}?"
        )
    if text.startswith("!"):
        return BadValue(f"{message}; nothing can be excluded, what is not listed is refused")
    if _without_port(text):
        return BadValue(f"{message}; there is no port here, clients use any")
    if _SEVERAL.search(text.strip()):
        return BadValue(f"{message}; one entry holds one address; write several as a list: [a, b]")
    return BadValue(f'{message}; such as 192.0.2.1, 192.0.2.0/24 or "2001:db8::/32"')


def _without_port(text: str) -> bool:
    try:
        parse_endpoint(text)
    except BadValue:
        return False
    return True


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _unmapped(address: Address) -> Address:
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def parse_domain(text: str) -> bytes:
    """A domain name as absolute wire bytes, its spelling kept; U-labels become A-labels. Raises BadValue.

    The final dot may be left out. Escapes are those of zone files (RFC 1035 §5.1), so RFC 2317 names need none.
    """
    if _is_network(text):
        raise BadValue(f"expected a domain name, found {quoted(text)}; {_reverse_hint(text)}")
    if not text or text == "@" or any(character.isspace() or not character.isprintable() for character in text):
        raise BadValue(f"expected a domain name such as example.com, found {quoted(text)}")
    try:
        return names.from_text(text if text.isascii() else _to_ascii(text))
    except (names.BadName, UnicodeError) as error:  # idna.IDNAError is a UnicodeError
        raise BadValue(f"expected a domain name, found {quoted(text)}: {error}") from None


def _to_ascii(text: str) -> str:
    """Label by label: idna.encode on the whole name would refuse `_tcp` beside `bücher`."""
    mapped = idna.uts46_remap(text, std3_rules=False)
    return ".".join(label if label.isascii() else idna.alabel(label).decode("ascii") for label in mapped.split("."))


def _reverse_hint(text: str) -> str:
    network = ip_network(re.sub("%[^/]*", "", text), strict=False)  # Python cannot reverse an address with an interface
    unit = 8 if network.version == 4 else 4
    total = network.max_prefixlen // unit
    keep = total if "/" not in text else max(1, network.prefixlen // unit)
    labels = network.network_address.reverse_pointer.split(".")
    return f"its reverse zone is {'.'.join(labels[total - keep :])}"
