"""The benchmark: CPU time per answered query of the whole server, beside the installed peers, in one run.

Every server is pinned to one core and has one worker; the generator has another core. Rounds alternate between the
servers, so that noise meets them all alike, and the table shows medians. CPU time, not the rate, is what is compared:
on loopback the rate also depends on the generator. Loads, and what is fair, are printed with the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.bench import workload
from tests.bench.load import Compiled, Generator, Query, Result, generator
from tests.bench.procfs import Cpu, cpu_of_tree, memory_of_tree
from tests.peers import Authdns, Bind, Knot, NameServer, Nsd, ServerDied, Zone, serial_at, wait_until
from tests.peers.availability import find_binary

SERVERS: dict[str, type[NameServer]] = {"authdns": Authdns, "bind": Bind, "nsd": Nsd, "knot": Knot}
BINARIES = {"authdns": sys.executable, "bind": "named", "nsd": "nsd", "knot": "knotd"}
REFERENCE = "bind"
LOADS: dict[str, Callable[[], list[Query]]] = {
    "mixed": workload.mixed,
    "nxdomain": workload.nxdomain,
    "one": workload.one,
    "signed": workload.signed,
    "denied": workload.denied,
    "signed-nsec3": workload.signed_nsec3,
    "denied-nsec3": workload.denied_nsec3,
    "million": workload.million,
}
WARM_UP_SECONDS = 0.3
LOADING_SECONDS = 300.0
TRANSFER_SECONDS = 120.0

SETTINGS = """\
Settings: one server core, one generator core. BIND: -n 1, minimal-responses no-auth, rrset-order none, no statistics,
logging to null. NSD: server-count 1, verbosity 0, minimal-responses (which leaves out the addresses of MX targets too;
otherwise every answer carries the zone's NS set). Knot: one worker of each kind, logs errors only. authdns: as
configured by default, without metrics. Rate limiting, query logs and control channels are off everywhere. Transfers:
loopback, no TSIG. CPU: user and system time of all processes and threads of the server, from /proc. Memory:
proportional set size of all its processes. The generator spins while idle: no server pays for waking it up. `busy` is
the share of its core that the server got; well below 100 % something else ran there, and the figures are worse."""


@dataclass
class Measured:
    """One server under one load: a value per round."""

    user: list[float] = field(default_factory=list)  # µs per answered query
    system: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)  # answered queries per second
    busy: list[float] = field(default_factory=list)  # share of its core that the server used
    octets: float | None = None  # per answer
    lost: int = 0

    def add(self, result: Result, cpu: Cpu, elapsed: float) -> None:
        self.user.append(cpu.user / result.answered * 1e6)
        self.system.append(cpu.system / result.answered * 1e6)
        self.total.append(cpu.total / result.answered * 1e6)
        self.rate.append(result.answered / result.seconds)
        self.busy.append(cpu.total / elapsed)
        self.octets = None if result.bytes is None else result.bytes / result.answered
        self.lost += result.lost


@dataclass
class Size:
    """What a million records cost a server."""

    first_answer_seconds: float
    memory_bytes: int  # when the first answer came
    memory_later_bytes: int | None = None  # after the queries: some servers keep what they have answered
    transfer_seconds: float | None = None
    transfer_cpu_seconds: float | None = None


@dataclass
class Report:
    machine: str
    generator: str
    rounds: int
    seconds: float
    window: int
    versions: dict[str, str]
    loads: dict[str, dict[str, Measured]] = field(default_factory=dict)  # load -> server
    sizes: dict[str, Size] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)  # what could not be measured, and why


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("bench: one core only; server and generator share it, and the figures mean little", file=sys.stderr)
    with ExitStack() as stack:
        bench = Bench(options, stack.enter_context(generator()), cores)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="authdns-bench-")))
        folder.chmod(0o755)
        bench.small_zone(folder)
        bench.large_zone(folder)
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
    parser.add_argument("--window", type=int, default=64, help="queries outstanding, at most 1024 (default 64)")
    parser.add_argument("--loads", type=names(list(LOADS)), default=list(LOADS), help=",".join(LOADS))
    parser.add_argument("--servers", type=names(list(SERVERS)), default=installed(), help=",".join(SERVERS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there as well")
    return parser.parse_args(arguments)


def installed() -> list[str]:
    return [name for name, program in BINARIES.items() if name == "authdns" or find_binary(program)]


class Bench:
    """Starts the servers, puts the loads on them, fills in the report."""

    def __init__(self, options: argparse.Namespace, load: Generator, cores: list[int]) -> None:
        self.options = options
        self.load = load
        self.server_core, self.load_core = {cores[0]}, {cores[-1]}
        self.report = Report(
            machine=f"{processor()}, {len(cores)} cores, Linux {platform.release()}",
            generator=load.name,
            rounds=options.rounds,
            seconds=options.seconds,
            window=options.window,
            versions={name: version(name) for name in options.servers},
        )

    def small_zone(self, folder: Path) -> None:
        """The loads on the zone of some 1,000 names, plain and signed, all servers running side by side."""
        loads = [load for load in self.options.loads if load != "million"]
        if not loads:
            return
        file = folder / "small.zone"
        workload.write_small_zone(file)
        zones = [Zone(workload.SMALL_ZONE, file=file)]
        for zone in workload.SIGNED_ZONES:
            workload.write_signed_zone(folder / f"{zone}.zone", zone)
            zones.append(Zone(zone, file=folder / f"{zone}.zone"))
        with ExitStack() as stack:
            servers = []
            for name in self.options.servers:
                server = self.server(name, folder / "small", zones)
                stack.callback(server.stop)
                with self.failing_alone(server):
                    server.start()
                    servers.append(server)
            for load in loads:
                self.measure(load, servers, folder)

    def large_zone(self, folder: Path) -> None:
        """A million records: start, memory, queries, transfer."""
        if "million" not in self.options.loads:
            return
        file = folder / "large.zone"
        workload.write_large_zone(file)
        with ExitStack() as stack:
            servers = []
            for name in self.options.servers:
                server = self.server(name, folder / "large", [Zone(workload.LARGE_ZONE, file=file)])
                stack.callback(server.stop)
                with self.failing_alone(server):
                    seconds = self.seconds_to_first_answer(server)
                    self.report.sizes[name] = Size(seconds, memory_of_tree(server.pid))
                    servers.append(server)
            self.measure("million", servers, folder)
            for server in servers:
                with self.failing_alone(server):
                    self.report.sizes[server.name].memory_later_bytes = memory_of_tree(server.pid)
            if isinstance(self.load, Compiled):
                for server in servers:
                    with self.failing_alone(server):
                        self.transfer(self.load, server)

    @contextlib.contextmanager
    def failing_alone(self, server: NameServer) -> Iterator[None]:
        """What one server fails to do goes into the report; the others are measured all the same."""
        try:
            yield
        except (ServerDied, OSError, RuntimeError, subprocess.SubprocessError) as error:
            self.report.failures.append(f"{server.name}: {error}")
            progress(f"{server.name} failed: {str(error).splitlines()[0]}")

    def server(self, name: str, folder: Path, zones: list[Zone]) -> NameServer:
        return SERVERS[name](folder / name, zones, cores=self.server_core, quiet=True)

    def seconds_to_first_answer(self, server: NameServer) -> float:
        progress(f"{server.name}: reading a million records")
        before = time.monotonic()
        server.launch()

        def answers() -> bool:
            if not alive(server):
                raise ServerDied(f"{server.name} ended\n{server.log_tail()}")
            return serial_at(server.endpoint, workload.LARGE_ZONE, timeout=0.25) is not None

        wait_until(answers, f"{server.name}: an answer", LOADING_SECONDS, poll=0.005)
        return time.monotonic() - before

    def measure(self, load: str, servers: list[NameServer], folder: Path) -> None:
        queries = folder / f"{load}.queries"
        self.load.prepare(LOADS[load](), queries)
        ready = []
        for server in servers:
            with self.failing_alone(server):
                self.ask(server, queries, WARM_UP_SECONDS)
                ready.append(server)
        servers = ready
        results = self.report.loads[load] = {server.name: Measured() for server in servers}
        for number in range(self.options.rounds):
            progress(f"{load}: round {number + 1} of {self.options.rounds}")
            # Another server begins each round, so that none of them always follows the same neighbour.
            first = number % max(1, len(servers))
            # And elsewhere in the queries: a server that remembers answers must not meet the same ones each round.
            start_at = random.Random(number).randrange(workload.LARGE_NAMES)
            for server in servers[first:] + servers[:first]:
                with self.failing_alone(server):
                    cpu, start = cpu_of_tree(server.pid), time.monotonic()
                    result = self.ask(server, queries, self.options.seconds, start_at)
                    elapsed = time.monotonic() - start
                    results[server.name].add(result, cpu_of_tree(server.pid).since(cpu), elapsed)

    def ask(self, server: NameServer, queries: Path, seconds: float, first: int = 0) -> Result:
        result = self.load.run_file(
            server.endpoint,
            queries,
            seconds=seconds,
            window=self.options.window,
            count=int(10_000_000 * max(1.0, seconds)),
            cores=self.load_core,
            first=first,
        )
        problem = result.problem()
        if problem:
            raise RuntimeError(f"{server.name}, {queries.name}: {problem}\n{server.log_tail()}")
        return result

    def transfer(self, load: Compiled, server: NameServer) -> None:
        """The median of three transfers of the large zone."""
        seconds, cpus = [], []
        for _ in range(3):
            progress(f"{server.name}: transfer of a million records")
            before = cpu_of_tree(server.pid)
            records, elapsed = load.axfr(
                server.endpoint, workload.LARGE_ZONE, seconds=TRANSFER_SECONDS, cores=self.load_core
            )
            if records < workload.LARGE_NAMES:
                raise RuntimeError(f"{server.name}: only {records} records came")
            seconds.append(elapsed)
            cpus.append(cpu_of_tree(server.pid).since(before).total)
        size = self.report.sizes[server.name]
        size.transfer_seconds, size.transfer_cpu_seconds = statistics.median(seconds), statistics.median(cpus)


# The table


def as_text(report: Report) -> str:
    """The report as text that is Markdown as well."""
    lines = ["", "# Benchmark", "", f"- {report.machine}"]
    lines += [f"- {report.rounds} rounds of {report.seconds:g} s, {report.window} queries outstanding; medians"]
    lines += [f"- generator: {report.generator}"]
    lines += [f"- {name}: {text}" for name, text in report.versions.items()]
    lines += ["", "## CPU time per answered query (µs)", ""]
    head = ["load", "server", "total", "user", "system", f"× {REFERENCE}", "spread", "queries/s", "busy", "octets"]
    lines += table([head, *(row for load in report.loads for row in load_rows(load, report.loads[load]))], text=2)
    if report.failures:
        lines += ["", *(f"FAILED: {failure.splitlines()[0]}" for failure in report.failures)]
    if report.sizes:
        head = ["server", "first answer (s)", "memory (MiB)", "after queries", "transfer (s)", "transfer CPU (s)"]
        lines += ["", f"## {workload.LARGE_NAMES:,} records in one zone", ""]
        lines += table([head, *(size_row(name, size) for name, size in report.sizes.items())], text=1)
    lines += ["", "```", *workload.describe(), "", *SETTINGS.splitlines(), "```", ""]
    return "\n".join(lines)


def load_rows(load: str, results: dict[str, Measured]) -> list[list[str]]:
    rows = []
    results = {name: measured for name, measured in results.items() if measured.total}  # not those that failed
    reference = statistics.median(results[REFERENCE].total) if REFERENCE in results else None
    for name, measured in results.items():
        total = statistics.median(measured.total)
        rows.append(
            [
                load,
                name,
                f"{total:.2f}",
                f"{statistics.median(measured.user):.2f}",
                f"{statistics.median(measured.system):.2f}",
                f"{total / reference:.2f}" if reference else "-",
                f"{min(measured.total):.2f}–{max(measured.total):.2f}",
                f"{statistics.median(measured.rate):,.0f}",
                f"{statistics.median(measured.busy):.0%}",
                "-" if measured.octets is None else f"{measured.octets:.0f}",
            ]
        )
    return rows


def size_row(name: str, size: Size) -> list[str]:
    def seconds(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    def mebibytes(value: int | None) -> str:
        return "-" if value is None else f"{value / 2**20:,.0f}"

    row = [name, seconds(size.first_answer_seconds), mebibytes(size.memory_bytes), mebibytes(size.memory_later_bytes)]
    return [*row, seconds(size.transfer_seconds), seconds(size.transfer_cpu_seconds)]


def table(rows: list[list[str]], text: int) -> list[str]:
    """A Markdown table, aligned to be read as it is; the first `text` columns to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: list[str]) -> str:
        cells = [
            cell.ljust(width) if column < text else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(cells)} |"

    rule = ["-" * width if column < text else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return [line(rows[0]), line(rule), *(line(row) for row in rows[1:])]


# The machine


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def version(name: str) -> str:
    """What the server says it is."""
    if name == "authdns":
        return f"this checkout, Python {platform.python_version()}"
    program = find_binary(BINARIES[name])
    if program is None:
        raise SystemExit(f"bench: {name} ({BINARIES[name]}) is not installed")
    flag = {"bind": "-v", "nsd": "-v", "knot": "-V"}[name]
    done = subprocess.run([program, flag], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).splitlines()[0]


def alive(server: NameServer) -> bool:
    try:
        state = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def progress(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
