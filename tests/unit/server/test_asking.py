"""Asking a primary for a zone: what the sockets and the event loop have to do with it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from authdns.config import Endpoint, Primary, TlsClient, default_config
from authdns.server import asking
from authdns.server.asking import Asking
from authdns.transfer.inbound import Failed, Inbound, Step, Trouble, Whole
from tests.hostile_primary import Copy, Fault, HostilePrimary
from tests.hostile_primary.actions import Action, Raw
from tests.hostile_primary.faults import AXFR, Talk
from tests.hostile_primary.messages import framed
from tests.peers.certificates import make

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


def test_a_primary_that_refuses_our_certificate_is_said_to(tmp_path: Path) -> None:
    """By TLS 1.3 it does so after the handshake, as we see it."""
    own = make(tmp_path, "primary")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(own.certificate))
    context.load_cert_chain(own.certificate, own.private_key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["dot"])
    config = default_config(tmp_path, environ={"HOME": str(tmp_path)})

    def refuse(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection.dup() as kept:  # if it were closed with our query unread, the alert would be lost
            with connection, pytest.raises(ssl.SSLError):
                context.wrap_socket(connection, server_side=True)
            while kept.recv(4096):
                pass

    async def ask() -> object:
        listening = socket.create_server(("127.0.0.1", 0))
        endpoint = Endpoint(ip_address("127.0.0.1"), listening.getsockname()[1])
        refusing = asyncio.create_task(asyncio.to_thread(refuse, listening))
        found = Asking(config, dict, lambda: False)
        try:
            return await found.ask(b"\7example\0", None, Primary("primary", endpoint, tls=TlsClient()), whole=False)
        finally:
            await refusing
            found.close()
            listening.close()

    step = asyncio.run(ask())
    assert isinstance(step, Failed)
    assert (step.trouble, step.reason) == (Trouble.DISTRUSTED, "TLS: tlsv13 alert certificate required")
