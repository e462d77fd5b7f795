"""The process: starting, what it says when it cannot, its log, its metrics, its state."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers import Authdns, Zone, free_port, wait_until
from tests.scenario.conftest import Serve
from tests.scenario.tools import (
    SECONDS,
    Tcp,
    addresses_of,
    ixfr_question,
    over_udp,
    question,
    rcode,
    write_zone,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_zone(tmp_path / "example.com.zone", 7, "www A 192.0.2.80")


def ended(server: Authdns) -> tuple[int, str]:
    """Exit code and output of a server that does not start."""
    server.folder.mkdir(parents=True, exist_ok=True)
    server.write_configuration()
    done = subprocess.run(
        server.command(), env=server.environment(), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_port_that_is_taken_is_one_line_and_an_exit_code(
    serve: Serve, tmp_path: Path, file: Path, stack: ExitStack
) -> None:
    first = serve([Zone("example.com", file)])
    second = Authdns(tmp_path / "second", [Zone("example.com", file)], port=first.port)
    code, output = ended(second)
    assert code == os.EX_UNAVAILABLE
    lines = [line for line in output.splitlines() if "cannot listen" in line]
    assert len(lines) == 1
    assert f"cannot listen on {first.endpoint}: another program uses this port" in lines[0]
    assert "Traceback" not in output
    assert addresses_of(first.endpoint, "www.example.com") == {"192.0.2.80"}


def test_an_address_that_is_not_here_yet_is_told_and_the_others_are_served(tmp_path: Path, file: Path) -> None:
    """192.0.2.1 is for documentation, so no host has it."""
    server = Authdns(tmp_path / "server", [Zone("example.com", file)])
    server.more = {"listen": [str(server.endpoint), f"192.0.2.1:{server.port}"]}
    with server:
        server.wait_for_log(rf"192\.0\.2\.1:{server.port}: this host does not have that address")
        assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.80"}


def test_a_damaged_state_file_is_set_aside(tmp_path: Path, file: Path) -> None:
    server = Authdns(tmp_path / "server", [Zone("example.com", file)])
    with server:
        server.wait_for_log("serving 1 zone")
    (state,) = (server.folder / "state").glob("*.sqlite")
    state.write_bytes(b"no database at all" * 1000)
    mark = server.log_mark()
    with server:
        server.wait_for_log("the state file was damaged: set aside as", since=mark)
        assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.80"}
    assert list((server.folder / "state").glob("*.damaged"))
    mark = server.log_mark()
    with server:
        server.wait_for_log("serving 1 zone", since=mark)
        assert "damaged" not in server.log_text(since=mark)


def test_each_line_of_a_json_log_is_an_object(serve: Serve, file: Path) -> None:
    server = serve([Zone("example.com", file)], log={"format": "json", "level": "info"})
    with Tcp(server.endpoint) as client:
        client.ask(question("not.example", "AXFR")).message()
    file.write_text("broken\n")
    server.wait_for_log("not loaded because of errors")
    assert server.sigterm() == 0
    lines = server.log_text().splitlines()
    assert all(line.startswith("{") for line in lines), lines
    entries = [json.loads(line) for line in lines]
    assert {"info", "warning", "error"} <= {entry["level"] for entry in entries}
    for entry in entries:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
        assert entry["message"]
    assert any("denied" in entry["message"] for entry in entries)


def test_strangers_cannot_flood_the_log(serve: Serve, file: Path) -> None:
    server = serve([Zone("example.com", file)])
    mark = server.log_mark()
    for number in range(2000):
        assert rcode(over_udp(server.endpoint, ixfr_question("not.example", 1, ident=number))) == 9
    lines = [line for line in server.log_text(mark).splitlines() if "denied" in line]
    seconds: dict[str, int] = {}
    for line in lines:
        seconds[line[:19]] = seconds.get(line[:19], 0) + 1
    assert lines
    assert max(seconds.values()) <= 10

    def counted() -> bool:
        over_udp(server.endpoint, ixfr_question("not.example", 1))
        return "similar lines were left out before" in server.log_text(mark)

    wait_until(counted, "the count of what was left out", SECONDS)


def test_metrics_tell_what_was_asked_and_what_is_served(serve: Serve, file: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.example.zone"
    broken.write_text("no zone\n")
    port = free_port()
    server = serve(
        [Zone("example.com", file), {"zone": "broken.example", "file": str(broken), "notify-ns": False}],
        metrics={"listen": f"127.0.0.1:{port}"},
    )

    def metrics() -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS) as page:
            lines = page.read().decode().splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    def grown(before: dict[str, float], name: str, **labels: str) -> float:
        key = name + "{" + ",".join(f'{label}="{value}"' for label, value in sorted(labels.items())) + "}"
        found = metrics()
        assert key in found, sorted(found)
        return found[key] - before.get(key, 0)

    before = metrics()
    for _ in range(3):
        over_udp(server.endpoint, question("www.example.com"))
    over_udp(server.endpoint, question("nothing.example.com", "MX"))
    over_udp(server.endpoint, question("broken.example", "TXT"))
    with Tcp(server.endpoint) as client:
        client.ask(question("www.example.com", "AAAA")).message()
        client.ask(question("example.com", "AXFR")).transfer()
        assert metrics()["authdns_tcp_connections"] >= 1
    responses = "authdns_responses_total"
    assert grown(before, responses, type="A", rcode="NOERROR", transport="udp") == 3
    assert grown(before, responses, type="MX", rcode="NXDOMAIN", transport="udp") == 1
    assert grown(before, responses, type="TXT", rcode="SERVFAIL", transport="udp") == 1
    assert grown(before, responses, type="AAAA", rcode="NOERROR", transport="tcp") == 1
    assert grown(before, "authdns_response_octets_count", transport="udp") == 5
    assert grown(before, "authdns_transfers_total", outcome="completed") == 1
    found = metrics()
    assert found['authdns_zone_serial{zone="example.com"}'] == 7
    assert found['authdns_zone_records{zone="example.com"}'] == 6
    assert found['authdns_zone_load_failed{zone="example.com"}'] == 0
    assert found['authdns_zone_load_failed{zone="broken.example"}'] == 1
    assert 'authdns_zone_serial{zone="broken.example"}' not in found
