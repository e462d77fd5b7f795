"""A signed zone that was tampered with is bogus to unbound and to delv, where it was and nowhere else; and authdns
serves it, for it is not the server's part to validate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import dns.dnssec
import dns.name
import dns.rcode
import dns.rdataset
import dns.rdatatype
import dns.zone
import pytest

from tests.interop.conftest import Serve
from tests.interop.signed_zones import ADDRESS, HEAD, SMALL, TOP, Outcome, absolute, write
from tests.interop.validating import anchor, mistaken, name_in, stubs, validate
from tests.peers import NameServer, Unbound, Zone, ask_all, requires
from tests.peers.signing import Denial, delegation_signer, key_signing_key, sign, sign_with_new_keys
from tests.peers.validators import delv

pytestmark = requires("unbound", "delv", "dnssec-signzone", "dnssec-keygen")


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
