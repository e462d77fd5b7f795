"""Asking one primary for one zone: a connection by TCP or TLS, the conversation over it, and its deadlines.

What is said is decided by transfer/inbound.py, when and by which primary by secondary.py.
"""

import asyncio
import os
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from authdns.config import Config, Primary
from authdns.server.keys import Keys
from authdns.server.listen import source_for
from authdns.server.tls import BadCertificate, ClientContexts, check_peer, reason_of
from authdns.transfer.inbound import Ask, Caps, Changes, Failed, Inbound, Trouble, UpToDate, Whole
from authdns.wire.tsig import key_text
from authdns.zone.records import Record
from authdns.zone.zone import Zone

CONNECT_SECONDS = 10.0
MESSAGE_SECONDS = 20.0  # for each message, from its first octet to its last
TRANSFER_SECONDS = 3600.0  # for all of it
# After GRACE_SECONDS it has to be faster than that, or it may go on for ever; and faster while others wait for a place:
# some primaries that give a little now and then must not hold up the zones of all others.
GRACE_SECONDS, MIN_OCTETS_PER_SECOND, CROWDED_OCTETS_PER_SECOND = 30.0, 1000, 50_000
# A primary may send one record in each message, and ten thousand of them are there at once: after so many seconds of
# reading, everybody else has a turn.
LOOP_SECONDS = 0.001
READ_IN_LOOP_OCTETS = 4096  # a longer message is read in a thread: a few milliseconds for the largest
CAPS = Caps()


class Asking:
    """For all zones together: they share a rate, a thread that reads long messages, and contexts of TLS. `is_crowded`
    says whether others wait for a place."""

    def __init__(self, config: Config, keys: Callable[[], Keys], is_crowded: Callable[[], bool]) -> None:
        self._listen = config.listen
        self._keys = keys
        self._is_crowded = is_crowded
        self._loop = asyncio.get_running_loop()
        self._reading = ThreadPoolExecutor(1, "transfers")
        self._contexts = ClientContexts()
        self.take_over(config)

    def take_over(self, config: Config) -> None:
        self._pace = _Pace(config)
        self._caps = replace(CAPS, records=min(CAPS.records, config.incoming.max_records))

    def close(self) -> None:
        self._reading.shutdown(wait=False)

    async def ask(
        self, apex: bytes, served: Zone | None, primary: Primary, *, whole: bool
    ) -> UpToDate | Whole | Changes | Failed:
        """What came of asking for something newer than what is `served`; for all of it, and not what changed, if
        `whole`. It cannot take longer than TRANSFER_SECONDS."""
        key = None if primary.key is None else self._keys().get(primary.key)
        if primary.key is not None and key is None:
            return Failed(Trouble.DISTRUSTED, f"there is no key {key_text(primary.key)} to sign with")
        have = None if served is None else _soa_record(served)
        source = f"transfer from {primary.endpoint}"
        machine = Inbound(apex, have, key, _new_id, source, whole=whole, caps=self._caps)
        try:
            async with asyncio.timeout(TRANSFER_SECONDS):
                return await self._converse(machine, primary)
        except TimeoutError:
            return Failed(Trouble.UNREACHABLE, f"no answer in time ({machine.progress})")
        except (asyncio.IncompleteReadError, ConnectionError):
            return machine.broken_off()
        except ssl.SSLError as error:  # by TLS 1.3 a primary refuses our certificate after the handshake
            return Failed(Trouble.DISTRUSTED, f"TLS: {reason_of(error)}")
        except OSError as error:
            return Failed(Trouble.UNREACHABLE, _reason(error))

    async def _converse(self, machine: Inbound, primary: Primary) -> UpToDate | Whole | Changes | Failed:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await self._connected(primary)
        except (BadCertificate, ssl.SSLError) as error:
            reason = str(error) if isinstance(error, BadCertificate) else reason_of(error)
            return Failed(Trouble.DISTRUSTED, f"TLS: {reason}")
        except ConnectionError as error:
            return Failed(Trouble.UNREACHABLE, _reason(error))
        distrust = _distrust(writer, primary)
        if distrust is not None:
            writer.transport.abort()
            return Failed(Trouble.DISTRUSTED, f"TLS: {distrust}")
        begun = turn = self._loop.time()
        octets = 0
        try:
            _send(writer, machine.begin(int(time.time())))
            while True:
                async with asyncio.timeout(MESSAGE_SECONDS):
                    message = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                octets += len(message)
                seconds = self._loop.time() - begun
                if seconds > GRACE_SECONDS:
                    crowded = self._is_crowded()
                    least = CROWDED_OCTETS_PER_SECOND if crowded else MIN_OCTETS_PER_SECOND
                    if octets < (seconds - GRACE_SECONDS) * least:
                        others = " while other zones wait" if crowded else ""
                        return Failed(Trouble.UNREACHABLE, f"too slow{others}: {octets} bytes in {seconds:.0f} s")
                now = int(time.time())
                if len(message) <= READ_IN_LOOP_OCTETS:
                    step = machine.receive(message, now)
                else:
                    step = await self._loop.run_in_executor(self._reading, machine.receive, message, now)
                if isinstance(step, Ask):
                    _send(writer, step.request)
                elif step is not None:
                    return step
                begun += await self._pace.wait(len(message))  # of that it is innocent
                if self._loop.time() - turn >= LOOP_SECONDS:
                    await asyncio.sleep(0)  # what is there already would be read without ever going back to the loop
                    turn = self._loop.time()
        finally:
            writer.transport.abort()  # nothing is left to be said

    async def _connected(self, primary: Primary) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """With the handshake of TLS done, where it is asked over TLS: there is no way back to cleartext."""
        to, tls = primary.endpoint, primary.tls
        context = None if tls is None else self._contexts.context(tls)
        name = None if tls is None else tls.name or ""
        family = socket.AF_INET6 if to.host.version == 6 else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.bind((source_for(self._listen, to.host), 0))
            await self._loop.sock_connect(sock, (str(to.host), to.port))
            return await asyncio.open_connection(sock=sock, ssl=context, server_hostname=name)
        except BaseException:
            sock.close()
            raise


def _new_id() -> int:
    return secrets.randbelow(1 << 16)


class _Pace:
    """Holds all transfers together to a rate."""

    def __init__(self, config: Config) -> None:
        megabytes = config.incoming.megabytes_per_second
        self._seconds_per_octet = 0.0 if megabytes is None else 1 / (megabytes * 1_000_000)
        self._free_at = 0.0

    async def wait(self, octets: int) -> float:
        """Until so many more may be read; for how many seconds."""
        if not self._seconds_per_octet:
            return 0.0
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now) + octets * self._seconds_per_octet
        seconds = self._free_at - now
        await asyncio.sleep(seconds)
        return seconds


def _distrust(writer: asyncio.StreamWriter, primary: Primary) -> str | None:
    """Why whoever answers over TLS is not believed to be the primary, if so."""
    if primary.tls is None:
        return None
    return check_peer(writer.get_extra_info("ssl_object"), primary.tls)


def _soa_record(zone: Zone) -> Record:
    rrtype, ttl, (rdata,) = zone.soa_rrset
    return Record(zone.apex, rrtype, ttl, rdata)


def _send(writer: asyncio.StreamWriter, request: bytes) -> None:
    writer.write(len(request).to_bytes(2, "big") + request)


def _reason(error: OSError) -> str:
    """asyncio's own text names the address once more."""
    return os.strerror(error.errno) if error.errno else str(error)


def secured(primary: Primary) -> str:
    """How an answer of it was proven, for the log."""
    tls = "" if primary.tls is None else ", TLS" if primary.tls.strict else ", TLS, unverified"
    return tls if primary.key is None else f"{tls}, key {key_text(primary.key)}"


def named(primary: Primary) -> str:
    """`192.0.2.1#53`, with its name in the configuration."""
    endpoint = primary.endpoint
    where = f"{endpoint.host}#{endpoint.port}"
    return where if primary.name_key == str(endpoint.host) else f"{where} ({primary.name_key})"
