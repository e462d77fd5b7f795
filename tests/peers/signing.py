"""Signed zones as real signers make them: `dnssec-signzone` (BIND), `ldns-signzone` and `kzonesign` (Knot DNS).

Signing takes some ten milliseconds a zone. With `sign`, the keys are always the same two and the signatures are valid
from 2026 to 2037, so what differs from one run to the next are the signatures of BIND and ldns, which are made with
random numbers. `sign_with_new_keys` is for other algorithms, numbers of keys, and times.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from tests.peers.availability import find_binary

SECONDS = 60.0
ALGORITHM = "13 (ECDSAP256SHA256)"
# Of each key the flags, the public and the private part; the names of the files are the dictionary's.
KEYS = {
    "ksk": (257, "ReKIHi37o00oRsAH+aj2BxWj1qVBcH8Wesgjau1MTvLN9zs9Dpe3UB5FfPQsVOIFmuKI0vTwXn+AloRDYA+fLQ==",
            "QuHrB1LdxbeHm0U5xaMSUCWwqnmBNVnOUg6cHQ37/tI="),
    "zsk": (256, "N/8D/XVgPwY3eIKD8f2Cu3u2mVl+8Wp9rjp3kuj+5pCBbRP/CF8o4lydBN9q3Ig6v2M/VFkUE129eJOLtY8wzQ==",
            "5/aT5Qg3Q+H3NX1GF9rOCuLfBhmuRkECy+7u9iAaYiA="),
}  # fmt: skip
KEY_TTL = 300
KEYS_FROM = "20250101000000"
INCEPTION, INCEPTION_TIMESTAMP = "20260101000000", 1_767_225_600
EXPIRATION, LIFETIME_DAYS = "20371231000000", 4_382  # ldns-verify-zone has no times after 2^31 seconds


class SigningFailed(Exception):
    """A signer did not take the zone; with what it said."""


class Denial(NamedTuple):
    """How names that do not exist are denied: NSEC without `salt` (in hexadecimal digits), else NSEC3."""

    salt: str | None = None
    iterations: int = 0
    opt_out: bool = False


Signer = Callable[[Path, str, Denial, Path], Path]


def sign(zone_file: Path, origin: str, how: str, folder: Path) -> Path:
    """The file, in `folder`, of the zone signed in the way that `HOW` calls `how`; raises `SigningFailed`.

    `origin` may lack the final dot. The zone file must not contain `$INCLUDE` with a relative path.
    """
    return sign_with(*HOW[how], zone_file, origin, folder)


def sign_with(signer: Signer, denial: Denial, zone_file: Path, origin: str, folder: Path) -> Path:
    """The same for a way that has no name."""
    origin = origin.rstrip(".") + "."
    folder.mkdir(parents=True, exist_ok=True)
    for name, (flags, public, private) in KEYS.items():
        (folder / f"{name}.key").write_text(f"{origin} {KEY_TTL} IN DNSKEY {flags} 3 13 {public}\n")
        (folder / f"{name}.private").write_text(
            f"Private-key-format: v1.3\nAlgorithm: {ALGORITHM}\nPrivateKey: {private}\n"
            f"Created: {KEYS_FROM}\nPublish: {KEYS_FROM}\nActivate: {KEYS_FROM}\n"
        )
    return signer(zone_file.resolve(), origin, denial, folder.resolve())


def key_signing_key() -> str:
    """The rdata of the DNSKEY that a validator is to trust in zones that `sign` made."""
    flags, public, _ = KEYS["ksk"]
    return f"{flags} 3 13 {public}"


def delegation_signer(zone: str, keys: Sequence[str] = ()) -> str:
    """The DS records of `zone` for the rdata of its DNSKEYs, that of `sign` unless `keys` are given, as a line each."""
    return "".join(f"{zone.rstrip('.')}. IN DS {digest(zone, key)}\n" for key in keys or [key_signing_key()])


def published_keys(zone: str) -> str:
    """The CDS and the CDNSKEY record of a zone that `sign` makes (RFC 7344), as a line each."""
    key, owner = key_signing_key(), f"{zone.rstrip('.')}."
    return f"{owner} IN CDS {digest(zone, key)}\n{owner} IN CDNSKEY {key}\n"


def digest(zone: str, key: str) -> str:
    rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.DNSKEY, key)
    assert isinstance(rdata, DNSKEY)
    return dns.dnssec.make_ds(dns.name.from_text(zone), rdata, "SHA256").to_text()


def sign_with_new_keys(
    zone_file: Path,
    origin: str,
    folder: Path,
    algorithms: Sequence[str],
    denial: Denial,
    *,
    zone_signing_keys: int = 1,
    inception: str = INCEPTION,
    expiration: str = EXPIRATION,
) -> tuple[Path, list[str]]:
    """The zone signed by `dnssec-signzone`, with as many keys of each algorithm; and the rdata of the new KSKs.

    Times are as in RRSIGs: YYYYMMDDHHMMSS.
    """
    origin = origin.rstrip(".") + "."
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    for old in folder.glob("K*"):
        old.unlink()
    for algorithm in algorithms:
        bits = ["-b", "2048"] if algorithm.startswith("RSA") else []
        generate = ["dnssec-keygen", "-q", "-a", algorithm, *bits, "-P", KEYS_FROM, "-A", KEYS_FROM]
        for flags in (["-f", "KSK"], *[[]] * zone_signing_keys):
            run([*generate, *flags, origin], folder)
    keys = [file.read_text().splitlines()[-1].partition(" DNSKEY ")[2] for file in folder.glob("K*.key")]
    with_keys, signed = folder / "with-keys.zone", folder / "signed.zone"
    with_keys.write_text(zone_file.read_text() + "".join(f"{origin} {KEY_TTL} IN DNSKEY {key}\n" for key in keys))
    command = [*signzone(origin, denial, inception, expiration), "-f", str(signed)]
    run([*command, str(with_keys), *[file.stem for file in folder.glob("K*.key")]], folder)
    return signed, [key for key in keys if key.startswith("257 ")]


def signzone(origin: str, denial: Denial, inception: str = INCEPTION, expiration: str = EXPIRATION) -> list[str]:
    command = ["dnssec-signzone", "-q", "-P", "-x", "-n", "1", "-s", inception, "-e", expiration, "-o", origin]
    if denial.salt is not None:
        command += ["-3", denial.salt or "-", "-H", str(denial.iterations), *(["-A"] if denial.opt_out else [])]
    return command


def with_dnssec_signzone(zone_file: Path, origin: str, denial: Denial, folder: Path) -> Path:
    with_keys, signed = folder / "with-keys.zone", folder / "signed.zone"
    keys = "".join((folder / f"{name}.key").read_text() for name in KEYS)
    with_keys.write_text(f"{zone_file.read_text()}\n{keys}")
    run([*signzone(origin, denial), "-f", str(signed), "-k", "ksk", str(with_keys), "zsk"], folder)
    return signed


def with_ldns_signzone(zone_file: Path, origin: str, denial: Denial, folder: Path) -> Path:
    """With opt-out, ldns sets the flag in every NSEC3 and still gives each delegation one."""
    signed = folder / "signed.zone"
    command = ["ldns-signzone", "-i", INCEPTION, "-e", EXPIRATION, "-o", origin, "-f", str(signed)]
    if denial.salt is not None:
        command += ["-n", "-t", str(denial.iterations), *(["-s", denial.salt] if denial.salt else [])]
        command += ["-p"] if denial.opt_out else []
    run([*command, str(zone_file), "ksk", "zsk"], folder)
    return signed


def with_kzonesign(zone_file: Path, origin: str, denial: Denial, folder: Path) -> Path:
    database, outgoing = folder / "kasp", folder / "outgoing"
    for each in (database, outgoing):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir()
    # Knot publishes its own CDS and CDNSKEY or none, never those of the file.
    publish = "always" if re.search(r"\sCDS\s", zone_file.read_text()) else "rollover"
    configuration = folder / "kzonesign.conf"
    configuration.write_text(f"""\
database:
    storage: "{database}"
    kasp-db-max-size: 16M
policy:
  - id: tests
    manual: on
    dnskey-ttl: {KEY_TTL}
    rrsig-lifetime: {LIFETIME_DAYS}d
    rrsig-refresh: 30d
    rrsig-pre-refresh: 1h
    reproducible-signing: on
    nsec3: {"off" if denial.salt is None else "on"}
    nsec3-iterations: {denial.iterations}
    nsec3-opt-out: {"on" if denial.opt_out else "off"}
    nsec3-salt-length: {len(denial.salt or "") // 2}
    cds-cdnskey-publish: {publish}
zone:
  - domain: "{origin}"
    file: "{zone_file}"
    semantic-checks: off
    dnssec-signing: on
    dnssec-policy: tests
""")
    for key in KEYS:
        run(["keymgr", "-c", str(configuration), origin, "import-bind", f"{key}.key"], folder)
    if denial.salt:
        run(["keymgr", "-c", str(configuration), origin, "nsec3-salt", denial.salt], folder)
    at = str(INCEPTION_TIMESTAMP)
    run(["kzonesign", "-c", str(configuration), "-o", str(outgoing), "-t", at, origin], folder)
    (signed,) = outgoing.iterdir()
    return signed


def run(command: Sequence[str], folder: Path) -> None:
    program = find_binary(command[0])
    if program is None:
        raise FileNotFoundError(f"{command[0]} is not installed")
    done = subprocess.run(
        [program, *command[1:]], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
    )
    if done.returncode != 0:
        raise SigningFailed(f"{command[0]}: {(done.stderr or done.stdout).strip()}")


HOW: dict[str, tuple[Signer, Denial]] = {
    "nsec": (with_dnssec_signzone, Denial()),
    "nsec3": (with_dnssec_signzone, Denial(salt="")),
    "nsec3-salt": (with_dnssec_signzone, Denial(salt="aabbccdd", iterations=5)),
    "opt-out": (with_dnssec_signzone, Denial(salt="", opt_out=True)),
    "ldns-nsec": (with_ldns_signzone, Denial()),
    "ldns-nsec3": (with_ldns_signzone, Denial(salt="c0ffee", iterations=1)),
    "ldns-opt-out": (with_ldns_signzone, Denial(salt="", opt_out=True)),
    "knot-nsec": (with_kzonesign, Denial()),
    "knot-nsec3": (with_kzonesign, Denial(salt="5a17", iterations=2)),
    "knot-opt-out": (with_kzonesign, Denial(salt="", opt_out=True)),
}
