"""DNS cookies (RFC 7873): a client that sends back what it was given has shown that its address is not forged.

The server cookie is that of RFC 9018, so that several servers behind one address, of whatever make, can share a secret:
version 1, three reserved octets, a timestamp, and SipHash-2-4 over the client cookie, these and the client's address.
No state is kept for clients. native/cookie.c is the same in C.

SipHash costs 15 µs in Python, as much as a whole answer. So the cookies that we make carry the minute, not the second:
the same client gets the same cookie for a while, and its hash is remembered.
"""

from collections.abc import Sequence
from enum import Enum, auto
from hmac import compare_digest
from typing import Final

from authdns.wire.address import address_octets
from authdns.wire.message import COOKIE_OCTETS

SECRET_OCTETS: Final = 16
MAX_SECRETS: Final = 4  # the active one, one before and one after a roll-over, and one to spare
CLIENT_COOKIE_OCTETS: Final = 8
SERVER_COOKIE_OCTETS: Final = range(16 - 8, 40 - 8 + 1)  # RFC 7873 §4
OLDEST_SECONDS: Final = 3600  # RFC 9018 §4.3
NEWEST_SECONDS: Final = -300  # made in the future, by a server whose clock is ahead
RENEWED_SECONDS: Final = 1800
ROUNDED_SECONDS: Final = 60
MAX_KEPT_HASHES: Final = 8192  # twice, in two generations; some 300 octets each

_HEAD_OCTETS = 8  # of a server cookie: version, reserved, timestamp
_VERSION = b"\1"
_WORD = (1 << 64) - 1
_ROUNDS, _LAST_ROUNDS = range(2), range(4)


class CookieState(Enum):
    """What the COOKIE option of a request was."""

    MALFORMED = auto()  # its length is none that there is (RFC 7873 §5.2.2)
    VALID = auto()
    NEW = auto()  # a client cookie alone
    INVALID = auto()  # the server cookie is not ours, or too old


class Cookies:
    """Makes and verifies cookies. The first secret makes them, each verifies; 16 octets each."""

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self.counts = dict.fromkeys((CookieState.VALID, CookieState.NEW, CookieState.INVALID), 0)
        self.use(secrets)

    def use(self, secrets: Sequence[bytes]) -> None:
        """Replaces the secrets. Raises ValueError."""
        if not 0 < len(secrets) <= MAX_SECRETS or any(len(secret) != SECRET_OCTETS for secret in secrets):
            raise ValueError(f"expected 1 to {MAX_SECRETS} secrets of {SECRET_OCTETS} octets")
        self._secrets = tuple(secrets)
        self._young: dict[tuple[bytes, bytes, str], bytes] = {}
        self._old: dict[tuple[bytes, bytes, str], bytes] = {}

    def answer(self, asked: bytes, host: str, now_seconds: int) -> tuple[bytes, CookieState]:
        """(the 24 octets to send back, or b"" if the option is malformed; what it was). `asked` is what the option
        held, `host` the client's address. A cookie that is valid and not old comes back as it is."""
        state = CookieState.NEW
        octets = len(asked)
        if octets != CLIENT_COOKIE_OCTETS:
            if octets - CLIENT_COOKIE_OCTETS not in SERVER_COOKIE_OCTETS:
                return b"", CookieState.MALFORMED
            state = CookieState.INVALID
            if octets == COOKIE_OCTETS:
                age = (now_seconds - int.from_bytes(asked[12:16], "big") + (1 << 31)) % (1 << 32) - (1 << 31)
                if asked[8:9] == _VERSION and NEWEST_SECONDS <= age <= OLDEST_SECONDS and self._is_ours(asked, host):
                    state = CookieState.VALID
                    if age <= RENEWED_SECONDS:
                        self.counts[state] += 1
                        return asked, state
        self.counts[state] += 1
        made_at = (now_seconds - now_seconds % ROUNDED_SECONDS) & 0xFFFFFFFF
        head = asked[:CLIENT_COOKIE_OCTETS] + _VERSION + b"\0\0\0" + made_at.to_bytes(4, "big")
        return head + self._hash(self._secrets[0], head, host), state

    def _is_ours(self, asked: bytes, host: str) -> bool:
        """The reserved octets are hashed as they came (RFC 9018 §4.2). Comparisons take the same time wherever octets
        differ."""
        head, hashed = asked[: CLIENT_COOKIE_OCTETS + _HEAD_OCTETS], asked[CLIENT_COOKIE_OCTETS + _HEAD_OCTETS :]
        return any(compare_digest(self._hash(secret, head, host), hashed) for secret in self._secrets)

    def _hash(self, secret: bytes, head: bytes, host: str) -> bytes:
        key = (secret, head, host)
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                found = siphash24(secret, head + address_octets(host)).to_bytes(8, "little")
            if len(self._young) >= MAX_KEPT_HASHES:
                self._old, self._young = self._young, {}
            self._young[key] = found
        return found


def siphash24(key: bytes, data: bytes) -> int:
    """SipHash-2-4 (Aumasson, Bernstein 2012), 64 bits, with a key of 16 octets."""
    first, second = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    a, b = first ^ 0x736F6D6570736575, second ^ 0x646F72616E646F6D
    c, d = first ^ 0x6C7967656E657261, second ^ 0x7465646279746573
    padded = data + bytes(7 - len(data) % 8) + bytes((len(data) & 255,))
    words = [int.from_bytes(padded[at : at + 8], "little") for at in range(0, len(padded), 8)]
    for word in (*words, None):
        if word is None:
            word, rounds = 0, _LAST_ROUNDS
            c ^= 0xFF
        else:
            rounds = _ROUNDS
        d ^= word
        for _ in rounds:
            a = (a + b) & _WORD
            b = (b << 13 & _WORD | b >> 51) ^ a
            a = a << 32 & _WORD | a >> 32
            c = (c + d) & _WORD
            d = (d << 16 & _WORD | d >> 48) ^ c
            a = (a + d) & _WORD
            d = (d << 21 & _WORD | d >> 43) ^ a
            c = (c + b) & _WORD
            b = (b << 17 & _WORD | b >> 47) ^ c
            c = c << 32 & _WORD | c >> 32
        a ^= word
    return a ^ b ^ c ^ d
