"""authdns as a process, started for one test or for all of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.peers import Authdns, Zone

Serve = Callable[..., Authdns]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What a test starts is entered here, and stopped in reverse order."""
    with ExitStack() as started:
        yield started


@pytest.fixture
def serve(stack: ExitStack, tmp_path: Path) -> Serve:
    """`serve(zones, **more of the configuration)` starts the server and waits until it has read every zone."""
    return serving_in(tmp_path, stack)


@pytest.fixture(scope="module")
def serve_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """`serve`, for a server that all tests of a module use."""
    with ExitStack() as started:
        yield serving_in(tmp_path_factory.mktemp("server"), started)


def serving_in(folder: Path, stack: ExitStack) -> Serve:
    count = 0

    def start(zones: Sequence[Zone | Mapping[str, Any]], *, address: str = "127.0.0.1", **more: Any) -> Authdns:
        nonlocal count
        count += 1
        settings = {key.replace("_", "-"): value for key, value in more.items()}
        server = stack.enter_context(Authdns(folder / f"server{count}", zones, address=address, more=settings))
        server.wait_for_log("serving [0-9]+ ")
        return server

    return start
