"""The benchmark: CPU time per answered query of the whole server, beside the installed peers and the floor, in one run.

Every server is pinned to one core and has one worker; the generator has another core. Rounds alternate between the
servers, so that noise meets them all alike, and the table shows medians. CPU time, not the rate, is what is compared:
on loopback the rate also depends on the generator. Loads, and what is fair, are printed with the figures.

With --workers N each server is measured with one worker and with N, on all cores.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.bench import workload
from tests.bench.load import Compiled, Generator, Query, Result, generator
from tests.bench.procfs import cpu_of_tree, memory_of_tree, waits_of_tree
from tests.bench.report import Measured, Report, Start, as_text
from tests.bench.servers import FLOOR, ONE_WORKER, SERVERS, Measurable, Place, installed, make
from tests.peers import Authdns, ServerDied, Zone, serial_at, wait_until
from tests.peers.availability import find_binary
from tests.peers.process import pinned_to


class Load(NamedTuple):
    queries: Callable[[], list[Query]]
    zone: str  # or MANY
    each_once: bool = False  # every round asks other queries


MANY = "many zones"
NSEC, NSEC3 = workload.SIGNED_ZONES
LOADS = {
    "mixed": Load(workload.mixed, workload.SMALL_ZONE),
    "nxdomain": Load(workload.nxdomain, workload.SMALL_ZONE),
    "wildcard": Load(workload.wildcard, workload.SMALL_ZONE),
    "referral": Load(workload.referral, workload.SMALL_ZONE),
    "one": Load(workload.one, workload.SMALL_ZONE),
    "signed": Load(workload.signed, NSEC),
    "denied": Load(workload.denied, NSEC),
    "signed-nsec3": Load(workload.signed_nsec3, NSEC3),
    "denied-nsec3": Load(workload.denied_nsec3, NSEC3),
    "million": Load(workload.million, workload.LARGE_ZONE, each_once=True),
    "million-warm": Load(workload.million, workload.LARGE_ZONE),
    "zones": Load(workload.zones, MANY),
}
SMALL_LOADS = [name for name, load in LOADS.items() if load.zone not in (workload.LARGE_ZONE, MANY)]
DEFAULT_LOADS = [name for name in LOADS if name != "zones"]  # it takes minutes
WORKERS_LOADS = ["mixed"]
WARM_UP_SECONDS = 0.3
WARM_UP_QUERIES = 20_000  # where each is asked once
LOADING_SECONDS = 300.0
PATIENCE_SECONDS = 120.0  # with servers that load many zones
ZONES_ASKED = 200  # of them; if they are served, all are taken to be
PASS_SECONDS = 120.0  # for asking everything once
SETTLED_SHARE, SETTLED_AFTER_SECONDS = 0.05, 1.0  # with less of a core for so long, a server has nothing more to do
TRANSFER_SECONDS = 120.0
WINDOW, WORKERS_WINDOW, WORKERS_SOCKETS = 64, 192, 16


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("bench: one core only; server and generator share it, and the figures mean little", file=sys.stderr)
    with ExitStack() as stack:
        bench = Bench(options, stack.enter_context(generator()), cores)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="authdns-bench-")))
        folder.chmod(0o755)
        if options.workers > 1:
            bench.workers(folder)
        else:
            bench.small_zones(folder)
            bench.large_zone(folder)
            bench.many_zones(folder)
    print(as_text(bench.report))
    if options.json:
        options.json.write_text(json.dumps(asdict(bench.report), indent=2) + "\n")
    for failure in bench.report.failures:
        print(f"bench: FAILED: {failure}", file=sys.stderr)
    return 1 if bench.report.failures else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    def names(known: Sequence[str]) -> Callable[[str], list[str]]:
        def split(text: str) -> list[str]:
            chosen = text.split(",")
            unknown = set(chosen) - set(known)
            if unknown:
                raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
            return chosen

        return split

    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measurements per server and load (default 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement (default 2)")
    parser.add_argument("--window", type=int, help=f"queries outstanding, at most 1024 (default {WINDOW})")
    parser.add_argument("--loads", type=names(list(LOADS)), help=f"{','.join(LOADS)} (default all but zones)")
    parser.add_argument("--servers", type=names(list(SERVERS)), default=installed(), help=",".join(SERVERS))
    parser.add_argument("--workers", type=int, default=1, help="compare so many workers with one (default load: mixed)")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help=f"how long a server may take to load {workload.MANY_ZONES:,} zones (default {PATIENCE_SECONDS:g})",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there as well")
    options = parser.parse_args(arguments)
    if options.workers > 1 and not set(options.loads or ()) <= set(SMALL_LOADS):
        parser.error(f"--workers is for {', '.join(SMALL_LOADS)}")
    options.loads = options.loads or (WORKERS_LOADS if options.workers > 1 else DEFAULT_LOADS)
    options.window = options.window or (WORKERS_WINDOW if options.workers > 1 else WINDOW)
    return options


class Bench:
    """Starts the servers, puts the loads on them, fills in the report."""

    def __init__(self, options: argparse.Namespace, load: Generator, cores: list[int]) -> None:
        self.options = options
        self.load = load
        self.shares_cores = options.workers > 1
        self.server_cores, self.load_cores = ({*cores}, {*cores}) if self.shares_cores else ({cores[0]}, {cores[-1]})
        self.report = Report(
            machine=f"{processor()}, {len(cores)} cores, Linux {platform.release()}",
            generator=load.name,
            rounds=options.rounds,
            seconds=options.seconds,
            window=options.window,
            versions={name: version(name) for name in options.servers},
        )

    def small_zones(self, folder: Path) -> None:
        """The loads on the zone of some 1,000 names, plain and signed, all servers running side by side."""
        loads = [load for load in self.options.loads if load in SMALL_LOADS]
        if not loads:
            return
        zones = self.write_small_zones(folder, loads)
        with ExitStack() as stack:
            servers = []
            for name in self.options.servers:
                servers += self.started(stack, make(name, Place(folder / "small", self.server_cores), zones))
            for load in loads:
                self.report.loads[load] = self.measure(load, servers, folder)

    def workers(self, folder: Path) -> None:
        """The same with one worker and with several, of those servers that can have them."""
        zones = self.write_small_zones(folder, self.options.loads)
        numbers = [1, self.options.workers]
        with ExitStack() as stack:
            servers = []
            for name in self.options.servers:
                for workers in numbers[:1] if name in ONE_WORKER else numbers:
                    place = Place(folder / str(workers), self.server_cores, workers)
                    servers += self.started(stack, make(name, place, zones))
            for load in self.options.loads:
                by_name: dict[str, dict[int, Measured]] = {}
                for server, measured in zip(servers, self.rounds(load, servers, folder), strict=True):
                    by_name.setdefault(server.name, {})[server.workers] = measured
                self.report.workers[load] = by_name

    def large_zone(self, folder: Path) -> None:
        """A million records: start, memory, queries, transfer, and the start after that."""
        loads = [load for load in self.options.loads if LOADS[load].zone == workload.LARGE_ZONE]
        if not loads:
            return
        file = folder / "large.zone"
        workload.write_large_zone(file)
        zones = [Zone(workload.LARGE_ZONE, file=file)]
        ask_for = [workload.LARGE_ZONE]
        with ExitStack() as stack:
            servers = []
            for name in self.options.servers:
                server = make(name, Place(folder / "large", self.server_cores), zones)
                servers += self.loaded(stack, server, ask_for, LOADING_SECONDS, self.report.million)
            for load in loads:
                if not LOADS[load].each_once:
                    self.ask_all(load, servers, folder)
                self.report.loads[load] = self.measure(load, servers, folder)
            for server in servers:
                if server.speaks_dns:
                    with self.failing_alone(server):
                        self.transfer(server)
            for server in servers:
                if isinstance(server, Authdns):  # with its state; the others keep none
                    with self.failing_alone(server):
                        server.stop()
                        again = self.start(server, ask_for, LOADING_SECONDS)
                        start = self.report.million[server.name]
                        start.again_seconds, start.again_memory_bytes = again.first_answer_seconds, again.memory_bytes

    def many_zones(self, folder: Path) -> None:
        """100,000 zones: start, memory, queries over all of them."""
        if "zones" not in self.options.loads:
            return
        files = folder / "zones"
        workload.write_many_zones(files)
        names = workload.many_zones()
        zones = [Zone(name, file=files / f"{name}.zone") for name in names]
        # Servers read in one order or another: the first and the last in each, and some between.
        ask_for = random.Random(workload.SEED).sample(names, ZONES_ASKED)
        ask_for += [names[0], names[-1], min(names), max(names)]
        with ExitStack() as stack:
            servers = []
            for name in self.options.servers:
                server = make(name, Place(folder / "many", self.server_cores), zones, files)
                servers += self.loaded(stack, server, ask_for, self.options.patience, self.report.zones)
            self.report.loads["zones"] = self.measure("zones", servers, folder)

    # Servers

    def started(self, stack: ExitStack, server: Measurable) -> list[Measurable]:
        """The server in a list, which is empty if it does not start."""
        stack.callback(server.stop)
        with self.failing_alone(server):
            server.start()
            return [server]
        return []

    def loaded(
        self, stack: ExitStack, server: Measurable, zones: list[str], seconds: float, starts: dict[str, Start]
    ) -> list[Measurable]:
        """The same, noting what the start costs; the list is empty as well if the server does not answer in time."""
        if not server.speaks_dns:
            return self.started(stack, server)
        stack.callback(server.stop)
        with self.failing_alone(server):
            start = starts[server.name] = self.start(server, zones, seconds)
            if start.first_answer_seconds is not None:
                return [server]
            server.stop()
        return []

    @contextlib.contextmanager
    def failing_alone(self, server: Measurable) -> Iterator[None]:
        """What one server fails to do goes into the report; the others are measured all the same."""
        try:
            yield
        except (ServerDied, OSError, RuntimeError, subprocess.SubprocessError) as error:
            self.report.failures.append(f"{server.name}: {error}")
            progress(f"{server.name} failed: {str(error).splitlines()[0]}")

    def start(self, server: Measurable, zones: list[str], seconds: float) -> Start:
        """Starts the server, until it answers for each of the zones and then has nothing more to do."""
        progress(f"{server.name}: starts")
        begun = time.monotonic()
        server.launch()
        try:
            for zone in zones:
                left = seconds - (time.monotonic() - begun)
                wait_until(partial(answers, server, zone), f"{server.name}: an answer", left, poll=0.005)
        except TimeoutError:
            return Start(gave_up_seconds=seconds)
        first = time.monotonic() - begun
        settled_seconds = settled(server, begun)
        return Start(first, settled_seconds=settled_seconds, memory_bytes=memory_of_tree(server.pid))

    def write_small_zones(self, folder: Path, loads: list[str]) -> list[Zone]:
        zones = []
        for name in dict.fromkeys(LOADS[load].zone for load in loads):
            file = folder / f"{name}.zone"
            if name in workload.SIGNED_ZONES:
                workload.write_signed_zone(file, name)
            else:
                workload.write_small_zone(file, name)
            zones.append(Zone(name, file=file))
        return zones

    # Loads

    def measure(self, load: str, servers: list[Measurable], folder: Path) -> dict[str, Measured]:
        return {server.name: one for server, one in zip(servers, self.rounds(load, servers, folder), strict=True)}

    def rounds(self, load: str, servers: list[Measurable], folder: Path) -> list[Measured]:
        """What came of each server; nothing was added to that of one that failed."""
        queries = self.prepared(load, folder)
        results = [Measured() for _ in servers]
        ready = []
        for server, measured in zip(servers, results, strict=True):
            with self.failing_alone(server):
                self.ask(server, queries, WARM_UP_SECONDS, count=WARM_UP_QUERIES if LOADS[load].each_once else None)
                ready.append((server, measured))
        share = (workload.LARGE_NAMES - WARM_UP_QUERIES) // self.options.rounds if LOADS[load].each_once else None
        for number in range(self.options.rounds):
            progress(f"{load}: round {number + 1} of {self.options.rounds}")
            # Another server begins each round, so that none of them always follows the same neighbour.
            turn = number % max(1, len(ready))
            # And elsewhere in the queries: a server that remembers answers must not meet the same ones each round.
            at = random.Random(number).randrange(workload.LARGE_NAMES)
            if share is not None:
                at = WARM_UP_QUERIES + number * share
            for server, measured in ready[turn:] + ready[:turn]:
                with self.failing_alone(server):
                    waits, cpu, start = waits_of_tree(server.pid), cpu_of_tree(server.pid), time.monotonic()
                    result = self.ask(server, queries, self.options.seconds, at, share)
                    elapsed = time.monotonic() - start
                    cpu = cpu_of_tree(server.pid).since(cpu)
                    measured.add(result, cpu, waits_of_tree(server.pid) - waits, elapsed)
        for server, measured in ready:
            with self.failing_alone(server):
                measured.memory_bytes = memory_of_tree(server.pid)
        return results

    def ask_all(self, load: str, servers: list[Measurable], folder: Path) -> None:
        """Every query of the load once."""
        queries = self.prepared(load, folder)
        for server in servers:
            with self.failing_alone(server):
                progress(f"{load}: everything once, {server.name}")
                self.ask(server, queries, PASS_SECONDS, count=workload.LARGE_NAMES)

    def prepared(self, load: str, folder: Path) -> Path:
        file = folder / f"{load}.queries"
        if not file.exists():
            self.load.prepare(LOADS[load].queries(), file)
        return file

    def ask(
        self, server: Measurable, queries: Path, seconds: float, first: int = 0, count: int | None = None
    ) -> Result:
        result = self.load.run_file(
            server.endpoint,
            queries,
            seconds=seconds,
            window=self.options.window,
            count=int(10_000_000 * max(1.0, seconds)) if count is None else count,
            cores=self.load_cores,
            first=first,
            sockets=WORKERS_SOCKETS if self.shares_cores else 1,
            spins=not self.shares_cores,
        )
        problem = result.problem(any_rcode=server.name == FLOOR)
        if problem:
            raise RuntimeError(f"{server.name}, {queries.name}: {problem}\n{server.log_tail()}")
        return result

    # Transfers

    def transfer(self, server: Measurable) -> None:
        """The medians of three transfers of the large zone to each of the clients."""
        start = self.report.million[server.name]
        if find_binary("kdig"):
            progress(f"{server.name}: transfer of a million records to kdig")
            start.kdig_seconds = statistics.median(self.kdig(server) for _ in range(3))
        if not isinstance(self.load, Compiled):
            return
        seconds, cpus = [], []
        for _ in range(3):
            progress(f"{server.name}: transfer of a million records")
            before = cpu_of_tree(server.pid)
            records, elapsed = self.load.axfr(
                server.endpoint, workload.LARGE_ZONE, seconds=TRANSFER_SECONDS, cores=self.load_cores
            )
            if records < workload.LARGE_NAMES:
                raise RuntimeError(f"{server.name}: only {records} records came")
            seconds.append(elapsed)
            cpus.append(cpu_of_tree(server.pid).since(before).total)
        start.transfer_seconds, start.transfer_cpu_seconds = statistics.median(seconds), statistics.median(cpus)

    def kdig(self, server: Measurable) -> float:
        """The seconds of the whole command, which parses and prints every record."""
        command = [find_binary("kdig") or "kdig", f"@{server.address}", "-p", str(server.port), "+tcp"]
        command += [f"+timeout={TRANSFER_SECONDS:.0f}", "+retry=0", workload.LARGE_ZONE, "AXFR"]
        with tempfile.TemporaryFile() as output, pinned_to(self.load_cores):
            begun = time.monotonic()
            subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=TRANSFER_SECONDS, check=True)
            seconds = time.monotonic() - begun
            output.seek(-min(1000, output.tell()), os.SEEK_END)
            told = re.search(rb"(\d+) records\)", output.read())
        if told is None or int(told[1]) < workload.LARGE_NAMES:
            raise RuntimeError(f"{server.name}: kdig got {told[1].decode() if told else 'no'} records")
        return seconds


def answers(server: Measurable, zone: str) -> bool:
    if not alive(server):
        raise ServerDied(f"{server.name} ended\n{server.log_tail()}")
    return serial_at(server.endpoint, zone, timeout=0.25) is not None


def settled(server: Measurable, begun: float) -> float | None:
    """Seconds since `begun` when the server had nothing more to do; None if it has, after another LOADING_SECONDS."""
    cpu, idle_since = cpu_of_tree(server.pid).total, time.monotonic()
    end = idle_since + LOADING_SECONDS
    while time.monotonic() < end:
        time.sleep(0.1)
        used, now = cpu_of_tree(server.pid).total, time.monotonic()
        if used - cpu > SETTLED_SHARE * SETTLED_AFTER_SECONDS:
            cpu, idle_since = used, now
        elif now - idle_since > SETTLED_AFTER_SECONDS:
            return idle_since - begun
    return None


# The machine


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def version(name: str) -> str:
    found = SERVERS[name].version()
    if found is None:
        raise SystemExit(f"bench: {name} is not installed")
    return found


def alive(server: Measurable) -> bool:
    try:
        state = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def progress(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
