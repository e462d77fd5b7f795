"""Edits of zone files that are large enough to be read in parts; how large that is, is patched."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from authdns.answer.executor import COMPILE_WHOLE_NAMES
from authdns.server import zones
from authdns.zone import reader
from authdns.zone.delta import difference
from tests.peers import wait_until
from tests.scenario.tools import (
    SECONDS,
    LocalServer,
    Tcp,
    addresses_of,
    hosts,
    ixfr_question,
    parsed,
    write_zone,
    zone_text,
)

HOSTS = 300


class Whole:
    """Counts what was done to a whole zone."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.read = self.compared = 0
        load = zones.load_zone

        def counted_load(*given: Any, **named: Any) -> Any:
            self.read += 1
            return load(*given, **named)

        def counted_difference(*given: Any, **named: Any) -> Any:
            self.compared += 1
            return difference(*given, **named)

        patch.setattr(zones, "load_zone", counted_load)
        patch.setattr("authdns.server.publish.difference", counted_difference)


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Whole:
    monkeypatch.setattr(reader, "MIN_INDEXED_OCTETS", 0)
    monkeypatch.setattr(reader, "CHUNK_LINES", 10)
    monkeypatch.setattr(zones, "POLL_SECONDS", 3600.0)
    return Whole(monkeypatch)


def started(stack: ExitStack, path: Path, **more: str) -> LocalServer:
    zone = {"zone": "example.com", "file": str(path), "notify-ns": False, "allow-transfer": ["127.0.0.1"]}
    return stack.enter_context(LocalServer(path.parent / "server", [zone], more=more))


def serves(server: LocalServer, name: str, *addresses: str) -> None:
    wait_until(lambda: addresses_of(server.endpoint, f"{name}.example.com") == set(addresses), name, SECONDS)


def ixfr(server: LocalServer, serial: int) -> list[str]:
    """The records of the answer, which is one message; SOA records by their serial."""
    with Tcp(server.endpoint) as client:
        answer = parsed(client.ask(ixfr_question("example.com", serial)).message()).answer
    texts = [(rrset.name.to_text(), rrset[0].to_text()) for rrset in answer]
    return [text.split()[2] if "hostmaster" in text else f"{name} {text}" for name, text in texts]


def test_the_serial_and_records_far_from_it(whole: Whole, tmp_path: Path, stack: ExitStack) -> None:
    lines = hosts(HOSTS)
    path = write_zone(tmp_path / "example.com.zone", 1, *lines)
    server = started(stack, path)
    for serial, at in enumerate((0, HOSTS // 2, HOSTS - 1), 2):
        lines[at] = f"h{at} A 192.0.2.{serial}"
        if serial == 3:
            path.write_text(zone_text(serial, *lines))  # as a careless editor does
        else:
            write_zone(path, serial, *lines)
        serves(server, f"h{at}", f"192.0.2.{serial}")
        wait_until(lambda: len(ixfr(server, serial - 1)) > 1, "the delta", SECONDS)  # noqa: B023
    assert ixfr(server, 3) == [
        "4", "3", "h299.example.com. 10.0.1.0", 'h299.example.com. "host 43"', "4", "h299.example.com. 192.0.2.4", "4",
    ]  # fmt: skip
    assert len(ixfr(server, 1)) == 4 + 3 * 3
    read = whole.read
    assert read in (1, 2), "once more if the file was seen while it was empty, as the careless editor leaves it"
    assert whole.compared == 0
    write_zone(path, 5, "@ TXT new", *lines[1:])
    serves(server, "h0")
    assert (whole.read, whole.compared) == (read, 0)
    serves(server, "h1", "10.0.0.0")


def test_an_error_is_told_as_always_and_what_mends_it_is_read_in_parts(
    whole: Whole, tmp_path: Path, stack: ExitStack
) -> None:
    lines = hosts(HOSTS)
    path = write_zone(tmp_path / "example.com.zone", 1, *lines)
    server = started(stack, path)
    broken = write_zone(path, 2, *lines, "new A 192.0.2")
    line = broken.read_text().count("\n")
    server.wait_for_log(f"{path}:{line}:7: error: ")
    server.wait_for_log("not loaded because of errors; serial 1 stays")
    assert whole.read == 2
    write_zone(path, 2, *lines, "new A 192.0.2.2")
    serves(server, "new", "192.0.2.2")
    assert whole.read == 2
    write_zone(path, 3, *lines, "new A 192.0.2.2", "new CNAME h1")
    server.wait_for_log("serial 2 stays")
    assert whole.read == 3


def test_a_serial_that_was_forgotten(whole: Whole, tmp_path: Path, stack: ExitStack) -> None:
    lines = hosts(HOSTS)
    path = write_zone(tmp_path / "example.com.zone", 1, *lines)
    server = started(stack, path)
    write_zone(path, 1, *lines, "new A 192.0.2.1")
    serves(server, "new", "192.0.2.1")
    server.wait_for_log("the content changed but the serial is still 1")
    assert ixfr(server, 1) == ["1"]
    write_zone(path, 1, *lines, "; new")
    serves(server, "new")
    write_zone(path, 1, *lines, "; none")
    wait_until(lambda: server.log_text.count("loaded serial 1 ") == 4, "the comment", SECONDS)
    write_zone(path, 2, *lines, "new A 192.0.2.2")
    serves(server, "new", "192.0.2.2")
    wait_until(lambda: len(ixfr(server, 1)) == 5, "what was announced under 1 is what was served again", SECONDS)
    assert (whole.read, whole.compared) == (1, 0)


def test_a_zone_that_the_engine_answers_from_an_image(whole: Whole, tmp_path: Path, stack: ExitStack) -> None:
    lines = hosts(COMPILE_WHOLE_NAMES + 1)
    path = write_zone(tmp_path / "example.com.zone", 1, *lines)
    server = started(stack, path)
    for serial in (2, 3, 4):
        lines[serial * 1000] = f"h{serial * 1000} A 192.0.2.{serial}"
        write_zone(path, serial, *lines)
        serves(server, f"h{serial * 1000}", f"192.0.2.{serial}")
    wait_until(lambda: len(ixfr(server, 1)) == 4 + 3 * 3, "the deltas", SECONDS)
    assert (whole.read, whole.compared) == (1, 0)
    lines = [line.replace("10.0.", "10.9.") for line in lines]
    write_zone(path, 5, *lines)
    serves(server, "h1", "10.9.0.0")
    assert whole.read == 2


def test_the_first_edit_after_a_start_with_a_kept_image(whole: Whole, tmp_path: Path) -> None:
    pytest.importorskip("authdns.answer.native._native", reason="the engine was not built")
    lines = hosts(COMPILE_WHOLE_NAMES + 1)
    path = write_zone(tmp_path / "example.com.zone", 1, *lines)
    with ExitStack() as stack:
        started(stack, path, engine="native")
        wait_until(lambda: any(tmp_path.glob("server/state/images/*.image")), "the image is kept", SECONDS)
    with ExitStack() as stack:
        server = started(stack, path, engine="native")
        lines[1000] = "h1000 A 192.0.2.2"
        write_zone(path, 2, *lines)
        serves(server, "h1000", "192.0.2.2")
        wait_until(lambda: ixfr(server, 1)[-1:] == ["2"], "the delta", SECONDS)
        assert len(ixfr(server, 1)) == 4 + 3
    assert (whole.read, whole.compared) == (1, 0)
