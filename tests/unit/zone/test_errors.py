"""The errors of a zone that came by transfer are those of a zone file, and those of a patched zone, of its changes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authdns.wire import name as names
from authdns.zone.builder import ZoneBuilder
from authdns.zone.checks import check_zone, errors_at, errors_of
from authdns.zone.delta import difference
from authdns.zone.patch import owners_of, patched
from authdns.zone.problem import Problems, Severity
from authdns.zone.zone import Zone
from tests.unit.answer.zones import SIGNED, dname_zones, random_zones, zone_from_text
from tests.unit.zone.broken_zones import CASES, Case
from tests.unit.zone.reading import read
from tests.unit.zone.test_patch import small_changes, version


def rebuilt(zone: Zone, problems: Problems) -> tuple[Zone, ZoneBuilder]:
    builder = ZoneBuilder(zone.apex, problems, ["test"])
    for owner, rrsets in zone.owners():
        for rrtype, ttl, rdatas in rrsets:
            for rdata in rdatas:
                builder.add(owner, rrtype, ttl, rdata, 0)
    again = builder.build()
    assert again is not None
    return again, builder


def checked(zone: Zone) -> list[str]:
    """What check_zone says."""
    problems = Problems()
    check_zone(*rebuilt(zone, problems))
    return [problem.message for problem in problems if problem.severity is Severity.ERROR]


def which(errors: list[str]) -> list[str]:
    """Without the names that are examples of many, of which any may come first."""
    return sorted(re.sub(r"DNAME: \S+ (and|must)", r"DNAME: ... \1", error) for error in errors)


any_zones = st.one_of(random_zones(how=("plain", *SIGNED)), dname_zones(how=("plain", *SIGNED)))


@settings(deadline=None)
@given(any_zones)
def test_a_whole_zone(zone: Zone) -> None:
    assert sorted(errors_of(zone)) == sorted(checked(zone))


def without_errors(zone: Zone) -> Zone:
    """The zone without the owners that errors are said of, or found below."""
    while errors := errors_of(zone):
        blamed = {names.from_text(error.split(" ", 1)[0]) for error in errors}
        problems = Problems()
        builder = ZoneBuilder(zone.apex, problems, ["test"])
        for owner, rrsets in zone.owners():
            for rrtype, ttl, rdatas in rrsets:
                if owner not in blamed or (owner == zone.apex and rrtype in (2, 6)):
                    for rdata in rdatas:
                        builder.add(owner, rrtype, ttl, rdata, 0)
        built = builder.build()
        assert built is not None
        zone = built
    return zone


def assert_found(old: Zone, new: Zone) -> None:
    delta = difference(old, new, 1 << 30)
    assert delta is not None
    later = patched(old, delta, Problems(), "test")
    assert which(errors_at(later, owners_of([delta]))) == which(checked(later))


@settings(deadline=None, max_examples=200)
@given(any_zones, any_zones)
def test_what_a_change_breaks(old: Zone, new: Zone) -> None:
    assert_found(without_errors(old), new)


@settings(deadline=None, max_examples=300)
@given(small_changes())
def test_what_a_small_change_breaks(changes: list[list[tuple[str, int, str, str]]]) -> None:
    old, new = (version(some, "plain", serial) for serial, some in enumerate(changes[:2]))
    assert_found(without_errors(old), new)


@pytest.mark.parametrize(
    ("kept", "removed", "added", "error"),
    [
        ("www A 192.0.2.1", "", "www CNAME a.", "www.example.com. CNAME: no other record may stand beside a CNAME"),
        ("www CNAME b.", "", "www CNAME a.", "www.example.com. CNAME: more than one CNAME"),
        ("a.d A 192.0.2.1", "", "d DNAME x.", "d.example.com. DNAME: a.d.example.com. must not be there"),
        ("d DNAME x.", "", "b.a.d A 192.0.2.1", "d.example.com. DNAME: b.a.d.example.com. must not be there"),
        ("d DNAME x.", "", "d DNAME y.", "d.example.com. DNAME: more than one DNAME"),
        ("d DNAME x.", "", "d NS y.", "d.example.com. DNAME: NS beside a DNAME"),
        (
            "d.c DNAME x.\na.d.c A 192.0.2.1",
            "c NS n.",
            "",
            "d.c.example.com. DNAME: a.d.c.example.com. must not be there",
        ),
        ("", "", "a SOA m. r. 1 2 3 4 5", "a.example.com. SOA: an SOA may only stand at the apex"),
        ("", "", "@ DS 1 8 2 " + "0" * 64, "example.com. DS: a zone's DS stands in the zone above it"),
        ("a A 192.0.2.1", "", "@ DNAME x.", "example.com. DNAME: a.example.com. must not be there"),
        (
            "@ NSEC3PARAM 1 0 0 -",
            "",
            f"{'0' * 32} NSEC3 1 0 2501 - {'0' * 32} A",
            "example.com. NSEC3 iterations: 2501; expected 0",
        ),
    ],
)
def test_each_kind(kept: str, removed: str, added: str, error: str) -> None:
    def zone(*some: str) -> Zone:
        lines = [line.split(" ", 1) for each in some for line in each.splitlines()]
        text = "\n".join(f"{'' if owner == '@' else owner + '.'}example.com. 60 {rest}" for owner, rest in lines)
        return zone_from_text(text + "\nexample.com. 60 NS n.")

    old = zone(kept, removed)
    assert not errors_of(old)
    new = zone(kept, added)
    delta = difference(old, new, 100)
    assert delta is not None
    later = new if "SOA" in added else patched(old, delta, Problems(), "test")  # no difference has an SOA
    found = errors_at(later, owners_of([delta]) | {names.from_text("a.example.com.")})
    assert len(found) == 1
    assert found[0].startswith(error)


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_broken_zones(case: Case) -> None:
    """Whatever is refused in a file, when it can be built, is refused when transferred."""
    reading = read(case.text, head="")
    if reading.zone is not None:
        assert errors_of(reading.zone) == []
