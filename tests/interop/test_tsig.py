"""TSIG with every peer as a secondary that must sign, and with dig and kdig: transfers, NOTIFY, refusals."""

from __future__ import annotations

import base64
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dns.message
import dns.name
import dns.query
import dns.tsig
import dns.zone
import pytest

from tests.interop.test_secondaries import ARRIVAL_SECONDS, SECONDARIES, copied
from tests.interop.zones import EXAMPLE_COM, write
from tests.peers import (
    Authdns,
    Endpoint,
    NameServer,
    TsigKey,
    Zone,
    dig,
    free_port,
    records_in_file,
    requires,
    wait_until,
)
from tests.peers.records import of_rrset
from tests.peers.validators import kdig

pytestmark = pytest.mark.only_authdns

ALGORITHMS = ("hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512")
KEY = TsigKey("Transfer.example", base64.b64encode(bytes(range(32))).decode())
OTHER = TsigKey("other.example", base64.b64encode(bytes(32)).decode())
MANY = "".join(f'h{i} IN TXT "{"x" * 200}"\n' for i in range(400))  # several messages


def primary(folder: Path, stack: ExitStack, key: TsigKey, *, to: Endpoint | None = None, more: str = "") -> Authdns:
    """Serves example.com to whoever is at 127.0.0.1 and signs with `key`, and knows OTHER as well."""
    file = write(folder / "example.com.zone", EXAMPLE_COM, "example.com", 1, more)
    settings: dict[str, Any] = {
        "keys": {each.name: {"algorithm": each.algorithm, "secret": each.secret} for each in (key, OTHER)},
        "secondaries": {
            "peer": {"transfer-from": ["127.0.0.1"], "notify-to": [str(to)] if to else [], "key": key.name.upper()}
        },
    }
    zone = {"zone": "example.com", "file": str(file), "secondaries": ["peer"], "notify-ns": False}
    server = stack.enter_context(Authdns(folder / "primary", [zone], more=settings))
    server.wait_for_log("serving 1 ")
    return server


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kind", SECONDARIES)
def test_a_secondary_that_must_sign_gets_every_edit(
    kind: type[NameServer], algorithm: str, tmp_path: Path, stack: ExitStack
) -> None:
    key = KEY._replace(algorithm=algorithm)
    at = Endpoint("127.0.0.1", free_port())
    server = primary(tmp_path, stack, key, to=at, more=MANY)
    file = tmp_path / "example.com.zone"
    copy = Zone("example.com", primary=server.endpoint, key=key)
    secondary = stack.enter_context(kind(tmp_path / kind.name, [copy], port=at.port))
    secondary.wait_until_serving("example.com", 1, seconds=ARRIVAL_SECONDS)
    assert copied(secondary, "example.com") == records_in_file(file, "example.com")

    mark = server.log_mark()
    write(file, EXAMPLE_COM, "example.com", 2, MANY + "added IN A 192.0.2.200\n")
    secondary.wait_until_serving("example.com", 2, seconds=ARRIVAL_SECONDS)
    assert copied(secondary, "example.com") == records_in_file(file, "example.com")
    server.wait_for_log(r"notify to 127\.0\.0\.1#\d+ \(peer\): accepted \(serial 2\)", since=mark)
    server.wait_for_log(r"(AXFR|AXFR-style IXFR|IXFR) started \(serial 2, key transfer\.example\)", since=mark)
    assert "TSIG refused" not in server.log_text()
    assert "an answer is ignored" not in server.log_text()


@pytest.mark.parametrize("kind", SECONDARIES)
def test_a_secondary_with_another_secret_gets_nothing_and_the_log_says_why(
    kind: type[NameServer], tmp_path: Path, stack: ExitStack
) -> None:
    at = Endpoint("127.0.0.1", free_port())
    server = primary(tmp_path, stack, KEY, to=at)
    wrong = KEY._replace(secret=OTHER.secret)
    copy = Zone("example.com", primary=server.endpoint, key=wrong)
    stack.enter_context(kind(tmp_path / kind.name, [copy], port=at.port))
    server.wait_for_log(r"TSIG refused: the MAC is not that of key transfer\.example: the secrets differ")
    mark = server.log_mark()
    write(tmp_path / "example.com.zone", EXAMPLE_COM, "example.com", 2)
    server.wait_for_log(
        r"notify to \S+ \(peer\): an answer is ignored: it is not signed(, and says BAD(SIG|KEY))?$", since=mark
    )
    assert "started" not in server.log_text()


@pytest.mark.parametrize("kind", SECONDARIES)
def test_a_secondary_that_does_not_sign_is_told_to_by_the_log(
    kind: type[NameServer], tmp_path: Path, stack: ExitStack
) -> None:
    server = primary(tmp_path, stack, KEY)
    stack.enter_context(kind(tmp_path / kind.name, [Zone("example.com", primary=server.endpoint)]))
    said = "denied: the address matches 127.0.0.1/32 (secondary peer), but it must be signed with key transfer.example"
    server.wait_for_log(re.escape(said) + "$")
    assert "started" not in server.log_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with ExitStack() as servers:
        yield primary(tmp_path_factory.mktemp("signed"), servers, KEY, more=MANY)


def of(key: TsigKey) -> str:
    return f"{key.algorithm}:{key.name}:{key.secret}"


@requires("dig")
def test_dig_verifies_what_it_asks(server: Authdns) -> None:
    questions: list[tuple[str, ...]] = [
        ("www.example.com", "A"),
        ("www.example.com", "A", "+tcp"),
        ("example.com", "AXFR"),
        ("nothing.example.com", "A"),
        ("www.example.org", "A"),
        ("example.com", "SOA", "+edns"),
        ("big.example.com", "TXT", "+edns"),
    ]
    for arguments in questions:
        found = dig(server.endpoint, "-y", of(KEY), *arguments)
        assert "TSIG PSEUDOSECTION" in found.text or arguments[1] == "AXFR", found.text
        assert "verify" not in found.text.lower(), found.text
        assert "error" not in found.text.lower().replace("noerror", ""), found.text
    transferred = dig(server.endpoint, "-y", of(KEY), "example.com", "AXFR")
    assert re.search(r"XFR size: \d+ records \(messages [3-9]\d*,", transferred.text)
    assert "TSIG" in transferred.text


@requires("dig")
def test_dig_may_cut_its_macs(server: Authdns) -> None:
    found = dig(server.endpoint, "-y", f"hmac-sha256-128:{KEY.name}:{KEY.secret}", "www.example.com", "A")
    assert found.status == "NOERROR"
    assert len(found.answer) == 2


@requires("dig")
@pytest.mark.parametrize(
    ("arguments", "status", "error", "logged"),
    [
        (["-y", of(OTHER)], "REFUSED", "NOERROR", "but it must be signed with key transfer.example, not other.example"),
        (["-y", of(KEY._replace(name="none"))], "NOTAUTH", "BADKEY", "TSIG refused: there is no key none"),
        (["-y", of(KEY._replace(secret=OTHER.secret))], "NOTAUTH", "BADSIG", "the MAC is not that of key"),
        (
            ["-y", of(KEY._replace(algorithm="hmac-sha512"))],
            "NOTAUTH",
            "BADKEY",
            "key transfer.example is used with hmac-sha512, and configured with hmac-sha256",
        ),
    ],
)
def test_refusals_say_why(server: Authdns, arguments: list[str], status: str, error: str, logged: str) -> None:
    mark = server.log_mark()
    dig(server.endpoint, *arguments, "example.com", "AXFR")
    server.wait_for_log(re.escape(logged), since=mark)
    assert "started" not in server.log_text(mark)
    alone = dig(server.endpoint, *arguments, "+tcp", "example.com", "SOA")
    assert (alone.status, error in alone.text) == ("NOERROR" if status == "REFUSED" else status, True)


@requires("kdig")
def test_kdig_verifies_what_it_asks(server: Authdns) -> None:
    for arguments in (("www.example.com", "A"), ("+tcp", "www.example.com", "A"), ("example.com", "AXFR")):
        text = kdig(server.endpoint, "-y", of(KEY), *arguments)
        assert "status: NOERROR" in text or arguments[1] == "AXFR", text
        assert "WARNING" not in text, text
        assert "ERROR" not in text.replace("NOERROR", ""), text


def test_dnspython_verifies_a_transfer_of_several_messages(server: Authdns) -> None:
    keyring = {dns.name.from_text(KEY.name): dns.tsig.Key(KEY.name, KEY.secret, KEY.algorithm + ".")}
    messages = list(
        dns.query.xfr(
            server.address, "example.com", port=server.port, keyring=keyring, keyname=KEY.name, relativize=False
        )
    )
    assert len(messages) > 3
    assert all(message.had_tsig for message in messages)
    records = {record for message in messages for rrset in message.answer for record in of_rrset(rrset)}
    file = server.folder.parent / "example.com.zone"
    assert records == records_in_file(file, "example.com")


def test_nothing_secret_is_logged(server: Authdns) -> None:
    wait_until(lambda: "serving" in server.log_text(), "a log")
    assert KEY.secret not in server.log_text()
