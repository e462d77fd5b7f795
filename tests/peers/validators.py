"""Tools that validate: `delv` one answer, `ldns-verify-zone` and `dnssec-verify` a whole zone; and `kdig +dnssec`."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.peers.availability import binary_of
from tests.peers.process import Endpoint
from tests.peers.signing import KEY_TTL, key_signing_key

SECONDS = 30.0


def run(*command: str) -> tuple[int, str]:
    """The exit status and all that was printed."""
    done = subprocess.run(
        [binary_of(command[0]), *command[1:]], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return done.returncode, done.stdout + done.stderr


def delv(server: Endpoint, folder: Path, zone: str, *arguments: str, key: str = "") -> str:
    """What delv says of an answer of `server`, which has authority for `zone`, trusting `key` (rdata of a DNSKEY)."""
    anchors = folder / f"{zone}.anchors"
    flags, protocol, algorithm, public = (key or key_signing_key()).split(maxsplit=3)
    public = public.replace(" ", "")
    anchors.write_text(f'trust-anchors {{ {zone}. static-key {flags} {protocol} {algorithm} "{public}"; }};\n')
    options = ["-a", str(anchors), f"+root={zone}", "-p", str(server.port)]
    return run("delv", f"@{server.address}", *options, *arguments)[1]


def kdig(server: Endpoint, *arguments: str) -> str:
    return run("kdig", f"@{server.address}", "-p", str(server.port), *arguments)[1]


def ldns_verify_zone(file: Path, zone: str) -> tuple[int, str]:
    """Signatures and chains of a zone file that `signing.sign` made, against the key that it made them with."""
    anchor = file.with_suffix(".key")
    anchor.write_text(f"{zone}. {KEY_TTL} IN DNSKEY {key_signing_key()}\n")
    return run("ldns-verify-zone", "-V", "1", "-k", str(anchor), str(file))


def dnssec_verify(file: Path, zone: str) -> tuple[int, str]:
    return run("dnssec-verify", "-q", "-o", zone, str(file))


def named_compilezone(file: Path, zone: str) -> tuple[int, str]:
    """The zone as BIND reads and prints it, in `file`.compiled."""
    return run("named-compilezone", "-i", "none", "-o", f"{file}.compiled", zone, str(file))
