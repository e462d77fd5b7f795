"""Whether queries notice that a zone of a million records is read, compiled and published again.

python -m tests.bench.reload [--rounds 5] [--seconds 8] [--engine native]

The server has all processors, and so has what asks it. Rounds alternate: nothing happens; the zone file has changed,
and queries are measured from then until the new version is served. What is asked is in the zone that is read again.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.bench import processor, progress
from tests.bench.latency import RATE, Latency, for_seconds, latency
from tests.bench.report import table
from tests.bench.workload import LARGE_ZONE, write_large_zone
from tests.peers import Authdns, Zone, serial_at
from tests.scenario.tools import question

SECONDS = 120.0  # at most, for whatever is waited for
WWW = question(f"n4711.{LARGE_ZONE}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.reload", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a round in which nothing happens")
    parser.add_argument("--engine", default="native")
    options = parser.parse_args(arguments)
    idle, reading = [], []
    with tempfile.TemporaryDirectory(prefix="authdns-bench-") as made:
        file = Path(made, "zone")
        write_large_zone(file)
        text = file.read_text()
        more = {"engine": options.engine, "log": {"level": "debug"}}
        with Authdns(Path(made, "server"), [Zone(LARGE_ZONE, file)], more=more) as server:
            server.wait_until_serving(LARGE_ZONE, seconds=SECONDS)
            server.wait_for_log("serving 1 zone", seconds=SECONDS)
            if options.engine == "native":
                server.wait_for_log(rf"zone {LARGE_ZONE}/IN: the engine answers", seconds=SECONDS)
            for number in range(options.rounds):
                progress(f"round {number + 1} of {options.rounds}")
                idle.append(latency(server.endpoint, WWW, for_seconds(options.seconds)))
                serial = number + 2
                file.write_text(text.replace("hostmaster 1 ", f"hostmaster {serial} ", 1))
                reading.append(latency(server.endpoint, WWW, published(server, serial), check_every=RATE // 4))
    print(as_text(options, idle, reading))
    return 0


def published(server: Authdns, serial: int) -> Callable[[], bool]:
    return lambda: serial_at(server.endpoint, LARGE_ZONE) == serial


def as_text(options: argparse.Namespace, idle: list[Latency], reading: list[Latency]) -> str:
    rows = [["", "median", "99 %", "longest", "lost"]]
    for what, found in (("nothing happens", idle), ("it is read again", reading)):
        p50, p99 = (statistics.median(getattr(each, field) for each in found) for field in ("p50", "p99"))
        longest, lost = max(each.longest for each in found), sum(each.lost for each in found)
        rows.append([what, f"{p50:.0f}", f"{p99:.0f}", f"{longest:.0f}", str(lost)])
    p99 = [statistics.median(each.p99 for each in found) for found in (idle, reading)]
    head = f"{processor()}; engine {options.engine}, {options.rounds} rounds, {RATE} queries a second; µs"
    end = f"\n99th percentile while it is read again: {p99[1] / p99[0]:.2f} × that of when nothing happens"
    return "\n".join([head, "", *table(rows, 1), end])


if __name__ == "__main__":
    sys.exit(main())
