"""Which peers are installed, and the mark that says which ones a test needs.

A test that needs a missing peer is skipped, loudly (see `tests/conftest.py`); with AUTHDNS_REQUIRE_PEERS=1 it fails.
"""

from __future__ import annotations

import os
import shutil
from functools import cache

import pytest

BINARIES = {
    "bind": "named",
    "nsd": "nsd",
    "knot": "knotd",
    "pdns": "pdns_server",
    "unbound": "unbound",
    "dig": "dig",
    "kdig": "kdig",
    "delv": "delv",
    "dnssec-signzone": "dnssec-signzone",
    "dnssec-keygen": "dnssec-keygen",
    "dnssec-verify": "dnssec-verify",
    "named-compilezone": "named-compilezone",
    "ldns-signzone": "ldns-signzone",
    "ldns-verify-zone": "ldns-verify-zone",
    "kzonesign": "kzonesign",
}
SIGNERS = ("dnssec-signzone", "dnssec-keygen", "ldns-signzone", "kzonesign")  # all of tests.peers.signing
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not on every user's PATH


def requires(*peers: str) -> pytest.MarkDecorator:
    """The mark of a test that needs `peers` (names of `BINARIES`)."""
    unknown = set(peers) - BINARIES.keys()
    if unknown:
        raise ValueError(f"unknown peers: {sorted(unknown)}")
    return pytest.mark.requires_peers(*peers)


def missing(peers: tuple[str, ...]) -> list[str]:
    """Those of `peers` that are not installed here."""
    return [peer for peer in peers if find_binary(BINARIES[peer]) is None]


@cache
def find_binary(name: str) -> str | None:
    """The path of a program, looked for on PATH and then where systems keep their servers."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(SYSTEM_FOLDERS))


def binary_of(name: str) -> str:
    """The path of a program that comes with a peer; without it a skip, or a failure where peers are required."""
    found = find_binary(name)
    if found is None:
        if peers_are_required():
            pytest.fail(f"{name} is not installed, and AUTHDNS_REQUIRE_PEERS=1", pytrace=False)
        pytest.skip(f"{name} is not installed")
    return found


def peers_are_required() -> bool:
    """Whether a missing peer is a failure (in CI) and not a skip (on a laptop)."""
    return os.environ.get("AUTHDNS_REQUIRE_PEERS") == "1"
