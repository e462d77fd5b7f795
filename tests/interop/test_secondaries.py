"""BIND, NSD, Knot and PowerDNS as secondaries: an edit of a zone file reaches them by NOTIFY and transfer, record by
record."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.interop.conftest import Serve
from tests.interop.zones import EXAMPLE_COM, EXAMPLE_NET, write
from tests.peers import (
    Bind,
    Endpoint,
    Knot,
    NameServer,
    Nsd,
    Pdns,
    Record,
    Zone,
    axfr,
    free_port,
    records_in_file,
    requires,
)

ARRIVAL_SECONDS = 15.0
SECONDARIES = [
    pytest.param(Bind, marks=requires("bind")),
    pytest.param(Nsd, marks=requires("nsd")),
    pytest.param(Knot, marks=requires("knot")),
    pytest.param(Pdns, marks=requires("pdns")),
]


class Pair:
    """Two zones on a primary, and the secondaries that follow it."""

    def __init__(self, folder: Path, serve: Serve, stack: ExitStack, kinds: list[type[NameServer]]) -> None:
        self.files = {
            "example.com": write(folder / "example.com.zone", EXAMPLE_COM, "example.com", serial=1),
            "example.net": write(folder / "example.net.zone", EXAMPLE_NET, "example.net", serial=4_294_967_290),
        }
        endpoints = [Endpoint("127.0.0.1", free_port()) for _ in kinds]
        self.primary = serve([Zone(name, file=file, notify=tuple(endpoints)) for name, file in self.files.items()])
        copies = [Zone(name, primary=self.primary.endpoint) for name in self.files]
        self.secondaries = [
            stack.enter_context(kind(folder / kind.name, copies, port=endpoint.port))
            for kind, endpoint in zip(kinds, endpoints, strict=True)
        ]

    def arrives(self, zone: str, serial: int) -> None:
        """Every secondary, and the primary itself, has exactly the records of the zone file."""
        expected = records_in_file(self.files[zone], zone)
        self.primary.wait_until_serving(zone, serial, seconds=ARRIVAL_SECONDS)
        assert axfr(self.primary.endpoint, zone) == expected
        for secondary in self.secondaries:
            secondary.wait_until_serving(zone, serial, seconds=ARRIVAL_SECONDS)
            assert copied(secondary, zone) == expected, secondary.name

    def edit(self, zone: str, template: str, serial: int, more: str) -> None:
        write(self.files[zone], template, zone, serial, more)
        self.primary.zone_file_changed()


def copied(secondary: NameServer, zone: str) -> frozenset[Record]:
    """The zone as a secondary has it; NSD, when it reloads, ends the processes that hold connections: asked again."""
    for _ in range(2):
        with suppress(ConnectionResetError, EOFError):
            return axfr(secondary.endpoint, zone)
    return axfr(secondary.endpoint, zone)


@pytest.mark.parametrize("kind", SECONDARIES)
def test_a_secondary_catches_each_edit(kind: type[NameServer], tmp_path: Path, serve: Serve, stack: ExitStack) -> None:
    pair = Pair(tmp_path, serve, stack, [kind])
    pair.arrives("example.com", 1)
    pair.arrives("example.net", 4_294_967_290)

    mark = pair.primary.log_mark()
    pair.edit("example.com", EXAMPLE_COM, 2, "added IN A 192.0.2.200\n")
    pair.arrives("example.com", 2)
    pair.primary.wait_for_log(r"zone example\.com/IN: sending notifies \(serial 2\)", since=mark)
    started = r"client (@\S+ )?127\.0\.0\.1#\d+.*: transfer of 'example\.com/IN': (AXFR|AXFR-style IXFR|IXFR) started"
    pair.primary.wait_for_log(started, since=mark)

    # The serial wraps: 3 comes after 4,294,967,290 (RFC 1982 section 3.2).
    pair.edit("example.net", EXAMPLE_NET, 3, 'added IN TXT "one" "two"\n')
    pair.arrives("example.net", 3)
    pair.arrives("example.com", 2)


@pytest.mark.parametrize("kind", SECONDARIES)
def test_an_edit_may_remove_names(kind: type[NameServer], tmp_path: Path, serve: Serve, stack: ExitStack) -> None:
    pair = Pair(tmp_path, serve, stack, [kind])
    pair.arrives("example.com", 1)
    pair.edit("example.com", EXAMPLE_NET, 2, "")
    pair.arrives("example.com", 2)


@requires("bind", "nsd", "knot", "pdns")
def test_one_edit_reaches_all_of_them(tmp_path: Path, serve: Serve, stack: ExitStack) -> None:
    pair = Pair(tmp_path, serve, stack, [Bind, Nsd, Knot, Pdns])
    pair.arrives("example.com", 1)
    for serial in (2, 3, 10):
        pair.edit("example.com", EXAMPLE_COM, serial, f"edit{serial} IN A 192.0.2.{serial}\n")
        pair.arrives("example.com", serial)


@pytest.mark.parametrize("kind", SECONDARIES)
def test_a_secondary_that_comes_later_gets_the_zone(
    kind: type[NameServer], tmp_path: Path, serve: Serve, stack: ExitStack
) -> None:
    """NOTIFY to nobody does no harm; the secondary asks when it starts."""
    pair = Pair(tmp_path, serve, stack, [])
    pair.edit("example.com", EXAMPLE_COM, 2, "")
    pair.arrives("example.com", 2)
    late = stack.enter_context(kind(tmp_path / "late", [Zone("example.com", primary=pair.primary.endpoint)]))
    late.wait_until_serving("example.com", 2, seconds=ARRIVAL_SECONDS)
    assert copied(late, "example.com") == records_in_file(pair.files["example.com"], "example.com")
