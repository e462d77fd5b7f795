"""What changed between two versions, and that applying it to the one gives the other."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authdns.wire.types import Type
from authdns.zone.delta import Delta, condensed, decode, difference, encode
from authdns.zone.records import Record
from authdns.zone.zone import Zone
from tests.unit.answer.zones import SIGNED, SOA, random_zones, signed, zone_from_records, zone_from_text

Key = tuple[bytes, int, int, bytes]


def records(zone: Zone) -> set[Key]:
    return {
        (owner.lower(), rrset.type, rrset.ttl, rdata)
        for owner, rrset in zone.iterate()
        for rdata in rrset.rdatas
        if rrset.type != Type.SOA
    }


def keys(some: list[Record] | tuple[Record, ...]) -> list[Key]:
    return [(owner.lower(), rrtype, ttl, rdata) for owner, rrtype, ttl, rdata in some]


def as_applied(delta: Delta, to: set[Key]) -> set[Key]:
    """As a secondary does it that refuses what cannot be."""
    removed, added = keys(list(delta.removed)), keys(list(delta.added))
    assert len(set(removed)) == len(removed)
    assert len(set(added)) == len(added)
    assert set(removed) <= to
    left = to - set(removed)
    assert not set(added) & left
    return left | set(added)


def delta_of(old: Zone, new: Zone) -> Delta:
    found = difference(old, new, 1 << 30)
    assert found is not None
    return found


@settings(deadline=None)
@given(st.lists(random_zones(), min_size=2, max_size=5))
def test_a_difference_leads_from_one_to_the_other(versions: list[Zone]) -> None:
    steps = [delta_of(old, new) for old, new in pairwise(versions)]
    now = records(versions[0])
    for step, new in zip(steps, versions[1:], strict=True):
        now = as_applied(step, now)
        assert now == records(new)
        again = decode(encode(step))
        assert (again.before, again.after) == (step.before, step.after)
        assert (list(again.removed), list(again.added)) == (list(step.removed), list(step.added))
    whole = condensed(steps)
    assert as_applied(whole, records(versions[0])) == records(versions[-1])
    direct = delta_of(versions[0], versions[-1])
    assert (set(keys(list(whole.removed))), set(keys(list(whole.added)))) == (
        set(keys(list(direct.removed))),
        set(keys(list(direct.added))),
    )


@pytest.mark.parametrize("how", SIGNED)
def test_signed_zones(how: str) -> None:
    def version(address: str) -> Zone:
        rows: list[tuple[str, int, str, str]] = [
            ("example.com.", 60, "SOA", SOA),
            ("example.com.", 60, "NS", "ns.example.net."),
            ("www.example.com.", 60, "A", address),
        ]
        return zone_from_records("example.com.", signed(rows, how))

    old, new = version("192.0.2.1"), version("192.0.2.2")
    assert as_applied(delta_of(old, new), records(old)) == records(new)


def test_nothing_is_a_change_of_nothing() -> None:
    one = zone_from_text("www.example.com. 60 A 192.0.2.1\nwww.example.com. 60 A 192.0.2.2")
    other = zone_from_text("WWW.example.com. 60 A 192.0.2.2\nwww.example.com. 60 A 192.0.2.1")
    delta = delta_of(one, other)
    assert not delta.removed
    assert not delta.added
    assert len(delta) == 4


def test_owners_are_sent_as_they_are_spelled() -> None:
    one = zone_from_text("Www.example.com. 60 A 192.0.2.1")
    other = zone_from_text("wwW.example.com. 60 A 192.0.2.2")
    delta = delta_of(one, other)
    assert [record.owner for record in delta.removed] == [b"\3Www\7example\3com\0"]
    assert [record.owner for record in delta.added] == [b"\3wwW\7example\3com\0"]


def test_a_name_with_nsec3_and_other_records() -> None:
    both = "www.example.com. 60 TXT {}\nwww.example.com. 60 NSEC3 1 0 {} - 00000000000000000000000000000000"
    old, new = zone_from_text(both.format("x", 0)), zone_from_text(both.format("y", 1))
    assert as_applied(delta_of(old, new), records(old)) == records(new)
    assert not delta_of(new, new).added


def test_another_ttl_is_another_record() -> None:
    delta = delta_of(
        zone_from_text("www.example.com. 60 A 192.0.2.1"), zone_from_text("www.example.com. 61 A 192.0.2.1")
    )
    assert [record.ttl for record in (*delta.removed, *delta.added)] == [60, 61]


def test_too_much_is_none() -> None:
    many = zone_from_text("\n".join(f"h{number}.example.com. 60 A 192.0.2.1" for number in range(20)))
    few = zone_from_text("www.example.com. 60 A 192.0.2.1")
    assert difference(few, many, 20) is None
    assert difference(many, few, 20) is None
    assert difference(few, many, 21) is not None


def test_every_damage_is_an_error() -> None:
    whole = encode(
        delta_of(zone_from_text("www.example.com. 60 A 192.0.2.1"), zone_from_text("a.example.com. 60 TXT text"))
    )
    random_ = random.Random(5)
    for at in range(len(whole)):
        with pytest.raises(ValueError, match="records are"):
            decode(whole[:at])
        damaged = bytearray(whole)
        damaged[at] ^= 1 << random_.randrange(8)
        try:
            again = decode(bytes(damaged))
        except ValueError:
            continue
        assert again == decode(whole), "a bit of zlib's own head that says nothing"
