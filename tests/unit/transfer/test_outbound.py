"""AXFR out: what arrives is the zone, record by record, in messages that fit."""

import dns.message
import dns.rdatatype
import dns.zone
from hypothesis import given, settings

from authdns.transfer.outbound import MESSAGE_OCTETS, axfr, framed
from authdns.wire import name as names
from authdns.wire.query import parse_query
from authdns.zone.zone import Zone
from tests.unit.answer.zones import random_zones, zone_from_text


def request(apex: bytes, rrtype: int = 252, opt: bytes = b"") -> bytes:
    return b"\x12\x34\1\0\0\1\0\0\0\0\0" + bytes([bool(opt)]) + apex + rrtype.to_bytes(2, "big") + b"\0\1" + opt


def transferred(zone: Zone, opt: bytes = b"") -> list[dns.message.Message]:
    query = parse_query(request(zone.apex, opt=opt))
    return [dns.message.from_wire(message.wire) for message in axfr(zone, query, 1232)]


def records_of_messages(messages: list[dns.message.Message]) -> list[str]:
    return [
        f"{rrset.name.to_text()} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {rdata.to_text()}"
        for message in messages
        for rrset in message.answer
        for rdata in rrset
    ]


@settings(max_examples=200, deadline=None)
@given(random_zones())
def test_every_record_arrives_once_between_two_soas(zone: Zone) -> None:
    query = parse_query(request(zone.apex))
    messages = list(axfr(zone, query, 1232))
    assert sum(message.records for message in messages) == zone.records + 1
    decoded = [dns.message.from_wire(message.wire, one_rr_per_rrset=True) for message in messages]
    rrs = [(rrset.name, rrset.rdtype, rrset[0].to_digestable()) for message in decoded for rrset in message.answer]
    assert rrs[0] == rrs[-1]
    assert rrs[0][1] == dns.rdatatype.SOA
    expected = {
        (owner, rrset.type, rdata) for owner, rrsets in zone.names.items() for rrset in rrsets for rdata in rrset.rdatas
    }
    assert len(rrs) - 1 == len(set(rrs)) == len(expected)
    got = {(name.to_digestable(), rrtype) for name, rrtype, _ in rrs}
    assert got == {(owner, rrtype) for owner, rrtype, _ in expected}


def test_a_large_zone_is_split_into_messages_of_bounded_size() -> None:
    zone = zone_from_text("\n".join(f"h{i}.example.com. 60 A 192.0.2.{i % 250}" for i in range(3000)))
    query = parse_query(request(zone.apex))
    messages = list(axfr(zone, query, 1232))
    assert len(messages) > 3
    assert all(len(message.wire) <= MESSAGE_OCTETS + 100 for message in messages)
    assert all(message.wire[:2] == b"\x12\x34" for message in messages)


def test_a_record_larger_than_a_message_goes_alone() -> None:
    long = " ".join(f'"{"t" * 255}"' for _ in range(200))
    zone = zone_from_text(
        f"a.example.com. 60 A 192.0.2.1\nbig.example.com. 60 TXT {long}\nz.example.com. 60 A 192.0.2.1"
    )
    messages = transferred(zone)
    assert len(messages) == 3
    assert len(records_of_messages(messages)) == zone.records + 1


def test_names_in_the_zone_are_compressed_and_spelling_is_kept() -> None:
    zone = zone_from_text("WwW.example.com. 60 CNAME Other.example.com.")
    wire = b"".join(message.wire for message in axfr(zone, parse_query(request(zone.apex)), 1232))
    assert b"\x03WwW\xc0\x0c" in wire
    assert b"\x05Other\xc0\x0c" in wire


def test_a_label_that_looks_like_the_apex_is_not_mistaken_for_it() -> None:
    inside = "\\007example\\003com"  # one label whose octets are those of the apex
    zone = zone_from_text(f"a.example.com. 60 CNAME {inside}.\nb.example.com. 60 MX 5 x{inside}.example.com.")
    records = records_of_messages(transferred(zone))
    assert f"a.example.com. 60 CNAME {inside}." in records
    assert f"b.example.com. 60 MX 5 x{inside}.example.com." in records


def test_the_root_zone_can_be_transferred() -> None:
    zone = zone_from_text("com. 60 NS a.gtld.\na.gtld. 60 A 192.0.2.1", ".")
    assert "com. 60 NS a.gtld." in records_of_messages(transferred(zone))


def test_opt_is_returned_when_it_was_sent() -> None:
    zone = zone_from_text("a.example.com. 60 A 192.0.2.1")
    assert transferred(zone)[0].edns == -1
    assert transferred(zone, opt=b"\0\0\x29\x10\0" + bytes(6))[0].edns == 0


def test_dnspython_makes_the_same_zone_of_it() -> None:
    zone = zone_from_text("a.example.com. 60 A 192.0.2.1\n*.w.example.com. 60 TXT hello")
    received = dns.zone.from_xfr(iter(transferred(zone)), relativize=False)
    assert len(list(received.iterate_rdatas())) == zone.records


def test_framing_is_the_length_in_two_octets() -> None:
    assert framed(b"abc") == b"\0\3abc"


def test_an_apex_spelled_with_capitals_is_compressed_all_the_same() -> None:
    zone = zone_from_text("www.Example.com. 60 A 192.0.2.1")
    assert names.from_text("www.example.com.") in zone.names
    assert "www.example.com. 60 a 192.0.2.1" in [line.lower() for line in records_of_messages(transferred(zone))]
