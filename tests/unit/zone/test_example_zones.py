"""The zones that are served as an example: free of warnings here and with the peers, and true to each other."""

import ipaddress
import subprocess
from pathlib import Path

import pytest

from authdns.wire import name as names
from authdns.wire.rdata import name_at
from authdns.wire.types import Type
from authdns.zone.printer import print_zone
from authdns.zone.problem import Severity
from authdns.zone.reader import Reading, read_zone
from tests.peers.availability import binary_of

FOLDER = Path(__file__).parents[3] / "zones"
ZONES = ["example.com", "2.0.192.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"]
FORWARD, *REVERSE = ZONES
U_LABEL, A_LABEL = "bücher", "xn--bcher-kva"
DOCUMENTATION = [  # RFC 5737, RFC 3849
    ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]


def read(zone: str) -> Reading:
    apex = names.from_text(zone + ".")
    return read_zone(str(FOLDER / f"{zone}.zone"), apex, lambda path: Path(path).read_bytes())


def addresses(zone: str) -> dict[bytes, set[str]]:
    """Owner -> its addresses as text."""
    reading = read(zone)
    assert reading.zone is not None
    return {
        owner: {
            str(ipaddress.ip_address(rdata))
            for rrset in rrsets
            if rrset.type in (Type.A, Type.AAAA)
            for rdata in rrset.rdatas
        }
        for owner, rrsets in reading.zone.names.items()
    }


def run_peer(program: str, *arguments: str) -> str:
    """The output, if the program found nothing wrong."""
    binary = binary_of(program)
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=30, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def test_every_zone_in_the_folder_is_tested() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.zone")) == sorted(ZONES)


@pytest.mark.parametrize("zone", ZONES)
def test_an_example_zone_has_no_mistake(zone: str) -> None:
    reading = read(zone)
    assert reading.zone is not None
    assert not [str(problem) for problem in reading.problems if problem.severity is not Severity.NOTE]


def test_the_included_key_is_no_zone_and_longer_than_one_string() -> None:
    reading = read(FORWARD)
    assert [Path(file).name for file in reading.files] == ["example.com.zone", "mail.txt"]
    assert reading.zone is not None
    rrset = reading.zone.rrset(names.from_text("mail._domainkey.example.com."), Type.TXT)
    assert rrset is not None
    assert len(rrset.rdatas[0]) > 256


def test_the_internationalised_name_is_there_in_its_ascii_form() -> None:
    assert U_LABEL in (FOLDER / "example.com.zone").read_text("utf-8")
    reading = read(FORWARD)
    assert reading.zone is not None
    assert reading.zone.rrset(names.from_text(f"{A_LABEL}.example.com."), Type.CNAME) is not None


def test_all_addresses_are_set_aside_for_documentation() -> None:
    found = {address for of_name in addresses(FORWARD).values() for address in of_name}
    assert len(found) > 10
    for text in found:
        address = ipaddress.ip_address(text)
        assert any(address in network for network in DOCUMENTATION if network.version == address.version), text


@pytest.mark.parametrize("zone", REVERSE)
def test_each_reverse_name_leads_back_to_its_address(zone: str) -> None:
    forward = addresses(FORWARD)
    reading = read(zone)
    assert reading.zone is not None
    pointers = [
        (owner, rrset.rdatas[0])
        for owner, rrsets in reading.zone.names.items()
        for rrset in rrsets
        if rrset.type == Type.PTR
    ]
    assert pointers
    for owner, rdata in pointers:
        reverse = {ipaddress.ip_address(text).reverse_pointer for text in forward[name_at(rdata)]}
        assert names.to_text(owner).rstrip(".") in reverse


@pytest.mark.interop
@pytest.mark.parametrize("zone", ZONES)
def test_named_checkzone_has_nothing_to_say(zone: str, tmp_path: Path) -> None:
    text = (FOLDER / f"{zone}.zone").read_text("utf-8").replace(U_LABEL, A_LABEL)
    path = tmp_path / f"{zone}.zone"
    path.write_text(text)
    # -w: BIND looks for an included file where it runs, we (and Knot) beside the file that includes it
    output = run_peer("named-checkzone", "-i", "local", "-k", "warn", "-w", str(FOLDER), zone, str(path))
    assert all(line == "OK" or "loaded serial" in line for line in output.splitlines()), output


@pytest.mark.interop
@pytest.mark.parametrize("zone", ZONES)
def test_kzonecheck_has_nothing_to_say(zone: str, tmp_path: Path) -> None:
    reading = read(zone)
    assert reading.zone is not None
    path = tmp_path / f"{zone}.zone"
    path.write_text("\n".join(print_zone(reading.zone)) + "\n")  # as printed: Knot has no $GENERATE
    assert run_peer("kzonecheck", "-o", zone, str(path)).strip() == ""
