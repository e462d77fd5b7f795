"""sd_notify(3) and the watchdog: a datagram to the socket that systemd names; no library is needed for that."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence

from authdns.config import Endpoint

SELF_QUERY_SECONDS = 2.0
_QUESTION = b"\0\0\0\1\0\0\0\0\0\0\x02id\x06server\0\0\x10\0\3"  # a query without its id; any answer will do


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """`READY=1`, `STATUS=...`, `WATCHDOG=1`, `STOPPING=1`; nothing happens outside of systemd."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address[0] == "@":
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto(state.encode(), address)
    except OSError:
        pass  # the manager went away, or no descriptor is free for the moment; nothing depends on it


def watchdog_seconds(environ: Mapping[str, str] = os.environ) -> float | None:
    """How often systemd wants to hear from us, None if it does not."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # meant for another process
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) else None


async def feed_watchdog(endpoints: Sequence[Endpoint], environ: Mapping[str, str], answered: Callable[[], int]) -> None:
    """For ever: a sign of life, but only if the server answers: others (`answered` counts responses; in a flood our own
    query would drown with the rest), or else a query of our own on one of its addresses."""
    interval = watchdog_seconds(environ)
    before = answered()
    while interval is not None:
        if answered() != before or await _any_answers(endpoints):
            notify("WATCHDOG=1", environ)
        before = answered()
        await asyncio.sleep(interval / 3)


async def _any_answers(endpoints: Sequence[Endpoint]) -> bool:
    for endpoint in endpoints:
        if await _answers(endpoint):
            return True
    return False


async def _answers(endpoint: Endpoint) -> bool:
    """Asks over UDP and waits for any answer."""
    version = endpoint.host.version
    loopback = "::1" if version == 6 else "127.0.0.1"
    address = loopback if endpoint.host.is_unspecified else str(endpoint.host)
    query = os.urandom(2) + _QUESTION
    loop = asyncio.get_running_loop()
    try:
        with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect((address, endpoint.port))
            await loop.sock_sendall(sock, query)
            async with asyncio.timeout(SELF_QUERY_SECONDS):
                while (await loop.sock_recv(sock, 512))[:2] != query[:2]:
                    pass
    except (OSError, TimeoutError):
        return False
    return True
