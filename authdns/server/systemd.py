"""sd_notify(3): a datagram to the socket that systemd names. Ten lines instead of a library with a C dependency."""

import os
import socket
from collections.abc import Mapping


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """`READY=1`, `STATUS=...`, `WATCHDOG=1`, `STOPPING=1`; nothing happens outside of systemd."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address[0] == "@":
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            pass  # the manager went away; nothing depends on it


def watchdog_seconds(environ: Mapping[str, str] = os.environ) -> float | None:
    """How often systemd wants to hear from us, None if it does not."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) else None
