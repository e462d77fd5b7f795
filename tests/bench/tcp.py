"""Ten thousand idle TCP connections: what they cost the server, and whether UDP or a new client notices them.

python -m tests.bench.tcp [--connections 10000] [--rounds 5] [--seconds 4]

Twice: with the limits as they are by default, for which the connections compete (the longest idle one goes), and with
limits that let all of them stay. UDP is measured at a fixed rate, whatever comes back, from when a query is sent to
when the kernel has its answer (its own time stamp: what keeps this program waiting does not count). Rounds without and
with the connections alternate. Further measurements have no idle time in them: while connections are opened, while all
of them go because they were idle for too long, and while all ask at once.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import platform
import resource
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.bench.bench import processor, progress
from tests.bench.latency import RATE, Latency, for_seconds, latency
from tests.bench.procfs import proportional_size
from tests.bench.report import table
from tests.peers import Authdns, Endpoint, Zone, wait_until
from tests.peers.process import pinned_to
from tests.scenario.tools import Tcp, framed, question, rcode, write_zone

FIRST_SOURCE = IPv4Address("127.0.64.0")
NEW_CLIENTS = 20  # in each round
PIPELINED = 64
BATCH = 128  # connections opened before the last of them waits for an answer, lest the queue of the kernel overflows
SECONDS = 60.0  # at most, for whatever is waited for
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h
PAGE_OCTETS = os.sysconf("SC_PAGE_SIZE")
WWW = question("www.example.com")


@dataclass
class Measured:
    """One setting of the limits."""

    name: str
    without: list[Latency] = field(default_factory=list)
    idle: list[Latency] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    new_client: list[float] = field(default_factory=list)  # seconds
    opening_seconds: list[float] = field(default_factory=list)
    octets: dict[str, float] = field(default_factory=dict)  # per connection that is held; the first round's


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tcp", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one measurement of UDP (default 4)")
    options = parser.parse_args(arguments)
    allow_files(options.connections + 500)
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="authdns-bench-") as made, pinned_to({cores[-1]}), holding() as holder:
        bench = Bench(options, holder, Path(made), cores[0])
        results = [
            bench.rounds("default limits", {}, 32),
            bench.rounds(
                "raised limits",
                {"connections": options.connections + 100, "per-client": 100, "idle-seconds": 600.0},
                64,
            ),
        ]
        busy = [*bench.while_opening(), bench.while_expiring(), bench.while_asking()]
    print(as_text(options, results, busy))
    return 0


def allow_files(number: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < number:
        raise SystemExit(f"at most {hard} file descriptors are allowed here, {number} are needed: ulimit -n {number}")
    if soft != resource.RLIM_INFINITY and soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))


class Bench:
    """Starts the servers and measures them, one after the other."""

    def __init__(self, options: argparse.Namespace, holder: Holder, folder: Path, core: int) -> None:
        self.options = options
        self.holder = holder
        self.folder = folder
        self.core = core
        self.zone = Zone("example.com", write_zone(folder / "example.com.zone", 1, "www A 192.0.2.80"))
        self.count = 0

    @contextlib.contextmanager
    def server(self, **limits: Any) -> Iterator[Authdns]:
        self.count += 1
        server = Authdns(self.folder / f"server{self.count}", [self.zone], more={"tcp": limits}, cores={self.core})
        with server:
            latency(server.endpoint, WWW, for_seconds(1.0))  # warm
            yield server

    def rounds(self, name: str, limits: dict[str, Any], per_address: int) -> Measured:
        measured = Measured(name)
        seconds = self.options.seconds
        with self.server(**limits) as server:
            for number in range(self.options.rounds):
                progress(f"{name}: round {number + 1} of {self.options.rounds}")
                measured.without.append(latency(server.endpoint, WWW, for_seconds(seconds)))
                before, files = memory(server.pid), open_files(server.pid)
                measured.opening_seconds.append(
                    self.holder.open(server.endpoint, self.options.connections, per_address)
                )
                held = open_files(server.pid) - files
                if number == 0:
                    after = memory(server.pid)
                    measured.octets = {what: (after[what] - before[what]) / held for what in after}
                measured.idle.append(latency(server.endpoint, WWW, for_seconds(seconds)))
                measured.new_client += [seconds_to_serve(server.endpoint) for _ in range(NEW_CLIENTS)]
                measured.held.append(self.holder.held())
                self.holder.reset()
                wait_until(lambda: open_files(server.pid) <= files, "all connections are gone", SECONDS)  # noqa: B023
        return measured

    def while_opening(self) -> Iterator[tuple[str, Latency]]:
        """One address has 32 places of 4,096: nearly all are turned away; then many addresses evict each other."""
        for what, per_address in (("turned away", self.options.connections), ("evicting each other", 32)):
            with self.server() as server:
                self.holder.start_opening(server.endpoint, self.options.connections, per_address)
                yield f"opening, {what}", latency(server.endpoint, WWW, self.holder.idle)
                self.holder.reset()

    def while_expiring(self) -> tuple[str, Latency]:
        """All of them, idle for too long at the same time (as far as they were opened at the same time)."""
        limits = {"connections": self.options.connections + 100, "per-client": 100, "idle-seconds": 10.0}
        with self.server(**limits) as server:
            files = open_files(server.pid)
            self.holder.open(server.endpoint, self.options.connections, 64)
            found = latency(server.endpoint, WWW, lambda: open_files(server.pid) <= files, check_every=200)
            self.holder.reset()
        return "closing the idle", found

    def while_asking(self) -> tuple[str, Latency]:
        """All of them ask as much as is answered in one turn."""
        limits = {"connections": self.options.connections + 100, "per-client": 100, "idle-seconds": 600.0}
        with self.server(**limits) as server:
            self.holder.open(server.endpoint, self.options.connections, 64)
            self.holder.start_asking()
            found = latency(server.endpoint, WWW, self.holder.idle)
            self.holder.reset()
        return f"answering {PIPELINED} queries of each", found


# TCP


def seconds_to_serve(server: Endpoint) -> float:
    """A client that was never seen before: from connecting to having its answer."""
    begun = time.perf_counter()
    with Tcp(server, source="127.0.0.77") as client:
        if rcode(client.ask(WWW).message()):
            raise RuntimeError("a new client got no proper answer")
        return time.perf_counter() - begun


class Holder:
    """The connections, in a process of their own: they can be opened while something else is measured."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def open(self, server: Endpoint, number: int, per_address: int) -> float:
        """The seconds that it took."""
        self.start_opening(server, number, per_address)
        return float(self._pipe.recv())

    def start_opening(self, server: Endpoint, number: int, per_address: int) -> None:
        self._pipe.send((server, number, per_address))

    def start_asking(self) -> None:
        self._pipe.send("ask")

    def idle(self) -> bool:
        return self._pipe.poll()

    def held(self) -> int:
        """How many the server has not closed."""
        self._pipe.send("held")
        return int(self._pipe.recv())

    def reset(self) -> None:
        while self._pipe.poll():
            self._pipe.recv()
        self._pipe.send("reset")
        self._pipe.recv()


@contextlib.contextmanager
def holding() -> Iterator[Holder]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=hold, args=(theirs, ours), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Holder(ours)
    finally:
        ours.close()
        process.join(SECONDS)


def hold(pipe: Connection, other_end: Connection) -> None:
    """The process behind `Holder`: does what it is told until nobody is there to tell."""
    other_end.close()
    clients: list[socket.socket] = []
    with contextlib.suppress(EOFError):
        while True:
            told = pipe.recv()
            if told == "held":
                pipe.send(sum(map(is_open, clients)))
            elif told == "ask":
                ask_all(clients)
                pipe.send(None)
            elif told == "reset":
                for client in clients:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    client.close()
                clients = []
                pipe.send(None)
            else:
                server, number, per_address = told
                begun = time.monotonic()
                clients = open_all(server, number, per_address)
                pipe.send(time.monotonic() - begun)


def open_all(server: Endpoint, number: int, per_address: int) -> list[socket.socket]:
    clients = []
    for each in range(number):
        client = socket.socket()
        client.settimeout(SECONDS)
        client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        client.bind((str(FIRST_SOURCE + each // per_address), 0))
        client.connect(server)
        if each % BATCH == BATCH - 1 or each == number - 1:
            with contextlib.suppress(OSError):  # turned away
                client.sendall(framed(WWW))
                client.recv(512)
        client.setblocking(False)
        clients.append(client)
    return clients


def ask_all(clients: list[socket.socket]) -> None:
    """Every answer is of the same size, as every question is."""
    asked = framed(WWW) * PIPELINED
    expected = PIPELINED * (2 + len(WWW) + 16)  # a compressed name and an address
    for client in clients:
        client.send(asked)
    for client in clients:
        client.settimeout(SECONDS)
        taken = 0
        while taken < expected:
            taken += len(client.recv(65536))


def is_open(client: socket.socket) -> bool:
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


# Memory


def memory(pid: int) -> dict[str, int]:
    """Octets: of the server by itself; of the kernel, for all sockets of this machine (so for both their ends)."""
    status = numbers(f"/proc/{pid}/status")
    buffers = numbers("/proc/net/sockstat")["TCP"][-1]
    return {
        "resident": status["VmRSS"][0] * 1024,
        "proportional": proportional_size(pid),
        "kernel, both ends": numbers("/proc/meminfo")["Slab"][0] * 1024 + buffers * PAGE_OCTETS,
    }


def numbers(path: str) -> dict[str, list[int]]:
    """`Name: 1 kB` or `NAME: inuse 1 mem 2`, line by line."""
    lines = (line.split() for line in Path(path).read_text().splitlines())
    return {words[0].rstrip(":"): [int(word) for word in words[1:] if word.isdecimal()] for words in lines if words}


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


# The table


def as_text(options: argparse.Namespace, results: list[Measured], busy: list[tuple[str, Latency]]) -> str:
    lines = ["", "# Idle TCP connections", "", f"- {processor()}, Linux {platform.release()}, {sys.version.split()[0]}"]
    lines += [f"- {options.connections:,} connections, {options.rounds} rounds of {options.seconds:g} s, medians"]
    lines += [f"- UDP: {RATE:,} queries a second, latency in µs", ""]
    head = ["limits", "held", "p50", "with", "p99", "with", "ratio", "longest", "with", "lost"]
    lines += table([head, *map(udp_row, results)], text=1)
    head = ["limits", "octets a connection", "kernel", "new client (ms)", "slowest", "opened in (s)"]
    lines += ["", *table([head, *map(tcp_row, results)], text=1)]
    head = ["UDP while", "p50", "p99", "longest", "lost"]
    rows = [[what, *(f"{v:,.0f}" for v in (one.p50, one.p99, one.longest, one.lost))] for what, one in busy]
    return "\n".join([*lines, "", *table([head, *rows], text=1), ""])


def udp_row(measured: Measured) -> list[str]:
    def median(of: list[Latency], what: str) -> float:
        return statistics.median([float(getattr(each, what)) for each in of])

    row = [measured.name, f"{min(measured.held):,}"]
    for what in ("p50", "p99"):
        row += [f"{median(of, what):,.0f}" for of in (measured.without, measured.idle)]
    ratio = median(measured.idle, "p99") / median(measured.without, "p99")
    row += [f"{ratio:.2f}", *(f"{median(of, 'longest'):,.0f}" for of in (measured.without, measured.idle))]
    return [*row, str(sum(each.lost for each in (*measured.without, *measured.idle)))]


def tcp_row(measured: Measured) -> list[str]:
    octets = measured.octets
    return [
        measured.name,
        f"{octets['resident']:,.0f} resident, {octets['proportional']:,.0f} proportional",
        f"{octets['kernel, both ends']:,.0f}",
        f"{statistics.median(measured.new_client) * 1000:.2f}",
        f"{max(measured.new_client) * 1000:.2f}",
        f"{statistics.median(measured.opening_seconds):.1f}",
    ]


if __name__ == "__main__":
    sys.exit(main())
