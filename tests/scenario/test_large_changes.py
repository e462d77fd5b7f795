"""Edits of large zones: served at once, by Python where they are, by the engine and its last image elsewhere; and the
next image comes, however fast edits come.

The images are held back here, so that nothing depends on how long they take."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from authdns.answer.executor import COMPILE_WHOLE_NAMES, ServedZone
from authdns.answer.image import ImageNames, write_image
from authdns.server import images as images_module
from authdns.wire import name as names
from authdns.zone.zone import Zone as ZoneContent
from tests.peers import Endpoint, Zone, free_port, wait_until
from tests.scenario.tools import (
    SECONDS,
    LocalServer,
    addresses_of,
    hosts,
    over_udp,
    parsed,
    question,
    rcode,
    write_zone,
)

pytest.importorskip("authdns.answer.native._native", reason="THE ENGINE WAS NOT BUILT: nothing here is tested")

NATIVE = {"engine": "native"}
NXDOMAIN = 3
APEX = names.from_text("example.com.")
HOSTS = hosts(COMPILE_WHOLE_NAMES + 1)
EVER = 1_000_000


class Gate:
    """Lets so many images be made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._allowed = threading.Semaphore(EVER)
        self.waiting = 0
        self.fails = False

        def held_back(zone: ZoneContent) -> memoryview:
            self.waiting += 1
            assert self._allowed.acquire(timeout=10 * SECONDS)
            self.waiting -= 1
            if self.fails:
                raise OverflowError("no image")
            return write_image(zone)

        monkeypatch.setattr(images_module, "write_image", held_back)

    def close(self) -> None:
        self._allowed = threading.Semaphore(0)

    def open(self, images: int = EVER) -> None:
        self._allowed.release(images)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.open()


def by_engine(server: LocalServer, name: str, rdtype: str = "A") -> bool:
    """Whether the engine answers for it, not Python."""
    engine = server.app._engine
    assert engine is not None
    before = sum(engine.counts()["sizes"])
    over_udp(server.endpoint, question(name, rdtype))
    return sum(engine.counts()["sizes"]) > before


def wait_for_engine(server: LocalServer, name: str, rdtype: str = "A") -> None:
    wait_until(lambda: by_engine(server, name, rdtype), f"an answer of the engine about {name}", SECONDS)


def serves(server: LocalServer, name: str, *addresses: str) -> None:
    wait_until(lambda: addresses_of(server.endpoint, name) == set(addresses), f"{name} {addresses}", SECONDS)


def serial_of(server: LocalServer) -> int:
    (soa,) = parsed(over_udp(server.endpoint, question("example.com", "SOA"))).answer
    return int(soa[0].serial)


def started(tmp_path: Path, stack: ExitStack, file: Path) -> LocalServer:
    server = stack.enter_context(LocalServer(tmp_path / "server", [Zone("example.com", file)], more=NATIVE))
    wait_for_engine(server, "www.example.com")
    return server


def served_by(server: LocalServer) -> ServedZone:
    found = server.app._zones.states[APEX].served
    assert found is not None
    return found


def test_an_edit_is_served_before_there_is_an_image_of_it(tmp_path: Path, stack: ExitStack, gate: Gate) -> None:
    old = ("www A 192.0.2.1", "gone A 192.0.2.1", "a.gone A 192.0.2.1", "*.wild A 192.0.2.1", "x.wild A 192.0.2.1")
    new = ("www A 192.0.2.2", "new A 192.0.2.2", "*.wild A 192.0.2.2", "x.wild A 192.0.2.1")
    file = write_zone(tmp_path / "zone", 1, *old, *HOSTS)
    server = started(tmp_path, stack, file)
    gate.close()
    write_zone(file, 2, *new, *HOSTS)
    serves(server, "www.example.com", "192.0.2.2")
    wait_until(lambda: gate.waiting, "the next image to be begun", SECONDS)
    assert serial_of(server) == 2
    assert addresses_of(server.endpoint, "new.example.com") == {"192.0.2.2"}
    assert addresses_of(server.endpoint, "q.wild.example.com") == {"192.0.2.2"}
    assert addresses_of(server.endpoint, "x.wild.example.com") == {"192.0.2.1"}
    for gone in ("gone", "a.gone", "q.new"):
        assert rcode(over_udp(server.endpoint, question(f"{gone}.example.com"))) == NXDOMAIN
    for changed in ("www", "new", "gone", "a.gone", "q.wild", "q.www"):
        assert not by_engine(server, f"{changed}.example.com")
    for same in ("h0", "h7", "ns1", "nx", "a.h7"):
        assert by_engine(server, f"{same}.example.com")
    gate.open()
    for name in ("www", "new", "gone", "q.wild", "h7"):
        wait_for_engine(server, f"{name}.example.com")
    wait_for_engine(server, "example.com", "SOA")
    assert serial_of(server) == 2
    assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.2"}
    assert addresses_of(server.endpoint, "q.wild.example.com") == {"192.0.2.2"}
    assert isinstance(served_by(server).zone.names, ImageNames)


def test_edits_that_come_faster_than_images(tmp_path: Path, stack: ExitStack, gate: Gate) -> None:
    """Each is served at once; the image of the first is taken when it comes, and of all those behind it one is made."""
    file = write_zone(tmp_path / "zone", 1, "first A 192.0.2.1", "later A 192.0.2.1", *HOSTS)
    server = started(tmp_path, stack, file)
    gate.close()
    write_zone(file, 2, "first A 192.0.2.2", "later A 192.0.2.1", *HOSTS)
    serves(server, "first.example.com", "192.0.2.2")
    wait_until(lambda: gate.waiting, "the next image to be begun", SECONDS)
    for serial in (3, 4, 5):
        write_zone(file, serial, "first A 192.0.2.2", f"later A 192.0.2.{serial}", f"n{serial} A 192.0.2.1", *HOSTS)
        serves(server, "later.example.com", f"192.0.2.{serial}")
    for name in ("first", "later", "n3", "n5"):
        assert not by_engine(server, f"{name}.example.com")
    gate.open(1)
    wait_for_engine(server, "first.example.com")
    assert addresses_of(server.endpoint, "first.example.com") == {"192.0.2.2"}
    assert addresses_of(server.endpoint, "later.example.com") == {"192.0.2.5"}
    assert not by_engine(server, "later.example.com")
    assert not by_engine(server, "n3.example.com")
    assert rcode(over_udp(server.endpoint, question("n3.example.com"))) == NXDOMAIN
    wait_until(lambda: gate.waiting, "the image of the last version to be begun", SECONDS)
    gate.open(1)
    for name in ("later", "n3", "n5"):
        wait_for_engine(server, f"{name}.example.com")
    wait_for_engine(server, "example.com", "SOA")
    assert serial_of(server) == 5
    assert addresses_of(server.endpoint, "later.example.com") == {"192.0.2.5"}
    assert gate.waiting == 0


def test_an_edit_before_there_is_any_image(tmp_path: Path, stack: ExitStack, gate: Gate) -> None:
    file = write_zone(tmp_path / "zone", 1, "www A 192.0.2.1", *HOSTS)
    gate.close()
    server = stack.enter_context(LocalServer(tmp_path / "server", [Zone("example.com", file)], more=NATIVE))
    serves(server, "www.example.com", "192.0.2.1")
    wait_until(lambda: gate.waiting, "the image to be begun", SECONDS)
    write_zone(file, 2, "www A 192.0.2.2", *HOSTS)
    serves(server, "www.example.com", "192.0.2.2")
    assert not by_engine(server, "www.example.com")
    gate.open()
    wait_for_engine(server, "www.example.com")
    assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.2"}


def test_what_changes_too_much_waits_for_its_image(tmp_path: Path, stack: ExitStack, gate: Gate) -> None:
    """A wildcard at the apex answers for all names that do not exist."""
    file = write_zone(tmp_path / "zone", 1, "www A 192.0.2.1", *HOSTS)
    server = started(tmp_path, stack, file)
    gate.close()
    write_zone(file, 2, "www A 192.0.2.2", "* A 192.0.2.2", *HOSTS)
    wait_until(lambda: gate.waiting, "the image to be begun", SECONDS)
    assert serial_of(server) == 1
    assert by_engine(server, "www.example.com")
    gate.open()
    serves(server, "www.example.com", "192.0.2.2")
    assert by_engine(server, "q.example.com")
    assert addresses_of(server.endpoint, "q.example.com") == {"192.0.2.2"}


@pytest.mark.parametrize("edits", [0, 1, 3])
def test_what_was_published_before_its_image_was_kept_is_restored(edits: int, tmp_path: Path, gate: Gate) -> None:
    """From the image that was kept, and the history."""
    file = write_zone(tmp_path / "zone", 1, "www A 192.0.2.1", *HOSTS)
    with ExitStack() as stack:
        server = started(tmp_path, stack, file)
        gate.fails = True
        for serial in range(2, 2 + edits):
            write_zone(file, serial, f"www A 192.0.2.{serial}", *HOSTS)
            serves(server, "www.example.com", f"192.0.2.{serial}")
    gate.fails = False
    file.write_text("broken")
    with LocalServer(tmp_path / "server", [Zone("example.com", file)], more=NATIVE) as server:
        serves(server, "www.example.com", f"192.0.2.{1 + edits}")
        assert serial_of(server) == 1 + edits
        assert by_engine(server, "h7.example.com")
        assert by_engine(server, "www.example.com")


def test_a_secondary_serves_what_it_transferred_at_once(tmp_path: Path, stack: ExitStack, gate: Gate) -> None:
    file = write_zone(tmp_path / "zone", 1, "www A 192.0.2.1", *HOSTS)
    place = Endpoint("127.0.0.1", free_port("127.0.0.1"))
    zone: dict[str, Any] = {
        "zone": "example.com",
        "file": str(file),
        "allow-transfer": "127.0.0.1",
        "notify": [str(place)],
    }
    primary = LocalServer(tmp_path / "first", [zone], more=NATIVE)
    zone = {"zone": "example.com", "primaries": [str(primary.endpoint)]}
    second = LocalServer(tmp_path / "second", [zone], more={**NATIVE, "listen": [str(place)]})
    second.endpoint = place
    stack.enter_context(primary)
    stack.enter_context(second)
    wait_for_engine(second, "www.example.com")
    wait_for_engine(primary, "www.example.com")
    gate.close()
    for serial in (2, 3):
        write_zone(file, serial, f"www A 192.0.2.{serial}", *HOSTS)
        serves(primary, "www.example.com", f"192.0.2.{serial}")
        serves(second, "www.example.com", f"192.0.2.{serial}")
        assert serial_of(second) == serial
        assert "IXFR" in second.log_text
        assert not by_engine(second, "www.example.com")
        assert by_engine(second, "h7.example.com")
    gate.open()
    wait_for_engine(second, "www.example.com")
    assert addresses_of(second.endpoint, "www.example.com") == {"192.0.2.3"}
