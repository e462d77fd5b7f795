"""How soon secondaries have what the primary has.

python -m tests.bench.secondaries edit [RECORDS]   an edit of one record, until authdns, BIND and Knot all serve it
                                                   (1,000 by default; ten edits, the median)
python -m tests.bench.secondaries axfr [RECORDS]   a zone that authdns has nothing of: until it answers, and its memory
                                                   (1,000,000)
python -m tests.bench.secondaries zones [ZONES]    so many small ones, cold; then a restart without primary (10,000)

All on one machine: the primary, which is authdns, shares the processors with its secondaries.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench.procfs import cpu_of_tree
from tests.bench.transfer import memory
from tests.peers import Authdns, Bind, Endpoint, Knot, NameServer, Zone, free_port, wait_until
from tests.scenario.tools import addresses_of, write_zone

SECONDS = 300.0  # at most, for whatever is waited for
EDITS = 10
ZONE = "example.com"
SETTINGS: dict[str, Any] = {"notify-ns": False, "allow-transfer": "127.0.0.1"}


def hosts(records: int) -> list[str]:
    return [f"h{n} A 10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in range(records)]


def edit(records: int) -> None:
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        folder, lines = Path(made), hosts(records)
        file = write_zone(folder / "zone", 1, *lines)
        ports = [free_port() for _ in range(3)]
        settings = {**SETTINGS, "zone": ZONE, "file": str(file), "notify": [f"127.0.0.1:{port}" for port in ports]}
        primary: NameServer = stack.enter_context(Authdns(folder / "primary", [settings]))
        primary.wait_until_serving(ZONE, 1, seconds=SECONDS)
        secondaries = followers(folder, primary.endpoint, ports)
        for server in secondaries:
            stack.enter_context(server)
            server.wait_until_serving(ZONE, 1, seconds=SECONDS)
        time.sleep(1 + records / 50_000)  # what begins behind the first answer: images, journals, NOTIFYs
        names = ["primary", *(type(server).__name__.lower() for server in secondaries)]
        found: dict[str, list[float]] = {name: [] for name in names}
        for number in range(EDITS):
            lines[records // 2] = f"h{records // 2} A 192.0.2.{number + 1}"
            write_zone(file, 2 + number, *lines)
            begun = time.monotonic()
            waiting = dict(zip(names, (primary, *secondaries), strict=True))
            while waiting and time.monotonic() - begun < SECONDS:
                for name, server in list(waiting.items()):
                    if addresses_of(server.endpoint, f"h{records // 2}.{ZONE}") == {f"192.0.2.{number + 1}"}:
                        found[name].append(time.monotonic() - begun)
                        del waiting[name]
                time.sleep(0.002)
            time.sleep(0.2 + records / 200_000)
        kinds = primary.log_text().count(": IXFR ended"), primary.log_text().count("AXFR ended")
        print(f"an edit of one record of {records:,}, until it is served (seconds: median, worst):")
        for name, seconds in found.items():
            print(f"  {name:8} {statistics.median(seconds):.3f}  {max(seconds):.3f}")
        print(f"  transfers: {kinds[0]} IXFR, {kinds[1]} others")


def followers(folder: Path, primary: Endpoint, ports: Sequence[int]) -> list[NameServer]:
    ours = {**SETTINGS, "zone": ZONE, "primaries": f"{primary.address}:{primary.port}"}
    theirs = [Zone(ZONE, primary=primary)]
    return [
        Authdns(folder / "authdns", [ours], port=ports[0]),
        Bind(folder / "bind", theirs, port=ports[1], quiet=True),
        Knot(folder / "knot", theirs, port=ports[2], quiet=True),
    ]


def axfr(records: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        file = write_zone(folder / "zone", 1, *hosts(records))
        with Authdns(folder / "primary", [{**SETTINGS, "zone": ZONE, "file": str(file)}]) as primary:
            primary.wait_until_serving(ZONE, 1, seconds=SECONDS)
            time.sleep(records / 100_000)
            print(f"primary: {memory(primary.pid) >> 20} MiB")
            at = f"{primary.endpoint.address}:{primary.endpoint.port}"
            secondary = Authdns(folder / "secondary", [{**SETTINGS, "zone": ZONE, "primaries": at}])
            begun = time.monotonic()
            secondary.launch()
            try:
                secondary.wait_until_serving(ZONE, 1, seconds=SECONDS)
                seconds = time.monotonic() - begun
                used = cpu_of_tree(secondary.pid)
                zone = memory(secondary.pid)
                time.sleep(1)
                print(f"AXFR in of {records:,} records: answers after {seconds:.2f} s ({used.total:.2f} s of CPU)")
                print(f"  then {zone >> 20} MiB, at most {peak(secondary.pid) >> 20} MiB")
                time.sleep(records / 60_000)
                print(f"  with its image {memory(secondary.pid) >> 20} MiB, at most {peak(secondary.pid) >> 20} MiB")
            finally:
                secondary.stop()


def peak(pid: int) -> int:
    """The most octets that were resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no VmHWM for process {pid}")


def zones(number: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "zones").mkdir()
        for each in range(number):
            write_zone(folder / "zones" / f"z{each}.example.zone", 1, "www A 192.0.2.3")
        port = free_port()
        with Authdns(folder / "primary", [{**SETTINGS, "folder": str(folder / "zones")}]) as primary:
            primary.wait_for_log("serving [0-9]+ ", seconds=SECONDS)
            at = f"{primary.endpoint.address}:{primary.endpoint.port}"
            members = [{**SETTINGS, "zone": f"z{each}.example", "primaries": at} for each in range(number)]
            secondary = Authdns(folder / "secondary", members, port=port)
            print(
                f"{number:,} zones: cold, all transferred after {until(secondary, 'transferred serial', number):.1f} s"
            )
        print(f"  restart without the primary: all served after {until(secondary, 'from the state', number):.1f} s")


def until(server: Authdns, line: str, times: int) -> float:
    """Seconds from its start until the log has that so often. It is stopped then."""
    mark, begun = server.log_mark(), time.monotonic()
    server.launch()
    try:
        wait_until(lambda: server.log_text(mark).count(line) >= times, f"{times} times {line}", SECONDS)
        return time.monotonic() - begun
    finally:
        server.stop()


MODES: dict[str, tuple[Callable[[int], None], int]] = {
    "edit": (edit, 1_000),
    "axfr": (axfr, 1_000_000),
    "zones": (zones, 10_000),
}


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] not in MODES:
        print(__doc__)
        return 2
    run, default = MODES[arguments[0]]
    run(int(arguments[1].replace(",", "")) if len(arguments) > 1 else default)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
