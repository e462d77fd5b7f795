"""What DO adds to an answer: the examples of RFC 4035 Appendix B and RFC 5155 Appendix B, and what they leave out."""

import dns.dnssec
import dns.message
import dns.rdatatype
import pytest

from authdns.answer.executor import ServedZone, ZoneTable
from authdns.answer.lookup import Answer, Section, lookup, next_closer_proof
from authdns.answer.respond import Responder
from authdns.wire import name as names
from authdns.wire.message import QUESTION
from authdns.wire.types import Rcode, Type, type_from_text, type_to_text
from authdns.zone.denial import Nsec, Nsec3
from authdns.zone.zone import Zone, signatures
from tests.unit.answer.zones import Record, signed, zone_from_records

COMMON = """
example. 3600 SOA ns1.example. bugs.x.w.example. 1 3600 300 3600000 3600
example. 3600 NS ns1.example.
example. 3600 NS ns2.example.
example. 3600 MX 1 xx.example.
example. 3600 DNSKEY 256 3 5 AQO9
a.example. 3600 NS ns1.a.example.
a.example. 3600 NS ns2.a.example.
a.example. 3600 DS 57855 5 1 B6DCD485719ADCA18E5F3D48A2331627FDD3636B
ns1.a.example. 3600 A 192.0.2.5
ns2.a.example. 3600 A 192.0.2.6
ai.example. 3600 A 192.0.2.9
ai.example. 3600 AAAA 2001:db8::f00:baa9
ns1.example. 3600 A 192.0.2.1
ns2.example. 3600 A 192.0.2.2
*.w.example. 3600 MX 1 ai.example.
x.w.example. 3600 MX 1 xx.example.
x.y.w.example. 3600 MX 1 xx.example.
xx.example. 3600 A 192.0.2.10
xx.example. 3600 AAAA 2001:db8::f00:baaa
"""
RFC_4035 = COMMON + "b.example. 3600 NS ns1.b.example.\nns1.b.example. 3600 A 192.0.2.7"
RFC_5155 = COMMON + "c.example. 3600 NS ns1.c.example.\nns1.c.example. 3600 A 192.0.2.7"
# A record at a name that is the hash of another one (RFC 5155 Appendix A).
RFC_5155 += "\n2t7b4g4vsa5smi47k61mv5bv1a22bojr.example. 3600 A 192.0.2.127"
HASHES = {
    "example.": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom",
    "ns1.example.": "2t7b4g4vsa5smi47k61mv5bv1a22bojr",
    "x.y.w.example.": "2vptu5timamqttgl4luu9kg21e0aor3s",
    "a.example.": "35mthgpgcu1qg68fab165klnsnk3dpvl",
    "x.w.example.": "b4um86eghhds6nea196smvmlo4ors995",
    "ai.example.": "gjeqe526plbf1g8mklp59enfd789njgi",
    "y.w.example.": "ji6neoaepv8b5o6k4ev33abha8ht9fgc",
    "w.example.": "k8udemvp1j2f7eg6jebps17vp3n8i58h",
    "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.": "kohar7mbb8dc2ce8a9qvl8hon4k53uhi",
    "ns2.example.": "q04jkcevqvmu85r014c7dkba38o0ji5r",
    "*.w.example.": "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
    "xx.example.": "t644ebqk9bibcna874givr6joj62mlhv",
}


def records(text: str) -> list[Record]:
    found = []
    for line in text.strip().splitlines():
        owner, ttl, rrtype, data = line.split(None, 3)
        found.append((owner, int(ttl), rrtype, data))
    return found


def zone_of(text: str, how: str, apex: str = "example.com.") -> Zone:
    soa = f"{apex} 3600 SOA ns1.{apex} hostmaster.{apex} 7 3600 900 604800 300\n{apex} 3600 NS ns1.{apex}\n"
    return zone_from_records(apex, signed(records(soa + text), how, apex))


NSEC_ZONE = zone_from_records("example.", signed(records(RFC_4035), "nsec", "example."))
NSEC3_ZONE = zone_from_records("example.", signed(records(RFC_5155), "opt-out", "example.", "aabbccdd", 12))


def answer_to(zone: Zone, name: str, rrtype: str, dnssec_ok: bool = True) -> Answer:
    """The answer with the proof that the class leaves open."""
    qname = names.from_text(name).lower()
    answer = lookup(zone, qname, type_from_text(rrtype), dnssec_ok)
    owner = next_closer_proof(zone, answer, qname)
    if owner is not None:
        answer = answer._replace(
            authority=answer.authority + tuple((owner, rrset) for rrset in zone.proof(owner)), denied_below=None
        )
    return answer


def rows(section: Section) -> list[str]:
    """`owner TYPE` of each RRset, `RRSIG(TYPE)` for signatures, `?` for the name that was asked for."""
    found = []
    for owner, (rrtype, _, rdatas) in section:
        text = "?" if owner == QUESTION else names.to_text(owner)
        what = type_to_text(rrtype)
        if rrtype == Type.RRSIG:
            what = f"RRSIG({type_to_text(int.from_bytes(rdatas[0][:2], 'big'))})"
        found.append(f"{text} {what}")
    return found


def authority_of(zone: Zone, name: str, rrtype: str) -> set[str]:
    answer = answer_to(zone, name, rrtype)
    found = rows(answer.authority)
    assert len(found) == len(set(found))
    return set(found)


def with_rrsigs(*rows: str) -> set[str]:
    return {*rows, *(f"{owner} RRSIG({rrtype})" for owner, rrtype in map(str.split, rows))}


def hashed(*owners: str) -> set[str]:
    return with_rrsigs(*(f"{HASHES[owner]}.example. NSEC3" for owner in owners))


def covering(name: str) -> str:
    """The name whose hash is the one before that of `name`, by dnspython's reckoning."""
    number = dns.dnssec.nsec3_hash(name, "aabbccdd", 12, 1).lower()
    before = sorted(digest for digest in HASHES.values() if digest < number) or sorted(HASHES.values())
    return next(owner for owner, digest in HASHES.items() if digest == before[-1])


SOA = with_rrsigs("example. SOA")


@pytest.mark.parametrize(
    ("name", "rrtype", "rcode", "expected"),
    [
        ("x.w.example.", "MX", "NOERROR", set()),  # B.1
        ("ml.example.", "A", "NXDOMAIN", SOA | with_rrsigs("b.example. NSEC", "example. NSEC")),  # B.2
        ("ns1.example.", "MX", "NOERROR", SOA | with_rrsigs("ns1.example. NSEC")),  # B.3
        ("mc.a.example.", "MX", "NOERROR", {"a.example. NS", *with_rrsigs("a.example. DS")}),  # B.4
        ("mc.b.example.", "MX", "NOERROR", {"b.example. NS", *with_rrsigs("b.example. NSEC")}),  # B.5
        ("a.z.w.example.", "MX", "NOERROR", with_rrsigs("x.y.w.example. NSEC")),  # B.6
        ("a.z.w.example.", "AAAA", "NOERROR", SOA | with_rrsigs("x.y.w.example. NSEC", "*.w.example. NSEC")),  # B.7
        ("example.", "DS", "NOERROR", SOA | with_rrsigs("example. NSEC")),  # B.8
        # An empty non-terminal: the NSEC before it leads past it (RFC 4035 §3.1.3.1, RFC 4592 §2.2.2).
        ("y.w.example.", "A", "NOERROR", SOA | with_rrsigs("x.w.example. NSEC")),
        ("b.example.", "DS", "NOERROR", SOA | with_rrsigs("b.example. NSEC")),
    ],
)
def test_the_examples_of_rfc_4035(name: str, rrtype: str, rcode: str, expected: set[str]) -> None:
    assert answer_to(NSEC_ZONE, name, rrtype).rcode.name == rcode
    assert authority_of(NSEC_ZONE, name, rrtype) == expected


@pytest.mark.parametrize(
    ("name", "rrtype", "rcode", "expected"),
    [
        ("a.c.x.w.example.", "A", "NXDOMAIN", SOA | hashed("example.", "x.w.example.", "a.example.")),  # B.1
        ("ns1.example.", "MX", "NOERROR", SOA | hashed("ns1.example.")),  # B.2
        ("y.w.example.", "A", "NOERROR", SOA | hashed("y.w.example.")),  # B.2.1
        ("mc.c.example.", "MX", "NOERROR", {"c.example. NS", *hashed("example.", "a.example.")}),  # B.3
        ("a.z.w.example.", "MX", "NOERROR", hashed("ns2.example.")),  # B.4
        ("a.z.w.example.", "AAAA", "NOERROR", SOA | hashed("w.example.", "ns2.example.", "*.w.example.")),  # B.5
        ("example.", "DS", "NOERROR", SOA | hashed("example.")),  # B.6
        ("mc.a.example.", "MX", "NOERROR", {"a.example. NS", *with_rrsigs("a.example. DS")}),
        ("c.example.", "DS", "NOERROR", SOA | hashed("example.", "a.example.")),  # RFC 5155 §7.2.4
        # Owners of NSEC3 do not exist (§7.2.8), but for the one that has a record besides.
        (
            f"{HASHES['xx.example.']}.example.",
            "NSEC3",
            "NXDOMAIN",
            SOA | hashed("example.", covering(f"{HASHES['xx.example.']}.example."), covering("*.example.")),
        ),
        (f"{HASHES['ns1.example.']}.example.", "A", "NOERROR", set()),
        (
            f"{HASHES['ns1.example.']}.example.",
            "NSEC3",
            "NOERROR",
            SOA | hashed("2t7b4g4vsa5smi47k61mv5bv1a22bojr.example."),
        ),
    ],
)
def test_the_examples_of_rfc_5155(name: str, rrtype: str, rcode: str, expected: set[str]) -> None:
    assert answer_to(NSEC3_ZONE, name, rrtype).rcode.name == rcode
    assert authority_of(NSEC3_ZONE, name, rrtype) == expected


@pytest.mark.parametrize("zone", [NSEC_ZONE, NSEC3_ZONE], ids=["NSEC", "NSEC3"])
def test_without_do_nothing_of_dnssec_is_sent_unasked(zone: Zone) -> None:
    for name in ["ml.example.", "ns1.example.", "mc.a.example.", "mc.c.example.", "a.z.w.example.", "y.w.example."]:
        for rrtype in ("A", "MX", "DS", "ANY"):
            answer = answer_to(zone, name, rrtype, dnssec_ok=False)
            sent = {rrset.type for section in answer[2:5] for _, rrset in section}
            assert sent <= {Type.SOA, Type.NS, Type.A, Type.AAAA, Type.MX}, (name, rrtype)


@pytest.mark.parametrize("rrtype", ["RRSIG", "NSEC", "DNSKEY", "DS"])
@pytest.mark.parametrize("dnssec_ok", [False, True])
def test_types_of_dnssec_are_data_to_who_asks_for_them(rrtype: str, dnssec_ok: bool) -> None:
    name = "a.example." if rrtype == "DS" else "example."
    answer = answer_to(NSEC_ZONE, name, rrtype, dnssec_ok)
    expected = [f"? {rrtype}", *([f"? RRSIG({rrtype})"] if dnssec_ok else [])]
    if rrtype == "RRSIG":
        expected = [f"? RRSIG({covered})" for covered in ("DNSKEY", "MX", "NS", "SOA", "NSEC")]
    assert rows(answer.answer) == expected


def test_any_is_answered_with_one_rrset_and_its_rrsig() -> None:
    answer = answer_to(NSEC_ZONE, "ai.example.", "ANY")
    assert rows(answer.answer) == ["? A", "? RRSIG(A)"]


def test_the_rrsig_of_a_negative_soa_has_its_ttl() -> None:
    zone = zone_of("a.example.com. 60 A 192.0.2.1", "nsec")
    assert {rrset.ttl for _, rrset in lookup(zone, zone.apex, Type.MX, True).authority[:2]} == {300}


def test_addresses_in_the_additional_section_are_signed_but_glue_is_not() -> None:
    answer = answer_to(NSEC_ZONE, "x.w.example.", "MX")
    assert rows(answer.additional) == [f"xx.example. {what}" for what in ("A", "AAAA", "RRSIG(A)", "RRSIG(AAAA)")]
    answer = answer_to(NSEC_ZONE, "mc.a.example.", "MX")
    assert rows(answer.additional) == ["ns1.a.example. A", "ns2.a.example. A"]
    assert answer.required_glue == 2


def test_a_synthesised_cname_has_no_rrsig_but_its_dname_has() -> None:
    zone = zone_of("d.example.com. 60 DNAME e.example.com.\na.e.example.com. 60 A 192.0.2.1", "nsec")
    answer = answer_to(zone, "a.d.example.com.", "A")
    assert rows(answer.answer) == [
        "d.example.com. DNAME",
        "d.example.com. RRSIG(DNAME)",
        "? CNAME",
        "a.e.example.com. A",
        "a.e.example.com. RRSIG(A)",
    ]


def test_each_wildcard_of_a_chain_has_its_proof() -> None:
    text = """\
a.example.com. 60 CNAME q.w1.example.com.
*.w1.example.com. 60 CNAME q.w2.example.com.
*.w2.example.com. 60 A 192.0.2.1
z.example.com. 60 A 192.0.2.2"""
    zone = zone_of(text, "nsec")
    assert authority_of(zone, "a.example.com.", "A") == with_rrsigs("*.w1.example.com. NSEC", "*.w2.example.com. NSEC")
    assert authority_of(zone, "x.w1.example.com.", "A") == with_rrsigs(
        "*.w1.example.com. NSEC", "*.w2.example.com. NSEC"
    )


def test_a_wildcard_that_is_an_empty_non_terminal_is_proved_to_be_one() -> None:
    """BIND 9.18 and Knot 3.2 leave out the NSEC that leads past `*.e`; validators call what remains bogus."""
    zone = zone_of("a.example.com. 60 A 192.0.2.1\nx.*.e.example.com. 60 A 192.0.2.2", "nsec")
    assert authority_of(zone, "q.e.example.com.", "A") == with_rrsigs(
        "example.com. SOA", "a.example.com. NSEC", "x.*.e.example.com. NSEC"
    )


def test_below_an_empty_non_terminal_that_opt_out_left_out_the_closest_provable_encloser_counts() -> None:
    zone = zone_of("cut.e.example.com. 60 NS ns.example.net.", "opt-out")
    assert isinstance(zone.denial, Nsec3)
    assert zone.denial.matching(names.from_text("e.example.com.")) is None
    for name, rcode in (("e.example.com.", Rcode.NOERROR), ("q.e.example.com.", Rcode.NXDOMAIN)):
        answer = answer_to(zone, name, "A")
        assert answer.rcode == rcode
        assert {rrset.type for _, rrset in answer.authority} == {Type.SOA, Type.RRSIG, Type.NSEC3}
        assert zone.denial.matching(zone.apex) in [owner for owner, _ in answer.authority]


def test_every_rrset_is_followed_by_all_its_rrsigs() -> None:
    """Two keys: two RRSIGs."""
    twice = records("a.example.com. 60 A 192.0.2.1")
    zone = zone_of("a.example.com. 60 A 192.0.2.1", "nsec")
    rrsigs = signatures(zone.names[names.from_text("a.example.com.")], Type.A)
    assert rrsigs is not None
    soa = records("example.com. 60 SOA . . 1 2 3 4 5\nexample.com. 60 NS ns1.example.com.")
    second = (
        "a.example.com.",
        60,
        "RRSIG",
        "A 13 3 60 20480101000000 20260101000000 815 example.com. " + "B" * 86 + "==",
    )
    zone = zone_from_records("example.com.", [*signed(soa + twice, "nsec"), second])
    answer = answer_to(zone, "a.example.com.", "A")
    assert [len(rrset.rdatas) for _, rrset in answer.answer] == [1, 2]


class TestChains:
    PLAIN = records(
        "example.com. 60 SOA . . 1 2 3 4 5\nexample.com. 60 NS ns1.example.com.\na.example.com. 60 A 192.0.2.1"
    )

    def test_of_two_nsec3_chains_the_first_that_is_named_is_used(self) -> None:
        one, other = signed(self.PLAIN, "nsec3", salt="AA"), signed(self.PLAIN, "nsec3", salt="BB")
        zone = zone_from_records("example.com.", one + [each for each in other if each[2] in ("NSEC3", "NSEC3PARAM")])
        assert isinstance(zone.denial, Nsec3)
        assert zone.denial.parameters.salt == b"\xaa"
        assert len(zone.denial.owners) == 2
        assert len(zone.nsec3) == 4

    def test_without_nsec3param_a_chain_is_not_used(self) -> None:
        zone = zone_from_records(
            "example.com.", [each for each in signed(self.PLAIN, "nsec3") if each[2] != "NSEC3PARAM"]
        )
        assert zone.denial is None
        answer = answer_to(zone, "q.example.com.", "A")
        assert {rrset.type for _, rrset in answer.authority} == {Type.SOA, Type.RRSIG}

    def test_a_nsec3param_with_flags_is_passed_over(self) -> None:
        flagged = [
            (owner, ttl, rrtype, data.replace("1 0 ", "1 128 ", 1) if rrtype == "NSEC3PARAM" else data)
            for owner, ttl, rrtype, data in signed(self.PLAIN, "nsec3")
        ]
        assert zone_from_records("example.com.", flagged).denial is None

    def test_nsec3_is_preferred_to_nsec(self) -> None:
        both = signed(self.PLAIN, "nsec") + [
            each for each in signed(self.PLAIN, "nsec3") if each[2] in ("NSEC3", "NSEC3PARAM")
        ]
        zone = zone_from_records("example.com.", both)
        assert isinstance(zone.denial, Nsec3)
        answer = answer_to(zone, "a.example.com.", "NSEC")
        assert rows(answer.answer) == ["? NSEC", "? RRSIG(NSEC)"]

    def test_a_chain_that_lacks_the_apex_proves_what_it_can(self) -> None:
        apex = ("example.com.", "NSEC")
        zone = zone_from_records(
            "example.com.", [each for each in signed(self.PLAIN, "nsec") if (each[0], each[2]) != apex]
        )
        assert authority_of(zone, "q.example.com.", "A") == with_rrsigs("example.com. SOA", "a.example.com. NSEC")

    def test_a_nsec3_chain_that_lacks_the_apex_proves_what_it_can(self) -> None:
        made = signed(self.PLAIN, "nsec3")
        for digest in sorted(owner for owner, _, rrtype, _ in made if rrtype == "NSEC3"):
            zone = zone_from_records("example.com.", [each for each in made if each[0] != digest])
            for name, rrtype in (("q.example.com.", "A"), ("example.com.", "TXT"), ("a.example.com.", "TXT")):
                assert len(answer_to(zone, name, rrtype).authority) == 4


class TestOnTheWire:
    """The open proof goes between authority and additional section, wherever the response is cut."""

    TEXT = """\
a.w.example.com. 60 A 192.0.2.1
*.w.example.com. 60 SRV 1 2 3 server.elsewhere.example.com.
*.w.example.com. 60 MX 1 mail.example.com.
mail.example.com. 60 A 192.0.2.2
server.elsewhere.example.com. 60 A 192.0.2.3
server.elsewhere.example.com. 60 AAAA 2001:db8::3"""

    @pytest.mark.parametrize("how", ["nsec", "nsec3", "opt-out"])
    @pytest.mark.parametrize("rrtype", ["SRV", "MX", "A", "TXT"])
    @pytest.mark.parametrize("name", ["q.w.example.com.", "q.q.q.w.example.com.", "A-Rather-Long-Label.w.example.com."])
    def test_every_size_is_a_whole_number_of_rrsets(self, how: str, rrtype: str, name: str) -> None:
        zone = zone_of(self.TEXT, how)
        table = ZoneTable()
        table.publish(zone.apex, ServedZone(zone))
        whole = answer_to(zone, name, rrtype)
        counted = [sum(len(rrset.rdatas) for _, rrset in section) for section in whole[2:5]]
        wire = names.from_text(name) + type_from_text(rrtype).to_bytes(2, "big") + b"\0\1"
        query = b"\x12\x34\0\0\0\1\0\0\0\0\0\1" + wire
        sizes = set()
        for limit in range(512, 1400, 5):
            opt = b"\0\0\x29" + limit.to_bytes(2, "big") + b"\0\0\x80\0\0\0"
            response = Responder(table, tcp=False, payload=4096).respond(query + opt)
            assert isinstance(response, bytes)
            assert len(response) <= limit
            message = dns.message.from_wire(response)
            sizes.add(len(response))
            got = [sum(map(len, section)) for section in (message.answer, message.authority, message.additional)]
            if got[:2] != counted[:2]:
                assert message.flags & 0x0200, "records are missing, so TC is set"
            else:
                assert not message.flags & 0x0200
        assert got == counted
        expected = {
            (names.to_text(owner or names.from_text(name)).lower(), int(rrset.type))
            for section in whole[2:5]
            for owner, rrset in section
        }
        sent = {
            (str(rrset.name).lower(), int(rrset.rdtype))
            for section in (message.answer, message.authority, message.additional)
            for rrset in section
        }
        assert sent == expected

    def test_behind_an_answer_of_more_than_16_kib_the_owner_of_the_proof_is_written_out(self) -> None:
        text = "\n".join(f'*.w.example.com. 60 TXT "{i:03d}{"x" * 240}"' for i in range(80))
        zone = zone_of(text, "nsec3")
        table = ZoneTable()
        table.publish(zone.apex, ServedZone(zone))
        qname = names.from_text("q.w.example.com.")
        request = b"\x12\x34\0\0\0\1\0\0\0\0\0\1" + qname + b"\0\x10\0\1" + b"\0\0\x29\x04\xd0\0\0\x80\0\0\0"
        response = Responder(table, tcp=True).respond(request)
        assert isinstance(response, bytes)
        message = dns.message.from_wire(response)
        assert [rrset.rdtype for rrset in message.authority] == [dns.rdatatype.NSEC3, dns.rdatatype.RRSIG]
        assert message.authority[0].name == message.authority[1].name


def test_the_nsec_before_a_name_is_found_for_every_order_of_labels() -> None:
    owners = [
        names.from_text(f"{label}example.com.")
        for label in ("", "a.", "b.a.", r"\000.a.", r"\001.a.", r"\001\000.a.", "*.", "z.", r"\255.")
    ]
    chain = Nsec.of(owners)
    assert chain.matching(owners[4]) == owners[4]
    assert chain.covering(names.from_text("c.b.a.example.com.")) == names.from_text("b.a.example.com.")
    assert chain.covering(names.from_text(r"\000\001.a.example.com.")) == names.from_text(r"\000.a.example.com.")
    assert chain.covering(names.from_text("y.example.com.")) == names.from_text("b.a.example.com.")
    assert chain.matching(names.from_text("y.example.com.")) is None
