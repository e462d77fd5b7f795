"""Mutated packets over real sockets against a running authdns.

    python -m tests.fuzz.packets [--packets 10000000] [--seed 1]

Datagrams go out in batches, each ended by a query with a known answer. Answers come in the order of the requests, so
once that one is back, every request of the batch must have had exactly one answer, and everything else none. Streams
hold such messages with their lengths, now and then a wrong length or no request at all at the end.

Afterwards the server must be the same process, answer, not have grown, and not have caught an exception.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import selectors
import socket
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from authdns.wire.types import Class, Rcode, Type
from tests.fuzz.invariants import Violation, check_answer, is_request
from tests.fuzz.mutations import SEEDS, mutated
from tests.fuzz.zones import UNAVAILABLE, ZONES, responder
from tests.peers import Authdns, Endpoint, free_port
from tests.unit.answer.packets import WWW, opt, option, query

BATCH = 128
BATCH_OCTETS = 64 * 1024  # the server's socket holds two of them
STREAM_MESSAGES = 50
TCP_PART = 50  # one packet of so many goes over TCP
PATIENCE_SECONDS = 60.0  # for an answer, on whatever machine
WARM_UP = 0.1  # of all packets; then the server's memory must stay what it is
MAX_WARM_UP_PACKETS = 200_000
MAX_GROWTH_OCTETS = 16 * 1024 * 1024
# When both are answered, so is all that was sent before them: one by the engine, the other by Python.
FENCES = (query(WWW, edns=opt(payload=1234)), query(b"\2id\6server\0", Type.TXT, Class.CH))
MUTANTS = 3  # times the seeds: so many places for mutations that are mutated further


@dataclass
class Report:
    """What was sent and what came back. `silent`: packets that must get no answer, and got none."""

    packets: int = 0
    answered: int = 0
    silent: int = 0
    over_tcp: int = 0
    connections: int = 0
    seconds: float = 0.0
    largest: int = 0
    rcodes: dict[int, int] = field(default_factory=dict)
    resident_before: int = 0
    resident_after: int = 0

    def count(self, answer: bytes) -> None:
        self.answered += 1
        self.largest = max(self.largest, len(answer))
        self.rcodes[answer[3] & 15] = self.rcodes.get(answer[3] & 15, 0) + 1


def numbered(packet: bytes, number: int) -> bytes:
    """With that id."""
    return number.to_bytes(2, "big") + packet[2:] if len(packet) > 1 else packet


# UDP


def attack_udp(server: Endpoint, packets: Iterator[bytes], report: Report) -> None:
    """Sends all of them; one batch is under way while the next is made. Raises Violation."""
    with socket.socket(socket.AF_INET6 if ":" in server.address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.settimeout(PATIENCE_SECONDS)
        sock.connect(server)
        waiting: dict[int, bytes] = {}  # of both batches; each way of answering is in order, but not both together
        before: list[int] = []
        for number, batch in enumerate(_batches(packets)):
            first = number % 2 * (BATCH + len(FENCES))  # no id is in use twice
            sent = _send(sock, batch, first)
            report.packets += len(batch)
            report.silent += len(batch) + len(FENCES) - len(sent)
            waiting |= sent
            _receive(sock, waiting, before, report)
            before = list(sent)
        _receive(sock, waiting, before, report)


def _batches(packets: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    octets = 0
    for packet in packets:
        batch.append(packet)
        octets += len(packet)
        if len(batch) == BATCH or octets > BATCH_OCTETS:
            yield batch
            batch, octets = [], 0
    if batch:
        yield batch


def _send(sock: socket.socket, batch: list[bytes], first: int) -> dict[int, bytes]:
    """The requests by their ids, the fences included, which are the last."""
    waiting = {}
    for ident, packet in enumerate(batch, first):
        packet = numbered(packet, ident)
        sock.send(packet)
        if is_request(packet):
            waiting[ident] = packet
    for ident, fence in enumerate(FENCES, first + BATCH):
        waiting[ident] = numbered(fence, ident)
        sock.send(waiting[ident])
    return waiting


def _receive(sock: socket.socket, waiting: dict[int, bytes], batch: list[int], report: Report) -> None:
    """Until that batch is answered, the ids of which end in its fences'."""
    fences = batch[-len(FENCES) :]
    while not waiting.keys().isdisjoint(fences):
        try:
            answer = sock.recv(65535)
        except TimeoutError:
            raise Violation(f"no answer within {PATIENCE_SECONDS:g} s; one of {_shown(waiting)}") from None
        ident = int.from_bytes(answer[:2], "big")
        request = waiting.pop(ident, None)
        if request is None:
            raise Violation(f"an answer that nothing asked for, or twice: {answer.hex()}")
        check_answer(request, answer, tcp=False)
        if ident % (BATCH + len(FENCES)) < BATCH:
            report.count(answer)
    if silent := {ident: waiting[ident] for ident in batch if ident in waiting}:
        raise Violation(f"no answer to {_shown(silent)}")


def _shown(waiting: dict[int, bytes]) -> str:
    return "\n".join(packet.hex() for packet in waiting.values())


# TCP


def attack_tcp(server: Endpoint, packets: list[bytes], random_: random.Random, report: Report) -> None:
    """One connection: these messages, then the end. Raises Violation."""
    requests = [numbered(packet, ident) for ident, packet in enumerate(packets)]
    stream = bytearray()
    waiting: dict[int, bytes] = {}
    for number, request in enumerate(requests):
        if not is_request(request) and number < len(requests) - 1:
            continue  # the server closes behind one
        if is_request(request):
            waiting[number] = request
        stream += len(request).to_bytes(2, "big") + request
    if random_.random() < 0.3:  # a message that never becomes complete
        stream += random_.choice((b"\0", b"\0\0", b"\xff\xff" + bytes(100), b"\0\x0c" + bytes(11)))
    report.packets += len(requests)
    report.over_tcp += len(requests)
    report.silent += len(requests) - len(waiting)
    report.connections += 1
    for answer in _messages(_exchange(server, bytes(stream))):
        request = waiting.pop(int.from_bytes(answer[:2], "big"), b"")
        check_answer(request, answer, tcp=True)
        report.count(answer)
    if waiting:
        raise Violation(f"no answer over TCP to {_shown(waiting)}")


def _exchange(server: Endpoint, stream: bytes) -> bytes:
    """Everything that comes back until the server closes; it is written and read at the same time."""
    received = bytearray()
    with socket.create_connection(server, PATIENCE_SECONDS) as sock, selectors.DefaultSelector() as selector:
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        sent = 0
        while True:
            ready = selector.select(PATIENCE_SECONDS)
            if not ready:
                raise Violation(f"the server does not close the connection after {stream.hex()}")
            events = ready[0][1]
            if events & selectors.EVENT_READ:
                try:
                    got = sock.recv(65536)
                except ConnectionResetError:
                    got = b""  # behind what is no request there was more, which nobody reads
                if not got:
                    return bytes(received)
                received += got
            if events & selectors.EVENT_WRITE:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    sent += sock.send(stream[sent : sent + 65536])
                if sent == len(stream):
                    sock.shutdown(socket.SHUT_WR)
                    selector.modify(sock, selectors.EVENT_READ)


def _messages(stream: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(stream):
        end = position + 2 + int.from_bytes(stream[position : position + 2], "big")
        if end > len(stream) or end - position < 2:
            raise Violation(f"a message is cut off: {stream[position:].hex()}")
        yield stream[position + 2 : end]
        position = end


# The run


def endless(random_: random.Random) -> Iterator[bytes]:
    """Mutations of the seeds; some that are still queries are mutated further, until others take their places."""
    respond = responder(tcp=False).respond
    seeds = list(SEEDS)
    pool = len(seeds)
    seeds += SEEDS * MUTANTS
    while True:
        packet = mutated(random_, seeds)
        if random_.random() < 0.02 and len(packet) < 1000:
            answer = respond(packet)
            if isinstance(answer, bytes) and answer[3] & 15 not in (Rcode.FORMERR, Rcode.NOTIMP):
                seeds[pool + int(random_.random() * (len(seeds) - pool))] = packet
        yield packet


def long_ones(random_: random.Random, number: int) -> list[bytes]:
    """Messages for a stream; a few as long as they can be."""
    made = [mutated(random_) for _ in range(number)]
    if random_.random() < 0.05:
        made.append(query(edns=opt(options=option(65001, bytes(65_000))))[: random_.randrange(60_000, 65_536)])
    return made


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[Authdns]:
    """authdns with the zones of `zones`, one that cannot be read, transfers of none, and metrics."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = []
    for name, text in ZONES.items():
        path = folder / f"{name}.zone"
        path.write_text(text)
        settings.append({"zone": name, "file": str(path), "notify-ns": False})
    settings.append({"zone": UNAVAILABLE, "file": str(folder / "missing.zone"), "notify-ns": False})
    more = {
        "metrics": {"listen": f"127.0.0.1:{free_port()}"},
        "identity": "i" * 255,
        "version": "v",
        "log": {"level": "warning"},
    }
    with Authdns(folder / "server", settings, more=more) as server:
        server.wait_until_serving(next(iter(ZONES)))
        yield server


def metric(server: Authdns, name: str) -> float:
    """Of the server's metrics, the one without labels."""
    url = f"http://{server.configuration['metrics']['listen']}/metrics"
    with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as response:
        text = response.read().decode()
    found = re.search(rf"^{name} ([0-9.e+]+)$", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"no metric {name}\n{text}")
    return float(found[1])


def resident_octets(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"process {pid} has no resident memory")


def attack(server: Authdns, number: int, seed: int) -> Report:
    """So many packets. Raises Violation."""
    random_ = random.Random(seed)
    source = endless(random_)
    report = Report()
    begun = time.monotonic()
    pid = server.pid
    warm_up = min(int(number * WARM_UP), MAX_WARM_UP_PACKETS)
    streams = number // TCP_PART // STREAM_MESSAGES
    datagrams = number - streams * STREAM_MESSAGES
    parts = max(streams, 1)
    for part in range(parts):
        share = datagrams // parts + (part < datagrams % parts)
        attack_udp(server.endpoint, (next(source) for _ in range(share)), report)
        if streams:
            attack_tcp(server.endpoint, long_ones(random_, STREAM_MESSAGES), random_, report)
        if not report.resident_before and report.packets >= warm_up:
            report.resident_before = resident_octets(pid)
    report.seconds = time.monotonic() - begun
    report.resident_after = resident_octets(pid)
    check_afterwards(server, pid, report)
    return report


def check_afterwards(server: Authdns, pid: int, report: Report) -> None:
    server.wait_until_serving(next(iter(ZONES)))  # raises if the process has ended
    if server.pid != pid:
        raise Violation("another process")
    if failed := metric(server, "authdns_failed_total"):
        raise Violation(f"{failed:g} requests raised an exception inside the server\n{server.log_tail()}")
    if "Traceback" in server.log_text():
        raise Violation(f"an exception was logged\n{server.log_tail()}")
    growth = report.resident_after - report.resident_before
    if growth > MAX_GROWTH_OCTETS:
        raise Violation(f"the server grew by {growth} octets, from {report.resident_before}")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.packets", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packets", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="packets-") as folder, running_server(Path(folder)) as server:
        report = attack(server, given.packets, given.seed)
    print(json.dumps(asdict(report)))
    print(f"{report.packets / report.seconds:,.0f} packets/s; the server grew by", end=" ")
    print(f"{(report.resident_after - report.resident_before) / 2**20:.1f} MiB after the warm-up")


if __name__ == "__main__":
    main()
