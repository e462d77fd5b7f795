"""What the scenarios share: questions as octets, a TCP client that sees every octet, zone files, a server in a thread.

`Authdns` (tests/peers) is the real process and the rule. `LocalServer` is the same App in a thread of the test: for
what must be reached into (an error raised inside, a limit of ten seconds made short, lost file events).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import pytest
import yaml

from authdns.config import load_config
from authdns.server import log as logs
from authdns.server.app import App
from authdns.server.log import log
from authdns.server.tcp import TcpListener
from tests.peers import Authdns, Endpoint, Zone, free_port, wait_until
from tests.peers.authdns import zone_settings
from tests.peers.certificates import Certificate

SECONDS = 20.0  # for whatever a test waits for; a slow machine is no failure

HEAD = """\
$TTL 300
@    SOA ns1 hostmaster {serial} 86400 7200 2419200 300
     NS  ns1
     NS  ns2
ns1  A   192.0.2.1
ns2  A   192.0.2.2
"""


def question(
    name: str, rdtype: str = "A", ident: int = 1, *, payload: int | None = None, flags: int = 0, rdclass: int = 1
) -> bytes:
    """A query as octets; with an OPT if `payload` is given."""
    wire = (
        b"".join(number.to_bytes(2, "big") for number in (ident, flags, 1, 0, 0, 0 if payload is None else 1))
        + dns.name.from_text(name).to_digestable()
    )
    wire += int(dns.rdatatype.from_text(rdtype)).to_bytes(2, "big") + rdclass.to_bytes(2, "big")
    if payload is not None:
        wire += b"\0\0\x29" + payload.to_bytes(2, "big") + b"\0\0\0\0\0\0"
    return wire


def ixfr_question(name: str, serial: int, ident: int = 1) -> bytes:
    """RFC 1995 section 3: the SOA that the asker has, in the authority section."""
    wire = question(name, "IXFR", ident)
    numbers = b"".join(number.to_bytes(4, "big") for number in (serial, 0, 0, 0, 0))
    record = b"\xc0\x0c\0\x06\0\1\0\0\0\0\0\x16\0\0" + numbers
    return wire[:8] + b"\0\1" + wire[10:] + record


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def parsed(wire: bytes) -> dns.message.Message:
    """As dnspython reads it; records of one transfer message are not merged into RRsets."""
    return dns.message.from_wire(wire, one_rr_per_rrset=True)


def rcode(wire: bytes) -> int:
    return wire[3] & 15


def ident(wire: bytes) -> int:
    return int.from_bytes(wire[:2], "big")


def udp_socket(server: tuple[str, int], source: str | None = None) -> socket.socket:
    """Connected: takes answers from the address and port that was asked, and from no other."""
    sock = socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(SECONDS)
    if source is not None:
        sock.bind((source, 0))
    sock.connect(server)
    return sock


def over_udp(server: tuple[str, int], request: bytes, source: str | None = None) -> bytes:
    with udp_socket(server, source) as sock:
        sock.send(request)
        return sock.recv(65535)


def addresses_of(server: tuple[str, int], name: str) -> frozenset[str]:
    """The A records of `name`; asked again should a datagram have been lost."""
    with udp_socket(server) as sock:
        sock.settimeout(2)
        for _ in range(5):
            with contextlib.suppress(TimeoutError):
                sock.send(question(name))
                message = parsed(sock.recv(65535))
                return frozenset(
                    rdata.to_text() for rrset in message.answer if rrset.rdtype == dns.rdatatype.A for rdata in rrset
                )
    raise TimeoutError(f"no answer about {name}")


def rcode_of(server: tuple[str, int], name: str, rdtype: str = "SOA") -> int:
    with udp_socket(server) as sock:
        sock.settimeout(2)
        for _ in range(5):
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                sock.send(question(name, rdtype))
                return rcode(sock.recv(65535))
    raise TimeoutError(f"no answer about {name}")


class Tcp:
    """One connection. Reads exactly what it is told to; `receive_buffer` makes it a reader with little room."""

    def __init__(
        self, server: tuple[str, int], *, source: str | None = None, receive_buffer: int | None = None
    ) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(SECONDS)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.connect(server)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def send(self, octets: bytes) -> Self:
        self.socket.sendall(octets)
        return self

    def ask(self, *messages: bytes) -> Self:
        return self.send(b"".join(map(framed, messages)))

    def message(self) -> bytes:
        """The next message. Raises EOFError at the end, TimeoutError without one."""
        while len(self._received) < 2 or len(self._received) < 2 + int.from_bytes(self._received[:2], "big"):
            got = self.socket.recv(65536)
            if not got:
                raise EOFError(f"closed after {len(self._received)} octets of a message")
            self._received += got
        end = 2 + int.from_bytes(self._received[:2], "big")
        message, self._received = self._received[2:end], self._received[end:]
        return message

    def messages(self, number: int) -> list[bytes]:
        return [self.message() for _ in range(number)]

    def transfer(self) -> list[bytes]:
        """The messages of a transfer, up to the one that ends in the SOA."""
        first = self.message()
        return [first, *self.transfer_after(first)]

    def transfer_after(self, first: bytes) -> list[bytes]:
        """The messages of a transfer behind its first one."""
        found: list[bytes] = []
        soas = _soas(first)
        while soas < 2:
            found.append(self.message())
            soas += _soas(found[-1])
        return found

    def end(self) -> Self:
        """No more from us; the other direction stays open."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def is_closed(self) -> bool:
        """Whether the other side has ended the connection, after all that was sent before was read."""
        ready = select.poll()  # select() knows no descriptors above 1,023
        ready.register(self.socket, select.POLLIN)
        try:
            while ready.poll(0):
                got = self.socket.recv(65536)
                if not got:
                    return True
                self._received += got
        except OSError:
            return True
        return False

    def wait_until_closed(self, seconds: float = SECONDS) -> float:
        """Seconds until it was closed."""
        begun = time.monotonic()
        wait_until(self.is_closed, "the server closes the connection", seconds)
        return time.monotonic() - begun

    def reset(self) -> None:
        """Ends it with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def trusting(certificate: Certificate | None = None, *, alpn: Sequence[str] = ("dot",)) -> ssl.SSLContext:
    """A client that believes any server, and shows `certificate` if it is asked for one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if certificate is not None:
        context.load_cert_chain(certificate.certificate, certificate.private_key)
    return context


class Tls(Tcp):
    """The same over TLS. With TLS 1.3 a server's refusal of our certificate comes with what is read first."""

    def __init__(
        self,
        server: tuple[str, int],
        context: ssl.SSLContext | None = None,
        *,
        source: str | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        super().__init__(server, source=source, receive_buffer=receive_buffer)
        try:
            self.socket: ssl.SSLSocket = (context or trusting()).wrap_socket(self.socket)
        except BaseException:
            self.socket.close()
            raise

    @property
    def certificate(self) -> bytes | None:
        """The server's, in DER."""
        return self.socket.getpeercert(binary_form=True)


def _soas(message: bytes) -> int:
    """SOA records in the answer section. Quick: only a message that can hold one is taken apart."""
    if b"\0\6\0\1\0" not in message[12:]:
        return 0
    return sum(rrset.rdtype == dns.rdatatype.SOA for rrset in parsed(message).answer)


def zone_text(serial: int = 1, *more: str) -> str:
    return HEAD.format(serial=serial) + "".join(f"{line}\n" for line in more)


def hosts(number: int, last: int = 0) -> list[str]:
    """Records of `number` names; `last` is in each of their addresses, to tell versions apart."""
    return [f'h{i} A 10.{i >> 16}.{i >> 8 & 255}.{last}\n     TXT "host {i & 255}"' for i in range(number)]


def write_zone(path: Path, serial: int = 1, *more: str) -> Path:
    """As a careful editor saves: aside first, then renamed over the old one."""
    return replace(path, zone_text(serial, *more))


def replace(path: Path, text: str) -> Path:
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text)
    os.replace(aside, path)
    return path


def exit_status(server: Authdns) -> int:
    """Waits for the end of a process that was told to stop."""
    return server._running().wait(SECONDS)


def memory_of(pid: int) -> int:
    """Resident octets."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class _Loop(asyncio.SelectorEventLoop):
    """For a thread that is not the main one, where signals cannot be handled."""

    def add_signal_handler(self, *_: Any) -> None:  # type: ignore[override]
        pass


class _App(App):
    """Keeps hold of the listener."""

    async def _bind(self) -> tuple[list[socket.socket], TcpListener]:
        sockets, self.listener = await super()._bind()
        return sockets, self.listener


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {self.format(record)}")


class LocalServer:
    """The App in a thread. `more` is merged into the configuration, as with `Authdns`."""

    def __init__(
        self,
        folder: Path,
        zones: Sequence[Zone | Mapping[str, Any]] = (),
        *,
        address: str = "127.0.0.1",
        more: Mapping[str, Any] = {},
    ) -> None:
        self.endpoint = Endpoint(address, free_port(address))
        self._handler = _Lines()
        self._patch = pytest.MonkeyPatch()
        self._ended: BaseException | None = None
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "authdns.yaml"
        settings = {
            "listen": [str(self.endpoint)],
            "state": str(folder / "state"),
            "metrics": None,
            "engine": Authdns.engine,
            "zones": [zone_settings(zone) if isinstance(zone, Zone) else dict(zone) for zone in zones],
            **more,
        }
        path.write_text(yaml.safe_dump(settings))
        self._config = load_config(path, environ={})
        self._thread = threading.Thread(target=self._run, name="server")

    def _run(self) -> None:
        async def serve() -> None:
            self.loop = asyncio.get_running_loop()
            self.app = _App(self._config, {})
            await self.app.run()

        try:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                runner.run(serve())
        except BaseException as error:
            self._ended = error

    @property
    def tcp(self) -> TcpListener:
        return self.app.listener

    @property
    def log_text(self) -> str:
        return "\n".join(self._handler.lines)

    def wait_for_log(self, text: str, seconds: float = SECONDS) -> None:
        def said() -> bool:
            if self._ended is not None:
                raise AssertionError(f"the server ended\n{self.log_text}") from self._ended
            return text in self.log_text

        try:
            wait_until(said, f"a log line with {text!r}", seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log_text}") from None

    def launch(self) -> None:
        """Starts it and returns at once."""
        self._before = log.level, sys.getswitchinterval()
        self._patch.setattr(logs, "configure", lambda *_: None)  # a new configuration keeps our handler
        log.addHandler(self._handler)
        log.setLevel(logging.INFO)
        self._thread.start()

    def __enter__(self) -> Self:
        self.launch()
        try:
            self.wait_for_log("serving ")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def stop(self) -> None:
        if self._thread.is_alive():
            wait_until(lambda: hasattr(self, "app") and hasattr(self.app, "listener"), "it is up", SECONDS)
            self.loop.call_soon_threadsafe(self.app._stopping.set)
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), "the server did not stop"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._patch.undo()
        log.removeHandler(self._handler)
        log.setLevel(self._before[0])
        sys.setswitchinterval(self._before[1])
        if error is None and self._ended is not None:
            raise self._ended


@contextlib.contextmanager
def opened(server: tuple[str, int], number: int, source: str | None = None) -> Iterator[list[Tcp]]:
    """So many connections, closed together."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Tcp(server, source=source)) for _ in range(number)]
