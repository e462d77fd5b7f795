"""The running server with its native engine: which one runs, what it hands to Python, zones that change under load."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from authdns.answer.executor import COMPILE_WHOLE_NAMES, ServedZone
from authdns.answer.image import ImageNames
from authdns.server.engine import NoEngine, load_native
from authdns.wire import name as names
from tests.peers import Zone, axfr, wait_until
from tests.scenario.tools import (
    SECONDS,
    LocalServer,
    Tcp,
    addresses_of,
    hosts,
    ident,
    over_udp,
    parsed,
    question,
    rcode,
    udp_socket,
    write_zone,
)

NATIVE = {"engine": "native"}
CH = 3
REFUSED = 5

pytest.importorskip("authdns.answer.native._native", reason="THE ENGINE WAS NOT BUILT: nothing here is tested")


def test_the_log_says_which_engine_runs_and_why(tmp_path: Path, stack: ExitStack) -> None:
    zone = Zone("example.com", write_zone(tmp_path / "zone", 1, "www A 192.0.2.1"))
    native = stack.enter_context(LocalServer(tmp_path / "native", [zone], more={**NATIVE, "workers": 3}))
    native.wait_for_log("UDP is answered by the native engine, 3 threads for each address")
    python = stack.enter_context(LocalServer(tmp_path / "python", [zone], more={"engine": "python"}))
    python.wait_for_log("UDP is answered by Python (the configuration says so)")
    assert over_udp(native.endpoint, question("www.example.com")) == over_udp(
        python.endpoint, question("www.example.com")
    )


def test_without_the_engine_python_answers_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "authdns.answer.native._native", None)
    native, why = load_native("auto")
    assert native is None
    assert "was not built" in why
    with pytest.raises(NoEngine, match="was not built"):
        load_native("native")


def test_answers_of_the_engine_are_counted(tmp_path: Path, stack: ExitStack) -> None:
    zone = Zone("example.com", write_zone(tmp_path / "zone", 1, "www A 192.0.2.1"))
    server = stack.enter_context(LocalServer(tmp_path / "server", [zone], more=NATIVE))
    before = {figures.transport: dict(figures.answers) for figures in server.app.transports()}["udp"]
    for _ in range(3):
        over_udp(server.endpoint, question("www.example.com"))
    over_udp(server.endpoint, question("nx.example.com", "TYPE65280"))
    over_udp(server.endpoint, b"\0\1\0\0" + bytes(8))
    over_udp(server.endpoint, question("id.server", "TXT", rdclass=CH))
    (udp,) = (figures for figures in server.app.transports() if figures.transport == "udp")
    gained = {key: number - before.get(key, 0) for key, number in udp.answers.items() if number != before.get(key, 0)}
    assert gained == {
        ("NOERROR", "A"): 3,
        ("NXDOMAIN", "other"): 1,
        ("FORMERR", "none"): 1,
        ("REFUSED", "TXT"): 1,
    }
    wait_until(lambda: server.app.counts()["declined"], "the count of what was declined", SECONDS)


def test_a_flood_of_declined_queries_is_lost_and_starves_nobody(tmp_path: Path, stack: ExitStack) -> None:
    """More than Python can answer: what does not fit into the queue is counted; all else is answered meanwhile."""
    zone = Zone("example.com", write_zone(tmp_path / "zone", 1, "www A 192.0.2.1"))
    server = stack.enter_context(LocalServer(tmp_path / "server", [zone], more={**NATIVE, "workers": 1}))
    flood = question("id.server", "TXT", ident=7, rdclass=CH)
    stopped = threading.Event()

    def send() -> None:
        with udp_socket(server.endpoint) as sock:
            while not stopped.is_set():
                for _ in range(200):
                    sock.send(flood)

    senders = [threading.Thread(target=send) for _ in range(2)]
    for sender in senders:
        sender.start()
    try:
        wait_until(lambda: server.app.counts()["declined_lost"], "declined queries that are lost", SECONDS)
        for _ in range(20):
            assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.1"}
        with Tcp(server.endpoint) as client:
            assert rcode(client.ask(question("www.example.com")).message()) == 0
    finally:
        stopped.set()
        for sender in senders:
            sender.join()

    def answered() -> bool:
        with udp_socket(server.endpoint) as sock, contextlib.suppress(TimeoutError):
            sock.settimeout(1)
            sock.send(flood)
            return ident(sock.recv(512)) == 7
        return False

    wait_until(answered, "an answer when the flood is over", SECONDS)


def test_a_zone_that_changes_all_the_time_is_answered_old_or_new(tmp_path: Path, stack: ExitStack) -> None:
    """Images are replaced and freed while threads answer from them."""
    file = write_zone(tmp_path / "zone", 1, "www A 192.0.2.1", *hosts(300))
    server = stack.enter_context(
        LocalServer(tmp_path / "server", [Zone("example.com", file)], more={**NATIVE, "workers": 4})
    )
    stopped = threading.Event()
    wrong: list[object] = []
    answered = [0]

    def ask() -> None:
        last = 0
        while not stopped.is_set():
            with udp_socket(server.endpoint) as sock:
                for _ in range(50):
                    sock.send(question("serial.example.com", "TXT"))
                    (rrset,) = parsed(sock.recv(4096)).answer
                    serial = int(rrset[0].to_text().strip('"'))
                    if serial < last:
                        wrong.append((last, serial))
                    last = serial
                    answered[0] += 1

    write_zone(file, 2, 'serial TXT "2"', *hosts(300))
    wait_until(lambda: rcode(over_udp(server.endpoint, question("serial.example.com", "TXT"))) == 0, "it", SECONDS)
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + 4
        serial = 2
        while time.monotonic() < end:
            serial += 1
            write_zone(file, serial, f'serial TXT "{serial}"', *hosts(300))
            time.sleep(0.03)
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert not wrong
    assert answered[0] > 100


def test_a_large_zone_is_answered_by_python_until_its_image_is_made(tmp_path: Path, stack: ExitStack) -> None:
    file = write_zone(tmp_path / "zone", 1, "www A 192.0.2.1", *hosts(COMPILE_WHOLE_NAMES + 1))
    server = stack.enter_context(LocalServer(tmp_path / "server", [Zone("example.com", file)], more=NATIVE))
    assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.1"}

    engine = server.app._engine
    assert engine is not None

    def by_engine(name: str = "www") -> bool:
        before = sum(engine.counts()["sizes"])
        over_udp(server.endpoint, question(f"{name}.example.com"))
        return sum(engine.counts()["sizes"]) > before

    wait_until(by_engine, "an answer of the engine", SECONDS)
    write_zone(file, 2, "www A 192.0.2.2", *hosts(COMPILE_WHOLE_NAMES + 1))
    while addresses_of(server.endpoint, "www.example.com") != {"192.0.2.2"}:
        assert by_engine("ns1")
    assert by_engine("ns1")
    wait_until(by_engine, "an answer of the engine about what changed", SECONDS)
    assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.2"}


def test_a_large_zone_that_is_the_same_is_not_read_again_at_the_next_start(tmp_path: Path, stack: ExitStack) -> None:
    file = write_zone(tmp_path / "zone", 1, "www A 192.0.2.1", *hosts(COMPILE_WHOLE_NAMES + 1))
    zones = [{"zone": "example.com", "file": str(file), "allow-transfer": "127.0.0.1"}]

    def served(server: LocalServer) -> ServedZone:
        wait_until(lambda: rcode(over_udp(server.endpoint, question("www.example.com"))) == 0, "the zone", SECONDS)
        found = server.app._zones.states[names.from_text("example.com.")].served
        assert found is not None
        return found

    with LocalServer(tmp_path / "server", zones, more=NATIVE) as server:
        records = len(served(server).zone.names)
        first = axfr(server.endpoint, "example.com")
        wait_until(lambda: list(tmp_path.rglob("*.image")), "an image that is kept", SECONDS)
    assert records > COMPILE_WHOLE_NAMES
    with LocalServer(tmp_path / "server", zones, more=NATIVE) as server:
        assert isinstance(served(server).zone.names, ImageNames)
        assert axfr(server.endpoint, "example.com") == first
        assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.1"}
    (kept,) = tmp_path.rglob("*.image")
    kept.write_bytes(kept.read_bytes()[:-1])
    with LocalServer(tmp_path / "server", zones, more=NATIVE) as server:
        served(server)
        server.wait_for_log("is damaged")
        assert axfr(server.endpoint, "example.com") == first


def test_a_zone_that_is_withdrawn_is_refused(tmp_path: Path, stack: ExitStack) -> None:
    folder = tmp_path / "zones"
    folder.mkdir()
    for name in ("a.example", "b.example"):
        write_zone(folder / f"{name}.zone", 1, "www A 192.0.2.1")
    server = stack.enter_context(LocalServer(tmp_path / "server", [{"folder": str(folder)}], more=NATIVE))
    assert rcode(over_udp(server.endpoint, question("www.a.example"))) == 0
    (folder / "a.example.zone").unlink()
    wait_until(lambda: rcode(over_udp(server.endpoint, question("www.a.example"))) == REFUSED, "a refusal", SECONDS)
    assert rcode(over_udp(server.endpoint, question("www.b.example"))) == 0
