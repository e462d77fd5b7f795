"""Making catalogs: serials, labels, and what is not removed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from authdns.answer.executor import PrivateZone, ServedZone
from authdns.config import ConfiguredZone, Listing, Where, ZonePolicy
from authdns.server import catalogs
from authdns.server.catalogs import Catalogs
from authdns.store import Served, Store
from authdns.wire import name as names
from authdns.wire.serial import is_newer
from authdns.zone.catalog import Catalog, Member, read_catalog
from authdns.zone.digest import content_digest
from authdns.zone.problem import Severity
from authdns.zone.zone import Zone

FLEET = names.from_text("Fleet.example.")
APEX = FLEET.lower()
A, B, C = (names.from_text(f"{letter}.example.") for letter in "abc")
CONFIGURED = ConfiguredZone(FLEET, None, ZonePolicy(), Where("authdns.yaml", 3), is_catalog=True)
NOW = 1_800_000_000

Zones = Mapping[bytes, ConfiguredZone]


IN_IT = Listing((APEX,))


def zones(*apexes: bytes, listing: Listing = IN_IT) -> dict[bytes, ConfiguredZone]:
    where = Where("authdns.yaml", 9)
    return {apex: ConfiguredZone(apex, "file", ZonePolicy(), where, listing=listing) for apex in apexes}


class Maker:
    """As the server does it: what is made is served and remembered."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.kept: Zone | None = None
        self.restart()

    def restart(self) -> None:
        self.catalogs = Catalogs(self.store, lambda apex: self.kept)
        self.served: ServedZone | None = None

    def make(self, found: Zones, *, complete: bool = True) -> list[str]:
        """What was said."""
        self.served, problems = self.catalogs.make(CONFIGURED, found, self.served, complete=complete)
        if self.served is not None and not problems.errors:
            zone = self.kept = self.served.zone
            self.store.record(APEX, Served(zone.soa.serial, content_digest(zone), announced=True))
        return [f"{problem.severity.name} {problem.message}" for problem in problems]

    @property
    def serial(self) -> int:
        assert isinstance(self.served, PrivateZone)
        assert self.served.digest == content_digest(self.served.zone)
        return self.served.zone.soa.serial

    @property
    def members(self) -> Mapping[bytes, Member]:
        assert self.served is not None
        found = read_catalog(self.served.zone)
        assert isinstance(found, Catalog), found
        return found.members


class Clock(NamedTuple):
    now: list[float]

    def time(self) -> float:
        return self.now[0]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock([float(NOW)])
    monkeypatch.setattr(catalogs, "time", clock)
    return clock


@pytest.fixture
def maker(tmp_path: Path, clock: Clock) -> Iterator[Maker]:
    maker = Maker(tmp_path)
    yield maker
    maker.store.close()


def test_the_serial_is_the_time_and_rises_with_each_change_and_only_then(maker: Maker, clock: Clock) -> None:
    maker.make(zones(A))
    assert maker.serial == NOW
    for number, found in enumerate([zones(A, B), zones(B), zones(), zones(A)], 1):
        maker.make(found)
        assert maker.serial == NOW + number
    clock.now[0] = NOW + 1000.0
    maker.make(zones(A))
    assert maker.serial == NOW + 4
    maker.restart()
    maker.make(zones(A))
    assert maker.serial == NOW + 4
    maker.restart()
    maker.make(zones(A, B))
    assert maker.serial == NOW + 1000


@pytest.mark.parametrize("last", [0, NOW + 10**6, 2**32 - 1])
def test_the_serial_rises_if_the_clock_went_back_and_over_the_end(last: int, maker: Maker) -> None:
    maker.store.record(APEX, Served(last, b"of something else", announced=True))
    maker.make(zones(A))
    assert is_newer(maker.serial, last)


def test_a_life_ends_when_a_zone_is_no_longer_listed(maker: Maker) -> None:
    maker.make(zones(A, B))
    first = dict(maker.members)
    maker.make(zones(A))
    maker.restart()
    maker.make(zones(A, B))
    second = dict(maker.members)
    assert second[A] == first[A]
    assert second[B].label != first[B].label
    maker.make({**zones(A), **zones(B, listing=Listing())})
    maker.make(zones(A, B))
    assert maker.members[B].label not in (first[B].label, second[B].label)


def test_the_properties_are_those_of_the_zone(maker: Maker) -> None:
    other = names.from_text("other.example.")
    maker.make(zones(A, B, listing=Listing((other, APEX), (b"eu", b"us"), other)))
    assert {member[2:] for member in maker.members.values()} == {((b"eu", b"us"), other)}
    maker.make(zones(A, B, listing=Listing((other, APEX), (), APEX)))
    assert {member[2:] for member in maker.members.values()} == {((), None)}


def test_it_is_stale_when_it_would_say_something_else(maker: Maker) -> None:
    def is_stale(found: Zones, *, complete: bool = True) -> bool:
        return maker.catalogs.is_stale(APEX, found, complete=complete)

    assert is_stale(zones())
    maker.make(zones(A))
    assert not is_stale(zones(A))
    assert not is_stale(zones(A), complete=False)
    assert not is_stale({**zones(A), **zones(B, listing=Listing())})
    assert is_stale(zones(A, B))
    assert is_stale(zones())
    assert is_stale(zones(A, listing=Listing((APEX,), (b"eu",))))
    maker.catalogs.forget(APEX)
    assert is_stale(zones(A))


HELD = (
    "ERROR the catalog lists b.example, which cannot be found, but a folder of zones cannot be read, or no zone at all "
    "was found: the catalog stays as it was until then"
)


def test_while_not_everything_is_known_nothing_is_removed(maker: Maker) -> None:
    maker.make(zones(A, B))
    serial, members = maker.serial, maker.members
    maker.restart()
    assert maker.make(zones(A, C), complete=False) == [HELD]
    assert (maker.serial, maker.members) == (serial, members)
    assert not maker.catalogs.is_stale(APEX, zones(A, C), complete=False), "once is enough"
    assert maker.catalogs.is_stale(APEX, zones(A, C), complete=True)
    assert maker.make(zones(A, C)) == []
    assert set(maker.members) == {A, C}
    assert is_newer(maker.serial, serial)


def test_but_what_is_there_may_be_taken_from_the_list(maker: Maker) -> None:
    maker.make(zones(A, B))
    assert maker.make({**zones(A), **zones(B, listing=Listing())}, complete=False) == []
    assert set(maker.members) == {A}


def test_if_nothing_was_kept_either_there_is_no_catalog(maker: Maker) -> None:
    maker.make(zones(A, B))
    maker.kept = None
    maker.restart()
    assert maker.make(zones(A), complete=False) == [HELD]
    assert maker.served is None


def test_more_members_than_are_taken_are_warned_of(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "MAX_MEMBERS", 2)
    assert maker.make(zones(A, B)) == []
    [said] = maker.make(zones(A, B, C))
    assert said == f"{Severity.WARNING.name} the catalog lists 3 zones; authdns takes at most 2"


def test_a_store_that_fails_keeps_no_catalog_from_being_made(maker: Maker) -> None:
    maker.store._database.execute("DROP TABLE members")
    maker.make(zones(A, B))
    first = dict(maker.members)
    maker.make(zones(A))
    maker.make(zones(A, B))
    assert maker.members[A] == first[A]
    assert maker.members[B] != first[B]
