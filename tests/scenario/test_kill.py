"""kill -9 while versions are published or transferred: what is served then, without the zone file or the primary, is a
whole version, and the last one that was committed or a later one.

KILLS=1000 pytest tests/scenario/test_kill.py does it more often than every time.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from pathlib import Path

from authdns.store import FILE_NAME
from tests.peers import Authdns, axfr, free_port
from tests.scenario.tools import SECONDS, write_zone

KILLS = int(os.environ.get("KILLS", "8"))
HOSTS = 200
LONGEST_SECONDS = 0.4  # from the first edit to the kill


def version(file: Path, serial: int) -> None:
    """Says its serial in many places."""
    write_zone(file, serial, *(f'says{number} TXT "{serial}"' for number in range(HOSTS)))


def served(server: Authdns) -> int:
    """The serial of what is served; fails if it is a mixture."""
    server.wait_until_serving("example.com", seconds=SECONDS)
    records = axfr(server.endpoint, "example.com")
    said = {record.rdata.strip('"') for record in records if record.type == "TXT"}
    (soa,) = (record.rdata for record in records if record.type == "SOA")
    serial = soa.split()[2]
    assert said == {serial}
    assert sum(record.type == "TXT" for record in records) == HOSTS
    return int(serial)


def committed(folder: Path) -> int:
    """The serial that the state file says was published."""
    with sqlite3.connect(f"file:{folder / 'state' / FILE_NAME}?mode=ro", uri=True) as database:
        (serial,) = database.execute("SELECT serial FROM served").fetchone()
    return int(serial)


def test_kill_9_at_any_moment_leaves_a_whole_version(tmp_path: Path) -> None:
    random_ = random.Random(9)
    file = tmp_path / "zone"
    version(file, 1)
    zone = {"zone": "example.com", "file": str(file), "allow-transfer": "127.0.0.1"}
    server = Authdns(tmp_path / "server", [zone])
    serial = 1
    for _ in range(KILLS):
        with server:
            assert served(server) == serial
            stopped = threading.Event()

            def edit() -> None:
                nonlocal serial
                while not stopped.is_set():  # noqa: B023
                    serial += 1
                    version(file, serial)
                    time.sleep(0.01)

            editor = threading.Thread(target=edit)
            editor.start()
            time.sleep(random_.random() * LONGEST_SECONDS)
            os.kill(server.pid, signal.SIGKILL)
            stopped.set()
            editor.join()
        before = committed(tmp_path / "server")
        file.write_text("broken\n")
        with server:
            found = served(server)
            assert before <= found <= serial
        serial += 1
        version(file, serial)


def test_kill_9_of_a_secondary_at_any_moment_leaves_a_whole_version(tmp_path: Path) -> None:
    """In the middle of AXFR, IXFR and commits: the primary has new versions faster than they can be transferred."""
    random_ = random.Random(10)
    file = tmp_path / "zone"
    version(file, serial := 1)
    port = free_port()
    settings = {"zone": "example.com", "notify-ns": False, "allow-transfer": "127.0.0.1"}
    primary = Authdns(tmp_path / "primary", [{**settings, "file": str(file), "notify": f"127.0.0.1:{port}"}])
    dead = f"127.0.0.1:{free_port()}"
    with primary:
        at = str(primary.endpoint).replace("#", ":")
        served(primary)
        for _ in range(KILLS):
            secondary = Authdns(tmp_path / "secondary", [{**settings, "primaries": at}], port=port)
            with secondary:
                secondary.wait_until_serving("example.com", seconds=SECONDS)
                until = time.monotonic() + random_.random() * LONGEST_SECONDS
                while time.monotonic() < until:
                    version(file, serial := serial + 1)
                    time.sleep(0.01)
                os.kill(secondary.pid, signal.SIGKILL)
            before = committed(tmp_path / "secondary")
            with Authdns(tmp_path / "secondary", [{**settings, "primaries": dead}], port=port) as secondary:
                assert before <= served(secondary) <= serial
