"""Asking a primary for a zone: what the sockets and the event loop have to do with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from authdns.config import Endpoint, Primary, default_config
from authdns.server import asking
from authdns.server.asking import Asking
from authdns.transfer.inbound import Inbound, Step, Whole
from tests.hostile_primary import Copy, Fault, HostilePrimary
from tests.hostile_primary.actions import Action, Raw
from tests.hostile_primary.faults import AXFR, Talk
from tests.hostile_primary.messages import framed

HOSTS = 100


def all_at_once(talk: Talk) -> Iterator[Action]:
    """One record in each message."""
    yield Raw(b"".join(map(framed, talk.honest(per_message=1))))


def test_a_primary_that_sends_many_small_messages_leaves_the_event_loop_its_turns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(asking, "LOOP_SECONDS", 0.0)
    turns = 0
    read_in: list[int] = []
    config = default_config(tmp_path, environ={"HOME": str(tmp_path)})
    receive = Inbound.receive

    def noted(machine: Inbound, message: bytes, now: int) -> Step | None:
        read_in.append(turns)
        return receive(machine, message, now)

    monkeypatch.setattr(Inbound, "receive", noted)

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def ask(copy: Copy, primary: Primary) -> object:
        turning = asyncio.create_task(turn())
        found = Asking(config, dict, lambda: False)
        try:
            return await found.ask(copy.apex, None, primary, whole=False)
        finally:
            turning.cancel()
            found.close()

    copy = Copy("example.com", hosts=HOSTS)
    copy.fault = Fault("small", "One record in each message.", frozenset((AXFR,)), "", all_at_once)
    with HostilePrimary([copy]) as server:
        host, port = server.address
        step = asyncio.run(ask(copy, Primary(host, Endpoint(ip_address(host), port))))
    assert isinstance(step, Whole)
    assert len(read_in) > HOSTS
    assert len(set(read_in)) == len(read_in)
