"""Catalog zones: what is read from one, what changed, what is to be done, and the ones that are made here."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authdns.wire import name as names
from authdns.wire.types import Type
from authdns.zone import catalog as catalogs
from authdns.zone.catalog import (
    BY_HAND,
    MAX_GROUPS,
    MAX_REASONS,
    Action,
    Broken,
    Catalog,
    Configured,
    Decision,
    Member,
    changes,
    decisions,
    make_catalog,
    member_label,
    read_catalog,
)
from authdns.zone.reader import read_zone
from authdns.zone.zone import Zone
from tests.unit.zone.reading import APEX, loader

HEAD = "$TTL 0\n@ SOA invalid. invalid. 1 3600 600 86400 0\n@ NS invalid.\n"
VERSION = 'version TXT "2"\n'


def zone(body: str, head: str = HEAD + VERSION) -> Zone:
    reading = read_zone("main", APEX, loader({"main": head + body}))
    assert reading.zone is not None, "\n".join(map(str, reading.problems))
    return reading.zone


def content(body: str) -> dict[str, tuple[str, list[str], str | None]]:
    """Zone -> label, groups, coo."""
    found = read_catalog(zone(body))
    assert isinstance(found, Catalog), found
    assert found.apex == APEX
    for name, member in found.members.items():
        assert member.zone == name
    return {
        names.to_text(member.zone): (
            member.label.decode(),
            [group.decode() for group in member.groups],
            None if member.coo is None else names.to_text(member.coo),
        )
        for member in found.members.values()
    }


def reasons(body: str, head: str = HEAD + VERSION) -> list[str]:
    found = read_catalog(zone(body, head))
    assert isinstance(found, Broken), found
    return list(found.reasons)


def wire(text: str) -> bytes:
    return names.from_text(text)


# Reading.


def test_the_examples_of_the_rfc() -> None:
    body = (
        "1.zones PTR Example.com.\ngroup.1.zones TXT nodnssec\ncoo.1.zones PTR NewCatz.\n"
        "2.ZONES PTR example.net.\ngroup.2.zones TXT operator-x-sign-with-nsec3\ngroup.2.zones TXT operator-y-nsec3\n"
        "Three.zones PTR .\n"
    )
    assert content(body) == {
        "example.com.": ("1", ["nodnssec"], "newcatz."),
        "example.net.": ("2", ["operator-x-sign-with-nsec3", "operator-y-nsec3"], None),
        ".": ("three", [], None),
    }


@pytest.mark.parametrize(
    "ignored",
    [
        "other TXT text\nzones TXT text\nzones PTR example.net.\n",
        "1 PTR example.net.\n1.zone PTR example.net.\na.1.zones PTR example.net.\na.group.1.zones TXT text\n",
        "1.zones TXT text\ngroup.1.zones PTR a.\ncoo.1.zones TXT text\n",
        "ext TXT text\nx.ext.1.zones TXT text\nmasters.ext A 192.0.2.1\nserial.1.zones TXT 5\n",
        "group.2.zones TXT text\ncoo.2.zones PTR a.\n",
        "1.xzones PTR example.net.\n\\005zones PTR example.net.\nx\\005zones PTR example.net.\n",
        'group.1.zones TXT "two" "strings"\ngroup.1.zones TXT ""\n',
        "version A 192.0.2.1\na.version TXT 3\n@ TXT text\n",
    ],
)
def test_what_means_nothing_is_ignored(ignored: str) -> None:
    assert content("1.zones PTR example.com.\n" + ignored) == {"example.com.": ("1", [], None)}


def test_an_empty_catalog_is_one() -> None:
    assert content("") == {}


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("", 'it is no catalog: expected version.example.com. TXT "2", found no such record'),
        ("version A 192.0.2.2\n", 'it is no catalog: expected version.example.com. TXT "2", found no such record'),
        ("version TXT 1\n", 'version.example.com.: expected version "2" (RFC 9432), found "1"'),
        ("version TXT 02\n", 'version.example.com.: expected version "2" (RFC 9432), found "02"'),
        ('version TXT "2" ""\n', 'version.example.com.: expected version "2" (RFC 9432), found several strings'),
        ("version TXT 1\nversion TXT 2\n", "expected one TXT record at version.example.com., found 2"),
    ],
)
def test_the_version_has_to_be_2(version: str, reason: str) -> None:
    assert reasons("1.zones PTR example.net.\n", HEAD + version) == [reason]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            "1.zones PTR a.\n1.zones PTR b.\n2.zones PTR c.\n",
            ["expected one PTR record at 1.zones.example.com., found 2"],
        ),
        (
            "1.zones PTR a.\ncoo.1.zones PTR b.\ncoo.1.zones PTR c.\n",
            ["expected one PTR record at coo.1.zones.example.com., found 2"],
        ),
        ("x.zones PTR a.\ny.zones PTR A.\n", ["a. is listed twice, by the nodes x and y"]),
        (
            "1.zones PTR a.\n" + "".join(f"group.1.zones TXT {i}\n" for i in range(MAX_GROUPS + 1)),
            [f"group.1.zones.example.com. has {MAX_GROUPS + 1} values; at most {MAX_GROUPS} are taken"],
        ),
    ],
)
def test_a_broken_catalog_says_why(body: str, found: list[str]) -> None:
    assert reasons(body) == found


def test_there_are_no_more_reasons_than_somebody_reads() -> None:
    body = "".join(f"{i}.zones PTR a.\n{i}.zones PTR b.\n" for i in range(50))
    found = reasons(body)
    assert len(found) == MAX_REASONS + 1
    assert found[-1] == f"and {50 - MAX_REASONS} more"


def test_a_catalog_has_so_many_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogs, "MAX_MEMBERS", 3)
    body = "".join(f"{i}.zones PTR {i}.example.\n" for i in range(3))
    assert len(content(body)) == 3
    assert reasons(body + "9.zones PTR 9.example.\n") == ["it lists 4 zones; at most 3 are taken"]


# What changed.

ZONES = [wire(f"{letter}.example.") for letter in "abcdef"]
CATALOGS = [wire(f"catalog{number}.example.") for number in range(3)]
LABELS = st.sampled_from([b"1", b"2", b"3"])
GROUPS = st.sets(st.sampled_from([b"eu", b"us", b"\0\xff"])).map(lambda found: tuple(sorted(found)))
COOS = st.none() | st.sampled_from(CATALOGS)


@st.composite
def contents(draw: st.DrawFn) -> dict[bytes, Member]:
    zones = draw(st.sets(st.sampled_from(ZONES)))
    return {zone: Member(zone, draw(LABELS), draw(GROUPS), draw(COOS)) for zone in zones}


@given(contents(), contents())
def test_what_was_with_what_changed_is_what_is(before: dict[bytes, Member], after: dict[bytes, Member]) -> None:
    found = changes(before, after)
    result = dict(before)
    for member in found.removed:
        assert result.pop(member.zone) == member
    for member in found.added:
        assert member.zone not in result
        result[member.zone] = member
    for member in found.reset:
        assert result[member.zone].label != member.label
        result[member.zone] = member
    for member in found.changed:
        assert result[member.zone].label == member.label
        assert result[member.zone] != member
        result[member.zone] = member
    assert result == after


@given(contents())
def test_nothing_changed(members: dict[bytes, Member]) -> None:
    assert not any(changes(members, members))


# What to do.

A, B, HAND = CATALOGS
ZONE = ZONES[0]


def catalog(apex: bytes, *members: Member) -> Catalog:
    return Catalog(apex, {member.zone: member for member in members})


def only(found: list[Decision]) -> tuple[Action, str]:
    [decision] = found
    assert decision.zone == ZONE
    return decision.action, decision.reason


def test_a_new_member_is_configured_and_then_it_is_done() -> None:
    member = Member(ZONE, b"1", (b"eu",))
    found = catalog(A, member)
    assert decisions(found, {}, {A: found}) == [Decision(Action.ADD, ZONE, member, "catalog catalog0.example lists it")]
    assert decisions(found, {ZONE: Configured(A, member)}, {A: found}) == []


def test_what_is_configured_by_hand_stays() -> None:
    found = catalog(A, Member(ZONE, b"1"))
    assert only(decisions(found, {ZONE: BY_HAND}, {A: found})) == (
        Action.LEAVE,
        "catalog catalog0.example lists it, but it is in the configuration, which comes first",
    )
    assert decisions(catalog(A), {ZONE: BY_HAND}, {A: catalog(A)}) == []


def test_what_is_no_longer_listed_is_removed_by_the_catalog_that_it_came_from_alone() -> None:
    configured = {ZONE: Configured(A, Member(ZONE, b"1"))}
    assert decisions(catalog(B), configured, {B: catalog(B)}) == []
    assert only(decisions(catalog(A), configured, {A: catalog(A)})) == (
        Action.REMOVE,
        "catalog catalog0.example no longer lists it",
    )


def test_another_label_is_a_zone_anew() -> None:
    found = catalog(A, Member(ZONE, b"2", (b"eu",)))
    configured = {ZONE: Configured(A, Member(ZONE, b"1"))}
    assert only(decisions(found, configured, {A: found})) == (
        Action.RESET,
        "catalog catalog0.example lists it as 2, which was 1: RFC 9432 §5.4",
    )


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        ((b"1", (b"eu",), None), (b"1", (), None), 'its groups are none, they were "eu"'),
        ((b"1", (), None), (b"1", (b"a", b"b c"), None), 'its groups are "a", "b\\032c", they were none'),
        ((b"1", (), None), (b"1", (), B), "catalog catalog1.example may take it over"),
        ((b"1", (), B), (b"1", (), None), "it stays"),
        ((b"1", (), B), (b"1", (b"eu",), None), 'its groups are "eu", they were none; it stays'),
    ],
)
def test_properties_change(
    before: tuple[bytes, tuple[bytes, ...], bytes | None],
    now: tuple[bytes, tuple[bytes, ...], bytes | None],
    reason: str,
) -> None:
    found = catalog(A, Member(ZONE, *now))
    configured = {ZONE: Configured(A, Member(ZONE, *before))}
    assert only(decisions(found, configured, {A: found})) == (Action.CHANGE, f"catalog catalog0.example: {reason}")


OLD = Member(ZONE, b"1")


@pytest.mark.parametrize(
    ("old", "action", "reason"),
    [
        (
            catalog(A, OLD),
            Action.LEAVE,
            "it stays with catalog catalog0.example: catalog catalog1.example lists it too, but catalog "
            "catalog0.example has no coo",
        ),
        (
            catalog(A, OLD._replace(coo=HAND)),
            Action.LEAVE,
            "it stays with catalog catalog0.example: catalog catalog1.example lists it too, but catalog "
            "catalog0.example hands it over to catalog catalog2.example",
        ),
        (
            None,
            Action.LEAVE,
            "it stays with catalog catalog0.example, to which it belongs and which is not in order, so that it cannot "
            "hand it over to catalog catalog1.example",
        ),
        (
            catalog(A, OLD._replace(coo=B)),
            Action.TAKE_OVER,
            "catalog catalog0.example hands it over to catalog catalog1.example, which lists it (RFC 9432 §4.3.1), "
            "under the same label: its state stays",
        ),
    ],
)
def test_a_zone_of_another_catalog_moves_only_if_that_says_so(old: Catalog | None, action: Action, reason: str) -> None:
    new = catalog(B, Member(ZONE, b"1"))
    known = {B: new} if old is None else {A: old, B: new}
    assert only(decisions(new, {ZONE: Configured(A, OLD)}, known)) == (action, reason)


def test_a_zone_that_moves_under_another_label_leaves_its_state_behind() -> None:
    old, new = catalog(A, OLD._replace(coo=B)), catalog(B, Member(ZONE, b"7"))
    action, reason = only(decisions(new, {ZONE: Configured(A, OLD._replace(coo=B))}, {A: old, B: new}))
    assert action is Action.TAKE_OVER_RESET
    assert reason.endswith("under another label: its state does not stay")


def test_the_coo_that_counts_is_the_one_that_is_there_now() -> None:
    """§4.3.1: "still present in $OLDCATZ" when the new one comes."""
    new = catalog(B, Member(ZONE, b"1"))
    configured = {ZONE: Configured(A, OLD._replace(coo=B))}
    action, _ = only(decisions(new, configured, {A: catalog(A, OLD), B: new}))
    assert action is Action.LEAVE


def test_a_migration_step_by_step() -> None:
    """The old owner offers it; the new one lists it; the old one lists it no more, and that takes nothing away."""
    offered = OLD._replace(coo=B)
    old = catalog(A, offered)
    [decision] = decisions(old, {ZONE: Configured(A, OLD)}, {A: old, B: catalog(B)})
    assert (decision.action, decision.member) == (Action.CHANGE, offered)
    new = catalog(B, Member(ZONE, b"1"))
    [decision] = decisions(new, {ZONE: Configured(A, offered)}, {A: old, B: new})
    assert decision.action is Action.TAKE_OVER
    moved = {ZONE: Configured(B, decision.member)}
    assert decisions(old, moved, {A: old, B: new}) == [], "it was handed over: nothing that anybody has to hear of"
    assert decisions(catalog(A), moved, {A: catalog(A), B: new}) == []
    assert decisions(new, moved, {A: catalog(A), B: new}) == []


def carried_out(configured: Mapping[bytes, Configured], apex: bytes, found: list[Decision]) -> dict[bytes, Configured]:
    result = dict(configured)
    for action, zone, member, _ in found:
        if action is Action.REMOVE:
            del result[zone]
        elif action is not Action.LEAVE:
            result[zone] = Configured(apex, member)
    return result


@given(st.lists(st.tuples(st.sampled_from([A, B]), contents()), max_size=8), st.sets(st.sampled_from(ZONES)))
def test_whatever_comes_nothing_moves_that_may_not(
    updates: list[tuple[bytes, dict[bytes, Member]]], by_hand: set[bytes]
) -> None:
    configured = dict.fromkeys(by_hand, BY_HAND)
    known: dict[bytes, Catalog] = {}
    for apex, members in updates:
        found = known[apex] = Catalog(apex, members)
        taken = decisions(found, configured, known)
        after = carried_out(configured, apex, taken)
        for zone in ZONES:
            before, now = configured.get(zone), after.get(zone)
            if before == BY_HAND:
                assert now == BY_HAND
            elif before is not None and before.catalog is not None and before.catalog != apex and now != before:
                assert known[before.catalog].members[zone].coo == apex
                assert now == Configured(apex, members[zone])
            elif before is None or before.catalog == apex:
                assert now == (Configured(apex, members[zone]) if zone in members else None)
        configured = after
        again = decisions(found, configured, known)
        assert {decision.action for decision in again} <= {Action.LEAVE}, "what was carried out is not decided again"


# Making one.


@given(contents(), st.integers(0, 2**32 - 1))
def test_what_is_made_is_read(members: dict[bytes, Member], serial: int) -> None:
    made = make_catalog(APEX, serial, members.values())
    assert made.soa.serial == serial
    labels = [member.label for member in members.values()]
    found = read_catalog(made)
    if len(set(labels)) == len(labels):
        assert found == Catalog(APEX, members)
    else:
        assert isinstance(found, Broken)


def test_what_is_made_has_the_form_of_the_rfc() -> None:
    made = make_catalog(APEX, 7, [Member(ZONE, b"n1", (b"eu", b"us"), B)])
    found = {(names.to_text(owner), rrset.type, rrset.ttl, len(rrset.rdatas)) for owner, rrset in made.iterate()}
    assert found == {
        ("example.com.", Type.SOA, 0, 1),
        ("example.com.", Type.NS, 0, 1),
        ("version.example.com.", Type.TXT, 0, 1),
        ("n1.zones.example.com.", Type.PTR, 0, 1),
        ("group.n1.zones.example.com.", Type.TXT, 0, 2),
        ("coo.n1.zones.example.com.", Type.PTR, 0, 1),
    }
    ns = made.rrset(APEX, Type.NS)
    assert ns is not None
    assert ns.rdatas == (wire("invalid."),)


def test_a_label_is_the_same_for_a_life_and_another_one_for_the_next() -> None:
    assert member_label(ZONE, 0) == member_label(ZONE.upper(), 0)
    found = {member_label(zone, life) for zone in ZONES for life in range(3)}
    assert len(found) == 3 * len(ZONES)
    assert {len(label) for label in found} == {32}
