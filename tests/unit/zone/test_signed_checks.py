"""What is said of signed zones: nothing of those that signers make, and one line for each thing that is wrong."""

from pathlib import Path

import pytest

from authdns.wire import name as names
from authdns.zone.problem import Problem, Severity
from authdns.zone.reader import read_zone
from tests.peers.availability import binary_of
from tests.peers.signing import HOW, sign
from tests.unit.zone.broken_zones import with_lines
from tests.unit.zone.reading import APEX, HEAD

NOW = 1_800_000_000  # 2027-01-15 08:00 UTC
DAY = 86400
KEY = "AQPSKmynfzW4kyBv015MUG2DeIQ3Cbl+"
HASH, OTHER = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"


def rrsig(covered: str, expiration: int = NOW + 30 * DAY, inception: int = NOW - DAY) -> str:
    return f"RRSIG {covered} 8 2 3600 {expiration} {inception} 1 example.com. AAAA"


def of(lines: str, now: int | None = NOW, apex: bytes = APEX) -> list[Problem]:
    return list(read_zone("test.zone", apex, lambda path: lines.encode(), now).problems)


def said(lines: str, now: int | None = NOW) -> list[str]:
    """Behind a healthy zone."""
    return [f"{p.severity.value}: {p.message}" for p in of(with_lines(lines), now)]


def healthy(**times: int) -> str:
    """All that a signed zone needs; `times` are those of the signature of ns2's address."""
    return "\n".join(
        [
            f"@ DNSKEY 257 3 8 {KEY}",
            *(f"@ {rrsig(covered)}" for covered in ("SOA", "NS", "DNSKEY", "NSEC")),
            f"ns1 {rrsig('A')}",
            f"ns1 {rrsig('NSEC')}",
            f"ns2 {rrsig('A', **times)}",
            f"ns2 {rrsig('NSEC')}",
            "@ NSEC ns1 NS SOA RRSIG NSEC DNSKEY",
            "ns1 NSEC ns2 A RRSIG NSEC",
            "ns2 NSEC @ A RRSIG NSEC",
        ]
    )


TO_SIGN = (
    HEAD
    + """\
www 60 A 192.0.2.1
* MX 10 ns
alias CNAME www
a.b.c TXT "x"
sub NS ns.sub
ns.sub A 192.0.2.2
safe NS ns.example.net.
safe DS 60485 8 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A
d DNAME example.net.
"""
)


@pytest.mark.interop
@pytest.mark.parametrize("how", HOW)
def test_what_signers_make_is_silent_but_for_iterations(how: str, tmp_path: Path) -> None:
    for program in ("dnssec-signzone", "ldns-signzone", "kzonesign"):
        binary_of(program)
    (tmp_path / "zone").write_text(TO_SIGN)
    signed = sign(tmp_path / "zone", "example.com.", how, tmp_path / "signed").read_text()
    problems = of(signed)
    assert [p.severity for p in problems] == [Severity.NOTE] * bool(HOW[how][1].iterations)
    assert all("RFC 9276 §3.1" in p.message for p in problems)


def test_a_healthy_signed_zone_is_silent() -> None:
    assert said(healthy()) == []


def test_records_that_are_not_signed_are_no_gap() -> None:
    delegations = f"""
sub NS ns.sub
ns.sub A 192.0.2.9
sub NSEC ns1 NS RRSIG NSEC
sub {rrsig("NSEC")}
out NS ns.example.net.
"""
    assert said(healthy() + delegations) == []


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "when"),
    [
        (-1, "expired on 2027-01-15 07:59 UTC"),
        (0, "expires on 2027-01-15 08:00 UTC"),
        (3 * DAY - 1, "expires on 2027-01-18"),
    ],
)
def test_the_first_signature_that_expires_is_named_once(left: int, when: str) -> None:
    lines = healthy(expiration=NOW + left) + f"\nwww A 192.0.2.1\nwww {rrsig('A', NOW + left + 1)}"
    (message,) = said(lines)
    assert message.startswith(f"warning: the signature of ns2.example.com. A {when}")


def test_a_signature_that_is_good_for_longer_or_a_reader_without_a_clock_is_silent() -> None:
    assert said(healthy(expiration=NOW + 3 * DAY)) == []
    assert said(healthy(expiration=NOW - 1), now=None) == []


def test_times_are_compared_modulo_32_bits() -> None:
    # 2106-02-07 is the end of them; two days later begins 1970 again.
    near_the_end = (1 << 32) - DAY
    lines = healthy().replace(str(NOW + 30 * DAY), str(29 * DAY)).replace(str(NOW - DAY), str(near_the_end - DAY))
    assert said(lines, near_the_end) == []
    (message,) = said(lines, near_the_end + 28 * DAY)
    assert "expires on 2106-03-08" in message


def test_a_signature_of_tomorrow_is_said_once() -> None:
    (message,) = said(healthy(inception=NOW + DAY))
    assert message == "warning: the signature of ns2.example.com. A is not valid before 2027-01-16 08:00 UTC"
    assert said(healthy(inception=NOW + 60)) == []


def test_signatures_of_nsec3_count_too() -> None:
    nsec3 = f"{HASH} NSEC3 1 0 0 - {HASH} A\n{HASH} {rrsig('NSEC3', NOW - DAY)}"
    (message,) = said(f"{healthy()}\n@ NSEC3PARAM 1 0 0 -\n@ {rrsig('NSEC3PARAM')}\n{nsec3}")
    assert message.startswith(f"warning: the signature of {HASH}.example.com. NSEC3 expired on 2027-01-14")


# --- chains -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("iterations", "expected"),
    [
        (0, ""),
        (1, "note: example.com. NSEC3 iterations: 1; expected 0, more costs time and protects nothing (RFC 9276 §3.1)"),
        (50, "note: example.com. NSEC3 iterations: 50; expected 0, more costs time"),
        (
            51,
            "warning: example.com. NSEC3 iterations: 51; expected 0, some validators give up on so many (RFC 9276 §3.",
        ),
        (2500, "warning: example.com. NSEC3 iterations: 2500"),
        (2501, "error: example.com. NSEC3 iterations: 2501; expected 0, more than 2500 are forbidden (RFC 5155 §10.3)"),
    ],
)
def test_iterations_are_counted_once_for_all(iterations: int, expected: str) -> None:
    lines = f"@ NSEC3PARAM 1 0 {iterations} -\n{HASH} NSEC3 1 0 {iterations} - {OTHER} A\n"
    lines += f"{OTHER} NSEC3 1 1 {iterations} - {HASH} A\n"
    messages = said(lines)
    assert len(messages) == bool(expected)
    assert "".join(messages).startswith(expected)


def test_a_chain_without_its_parameters_is_not_used() -> None:
    (message,) = said(f"{HASH} NSEC3 1 0 0 - {OTHER} A\n{OTHER} NSEC3 1 0 0 - {HASH} A")
    assert message.startswith("warning: there are NSEC3 records, but no NSEC3PARAM at example.com.")


@pytest.mark.parametrize("parameters", ["1 0 0 ab", "1 0 1 -", "2 0 0 -"])
def test_parameters_without_their_chain_prove_nothing(parameters: str) -> None:
    (problem,) = of(with_lines(f"@ NSEC3PARAM {parameters}\n{HASH} NSEC3 1 0 0 - {HASH} A\n"))
    assert problem.severity is Severity.WARNING
    assert problem.message.startswith("example.com. NSEC3PARAM: there is no chain of NSEC3 for it")
    assert problem.place.line > 1


def test_parameters_in_preparation_are_silent() -> None:
    assert said(f"@ NSEC3PARAM 1 0 0 -\n@ NSEC3PARAM 1 1 0 ab\n{HASH} NSEC3 1 0 0 - {HASH} A\n") == []


def test_a_signed_zone_without_a_chain_proves_nothing() -> None:
    lines = "\n".join(line for line in healthy().splitlines() if " NSEC" not in line)
    (message,) = said(lines)
    assert message.startswith("warning: example.com. is signed, but has neither NSEC nor NSEC3")


# --- keys and signatures ----------------------------------------------------------------------------------------------


def test_keys_without_a_signature_are_no_signed_zone() -> None:
    (message,) = said(f"@ DNSKEY 257 3 8 {KEY}")
    assert message == "warning: example.com. has DNSKEY records, but its SOA has no signature: the zone is not signed"


def test_signatures_without_keys_are_worthless() -> None:
    lines = "\n".join(
        line for line in healthy().splitlines() if " DNSKEY 257" not in line and "RRSIG DNSKEY" not in line
    )
    (message,) = said(lines)
    assert message.startswith("warning: example.com. is signed, but has no DNSKEY records")


def test_what_was_added_after_signing_is_said_in_one_line() -> None:
    (message,) = said(healthy() + "\nwww A 192.0.2.1\nwww AAAA 2001:db8::1\nns1 AAAA 2001:db8::1")
    expected = "warning: ns1.example.com. AAAA and 2 more RRsets have no signature in a signed zone"
    assert message.startswith(expected)
    (message,) = said(healthy() + f"\nsafe NS ns.example.net.\nsafe DS 1 8 99 ab\nsafe {rrsig('NS')}")
    assert message.startswith("warning: safe.example.com. DS has no signature in a signed zone")


def test_a_zone_that_is_not_signed_is_not_looked_at() -> None:
    assert said("www CNAME ns1\nwww NSEC zzz CNAME NSEC") == []
    assert said(f"www {rrsig('A', NOW - DAY)}\nwww A 192.0.2.1", now=None) == []


def test_the_root_can_be_signed() -> None:
    zone = f"""$TTL 3600
. SOA a.root-servers.net. nstld.example. 1 1800 900 604800 86400
. NS a.root-servers.net.
. NS b.root-servers.net.
. {rrsig("SOA").replace("example.com.", ".")}
. {rrsig("NS").replace("example.com.", ".")}
. DNSKEY 257 3 8 {KEY}
. {rrsig("DNSKEY").replace("example.com.", ".")}
. NSEC net. NS SOA RRSIG NSEC DNSKEY
. {rrsig("NSEC").replace("example.com.", ".")}
net. NS a.gtld-servers.net.
net. NSEC . NS RRSIG NSEC
net. {rrsig("NSEC").replace("example.com.", ".")}
a.root-servers.net. A 192.0.2.1
b.root-servers.net. A 192.0.2.2
a.gtld-servers.net. A 192.0.2.3
"""
    assert [p.message for p in of(zone, apex=names.ROOT)] == []
