"""Zone transfers over TLS (RFC 9103) to BIND and NSD; NOTIFY comes in cleartext, as ever. Knot has it since 3.3.

And whom of them a client believes that has the contexts of authdns."""

from __future__ import annotations

import base64
import socket
import ssl
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rcode
import pytest

from authdns.config import TlsClient
from authdns.server.tls import check_peer, client_context
from tests.interop.test_secondaries import ARRIVAL_SECONDS, copied
from tests.interop.test_tsig import KEY
from tests.interop.zones import EXAMPLE_COM, write
from tests.peers import (
    Authdns,
    Bind,
    Endpoint,
    NameServer,
    Nsd,
    OverTls,
    TsigKey,
    Zone,
    free_port,
    records_in_file,
    requires,
    wait_until,
)
from tests.peers.certificates import Certificate, make

pytestmark = pytest.mark.only_authdns

SECONDARIES = [pytest.param(Bind, marks=requires("bind")), pytest.param(Nsd, marks=requires("nsd"))]
MANY = "".join(f'h{i} IN TXT "{"x" * 200}"\n' for i in range(400))  # several messages
NS1, NS2 = "ns1.example.com", "ns2.example.net"


@dataclass(frozen=True)
class Certificates:
    ca: Certificate
    primary: Certificate
    secondary: Certificate


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    ca = make(folder, "ca", ca=True)
    return Certificates(ca, make(folder, NS1, issuer=ca), make(folder, NS2, issuer=ca))


class Pair:
    """authdns, which lets 127.0.0.1 transfer over TLS only, and a secondary that is to come so."""

    def __init__(self, folder: Path, stack: ExitStack, certificates: Certificates, **rule: str) -> None:
        self.folder, self.stack = folder, stack
        self.file = write(folder / "example.com.zone", EXAMPLE_COM, "example.com", 1, MANY)
        self.at, self.tls = Endpoint("127.0.0.1", free_port()), Endpoint("127.0.0.1", free_port())
        peer: dict[str, Any] = {"transfer-from": ["127.0.0.1"], "notify-to": [str(self.at)], "tls": "required", **rule}
        settings: dict[str, Any] = {
            "keys": {KEY.name: {"algorithm": KEY.algorithm, "secret": KEY.secret}},
            "secondaries": {"peer": peer},
            "tls": {
                "listen": [str(self.tls)],
                "certificate": str(certificates.primary.certificate),
                "private-key": str(certificates.primary.private_key),
                "client-certificates": str(certificates.ca.certificate),
            },
        }
        zone = {"zone": "example.com", "file": str(self.file), "secondaries": ["peer"], "notify-ns": False}
        self.primary = stack.enter_context(Authdns(folder / "primary", [zone], more=settings))
        self.primary.wait_for_log("serving 1 ")

    def secondary(self, kind: type[NameServer], tls: OverTls | None, key: TsigKey | None = None) -> NameServer:
        primary = self.tls if tls is not None else self.primary.endpoint
        copy = Zone("example.com", primary=primary, key=key, tls=tls)
        made: NameServer = self.stack.enter_context(kind(self.folder / kind.name, [copy], port=self.at.port))
        return made

    def edit(self, serial: int) -> None:
        write(self.file, EXAMPLE_COM, "example.com", serial, MANY + f"added{serial} IN A 192.0.2.200\n")


def arrived(secondary: NameServer, file: Path) -> None:
    """Waits for every record. NSD's old process may answer one last transfer after the new one has answered a query."""
    expected = records_in_file(file, "example.com")
    wait_until(lambda: copied(secondary, "example.com") == expected, "every record is there", ARRIVAL_SECONDS)


@pytest.mark.parametrize("kind", SECONDARIES)
@pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
@pytest.mark.parametrize("mutual", [False, True])
def test_a_secondary_catches_each_edit(
    kind: type[NameServer],
    key: TsigKey | None,
    mutual: bool,
    tmp_path: Path,
    stack: ExitStack,
    certificates: Certificates,
) -> None:
    rule = {"key": KEY.name} if key else {}
    pair = Pair(tmp_path, stack, certificates, **rule, **({"tls": NS2} if mutual else {}))
    own = certificates.secondary if mutual else None
    secondary = pair.secondary(kind, OverTls(NS1, certificates.ca.certificate, own), key)
    proofs = (f", key {KEY.name.lower()}" if key else "") + (f", TLS as {NS2}" if mutual else ", TLS")
    for serial in (1, 2, 3):
        mark = pair.primary.log_mark() if serial > 1 else 0
        if serial > 1:
            pair.edit(serial)
        secondary.wait_until_serving("example.com", serial, seconds=ARRIVAL_SECONDS)
        arrived(secondary, pair.file)
        kind_of_transfer = "(AXFR|AXFR-style IXFR)" if serial == 1 else "IXFR"
        pair.primary.wait_for_log(rf"{kind_of_transfer} started \(serial {serial}{proofs}\)", since=mark)
    if not (kind is Nsd and mutual):  # NSD 4.6 shows its certificate from the second connection on
        assert "denied" not in pair.primary.log_text()


@pytest.mark.parametrize("kind", SECONDARIES)
def test_in_cleartext_it_gets_nothing(
    kind: type[NameServer], tmp_path: Path, stack: ExitStack, certificates: Certificates
) -> None:
    pair = Pair(tmp_path, stack, certificates)
    pair.secondary(kind, None)
    pair.primary.wait_for_log(
        r"denied: the address matches 127\.0\.0\.1/32 \(secondary peer\), but it must come over TLS$",
        seconds=ARRIVAL_SECONDS,
    )
    assert "started" not in pair.primary.log_text()


@pytest.mark.parametrize("kind", SECONDARIES)
def test_without_the_certificate_that_is_wanted_it_gets_nothing(
    kind: type[NameServer], tmp_path: Path, stack: ExitStack, certificates: Certificates
) -> None:
    pair = Pair(tmp_path, stack, certificates, tls="ns3.example.org")
    pair.secondary(kind, OverTls(NS1, certificates.ca.certificate, certificates.secondary))
    pair.primary.wait_for_log(
        r"but it must come with a client certificate for ns3\.example\.org, not for ns2\.example\.net$",
        seconds=ARRIVAL_SECONDS,
    )
    assert "started" not in pair.primary.log_text()


@pytest.mark.parametrize("kind", SECONDARIES)
def test_a_primary_with_another_name_is_not_believed(
    kind: type[NameServer], tmp_path: Path, stack: ExitStack, certificates: Certificates
) -> None:
    """What the tests above stand on: the secondary does look at the certificate of authdns."""
    pair = Pair(tmp_path, stack, certificates)
    pair.secondary(kind, OverTls("ns9.example.com", certificates.ca.certificate))
    pair.primary.wait_for_log(r"client 127\.0\.0\.1#\d+: no TLS: ", seconds=ARRIVAL_SECONDS)
    assert "started" not in pair.primary.log_text()


def asked(server: NameServer, how: TlsClient) -> str:
    """Transfers example.com over TLS. "" if all was well, else why not."""
    with socket.create_connection(server.tls_endpoint, timeout=ARRIVAL_SECONDS) as below:
        try:
            connection = client_context(how).wrap_socket(below, server_hostname=how.name)
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        with connection:
            if (objection := check_peer(connection, how)) is not None:
                return objection
            query = dns.message.make_query("example.com", "AXFR")
            dns.query.send_tcp(connection, query)
            message, _ = dns.query.receive_tcp(connection, one_rr_per_rrset=True)
            return "" if message.rcode() == dns.rcode.NOERROR and message.answer else "refused"


@pytest.mark.parametrize("kind", SECONDARIES)
def test_whom_a_client_believes(
    kind: type[NameServer], tmp_path: Path, stack: ExitStack, certificates: Certificates
) -> None:
    file = write(tmp_path / "example.com.zone", EXAMPLE_COM, "example.com", 1)
    server = stack.enter_context(
        kind(tmp_path / "server", [Zone("example.com", file)], certificate=certificates.primary)
    )
    ca, right = str(certificates.ca.certificate), base64.b64decode(certificates.primary.pin)
    alpn = kind is Bind  # NSD 4.6 does not select any protocol
    for how in (TlsClient(), TlsClient(name=NS1, ca=ca), TlsClient(pins=(right,)), TlsClient(NS1, ca, (right,))):
        how = replace(how, require_alpn=alpn)
        assert asked(server, how) == ""
    assert "Hostname mismatch" in asked(server, TlsClient(name=NS2, ca=ca, require_alpn=alpn))
    assert "unable to get local issuer" in asked(server, TlsClient(name=NS1, require_alpn=alpn))
    assert "with the pin" in asked(server, TlsClient(pins=(bytes(32),), require_alpn=alpn))
    if not alpn:
        assert "expected the ALPN token `dot`" in asked(server, TlsClient(name=NS1, ca=ca))


@pytest.mark.parametrize("kind", [*SECONDARIES, Authdns])
@pytest.mark.parametrize("key", [None, KEY], ids=["unsigned", "signed"])
def test_authdns_transfers_over_tls(
    kind: type[NameServer], key: TsigKey | None, tmp_path: Path, stack: ExitStack, certificates: Certificates
) -> None:
    """By name, by pin and unverified; and nothing from a primary that is not the one that was meant."""
    file = write(tmp_path / "example.com.zone", EXAMPLE_COM, "example.com", 1, MANY)
    if kind is Authdns:
        port = over_tls(tmp_path, stack, certificates, file, key).more["tls"]["listen"][0].rpartition(":")[2]
    else:
        zone = Zone("example.com", file, key=key)
        primary = stack.enter_context(kind(tmp_path / "primary", [zone], certificate=certificates.primary))
        port = str(primary.tls_endpoint.port)
    alpn = {"require-alpn": False} if kind is Nsd else {}
    by_name = {"name": NS1, "ca": str(certificates.ca.certificate), **alpn}
    for number, (how, said) in enumerate(
        (
            (by_name, "TLS"),
            ({"pins": certificates.primary.pin, **alpn}, "TLS"),
            (alpn or True, "TLS, unverified"),
            ({**by_name, "name": NS2}, "no transfer from .* Hostname mismatch"),
            ({"pins": certificates.secondary.pin, **alpn}, "no transfer from .* expected a public key with the pin"),
        )
    ):
        signing = {} if key is None else {"key": key.name}
        settings: dict[str, Any] = {"primaries": {"main": {"address": f"127.0.0.1:{port}", "tls": how, **signing}}}
        if key is not None:
            settings["keys"] = {key.name: {"algorithm": key.algorithm, "secret": key.secret}}
        zone_settings = {"zone": "example.com", "primaries": "main", "notify-ns": False, "allow-transfer": "127.0.0.1"}
        with Authdns(tmp_path / f"secondary{number}", [zone_settings], more=settings) as ours:
            if said.startswith("TLS"):
                ours.wait_until_serving("example.com", 1, seconds=ARRIVAL_SECONDS)
                ours.wait_for_log(rf"transferred serial 1 from .* s, {said}{', key' if key else ''}")
                assert copied(ours, "example.com") == records_in_file(file, "example.com")
            else:
                ours.wait_for_log(said, seconds=ARRIVAL_SECONDS)
                assert "transferred serial" not in ours.log_text()


def over_tls(tmp_path: Path, stack: ExitStack, certificates: Certificates, file: Path, key: TsigKey | None) -> Authdns:
    rule = {"address": "127.0.0.1", "tls": "required", **({} if key is None else {"key": key.name})}
    settings: dict[str, Any] = {
        "tls": {
            "listen": [f"127.0.0.1:{free_port()}"],
            "certificate": str(certificates.primary.certificate),
            "private-key": str(certificates.primary.private_key),
        }
    }
    if key is not None:
        settings["keys"] = {key.name: {"algorithm": key.algorithm, "secret": key.secret}}
    zone = {"zone": "example.com", "file": str(file), "allow-transfer": [rule], "notify-ns": False}
    server = stack.enter_context(Authdns(tmp_path / "primary", [zone], more=settings))
    server.wait_for_log("serving 1 ")
    return server
