"""A zone that was patched is the zone that is built from all records of the new version, in all that it knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise, product

import dns.rdata
import dns.rdataclass
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authdns.answer.image import ImageNames, write_image
from authdns.wire import name as names
from authdns.wire.types import Type, type_from_text
from authdns.zone.builder import MAX_EMPTY_NON_TERMINALS, MAX_TYPES_PER_NAME
from authdns.zone.delta import Delta, difference
from authdns.zone.denial import Nsec, Nsec3
from authdns.zone.overlay import Overlay
from authdns.zone.patch import DoesNotFit, caught_up, owners_of, patched
from authdns.zone.problem import Problems
from authdns.zone.records import Record
from authdns.zone.zone import RRset, RRsets, Zone
from tests.unit.answer.zones import (
    SIGNED,
    SOA,
    dname_zones,
    random_zones,
    signed,
    zone_from_records,
    zone_from_text,
)

APEX = names.from_text("example.com.")
Line = tuple[str, int, str, str]
WAYS = ("plain", *SIGNED)


def on_image(zone: Zone) -> Zone:
    """As a large zone is kept: names read from an image."""
    native = pytest.importorskip("authdns.answer.native._native", reason="the engine was not built")
    image = ImageNames(native.Image(write_image(zone), 4711, RRset))
    return replace(zone, names=image)


def delta_of(old: Zone, new: Zone) -> Delta:
    found = difference(old, new, 1 << 30)
    assert found is not None
    return found


def patch(zone: Zone, delta: Delta) -> Zone:
    return patched(zone, delta, Problems(), "the primary")


def unordered(rrsets: RRsets) -> set[tuple[int, int, frozenset[bytes]]]:
    """Neither RRsets nor the records in one have an order (RFC 2181 §5)."""
    assert len({(rrset.type, rrset.rdatas[0][:2] * (rrset.type == Type.RRSIG)) for rrset in rrsets}) == len(rrsets)
    assert all(len(set(rrset.rdatas)) == len(rrset.rdatas) for rrset in rrsets)
    return {(rrset.type, rrset.ttl, frozenset(rrset.rdatas)) for rrset in rrsets}


def assert_same(found: Zone, expected: Zone) -> None:
    """In all but the spelling of owners, and the order of things that have none."""
    assert found.apex == expected.apex
    for ours, theirs in ((found.names, expected.names), (found.nsec3, expected.nsec3)):
        assert set(ours) == set(theirs)
        assert len(ours) == len(theirs)
        for owner, rrsets in ours.items():
            assert unordered(rrsets) == unordered(theirs[owner])
            assert ours[owner] == rrsets
            assert owner in ours
    assert found.longest == expected.longest
    assert found.cuts == expected.cuts
    assert found.dnames == expected.dnames
    assert found.signed == expected.signed
    assert found.records == expected.records
    if isinstance(expected.denial, Nsec):
        assert isinstance(found.denial, Nsec)
        assert found.denial.keys == expected.denial.keys
        assert found.denial.owners == expected.denial.owners
    elif isinstance(expected.denial, Nsec3):
        assert isinstance(found.denial, Nsec3)
        assert found.denial.parameters == expected.denial.parameters
        assert found.denial.hashes == expected.denial.hashes
        assert found.denial.owners == expected.denial.owners
    else:
        assert found.denial is None


def snapshot(zone: Zone) -> object:
    denial = None if zone.denial is None else tuple(zone.denial.owners)
    some = (dict(zone.names), dict(zone.nsec3), dict(zone.spelling))
    return (*some, zone.longest, zone.cuts, zone.dnames, zone.signed, zone.records, denial)


any_zones = st.one_of(random_zones(how=WAYS), random_zones(how=WAYS), dname_zones(how=WAYS))
bases = pytest.mark.parametrize("base", [lambda zone: zone, on_image], ids=["dictionary", "image"])


@bases
@settings(deadline=None)
@given(st.lists(any_zones, min_size=2, max_size=4))
def test_patched_is_built(base: Callable[[Zone], Zone], versions: list[Zone]) -> None:
    """Zones that have little in common but the apex: everything comes and goes."""
    now = base(versions[0])
    for old, new in pairwise(versions):
        before = snapshot(now)
        delta = delta_of(old, new)
        later = patch(now, delta)
        assert_same(later, new)
        assert snapshot(now) == before
        for owner in set(now.spelling) - owners_of([delta]):
            assert later.spelling[owner] == now.spelling[owner]
        assert set(later.spelling) <= {*later.names, *later.nsec3}
        now = later


# Few owners, so that names lose what is above, below and beside them one by one, and delegations hide delegations.
OWNERS = [".".join([*labels, "example.com."]) for size in range(4) for labels in product("ab", repeat=size)]
HASHES = [f"{digit * 32}.example.com." for digit in "01v"]
RRSIG = "13 3 60 20480101000000 20260101000000 4711 example.com. AAAA"
NSEC3 = f"abcd {'0' * 32} A"


@st.composite
def odd_records(draw: st.DrawFn) -> Line:
    """Also what no signer makes: NSEC3 where no hash is, chains without records for them, signatures of nothing."""
    owner = draw(st.sampled_from(OWNERS))
    rrtype = draw(st.sampled_from(["A", "TXT", "NS", "NS", "DNAME", "RRSIG", "NSEC", "NSEC3", "NSEC3", "NSEC3PARAM"]))
    number = draw(st.integers(1, 2))
    if rrtype in ("NSEC3", "RRSIG") and draw(st.booleans()):
        owner = draw(st.sampled_from([*HASHES, f"a.{HASHES[0]}"]))
    if rrtype == "NSEC3PARAM":
        owner = "example.com."
    data = {
        "A": f"192.0.2.{number}",
        "TXT": f'"{number}"',
        "RRSIG": f"{draw(st.sampled_from(['A', 'NSEC', 'NSEC3']))} {RRSIG}",
        "NSEC": "example.com. A",
        "NSEC3": f"1 0 {number} {NSEC3}",
        "NSEC3PARAM": f"1 {draw(st.sampled_from([0, 0, 1]))} {number} abcd",
    }
    return (owner, draw(st.sampled_from([60, 60, 300])), rrtype, data.get(rrtype, f"n{number}.example.org."))


@st.composite
def small_changes(draw: st.DrawFn) -> list[list[Line]]:
    """Versions each of which has some of the records there ever were."""
    every = draw(st.lists(odd_records(), min_size=2, max_size=14))
    kept = draw(st.lists(st.sets(st.sampled_from(range(len(every)))), min_size=2, max_size=5))
    return [[every[i] for i in sorted(some)] for some in kept]


def version(records: list[Line], how: str, serial: int = 7, iterations: int = 1) -> Zone:
    fixed: list[Line] = [
        ("example.com.", 3600, "SOA", SOA.replace(" 7 ", f" {serial} ")),
        ("example.com.", 3600, "NS", "ns1.example.org."),
    ]
    every = [*fixed, *records]
    return zone_from_records("example.com.", every if how == "plain" else signed(every, how, iterations=iterations))


@bases
@settings(deadline=None, max_examples=300)
@given(small_changes())
def test_names_come_and_go(base: Callable[[Zone], Zone], changes: list[list[Line]]) -> None:
    versions = [version(some, "plain", serial) for serial, some in enumerate(changes)]
    now = base(versions[0])
    deltas = [delta_of(old, new) for old, new in pairwise(versions)]
    for delta, new in zip(deltas, versions[1:], strict=True):
        now = patch(now, delta)
        assert_same(now, new)
    at_once = caught_up(base(versions[0]), deltas, Problems(), "the primary")
    assert_same(at_once, versions[-1])


@bases
@pytest.mark.parametrize("before", WAYS)
@pytest.mark.parametrize("after", WAYS)
@pytest.mark.parametrize("iterations", [1, 2])
def test_signed_otherwise(base: Callable[[Zone], Zone], before: str, after: str, iterations: int) -> None:
    """Each chain may replace each, itself with other parameters too."""
    rows: list[Line] = [("a.b.example.com.", 60, "A", "192.0.2.1"), ("c.example.com.", 60, "NS", "ns.c.example.com.")]
    old, new = version(rows, before, 1), version([*rows[1:], *rows[:1]], after, 2, iterations=iterations)
    assert_same(patch(base(old), delta_of(old, new)), new)


def test_chains_come_and_go() -> None:
    """Of two NSEC3PARAM the least that has a chain counts, without any the NSEC; and what is gone is not asked."""
    params: list[Line] = [("example.com.", 0, "NSEC3PARAM", f"1 0 {number} abcd") for number in (1, 2)]
    nsec: Line = ("example.com.", 60, "NSEC", "example.com. A")
    one, two = ((HASHES[0], 60, "NSEC3", f"1 0 {number} {NSEC3}") for number in (1, 2))
    other: Line = (HASHES[1], 60, "NSEC3", f"1 0 2 {NSEC3}")
    steps: list[tuple[list[Line], int | None]] = [
        ([*params, nsec], None),
        ([*params, nsec, two], 2),
        ([*params, nsec, two, one], 1),
        ([*params, nsec, other, one], 1),
        ([*params, nsec, other], 2),
        ([params[1], nsec, other], 2),
        ([params[1], nsec, two], 2),
        ([params[1], nsec], None),
        ([params[1], nsec, one], None),
        ([params[0], nsec, one], 1),
        ([params[0]], -1),
        ([nsec], None),
        ([], -1),
    ]
    now = old = version([], "plain", 0)
    for serial, (records, chain) in enumerate(steps, start=1):
        new = version(records, "plain", serial)
        now = patch(now, delta_of(old, new))
        assert_same(now, new)
        denial = now.denial
        if chain is not None and chain > 0:
            assert isinstance(denial, Nsec3)
            assert denial.parameters.iterations == chain
        else:
            assert (denial is None) == (chain == -1)
        old = new


def test_delegations_hide_each_other() -> None:
    above, between, below = ((f"{owner}example.com.", 60, "NS", "n.example.org.") for owner in ("a.", "b.a.", "c.b.a."))
    versions: list[list[Line]] = [
        [below],
        [above, below],
        [above, between, below],
        [between, below],
        [below],
        [between],
        [above],
        [],
    ]
    now = old = version([], "plain", 0)
    for serial, records in enumerate(versions, start=1):
        new = version(records, "plain", serial)
        now = patch(now, delta_of(old, new))
        assert_same(now, new)
        assert len(now.cuts) == bool(records)
        old = new


def test_what_does_not_change_is_shared() -> None:
    old = version([("www.example.com.", 60, "A", "192.0.2.1"), ("d.example.com.", 60, "NS", "n.")], "nsec3", 1)
    new = patch(old, changed(old, 2))
    assert new.soa.serial == 2
    assert new.names[APEX] != old.names[APEX]
    assert new.nsec3 is old.nsec3
    assert new.cuts is old.cuts
    assert new.denial is old.denial
    assert new.spelling is old.spelling


def test_several_at_once_fit_each() -> None:
    """What one delta adds, the next may remove; what is missing in the middle is not made up for by the end."""
    old = www()
    gone = changed(old, 8, [WWW], [("a.b.example.com.", 60, "A", "192.0.2.1")])
    steps = [gone, Delta(soa(8), soa(9), gone.added, ()), Delta(soa(9), soa(10), (), gone.removed)]
    new = caught_up(old, steps, Problems(), "the primary")
    assert new.soa.serial == 10
    assert set(new.names) == set(old.names)
    assert caught_up(old, [], Problems(), "the primary") is old
    for wrong, why in (
        ([gone, Delta(soa(8), soa(9), gone.removed, ()), steps[2]], "removes a record"),
        ([gone, Delta(soa(8), soa(9), (), gone.added), Delta(soa(9), soa(10), gone.added, ())], "adds a record"),
        ([gone, steps[2]], "leads on from serial 9, the zone has 8"),
    ):
        with pytest.raises(DoesNotFit, match=why):
            caught_up(old, wrong, Problems(), "the primary")


def test_overlays_do_not_pile_up() -> None:
    """Changes of an overlay are an overlay on the same base."""
    base = on_image(zone_from_text("a.example.com. 60 A 192.0.2.1"))
    now = base
    for serial in range(8, 12):
        delta = changed(now, serial, added=[("b.example.com.", 60, "TXT", f'"{serial}"')])
        now = patch(now, delta)
        assert isinstance(now.names, Overlay)
        assert now.names.base is base.names
    b = now.names[names.from_text("b.example.com.")]
    assert b == (RRset(Type.TXT, 60, (b"\1" + b"8", b"\1" + b"9", b"\x0210", b"\x0211")),)


# -- what does not fit


def record(line: Line) -> Record:
    owner, ttl, rrtype, data = line
    rdata = dns.rdata.from_text(dns.rdataclass.IN, rrtype, data).to_wire()
    assert rdata is not None
    return Record(names.from_text(owner), type_from_text(rrtype), ttl, rdata)


def soa(serial: int) -> Record:
    return record(("example.com.", 3600, "SOA", SOA.replace(" 7 ", f" {serial} ")))


def changed(zone: Zone, serial: int, removed: Sequence[Line] = (), added: Sequence[Line] = ()) -> Delta:
    return Delta(
        soa(zone.soa.serial), soa(serial), [record(line) for line in removed], [record(line) for line in added]
    )


WWW = ("www.example.com.", 60, "A", "192.0.2.1")
MAIL = ("example.com.", 60, "MX", "10 mail.example.com.")


def www() -> Zone:
    return version([WWW, MAIL, ("_sip._udp.example.com.", 60, "SRV", "1 2 3 sip.example.com.")], "plain")


@bases
@pytest.mark.parametrize(
    ("removed", "added", "why"),
    [
        ([("www.example.com.", 60, "A", "192.0.2.2")], [], "www.example.com. A: the delta removes a record"),
        ([("www.example.com.", 60, "TXT", "x")], [], "www.example.com. TXT: the delta removes a record"),
        ([("ftp.example.com.", 60, "A", "192.0.2.1")], [], "ftp.example.com. A: the delta removes a record"),
        ([("_udp.example.com.", 60, "A", "192.0.2.1")], [], "_udp.example.com. A: the delta removes a record"),
        ([("www.example.org.", 60, "A", "192.0.2.1")], [], "www.example.org. A: the delta removes a record"),
        ([WWW, WWW], [], "www.example.com. A: the delta removes a record"),
        ([("example.com.", 3600, "SOA", SOA)], [], "example.com. SOA: the delta removes a record"),
        ([], [WWW], "www.example.com. A: the delta adds a record that the zone has already"),
        ([], [("WWW.example.com.", 3600, "A", "192.0.2.1")], "www.example.com. A: the delta adds a record"),
        ([], [("example.com.", 60, "MX", "10 MAIL.example.com.")], "example.com. MX: the delta adds a record"),
        ([], [("www.example.org.", 60, "A", "192.0.2.1")], "www.example.org. A lies outside the zone example.com."),
        ([], [("com.", 60, "TXT", "x")], "com. TXT lies outside the zone"),
        ([], [("notexample.com.", 60, "TXT", "x")], "notexample.com. TXT lies outside the zone"),
        ([], [("example.com.", 3600, "SOA", SOA)], "example.com. has a second SOA record"),
        ([("example.com.", 3600, "NS", "ns1.example.org.")], [], "the zone has no NS record at example.com."),
        (
            [],
            [("t.example.com.", 60, f"TYPE{65280 + i}", "\\# 0") for i in range(MAX_TYPES_PER_NAME + 1)],
            "t.example.com. has 101 record types",
        ),
        (
            [],
            [("t.example.com.", 60, "TYPE65280", f"\\# 65520 {'00' * 65520}")],
            "t.example.com. TYPE65280: the record is too large",
        ),
        (
            [],
            [(f"{number}.{'a.' * 110}example.com.", 60, "TXT", "x") for number in range(3)]
            + [(f"{'a.' * 100}{label}.example.com.", 60, "TXT", "x") for label in range(200)],
            "so many labels",
        ),
    ],
)
def test_what_does_not_fit(base: Callable[[Zone], Zone], removed: list[Line], added: list[Line], why: str) -> None:
    old = base(www())
    before = snapshot(old)
    problems = Problems()
    with pytest.raises(DoesNotFit, match="^" * (why[0] != "s") + re.escape(why)):
        patched(old, changed(old, 8, removed, added), problems, "the primary")
    assert snapshot(old) == before
    assert not problems.found


def test_many_names_outside_are_one_refusal() -> None:
    with pytest.raises(DoesNotFit, match="outside"):
        patch(www(), changed(www(), 8, [], [(f"{i}.example.org.", 60, "A", "192.0.2.1") for i in range(20)]))


def test_small_deltas_cannot_make_many_empty_names() -> None:
    """What one delta may add, ten thousand of them may not."""
    now = www()
    with pytest.raises(DoesNotFit, match="so many labels"):  # noqa: PT012
        for serial in range(8, 400):
            owner = f"{'a.' * 115}{serial}.example.com."
            now = patch(now, changed(now, serial, [], [(owner, 60, "TXT", "x")]))
    assert MAX_EMPTY_NON_TERMINALS < len(now.names) < 2 * MAX_EMPTY_NON_TERMINALS


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (soa(6), soa(8), "example.com. SOA: the delta leads on from serial 6, the zone has 7"),
        (record(MAIL), soa(8), "example.com. MX where the SOA of example.com. was expected"),
        (soa(7), record(MAIL), "example.com. MX where the SOA of example.com. was expected"),
        (soa(7), soa(8)._replace(owner=b"\3com\0"), "com. SOA where the SOA of example.com. was expected"),
    ],
)
def test_another_version(before: Record, after: Record, why: str) -> None:
    with pytest.raises(DoesNotFit, match="^" + re.escape(why)):
        patch(www(), Delta(before, after, (), ()))


# -- what one record is


def test_another_ttl_is_a_change() -> None:
    old = www()
    new = patch(old, changed(old, 8, [WWW], [("www.example.com.", 300, "A", "192.0.2.1")]))
    assert new.names[names.from_text("www.example.com.")] == (RRset(Type.A, 300, (bytes((192, 0, 2, 1)),)),)


def test_neither_ttl_nor_case_tell_records_apart() -> None:
    old = www()
    new = patch(old, changed(old, 8, [("EXAMPLE.com.", 1, "MX", "10 MAIL.example.COM.")]))
    assert new.rrset(APEX, Type.MX) is None
    assert new.records == old.records - 1


def test_an_rrset_has_one_ttl() -> None:
    """The builder's rule (RFC 2181 §5.2), said as the builder says it."""
    old, problems = www(), Problems()
    delta = changed(old, 8, [], [("www.example.com.", 30, "A", "192.0.2.2")] * 2)
    new = patched(old, delta, problems, "192.0.2.53")
    [a] = new.names[names.from_text("www.example.com.")]
    assert (a.ttl, len(a.rdatas)) == (30, 2)
    assert [str(problem) for problem in problems] == [
        "192.0.2.53: warning: www.example.com. A: the same record was given before; one of each is kept",
        "192.0.2.53: warning: www.example.com. A: TTL 30 differs from 60 in the same RRset (RFC 2181 §5.2); "
        "30 is used for all",
    ]


def test_what_stays_keeps_its_place_and_its_spelling() -> None:
    old = zone_from_text(
        "Www.example.com. 60 A 192.0.2.1\nWww.example.com. 60 A 192.0.2.2\nFtp.example.com. 60 A 192.0.2.1\n"
        "Old.example.com. 60 A 192.0.2.1"
    )
    delta = changed(
        old,
        8,
        [(f"{label}.example.com.", 60, "A", "192.0.2.1") for label in ("www", "ftp", "old")],
        [("wwW.example.com.", 60, "A", "192.0.2.3"), ("ftP.example.com.", 60, "TXT", "x")],
    )
    new = patch(old, delta)
    assert [rdata[3] for rdata in new.names[names.from_text("www.example.com.")][0].rdatas] == [2, 3]
    assert set(new.spelling.values()) == {b"\3Www" + APEX, b"\3ftP" + APEX}
