"""The bounded form of `python -m tests.fuzz.packets`, and that its checks see what they are for."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.invariants import Violation, check_answer, is_request
from tests.fuzz.mutations import mutated
from tests.fuzz.packets import attack, running_server
from tests.fuzz.query import check
from tests.fuzz.zones import responder
from tests.unit.answer.packets import WWW, header, opt, query, question

PACKETS = 200_000
MUTATIONS = 10_000
RCODES = (0, 1, 2, 3, 4, 5, 9)  # every rung of the ladder


def test_mutated_packets_over_sockets(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        report = attack(server, PACKETS, seed=4711)
    assert report.packets >= PACKETS
    assert report.over_tcp > PACKETS / 100
    assert report.silent > PACKETS / 200
    # Or nothing was tested:
    assert min(report.rcodes.get(rcode, 0) for rcode in RCODES) > PACKETS / 1000, report


def test_mutated_packets_without_sockets() -> None:
    """The same with more checks: what is sent can be read, UDP and TCP agree."""
    random_ = random.Random(4711)
    outcomes = Counter(check(mutated(random_)) for _ in range(MUTATIONS))
    expected = ("silence", *(f"rcode {rcode}" for rcode in RCODES))
    assert min(outcomes[outcome] for outcome in expected) > MUTATIONS / 1000, outcomes


PLAIN = query(WWW)
ANSWER = b"".join([PLAIN[:2], b"\x84\0\0\1\0\0\0\0\0\0", PLAIN[12:]])


def test_an_answer_without_fault_passes() -> None:
    check_answer(PLAIN, ANSWER, tcp=False)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (PLAIN, ANSWER[:11]),
        (PLAIN, b"\0\0" + ANSWER[2:]),
        (PLAIN, ANSWER[:2] + b"\4" + ANSWER[3:]),
        (PLAIN, ANSWER[:2] + b"\x8c" + ANSWER[3:]),
        (PLAIN, ANSWER[:3] + b"\x40" + ANSWER[4:]),
        (PLAIN, ANSWER[:12] + b"\3xxx" + ANSWER[16:]),
        (PLAIN, ANSWER + opt()),
        (PLAIN, ANSWER[:11] + b"\1" + ANSWER[12:]),
        (PLAIN, ANSWER[:11] + b"\1" + ANSWER[12:] + opt(options=bytes(500))),
        (header(0x8000) + question(), ANSWER),
        (PLAIN[:11], ANSWER),
    ],
)
def test_a_faulty_answer_does_not(request_: bytes, answer: bytes) -> None:
    with pytest.raises(Violation):
        check_answer(request_, answer, tcp=False)


def test_an_answer_as_large_as_the_query_allows() -> None:
    request = query(b"\4huge\7example\3com\0", 16, edns=opt(payload=1400))
    response = responder(tcp=True).respond(request)
    assert isinstance(response, bytes)
    check_answer(request, response, tcp=True)
    assert is_request(request)
    with pytest.raises(Violation, match="1232 are taken"):
        check_answer(request, response, tcp=False)
