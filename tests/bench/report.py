"""What a run of the benchmark has found, and the tables of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.bench import workload
from tests.bench.load import Result
from tests.bench.procfs import Cpu
from tests.bench.servers import FLOOR, REFERENCE

SETTINGS = """\
Settings: one server core, one generator core, one worker. BIND: -n 1, minimal-responses no-auth, rrset-order none, no
statistics, logging to null. NSD: server-count 1, verbosity 0, minimal-responses (which leaves out the addresses of MX
targets too; otherwise every answer carries the zone's NS set). Knot: one worker of each kind, logs errors only.
authdns: engine native with workers 1, and engine python; without metrics, else as by default: its rate limit is on, but
loopback is exempt. Elsewhere rate limiting is off; query logs and control channels are off everywhere. Transfers:
loopback, no TSIG.

CPU: user and system time of all processes and threads of the server, from /proc, in steps of 10 ms; how it divides into
user and system the kernel only samples, so in short rounds just the total means something. The floor receives batches
with recvmmsg and sends the queries back with sendmmsg: what that costs, for answers of a query's size.
`busy`: the share of its core that the server got; `waits`: how often in 1,000 queries one of its threads went to sleep.
Well below 100 % with few waits, something else ran on its core; with many, the generator was too slow for it; in both
cases the figures are worse. `load busy` is the time in which the generator had something to send or to receive, which
costs it about as much as the floor; it spins while it has not, so that no server pays for waking it up. Memory:
proportional set size of all the server's processes, after the load. Zone files are in the page cache at a start."""

WORKERS_NOTE = """\
Here the generator shares the cores with the servers, which run on all of them, and it sleeps while no answers come. So
queries/s is what servers and generator together get out of these cores and is no more than a lower limit of what the
workers can do; `× one worker` of it is bounded by the generator's own CPU time. What shows whether workers get in each
other's way is the CPU time per query: `× one worker` of that is 1 if they do not. The last column is calculated, not
measured: workers / CPU time, the rate if each worker had a core of its own and the generator another."""


@dataclass
class Measured:
    """One server under one load: a value per round."""

    user: list[float] = field(default_factory=list)  # µs per answered query
    system: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)  # answered queries per second
    busy: list[float] = field(default_factory=list)  # share of its core that the server used
    waits: list[float] = field(default_factory=list)  # times that the server went to sleep, per 1,000 queries
    load_busy: list[float] = field(default_factory=list)  # share of the time in which the generator had work
    load_total: list[float] = field(default_factory=list)  # µs of the generator per answered query
    octets: float | None = None  # per answer
    sent: int = 0
    lost: int = 0
    memory_bytes: int | None = None  # after the last round

    def add(self, result: Result, cpu: Cpu, waits: int, elapsed: float) -> None:
        self.user.append(cpu.user / result.answered * 1e6)
        self.system.append(cpu.system / result.answered * 1e6)
        self.total.append(cpu.total / result.answered * 1e6)
        self.rate.append(result.answered / result.seconds)
        self.busy.append(cpu.total / elapsed)
        self.waits.append(waits / result.answered * 1000)
        if result.idle_seconds is not None:
            self.load_busy.append(max(0.0, 1 - result.idle_seconds / result.seconds))
        if result.cpu_seconds is not None:
            self.load_total.append(result.cpu_seconds / result.answered * 1e6)
        self.octets = None if result.bytes is None else result.bytes / result.answered
        self.sent += result.sent
        self.lost += result.lost


@dataclass
class Start:
    """What it costs a server to start with many records or zones."""

    first_answer_seconds: float | None = None
    gave_up_seconds: float | None = None  # it has not answered within this time
    settled_seconds: float | None = None  # when it had nothing more to do
    memory_bytes: int | None = None  # then
    again_seconds: float | None = None  # the first answer when started again with what it has kept
    again_memory_bytes: int | None = None
    transfer_seconds: float | None = None
    transfer_cpu_seconds: float | None = None
    kdig_seconds: float | None = None


@dataclass
class Report:
    machine: str
    generator: str
    rounds: int
    seconds: float
    window: int
    versions: dict[str, str]
    loads: dict[str, dict[str, Measured]] = field(default_factory=dict)  # load -> server
    workers: dict[str, dict[str, dict[int, Measured]]] = field(default_factory=dict)  # load -> server -> workers
    million: dict[str, Start] = field(default_factory=dict)
    zones: dict[str, Start] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)  # what could not be measured, and why


def as_text(report: Report) -> str:
    """The report as text that is Markdown as well."""
    lines = ["", "# Benchmark", "", f"- {report.machine}"]
    lines += [f"- {report.rounds} rounds of {report.seconds:g} s, {report.window} queries outstanding; medians"]
    lines += [f"- generator: {report.generator}"]
    lines += [f"- {name}: {text}" for name, text in report.versions.items()]
    if report.loads:
        head = ["load", "server", "total", "user", "system", f"× {FLOOR}", f"× {REFERENCE}", "spread", "queries/s"]
        head += ["busy", "waits", "load busy", "lost", "MiB", "octets"]
        rows = (row for load in report.loads for row in load_rows(load, report.loads[load]))
        lines += ["", "## CPU time per answered query (µs)", "", *table([head, *rows], text=2)]
    if report.workers:
        head = ["load", "server", "workers", "total", "× one worker", "queries/s", "× one worker", "generator total"]
        head += ["lost", "alone (queries/s)"]
        rows = (row for load in report.workers for row in worker_rows(load, report.workers[load]))
        lines += ["", "## Several workers", "", *table([head, *rows], text=2), "", *WORKERS_NOTE.splitlines()]
    if report.million:
        head = ["server", "first answer (s)", "settled (s)", "MiB", "started again (s)", "MiB"]
        head += ["AXFR, kdig (s)", "AXFR (s)", "its CPU (s)"]
        lines += ["", f"## {workload.LARGE_NAMES:,} records in one zone", ""]
        lines += table([head, *(million_row(name, start) for name, start in report.million.items())], text=1)
    if report.zones:
        head = ["server", "all answer (s)", "settled (s)", "MiB"]
        lines += ["", f"## {workload.MANY_ZONES:,} zones", ""]
        lines += table([head, *([name, *start_cells(start)] for name, start in report.zones.items())], text=1)
    lines += ["", *(f"FAILED: {failure.splitlines()[0]}" for failure in report.failures)]
    return "\n".join([*lines, "", "```", *workload.describe(), "", *SETTINGS.splitlines(), "```", ""])


def load_rows(load: str, results: dict[str, Measured]) -> list[list[str]]:
    results = {name: measured for name, measured in results.items() if measured.total}  # not those that failed

    def ratio(total: float, other: str) -> str:
        return f"{total / statistics.median(results[other].total):.2f}" if other in results else "-"

    rows = []
    for name, measured in results.items():
        total = statistics.median(measured.total)
        rows.append(
            [
                load,
                name,
                f"{total:.2f}",
                median(measured.user, "{:.2f}"),
                median(measured.system, "{:.2f}"),
                ratio(total, FLOOR),
                ratio(total, REFERENCE),
                f"{min(measured.total):.2f}–{max(measured.total):.2f}",
                median(measured.rate, "{:,.0f}"),
                median(measured.busy, "{:.0%}"),
                median(measured.waits, "{:.1f}"),
                median(measured.load_busy, "{:.0%}"),
                lost(measured),
                mebibytes(measured.memory_bytes),
                "-" if measured.octets is None else f"{measured.octets:.0f}",
            ]
        )
    return rows


def worker_rows(load: str, results: dict[str, dict[int, Measured]]) -> list[list[str]]:
    def ratio(values: Callable[[Measured], list[float]], of: Measured, one: Measured | None) -> str:
        if one is None or not one.total:
            return "-"
        return f"{statistics.median(values(of)) / statistics.median(values(one)):.2f}"

    rows = []
    for name, by_workers in results.items():
        one = by_workers.get(1)
        for workers, measured in by_workers.items():
            if not measured.total:
                continue
            row = [load, name, str(workers), median(measured.total, "{:.2f}"), ratio(lambda m: m.total, measured, one)]
            row += [median(measured.rate, "{:,.0f}"), ratio(lambda m: m.rate, measured, one)]
            row += [median(measured.load_total, "{:.2f}"), lost(measured)]
            rows.append([*row, f"{workers * 1e6 / statistics.median(measured.total):,.0f}"])
    return rows


def million_row(name: str, start: Start) -> list[str]:
    again = [seconds(start.again_seconds), mebibytes(start.again_memory_bytes)]
    transfers = [start.kdig_seconds, start.transfer_seconds, start.transfer_cpu_seconds]
    return [name, *start_cells(start), *again, *map(seconds, transfers)]


def start_cells(start: Start) -> list[str]:
    if start.first_answer_seconds is None:
        return [f"> {start.gave_up_seconds:g}", "-", "-"]
    return [seconds(start.first_answer_seconds), seconds(start.settled_seconds), mebibytes(start.memory_bytes)]


def median(values: Sequence[float], form: str) -> str:
    return form.format(statistics.median(values)) if values else "-"


def seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def mebibytes(value: int | None) -> str:
    return "-" if value is None else f"{value / 2**20:,.0f}"


def lost(measured: Measured) -> str:
    return f"{measured.lost / measured.sent:.3%}" if measured.lost else "0"


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
