"""The compiled answers are the semantics: for every query, byte for byte."""

import gc
import weakref
from dataclasses import replace

import dns.flags
import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authdns.answer.classes import Position, position_of, representative_below, representatives, types_that_matter
from authdns.answer.compiler import Plan, encode, heads
from authdns.answer.executor import MAX_KEPT_POSITIONS, PrivateZone, ServedZone, UnavailableZone, ZoneTable
from authdns.answer.lookup import Answer, hidden, lookup, next_closer_proof
from authdns.answer.respond import Responder
from authdns.wire import name as names
from authdns.wire.message import QUESTION, Encoder
from authdns.wire.types import Type, type_from_text
from authdns.zone.zone import RRsets, Zone
from tests.unit.answer.zones import (
    SIGNED,
    SIGNED_QUERY_TYPES,
    SOA,
    dname_query_names,
    dname_zones,
    query_names,
    random_zones,
    signed,
    zone_from_records,
    zone_from_text,
)


def query(qname: bytes, qtype: int, payload: int | None = None, dnssec_ok: bool = False) -> bytes:
    flags = b"\x80\0" if dnssec_ok else b"\0\0"
    opt = b"" if payload is None else b"\0\0\x29" + payload.to_bytes(2, "big") + b"\0\0" + flags + b"\0\0"
    header = b"\x12\x34\1\0\0\1\0\0\0\0\0" + bytes([payload is not None])
    return header + qname + qtype.to_bytes(2, "big") + b"\0\1" + opt


def alone(encoder: Encoder, base: bytes, above: bytes, owner: bytes, rrsets: RRsets) -> None:
    """RRsets of one owner that are compressed against the question and themselves, nothing else."""
    other = Encoder(base, above)
    other._body_at += len(encoder.wire)
    for rrset in rrsets:
        other.rrset(owner, rrset.type, rrset.ttl, rrset.rdatas)
    encoder.wire += other.wire


def expected_response(zone: Zone, answer: Answer, qname: bytes, qtype: int, limit: int, opt: bytes) -> bytes:
    """What the semantics say, put on the wire without classes, plans or patching."""
    above = qname[: len(qname) - len(answer.base)]
    encoder = Encoder(answer.base, above.lower())
    authority: list[tuple[bytes, RRsets]] = [(owner, (rrset,)) for owner, rrset in answer.authority]
    missing = next_closer_proof(zone, answer, qname.lower())
    if missing is not None:
        authority.append((missing, zone.proof(missing)))
    sections: tuple[list[tuple[bytes, RRsets]], ...] = (
        [(owner, (rrset,)) for owner, rrset in answer.answer],
        authority,
        [(owner, (rrset,)) for owner, rrset in answer.additional],
    )
    counts = [0, 0, 0]
    sent = 0
    needed = len(sections[0]) + len(sections[1]) + answer.required_glue
    room = limit - 12 - len(qname) - 4 - len(opt)
    kept = b""
    for number, section in enumerate(sections):
        for owner, rrsets in section:
            if owner == missing and rrsets == zone.proof(missing):
                alone(encoder, answer.base, above, owner, rrsets)
            else:
                for rrset in rrsets:
                    encoder.rrset(owner, rrset.type, rrset.ttl, rrset.rdatas)
            if len(encoder.wire) > room:
                flags = heads(int(answer.rcode), answer.authoritative, sent < needed, (counts[0], counts[1], counts[2]))
                return b"\x12\x34" + flags[5 if opt else 1] + qname + qtype.to_bytes(2, "big") + b"\0\1" + kept + opt
            sent += 1
            counts[number] += sum(len(rrset.rdatas) for rrset in rrsets)
            kept = bytes(encoder.wire)
    flags = heads(int(answer.rcode), answer.authoritative, False, (counts[0], counts[1], counts[2]))
    return b"\x12\x34" + flags[5 if opt else 1] + qname + qtype.to_bytes(2, "big") + b"\0\1" + kept + opt


def responder_for(zone: Zone, *, tcp: bool = False) -> Responder:
    table = ZoneTable()
    table.publish(zone.apex, ServedZone(zone))
    return Responder(table, tcp=tcp)


QUERIES = st.lists(st.tuples(query_names(), st.sampled_from(SIGNED_QUERY_TYPES)), min_size=1, max_size=12)
DNAME_QUERIES = st.lists(
    st.tuples(dname_query_names(), st.sampled_from(["A", "CNAME", "HTTPS", "MX", "DNAME", "ANY", "DS"])),
    min_size=2,
    max_size=20,
)


@settings(max_examples=600, deadline=None)
@given(random_zones(("plain", *SIGNED)), QUERIES)
def test_the_executor_answers_what_lookup_says_byte_for_byte(zone: Zone, queries: list[tuple[bytes, str]]) -> None:
    compare(zone, queries)


@settings(max_examples=600, deadline=None)
@given(dname_zones(("plain", *SIGNED)), DNAME_QUERIES)
def test_the_executor_moves_what_dnames_move_byte_for_byte(zone: Zone, queries: list[tuple[bytes, str]]) -> None:
    compare(zone, queries)


def compare(zone: Zone, queries: list[tuple[bytes, str]]) -> None:
    responder = responder_for(zone)
    for qname, rrtype in queries:
        qtype = type_from_text(rrtype)
        for payload, dnssec_ok in ((None, False), (600, False), (1232, False), (600, True), (1232, True)):
            answer = lookup(zone, qname.lower(), qtype, dnssec_ok)
            opt = b"" if payload is None else b"\0\0\x29\x04\xd0\0\0" + (b"\x80\0" if dnssec_ok else b"\0\0") + bytes(2)
            got = responder.respond(query(qname, qtype, payload, dnssec_ok))
            assert got == expected_response(zone, answer, qname, qtype, payload or 512, opt)


@settings(max_examples=300, deadline=None)
@given(random_zones(("plain", *SIGNED)), QUERIES, st.booleans())
def test_two_queries_of_one_class_have_one_answer(zone: Zone, queries: list[tuple[bytes, str]], do: bool) -> None:
    compare_answers(zone, queries, do)


@settings(max_examples=300, deadline=None)
@given(dname_zones(("plain", *SIGNED)), DNAME_QUERIES, st.booleans())
def test_two_queries_of_one_class_below_a_dname_have_one_answer(
    zone: Zone, queries: list[tuple[bytes, str]], do: bool
) -> None:
    compare_answers(zone, queries, do)


def compare_answers(zone: Zone, queries: list[tuple[bytes, str]], dnssec_ok: bool) -> None:
    """All with the type of the first one."""
    qtype = type_from_text(queries[0][1])
    seen: dict[Position, tuple[bytes, Answer]] = {}
    for qname in sorted({qname.lower() for qname, _ in queries}):
        answer = lookup(zone, qname, qtype, dnssec_ok)
        other_name, other = seen.setdefault(position_of(zone, qname), (qname, answer))
        if qname not in other.exceptions and other_name not in answer.exceptions:
            assert answer == other


@settings(max_examples=200, deadline=None)
@given(random_zones(("plain", *SIGNED)), st.integers(1, 65535), st.booleans())
def test_types_that_do_not_matter_all_get_the_answer_to_other(zone: Zone, qtype: int, dnssec_ok: bool) -> None:
    for qname in representatives(zone):
        other = lookup(zone, qname, 0, dnssec_ok)
        if qtype not in types_that_matter(zone, qname):
            assert lookup(zone, qname, qtype, dnssec_ok) == other


@settings(max_examples=200, deadline=None)
@given(random_zones(("plain", *SIGNED)))
def test_names_that_no_dname_hides_have_the_position_that_they_stand_for(zone: Zone) -> None:
    for node in zone.names:
        assert position_of(zone, node) == Position(node, below=False)
        below = representative_below(zone, node)
        assert below is not None
        if hidden(zone, node) is None:
            assert position_of(zone, below) == Position(node, below=True)


@settings(max_examples=200, deadline=None)
@given(random_zones(("plain", *SIGNED)))
def test_every_class_of_a_zone_compiles_to_a_response_that_decodes(zone: Zone) -> None:
    served = ServedZone(zone)
    served.compile_all()
    responder = responder_for(zone, tcp=True)
    for qname in representatives(zone):
        for qtype in types_that_matter(zone, qname) | {65280}:
            for dnssec_ok in (False, True):
                response = responder.respond(query(qname, qtype, 1232, dnssec_ok))
                assert isinstance(response, bytes)
                dns.message.from_wire(response)


def test_nothing_fits_below_a_name_of_254_octets() -> None:
    longest = ".".join(["y" * 63] * 3 + ["z" * 47, "example.com."])
    zone = zone_from_text(f"{longest} 60 A 192.0.2.1")
    node = names.from_text(longest)
    assert len(node) == 253
    assert representative_below(zone, node) == b"\x01\x00" + node
    zone = zone_from_text(f"{longest.replace('z' * 47, 'z' * 48)} 60 A 192.0.2.1")
    assert representative_below(zone, names.from_text(longest.replace("z" * 47, "z" * 48))) is None


def test_a_name_that_does_not_exist_is_found_where_all_one_octet_labels_exist() -> None:
    text = "\n".join(f"\\{octet:03d}.example.com. 60 A 192.0.2.1" for octet in range(256) if octet not in range(65, 91))
    zone = zone_from_text(text)
    qname = representative_below(zone, zone.apex)
    assert qname is not None
    assert qname not in zone.names
    assert position_of(zone, qname) == Position(zone.apex, below=True)


def test_negative_answers_and_referrals_are_encoded_once_for_all_names() -> None:
    zone = zone_from_text(
        """
        a.example.com. 60 A 192.0.2.1
        b.example.com. 60 A 192.0.2.1
        d.example.com. 60 NS ns.d.example.com.
        ns.d.example.com. 60 A 192.0.2.2
        """
    )
    served = ServedZone(zone)

    def other(qname: str) -> Plan:
        return served.plan(names.from_text(qname), 65280)

    assert other("a.example.com.") is other("b.example.com.")
    assert other("no.example.com.") is other("neither.a.example.com.")
    assert other("d.example.com.") is other("x.y.d.example.com.") is other("ns.d.example.com.")


def test_what_is_kept_of_compiled_positions_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authdns.answer.executor.MAX_KEPT_POSITIONS", 3)
    assert MAX_KEPT_POSITIONS > 3
    zone = zone_from_text("\n".join(f"h{i}.example.com. 60 A 192.0.2.{i}" for i in range(10)))
    served = ServedZone(zone)
    for i in range(10):
        served.plan(names.from_text(f"h{i}.example.com."), Type.A)
        assert len(served.at) <= 3


def test_the_zone_of_the_longest_match_answers() -> None:
    table = ZoneTable()
    parent = ServedZone(
        zone_from_text("c.example.com. 60 NS ns.c.example.com.\nc.example.com. 60 DS 1 8 2 " + "0" * 64)
    )
    child = ServedZone(zone_from_text("www.c.example.com. 60 A 192.0.2.1", "c.example.com."))
    table.publish(parent.zone.apex, parent)
    table.publish(child.zone.apex, child)
    qname = names.from_text("www.c.example.com.")
    assert table.find(qname, Type.A) is child
    assert table.find(names.from_text("x.example.com."), Type.A) is parent
    assert table.find(names.from_text("c.example.com."), Type.SOA) is child
    assert table.find(names.from_text("c.example.com."), Type.DS) is parent  # RFC 4035 §3.1.4.1
    assert table.find(names.from_text("com."), Type.A) is None
    table.withdraw(parent.zone.apex)
    assert table.find(names.from_text("c.example.com."), Type.DS) is child


def test_ds_at_a_grandchild_is_referred_to_the_parent_by_the_grandparent() -> None:
    """As BIND, NSD and Knot do."""
    table = ZoneTable()
    grandparent = ServedZone(zone_from_text("b.example.com. 60 NS ns.b.example.com."))
    grandchild = ServedZone(zone_from_text("a.b.example.com. 60 A 192.0.2.1", "a.b.example.com."))
    table.publish(grandchild.zone.apex, grandchild)
    assert table.find(grandchild.zone.apex, Type.DS) is grandchild
    table.publish(grandparent.zone.apex, grandparent)
    assert table.find(grandchild.zone.apex, Type.DS) is grandparent
    assert table.find(grandchild.zone.apex, Type.A) is grandchild


def test_a_zone_that_never_loaded_answers_servfail() -> None:
    table = ZoneTable()
    table.publish(names.from_text("example.com."), UnavailableZone("a typo"))
    response = Responder(table, tcp=False).respond(query(names.from_text("www.example.com."), Type.A))
    assert isinstance(response, bytes)
    assert response[3] & 15 == 2
    assert not response[2] & 4


def test_an_encoded_body_starts_at_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    zone = zone_from_text("*.example.com. 60 MX 5 mail.example.com.\nmail.example.com. 60 A 192.0.2.1")
    answer = lookup(zone, names.from_text("q.example.com."), Type.MX)
    assert answer.answer[0][0] == QUESTION
    body = encode(answer, answer.base)
    assert body.wire.startswith(b"\xc0\x0c")
    assert len(body.pointers) == 2  # the MX target's parent and the additional owner; not the question itself


def test_names_with_long_labels_are_compressed() -> None:
    apex = f"{'z' * 60}.{'y' * 63}.test."
    zone = zone_from_text(f"www.{apex} 60 A 192.0.2.1", apex)
    response = responder_for(zone).respond(query(names.from_text(f"q.{apex}"), Type.A))
    assert isinstance(response, bytes)
    assert len(response) < 250  # the apex is in it once


def test_an_https_target_of_dot_at_a_wildcard_is_the_name_that_was_asked_for() -> None:
    """RFC 9460 section 2.5. One name's answer must not be another's."""
    zone = zone_from_text(
        """
        *.w.example.com. 60 HTTPS 1 . alpn=h2
        *.w.example.com. 60 HTTPS 2 twice.w.example.com.
        *.w.example.com. 60 A 192.0.2.1
        d.example.com. 60 DNAME w.example.com.
        """
    )
    responder = responder_for(zone)
    for owner, expected in {
        "a.w.example.com.": ["a.w.example.com.", "twice.w.example.com."],
        "longer.w.example.com.": ["longer.w.example.com.", "twice.w.example.com."],
        "twice.w.example.com.": ["twice.w.example.com."],
        "a.d.example.com.": ["a.w.example.com.", "twice.w.example.com."],
        "twice.d.example.com.": ["twice.w.example.com."],
    }.items():
        response = responder.respond(query(names.from_text(owner), Type.HTTPS))
        assert isinstance(response, bytes)
        assert [str(rrset.name) for rrset in dns.message.from_wire(response).additional] == expected, owner


def test_exceptions_outlive_a_memo_that_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two names of one wildcard have answers of their own, and there is room for one."""
    monkeypatch.setattr("authdns.answer.executor.MAX_KEPT_POSITIONS", 1)
    zone = zone_from_text(
        """
        *.w.example.com. 60 HTTPS 1 . alpn=h2
        *.w.example.com. 60 HTTPS 2 one.w.example.com.
        *.w.example.com. 60 HTTPS 3 two.w.example.com.
        *.w.example.com. 60 A 192.0.2.1
        """
    )
    labels = ("one.w", "two.w", "three.w", "one.w", "nx", "two.w", "four.w", "one.w")
    queries = [(names.from_text(f"{label}.example.com."), "HTTPS") for label in labels]
    for begun in range(len(queries)):
        compare(zone, queries[begun:] + queries[:begun])


def test_a_dname_that_leads_back_to_its_owner_is_sent_once() -> None:
    zone = zone_from_text("d.example.com. 60 DNAME example.com.")
    answer = lookup(zone, names.from_text("d.d.example.com."), Type.DNAME)
    assert [rrset.type for _, rrset in answer.answer] == [Type.DNAME, Type.CNAME]


def test_the_last_name_of_five_dnames_is_still_looked_up() -> None:
    chain = "\n".join(f"d{i}.example.com. 60 DNAME d{i + 1}.example.com." for i in range(1, 6))
    zone = zone_from_text(f"c.example.com. 60 CNAME a.d1.example.com.\n{chain}\na.d6.example.com. 60 A 192.0.2.5")
    answer = lookup(zone, names.from_text("c.example.com."), Type.A)
    assert answer.answer[-1][1].type == Type.A


def test_an_rrset_that_no_message_holds_is_answered_with_tc_by_tcp_as_well() -> None:
    text = "".join(f"*.example.com. 60 A 10.0.{i >> 8}.{i & 255}\n" for i in range(5000))
    request = query(names.from_text("q.example.com."), Type.A)
    response = responder_for(zone_from_text(text), tcp=True).respond(request)
    assert response == b"\x12\x34\x87\0\0\1\0\0\0\0\0\0" + request[12:]


@pytest.mark.parametrize("rrtype", [Type.ANY, Type.RRSIG, Type.DNAME])
def test_a_dname_that_a_chain_ends_at_is_not_sent_twice(rrtype: Type) -> None:
    records = [
        ("example.com.", 3600, "SOA", SOA),
        ("example.com.", 3600, "NS", "ns1.example.com."),
        ("q.c.example.com.", 60, "DNAME", "*.q.example.com."),
        ("*.q.example.com.", 60, "DNAME", "c.example.com."),
    ]
    zone = zone_from_records("example.com.", signed(records, "nsec"))
    answer = lookup(zone, names.from_text("q.q.c.example.com."), rrtype, True).answer
    assert len(answer) == len(set(answer))


@pytest.mark.parametrize("how", [None, *SIGNED])
def test_a_version_that_was_replaced_is_freed_at_once(how: str | None) -> None:
    """Not by the garbage collector: large zones are hidden from it."""

    class Names(dict[bytes, RRsets]):
        """One that can be watched."""

    records = [
        ("example.com.", 60, "SOA", SOA),
        ("example.com.", 60, "NS", "ns.example.com."),
        ("*.example.com.", 60, "A", "192.0.2.1"),
    ]
    zone = zone_from_records("example.com.", records if how is None else signed(records, how))
    watched = Names(zone.names)
    there = weakref.ref(watched)
    served = ServedZone(replace(zone, names=watched))
    del watched
    served.compile_all()
    table = ZoneTable()
    table.publish(zone.apex, served)
    gc.disable()
    try:
        served = ServedZone(zone)
        table.publish(zone.apex, served)
        assert there() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("dnssec_ok", [False, True])
def test_of_a_private_zone_everybody_may_know_the_soa(tcp: bool, dnssec_ok: bool) -> None:
    zone = zone_from_text(
        "*.a.example.com. 1 A 192.0.2.1\nd.example.com. 1 DNAME x.\ns.example.com. 1 NS ns.\nwww.example.com. 1 TXT a"
    )
    table = ZoneTable()
    table.publish(zone.apex, PrivateZone(zone))
    responder = Responder(table, tcp=tcp)
    below = b"\7nothing\1a" + zone.apex
    names_asked = [*zone.names, below, b"\1x\1d" + zone.apex, b"\1x\1s" + zone.apex]
    for qname in names_asked * 2:
        for qtype in (Type.SOA, Type.NS, Type.A, Type.TXT, Type.ANY, Type.DS, Type.RRSIG, Type.NSEC, 65280):
            response = responder.respond(query(qname, qtype, 1232, dnssec_ok))
            assert isinstance(response, bytes)
            message = dns.message.from_wire(response)
            if (qname, qtype) == (zone.apex, Type.SOA):
                assert message.rcode() == 0
                assert [int(rrset.rdtype) for rrset in message.answer] == [int(Type.SOA)]
                assert message.flags & dns.flags.AA
            else:
                assert message.rcode() in (5, 4), "REFUSED, or NOTIMP for some types"
                assert (message.answer, message.authority) == ([], [])


def test_a_ds_in_a_zone_that_is_not_signed_is_only_data() -> None:
    zone = zone_from_text("a.example.com. 60 NS ns.example.net.\na.example.com. 60 DS 1 13 2 " + "00" * 32)
    compare(zone, [(names.from_text(name), "A") for name in ("a.example.com.", "b.a.example.com.", "b.example.com.")])
    (ds,) = lookup(zone, names.from_text("a.example.com."), Type.DS, dnssec_ok=True).answer
    assert ds[1].type == Type.DS
