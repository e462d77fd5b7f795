"""TSIG (RFC 8945): who signed a message, and signing. The one verifier and the one signer for every transport.

A message is signed with HMAC over what it was an answer to (the MAC of the request, or of the message before in a
stream), the message without its TSIG record, and what TSIG says of itself. Verifying goes in the order of §5.2: key,
MAC, time, truncation; the first thing that is wrong is the result, so nothing is known of a message until all is
right. A result is a `Signer`, which is the proof as well as what signs the response, or a `Fault` that says why not.

It stands in `wire` because the ladder (answer) and transfers need it alike. The clock is the caller's. What is not
done: remembering the latest time of each key to refuse earlier ones (§5.2.3, a SHOULD). Queries overtake each other by
UDP and on several connections, and nothing that is asked here changes anything, so a replay gains nothing.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from authdns.wire import name as names
from authdns.wire.types import Class, Rcode, Type

FUDGE_SECONDS = 300  # recommended by RFC 8945 §10
MIN_MAC_OCTETS = 10  # and half of the whole: what is shorter is malformed (RFC 8945 §5.2.2.1)
# Our policy (§5.2.4): 128 bits, as in hmac-sha256-128. Only cut-off MACs of SHA-224 and SHA-1 can be shorter.
POLICY_MAC_OCTETS = 16
MAX_UNSIGNED_MESSAGES = 99  # in a row, of a stream (RFC 8945 §5.3.1)

_TYPE_CLASS_TTL = Type.TSIG.to_bytes(2, "big") + Class.ANY.to_bytes(2, "big") + b"\0\0\0\0"
_CLASS_TTL = Class.ANY.to_bytes(2, "big") + b"\0\0\0\0"


class TsigError(IntEnum):
    """What the error field of TSIG says (RFC 8945 §3)."""

    NOERROR = 0
    BADSIG = 16
    BADKEY = 17
    BADTIME = 18
    BADTRUNC = 22


@dataclass(frozen=True, slots=True)
class Algorithm:
    """`wire_name` as in TSIG; `digest` as hashlib calls it; `octets` of a whole MAC."""

    wire_name: bytes
    digest: str
    octets: int


# By the names that people write. MD5 is not there (RFC 8945 §6: MUST NOT be used for new ones), nor SHA-1 (NOT
# RECOMMENDED): every peer has SHA-256.
ALGORITHMS = {
    f"hmac-sha{bits}": Algorithm(names.from_text(f"hmac-sha{bits}."), f"sha{bits}", bits // 8)
    for bits in (224, 256, 384, 512)
}
DEFAULT_ALGORITHM = "hmac-sha256"


@dataclass(frozen=True, slots=True)
class Key:
    """`name` is lower-case wire octets. The secret is never shown."""

    name: bytes
    algorithm: Algorithm
    secret: bytes = field(repr=False)

    def __str__(self) -> str:
        return key_text(self.name)


@dataclass(frozen=True, slots=True)
class Tsig:
    """A TSIG record (RFC 8945 §4.2): names lower-case, times in seconds. `begins_at` is its offset in the message."""

    key: bytes
    algorithm: bytes
    time_signed: int
    fudge: int
    original_id: int
    mac: bytes = b""
    error: int = 0
    other: bytes = b""
    begins_at: int = 0


class Signer:
    """Signs what answers one verified message, or what asks. Who has one in hand knows that its `key` is proven.

    `verified_at` is the time of the message in seconds since 1970. The first message that is signed covers all that
    TSIG says; each further one, of a stream (§5.3.1), the MAC of the one before and the times.
    """

    __slots__ = ("_begun", "key", "mac", "verified_at")

    def __init__(self, key: Key, mac: bytes, verified_at: int) -> None:
        self.key = key
        self.mac = mac  # of the message before, b"" if there is none
        self.verified_at = verified_at
        self._begun = False

    @property
    def octets(self) -> int:
        """Of the TSIG record that `sign` adds."""
        algorithm = self.key.algorithm
        return len(self.key.name) + 10 + len(algorithm.wire_name) + 16 + algorithm.octets

    def sign(self, message: bytes, now: int) -> bytes:
        """The message with TSIG behind it; `now` in seconds since 1970."""
        return self._sign(message, now, FUDGE_SECONDS, TsigError.NOERROR, b"")

    def refuse(self, message: bytes, request: Tsig, error: TsigError) -> bytes:
        """The refusal of a request whose MAC was right. BADTIME says what time it is here, under the time of the
        request, or the client could not verify it (§5.2.3)."""
        if error is not TsigError.BADTIME:
            return self._sign(message, self.verified_at, FUDGE_SECONDS, error, b"")
        other = self.verified_at.to_bytes(6, "big")
        return self._sign(message, request.time_signed, request.fudge, error, other)

    def _sign(self, message: bytes, time: int, fudge: int, error: TsigError, other: bytes) -> bytes:
        ident = int.from_bytes(message[:2], "big")
        name, algorithm = self.key.name, self.key.algorithm.wire_name
        tsig = Tsig(name, algorithm, time, fudge, ident, error=error, other=other, begins_at=len(message))
        self.mac = _mac(self.key, self.mac, message, tsig, timers_only=self._begun)
        self._begun = True
        return with_record(message, tsig_record(tsig, self.mac))


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a TSIG. `reason` is for a person; `signer` signs the refusal, where it may be signed."""

    reason: str
    error: TsigError = TsigError.NOERROR
    signer: Signer | None = None

    @property
    def rcode(self) -> Rcode:
        """Of the response's header; FORMERR where TSIG has no error of its own."""
        return Rcode.NOTAUTH if self.error else Rcode.FORMERR


def verify(keys: Mapping[bytes, Key], request: bytes, tsig: Tsig, now: int) -> Signer | Fault:
    """Who signed the request. `keys` by their names; `now` in seconds since 1970."""
    key = keys.get(tsig.key)
    if key is None:
        return Fault(f"there is no key {key_text(tsig.key)}", TsigError.BADKEY)
    return _verify(key, b"", request, tsig, now)


def verify_response(asked: Signer, response: bytes, tsig: Tsig | None, now: int) -> Fault | None:
    """None if the response to what `asked` signed last is genuine, and without complaint about our TSIG."""
    if tsig is None:
        return Fault("it is not signed")
    if tsig.error and not tsig.mac:  # unsigned, so anybody may have sent it: no more than a hint
        return Fault(f"it is not signed, and says {_error_text(tsig.error)}")
    if tsig.key != asked.key.name:
        return Fault(f"it is signed with another key, {key_text(tsig.key)}", TsigError.BADKEY)
    found = _verify(asked.key, asked.mac, response, tsig, now)
    if isinstance(found, Fault):
        return found
    return Fault(f"it says {_error_text(tsig.error)}") if tsig.error else None


class SignedStream:
    """Verifies the messages that answer one request, in their order (RFC 8945 §5.3.1): the first is signed, and after
    it one in a hundred; each signature covers the unsigned messages before it."""

    def __init__(self, asked: Signer) -> None:
        self._asked = asked
        self._prior = asked.mac
        self._begun = False
        self._unsigned: list[bytes] = []

    def take(self, message: bytes, tsig: Tsig | None, now: int) -> Fault | None:
        """None if nothing is wrong so far. Only after `end` everything is known to be genuine."""
        if not self._begun:
            fault = verify_response(self._asked, message, tsig, now)
            self._begun = True
        elif tsig is None:
            self._unsigned.append(message)
            too_many = len(self._unsigned) > MAX_UNSIGNED_MESSAGES
            return Fault(f"more than {MAX_UNSIGNED_MESSAGES} messages in a row are not signed") if too_many else None
        else:
            fault = self._further(message, tsig, now)
            self._unsigned.clear()
        if tsig is not None:
            self._prior = tsig.mac
        return fault

    def _further(self, message: bytes, tsig: Tsig, now: int) -> Fault | None:
        key = self._asked.key
        if tsig.key != key.name:
            return Fault(f"it is signed with another key, {key_text(tsig.key)}", TsigError.BADKEY)
        found = _verify(key, self._prior, message, tsig, now, b"".join(self._unsigned), timers_only=True)
        if isinstance(found, Fault):
            return found
        return Fault(f"it says {_error_text(tsig.error)}") if tsig.error else None

    def end(self) -> Fault | None:
        """The last message has to be signed."""
        return Fault("the last message is not signed") if self._unsigned or not self._begun else None


def _verify(
    key: Key, prior: bytes, message: bytes, tsig: Tsig, now: int, unsigned: bytes = b"", *, timers_only: bool = False
) -> Signer | Fault:
    """RFC 8945 §5.2, in its order. `prior` is the MAC of what the message answers, or of the one before it in a stream;
    `unsigned` is what came in between."""
    algorithm = key.algorithm
    if tsig.algorithm != algorithm.wire_name:
        theirs = names.zone_text(tsig.algorithm)
        ours = names.zone_text(algorithm.wire_name)
        return Fault(f"key {key} is used with {theirs}, and configured with {ours}", TsigError.BADKEY)
    octets = len(tsig.mac)
    if not max(MIN_MAC_OCTETS, (algorithm.octets + 1) // 2) <= octets <= algorithm.octets:  # §5.2.2.1
        return Fault(f"a MAC of {octets} octets, where key {key} makes {algorithm.octets}")
    expected = _mac(key, prior, unsigned + _without_record(message, tsig), tsig, timers_only=timers_only)
    if not hmac.compare_digest(expected[:octets], tsig.mac):
        said = "the secrets differ, or the message was changed on its way"
        return Fault(f"the MAC is not that of key {key}: {said}", TsigError.BADSIG)
    signer = Signer(key, tsig.mac, now)
    if abs(now - tsig.time_signed) > tsig.fudge:  # §5.2.3
        said = f"its clock and ours differ by {tsig.time_signed - now:+d} s, and {tsig.fudge} s are allowed"
        return Fault(f"signed with key {key}, but {said}", TsigError.BADTIME, signer)
    if octets < min(POLICY_MAC_OCTETS, algorithm.octets):  # §5.2.4
        said = f"with a MAC cut to {octets} octets, and {POLICY_MAC_OCTETS} are needed"
        return Fault(f"signed with key {key}, but {said}", TsigError.BADTRUNC, signer)
    return signer


def _mac(key: Key, prior: bytes, message: bytes, tsig: Tsig, *, timers_only: bool = False) -> bytes:
    """The whole MAC (§4.3) of a message without its TSIG record, with the original id and ARCOUNT."""
    times = tsig.time_signed.to_bytes(6, "big") + tsig.fudge.to_bytes(2, "big")
    said = times
    if not timers_only:
        other = tsig.error.to_bytes(2, "big") + len(tsig.other).to_bytes(2, "big") + tsig.other
        said = tsig.key + _CLASS_TTL + tsig.algorithm + times + other
    before = len(prior).to_bytes(2, "big") + prior if prior else b""
    return hmac.digest(key.secret, before + message + said, key.algorithm.digest)


def _without_record(message: bytes, tsig: Tsig) -> bytes:
    """As it was before it was signed: the original id, one additional record less."""
    additional = int.from_bytes(message[10:12], "big") - 1
    head = tsig.original_id.to_bytes(2, "big") + message[2:10] + additional.to_bytes(2, "big")
    return head + message[12 : tsig.begins_at]


def with_record(message: bytes, record: bytes) -> bytes:
    """One additional record more."""
    additional = int.from_bytes(message[10:12], "big") + 1
    return message[:10] + additional.to_bytes(2, "big") + message[12:] + record


def tsig_record(tsig: Tsig, mac: bytes) -> bytes:
    """The record of a response on the wire."""
    rdata = (
        tsig.algorithm
        + tsig.time_signed.to_bytes(6, "big")
        + tsig.fudge.to_bytes(2, "big")
        + len(mac).to_bytes(2, "big")
        + mac
        + tsig.original_id.to_bytes(2, "big")
        + tsig.error.to_bytes(2, "big")
        + len(tsig.other).to_bytes(2, "big")
        + tsig.other
    )
    return tsig.key + _TYPE_CLASS_TTL + len(rdata).to_bytes(2, "big") + rdata


def unsigned_refusal(request: Tsig, error: TsigError) -> bytes:
    """The record that says why, for who has not proven anything (§5.2.1, §5.2.2): no MAC, the request's time."""
    said = (request.key, request.algorithm, request.time_signed, request.fudge, request.original_id)
    return tsig_record(Tsig(*said, error=error), b"")


def key_text(name: bytes) -> str:
    """A key's name for people, without the final dot."""
    return names.zone_text(name)


def _error_text(error: int) -> str:
    known = error in set(TsigError)
    return TsigError(error).name if known else f"error {error}"
