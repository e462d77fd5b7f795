"""The server under test: authdns; or BIND (Knot) in its place, with AUTHDNS_CONTROL_RUN=1.

The control run checks the tests: what peers pass is asked rightly. Tests of what only authdns does are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers import Authdns, Bind, Knot, NameServer, Zone
from tests.peers.process import is_free

CONTROL_RUN = os.environ.get("AUTHDNS_CONTROL_RUN") == "1"

Serve = Callable[..., NameServer]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "only_authdns: about what no peer does, so not part of the control run")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if CONTROL_RUN and item.get_closest_marker("only_authdns"):
        pytest.skip("the control run has peers in the place of authdns")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What a test starts is entered here, and stopped in reverse order."""
    with ExitStack() as servers:
        yield servers


@pytest.fixture
def serve(stack: ExitStack, tmp_path: Path) -> Serve:
    """`serve(zones, address=..., port=...)` starts the server under test."""
    return serving_in(tmp_path, stack)


@pytest.fixture(scope="module")
def serve_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """`serve`, for a server that all tests of a module ask and none changes."""
    with ExitStack() as servers:
        yield serving_in(tmp_path_factory.mktemp("servers"), servers)


def serving_in(folder: Path, stack: ExitStack) -> Serve:
    count = 0

    def start(zones: Sequence[Zone], *, address: str = "127.0.0.1", port: int | None = None) -> NameServer:
        nonlocal count
        count += 1
        # BIND listens only on addresses that an interface has; Knot on any of 127.0.0.0/8.
        kind = (Bind if address == "127.0.0.1" else Knot) if CONTROL_RUN else Authdns
        return stack.enter_context(kind(folder / f"served{count}", zones, address=address, port=port))

    return start


@pytest.fixture
def address_with_port_53() -> str:
    """A loopback address on which port 53 can be bound: what a delegation needs, since glue carries no port."""
    for last in range(1, 100):
        address = f"127.53.53.{last}"
        if is_free(address, 53):
            return address
    pytest.skip("port 53 cannot be bound on any loopback address (not root?)")
