"""Signed zones, served as they came from their signers, validate: unbound and delv with a trust anchor find secure what
is and insecure what is not signed, the tools that verify whole zones find nothing wrong with what is transferred; and
who does not ask for DNSSEC does not get it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.zone
import pytest

from tests.interop.conftest import CONTROL_RUN, Serve
from tests.interop.signed_zones import (
    ASKED_OF_ALL,
    EXPECTED,
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
    write_all,
)
from tests.interop.validating import Question, anchor, is_of, mistaken, rdtype_of, records_of, stubs
from tests.peers import NameServer, Unbound, Zone, ask_all, dig, exchange, records_in_file, requires
from tests.peers.availability import SIGNERS
from tests.peers.signing import HOW
from tests.peers.validators import delv, dnssec_verify, kdig, ldns_verify_zone, named_compilezone

pytestmark = requires("unbound", "dig", *SIGNERS)

WAYS = list(HOW)
SOME_WAYS = ["nsec", "nsec3", "opt-out"]
DNSSEC_TYPES = {"RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY"}


def asked_of(how: str) -> list[Question]:
    asked = list(questions(how))
    if CONTROL_RUN and how in NSEC_WAYS:  # BIND does not prove that a wildcard is an empty non-terminal
        asked = [(name, rdtype) for name, rdtype in asked if name not in ("x.star", "x.y.star", "x.mid")]
    return asked


def mistakes(resolver: NameServer, how: str, asked: Sequence[Question]) -> list[str]:
    """What the resolver takes for something else than the table does; names are relative to the zone."""
    absolutely = [(absolute(name, f"{how}.{TOP}"), rdtype) for name, rdtype in asked]
    return mistaken(resolver, absolutely, [outcome(how, *question) for question in asked])


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
    assert mistakes(resolver, how, asked_of(how)) == []


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
    assert mistakes(unbound, how, asked) == []


def test_answers_that_no_datagram_holds(
    tmp_path: Path, stack: ExitStack, family: Family, server: NameServer, other_server: NameServer
) -> None:
    """Proofs are not left out to make an answer fit (RFC 4035 §3.1): it comes over TCP."""
    how = "nsec3-salt"
    zones = stubs((server, [family.rich[how]]), (other_server, [family.top]))
    more = "edns-buffer-size: 512"
    unbound = stack.enter_context(Unbound(tmp_path / "unbound", zones, anchors=[anchor(TOP)], more=more))
    asked = [(name, rdtype) for name in ("www", "big", "nothing", "any.wild", "x.star") for rdtype in ASKED_OF_ALL]
    assert mistakes(unbound, how, asked) == []
    assert "tc" in dig(server.endpoint, "+dnssec", "+bufsize=512", "+ignore", f"nothing.{how}.{TOP}").flags


@pytest.mark.parametrize("how", SOME_WAYS)
def test_additional_records_are_signed(server: NameServer, how: str) -> None:
    (response,) = ask_all(server.endpoint, [(absolute("@", f"{how}.{TOP}"), "MX")])
    assert [rdtype_of(rrset) for rrset in response.additional] == ["A", "RRSIG"]
    assert is_of(response.additional[1], "A")


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
    for how in SOME_WAYS:
        assert mistakes(unbound, how, [(name, rdtype) for name in names for rdtype in ASKED_OF_ALL]) == []


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
    assert mistakes(unbound, how, asked) == []


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
