"""Signed zones, served as they came from their signers, validate: unbound and delv with a trust anchor, and the tools
that verify whole zones, find secure what is, insecure what is not signed, and bogus what was tampered with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest

from tests.interop.conftest import CONTROL_RUN, Serve
from tests.interop.signed_zones import (
    ASKED_OF_ALL,
    EXPECTED,
    HEAD,
    LEAVES_DELEGATIONS_OUT,
    NSEC3_WAYS,
    NSEC_WAYS,
    OPT_OUT_WAYS,
    TOP,
    Family,
    Outcome,
    absolute,
    outcome,
    questions,
    write,
    write_all,
)
from tests.peers import (
    NameServer,
    Unbound,
    Zone,
    ask_all,
    dig,
    exchange,
    records_in_file,
    requires,
)
from tests.peers.availability import SIGNERS
from tests.peers.signing import (
    HOW,
    Denial,
    delegation_signer,
    key_signing_key,
    sign,
    sign_with,
    sign_with_new_keys,
    with_dnssec_signzone,
    with_ldns_signzone,
)
from tests.peers.validators import delv, dnssec_verify, kdig, ldns_verify_zone, named_compilezone

pytestmark = requires("unbound", "dig", *SIGNERS)

WAYS = list(HOW)
SOME_WAYS = ["nsec", "nsec3", "opt-out"]
DNSSEC_TYPES = {"RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY"}
NOT_BY_PEERS = {"two-parameters-one-chain", "nsec3-without-parameters"}  # BIND then proves, or signs, nothing
Question = tuple[str, str]


class Found(NamedTuple):
    """What a resolver said, and why."""

    outcome: Outcome
    why: str

    def __str__(self) -> str:
        return f"{self.outcome} {self.why}".strip()


def anchor(zone: str, key: str = "") -> str:
    return f"{zone}. IN DNSKEY {key or key_signing_key()}"


def stubs(*served: tuple[NameServer, Sequence[Zone]]) -> list[Zone]:
    return [Zone(zone.name, primary=server.endpoint) for server, zones in served for zone in zones]


def validate(resolver: NameServer, asked: Sequence[Question]) -> list[Found]:
    """What the resolver makes of each question."""
    found = []
    for (name, rdtype), response in zip(asked, ask_all(resolver.endpoint, asked, flags=dns.flags.RD), strict=True):
        data = any(rrset.rdtype == dns.rdatatype.from_text(rdtype) for rrset in response.answer)
        rcode = dns.rcode.to_text(response.rcode())
        why = " ".join(option.to_text() for option in response.options)
        found.append(Found(Outcome(rcode, data, bool(response.flags & dns.flags.AD)), why))
        assert response.question[0].name == dns.name.from_text(name)
    return found


def mistaken(resolver: NameServer, asked: Sequence[Question], expected: Sequence[Outcome]) -> list[str]:
    """A line for each question whose answer is not as expected."""
    return [
        f"{name} {rdtype}: {found}; expected: {wanted}"
        for (name, rdtype), found, wanted in zip(asked, validate(resolver, asked), expected, strict=True)
        if found.outcome != wanted
    ]


def asked_of(how: str) -> list[Question]:
    asked = list(questions(how))
    if CONTROL_RUN and how in NSEC_WAYS:  # BIND does not prove that a wildcard is an empty non-terminal
        asked = [(name, rdtype) for name, rdtype in asked if name not in ("x.star", "x.y.star", "x.mid")]
    return asked


# Everything, through a validating resolver


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return write_all(tmp_path_factory.mktemp("zones"), WAYS)


@pytest.fixture(scope="module")
def server(serve_all: Serve, family: Family) -> NameServer:
    """Has the zones, and neither their parent nor their children: asked for those it refers."""
    return serve_all(list(family.rich.values()))


@pytest.fixture(scope="module")
def other_server(serve_all: Serve, family: Family) -> NameServer:
    """Has the parent of all the zones, and their children."""
    return serve_all([family.top, *family.children])


@pytest.fixture(scope="module")
def resolver(
    tmp_path_factory: pytest.TempPathFactory, family: Family, server: NameServer, other_server: NameServer
) -> Iterator[NameServer]:
    zones = stubs((server, list(family.rich.values())), (other_server, [family.top, *family.children]))
    with Unbound(tmp_path_factory.mktemp("unbound"), zones, anchors=[anchor(TOP)]) as unbound:
        yield unbound


@pytest.mark.parametrize("how", WAYS)
def test_every_name_and_type(resolver: NameServer, how: str) -> None:
    asked = asked_of(how)
    expected = [outcome(how, name, rdtype) for name, rdtype in asked]
    assert mistaken(resolver, [(absolute(name, f"{how}.{TOP}"), rdtype) for name, rdtype in asked], expected) == []


@pytest.mark.parametrize("how", SOME_WAYS)
def test_what_is_denied_hides_nothing_else(
    tmp_path: Path, stack: ExitStack, family: Family, server: NameServer, other_server: NameServer, how: str
) -> None:
    """A resolver that answers out of the denials that it has seen (RFC 8198, RFC 8020), asks for one label after the
    other (RFC 9156) and in mixed case: names that exist are asked for after those beside them that do not."""
    zones = stubs((server, [family.rich[how]]), (other_server, [family.top, family.secure[how], family.plain[how]]))
    more = "aggressive-nsec: yes\nharden-below-nxdomain: yes\nqname-minimisation: yes\nuse-caps-for-id: yes\n"
    unbound = stack.enter_context(Unbound(tmp_path / "unbound", zones, anchors=[anchor(TOP)], more=more))
    expected = {question: outcome(how, *question) for question in asked_of(how)}
    # unbound takes the NXDOMAIN at the end of this chain for one at its beginning, whoever the server is.
    del expected["any.gone", "CNAME"]
    asked = sorted(expected, key=lambda question: (expected[question].data, expected[question].rcode == "NOERROR"))
    absolutely = [(absolute(name, f"{how}.{TOP}"), rdtype) for name, rdtype in asked]
    assert mistaken(unbound, absolutely, [expected[question] for question in asked]) == []


@pytest.mark.parametrize("how", NSEC3_WAYS)
def test_a_name_that_exists_only_by_its_hash_does_not(resolver: NameServer, family: Family, how: str) -> None:
    """RFC 5155 §7.2.8: the owner of an NSEC3 is a name error, also for the type NSEC3."""
    file = family.rich[how].file
    assert file is not None
    owners = sorted({record.owner for record in records_in_file(file, f"{how}.{TOP}.") if record.type == "NSEC3"})
    asked = [(owner, rdtype) for owner in owners[:3] for rdtype in ("A", "NSEC3")]
    nothing = Outcome("NXDOMAIN", False, how not in OPT_OUT_WAYS)
    assert mistaken(resolver, asked, [nothing] * len(asked)) == []


@pytest.mark.parametrize("how", NSEC_WAYS)
def test_nsec_is_data_where_it_stands(resolver: NameServer, how: str) -> None:
    names = {"www": True, "@": True, "*.wild": True, "any.wild": True, "alias": True, "deep": False, "*.star": False}
    asked = [(absolute(name, f"{how}.{TOP}"), "NSEC") for name in names]
    assert mistaken(resolver, asked, [Outcome("NOERROR", data, True) for data in names.values()]) == []


def test_delegations_are_followed(tmp_path: Path, serve: Serve, stack: ExitStack, address_with_port_53: str) -> None:
    """To the children by referrals only: DS, or the proof that there is none, and glue."""
    family = write_all(tmp_path, SOME_WAYS, child=address_with_port_53)
    serve(family.children, address=address_with_port_53, port=53)
    parent = serve([family.top, *family.rich.values()])
    zones = stubs((parent, [family.top, *family.rich.values()]))
    unbound = stack.enter_context(Unbound(tmp_path / "unbound", zones, anchors=[anchor(TOP)]))
    names = ("host.secure", "any.secure", "alias.secure", "host.plain", "any.wild.plain", "x.y.plain", "to-plain")
    asked = [(how, name, rdtype) for how in SOME_WAYS for name in names for rdtype in ASKED_OF_ALL]
    questions = [(absolute(name, f"{how}.{TOP}"), rdtype) for how, name, rdtype in asked]
    assert mistaken(unbound, questions, [outcome(*each) for each in asked]) == []


@pytest.mark.parametrize("how", WAYS)
def test_a_referral_proves_what_the_answer_to_ds_proves(server: NameServer, how: str) -> None:
    zone = f"{how}.{TOP}"
    for cut in ("secure", "plain", "cut.del", "cut.lonely", "cut.b.mixed"):
        at_cut, below, ds = ask_all(
            server.endpoint,
            [(absolute(cut, zone), "A"), (absolute(f"x.y.{cut}", zone), "TXT"), (absolute(cut, zone), "DS")],
        )
        proofs = [rrset for rrset in (*ds.answer, *ds.authority) if not is_of(rrset, "SOA")]
        assert {rdtype_of(rrset) for rrset in proofs} >= {"RRSIG"}
        for referral in (at_cut, below):
            assert not referral.flags & dns.flags.AA
            assert referral.answer == []
            ns = [rrset for rrset in referral.authority if is_of(rrset, "NS")]
            assert [rrset.name for rrset in ns] == [dns.name.from_text(absolute(cut, zone))]
            assert records_of(referral.authority) - records_of(ns) == records_of(proofs), referral.to_text()
            assert {rdtype_of(rrset) for rrset in referral.additional} == {"A"}  # glue is not signed


def test_parent_and_child_on_one_server(
    tmp_path: Path, serve: Serve, stack: ExitStack, family: Family, other_server: NameServer
) -> None:
    """DS is asked of the parent's side, and answered from there (RFC 4035 §3.1.4.1)."""
    how = "nsec3"
    together = serve([family.rich[how], family.secure[how], family.plain[how]])
    zones = stubs((together, [family.rich[how], family.secure[how], family.plain[how]]), (other_server, [family.top]))
    unbound = stack.enter_context(Unbound(tmp_path / "unbound", zones, anchors=[anchor(TOP)]))
    asked = [(name, rdtype) for name, rdtype in questions(how) if name.endswith(("secure", "plain"))]
    expected = [outcome(how, name, rdtype) for name, rdtype in asked]
    assert mistaken(unbound, [(absolute(name, f"{how}.{TOP}"), rdtype) for name, rdtype in asked], expected) == []


def rdtype_of(rrset: dns.rrset.RRset) -> str:
    return dns.rdatatype.to_text(rrset.rdtype)


def is_of(rrset: dns.rrset.RRset, rdtype: str) -> bool:
    """Whether it is of the type, or the RRSIG that covers it."""
    return rdtype in (rdtype_of(rrset), dns.rdatatype.to_text(rrset.covers))


def records_of(rrsets: Sequence[dns.rrset.RRset]) -> set[str]:
    return {line for rrset in rrsets for line in rrset.to_text().splitlines()}


# Other validators


@requires("delv")
@pytest.mark.parametrize("how", WAYS)
def test_delv(server: NameServer, tmp_path: Path, how: str) -> None:
    positive, negative = "; fully validated", "; negative response, fully validated"
    zone = f"{how}.{TOP}"
    expected = {
        ("@", "DNSKEY"): positive,
        ("capitals", "HTTPS"): positive,
        ("any.wild", "A"): "; unsigned answer" if how in OPT_OUT_WAYS else positive,
        ("host.old", "CNAME"): positive,
        ("secure", "DS"): positive,
        ("cut.b.mixed", "DS"): negative,
        ("nothing", "A"): negative,
        ("any.wild", "MX"): negative,
        ("x.star", "A"): negative,
    }
    if CONTROL_RUN and how in NSEC_WAYS:
        del expected["x.star", "A"]
    for (name, rdtype), said in expected.items():
        text = delv(server.endpoint, tmp_path, zone, absolute(name, zone), rdtype)
        assert said in text.splitlines(), f"{name} {rdtype}\n{text}"


@requires("kdig")
@pytest.mark.parametrize("how", SOME_WAYS)
def test_kdig_shows_signatures_and_proofs_when_asked_to(server: NameServer, how: str) -> None:
    zone = f"{how}.{TOP}"
    proof = "NSEC" if how in NSEC_WAYS else "NSEC3"
    for name, rdtype, section, wanted in (
        ("www", "A", "ANSWER", {"A", "RRSIG"}),
        ("any.wild", "A", "AUTHORITY", {proof, "RRSIG"}),
        ("nothing", "A", "AUTHORITY", {"SOA", proof, "RRSIG"}),
        ("host.secure", "A", "AUTHORITY", {"NS", "DS", "RRSIG"}),
        ("host.plain", "A", "AUTHORITY", {"NS", proof, "RRSIG"}),
    ):
        for options in (["+dnssec"], ["+dnssec", "+tcp"]):
            text = kdig(server.endpoint, *options, absolute(name, zone), rdtype)
            assert "flags: do;" in text
            found = re.search(rf";; {section} SECTION:\n(.*?)(?:\n\n|\Z)", text, re.DOTALL)
            assert found is not None, text
            assert {line.split()[3] for line in found[1].splitlines()} == wanted, text
        text = kdig(server.endpoint, absolute(name, zone), rdtype)
        assert not re.search(r"\sIN\s+(RRSIG|NSEC3?|DS)\s", re.sub(r"(?m)^;.*$", "", text)), text


@requires("dnssec-verify", "ldns-verify-zone", "named-compilezone")
@pytest.mark.parametrize("how", WAYS)
def test_a_transfer_carries_the_zone_whole(server: NameServer, family: Family, tmp_path: Path, how: str) -> None:
    zone = f"{how}.{TOP}"
    signed, transferred = family.rich[how].file, tmp_path / zone
    assert signed is not None
    records = dig(server.endpoint, zone, "AXFR").records
    transferred.write_text("".join(f"{record}\n" for record in records[:-1]))
    assert records[-1] == records[0]
    assert records_in_file(transferred, zone) == records_in_file(signed, zone)
    for status, text in (
        dnssec_verify(transferred, zone),
        named_compilezone(transferred, zone),
        # It takes the names that opt-out leaves out for errors, as its manual says.
        *([] if how in LEAVES_DELEGATIONS_OUT else [ldns_verify_zone(transferred, zone)]),
    ):
        assert status == 0, text


# Without DO


@pytest.fixture(scope="module")
def server_without_dnssec(tmp_path_factory: pytest.TempPathFactory, serve_all: Serve, family: Family) -> NameServer:
    """Has the same zones, less what signing added; records are in the same order."""
    folder = tmp_path_factory.mktemp("plain")
    zones = []
    for how in SOME_WAYS:
        name = f"{how}.{TOP}"
        zone = dns.zone.from_file(str(family.rich[how].file), origin=name, relativize=False)
        for owner, rdataset in list(zone.iterate_rdatasets()):
            if dns.rdatatype.to_text(rdataset.rdtype) in DNSSEC_TYPES:
                zone.delete_rdataset(owner, rdataset.rdtype, rdataset.covers)
        zone.to_file(str(folder / name), relativize=False)
        zones.append(Zone(name, folder / name))
    return serve_all(zones)


@pytest.mark.parametrize("how", SOME_WAYS)
def test_nothing_that_was_not_asked_for(server: NameServer, server_without_dnssec: NameServer, how: str) -> None:
    """Without DO the answers are those of the same zone without DNSSEC, octet for octet (RFC 4035 §3.1)."""
    zone = f"{how}.{TOP}"
    types = [*ASKED_OF_ALL, "CNAME", "NS", "MX"]
    queries = [
        dns.message.make_query(absolute(name, zone), rdtype, use_edns=edns, payload=1232).to_wire()
        for name in (*EXPECTED, "host.cut.lonely", "ns1.plain", "x.occluded.secure")
        for rdtype in types
        for edns in (None, 0)
    ]
    answers = (exchange(each.endpoint, queries) for each in (server, server_without_dnssec))
    for with_dnssec, without in zip(*answers, strict=True):
        assert with_dnssec == without, f"{dns.message.from_wire(with_dnssec)}\n\n{dns.message.from_wire(without)}"


@pytest.mark.parametrize("how", SOME_WAYS)
def test_dnssec_types_come_when_they_are_asked_for(server: NameServer, how: str) -> None:
    """Without DO as well (RFC 4035 §3.1.1: unless explicitly requested), and then alone."""
    for name, rdtype in (
        ("@", "DNSKEY"),
        ("www", "RRSIG"),
        ("secure", "DS"),
        ("www", "NSEC") if how in NSEC_WAYS else ("@", "NSEC3PARAM"),
    ):
        (response,) = ask_all(server.endpoint, [(absolute(name, f"{how}.{TOP}"), rdtype)], dnssec_ok=False)
        sections = (*response.answer, *response.authority, *response.additional)
        assert {rdtype_of(rrset) for rrset in sections} == {rdtype}, response.to_text()


# Tampered with

ADDRESS = "192.0.2.53"
SMALL = (
    HEAD
    + """\
www         IN A     192.0.2.80
mail        IN A     192.0.2.25
*.wild      IN A     192.0.2.99
plain       IN NS    ns1.plain
ns1.plain   IN A     {child}
secure      IN NS    ns1.plain
"""
)
PAST = "20250101000000", "20250201000000"
CHILD = HEAD + "host IN A 203.0.113.7\n"

Edit = Callable[[dns.zone.Zone, dns.name.Name], None]


def change_address(zone: dns.zone.Zone, origin: dns.name.Name) -> None:
    rdataset = dns.rdataset.from_text("IN", "A", 3600, "192.0.2.66")
    zone.replace_rdataset(name_in(origin, "www"), rdataset)


def swap_signatures(zone: dns.zone.Zone, origin: dns.name.Name) -> None:
    www, mail = name_in(origin, "www"), name_in(origin, "mail")
    of_www, of_mail = (zone.find_rdataset(name, "RRSIG", "A") for name in (www, mail))
    zone.replace_rdataset(www, of_mail)
    zone.replace_rdataset(mail, of_www)


def remove_signature(zone: dns.zone.Zone, origin: dns.name.Name) -> None:
    zone.delete_rdataset(name_in(origin, "www"), "RRSIG", "A")


def name_in(origin: dns.name.Name, name: str) -> dns.name.Name:
    return dns.name.from_text(name, origin)


def remove_proof_of(name: str) -> Edit:
    """Removes the NSEC or NSEC3 at the name, or the one that covers it."""

    def remove(zone: dns.zone.Zone, origin: dns.name.Name) -> None:
        nsec3 = {owner.labels[0].upper().decode(): owner for owner, _ in zone.iterate_rdatasets(dns.rdatatype.NSEC3)}
        if nsec3:
            hashed = dns.dnssec.nsec3_hash(name_in(origin, name), "", 0, 1)
            assert hashed
            owner = nsec3[max((each for each in nsec3 if each <= hashed), default=max(nsec3))]
        else:
            owners = [owner for owner, _ in zone.iterate_rdatasets(dns.rdatatype.NSEC)]
            owner = max(each for each in owners if each <= name_in(origin, name))
        for rdtype in ("NSEC", "NSEC3"):
            zone.delete_rdataset(owner, rdtype)
            zone.delete_rdataset(owner, "RRSIG", rdtype)

    return remove


def nothing(zone: dns.zone.Zone, origin: dns.name.Name) -> None:
    """For zones that were wrong before they were signed."""


class Tampering(NamedTuple):
    """What was done to a zone signed in this way, the question that shows it, and what is said to that."""

    how: str
    edit: Edit
    name: str
    said_by_unbound: str
    said_by_delv: str


NOT_PROVED = "no valid (RRSIG|NSEC)|insecurity proof failed|broken trust chain"
TAMPERED = {
    "changed": Tampering("nsec", change_address, "www", "signature crypto failed", "RRSIG failed to verify"),
    "swapped": Tampering("nsec3", swap_signatures, "www", "signature crypto failed", "RRSIG failed to verify"),
    "unsigned": Tampering("nsec", remove_signature, "www", "no signatures", "insecurity proof failed"),
    "expired": Tampering("nsec", nothing, "www", "signature expired", "RRSIG has expired"),
    "no-nsec": Tampering("nsec", remove_proof_of("nothing"), "nothing", "nameerror proof failed", NOT_PROVED),
    "no-nsec3": Tampering("nsec3", remove_proof_of("absent"), "absent", "nameerror proof failed", NOT_PROVED),
    "no-nsec-at-wildcard": Tampering(
        "nsec", remove_proof_of("any.wild"), "any.wild", "wildcard proof failed", NOT_PROVED
    ),
    "no-nsec3-at-wildcard": Tampering(
        "nsec3", remove_proof_of("any.wild"), "any.wild", "wildcard proof failed", NOT_PROVED
    ),
    "no-nsec-at-cut": Tampering("nsec", remove_proof_of("plain"), "host.plain", "for DS plain", NOT_PROVED),
    "no-nsec3-at-cut": Tampering("nsec3", remove_proof_of("plain"), "host.plain", "for DS plain", NOT_PROVED),
    "wrong-ds": Tampering("nsec", nothing, "host.secure", "no keys have a DS", "broken trust chain"),
}


@pytest.fixture(scope="module")
def tampered_zones(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Zone], dict[str, str]]:
    """The zones with their children, and the keys to trust in."""
    folder = tmp_path_factory.mktemp("tampered")
    zones, keys = [], {}
    for case, tampering in TAMPERED.items():
        origin = f"{case}.{TOP}"
        other_key = key_signing_key().replace("257 3 13 R", "257 3 13 S")
        delegation = delegation_signer(f"secure.{origin}", [other_key] if case == "wrong-ds" else [])
        file = write(folder / origin, SMALL, origin, ADDRESS, delegation)
        if case == "expired":
            file, (keys[case],) = sign_with_new_keys(
                file,
                origin,
                folder / case,
                ["ECDSAP256SHA256"],
                Denial(),
                inception="20250101000000",
                expiration="20250201000000",
            )
        else:
            file, keys[case] = sign(file, origin, tampering.how, folder / case), key_signing_key()
        zone = dns.zone.from_file(str(file), origin=origin, relativize=False)
        tampering.edit(zone, name_in(dns.name.root, origin))
        zone.to_file(str(folder / origin), relativize=False)
        zones.append(Zone(origin, folder / origin))
        if tampering.name.startswith("host."):
            child = f"{tampering.name.partition('.')[2]}.{origin}"
            file = write(folder / child, CHILD, child, ADDRESS)
            signed = child.startswith("secure")
            zones.append(Zone(child, sign(file, child, "nsec", folder / f"{case}.child") if signed else file))
    return zones, keys


@pytest.fixture(scope="module")
def tampered_server(serve_all: Serve, tampered_zones: tuple[list[Zone], dict[str, str]]) -> NameServer:
    return serve_all(tampered_zones[0])


@pytest.fixture(scope="module")
def misled(
    tmp_path_factory: pytest.TempPathFactory,
    tampered_server: NameServer,
    tampered_zones: tuple[list[Zone], dict[str, str]],
) -> Iterator[NameServer]:
    zones, keys = tampered_zones
    anchors = [anchor(f"{case}.{TOP}", key) for case, key in keys.items()]
    folder = tmp_path_factory.mktemp("misled")
    with Unbound(folder, stubs((tampered_server, zones)), anchors=anchors) as unbound:
        yield unbound


@requires("delv")
@pytest.mark.parametrize("case", TAMPERED)
def test_a_tampered_zone_is_bogus(
    tmp_path: Path,
    tampered_zones: tuple[list[Zone], dict[str, str]],
    tampered_server: NameServer,
    misled: NameServer,
    case: str,
) -> None:
    """authdns serves what it is given; who validates sees what was done to it, and only where it was."""
    tampering, origin = TAMPERED[case], f"{case}.{TOP}"
    asked = (absolute(tampering.name, origin), "A")
    (served,) = ask_all(tampered_server.endpoint, [asked])
    assert dns.rcode.to_text(served.rcode()) == ("NXDOMAIN" if tampering.name in ("nothing", "absent") else "NOERROR")

    (found,) = validate(misled, [asked])
    assert found.outcome == Outcome("SERVFAIL", False, False)
    assert re.search(f"validation failure.*{tampering.said_by_unbound}", found.why), found.why

    text = delv(tampered_server.endpoint, tmp_path, origin, *asked, key=tampered_zones[1][case])
    assert re.search(tampering.said_by_delv, text), text
    assert "fully validated" not in text

    if case != "expired":
        untouched = [(absolute("ns1", origin), "A"), (absolute("secure", origin), "DS")]
        expected = [Outcome("NOERROR", True, True)] * 2
        assert mistaken(misled, untouched, expected) == []


def test_a_chain_that_lacks_its_apex_is_served(tmp_path: Path, serve: Serve, stack: ExitStack) -> None:
    """No closest encloser can be proved in it, and a walk up to one finds no end (RFC 5155 §7.2.1)."""
    origin = f"headless.{TOP}"
    file = sign(write(tmp_path / origin, SMALL, origin, ADDRESS), origin, "nsec3", tmp_path / "signed")
    zone = dns.zone.from_file(str(file), origin=origin, relativize=False)
    remove_proof_of("@")(zone, name_in(dns.name.root, origin))
    zone.to_file(str(tmp_path / origin), relativize=False)
    server = serve([Zone(origin, tmp_path / origin)])
    resolver = stack.enter_context(
        Unbound(tmp_path / "unbound", [Zone(origin, primary=server.endpoint)], anchors=[anchor(origin)])
    )
    expected = {
        ("www", "A"): Outcome("NOERROR", True, True),
        ("www", "TXT"): Outcome("NOERROR", False, True),
        ("@", "TXT"): Outcome("SERVFAIL", False, False),
        ("nothing", "A"): Outcome("SERVFAIL", False, False),
    }
    asked = [(absolute(name, origin), rdtype) for name, rdtype in expected]
    assert mistaken(resolver, asked, list(expected.values())) == []
    unproved = ask_all(server.endpoint, asked)
    assert [dns.rcode.to_text(each.rcode()) for each in unproved] == ["NOERROR", "NOERROR", "NOERROR", "NXDOMAIN"]


# Several chains, several keys


class Signed(NamedTuple):
    """A zone made from SMALL, the keys to trust in it, and whether what is not there can be proved."""

    file: Path
    keys: Sequence[str]
    provable: bool = True
    signatures: int = 1


Maker = Callable[[Path, str], Signed]
PARAMS = ["1 0 1 aabb", "1 0 2 beef"]
FIRST, SECOND = Denial(salt="aabb", iterations=1), Denial(salt="beef", iterations=2)


def small(folder: Path, origin: str, params: Sequence[str] = ()) -> Path:
    folder.mkdir(exist_ok=True)
    more = delegation_signer(f"secure.{origin}") + "".join(f"{origin}. IN NSEC3PARAM {each}\n" for each in params)
    return write(folder / "small.zone", SMALL, origin, ADDRESS, more)


def by_ldns(folder: Path, origin: str, denial: Denial, params: Sequence[str]) -> dns.zone.Zone:
    """Signed with one chain; ldns leaves the NSEC3PARAMs that are there as they are, and signs them."""
    file = sign_with(with_ldns_signzone, denial, small(folder, origin, params), origin, folder)
    return dns.zone.from_file(str(file), origin=origin, relativize=False)


def add_chain(zone: dns.zone.Zone, other: dns.zone.Zone) -> None:
    """The NSEC3s of the other zone, with their signatures."""
    for owner, rdataset in other.iterate_rdatasets():
        if dns.rdatatype.NSEC3 in (rdataset.rdtype, rdataset.covers):
            zone.replace_rdataset(owner, rdataset)


def written(zone: dns.zone.Zone, folder: Path, provable: bool = True) -> Signed:
    zone.to_file(str(folder / "made.zone"), relativize=False)
    return Signed(folder / "made.zone", [key_signing_key()], provable)


def two_chains(folder: Path, origin: str) -> Signed:
    zone = by_ldns(folder, origin, FIRST, PARAMS)
    add_chain(zone, by_ldns(folder, origin, SECOND, PARAMS))
    return written(zone, folder)


def two_parameters_one_chain(folder: Path, origin: str) -> Signed:
    return written(by_ldns(folder, origin, SECOND, PARAMS), folder)


def nsec_beside_nsec3(folder: Path, origin: str) -> Signed:
    zone = by_ldns(folder, origin, Denial(), PARAMS[:1])
    add_chain(zone, by_ldns(folder, origin, FIRST, PARAMS[:1]))
    return written(zone, folder)


def nsec_beside_nsec3_without_parameters(folder: Path, origin: str) -> Signed:
    """As while a chain is being built: it must not be used (RFC 5155 §4)."""
    zone = by_ldns(folder, origin, Denial(), [])
    add_chain(zone, by_ldns(folder, origin, FIRST, PARAMS[:1]))
    return written(zone, folder)


def nsec3_without_parameters(folder: Path, origin: str) -> Signed:
    """What exists is signed, but the server is not told that there is a chain to prove the rest with."""
    zone = by_ldns(folder, origin, FIRST, PARAMS[:1])
    apex = name_in(dns.name.root, origin)
    for covers in ("NONE", "NSEC3PARAM"):
        zone.delete_rdataset(apex, "NSEC3PARAM" if covers == "NONE" else "RRSIG", covers)
    return written(zone, folder, provable=False)


def with_keys(*algorithms: str, denial: Denial, zone_signing_keys: int = 1) -> Maker:
    def make(folder: Path, origin: str) -> Signed:
        file, keys = sign_with_new_keys(
            small(folder, origin), origin, folder, algorithms, denial, zone_signing_keys=zone_signing_keys
        )
        return Signed(file, keys, signatures=len(algorithms) * zone_signing_keys)

    return make


def with_denial(salt: str, iterations: int) -> Maker:
    def make(folder: Path, origin: str) -> Signed:
        denial = Denial(salt=salt, iterations=iterations)
        return Signed(
            sign_with(with_dnssec_signzone, denial, small(folder, origin), origin, folder), [key_signing_key()]
        )

    return make


MAKERS: dict[str, Maker] = {
    "two-chains": two_chains,
    "two-parameters-one-chain": two_parameters_one_chain,
    "nsec-beside-nsec3": nsec_beside_nsec3,
    "nsec-beside-nsec3-without-parameters": nsec_beside_nsec3_without_parameters,
    "nsec3-without-parameters": nsec3_without_parameters,
    "salt-empty-iterations-1": with_denial("", 1),
    "salt-long-iterations-0": with_denial("ab" * 255, 0),
    "salt-long-iterations-150": with_denial("cd" * 255, 150),
    "rsa": with_keys("RSASHA256", denial=Denial(salt="")),
    "p384": with_keys("ECDSAP384SHA384", denial=Denial()),
    "ed25519": with_keys("ED25519", denial=Denial(salt="", opt_out=True)),
    "ed25519-and-p256": with_keys("ED25519", "ECDSAP256SHA256", denial=Denial(salt="")),
    "two-keys": with_keys("ECDSAP256SHA256", denial=Denial(), zone_signing_keys=2),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Signed]:
    folder = tmp_path_factory.mktemp("made")
    return {name: make(folder / name, f"{name}.{TOP}") for name, make in MAKERS.items()}


@pytest.fixture(scope="module")
def made_server(serve_all: Serve, made: dict[str, Signed]) -> NameServer:
    return serve_all([Zone(f"{name}.{TOP}", signed.file) for name, signed in made.items()])


@pytest.fixture(scope="module")
def made_resolver(
    tmp_path_factory: pytest.TempPathFactory, made: dict[str, Signed], made_server: NameServer
) -> Iterator[NameServer]:
    zones = [Zone(f"{name}.{TOP}", primary=made_server.endpoint) for name in made]
    anchors = [anchor(f"{name}.{TOP}", key) for name, signed in made.items() for key in signed.keys]
    folder = tmp_path_factory.mktemp("unbound")
    with Unbound(folder, zones, anchors=anchors, more="harden-algo-downgrade: yes") as unbound:
        yield unbound


@requires("delv")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.only_authdns] * (name in NOT_BY_PEERS)) for name in MAKERS]
)
def test_chains_and_keys(
    tmp_path: Path, made: dict[str, Signed], made_server: NameServer, made_resolver: NameServer, name: str
) -> None:
    zone, signed = f"{name}.{TOP}", made[name]
    proved = name != "ed25519"  # the one with opt-out
    expected = {
        ("www", "A"): Outcome("NOERROR", True, True),
        ("@", "DNSKEY"): Outcome("NOERROR", True, True),
        ("secure", "DS"): Outcome("NOERROR", True, True),
        ("any.wild", "A"): Outcome("NOERROR", True, proved),
        ("nothing", "A"): Outcome("NXDOMAIN", False, proved),
        ("a.b.nothing", "A"): Outcome("NXDOMAIN", False, proved),
        ("any.wild", "TXT"): Outcome("NOERROR", False, proved),
        ("plain", "DS"): Outcome("NOERROR", False, proved),
        ("www", "TXT"): Outcome("NOERROR", False, True),
        ("wild", "A"): Outcome("NOERROR", False, True),
    }
    if not signed.provable:
        needs_none = [("www", "A"), ("@", "DNSKEY"), ("secure", "DS")]
        expected |= dict.fromkeys(expected.keys() - needs_none, Outcome("SERVFAIL", False, False))
    asked = [(absolute(owner, zone), rdtype) for owner, rdtype in expected]
    assert mistaken(made_resolver, asked, list(expected.values())) == []

    text = delv(made_server.endpoint, tmp_path, zone, absolute("nothing", zone), key=signed.keys[0])
    assert ("; negative response, fully validated" in text) == signed.provable, text
    (www,) = ask_all(made_server.endpoint, [(absolute("www", zone), "A")])
    assert [len(rrset) for rrset in www.answer] == [1, signed.signatures]
