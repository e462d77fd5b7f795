"""AXFR of a large zone: seconds to a reader that does nothing but read, and how much the server grows by it.

python -m tests.bench.transfer [records]        (a million by default)
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.bench.procfs import cpu_of_tree
from tests.peers import Authdns, Zone
from tests.scenario.tools import Tcp, framed, question, write_zone

READ_OCTETS = 1 << 20


def main(records: int = 1_000_000) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        lines = (f"h{number} A 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}" for number in range(records))
        server = Authdns(folder / "server", [Zone("example.com", write_zone(folder / "example.com.zone", 1, *lines))])
        begun = time.monotonic()
        server.launch()
        try:
            server.wait_until_serving("example.com", seconds=300)
            server.wait_for_log("serving [0-9]+ ")
            size = memory(server.pid)
            print(f"{records} records: served after {time.monotonic() - begun:.1f} s, {size >> 20} MiB")
            for _ in range(3):
                measure(server)
        finally:
            server.stop()


def measure(server: Authdns) -> None:
    before, cpu = memory(server.pid), cpu_of_tree(server.pid)
    mark = server.log_mark()
    peak = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], memory(server.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with Tcp(server.endpoint) as client:
            begun = time.monotonic()
            client.send(framed(question("example.com", "AXFR"))).end()  # half-closed: the end of the answer is the end
            octets = 0
            while got := client.socket.recv(READ_OCTETS):
                octets += len(got)
            seconds = time.monotonic() - begun
    finally:
        done.set()
        watcher.join()
    server.wait_for_log(r"AXFR ended", since=mark)
    used = cpu_of_tree(server.pid).since(cpu)
    print(
        f"AXFR: {seconds:.2f} s, {octets / 1e6:.1f} MB, server {used.user:.2f} s user and {used.system:.2f} s system, "
        f"grown by {(peak[0] - before) / 2**20:.1f} MiB"
    )


def memory(pid: int) -> int:
    """Resident octets."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no VmRSS for process {pid}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
