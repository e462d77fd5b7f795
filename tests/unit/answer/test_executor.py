"""The compiled answers are the semantics: for every query, byte for byte."""

import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authdns.answer.classes import Position, position_of, positions, representative, types_that_matter
from authdns.answer.compiler import Plan, encode, heads
from authdns.answer.executor import MAX_KEPT_POSITIONS, ServedZone, UnavailableZone, ZoneTable
from authdns.answer.lookup import Answer, lookup, next_closer_proof
from authdns.answer.respond import Responder
from authdns.wire import name as names
from authdns.wire.message import QUESTION, Encoder
from authdns.wire.types import Type, type_from_text
from authdns.zone.zone import RRsets, Zone
from tests.unit.answer.zones import (
    SIGNED,
    SIGNED_QUERY_TYPES,
    SOA,
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


class DirectEncoder(Encoder):
    """Encodes for one real question: offsets are those of the message, nothing is shifted afterwards."""

    def __init__(self, qname: bytes, base: bytes) -> None:
        super().__init__(base)
        longer = len(qname) - len(base)
        self._known = {suffix: offset + longer for suffix, offset in self._offsets.items()}
        self._body_at += longer

    def alone(self, qname: bytes, base: bytes, owner: bytes, rrsets: RRsets) -> None:
        """RRsets of one owner that are compressed against the question and themselves, nothing else."""
        other = DirectEncoder(qname, base)
        other._body_at += len(self.wire)
        for rrset in rrsets:
            other.rrset(owner, rrset.type, rrset.ttl, rrset.rdatas)
        self.wire += other.wire


def expected_response(zone: Zone, answer: Answer, qname: bytes, qtype: int, limit: int, opt: bytes) -> bytes:
    """What the semantics say, put on the wire without classes, plans or patching."""
    encoder = DirectEncoder(qname, answer.base)
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
                encoder.alone(qname, answer.base, owner, rrsets)
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


@settings(max_examples=600, deadline=None)
@given(
    random_zones(("plain", *SIGNED)),
    st.lists(st.tuples(query_names(), st.sampled_from(SIGNED_QUERY_TYPES)), min_size=1, max_size=12),
)
def test_the_executor_answers_what_lookup_says_byte_for_byte(zone: Zone, queries: list[tuple[bytes, str]]) -> None:
    responder = responder_for(zone)
    for qname, rrtype in queries:
        qtype = type_from_text(rrtype)
        for payload, dnssec_ok in ((None, False), (600, False), (1232, False), (600, True), (1232, True)):
            answer = lookup(zone, qname.lower(), qtype, dnssec_ok)
            opt = b"" if payload is None else b"\0\0\x29\x04\xd0\0\0" + (b"\x80\0" if dnssec_ok else b"\0\0") + bytes(2)
            got = responder.respond(query(qname, qtype, payload, dnssec_ok))
            assert got == expected_response(zone, answer, qname, qtype, payload or 512, opt)


@settings(max_examples=300, deadline=None)
@given(
    random_zones(("plain", *SIGNED)),
    query_names(),
    query_names(),
    st.sampled_from(SIGNED_QUERY_TYPES),
    st.booleans(),
)
def test_two_queries_of_one_class_have_one_answer(
    zone: Zone, one: bytes, other: bytes, rrtype: str, dnssec_ok: bool
) -> None:
    one, other, qtype = one.lower(), other.lower(), type_from_text(rrtype)
    if position_of(zone, one) == position_of(zone, other):
        first, second = lookup(zone, one, qtype, dnssec_ok), lookup(zone, other, qtype, dnssec_ok)
        assert first.per_query == second.per_query
        if not first.per_query:
            assert first == second


@settings(max_examples=200, deadline=None)
@given(random_zones(("plain", *SIGNED)), st.integers(1, 65535), st.booleans())
def test_types_that_do_not_matter_all_get_the_answer_to_other(zone: Zone, qtype: int, dnssec_ok: bool) -> None:
    for position in positions(zone):
        qname = representative(zone, position)
        assert qname is not None
        assert position_of(zone, qname) == position
        other = lookup(zone, qname, 0, dnssec_ok)
        if not other.per_query and qtype not in types_that_matter(zone, qname):
            assert lookup(zone, qname, qtype, dnssec_ok) == other


@settings(max_examples=200, deadline=None)
@given(random_zones(("plain", *SIGNED)))
def test_every_class_of_a_zone_compiles_to_a_response_that_decodes(zone: Zone) -> None:
    served = ServedZone(zone)
    served.compile_all()
    responder = responder_for(zone, tcp=True)
    for position in positions(zone):
        qname = representative(zone, position)
        assert qname is not None
        for qtype in types_that_matter(zone, qname) | {65280}:
            for dnssec_ok in (False, True):
                response = responder.respond(query(qname, qtype, 1232, dnssec_ok))
                assert isinstance(response, bytes)
                dns.message.from_wire(response)


def test_a_position_below_a_name_of_254_octets_has_no_representative() -> None:
    longest = ".".join(["y" * 63] * 3 + ["z" * 47, "example.com."])
    zone = zone_from_text(f"{longest} 60 A 192.0.2.1")
    node = names.from_text(longest)
    assert len(node) == 253
    assert representative(zone, Position(node, below=True)) == b"\x01\x00" + node
    zone = zone_from_text(f"{longest.replace('z' * 47, 'z' * 48)} 60 A 192.0.2.1")
    assert representative(zone, Position(names.from_text(longest.replace("z" * 47, "z" * 48)), below=True)) is None


def test_a_representative_is_found_where_all_one_octet_labels_exist() -> None:
    text = "\n".join(f"\\{octet:03d}.example.com. 60 A 192.0.2.1" for octet in range(256) if octet not in range(65, 91))
    zone = zone_from_text(text)
    qname = representative(zone, Position(zone.apex, below=True))
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
