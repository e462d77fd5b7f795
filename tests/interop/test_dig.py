"""What a user with dig sees, and what the log says about it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.conftest import Serve
from tests.interop.zones import EXAMPLE_COM, EXAMPLE_NET, write
from tests.peers import Authdns, NameServer, Zone, axfr, dig, records_in_file, requires

pytestmark = requires("dig")

STRANGER = "127.0.0.2"  # may ask, but not transfer


@pytest.fixture(scope="module")
def zone_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("zones") / "example.com.zone", EXAMPLE_COM, "example.com", 1)


@pytest.fixture(scope="module")
def server(serve_all: Serve, zone_file: Path) -> NameServer:
    """For all tests that only ask."""
    return serve_all([Zone("example.com", zone_file)])


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    """For a test that edits the zone."""
    return write(tmp_path / "example.com.zone", EXAMPLE_COM, "example.com", 1)


@pytest.fixture
def own_server(serve: Serve, own_file: Path) -> NameServer:
    return serve([Zone("example.com", own_file)])


def test_axfr(server: NameServer, zone_file: Path) -> None:
    mark = server.log_mark()
    found = dig(server.endpoint, "example.com", "AXFR")
    records = found.records
    assert len(records) == len(records_in_file(zone_file, "example.com")) + 1
    assert records[0] == records[-1]
    assert records[0].startswith("example.com. 3600 IN SOA ")
    client = r"client (?:@\S+ )?127\.0\.0\.1#\d+.*: transfer of 'example\.com/IN': AXFR "
    server.wait_for_log(client + "started", since=mark)
    server.wait_for_log(client + r"ended: .*\d+ records, \d+ bytes, [\d.]+ s", since=mark)


def test_axfr_by_a_stranger_is_refused_with_the_reason_in_the_log(server: NameServer) -> None:
    mark = server.log_mark()
    found = dig(server.endpoint, "-b", STRANGER, "example.com", "AXFR")
    assert "Transfer failed" in found.text
    assert not any(" SOA " in record for record in found.records)
    server.wait_for_log(r"client (?:@\S+ )?127\.0\.0\.2#\d+.*transfer.*example\.com.*(denied|refused)", since=mark)
    assert dig(server.endpoint, "-b", STRANGER, "www.example.com").status == "NOERROR"


def test_axfr_of_a_zone_that_is_not_here(server: NameServer) -> None:
    assert "Transfer failed" in dig(server.endpoint, "example.org", "AXFR").text
    assert dig(server.endpoint, "example.org", "SOA").status == "REFUSED"


def test_udp_and_tcp_answer_alike(server: NameServer) -> None:
    for name, rdtype in (("www.example.com", "A"), ("nothing.example.com", "A"), ("example.com", "MX")):
        udp, tcp = dig(server.endpoint, name, rdtype), dig(server.endpoint, name, rdtype, "+tcp")
        assert not udp.over_tcp
        assert tcp.over_tcp
        assert (udp.status, udp.flags, udp.sections) == (tcp.status, tcp.flags, tcp.sections)


def test_several_questions_over_one_connection(server: NameServer) -> None:
    found = dig(
        server.endpoint, "+tcp", "+keepopen", "www.example.com", "AAAA", "+tcp", "+keepopen", "mail.example.com", "A"
    )
    assert "2001:db8::80" in found.text
    assert "192.0.2.25" in found.text


def test_truncation_sends_dig_to_tcp(server: NameServer) -> None:
    udp = dig(server.endpoint, "big.example.com", "TXT", "+notcp", "+ignore")
    assert "tc" in udp.flags
    assert not udp.over_tcp
    retried = dig(server.endpoint, "big.example.com", "TXT", "+notcp")
    assert "Truncated, retrying in TCP mode" in retried.text
    assert retried.over_tcp
    assert "tc" not in retried.flags
    assert len(retried.answer) == 4
    large = dig(server.endpoint, "big.example.com", "TXT", "+notcp", "+ignore", "+edns=0", "+bufsize=1232")
    assert "tc" not in large.flags
    assert len(large.answer) == 4


def test_edns_version_1_is_badvers(server: NameServer) -> None:
    found = dig(server.endpoint, "www.example.com", "+edns=1", "+noednsnegotiation")
    assert found.status == "BADVERS"
    assert found.answer == []
    assert "EDNS: version: 0" in found.text
    assert dig(server.endpoint, "www.example.com", "+edns=1", "+ednsnegotiation").status == "NOERROR"


@pytest.mark.parametrize(
    "option", ["+nsid", "+cookie", "+subnet=192.0.2.0/24", "+ednsopt=65001:00ff", "+ednsflags=0x1"]
)
def test_edns_options_do_not_disturb(server: NameServer, option: str) -> None:
    found = dig(server.endpoint, "mail.example.com", "+norec", "+edns=0", option)
    assert found.status == "NOERROR"
    assert found.answer == ["mail.example.com. 3600 IN A 192.0.2.25"]
    assert "EDNS: version: 0" in found.text
    assert "warning" not in found.text.lower()


def test_recursion_is_not_available(server: NameServer) -> None:
    wanted = dig(server.endpoint, "www.example.com", "+rec")
    assert {"aa", "rd"} <= wanted.flags
    assert "ra" not in wanted.flags
    assert "recursion requested but not available" in wanted.text
    unwanted = dig(server.endpoint, "www.example.com", "+norec")
    assert "aa" in unwanted.flags
    assert not {"rd", "ra"} & unwanted.flags


def test_the_case_of_the_question_comes_back(server: NameServer) -> None:
    found = dig(server.endpoint, "WwW.eXample.COM", "AAAA")
    assert found.status == "NOERROR"
    assert ";WwW.eXample.COM." in found.text


@pytest.mark.only_authdns
def test_version_is_not_told(server: NameServer) -> None:
    found = dig(server.endpoint, "version.bind", "CH", "TXT")
    assert found.status == "REFUSED"
    assert found.answer == []


def test_a_broken_edit_keeps_the_old_version_and_says_where(own_server: NameServer, own_file: Path) -> None:
    mark = own_server.log_mark()
    text_before = own_file.read_text()
    write(own_file, EXAMPLE_COM, "example.com", 2, "broken IN A not-an-address\n")
    line = len(text_before.splitlines()) + 1
    own_server.zone_file_changed()
    own_server.wait_for_log(rf"example\.com\.zone:{line}\b", since=mark)
    assert own_server.wait_until_serving("example.com") == 1
    assert dig(own_server.endpoint, "broken.example.com").status == "NXDOMAIN"

    write(own_file, EXAMPLE_COM, "example.com", 3, "mended IN A 192.0.2.201\n")
    own_server.zone_file_changed()
    own_server.wait_until_serving("example.com", 3)
    assert dig(own_server.endpoint, "mended.example.com").answer == ["mended.example.com. 3600 IN A 192.0.2.201"]


def test_sighup_reads_the_zone_again(own_server: NameServer, own_file: Path) -> None:
    write(own_file, EXAMPLE_COM, "example.com", 2)
    own_server.reload()
    own_server.wait_until_serving("example.com", 2)


def test_sigterm_ends_it_cleanly(own_server: NameServer) -> None:
    assert own_server.sigterm() == 0


@pytest.mark.only_authdns
def test_files_in_a_folder_are_zones_as_they_come_and_go(tmp_path: Path, stack: ExitStack) -> None:
    folder = tmp_path / "zones"
    folder.mkdir()
    com = write(folder / "example.com.zone", EXAMPLE_COM, "example.com", 1)
    server = stack.enter_context(
        Authdns(tmp_path / "authdns", [{"folder": str(folder), "allow-transfer": ["127.0.0.1"], "notify-ns": False}])
    )
    server.wait_until_serving("example.com", 1)
    assert dig(server.endpoint, "example.net", "SOA").status == "REFUSED"

    net = write(folder / "example.net.zone", EXAMPLE_NET, "example.net", 7)
    server.wait_until_serving("example.net", 7)
    assert axfr(server.endpoint, "example.net") == records_in_file(net, "example.net")
    assert axfr(server.endpoint, "example.com") == records_in_file(com, "example.com")
