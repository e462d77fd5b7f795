"""The ladder: what is answered to which packet, whatever the zone; and that the short way is only shorter."""

import gc

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rdtypes.ANY.TSIG
import dnslib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authdns.answer.cookies import Cookies
from authdns.answer.executor import ServedZone, UnavailableZone, ZoneTable
from authdns.answer.respond import Chaos, Responder
from authdns.wire import name as names
from authdns.wire.query import Query
from authdns.wire.types import Class, Flag, Opcode, Rcode, Type, type_from_text
from authdns.zone.reader import read_zone
from authdns.zone.zone import Zone
from tests.unit.answer.packets import (
    APEX,
    CASES,
    WWW,
    ZONE,
    Case,
    below_apex,
    header,
    opt,
    option,
    query,
    question,
    record,
    seen,
    soa_record,
    tsig,
)
from tests.unit.answer.zones import QUERY_TYPES, query_names, random_zones, zone_from_text

Z = 0x0040  # a header bit that sends a query the long way and changes nothing in the answer


def table_zone() -> Zone:
    zone = read_zone("example.com.zone", APEX, lambda path: ZONE.encode()).zone
    assert zone is not None
    return zone


def responder(*zones: Zone, tcp: bool = False, chaos: Chaos | None = None, cookies: bool = False) -> Responder:
    table = ZoneTable()
    for zone in zones:
        table.publish(zone.apex, ServedZone(zone))
    return Responder(table, tcp=tcp, chaos=chaos, cookies=Cookies([bytes(16)]) if cookies else None)


UDP = responder(table_zone())
TCP = responder(table_zone(), tcp=True)
UDP_COOKIES = responder(table_zone(), cookies=True)
TCP_COOKIES = responder(table_zone(), tcp=True, cookies=True)


def respond(to: Responder, request: bytes) -> bytes | None:
    response = to.respond(request, "192.0.2.1", 0)
    if isinstance(response, Query) and response.opcode == Opcode.NOTIFY:  # what server/requests does, unless the zone
        return to.refuse(request, response, Rcode.NOTAUTH)  # is secondary here
    assert not isinstance(response, Query), "handed back"
    return response


def answered(to: Responder, request: bytes) -> bytes:
    response = respond(to, request)
    assert response is not None
    return response


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_ladder(case: Case) -> None:
    assert seen(case.packet, respond(UDP, case.packet)) == case.expected
    assert seen(case.packet, respond(TCP, case.packet)) == (case.expected if case.tcp is None else case.tcp)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_ladder_with_cookies(case: Case) -> None:
    for to, expected in ((UDP_COOKIES, case.expected), (TCP_COOKIES, case.tcp or case.expected)):
        assert seen(case.packet, respond(to, case.packet)) == (case.with_cookies or expected)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_second_time_it_is_the_same(case: Case) -> None:
    """Forms of OPT are remembered; what is remembered must not differ."""
    fresh = responder(table_zone())
    assert fresh.respond(case.packet) == fresh.respond(case.packet) == UDP.respond(case.packet)


@pytest.mark.parametrize(
    ("qtype", "extra"), [(Type.AXFR, b""), (Type.IXFR, b""), (Type.AXFR, opt()), (Type.IXFR, opt())]
)
def test_transfers_are_handed_back_with_what_was_read(qtype: Type, extra: bytes) -> None:
    for to in (UDP, TCP):
        handed = to.respond(query(APEX.upper(), qtype, edns=extra))
        assert isinstance(handed, Query)
        assert (handed.qname, handed.qtype, handed.qclass, handed.ixfr_serial) == (APEX, qtype, Class.IN, None)
        assert (handed.edns is not None) == bool(extra)
        assert handed.question == question(APEX.upper(), qtype)


def test_an_ixfr_query_carries_its_serial() -> None:
    handed = UDP.respond(header(counts=(1, 0, 1, 0)) + question(APEX, Type.IXFR) + soa_record(b"\xc0\x0c", 4711))
    assert isinstance(handed, Query)
    assert handed.ixfr_serial == 4711


@pytest.mark.parametrize(
    "authority",
    [
        record(APEX, Type.A, Class.IN, 0, bytes(30)),
        record(APEX, Type.SOA, Class.IN, 0, b"\0\0" + bytes(19)),
        record(APEX, Type.SOA, Class.IN, 0, b"\0\0" + bytes(21)),
        record(APEX, Type.SOA, Class.IN, 0, b"\0\x41" + bytes(20)),
        record(b"\x41" + bytes(65), Type.SOA, Class.IN, 0, b"\0\0" + bytes(20)),
        soa_record() * 2,
    ],
)
def test_an_ixfr_query_without_a_sound_soa_is_malformed(authority: bytes) -> None:
    packet = header(counts=(1, 0, 1, 0)) + question(APEX, Type.IXFR) + authority
    assert seen(packet, respond(UDP, packet)) == "FORMERR question 0/0/0"


def test_an_ordinary_query_for_a_transfer_type_in_class_ch_is_not_handed_back() -> None:
    assert isinstance(UDP.respond(query(APEX, Type.AXFR, Class.CH)), bytes)


@pytest.mark.parametrize(
    "packet", [query(), query(edns=opt()), query(edns=opt() + tsig(), more=1), query(b"\3nx" + APEX)]
)
def test_packets_cut_anywhere_are_malformed_or_get_no_response(packet: bytes) -> None:
    for octets in range(len(packet)):
        said = seen(packet[:octets].ljust(12, b"\0"), respond(UDP, packet[:octets]))
        assert said.startswith("FORMERR") if octets >= 12 else said == "no response"


@pytest.mark.parametrize("edns", [b"", opt(), opt(options=option(3))])
def test_octets_behind_the_end_are_malformed(edns: bytes) -> None:
    for more in (b"\0", b"\1", b"\0\1", b"\0" * 11, b"\xff" * 600):
        packet = query(edns=edns) + more
        assert seen(packet, respond(UDP, packet)).startswith("FORMERR question")


def test_a_response_is_never_answered_whatever_it_holds() -> None:
    for case in CASES:
        if len(case.packet) > 2:
            assert UDP.respond(case.packet[:2] + bytes((case.packet[2] | 0x80,)) + case.packet[3:]) is None


def test_the_question_comes_back_as_it_was_spelled() -> None:
    for spelling in (b"\x03WWW\x07example\x03com\0", b"\x03wWw\x07eXaMpLe\x03CoM\0", b"\2nX\x07EXAMPLE\3com\0"):
        for edns in (b"", opt()):
            for flags in (0, Z):
                packet = query(spelling, edns=edns, flags=flags)
                assert answered(UDP, packet)[12:].startswith(question(spelling))


# Class CH

VERSION, SERVER_VERSION = b"\x07version\x04bind\0", b"\x07version\x06server\0"
IDENTITY, HOSTNAME = b"\x02id\x06server\0", b"\x08hostname\x04bind\0"


def chaos_text(to: Responder, name: bytes, qtype: int = Type.TXT, edns: bytes = b"") -> str | None:
    message = dns.message.from_wire(answered(to, query(name, qtype, Class.CH, edns=edns)))
    if int(message.rcode()) == Rcode.REFUSED:
        assert not message.answer
        assert not message.flags & dns.flags.AA
        return None
    (rrset,) = message.answer
    assert message.flags & dns.flags.AA
    assert (int(rrset.rdclass), int(rrset.rdtype)) == (Class.CH, Type.TXT)
    assert rrset.name.to_wire() == name
    return str(rrset[0].to_text()).strip('"')


@pytest.mark.parametrize("edns", [b"", opt()])
def test_the_server_tells_about_itself_what_it_was_told_to(edns: bytes) -> None:
    telling = responder(chaos=Chaos(identity="ns1.example.net", version="authdns"))
    for name in (VERSION, SERVER_VERSION):
        assert chaos_text(telling, name, edns=edns) == "authdns"
        assert chaos_text(telling, name, Type.ANY, edns) == "authdns"
        assert chaos_text(telling, name, Type.A, edns) is None
        assert chaos_text(UDP, name, edns=edns) is None
        assert chaos_text(responder(chaos=Chaos(identity="x")), name, edns=edns) is None
    for name in (IDENTITY, HOSTNAME):
        assert chaos_text(telling, name, edns=edns) == "ns1.example.net"
        assert chaos_text(UDP, name, edns=edns) is None
        assert chaos_text(responder(chaos=Chaos(version="x")), name, edns=edns) is None
    assert chaos_text(telling, b"\x07authors\x04bind\0", edns=edns) is None


def test_a_long_identity_is_cut_to_one_string() -> None:
    found = chaos_text(responder(chaos=Chaos(identity="x" * 300)), IDENTITY)
    assert found == "x" * 255


# TSIG


def test_the_refusal_of_a_key_repeats_what_the_request_said() -> None:
    packet = query(edns=opt() + tsig(owner=b"\3KEY\7example\0", algorithm=b"\x0bhmac-sha512\0"), more=1)
    message = dns.message.from_wire(answered(UDP, packet), keyring=False)
    assert message.tsig is not None
    rdata = message.tsig[0]
    assert isinstance(rdata, dns.rdtypes.ANY.TSIG.TSIG)
    assert message.tsig.name == dns.name.from_text("key.example.")
    assert rdata.algorithm == dns.name.from_text("hmac-sha512.")
    assert (rdata.time_signed, rdata.fudge, rdata.original_id) == (1_700_000_000, 300, 0x1234)
    assert (rdata.error, rdata.mac, rdata.other) == (17, b"", b"")


def test_the_refusal_names_a_compressed_key_in_full() -> None:
    message = dns.message.from_wire(answered(UDP, query(edns=tsig(owner=b"\3key\xc0\x10"))), keyring=False)
    assert message.tsig is not None
    assert message.tsig.name == dns.name.from_text("key.example.com.")


def test_a_key_behind_too_many_pointers_is_malformed() -> None:
    # Octet 12 is the label's length, 13 the end of a name; 13+2i points at 13+2(i-1).
    chain = b"\0\0" + b"".join((0xC000 | 13 + 2 * i).to_bytes(2, "big") for i in range(19))
    for length, expected in ((15, "NOTAUTH"), (16, "FORMERR")):
        owner = (0xC000 | 13 + 2 * length).to_bytes(2, "big")
        packet = query(bytes((len(chain),)) + chain + APEX, edns=tsig(owner=owner))
        assert seen(packet, respond(UDP, packet)).split()[0] == expected


def test_a_key_whose_refusal_does_not_fit_is_refused_with_tc() -> None:
    long = below_apex(255)
    packet = query(long, edns=tsig(owner=long[:-1].replace(b"n", b"k") + b"\0", algorithm=long))
    assert seen(packet, respond(UDP, packet)) == "NOTAUTH tc question 0/0/0"
    assert seen(packet, respond(TCP, packet)) == "NOTAUTH question 0/0/0 tsig:BADKEY"
    roomy = query(long, edns=opt() + tsig(owner=long, algorithm=long), more=1)
    assert seen(roomy, respond(UDP, roomy)) == "NOTAUTH question 0/0/0 opt0:1232 tsig:BADKEY"


# Which zone answers


def soa_owner(response: bytes) -> str:
    message = dns.message.from_wire(response)
    return next(rrset.name.to_text() for rrset in message.authority if int(rrset.rdtype) == Type.SOA)


def test_the_longest_match_answers() -> None:
    outer = zone_from_text("b.a.example.com. 60 TXT outer")
    inner = zone_from_text("x.b.a.example.com. 60 TXT inner", apex="b.a.example.com.")
    to = responder(outer, inner)
    for name, apex in (
        ("q.example.com.", "example.com."),
        ("a.example.com.", "example.com."),
        ("qb.a.example.com.", "example.com."),
        ("b.a.example.com.", "b.a.example.com."),
        ("q.b.a.example.com.", "b.a.example.com."),
    ):
        for flags in (0, Z):
            assert soa_owner(answered(to, query(names.from_text(name), 29, flags=flags))) == apex


def test_ds_at_an_apex_is_the_parents_to_answer() -> None:
    grandparent = zone_from_text("example.com. 60 NS ns1.example.com.", apex="com.")
    parent = zone_from_text("child.example.com. 60 NS ns1.example.com.\nchild.example.com. 60 DS 1 8 2 " + "0" * 64)
    child = zone_from_text("child.example.com. 60 TXT t", apex="child.example.com.")
    ds = names.from_text("child.example.com.")
    for flags in (0, Z):
        both = answered(responder(parent, child, grandparent), query(ds, Type.DS, flags=flags))
        assert seen(query(ds, Type.DS), both) == "NOERROR aa question 1/0/0"
        alone = answered(responder(child), query(ds, Type.DS, flags=flags))
        assert soa_owner(alone) == "child.example.com."
        # The grandparent delegates the parent elsewhere, and that is where DS is to be asked for.
        above = answered(responder(child, grandparent), query(ds, Type.DS, flags=flags))
        assert seen(query(ds, Type.DS), above) == "NOERROR question 0/1/0"
        other = answered(responder(parent, child), query(ds, Type.TXT, flags=flags))
        assert seen(query(ds, Type.TXT), other) == "NOERROR aa question 1/0/0"


def test_a_zone_that_never_loaded_is_servfail_and_its_neighbours_answer() -> None:
    to = responder(zone_from_text("example.org. 60 TXT t", apex="example.org."))
    to._table.publish(APEX, UnavailableZone("no such file"))
    for flags in (0, Z):
        for name in (APEX, WWW):
            for qtype in (Type.A, Type.DS, Type.ANY):
                packet = query(name, qtype, flags=flags, edns=opt())
                assert seen(packet, respond(to, packet)) == "SERVFAIL question 0/0/0 opt0:1232"
        packet = query(names.from_text("example.org."), Type.TXT, flags=flags)
        assert seen(packet, respond(to, packet)) == "NOERROR aa question 1/0/0"


def test_the_root_zone_answers_for_every_name() -> None:
    to = responder(zone_from_text("org. 60 NS ns.org.\nns.org. 60 A 192.0.2.1", apex="."))
    for flags in (0, Z):
        assert (
            seen(query(b"\0", Type.SOA), respond(to, query(b"\0", Type.SOA, flags=flags)))
            == "NOERROR aa question 1/0/0"
        )
        assert (
            seen(query(b"\0", Type.DS), respond(to, query(b"\0", Type.DS, flags=flags))) == "NOERROR aa question 0/1/0"
        )
        assert seen(query(), respond(to, query(flags=flags))) == "NXDOMAIN aa question 0/1/0"
        name = b"\1a\3org\0"
        assert seen(query(name), respond(to, query(name, flags=flags))) == "NOERROR question 0/1/1"


# The short way and the long way; two other decoders


@settings(deadline=None, max_examples=400)
@given(
    random_zones(),
    st.lists(
        st.tuples(
            query_names(),
            st.sampled_from([*map(type_from_text, QUERY_TYPES), Type.SVCB, 0, 65535]),
            st.sampled_from([b"", opt(), opt(flags=0x8000), opt(payload=512), opt(payload=600), opt(payload=4096)]),
            st.sampled_from([0, Flag.RD, Flag.CD, Flag.RD | Flag.AD]),
        ),
        min_size=1,
        max_size=8,
    ),
    st.booleans(),
)
def test_the_short_way_says_what_the_long_way_says_and_two_decoders_read_it_alike(
    zone: Zone, asked: list[tuple[bytes, int, bytes, int]], tcp: bool
) -> None:
    short, long, again = (responder(zone, tcp=tcp) for _ in range(3))
    for qname, qtype, edns, flags in asked:
        packet = query(qname, qtype, edns=edns, flags=flags)
        response = answered(short, packet)
        assert answered(short, packet) == response
        assert long._unusual(packet, "", 0) == response
        assert answered(again, packet[:3] + bytes((packet[3] | Z,)) + packet[4:]) == response
        limit = 65535 if tcp else max(512, min(1232, int.from_bytes(edns[3:5], "big")))
        assert len(response) <= limit
        assert decoded_by_dnspython(response) == decoded_by_dnslib(response)


Record = tuple[bytes, int, int, int, bytes]  # owner, type, class, TTL, uncompressed rdata


def decoded_by_dnspython(wire: bytes) -> tuple[int, int, list[list[Record]]]:
    message = dns.message.from_wire(wire, one_rr_per_rrset=True)
    sections: list[list[Record]] = []
    for section in (message.answer, message.authority, message.additional):
        rows = [
            (each.name.to_wire() or b"", int(each.rdtype), int(each.rdclass), each.ttl, each[0].to_wire() or b"")
            for each in section
        ]
        sections.append(rows)
    return message.id, int(message.flags), sections


class _Uncompressed(dnslib.DNSBuffer):  # type: ignore[misc]
    encode_name = dnslib.DNSBuffer.encode_name_nocompress


def decoded_by_dnslib(wire: bytes) -> tuple[int, int, list[list[Record]]]:
    message = dnslib.DNSRecord.parse(wire)
    sections: list[list[Record]] = []
    for section in (message.rr, message.auth, message.ar):
        rows = []
        for rr in section:
            if rr.rtype != Type.OPT:
                owner = b"".join(bytes((len(label),)) + label for label in rr.rname.label) + b"\0"
                buffer = _Uncompressed()
                rr.rdata.pack(buffer)
                rows.append((owner, rr.rtype, rr.rclass, rr.ttl, bytes(buffer.data)))
        sections.append(rows)
    return message.header.id, message.header.bitmap, sections


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_two_decoders_read_the_ladders_responses_alike(case: Case) -> None:
    response = respond(UDP, case.packet)
    if response is None or "tsig" in case.expected:
        return
    assert decoded_by_dnspython(response) == decoded_by_dnslib(response)


def test_odd_forms_of_opt_do_not_keep_the_usual_ones_from_being_remembered() -> None:
    to = responder(table_zone())
    for payload in range(5000):
        answered(to, query(edns=opt(payload=payload)))
    usual = query(edns=opt(payload=1400, flags=0x8000))
    answered(to, usual)
    assert usual[len(header()) + len(WWW) + 2 :] in to._kept_tails
    assert len(to._kept_tails) <= 4096


def test_what_is_sent_when_answering_failed() -> None:
    packet = query(edns=opt())
    assert seen(packet, UDP.server_failure(packet)) == "SERVFAIL 0/0/0"
    assert UDP.server_failure(packet[:11]) is None
    assert UDP.server_failure(packet[:2] + b"\x80" + packet[3:]) is None


def test_every_response_is_counted() -> None:
    to = responder(table_zone())
    responses = [to.respond(case.packet) for case in CASES]
    sent = [response for response in responses if isinstance(response, bytes)]
    assert sum(sum(by_type.values()) for by_type in to.tally.values()) == len(sent) == sum(to.sizes)


def test_the_soa_alone_is_the_answer_to_the_soa_query() -> None:
    for flags in (0, Flag.RD, Flag.CD):
        for edns in (b"", opt()):
            packet = query(APEX, Type.IXFR, edns=edns, flags=flags)
            handed = UDP.respond(packet)
            assert isinstance(handed, Query)
            plain = answered(UDP, query(APEX, Type.SOA, edns=edns, flags=flags))
            assert UDP.soa_alone(packet, handed) == plain.replace(question(APEX, Type.SOA), question(APEX, Type.IXFR))
            refused = UDP.refuse(packet, handed, Rcode.REFUSED)
            assert seen(packet, refused).startswith("REFUSED")


IDENTITY_OPTION = option(3, b"ns1.example.net")
NSID_TO_ALL = responder(table_zone(), chaos=Chaos(identity="ns1.example.net"))


@pytest.mark.parametrize(
    "asked",
    [
        query(edns=opt(options=option(3))),
        query(edns=opt(flags=0x8000, options=option(3)), flags=Flag.RD),
        query(edns=opt(options=option(3, b"filled"))),
        query(edns=opt(options=option(3) * 2)),
        query(edns=opt(options=option(8, b"\0\1\0\0") + option(10, bytes(8)) + option(12, bytes(20)) + option(3))),
        query(b"\2nx" + APEX, edns=opt(options=option(3))),
        query(b"\3org\0", edns=opt(options=option(3))),
        query(b"\4huge" + APEX, Type.TXT, edns=opt(options=option(3))),
        query(qclass=4, edns=opt(options=option(3))),
        query(b"\2id\6server\0", Type.TXT, Class.CH, edns=opt(options=option(3))),
        query(edns=opt(options=option(3)) + tsig(), more=1),
        header(counts=(1, 0, 0, 1), opcode=15) + question() + opt(options=option(3)),
    ],
)
def test_nsid_tells_the_identity_to_who_asks_for_it(asked: bytes) -> None:
    """RFC 5001; the answer is the same otherwise."""
    for _ in range(2):  # the second time by what was kept
        response = answered(NSID_TO_ALL, asked)
        assert response.count(IDENTITY_OPTION) == 1
        message = dns.message.from_wire(response, keyring=False)
        assert [(each.otype, each.to_wire()) for each in message.options] == [(3, IDENTITY_OPTION[4:])]
        if b"server" not in asked:
            rdlength = b"\0\x13"
            assert response.replace(rdlength + IDENTITY_OPTION, b"\0\0") == answered(UDP, asked)


@pytest.mark.parametrize(
    "asked",
    [
        query(edns=opt()),
        query(edns=opt(options=option(10, bytes(8)))),
        query(edns=opt(options=option(65001, option(3)))),
        query(edns=opt(version=1, options=option(3))),
        query(edns=opt(options=b"\0\3\0")),
        query(),
    ],
)
def test_nobody_else_is_told(asked: bytes) -> None:
    for _ in range(2):
        assert answered(NSID_TO_ALL, asked) == answered(UDP, asked)
        answered(NSID_TO_ALL, query(edns=opt(options=option(3))))


def test_an_answer_that_nsid_leaves_no_room_for_is_cut() -> None:
    """200 octets fit beside the longest name and OPT, but not with 128 octets of identity."""
    texts = "".join(f'*.example.com. 60 TXT "{"t" * 60}{number}"\n' for number in range(3))
    to = responder(zone_from_text(texts.strip()), chaos=Chaos(identity="x" * 128))
    response = answered(to, query(below_apex(255), Type.TXT, edns=opt(payload=512, options=option(3))))
    assert len(response) <= 512
    assert response[2] & (Flag.TC >> 8)


def test_nsid_goes_the_short_way_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    to = responder(table_zone(), chaos=Chaos(identity="ns1.example.net"))
    asked = query(edns=opt(options=option(3)))
    first = answered(to, asked)
    monkeypatch.setattr(to, "_unusual", None)
    assert answered(to, asked) == first
    other = query(b"\2nx" + APEX, edns=opt(options=option(3)))
    assert IDENTITY_OPTION in answered(to, other)


@pytest.mark.parametrize("tcp", [False, True])
def test_a_long_identity_is_no_reason_for_a_long_answer(tcp: bool) -> None:
    to = responder(table_zone(), tcp=tcp, chaos=Chaos(identity="ä" * 200, version="v" * 300), cookies=True)
    asking = opt(payload=512, options=option(3) + option(10, bytes(8)))
    longest = below_apex(255)
    for asked in (
        query(longest, edns=asking),
        query(b"\1a" * 127 + b"\0", edns=asking),
        query(longest, edns=asking + tsig(), more=1),
        query(longest, qclass=4, edns=asking),
        query(b"\2id\6server\0", Type.TXT, Class.CH, edns=asking),
        query(b"\7version\6server\0", Type.ANY, Class.CH, edns=asking),
        query(b"\3big" + APEX, Type.TXT, edns=asking),
    ):
        response = to.respond(asked, "192.0.2.1")
        assert isinstance(response, bytes)
        assert tcp or len(response) <= 512
        nsid, _ = dns.message.from_wire(response, keyring=False).options
        assert len(nsid.to_wire() or b"") == 128


def test_without_cookies_one_is_ignored_and_does_not_send_the_query_the_long_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    to = responder(zone_from_text("www.example.com. 60 A 192.0.2.1"))
    plain = to.respond(query(WWW, edns=opt()))
    cookies = [query(WWW, edns=opt(options=option(10, bytes((i,)) * 8))) for i in range(3)]
    assert to.respond(cookies[0]) == plain
    monkeypatch.setattr(to, "_unusual", None)
    assert to.respond(cookies[1]) == plain
    assert to.respond(cookies[2]) == plain


@pytest.mark.parametrize("options", [option(10, bytes(7)), option(11, bytes(8)), option(10, bytes(4)) + option(10)])
def test_what_only_looks_like_a_client_cookie_is_answered_alike(options: bytes) -> None:
    to = responder(zone_from_text("www.example.com. 60 A 192.0.2.1"))
    plain = to.respond(query(WWW, edns=opt()))
    for _ in range(2):
        assert to.respond(query(WWW, edns=opt(options=options))) == plain
        assert to.respond(query(WWW, edns=opt(options=option(10, bytes(8))))) == plain


def test_a_cookie_behind_the_end_of_the_message_is_malformed_however_many_were_seen() -> None:
    to = responder(table_zone())
    with_cookie = query(WWW, edns=opt(options=option(10, bytes(8))))
    for _ in range(2):
        respond(to, with_cookie)
    response = respond(to, with_cookie[:11] + b"\0" + with_cookie[12:])  # ARCOUNT 0
    assert response is not None
    assert response[3] & 15 == Rcode.FORMERR


def test_no_packet_leaves_work_to_the_garbage_collector() -> None:
    """An exception that is kept holds the frame that keeps it: with a flood, memory would grow until a collection."""
    for case in CASES:
        UDP_COOKIES.respond(case.packet, "192.0.2.1", 0)
    gc.collect()
    gc.disable()
    try:
        for case in CASES:
            UDP_COOKIES.respond(case.packet, "192.0.2.1", 0)
        assert gc.collect() == 0
    finally:
        gc.enable()


# EXPIRE (RFC 7314)


@pytest.mark.parametrize("qtype", [Type.SOA, Type.A, Type.TXT])
def test_expire_is_told_to_who_asks_for_it_beside_the_soa(qtype: int) -> None:
    to = responder(table_zone())
    to.expiry = lambda apex, expire: 4711 if apex == APEX else expire
    for name, told in ((APEX, qtype == Type.SOA), (WWW, False)):
        message = dns.message.from_wire(answered(to, query(name, qtype, edns=opt(options=option(9)))))
        assert [o.to_wire() for o in message.options if int(o.otype) == 9] == [(4711).to_bytes(4, "big")] * told
    assert not dns.message.from_wire(answered(to, query(APEX, Type.SOA, edns=opt()))).options


def test_a_primary_tells_what_its_soa_says() -> None:
    to = responder(table_zone())
    (told,) = dns.message.from_wire(answered(to, query(APEX, Type.SOA, edns=opt(options=option(9))))).options
    assert told.to_wire() == table_zone().soa.expire.to_bytes(4, "big")
