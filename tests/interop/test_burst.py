"""Thousands of questions of every kind in quick succession, each answered once with the rcode that it has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.bench import workload
from tests.bench.load import Query, generator
from tests.interop.conftest import Serve
from tests.peers import Zone

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("cc") is None, reason="the load generator needs a C compiler"),
]


@pytest.mark.parametrize("window", [1, 16, 128])
def test_every_query_of_a_burst_is_answered(tmp_path: Path, serve: Serve, window: int) -> None:
    file = tmp_path / "small.zone"
    workload.write_small_zone(file)
    server = serve([Zone(workload.SMALL_ZONE, file)])
    queries = workload.mixed()[:3000]
    with generator() as load:
        result = load.run(server.endpoint, queries, count=len(queries), seconds=20, window=window)
    assert result.problem() is None
    assert (result.sent, result.answered, result.lost) == (3000, 3000, 0)
    assert result.truncated == 0


def test_the_generator_notices_an_unexpected_rcode(tmp_path: Path, serve: Serve) -> None:
    file = tmp_path / "small.zone"
    workload.write_small_zone(file)
    server = serve([Zone(workload.SMALL_ZONE, file)])
    with generator() as load:
        result = load.run(server.endpoint, [Query("example.org", "A", "NOERROR")], count=10)
    assert result.unexpected == 10
    assert result.rcodes == {"REFUSED": 10}
    assert "unexpected" in (result.problem() or "")
