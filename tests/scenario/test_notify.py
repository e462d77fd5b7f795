"""NOTIFY as a secondary sees it: real sockets in the secondary's place."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dns.flags
import dns.opcode
import pytest

from authdns.transfer import notify
from tests.peers import Authdns, Endpoint
from tests.scenario.tools import SECONDS, LocalServer, ident, parsed, write_zone

NOERROR, REFUSED, NOTAUTH = 0, 5, 9


class Secondary:
    """A UDP socket that NOTIFY is sent to."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(SECONDS)
        self.endpoint = Endpoint(*self.socket.getsockname())

    def notified(self) -> tuple[bytes, tuple[str, int]]:
        """The next NOTIFY and where it came from."""
        wire, source = self.socket.recvfrom(4096)
        message = parsed(wire)
        assert message.opcode() == dns.opcode.NOTIFY
        assert message.flags & dns.flags.AA
        return wire, source

    def serial(self) -> int:
        wire, source = self.notified()
        self.answer(wire, source)
        return int(parsed(wire).answer[0][0].to_text().split()[2])

    def answer(self, wire: bytes, source: tuple[str, int], rcode: int = NOERROR) -> None:
        self.socket.sendto(answer_to(wire, rcode), source)

    def hears_nothing(self) -> bool:
        return not select.select([self.socket], [], [], 0)[0]


def answer_to(wire: bytes, rcode: int = NOERROR) -> bytes:
    question_end = wire.index(b"\0", 12) + 5
    return wire[:2] + bytes((0xA4, rcode)) + b"\0\1\0\0\0\0\0\0" + wire[12:question_end]


@pytest.fixture
def secondary() -> Iterator[Secondary]:
    made = Secondary()
    with made.socket:
        yield made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_zone(tmp_path / "example.com.zone", 1)


def zone(file: Path, *targets: Endpoint) -> dict[str, object]:
    return {"zone": file.stem, "file": str(file), "notify": [str(target) for target in targets], "notify-ns": False}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "TIMEOUTS_SECONDS", (0.1, 0.2, 30.0))


@pytest.mark.usefixtures("impatient")
def test_it_is_sent_again_until_it_is_answered(
    tmp_path: Path, file: Path, secondary: Secondary, stack: ExitStack
) -> None:
    server = stack.enter_context(LocalServer(tmp_path / "server", [zone(file, secondary.endpoint)]))
    first, source = secondary.notified()
    for _ in range(2):
        assert secondary.notified() == (first, source)
    secondary.answer(first, source)
    server.wait_for_log(f"notify to 127.0.0.1#{secondary.endpoint.port} (configured): accepted (serial 1)")
    write_zone(file, 2)
    assert secondary.serial() == 2
    server.wait_for_log("accepted (serial 2)")
    assert secondary.hears_nothing()


@pytest.mark.parametrize(
    ("rcode", "words"),
    [
        (REFUSED, "REFUSED: that server does not accept NOTIFY from this address"),
        (NOTAUTH, "NOTAUTH: that server does not (yet) serve this zone as our secondary"),
    ],
)
def test_a_refusal_is_told_in_words(
    tmp_path: Path, file: Path, secondary: Secondary, stack: ExitStack, rcode: int, words: str
) -> None:
    server = stack.enter_context(LocalServer(tmp_path / "server", [zone(file, secondary.endpoint)]))
    secondary.answer(*secondary.notified(), rcode)
    server.wait_for_log(words)


@pytest.mark.usefixtures("impatient")
def test_forged_answers_are_ignored(tmp_path: Path, file: Path, secondary: Secondary, stack: ExitStack) -> None:
    server = stack.enter_context(LocalServer(tmp_path / "server", [zone(file, secondary.endpoint)]))
    wire, source = secondary.notified()
    wrong_id = (ident(wire) ^ 1).to_bytes(2, "big") + wire[2:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.sendto(answer_to(wire), source)
    for forged in (answer_to(wrong_id), wire, b"", wire[:5], answer_to(wire).replace(b"\7example", b"\7exampla")):
        secondary.socket.sendto(forged, source)
    assert secondary.notified() == (wire, source)  # so none of them ended it
    assert "accepted" not in server.log_text
    secondary.answer(wire, source)
    server.wait_for_log("accepted (serial 1)")


def test_a_dead_secondary_delays_no_other(tmp_path: Path, file: Path, secondary: Secondary, stack: ExitStack) -> None:
    """Neither for the same zone nor for another."""
    dead = Secondary()
    dead.socket.close()
    other = write_zone(tmp_path / "example.net.zone", 1)
    with LocalServer(
        tmp_path / "server",
        [zone(file, dead.endpoint, secondary.endpoint), zone(other, dead.endpoint, secondary.endpoint)],
    ):
        assert [secondary.serial(), secondary.serial()] == [1, 1]
        write_zone(other, 2)
        assert secondary.serial() == 2
        write_zone(file, 3)
        assert secondary.serial() == 3


def test_after_a_restart_it_is_sent_only_if_the_serial_rose(tmp_path: Path, file: Path, secondary: Secondary) -> None:
    server = Authdns(tmp_path / "server", [zone(file, secondary.endpoint)])

    def restarted() -> str:
        mark = server.log_mark()
        with server:
            server.wait_for_log("serving [0-9]+ zones?", since=mark)
            if expected is not None:
                assert secondary.serial() == expected
                server.wait_for_log(rf"accepted \(serial {expected}\)", since=mark)
        server_log = server.log_text(since=mark)  # it has stopped: what it had to do is done
        assert "stopped" in server_log
        assert secondary.hears_nothing()
        return server_log

    expected: int | None = 1
    restarted()
    expected = None
    assert "sending notifies" not in restarted()
    write_zone(file, 5)
    expected = 5
    restarted()
    expected = None
    assert "sending notifies" not in restarted()


def test_a_forgotten_serial_is_not_announced(
    tmp_path: Path, file: Path, secondary: Secondary, stack: ExitStack
) -> None:
    server = stack.enter_context(LocalServer(tmp_path / "server", [zone(file, secondary.endpoint)]))
    assert secondary.serial() == 1
    server.wait_for_log("accepted (serial 1)")
    write_zone(file, 1, "www A 192.0.2.1")
    server.wait_for_log("the content changed but the serial is still 1")
    write_zone(file, 2, "www A 192.0.2.1")
    assert secondary.serial() == 2  # and nothing before it


def test_a_notify_that_was_under_way_is_sent_again_after_a_restart(
    tmp_path: Path, file: Path, secondary: Secondary
) -> None:
    server = Authdns(tmp_path / "server", [zone(file, secondary.endpoint)])
    with server:
        secondary.notified()
    with server:
        assert secondary.serial() == 1
