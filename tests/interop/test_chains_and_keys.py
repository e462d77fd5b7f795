"""Signed zones with several chains, none, odd parameters, other algorithms and more keys than one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import dns.name
import dns.rdatatype
import dns.zone
import pytest

from tests.interop.conftest import Serve
from tests.interop.signed_zones import ADDRESS, SMALL, TOP, Outcome, absolute, write
from tests.interop.validating import anchor, mistaken, name_in
from tests.peers import NameServer, Unbound, Zone, ask_all, requires
from tests.peers.signing import (
    Denial,
    delegation_signer,
    key_signing_key,
    sign,
    sign_with,
    sign_with_new_keys,
    with_dnssec_signzone,
    with_ldns_signzone,
)
from tests.peers.validators import delv

pytestmark = requires("unbound", "delv", "dnssec-signzone", "dnssec-keygen", "ldns-signzone")


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


NOT_BY_PEERS = {"two-parameters-one-chain", "nsec3-without-parameters"}  # BIND then proves, or signs, nothing


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


ROOT = """\
$TTL 3600
.           IN SOA   ns.a. hostmaster.a. ( 7 86400 43200 2419200 300 )
            IN NS    ns.a.
a.          IN TXT   "a name at the top"
ns.a.       IN A     192.0.2.1
*.wild.     IN TXT   "from the wildcard"
b.deep.     IN A     192.0.2.2
plain.      IN NS    ns.a.
cut.lonely. IN NS    ns.a.
"""


@pytest.mark.parametrize("how", ["nsec", "nsec3", "opt-out"])
def test_the_root(tmp_path: Path, serve: Serve, stack: ExitStack, how: str) -> None:
    """Chains whose apex has no labels."""
    (tmp_path / "root").write_text(ROOT)
    root = serve([Zone(".", sign(tmp_path / "root", ".", how, tmp_path / "signed"))])
    zones = [Zone(".", primary=root.endpoint)]
    unbound = stack.enter_context(Unbound(tmp_path / "unbound", zones, anchors=[f". IN DNSKEY {key_signing_key()}"]))
    proved = how != "opt-out"
    expected = {
        (".", "SOA"): Outcome("NOERROR", True, True),
        (".", "A"): Outcome("NOERROR", False, True),
        ("a.", "TXT"): Outcome("NOERROR", True, True),
        ("deep.", "A"): Outcome("NOERROR", False, True),
        ("x.deep.", "A"): Outcome("NXDOMAIN", False, proved),
        ("nothing.", "A"): Outcome("NXDOMAIN", False, proved),
        ("x.y.nothing.", "A"): Outcome("NXDOMAIN", False, proved),
        ("any.wild.", "TXT"): Outcome("NOERROR", True, proved),
        ("any.wild.", "A"): Outcome("NOERROR", False, proved),
        ("plain.", "DS"): Outcome("NOERROR", False, proved),
        ("cut.lonely.", "DS"): Outcome("NOERROR", False, proved),
        ("lonely.", "A"): Outcome("NOERROR", False, proved),
        ("x.lonely.", "A"): Outcome("NXDOMAIN", False, proved),
    }
    assert mistaken(unbound, list(expected), list(expected.values())) == []
