"""A primary with a fault, for any secondary.

    python -m tests.hostile_primary                             lists the faults
    python -m tests.hostile_primary FAULT --zone example.com --port 5300 --notify 127.0.0.1#53

It serves version 1 of the zone without fault to whoever has none, and commits the fault for version 2 as soon as the
first one was transferred (`--at-once`: from the beginning). With several faults, one after the other, each for
`--seconds`. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import socket
import time

from authdns.wire.tsig import ALGORITHMS, DEFAULT_ALGORITHM, Key
from authdns.wire.types import Flag, Type
from tests.hostile_primary import FAULTS, Copy, HostilePrimary
from tests.hostile_primary.messages import message, name


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile_primary",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("fault", nargs="*", choices=[*FAULTS, []], metavar="FAULT")
    parser.add_argument("--zone", default="example.com")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5300)
    parser.add_argument("--hosts", type=int, default=3, help="how many addresses the zone holds besides")
    parser.add_argument("--key", nargs=2, metavar=("NAME", "SECRET"), help="TSIG, HMAC-SHA256, the secret in base64")
    parser.add_argument("--notify", metavar="ADDRESS#PORT", help="where NOTIFY goes when something changes")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each fault")
    parser.add_argument("--at-once", action="store_true", help="do not begin with an honest version")
    given = parser.parse_args()
    if not given.fault:
        width = max(map(len, FAULTS))
        for each in FAULTS.values():
            print(f"{each.name:{width}}  {each.what}{' (needs --key)' if each.signed else ''}")
        return
    copy = Copy(given.zone.rstrip("."), given.hosts)
    keys = {}
    if given.key:
        key = Key(name(given.key[0]).lower(), ALGORITHMS[DEFAULT_ALGORITHM], base64.b64decode(given.key[1]))
        keys[key.name] = key
    with (
        HostilePrimary([copy], keys, host=given.host, port=given.port) as primary,
        contextlib.suppress(KeyboardInterrupt),
    ):
        print(f"{copy.zone} on {primary.address[0]}#{primary.address[1]}", flush=True)
        if not given.at_once:
            notify(given.notify, copy)
            time.sleep(given.seconds)
        for fault in given.fault:
            copy.edit(copy.serial + 1)
            copy.fault = FAULTS[fault]
            print(f"serial {copy.serial}: {fault}: {FAULTS[fault].what}", flush=True)
            notify(given.notify, copy)
            time.sleep(given.seconds)
        copy.fault = None
        print(f"serial {copy.serial}: honest", flush=True)
        notify(given.notify, copy)
        while True:
            time.sleep(60)


def notify(where: str | None, copy: Copy) -> None:
    """One datagram; nobody waits for an answer (RFC 1996 §3.6 would)."""
    if where is None:
        return
    host, _, port = where.partition("#")
    request = message(1, copy.apex + bytes((0, Type.SOA, 0, 1)), copy.new[:1], flags=Flag.AA | 4 << 11)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(request, (host, int(port or 53)))


if __name__ == "__main__":
    main()
