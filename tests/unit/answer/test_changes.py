"""Whose answers changed, and what the engine does with it: it declines those, and answers all others as before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("authdns.answer.native._native", reason="the engine was not built")
from authdns.answer import changes as changes_module
from authdns.answer.changes import Changes, changed_names
from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.image import write_image
from authdns.answer.lookup import Answer, Found, find, lookup
from authdns.answer.native import _native as native
from authdns.answer.respond import Responder
from authdns.wire import name as names
from authdns.wire.message import QUESTION
from authdns.wire.types import Rcode, Type, type_from_text
from authdns.zone.delta import difference
from authdns.zone.zone import RRset, Zone
from tests.unit.answer.packets import opt, query
from tests.unit.answer.zones import (
    SIGNED,
    SIGNED_QUERY_TYPES,
    dname_query_names,
    dname_zones,
    query_names,
    random_zones,
    zone_from_text,
)

SEED = 0x1234_5678_9ABC_DEF0
APEX = names.from_text("example.com.")
HEAD = "ns1.example.com. 60 A 192.0.2.1\n"


def name(text: str) -> bytes:
    return names.from_text(f"{text}.example.com." if text else "example.com.")


def changed(before: str, after: str) -> set[str] | None:
    """Of two versions, each with more lines than HEAD."""
    old, new = zone_from_text(HEAD + before), zone_from_text(HEAD + after)
    delta = difference(old, new, 1000)
    assert delta is not None
    found = changed_names(old, new, (delta,))
    return None if found is None else {names.to_text(each).removesuffix("example.com.").rstrip(".") for each in found}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "", {""}),
        ("a.example.com. 60 A 192.0.2.1", "a.example.com. 60 A 192.0.2.2", {"", "a"}),
        ("a.example.com. 60 A 192.0.2.1", "A.example.com. 61 A 192.0.2.1", {"", "a"}),
        ("", "a.b.c.example.com. 60 A 192.0.2.2", {"", "c"}),
        ("x.c.example.com. 60 A 192.0.2.2", "a.b.c.example.com. 60 A 192.0.2.2", {"", "b.c", "x.c"}),
        ("a.b.c.example.com. 60 A 192.0.2.2", "", {"", "c"}),
        ("a.b.example.com. 60 A 192.0.2.2", "b.example.com. 60 A 192.0.2.2", {"", "b", "a.b"}),
        ("x.w.example.com. 60 A 192.0.2.2", "x.w.example.com. 60 A 192.0.2.2\n*.w.example.com. 60 A 192.0.2.2",
         {"", "w"}),
        ("*.w.example.com. 60 A 192.0.2.2", "*.w.example.com. 60 A 192.0.2.3", {"", "w"}),
        ("x.w.example.com. 60 A 192.0.2.2", "x.w.example.com. 60 A 192.0.2.2\na.*.w.example.com. 60 A 192.0.2.2",
         {"", "w"}),
        ("*.w.example.com. 60 A 192.0.2.2", "*.w.example.com. 60 A 192.0.2.2\na.*.w.example.com. 60 A 192.0.2.2",
         {"", "a.*.w"}),
        ("", "*.example.com. 60 A 192.0.2.2", None),
        ("", "example.com. 60 DNAME example.org.", None),
        ("", "example.com. 60 MX 1 ns1.example.com.", {""}),
        ("c.example.com. 60 NS n.c.example.com.\nn.c.example.com. 60 A 192.0.2.1", "n.c.example.com. 60 A 192.0.2.1",
         {"", "c"}),
    ],
)  # fmt: skip
def test_whose_answers_changed(before: str, after: str, expected: set[str] | None) -> None:
    assert changed(before, after) == expected


def test_too_many_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes_module, "MAX_CHANGED_NAMES", 3)
    lines = [f"a{number}.example.com. 60 A 192.0.2.1" for number in range(3)]
    assert changed("", "\n".join(lines[:2])) == {"", "a0", "a1"}
    assert changed("", "\n".join(lines)) is None


def test_several_deltas_are_one_change() -> None:
    """What was there only between them is no name of either version."""
    lines = ("", "a.b.example.com. 60 A 192.0.2.1", "c.example.com. 60 A 192.0.2.1")
    versions = [zone_from_text(HEAD + line) for line in lines]
    deltas = [difference(versions[i], versions[i + 1], 100) for i in range(2)]
    found = changed_names(versions[0], versions[2], [delta for delta in deltas if delta is not None])
    assert found == frozenset({APEX, name("c")})


def test_changes_are_those_since_the_version_that_the_image_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Changes(object())
    second = first.then([b"a", b"b"])
    assert second is not None
    third = second.then([b"b", b"c"])
    assert third is not None
    assert set(third.names) == {b"a", b"b", b"c"}
    of_second = third.since(second)
    assert of_second is not None
    assert set(of_second.names) == {b"b", b"c"}
    assert third.since(third) == third._replace(names={})
    assert third.since(Changes(object())) is None
    fourth = of_second.then([b"d"])
    assert fourth is not None
    later = fourth.since(third)
    assert later is not None
    assert set(later.names) == {b"d"}
    monkeypatch.setattr(changes_module, "MAX_CHANGED_NAMES", 3)
    assert third.then([b"d"]) is None


BASE = zone_from_text(
    HEAD
    + """\
www.example.com. 60 A 192.0.2.1
a.www.example.com. 60 A 192.0.2.1
*.wild.example.com. 60 A 192.0.2.1
x.wild.example.com. 60 A 192.0.2.1
child.example.com. 60 NS ns.child.example.com.
child.example.com. 60 DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000
ns.child.example.com. 60 A 192.0.2.1
other.example.com. 60 A 192.0.2.1"""
)


def engine_with(zone: Zone, changed_: frozenset[bytes] | None) -> native.Engine:
    engine = native.Engine(SEED)
    image = native.Image(write_image(zone), SEED, RRset)
    engine.publish(zone.apex, image if changed_ is None else image.with_changes(changed_))
    return engine


CHANGED = frozenset(map(name, ("", "www", "wild", "child")))


@pytest.mark.parametrize(
    ("qname", "qtype", "declined"),
    [
        ("www", "A", True),
        ("WWW", "TYPE65280", True),
        ("a.www", "A", True),
        ("nx.a.www", "A", True),
        ("wwww", "A", False),
        ("", "SOA", True),
        ("", "A", True),
        ("other", "A", False),
        ("nx", "A", False),
        ("a.nx", "A", False),
        ("wild", "A", True),
        ("x.wild", "A", True),
        ("covered.wild", "A", True),
        ("child", "DS", True),
        ("child", "NS", True),
        ("ns.child", "A", True),
        (".".join("a" * 100) + ".www", "A", True),
        (".".join("a" * 100), "A", False),
    ],
)
def test_a_changed_name_and_all_below_it_are_declined(qname: str, qtype: str, declined: bool) -> None:
    packet = query(names.from_text(f"{qname}.example.com." if qname else "example.com."), type_from_text(qtype))
    got = engine_with(BASE, CHANGED).respond(packet)
    if declined:
        assert got == native.DECLINED
    else:
        assert got == engine_with(BASE, None).respond(packet)
        assert isinstance(got, bytes)


def test_of_changes_upon_changes_the_last_count_and_the_first_image_is_held() -> None:
    engine = native.Engine(SEED)
    image = native.Image(write_image(BASE), SEED, RRset)
    for number in range(100):
        image = image.with_changes([name("www" if number % 2 else "other")])
        engine.publish(APEX, image)
        assert (engine.respond(query(name("www"))) == native.DECLINED) == bool(number % 2)
        assert (engine.respond(query(name("other"))) == native.DECLINED) != bool(number % 2)
    engine.publish(APEX, image.with_changes(()))
    assert isinstance(engine.respond(query(name("www"))), bytes)
    assert image.get(name("www")) == BASE.names[name("www")]
    assert name("www") in image
    assert len(image) == len(BASE.names)


def test_ten_thousand_changes() -> None:
    many = {name(f"h{number}") for number in range(10_000)}
    engine = engine_with(BASE, frozenset(many))
    assert all(engine.respond(query(each)) == native.DECLINED for each in many)
    assert isinstance(engine.respond(query(name("www"))), bytes)
    assert isinstance(engine.respond(query(name("h10000"))), bytes)


@pytest.mark.parametrize(
    "wrong",
    [b"", b"\0", b"\3www", name("www")[:-1], name("www") + b"\0", names.from_text("example.org."), name("WWW"),
     b"\1xexample\3com\0", b"\x40" + b"a" * 64 + APEX, (b"\1a" * 128) + APEX],
)  # fmt: skip
def test_what_is_no_name_of_the_zone_is_refused(wrong: bytes) -> None:
    image = native.Image(write_image(BASE), SEED, RRset)
    with pytest.raises(ValueError, match="in the zone, in lower case"):
        image.with_changes([wrong])


def test_what_are_no_names_is_refused() -> None:
    image = native.Image(write_image(BASE), SEED, RRset)
    no_names: tuple[Any, ...] = (["text"], [None], None, 7)
    for wrong in no_names:
        with pytest.raises(TypeError):
            image.with_changes(wrong)

    class Long(dict[bytes, int]):
        def __len__(self) -> int:
            return (1 << 20) + 1

    with pytest.raises(ValueError, match="too many"):
        image.with_changes(Long())

    class Growing(dict[bytes, int]):
        def __len__(self) -> int:
            return 1

    with pytest.raises(ValueError, match="in the zone"):
        image.with_changes(Growing({name("a"): 1, name("b"): 2}))


def direct(zone: Zone, qname: bytes, qtype: int, dnssec_ok: bool) -> object:
    """What an answer says of the name itself: not where a CNAME leads, not additional records, and of negative answers
    and referrals no SOA and no proofs."""
    answer: Answer = lookup(zone, qname, qtype, dnssec_ok)
    match = find(zone, qname, qtype)
    own = [(owner, rrset) for owner, rrset in answer.answer if owner == QUESTION]
    moved = match.rrsets if match.found is Found.DNAME else ()
    leads_on = match.found is Found.DNAME or any(rrset.type == Type.CNAME for _, rrset in own)
    rcode = None if leads_on and answer.rcode != Rcode.YXDOMAIN else answer.rcode
    cut = [
        (owner, rrset)
        for owner, rrset in answer.authority
        if rrset.type in (Type.NS, Type.DS) and match.found is Found.DELEGATION and owner == match.node
    ]
    authoritative = None if leads_on else answer.authoritative
    return rcode, authoritative, own, cut, [rrset for rrset in moved if rrset.type == Type.DNAME]


HOW = ("plain", *SIGNED)
ZONES = st.one_of(random_zones(HOW), dname_zones(HOW))
QUERIES = st.lists(
    st.tuples(st.one_of(query_names(), dname_query_names()), st.sampled_from(SIGNED_QUERY_TYPES)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=600, deadline=None)
@given(ZONES, ZONES, QUERIES)
def test_what_changed_is_declined_and_all_else_is_as_before(
    before: Zone, after: Zone, queries: list[tuple[bytes, str]]
) -> None:
    delta = difference(before, after, 10_000)
    assert delta is not None
    found = changed_names(before, after, (delta,))
    if found is None:
        return
    engine = engine_with(before, found)
    table = ZoneTable()
    table.publish(before.apex, ServedZone(before))
    python = Responder(table, tcp=False)
    asked = [(qname.lower(), type_from_text(rrtype)) for qname, rrtype in queries]
    asked += [(each, Type.A) for each in {**before.names, **after.names}]
    asked += [(b"\1q" + each, Type.A) for each in {**before.names, **after.names} if len(each) < 254]
    for qname, qtype in asked:
        for dnssec_ok in (False, True):
            packet = query(qname, qtype, edns=opt(flags=0x8000 * dnssec_ok))
            got = engine.respond(packet)
            if got == native.DECLINED:
                affected = any(
                    qname == each or (each != before.apex and names.is_at_or_below(qname, each)) for each in found
                )
                assert affected or before.dnames
            else:
                assert direct(before, qname, qtype, dnssec_ok) == direct(after, qname, qtype, dnssec_ok)
                assert got == python.respond(packet)
