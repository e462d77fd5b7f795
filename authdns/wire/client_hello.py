"""What a TLS client says first (RFC 8446 §4.1.2), read for one thing: which protocols it offers by ALPN.

The TLS library selects one of ours or none, and does not say whether any was offered; but a client that offers only
others must be turned away (RFC 7301 §3.2), and one that offers none may still ask (RFC 7858 does not know ALPN).
Nothing is decided by these octets but that: all else is the library's, which reads them again.
"""

MAX_HELLO_OCTETS = 16 * 1024  # with its records; the large ones of today (post-quantum keys) have two thousand
MAX_RECORDS = 8  # that one may be cut into

_HANDSHAKE_RECORD = 22
_CLIENT_HELLO = 1
_ALPN = 16
_RECORD_HEADER_OCTETS = 5
_VERSION_AND_RANDOM_OCTETS = 2 + 32


class Incomplete(Exception):
    """More has to come before it can be read."""


class Unreadable(Exception):
    """It is no ClientHello, or too large for one."""


def offered_protocols(octets: bytes) -> tuple[bytes, ...] | None:
    """The protocols that a client offers by ALPN, None if it does not use that. `octets` are all that it has sent.
    Raises Incomplete and Unreadable."""
    hello = _Reader(_message(octets))
    hello.take(_VERSION_AND_RANDOM_OCTETS)
    hello.vector(1)  # the session
    hello.vector(2)  # cipher suites
    hello.vector(1)  # compression
    if hello.at_end:
        return None
    extensions = _Reader(hello.vector(2))
    while not extensions.at_end:
        kind = extensions.number(2)
        content = extensions.vector(2)
        if kind == _ALPN:
            return _names(_Reader(_Reader(content).vector(2)))
    return None


def _names(listed: "_Reader") -> tuple[bytes, ...]:
    found = []
    while not listed.at_end:
        found.append(listed.vector(1))
    return tuple(found)


def _message(octets: bytes) -> bytes:
    """The content of the handshake message, put together from its records."""
    parts: list[bytes] = []
    position = octets_of_parts = 0
    while True:
        if len(parts) == MAX_RECORDS or position > MAX_HELLO_OCTETS:
            raise Unreadable("too many records, or octets")
        record = octets[position : position + _RECORD_HEADER_OCTETS]
        if record and record[0] != _HANDSHAKE_RECORD:
            raise Unreadable("not a handshake")
        if len(record) < _RECORD_HEADER_OCTETS:
            raise Incomplete
        position += _RECORD_HEADER_OCTETS
        end = position + int.from_bytes(record[3:], "big")
        part = octets[position:end]
        parts.append(part)
        octets_of_parts += len(part)
        if octets_of_parts >= 4:
            start = b"".join(parts)[:4]
            whole = 4 + int.from_bytes(start[1:], "big")
            if start[0] != _CLIENT_HELLO or whole > MAX_HELLO_OCTETS:
                raise Unreadable("not a ClientHello, or too large a one")
            if octets_of_parts >= whole:
                return b"".join(parts)[4:whole]
        if end > len(octets):
            raise Incomplete
        position = end


class _Reader:
    """Takes one piece after the other. Raises Unreadable where there is less than it should be."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._position = 0

    @property
    def at_end(self) -> bool:
        return self._position == len(self._octets)

    def take(self, octets: int) -> bytes:
        end = self._position + octets
        if end > len(self._octets):
            raise Unreadable("a ClientHello that is cut off")
        taken = self._octets[self._position : end]
        self._position = end
        return taken

    def number(self, octets: int) -> int:
        return int.from_bytes(self.take(octets), "big")

    def vector(self, length_octets: int) -> bytes:
        return self.take(self.number(length_octets))
