"""Tests that need real peers: skipped where a peer is missing, and said so loudly; a failure with
AUTHDNS_REQUIRE_PEERS=1, as in CI.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.peers.availability import BINARIES, missing, peers_are_required

NOT_INSTALLED = re.compile(r"not installed: ([^(]+)\(")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requires_peers(*names): the name servers and tools that the test runs")


def needed(item: pytest.Item) -> tuple[str, ...]:
    return tuple(str(name) for mark in item.iter_markers("requires_peers") for name in mark.args)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if needed(item) and item.get_closest_marker("interop") is None:
            item.add_marker("interop")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    absent = missing(needed(item))
    if not absent:
        return
    reason = ", ".join(f"not installed: {peer} ({BINARIES[peer]})" for peer in absent)
    if peers_are_required():
        pytest.fail(f"{reason}, and AUTHDNS_REQUIRE_PEERS=1", pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    not_run: dict[str, list[str]] = {}  # the missing peer -> the tests that did not run for it
    for report in (*terminalreporter.getreports("skipped"), *terminalreporter.getreports("failed")):
        for peer in set(NOT_INSTALLED.findall(str(report.longrepr))):
            not_run.setdefault(peer.strip(), []).append(report.nodeid)
    if not not_run:
        return
    tests = {test for those in not_run.values() for test in those}
    how = "FAILED" if peers_are_required() else "WERE NOT RUN (AUTHDNS_REQUIRE_PEERS=1 makes them fail)"
    terminalreporter.section("PEERS MISSING", sep="!", red=True, bold=True)
    for peer, those in sorted(not_run.items()):
        terminalreporter.line(f"{peer} ({BINARIES[peer]}): needed by {len(those)} tests", red=True)
    terminalreporter.line(f"{len(tests)} INTEROP TESTS {how}", red=True, bold=True)
