"""The command line as a person uses it, mistakes included."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from authdns.config import parse_config
from authdns.control.cli import main
from authdns.store import Event, Keep, Store
from authdns.wire import name as names
from tests.peers.certificates import make

Run = Callable[..., Result]

GOOD = """$TTL 1h
@ SOA ns1 hostmaster 1 4h 1h 2w 10m
@ NS ns1
@ NS ns2.example.org.
ns1 A 192.0.2.53
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return call


def write(folder: Path, **files: str) -> None:
    (folder / "zones").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "zones" / f"{name.replace('_', '.')}.zone").write_text(text)


def test_check_names_each_good_zone_with_serial_and_size(run: Run, tmp_path: Path) -> None:
    write(tmp_path, example_com=GOOD, example_net=GOOD.replace("hostmaster 1 ", "hostmaster 7 "))
    result = run("check", "--zones", "zones")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "example.com: OK: serial 1, 4 records",
        "example.net: OK: serial 7, 4 records",
    ]


def test_check_finds_every_error_and_still_looks_at_the_other_zones(run: Run, tmp_path: Path) -> None:
    write(tmp_path, example_com=GOOD + "www A 192.0.2.256\nftp AA 192.0.2.1\n", example_net=GOOD)
    result = run("check", "--zones", "zones", "--quiet")
    assert result.exit_code == 1
    assert "zones/example.com.zone:6:" in result.stderr
    assert "zones/example.com.zone:7:" in result.stderr
    assert "www A 192.0.2.256" in result.stderr
    assert result.stdout.splitlines() == ["example.com: NOT OK: 2 errors"]


def test_check_reads_the_secrets_of_cookies(run: Run, tmp_path: Path) -> None:
    write(tmp_path, example_com=GOOD)
    settings = "zones: [{folder: zones}]\ncookies: {secret-file: secrets}\n"
    (tmp_path / "authdns.yaml").write_text(settings)
    for text, status in (("0" * 31, 1), ("0" * 32, 0)):
        (tmp_path / "secrets").write_text(text)
        result = run("check", "--config", "authdns.yaml")
        assert result.exit_code == status
        assert ("secrets:1: expected 32 hex digits" in result.stderr) == bool(status)


def test_check_reads_the_certificate(run: Run, tmp_path: Path) -> None:
    write(tmp_path, example_com=GOOD)
    (tmp_path / "authdns.yaml").write_text("zones: [{folder: zones}]\ntls: {certificate: c.pem, private-key: c.key}\n")
    result = run("check", "--config", "authdns.yaml")
    assert result.exit_code == 1
    assert "authdns.yaml:2:6: tls.certificate: cannot read c.pem: No such file or directory\n" in result.stderr
    made = make(tmp_path, "c")
    assert made.certificate.name == "c.pem"
    assert run("check", "--config", "authdns.yaml").exit_code == 0


def test_check_says_what_is_wrong_with_the_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "authdns.yaml").write_text("listen: [127.0.0.1:5353]\nallow_transfer: [192.0.2.1]\nzones: []\n")
    result = run("check", "--config", "authdns.yaml")
    assert result.exit_code == 1
    assert "authdns.yaml:2:1: allow_transfer: " in result.stderr


def test_check_of_a_configuration_checks_its_zones(run: Run, tmp_path: Path) -> None:
    write(tmp_path, example_com=GOOD)
    (tmp_path / "authdns.yaml").write_text("zones:\n  - zone: example.com\n    file: zones/example.com.zone\n")
    result = run("check", "--config", "authdns.yaml")
    assert result.exit_code == 0, result.output
    assert "example.com: OK" in result.stdout


def test_serve_ends_with_ex_config_when_the_configuration_has_errors(run: Run) -> None:
    result = run("serve", "--config", "missing.yaml")
    assert result.exit_code == 78
    assert "missing.yaml: cannot read the configuration: No such file or directory" in result.stderr


def test_a_configuration_and_a_folder_exclude_each_other(run: Run, tmp_path: Path) -> None:
    write(tmp_path, example_com=GOOD)
    result = run("check", "--zones", "zones", "--config", "authdns.yaml")
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


def test_print_shows_the_zone_as_it_was_understood(run: Run, tmp_path: Path) -> None:
    write(tmp_path, example_com=GOOD)
    result = run("zone", "print", "example.com", "zones/example.com.zone")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == [
        *("example.com.", "3600", "IN", "SOA", "ns1.example.com.", "hostmaster.example.com."),
        *("1", "14400", "3600", "1209600", "600"),
    ]
    assert lines[-1].split() == ["ns1.example.com.", "3600", "IN", "A", "192.0.2.53"]


def test_print_of_a_broken_zone_says_why_and_fails(run: Run, tmp_path: Path) -> None:
    write(tmp_path, example_com=GOOD.replace("@ SOA", "@ SAO"))
    result = run("zone", "print", "example.com", "zones/example.com.zone")
    assert result.exit_code == 1
    assert "zones/example.com.zone:2:" in result.stderr
    assert "SOA" in result.stderr


def test_schema_is_json_schema(run: Run) -> None:
    result = run("config", "schema")
    assert result.exit_code == 0
    schema = json.loads(result.stdout)
    assert "$schema" in schema
    assert "zones" in schema["properties"]


def test_the_zone_name_must_be_a_name(run: Run) -> None:
    result = run("zone", "print", "a..b", "zones/x.zone")
    assert result.exit_code == 2
    assert "NAME" in result.stderr


def test_check_without_any_zone_fails_and_names_files_that_look_like_zones(run: Run, tmp_path: Path) -> None:
    (tmp_path / "zones").mkdir()
    (tmp_path / "zones" / "db.example.com").write_text(GOOD)
    (tmp_path / "zones" / "example.org.db").write_text(GOOD)
    (tmp_path / "zones" / "README").write_text("")
    result = run("check", "--zones", "zones")
    assert result.exit_code == 1
    assert "zones/db.example.com: left out" in result.stderr
    assert "zones/example.org.db: left out" in result.stderr
    assert "README" not in result.stderr
    assert "no zone is configured" in result.stderr


def test_a_signature_that_has_expired_is_warned_of(run: Run, tmp_path: Path) -> None:
    rrsig = f"@ RRSIG SOA 13 2 60 20200201000000 20200101000000 4711 example.net. {'A' * 86}==\n"
    write(tmp_path, example_net=GOOD + rrsig)
    assert "expired on 2020-02-01" in run("check", "--zones", "zones").output


def test_a_new_key_is_printed_for_everybody(run: Run) -> None:
    first, second = (run("key", "generate", "Transfer.Example.") for _ in range(2))
    assert first.exit_code == 0
    assert first.stdout != second.stdout
    for server in ("authdns", "BIND", "Knot DNS", "NSD", "PowerDNS"):
        assert f"# {server} (" in first.stdout
    ours = first.stdout[: first.stdout.index("# BIND")].replace("ADDRESS-OF-SECONDARY", "192.0.2.1")
    config = parse_config(ours.encode(), path=Path("/etc/authdns.yaml"), environ={"HOME": "/home/ada"})
    key = config.keys[0].key
    assert key is not None
    assert (str(key), key.algorithm.digest, len(key.secret)) == ("transfer.example", "sha256", 32)
    assert first.stdout.count(base64.b64encode(key.secret).decode()) == 5
    longest = run("key", "generate", "k", "--algorithm", "hmac-sha512")
    assert "hmac-sha512" in longest.stdout


def test_the_name_of_a_key_is_plain(run: Run) -> None:
    for name in ("", "a b", 'x"y', "a;b", "*"):
        assert run("key", "generate", name).exit_code == 2


def test_check_counts_the_members_of_catalogs(run: Run, tmp_path: Path) -> None:
    write(tmp_path, example_com=GOOD, example_net=GOOD)
    (tmp_path / "authdns.yaml").write_text(
        "catalogs: {fleet.example: {allow-transfer: 192.0.2.1}, empty.example: {allow-transfer: 192.0.2.1}}\n"
        "zones: [{folder: zones, catalog: fleet.example}]\n"
    )
    result = run("check", "--config", "authdns.yaml")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "fleet.example: OK: a catalog of 2 zones",
        "empty.example: OK: a catalog of 0 zones",
        "example.com: OK: serial 1, 4 records",
        "example.net: OK: serial 1, 4 records",
    ]


def test_events_are_printed_for_one_zone_or_for_all(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "authdns.yaml"
    config.write_text(f"listen: 127.0.0.1:5353\nstate: {tmp_path / 'state'}\nzones: []\n")
    missing = run("events", "--config", str(config))
    assert missing.exit_code == 1
    assert "no events: " in missing.stderr
    store = Store(tmp_path / "state")
    com, net = names.from_text("example.com."), names.from_text("example.net.")
    store.add_events([Event(com, 0, "info", "first"), Event(net, 1, "error", "second")], 2, Keep())
    store.close()
    assert [line[20:] for line in run("events", "--config", str(config)).stdout.splitlines()] == [
        "INFO    first",
        "ERROR   second",
    ]
    assert run("events", "example.NET", "--config", str(config)).stdout.endswith(" ERROR   second\n")
    assert run("events", "-n", "1", "--config", str(config)).stdout.count("\n") == 1
    assert run("events", "a..b", "--config", str(config)).exit_code == 2
