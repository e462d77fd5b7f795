"""TLS between a socket and a connection that thinks it speaks TCP.

asyncio has TLS of its own. It is not used for what strangers open: it takes 256 KiB of memory for each connection
(1 GiB for as many as may be there), more for what is read while reading is paused, and does not tell what a handshake
has cost, which is to be charged to the client's budget. This is the same pair of buffers around the same library, with
all octets read through the one buffer of the listener.

What is refused by ALPN is refused before there was a handshake.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from typing import Protocol, cast

from authdns.server.tls import ALPN, reason_of
from authdns.transfer.policy import Tls
from authdns.wire.client_hello import Incomplete, Unreadable, offered_protocols

PLAIN_OCTETS = 16 * 1024  # of one record (RFC 8446 §5.1)

_NO_APPLICATION_PROTOCOL = b"\x15\x03\x03\0\2\2\x78"  # a fatal alert (RFC 7301 §3.2), as it goes out before any keys


class Above(Protocol):
    """The connection that gets what was decrypted."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def eof_received(self) -> bool: ...

    def received(self, octets: bytes) -> None: ...

    def secured(self, tls: Tls) -> None:
        """The handshake is done."""

    def not_secured(self, reason: str) -> None:
        """It has failed."""

    def has_time(self) -> bool:
        """Whether the client may use more of our time."""

    def took(self, nanoseconds: int) -> None: ...

    def take_turns(self, step: Callable[[], None]) -> None:
        """Calls `step`, which takes long, when it is its turn."""


class TlsTransport(asyncio.BufferedProtocol):
    """To the socket's transport a protocol, to the connection `above` a transport."""

    __slots__ = ("_above", "_buffer", "_eof", "_first", "_from_peer", "_lower", "_over", "_secured", "_tls", "_to_peer")

    def __init__(self, above: Above, context: ssl.SSLContext, buffer: memoryview) -> None:
        self._above = above
        self._buffer = buffer
        self._from_peer = ssl.MemoryBIO()
        self._to_peer = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from_peer, self._to_peer, server_side=True)
        self._first: bytes | None = b""  # what came before the ClientHello was complete
        self._secured = False
        self._over = False  # it was we who have ended it
        self._eof = False

    # -- to the socket -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._lower = cast(asyncio.Transport, transport)
        self._above.connection_made(cast(asyncio.BaseTransport, self))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._first is None and not self._secured and not self._over:  # it did not like our certificate, perhaps
            self._above.not_secured("the client has ended the connection during the handshake")
        self._above.connection_lost(exc)

    def pause_writing(self) -> None:
        self._above.pause_writing()

    def resume_writing(self) -> None:
        self._above.resume_writing()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        octets = bytes(self._buffer[:nbytes])
        if self._first is not None:
            self._first += octets
            if not self._may_begin(self._first):
                return
            octets, self._first = self._first, None
        self._from_peer.write(octets)
        if self._secured:
            self._read()
        else:
            self._lower.pause_reading()
            self._above.take_turns(self._shake)

    def eof_received(self) -> bool:
        """Without close_notify: what was cut off is not a whole message, so nothing is lost by answering the others."""
        return self._secured and self._ended()

    # -- the handshake -------------------------------------------------------------------------------------------

    def _may_begin(self, octets: bytes) -> bool:
        try:
            offered = offered_protocols(octets)
        except Incomplete:
            return False
        except Unreadable:
            return True  # the library says what is wrong with it
        if offered is None or ALPN.encode() in offered:
            return True
        self._above.not_secured(f"by ALPN it offers {_listed(offered)}, and not `{ALPN}`")
        self._lower.write(_NO_APPLICATION_PROTOCOL)
        self.close()
        return False

    def _shake(self) -> None:
        """One step: answers what the client has sent."""
        if self._lower.is_closing():
            return
        if not self._above.has_time():
            self.abort()
            return
        begun = time.thread_time_ns()
        failure = None
        try:
            self._tls.do_handshake()
            self._secured = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            failure = reason_of(error)
        self._send()  # also the alert that says why
        self._above.took(time.thread_time_ns() - begun)
        if failure is not None:
            self._above.not_secured(failure)
            self.close()
            return
        self._lower.resume_reading()
        if self._secured:
            names = _names_of(self._tls)
            self._above.secured(Tls(names, self._tls.selected_alpn_protocol() == ALPN))
            self._read()  # what came along with the end of the handshake

    # -- after it ------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Everything that has come: as much as fits the listener's buffer, and one record that was not complete."""
        begun = time.thread_time_ns()
        plain: list[bytes] = []
        ended = False
        try:
            while octets := self._tls.read(PLAIN_OCTETS):
                plain.append(octets)
            ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # close_notify
            ended = True
        except ssl.SSLError:
            self._send()
            self.abort()
            return
        self._send()  # what TLS itself has to say (KeyUpdate)
        self._above.took(time.thread_time_ns() - begun)
        if plain:
            self._above.received(b"".join(plain))
        elif not self._above.has_time():  # records without a message cost time, too
            self.abort()
        if ended:
            self._ended()

    def _ended(self) -> bool:
        if not self._eof:
            self._eof = True
            self._above.eof_received()
        return True

    def _send(self) -> None:
        if self._to_peer.pending:
            self._lower.write(self._to_peer.read())

    # -- to the connection ---------------------------------------------------------------------------------------

    def write(self, octets: bytes) -> None:
        rest = memoryview(octets)
        try:
            while rest:
                rest = rest[self._tls.write(rest) :]  # one record at a time
        except ssl.SSLError:
            self.abort()
            return
        self._send()

    def pause_reading(self) -> None:
        self._lower.pause_reading()

    def resume_reading(self) -> None:
        self._lower.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._lower.set_write_buffer_limits(high, low)

    def is_closing(self) -> bool:
        return self._lower.is_closing()

    def close(self) -> None:
        if self._secured and not self._lower.is_closing():
            with contextlib.suppress(ssl.SSLError):  # it would wait for the peer's; ours is sent
                self._tls.unwrap()
            self._send()
        self._over = True
        self._lower.close()

    def abort(self) -> None:
        self._over = True
        self._lower.abort()


def _names_of(tls: ssl.SSLObject) -> frozenset[str]:
    """The DNS names in the client's certificate. The library gives only what it has verified; but what it has verified
    may still hold what is no name, and is not to get into the log."""
    try:
        certificate = tls.getpeercert() or {}
    except ValueError:  # a name that is not even text
        return frozenset()
    named = cast("tuple[tuple[str, str], ...]", certificate.get("subjectAltName", ()))
    found = (name.lower().removesuffix(".") for kind, name in named if kind == "DNS")
    return frozenset(name for name in found if name.isascii() and name.isprintable() and " " not in name)


def _listed(offered: tuple[bytes, ...]) -> str:
    """For the log: a few, made printable."""
    shown = [repr(each[:20].decode("ascii", "backslashreplace")) for each in offered[:4]]
    return ", ".join(shown) + (", ..." if len(offered) > 4 else "") if shown else "nothing"
