"""`authdns explain`: what it says is what the server does, and what it says to write is what helps."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from authdns.config import Config, expand_zones, parse_config
from authdns.control.cli import main
from authdns.transfer.policy import Identity, Rule, Tls, decide
from authdns.wire import name as names

SECRET = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
TEXT = f"""\
state: state
keys:
  ours: {{secret: "{SECRET}"}}
  other: {{secret: "{SECRET}"}}
secondaries:
  near: {{name: ns2.example.net, transfer-from: 192.0.2.53}}
  signed: {{name: ns3.example.net, transfer-from: 198.51.100.53, key: ours}}
  encrypted: {{transfer-from: 192.0.2.53, tls: required}}
defaults:
  allow-transfer: [203.0.113.0/24]
zones:
  - zone: example.com
    file: example.com.zone
    secondaries: [near, signed]
  - zone: example.net
    file: example.net.zone
    allow-transfer: [{{address: 192.0.2.7, key: ours}}, {{key: other}}]
  - zone: example.org
    file: example.org.zone
    allow-transfer: []
  - zone: example.edu
    file: example.edu.zone
    secondaries: [encrypted]
    allow-transfer: [{{address: 192.0.2.7, tls: ns7.example.net}}, {{key: other, tls: required}}]
tls: {{certificate: cert.pem, private-key: key.pem, client-certificates: clients.pem}}
"""
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "authdns.yaml").write_text(TEXT)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["explain", *arguments, "--config", "authdns.yaml"])

    return call


def decided(config: Config, zone: str, address: str, key: str | None, tls: str | None = None) -> bool:
    zones, _ = expand_zones(config, lambda folder: [])
    rules = [
        Rule(rule.network, rule.why, rule.key, rule.tls) for rule in zones[names.from_text(zone)].policy.allow_transfer
    ]
    connection = None if tls is None else Tls(frozenset([tls] if tls else []))
    identity = Identity(ip_address(address), None if key is None else names.from_text(key), connection)
    return decide(rules, identity).allowed


@pytest.mark.parametrize("zone", ["example.com", "example.net", "example.org", "example.edu"])
@pytest.mark.parametrize("address", ["192.0.2.53", "198.51.100.53", "203.0.113.9", "192.0.2.7", "2001:db8::1"])
@pytest.mark.parametrize("key", [None, "ours", "other"])
@pytest.mark.parametrize("tls", [None, "", "ns7.example.net"])
def test_what_is_pasted_helps_and_takes_nothing_away(
    zone: str, address: str, key: str | None, tls: str | None, run: Run
) -> None:
    arguments = ["axfr", zone, address, *(["--key", key] if key else [])]
    arguments += [] if tls is None else ["--tls", tls] if tls else ["--tls"]
    result = run(*arguments)
    before = parse_config(TEXT.encode(), path=Path("authdns.yaml"), environ={})
    assert (result.exit_code == 0) == decided(before, zone, address, key, tls)
    if result.exit_code == 0:
        assert result.stdout.startswith("allowed by ")
        return
    assert result.stdout.startswith("REFUSED: ")
    text = yaml.safe_load(TEXT)
    (entry,) = (each for each in text["zones"] if each["zone"] == zone)
    entry.update(yaml.safe_load(result.stdout[result.stdout.index("    #") :]))
    after = parse_config(yaml.safe_dump(text).encode(), path=Path("authdns.yaml"), environ={})
    assert decided(after, zone, address, key, tls)
    assert tls is None or decided(before, zone, address, key) == decided(after, zone, address, key)
    for who in ("192.0.2.53", "198.51.100.53", "203.0.113.9", "192.0.2.7"):
        for signed in (None, "ours", "other"):
            for over in (None, "", "ns7.example.net"):
                if decided(before, zone, who, signed, over):
                    assert decided(after, zone, who, signed, over)


def test_the_words(run: Run) -> None:
    near = run("axfr", "example.com", "192.0.2.53")
    assert near.stdout == "allowed by 192.0.2.53/32 (secondary near)\n"
    unsigned = run("axfr", "EXAMPLE.com.", "198.51.100.53")
    assert "it must be signed with key ours" in unsigned.stdout
    assert "Have it sign with key ours (secondary signed), or allow what it sends now:" in unsigned.stdout
    assert "authdns.yaml:" in unsigned.stdout
    cleartext = run("axfr", "example.edu", "192.0.2.53")
    assert "the address matches 192.0.2.53/32 (secondary encrypted), but it must come over TLS\n" in cleartext.stdout
    assert "Have it come over TLS (secondary encrypted), or allow what it sends now:" in cleartext.stdout
    nameless = run("axfr", "example.edu", "192.0.2.7", "--tls")
    assert "Have it show a certificate for ns7.example.net (" in nameless.stdout
    assert '{address: "192.0.2.7", tls: required}' in nameless.stdout
    named = run("axfr", "example.edu", "192.0.2.7", "--tls", "NS7.example.net.")
    assert named.stdout == "allowed by 192.0.2.7/32 over TLS as ns7.example.net (zones[3].allow-transfer)\n"
    digit = run("ixfr", "example.com", "192.0.2.54")
    assert "the nearest is 192.0.2.53/32 (secondary near)" in digit.stdout


@pytest.mark.parametrize(
    ("operation", "code", "says"),
    [
        ("query", 0, "answered for everybody"),
        ("notify", 1, "NOTAUTH"),
        ("update", 1, "NOTIMP"),
    ],
)
def test_other_operations(operation: str, code: int, says: str, run: Run) -> None:
    result = run(operation, "example.com", "192.0.2.9")
    assert result.exit_code == code
    assert says in result.stdout


def test_the_rate_limit(run: Run) -> None:
    assert "50 a second after 125 at once" in run("query", "example.com", "192.0.2.9").stdout
    assert "127.0.0.0/8 is exempt" in run("query", "example.com", "127.0.0.1").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("axfr", "example.com", "192.0.2"), "192.0.2"),
        (("axfr", "example..com", "192.0.2.1"), "example..com"),
        (("axfr", "example.com", "192.0.2.1", "--key", "nobody"), "(known: other, ours)"),
        (("axfr", "example.com", "192.0.2.1", "--tls", "ns2..example"), "ns2..example"),
        (("delete", "example.com", "192.0.2.1"), "axfr"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], says: str, run: Run) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_zone_that_is_not_there(run: Run) -> None:
    result = run("axfr", "example.invalid", "192.0.2.1")
    assert result.exit_code == 1
    assert "no such zone" in result.stdout


CATALOG = """\
catalogs:
  fleet.example: {secondaries: near}
"""


def test_a_catalog_is_for_its_secondaries(run: Run, tmp_path: Path) -> None:
    (tmp_path / "authdns.yaml").write_text(TEXT + CATALOG)
    assert run("axfr", "fleet.example", "192.0.2.53").exit_code == 0
    refused = run("axfr", "fleet.example", "203.0.113.1")
    assert refused.exit_code == 1, "what the defaults allow is not allowed here"
    assert "no rule allows 203.0.113.1" in refused.output
    asked = run("query", "fleet.example", "192.0.2.53")
    assert (asked.exit_code, asked.output) == (
        1,
        "REFUSED: a catalog is for those who may transfer it; others are told its SOA\n",
    )
    assert "the members follow the configuration" in run("notify", "fleet.example", "192.0.2.53").output


SECONDARY = f"""\
state: state
keys:
  ours: {{secret: "{SECRET}"}}
primaries:
  hidden: {{address: 192.0.2.53, key: ours}}
zones:
  - zone: example.com
    primaries: [hidden, 198.51.100.53]
    allow-notify: 203.0.113.0/24
"""


@pytest.mark.parametrize(
    ("address", "key", "said"),
    [
        ("192.0.2.53", "ours", "allowed by 192.0.2.53/32 with key ours (primary hidden)"),
        ("198.51.100.53", None, "allowed by 198.51.100.53/32 (primary 198.51.100.53)"),
        ("203.0.113.7", None, "allowed by 203.0.113.0/24 (zones[0].allow-notify)"),
        ("192.0.2.53", None, "REFUSED: the address matches 192.0.2.53/32 (primary hidden), but it must be signed"),
        ("203.0.114.7", None, "REFUSED: no rule allows 203.0.114.7; the nearest is 203.0.113.0/24"),
        ("203.0.114.7", "ours", "REFUSED: "),
    ],
)
def test_notify_to_a_secondary_zone(tmp_path: Path, address: str, key: str | None, said: str) -> None:
    """What is to be pasted helps, and takes nothing away."""
    file = tmp_path / "authdns.yaml"
    file.write_text(SECONDARY)
    arguments = ["explain", "notify", "example.com", address, "--config", str(file), *(("--key", key) if key else ())]
    result = CliRunner().invoke(main, arguments)
    assert result.output.startswith(said)
    assert result.exit_code == (not said.startswith("allowed"))
    if result.exit_code:
        _, pasted = result.output.split("    allow-notify:\n")
        rules = "".join(line.removeprefix("  ") for line in pasted.splitlines(keepends=True))
        file.write_text(SECONDARY.replace(" 203.0.113.0/24\n", f"\n{rules}"))
        assert CliRunner().invoke(main, arguments).exit_code == 0
        assert CliRunner().invoke(main, [*arguments[:3], "203.0.113.9", *arguments[4:6]]).exit_code == 0


def test_check_says_where_a_secondary_zone_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "authdns.yaml"
    file.write_text(SECONDARY)
    result = CliRunner().invoke(main, ["check", "--config", str(file)])
    assert result.exit_code == 0
    assert "example.com: secondary, transferred from 192.0.2.53:53, 198.51.100.53:53" in result.output


MEMBERS = """\
state: state
addresses: {office: 203.0.113.0/24}
zones:
  - zone: fleet.example
    primaries: 192.0.2.1
    members:
      allow-transfer: office
      groups:
        europe: {primaries: 192.0.2.2, allow-transfer: 192.0.2.9}
"""


def test_a_zone_that_a_catalog_may_list(run: Run, tmp_path: Path) -> None:
    (tmp_path / "authdns.yaml").write_text(MEMBERS)
    result = run("axfr", "a.example", "203.0.113.9")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:6] == [
        "REFUSED: no such zone is configured (a transfer gets NOTAUTH)",
        "",
        "If the catalog fleet.example lists it:",
        "  allowed by 203.0.113.0/24 (addresses.office)",
        "",
        "If the catalog fleet.example lists it in the group europe:",
    ]
    assert "members.groups.europe" in result.stdout
    both = run("notify", "a.example", "192.0.2.2")
    assert both.exit_code == 1
    assert "allowed by 192.0.2.2/32 (primary 192.0.2.2)" in both.stdout
    assert "no rule" in both.stdout
    assert run("query", "a.example", "192.0.2.77").exit_code == 0
    assert "a catalog is for those who may transfer it" in run("query", "fleet.example", "192.0.2.77").stdout
    assert run("notify", "fleet.example", "192.0.2.1").exit_code == 0
    checked = CliRunner().invoke(main, ["check", "--config", "authdns.yaml"])
    expected = "fleet.example: secondary, a catalog whose members are served, transferred from 192.0.2.1:53\n"
    assert checked.stdout == expected
