"""DNS over TCP (RFC 7766, 9210): one small protocol object a connection, limits on everything.

Ordinary answers are made at once, up to `pipelined` of them in a turn of the event loop. A transfer is a stream of
messages that are encoded one at a time while the peer takes them; other answers go out between them, so answers come
out of order (RFC 7766 §7). While a peer does not read, nothing more is read from it or encoded for it.

Times are checked by one sweep for all connections instead of a timer for each: it costs less memory and less time. It
looks at those that have waited longest and stops at the first that may go on: connections stand in lines, in the order
in which they came to wait for something.

UDP and new clients do not wait for thousands of others. asyncio lets every ready connection have its turn before it
looks at any socket again; so after every STEPS_IN_A_ROW steps of work UDP is answered and connections are accepted in
between, and when a turn has become long, each connection gets few answers in it. The sweep closes a few in a turn.
Whoever is over the limit is turned away before anything was made for it.

A client also has a budget of our time, counted as the rate limit counts responses: in microseconds, by prefixes of its
address. Its connections are closed while it is used up.

Connections over TLS are the same connections: a TlsTransport stands between them and the socket. They have a place from
the moment they are accepted, a deadline for the handshake, and pay for it from the budget; and in each turn there are
few steps of handshakes, because each takes as long as some ten answers.
"""

import asyncio
import contextlib
import errno
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, cast

from authdns.answer.limiter import Limited, Limiter
from authdns.answer.respond import Responder
from authdns.server.counters import Counters
from authdns.server.log import fault_log, stranger_log
from authdns.server.tls_transport import TlsTransport
from authdns.transfer import policy
from authdns.transfer.outbound import Message, framed
from authdns.wire.query import Query

ACCEPTED_AT_ONCE = 16  # more wait in the kernel
ACCEPT_AGAIN_SECONDS = 1.0  # when there is no file descriptor left
SWEEP_SECONDS = 0.5
CLOSED_AT_ONCE = 16  # by the sweep
STEPS_IN_A_ROW = 64  # a step: an answer, or a connection made, read from or closed; some tens of microseconds
STEPS_IN_A_TURN = 1024  # at the full number of answers for each connection; then it is this one
ANSWERS_IN_A_LONG_TURN = 8
MESSAGE_SECONDS = 2.0  # a message that has begun must be complete by then
HANDSHAKE_SECONDS = 5.0  # TLS must be done by then: two round trips, and nobody types
HANDSHAKES_IN_A_TURN = 16  # steps of them; with an RSA key one takes a millisecond
WRITE_STALL_SECONDS = 10.0  # a peer that takes nothing for so long is gone
TRANSFER_STALL_SECONDS = 30.0
TRANSFERS_AT_ONCE = 10  # as BIND's transfers-out: each takes its share of every turn; the others wait
TRANSFERS_WAITING_PER_CONNECTION = 64
RESERVED_FOR_TRANSFERS = 64  # connections above the limit for addresses that may transfer some zone
READ_OCTETS = 16 * 1024  # taken from one client at a time
WRITE_HIGH_WATER_OCTETS = 64 * 1024  # then the peer must read before it gets more
IPV6_CLIENT_PREFIX_BITS = 56  # what one customer commonly has

# Of one client, in microseconds of CPU. Knot's mod-rrl allows 5 ms of each second; the same number of queries takes
# more in Python, and whom the rate limit sent here by TC comes with a new connection for each of them.
TIME_A_SECOND = 10_000
TIME_AT_ONCE = 500_000

Address = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """The configurable ones. `pipelined`: answers that one connection gets at most in a turn of the event loop."""

    connections: int = 4096
    per_client: int = 32
    idle_seconds: float = 10.0
    pipelined: int = 64


@dataclass(slots=True)
class Transfer:
    """A permitted transfer. `ended(records, octets, seconds_or_none, complete)` is called once."""

    messages: Iterator[Message]
    started: Callable[[], None]
    ended: Callable[[int, int, float, bool], None]
    records: int = 0
    octets: int = 0
    started_at: float = 0.0


Handed = Callable[[Responder, bytes, Query, Address, "policy.Tls | None"], "bytes | Transfer | None"]


@dataclass(frozen=True, slots=True)
class Secured:
    """What a socket for TLS needs: the context for a new connection, and who answers on it."""

    context: Callable[[], ssl.SSLContext]
    responder: Responder


class TcpListener:
    """Accepts connections of one or several listening sockets and enforces the limits over all of them."""

    def __init__(
        self,
        responder: Responder,
        counters: Counters,
        limits: TcpLimits,
        handed: Handed,
        failed: Callable[[bytes, Address], None],
        may_transfer: Callable[[policy.Address], bool],
        budget: Limiter | None = None,
    ) -> None:
        self.responder = responder
        self.counters = counters
        self.limits = limits
        self.handed = handed
        self.failed = failed
        self._may_transfer = may_transfer
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        self.meanwhile: list[Callable[[], None]] = []  # called in long turns: they answer what has come by UDP
        # Lines: the first has waited longest.
        self._connections: dict[Connection, None] = {}  # all, for their next message
        self.partial: dict[Connection, None] = {}  # for the rest of a message
        self.paused: dict[Connection, None] = {}  # until they read
        self.shaking: dict[Connection, None] = {}  # for the end of the handshake
        self._taken = 0  # places: the connections, and those that are being made
        self._per_client: dict[Any, int] = {}
        self._making: set[asyncio.Task[None]] = set()
        self._streaming: set[Connection] = set()
        self._waiting: deque[Connection] = deque()
        self._all_gone = asyncio.Event()
        self._sockets: list[socket.socket] = []
        self._secured: dict[socket.socket, Secured] = {}
        self._to_shake: deque[Callable[[], None]] = deque()  # in a later turn
        self._shaken_in_turn = 0
        self._accepting: list[socket.socket] = []
        self.buffer = memoryview(bytearray(READ_OCTETS))
        self._steps = 0  # since UDP was looked after
        self._steps_in_turn = 0
        self._sweep_timer: asyncio.Handle = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    async def listen(self, sock: socket.socket, secured: Secured | None = None) -> None:
        """Takes over a listening socket, for TLS if it is `secured`; nothing is accepted before `start`."""
        self._sockets.append(sock)
        if secured is not None:
            self._secured[sock] = secured

    async def start(self) -> None:
        for sock in self._sockets:
            self._accept_from(sock)

    def _accept_from(self, sock: socket.socket) -> None:
        if sock in self._sockets:  # not closed in the meantime
            self._accepting.append(sock)
            self._loop.add_reader(sock, self._accept, sock)

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                connected, source = sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._accepting.remove(sock)
                    self._loop.remove_reader(sock)  # it would stay readable
                    self._loop.call_later(ACCEPT_AGAIN_SECONDS, self._accept_from, sock)
                fault_log.error("cannot accept a connection: %s", error.strerror or error)
                return
            address = policy.plain(ip_address(source[0].partition("%")[0]))
            client = _client(address)
            if self._admit(address, client):
                task = self._loop.create_task(self._make(connected, source, client, self._secured.get(sock)))
                self._making.add(task)
                task.add_done_callback(self._making.discard)
            else:
                self.counters.tcp_refused += 1
                connected.close()

    async def _make(self, connected: socket.socket, source: Address, client: object, secured: Secured | None) -> None:
        def protocol() -> asyncio.BufferedProtocol:
            if secured is None:
                return Connection(self, source, client, self.responder)
            connection = Connection(self, source, client, secured.responder, shaking=True)
            return TlsTransport(connection, secured.context(), self.buffer)

        try:
            await self._loop.connect_accepted_socket(protocol, connected)
        except OSError:  # it is gone already
            connected.close()
            self._give_back(client)

    def _admit(self, address: policy.Address, client: object) -> bool:
        """Takes a place, evicting the longest idle connection if all are taken. False: there is none for it."""
        count = self._per_client.get(client, 0)
        full = self._taken >= self.limits.connections
        if (count >= self.limits.per_client or full) and not self._may_transfer(address):
            if count >= self.limits.per_client or not self._evict():
                return False
        elif self._taken >= self.limits.connections + RESERVED_FOR_TRANSFERS and not self._evict():
            return False
        self._per_client[client] = count + 1
        self._taken += 1
        self.counters.tcp_connections = self._taken
        return True

    def _give_back(self, client: object) -> None:
        left = self._per_client[client] - 1
        if left:
            self._per_client[client] = left
        else:
            del self._per_client[client]
        self._taken -= 1
        self.counters.tcp_connections = self._taken

    def _evict(self) -> bool:
        for connection in self._connections:
            if not connection.busy:
                self.counters.tcp_evicted += 1
                connection.abort()
                self.release(connection)  # now: connections that are accepted in the same turn must find it gone
                return True
        return False

    def has_time(self, source: Address) -> bool:
        """False if our time for that client is used up. Who may transfer a zone always has some."""
        budget = self._budget
        if budget is None or not budget.is_over(source[0], time.time_ns()):
            return True
        address = policy.plain(ip_address(source[0].partition("%")[0]))
        if self._may_transfer(address) or budget.limited(source[0]) is Limited.LOGGED:
            return True
        self.counters.tcp_over_time += 1
        return False

    def took(self, source: Address, nanoseconds: int) -> None:
        """So much of our time."""
        if self._budget is not None:
            self._budget.charge(source[0], time.time_ns(), nanoseconds // 1000)

    def worked(self, steps: int) -> None:
        """To be told of all work, in small portions: what must not wait for the end of the turn is done here."""
        if not self._steps_in_turn:
            self._loop.call_soon(self._new_turn)
        self._steps_in_turn += steps
        self._steps += steps
        if self._steps >= STEPS_IN_A_ROW:
            self._steps = 0
            for answer_udp in self.meanwhile:
                answer_udp()
            for sock in self._accepting[:]:
                self._accept(sock)

    def _new_turn(self) -> None:
        self._steps_in_turn = 0

    def shake(self, step: Callable[[], None]) -> None:
        """Calls `step`, a part of a handshake, in this turn or a later one."""
        if not self._shaken_in_turn:
            self._loop.call_soon(self._shake_on)
        if self._to_shake or self._shaken_in_turn >= HANDSHAKES_IN_A_TURN:
            self._to_shake.append(step)
        else:
            self._shaken_in_turn += 1
            step()
            self.worked(STEPS_IN_A_ROW)

    def _shake_on(self) -> None:
        self._shaken_in_turn = min(len(self._to_shake), HANDSHAKES_IN_A_TURN)
        if self._shaken_in_turn:
            self._loop.call_soon(self._shake_on)
        for _ in range(self._shaken_in_turn):
            self._to_shake.popleft()()
            self.worked(STEPS_IN_A_ROW)

    @property
    def answers_at_once(self) -> int:
        """What one connection may have now."""
        most = self.limits.pipelined
        return most if self._steps_in_turn < STEPS_IN_A_TURN else min(most, ANSWERS_IN_A_LONG_TURN)

    def made(self, connection: "Connection") -> None:
        self._connections[connection] = None
        if connection.shaking_since is not None:
            self.shaking[connection] = None
        self.worked(1)

    def used(self, connection: "Connection") -> None:
        """Moves it to the end of the line, which is that for eviction as well."""
        if connection in self._connections:
            del self._connections[connection]
            self._connections[connection] = None

    def release(self, connection: "Connection") -> None:
        if connection not in self._connections:
            return
        del self._connections[connection]
        self.partial.pop(connection, None)
        self.paused.pop(connection, None)
        self.shaking.pop(connection, None)
        self._give_back(connection.client)
        self.stream_ended(connection)
        if not self._connections:
            self._all_gone.set()

    def stream(self, connection: "Connection") -> None:
        """Starts the connection's next transfer, or lines it up."""
        if len(self._streaming) < TRANSFERS_AT_ONCE:
            self._begin(connection)
        else:
            self._waiting.append(connection)

    def stream_ended(self, connection: "Connection") -> None:
        self._streaming.discard(connection)
        while self._waiting and len(self._streaming) < TRANSFERS_AT_ONCE:
            following = self._waiting.popleft()
            if following.transfers:
                self._begin(following)

    def _begin(self, connection: "Connection") -> None:
        self._streaming.add(connection)
        connection.stream()

    def _sweep(self) -> None:
        """Closes those that have waited for too long, CLOSED_AT_ONCE in a turn."""
        now = self._loop.time()
        closed = 0
        for connection in self._longest_waiting(now):
            if connection.overdue(now):
                connection.abort()
                closed += 1
                if closed == CLOSED_AT_ONCE:
                    self._sweep_timer = self._loop.call_soon(self._sweep)
                    return
        self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _longest_waiting(self, now: float) -> "Iterator[Connection]":
        """The front of each line. Some of them may: who is served a transfer may be idle."""
        for connection in self._connections:
            if now - connection.active_at <= self.limits.idle_seconds:
                break
            yield connection
        for connection in self.partial:
            if connection.partial_since is None or now - connection.partial_since <= MESSAGE_SECONDS:
                break
            yield connection
        for connection in self.paused:
            if connection.paused_since is None or now - connection.paused_since <= WRITE_STALL_SECONDS:
                break
            yield connection
        for connection in self.shaking:
            if connection.shaking_since is None or now - connection.shaking_since <= HANDSHAKE_SECONDS:
                break
            yield connection

    async def close(self, grace_seconds: float) -> None:
        """Accepts nothing more, gives clients at most that long to take their answers and transfers."""
        for sock in self._sockets:
            self._loop.remove_reader(sock)
            sock.close()
        self._sockets, self._accepting = [], []
        self._all_gone.clear()
        for connection in list(self._connections):
            connection.finish()
        if self._connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), grace_seconds)
        self._sweep_timer.cancel()
        for connection in list(self._connections):
            connection.abort()


class Connection(asyncio.BufferedProtocol):
    """One client. `client` is what it counts as (see `_client`); `busy` while a transfer is under way or waiting.
    `shaking`: it is over TLS, and nothing comes before it is told that it is `secured`."""

    __slots__ = (
        "_answer_scheduled",
        "_closing",
        "_listener",
        "_loop",
        "_received",
        "_source",
        "_responder",
        "_stream_scheduled",
        "_tls",
        "_transport",
        "active_at",
        "client",
        "partial_since",
        "paused_since",
        "shaking_since",
        "transfers",
    )

    def __init__(
        self, listener: TcpListener, source: Address, client: object, responder: Responder, *, shaking: bool = False
    ) -> None:
        self._listener = listener
        self._responder = responder
        self._tls: policy.Tls | None = None
        self._loop = listener._loop
        self._source = source
        self.client = client
        self._received = b""
        self.active_at = self._loop.time()
        self.partial_since: float | None = None
        self.paused_since: float | None = None
        self.shaking_since = self.active_at if shaking else None
        self._closing = False
        self._stream_scheduled = False
        self._answer_scheduled = False
        self.transfers: deque[Transfer] = deque()

    @property
    def busy(self) -> bool:
        return bool(self.transfers)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_OCTETS)
        self._listener.made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """All connections are read into one buffer, which `buffer_updated` empties in the same breath. asyncio's own
        way would take up to 256 KiB from each client before it could be told to stop."""
        return self._listener.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received(bytes(self._listener.buffer[:nbytes]))

    def received(self, octets: bytes) -> None:
        self._received += octets
        if not self._answer_scheduled:  # else its turn comes by itself; nobody gets two in one
            self._answer()

    # What a TlsTransport tells and asks.

    def secured(self, tls: policy.Tls) -> None:
        self._tls = tls
        self._shaken("completed")
        self._used()

    def not_secured(self, reason: str) -> None:
        self._shaken("failed")
        stranger_log.info("client %s#%d: no TLS: %s", self._source[0], self._source[1], reason)

    def _shaken(self, outcome: str) -> None:
        self.shaking_since = None
        self._listener.shaking.pop(self, None)
        self._listener.counters.tls_handshakes[outcome] += 1

    def has_time(self) -> bool:
        return self._listener.has_time(self._source)

    def took(self, nanoseconds: int) -> None:
        self._listener.took(self._source, nanoseconds)

    def take_turns(self, step: Callable[[], None]) -> None:
        self._listener.shake(step)

    def _answer(self) -> None:
        """Answers complete messages, one turn's worth: so many, or so many octets (large answers)."""
        if self.paused_since is not None or self._transport.is_closing():
            return
        if self._has_message() and not self._listener.has_time(self._source):
            self.abort()
            return
        begun = time.thread_time_ns()
        received, position = self._received, 0
        responses: list[bytes] = []
        octets = 0
        for _ in range(self._listener.answers_at_once):
            end = position + 2 + int.from_bytes(received[position : position + 2], "big")
            if end > len(received) or len(received) - position < 2:
                break
            octets += self._one(received[position + 2 : end], responses)
            position = end
            if octets > WRITE_HIGH_WATER_OCTETS:
                self._answer_soon()
                break
        else:
            self._answer_soon()
        if position:
            self._received = received[position:]
            self._used()
            self.partial_since = None
            self._listener.partial.pop(self, None)
        if self._received and self.partial_since is None:
            self.partial_since = self._loop.time()
            self._listener.partial[self] = None
        if responses:
            self._transport.write(b"".join(responses))
            self._listener.took(self._source, time.thread_time_ns() - begun)
        if self._closing:
            self._close_when_done()
        self._listener.worked(len(responses) + 1)

    def _used(self) -> None:
        self.active_at = self._loop.time()
        self._listener.used(self)

    def _answer_soon(self) -> None:
        """In the next turn; until then nothing more is read from this client."""
        if not self._answer_scheduled:
            self._answer_scheduled = True
            self._transport.pause_reading()
            self._loop.call_soon(self._answer_on)

    def _answer_on(self) -> None:
        self._answer_scheduled = False
        if self.paused_since is None and not self._transport.is_closing():
            self._transport.resume_reading()
        self._answer()

    def _one(self, request: bytes, responses: list[bytes]) -> int:
        """Adds the response, if there is one at once; its octets."""
        responder = self._responder
        try:
            response = responder.respond(request, self._source[0], time.time_ns())
            if isinstance(response, Query):
                handed = self._listener.handed(responder, request, response, self._source, self._tls)
                if isinstance(handed, Transfer):
                    self._line_up(handed)
                    return 0
                response = handed
        except Exception:
            self._listener.failed(request, self._source)
            response = responder.server_failure(request)
        if response is None:
            self._listener.counters.dropped += 1
            self._closing = True  # not a request: nothing sensible can follow (RFC 7766 §8)
            return 0
        responses.append(framed(response))
        return len(response)

    def _line_up(self, transfer: Transfer) -> None:
        if len(self.transfers) >= TRANSFERS_WAITING_PER_CONNECTION:
            self.abort()
            return
        self.transfers.append(transfer)
        if len(self.transfers) == 1:
            self._listener.stream(self)

    def stream(self) -> None:
        """Begins the first transfer in line."""
        transfer = self.transfers[0]
        transfer.started_at = self._loop.time()
        transfer.started()
        self._schedule_stream()

    def _schedule_stream(self) -> None:
        if not self._stream_scheduled:
            self._stream_scheduled = True
            self._loop.call_soon(self._stream_on)

    def _stream_on(self) -> None:
        """One message a turn of the event loop, while the peer takes them."""
        self._stream_scheduled = False
        if not self.transfers or self.paused_since is not None or self._transport.is_closing():
            return
        transfer = self.transfers[0]
        if not transfer.started_at:
            return  # it waits for its turn; a step of the one before was still scheduled
        try:
            message = next(transfer.messages, None)
        except Exception:
            self._listener.failed(b"", self._source)
            self.abort()
            return
        if message is None:
            self.transfers.popleft()
            self._used()
            transfer.ended(transfer.records, transfer.octets, self.active_at - transfer.started_at, True)
            self._listener.stream_ended(self)
            if self.transfers:
                self._listener.stream(self)
            elif self._closing:
                self._close_when_done()
            return
        transfer.records += message.records
        transfer.octets += len(message.wire)
        self._transport.write(framed(message.wire))
        self._schedule_stream()
        self._listener.worked(STEPS_IN_A_ROW)  # such a message takes long

    def pause_writing(self) -> None:
        self.paused_since = self._loop.time()
        self._listener.paused[self] = None
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self.paused_since = None
        self._listener.paused.pop(self, None)
        self._used()
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self._answer()
        self._schedule_stream()

    def eof_received(self) -> bool:
        """Half-closed: what was asked is still answered."""
        self.finish()
        return True

    def finish(self) -> None:
        """Closes the connection when all that was asked has been answered."""
        self._closing = True
        self._answer()
        self._close_when_done()

    def _close_when_done(self) -> None:
        if not self.transfers and self.paused_since is None and not self._has_message():
            self._transport.close()

    def _has_message(self) -> bool:
        received = self._received
        return len(received) >= 2 and len(received) >= 2 + int.from_bytes(received[:2], "big")

    def overdue(self, now: float) -> bool:
        """True if it must be closed: too long idle, in one message, or without reading."""
        limits = self._listener.limits
        if self.shaking_since is not None:
            return now - self.shaking_since > HANDSHAKE_SECONDS
        if self.paused_since is not None:
            return now - self.paused_since > (TRANSFER_STALL_SECONDS if self.transfers else WRITE_STALL_SECONDS)
        if self.transfers:
            return False
        if self.partial_since is not None and now - self.partial_since > MESSAGE_SECONDS:
            return True
        return now - self.active_at > limits.idle_seconds

    def abort(self) -> None:
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        now = self._loop.time()
        if self.shaking_since is not None:
            self._shaken("failed")
        for transfer in self.transfers:
            if transfer.started_at:
                transfer.ended(transfer.records, transfer.octets, now - transfer.started_at, False)
        self.transfers.clear()
        self._listener.release(self)
        self._listener.worked(1)


def _client(address: policy.Address) -> object:
    """What counts as one client: an IPv4 address or an IPv6 /56."""
    if isinstance(address, IPv6Address):
        return int(address) >> (128 - IPV6_CLIENT_PREFIX_BITS)
    return address
