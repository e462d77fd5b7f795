"""The most expensive packet costs at most 20 times what an ordinary one of its size costs.

Cost is counted in bytecode instructions and what goes on below them (see `costs`), not in seconds. Each packet is sent
once before, as to a server that is attacked. What NSEC3 costs beyond that is what the zone's owner has ordered:
iterations; here it is in how many names of one answer are hashed.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings, target
from hypothesis import strategies as st

from tests.unit.answer.costs import Counted, cost_of
from tests.unit.answer.hostile import (
    WORST,
    cost_here,
    hashed_names,
    odd_packets,
    plain_queries,
    times_ordinary,
)
from tests.unit.answer.packets import query

TIMES = 20
HASHED_NAMES = 1  # the next closer name (RFC 5155 section 7.2); all others are known to the class


@pytest.mark.parametrize("name", WORST)
def test_the_worst_packets_that_we_know(name: str) -> None:
    hold_to_limits(WORST[name])


def test_the_count_counts() -> None:
    """A cost of nothing would pass every other test here."""
    worst = cost_here(WORST["127 labels below example.com., DO, Z"]).instructions
    assert 100 < cost_here(query()).instructions < cost_here(query(flags=0x40)).instructions < worst
    assert cost_here(WORST["a name below nsec3.example., DO"]).rounds > 100


def test_octets_are_charged() -> None:
    counted = Counted(bytes(65_000))
    for function in (hash, lambda octets: octets[1:], lambda octets: b"" + octets + b"", lambda octets: octets.lower()):
        assert cost_of(function, counted).instructions > 200


def hold_to_limits(packet: bytes) -> tuple[float, float]:
    times, hashed = times_ordinary(packet), hashed_names(packet)
    assert times <= TIMES
    assert hashed <= HASHED_NAMES
    return times, hashed


@pytest.mark.parametrize("packets", [plain_queries(), odd_packets()], ids=["well-formed", "odd"])
def test_a_search_finds_no_worse_one(packets: st.SearchStrategy[bytes]) -> None:
    @settings(deadline=None, max_examples=300)
    @given(packets)
    def search(packet: bytes) -> None:
        times, hashed = hold_to_limits(packet)
        target(times, label="times an ordinary packet")
        target(hashed, label="names hashed")

    search()
