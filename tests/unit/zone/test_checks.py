"""Each kind of mistake in a zone is found, weighed and put into words that lead to it; see `broken_zones`."""

import subprocess
from pathlib import Path

import pytest

from authdns.wire import name as names
from authdns.zone.problem import Problem, Problems, Severity
from authdns.zone.reader import read_zone
from tests.peers.availability import binary_of
from tests.unit.zone.broken_zones import (
    CASES,
    FIRST_LINE,
    MILDER_THAN,
    PRELUDE,
    REJECTED,
    SILENT,
    SOA,
    WARNED,
    WEIGHT,
    Case,
    with_lines,
)

every_case = pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])


def problems_of(text: str, apex: str = "example.com.") -> Problems:
    return read_zone("test.zone", names.from_text(apex), lambda path: text.encode()).problems


def the_only_problem(lines: str) -> Problem:
    [problem] = problems_of(with_lines(lines))
    return problem


def verdict(problems: Problems) -> str:
    return REJECTED if problems.errors else WARNED if problems.found else SILENT


@every_case
def test_a_mistake_is_found_and_weighed(case: Case) -> None:
    problems = problems_of(case.text)
    found = "\n".join(map(str, problems))
    assert verdict(problems) == case.verdicts[0], found
    assert case.says in found


@every_case
def test_we_are_milder_than_a_peer_only_for_a_reason(case: Case) -> None:
    ours, bind, knot = map(WEIGHT, case.verdicts)
    milder = {peer for peer, said in (("bind", bind), ("knot", knot)) if ours < said}
    assert milder == {peer for peer, reasons in MILDER_THAN.items() if case.what in reasons}


@pytest.mark.interop
@every_case
def test_named_checkzone_still_says_what_is_recorded(case: Case, tmp_path: Path) -> None:
    status, output = run_peer("named-checkzone", "-i", "local", "example.com", written(case, tmp_path))
    silent = all(line == "OK" or "loaded serial" in line for line in output.splitlines())
    assert (REJECTED if status else SILENT if silent else WARNED) == case.verdicts[1], output


@pytest.mark.interop
@every_case
def test_kzonecheck_still_says_what_is_recorded(case: Case, tmp_path: Path) -> None:
    status, output = run_peer("kzonecheck", "-o", "example.com", written(case, tmp_path))
    rejected = "Serious semantic error" in output or "failed to run" in output
    assert (REJECTED if rejected else WARNED if status else SILENT) == case.verdicts[2], output


def run_peer(program: str, *arguments: str) -> tuple[int, str]:
    binary = binary_of(program)
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def written(case: Case, folder: Path) -> str:
    path = folder / "test.zone"
    path.write_text(case.text)
    return str(path)


def test_a_problem_leads_to_its_line() -> None:
    problem = the_only_problem("mail A 192.0.2.3\n@ MX 10 mail\n@ MX 20 backup")
    assert (problem.place.file, problem.place.line) == ("test.zone", FIRST_LINE + 2)
    assert problem.severity is Severity.WARNING


def test_a_name_is_not_taken_for_an_address_for_a_digit_or_a_long_label() -> None:
    long = "x" * 58  # its length octet is that of a colon
    lines = f"@ MX 1 1.2.3.4.mail.example.org.\n@ MX 2 {long}.example.org.\n@ MX 3 4.example.org."
    assert not list(problems_of(with_lines(lines)))


def test_an_ipv6_address_is_no_target() -> None:
    assert "looks like an address" in the_only_problem("@ MX 10 2001:db8::1.").message


def test_an_alias_of_an_address_is_told_to_be_an_address_record() -> None:
    assert "use A or AAAA" in the_only_problem("www CNAME 192.0.2.7").message


def test_a_wildcard_alias_that_lacks_its_dot_answers_itself() -> None:
    assert "leads back to itself" in the_only_problem("* CNAME example.org").message


def test_a_loop_is_said_once_and_not_for_the_names_that_lead_into_it() -> None:
    assert "leads back" in the_only_problem("x CNAME a\na CNAME b\nb CNAME a").message


def test_a_long_chain_of_aliases_is_no_loop_and_a_long_loop_is_said_once() -> None:
    count = 5000
    chain = "\n".join(f"c{i} CNAME c{i + 1}" for i in range(count))
    assert not list(problems_of(with_lines(f"{chain}\nc{count} A 192.0.2.1")))
    message = the_only_problem(f"{chain}\nc{count} CNAME c10\nx CNAME c7").message
    assert message.startswith("c10.example.com. CNAME: the alias leads back to itself (c10.example.com. -> c11.")
    assert message.endswith("-> c20.example.com. -> ...); nobody can resolve it")


def test_a_loop_through_a_wildcard_is_said_once() -> None:
    message = the_only_problem("*.w CNAME b\nb CNAME x.w\nc CNAME y.w").message
    assert "(*.w.example.com. -> b.example.com. -> x.w.example.com.)" in message


def test_an_alias_through_a_dname_is_left_alone() -> None:
    assert not list(problems_of(with_lines("d DNAME example.org.\nwww CNAME www.d\nd2 CNAME www.d")))


def test_names_below_a_delegation_are_reported_together() -> None:
    problem = the_only_problem("sub NS ns1\na.sub TXT x\nb.sub TXT x\nc.sub TXT x")
    assert "a.sub.example.com. and 2 more below this delegation" in problem.message


def test_what_an_empty_name_below_a_delegation_leads_to_is_not_reported_twice() -> None:
    assert "glue" in the_only_problem("sub NS ns1\na.b.c.sub TXT x").message


def test_nsec3_names_may_stand_below_a_dname_at_the_apex() -> None:
    soa = SOA + "\n@ NS ns.example.org.\n@ NS ns.example.net.\n@ DNAME example.org.\n@ NSEC3PARAM 1 0 0 -\n"
    nsec3 = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA DNAME\n"
    assert not list(problems_of(PRELUDE + soa + nsec3))


def test_a_tlsa_has_the_length_of_its_digest() -> None:
    lines = f"_443._tcp TLSA 3 1 1 {'ab' * 32}\n_25._tcp TLSA 3 1 2 {'ab' * 64}\n_1._tcp TLSA 3 1 0 ab\n"
    assert not list(problems_of(with_lines(lines)))
    problem = the_only_problem(f"_443._tcp TLSA 3 1 1 {'ab' * 31}")
    assert (
        "31 octets of data; matching type 1 has 32, so no certificate will match (RFC 6698 §2.1.3)" in problem.message
    )


def test_a_reverse_zone_wants_hosts() -> None:
    prelude = "$TTL 3600\n@ SOA ns.example.com. root.example.com. 1 7200 3600 1209600 3600\n"
    prelude += "@ NS ns.example.com.\n@ NS ns.example.net.\n_services._dns-sd._udp PTR _http._tcp.example.com.\n"
    apex = "2.0.192.in-addr.arpa."
    assert not list(problems_of(prelude + "1 PTR www.example.com.\n", apex))
    [problem] = problems_of(prelude + "1 PTR www.example.com\n", apex)
    assert "was 'www.example.com.' meant, with a dot at the end?" in problem.message
    [problem] = problems_of(prelude + "1 PTR w_w.example.com.\n", apex)
    assert "no host name" in problem.message


def test_a_zone_of_one_label_may_repeat_it() -> None:
    prelude = "$TTL 3600\n@ SOA ns.nic host.nic 1 7200 3600 1209600 3600\n@ NS ns.nic\n@ NS ns.example.net.\n"
    assert not list(problems_of(prelude + "ns.nic A 192.0.2.1\ncom NS ns.example.net.\n", "com."))


def test_the_root_zone_can_be_checked() -> None:
    zone = "$TTL 3600\n@ SOA a.root-servers.net. nstld.example. 1 1800 900 604800 86400\n@ NS a.root-servers.net.\n"
    zone += "@ NS b.root-servers.net.\na.root-servers.net. A 192.0.2.1\nb.root-servers.net. A 192.0.2.2\n"
    zone += "net. NS a.gtld-servers.net.\na.gtld-servers.net. A 192.0.2.3\n"
    assert not list(problems_of(zone, "."))


def test_a_caa_names_a_domain_or_nobody() -> None:
    good = '@ CAA 0 issue "ca.example.net; validationmethods=dns-01"\n@ CAA 0 issuewild ";"\n'
    assert not list(problems_of(with_lines(good + '@ CAA 0 iodef "mailto:ops@example.com"')))
    assert "names no CA" in the_only_problem('@ CAA 0 issue "ca.example.net."').message
