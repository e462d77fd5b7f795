"""The rate limit and cookies in the running server: whichever engine answers."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.peers import Authdns, Zone, free_port, wait_until
from tests.scenario.tools import SECONDS, LocalServer, Tcp, ident, over_udp, question, rcode, udp_socket, write_zone
from tests.unit.answer.packets import opt, option

LIMIT: dict[str, Any] = {"exempt": []}
BURST = 125
CLIENT_COOKIE = b"12345678"
SECRET = "e5e973e5a6b2a43f48e7dc849e37bfcf"
REFUSED = 5


def serving(folder: Path, stack: ExitStack, **more: Any) -> LocalServer:
    folder.mkdir(exist_ok=True)
    zone = Zone("example.com", write_zone(folder / "zone", 1, "www A 192.0.2.1"))
    return stack.enter_context(LocalServer(folder / "server", [zone], more={"rate-limit": LIMIT, **more}))


def with_cookie(content: bytes, ident: int = 1, name: str = "www.example.com") -> bytes:
    plain = question(name, ident=ident)
    return plain[:11] + b"\1" + plain[12:] + opt(options=option(10, content))


def learnt(server: LocalServer, source: str | None = None) -> bytes:
    return over_udp(server.endpoint, with_cookie(CLIENT_COOKIE), source)[-24:]


def burst(server: LocalServer, packets: list[bytes], source: str = "127.0.0.1") -> Counter[str]:
    """What came back to packets with ids that differ, sent one after the other."""
    found: Counter[str] = Counter()
    with udp_socket(server.endpoint, source) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # or answers are lost before they are read
        for packet in packets:
            sock.send(packet)
        sock.settimeout(0.5)
        while sum(found.values()) < len(packets):
            try:
                response = sock.recv(65535)
            except TimeoutError:
                break
            found["TC" if response[2] & 2 else f"rcode {rcode(response)}"] += 1
    found["nothing"] = len(packets) - sum(found.values())
    return found


def near(number: int, expected: int) -> bool:
    """A slow machine takes a while to send a burst, and 50 more may be answered in each second."""
    return expected <= number <= expected + 60


def queries(number: int, name: str = "www.example.com") -> list[bytes]:
    return [question(name, ident=i) for i in range(number)]


def test_the_burst_is_answered_and_the_rest_is_sent_to_tcp(tmp_path: Path, stack: ExitStack) -> None:
    server = serving(tmp_path, stack)
    found = burst(server, queries(400))
    assert near(found["rcode 0"], BURST)
    assert found["nothing"] == 0
    assert found["TC"] == 400 - found["rcode 0"]
    with Tcp(server.endpoint) as client:
        for number in range(300):
            assert ident(client.ask(question("www.example.com", ident=number)).message()) == number
    assert server.app.outcomes()["rate_limited"] == {"truncated": found["TC"], "dropped": 0, "logged": 0}
    server.wait_for_log("the rate limit acted on")
    assert "one of them from 127.0.0.1" in server.log_text


def test_a_truncated_response_has_no_records(tmp_path: Path, stack: ExitStack) -> None:
    server = serving(tmp_path, stack, **{"rate-limit": {"exempt": [], "burst": 1, "per-second": 1}})
    asked = question("www.example.com", payload=1232, flags=0x0100)
    over_udp(server.endpoint, asked)
    assert over_udp(server.endpoint, asked) == asked[:2] + b"\x83\0" + asked[4:]


def test_refusals_are_limited_and_stay_refusals(tmp_path: Path, stack: ExitStack) -> None:
    server = serving(tmp_path, stack)
    found = burst(server, queries(300, "www.example.org"))
    assert found == {"rcode 5": 300, "nothing": 0}
    assert near(300 - server.app.outcomes()["rate_limited"]["truncated"], BURST)


def test_slip(tmp_path: Path, stack: ExitStack) -> None:
    for slip in (0, 2):
        server = serving(tmp_path / str(slip), stack, workers=1, **{"rate-limit": {"exempt": [], "slip": slip}})
        found = burst(server, queries(400))
        assert near(found["rcode 0"], BURST)
        limited = 400 - found["rcode 0"]
        assert found["TC"] == (limited // 2 if slip else 0)
        counts = server.app.outcomes()["rate_limited"]
        assert counts == {"truncated": found["TC"], "dropped": limited - found["TC"], "logged": 0}


def test_log_only(tmp_path: Path, stack: ExitStack) -> None:
    server = serving(tmp_path, stack, **{"rate-limit": {"exempt": [], "log-only": True}})
    assert burst(server, queries(400)) == {"rcode 0": 400, "nothing": 0}
    counts = server.app.outcomes()["rate_limited"]
    assert near(400 - counts["logged"], BURST)
    server.wait_for_log("the rate limit acted on")


def test_loopback_is_exempt_unless_told_otherwise_and_all_can_be_switched_off(tmp_path: Path, stack: ExitStack) -> None:
    for name, limit in (("default", {}), ("off", None), ("named", {"exempt": ["127.0.0.1"]})):
        server = serving(tmp_path / name, stack, **{"rate-limit": limit})
        assert burst(server, queries(400)) == {"rcode 0": 400, "nothing": 0}
    assert near(burst(server, queries(400), "127.0.0.2")["rcode 0"], BURST)


def test_who_sends_a_valid_cookie_is_not_limited(tmp_path: Path, stack: ExitStack) -> None:
    server = serving(tmp_path, stack)
    cookie = learnt(server)
    assert burst(server, queries(400))["TC"]
    assert burst(server, [with_cookie(cookie, i) for i in range(400)]) == {"rcode 0": 400, "nothing": 0}
    forged = cookie[:-1] + bytes((cookie[-1] ^ 1,))
    assert burst(server, [with_cookie(forged, i) for i in range(100)])["TC"] >= 40
    # It is good for its own address only.
    assert near(burst(server, [with_cookie(cookie, i) for i in range(400)], "127.0.0.2")["rcode 0"], BURST)
    counts = server.app.outcomes()["cookies"]
    assert counts == {"valid": 400, "new": 1, "invalid": 500}


def test_cookies_are_answered_by_tcp_and_in_what_python_answers(tmp_path: Path, stack: ExitStack) -> None:
    server = serving(tmp_path, stack)
    cookie = learnt(server)
    with Tcp(server.endpoint) as client:
        assert client.ask(with_cookie(cookie)).message()[-24:] == cookie
        plain = question("example.com", "AXFR")
        transfer = plain[:11] + b"\1" + plain[12:] + opt(options=option(10, cookie))
        assert client.ask(transfer).message()[-24:] == cookie
    chaos = question("id.server", "TXT", rdclass=3)
    chaos = chaos[:11] + b"\1" + chaos[12:] + opt(options=option(10, cookie))
    response = over_udp(server.endpoint, chaos)
    assert (rcode(response), response[-24:]) == (REFUSED, cookie)


def test_cookies_can_be_switched_off(tmp_path: Path, stack: ExitStack) -> None:
    server = serving(tmp_path, stack, cookies=None)
    response = over_udp(server.endpoint, with_cookie(bytes(3)))
    assert (rcode(response), response[-2:]) == (0, b"\0\0")
    assert "cookies" not in server.app.outcomes()


def test_two_servers_share_their_secrets_and_roll_them_over(tmp_path: Path, stack: ExitStack) -> None:
    """Staged beside the old one, then active, then alone."""
    file = tmp_path / "secrets"
    file.write_text(f"# active\n{SECRET}\n")
    settings = {"cookies": {"secret-file": str(file)}}
    one, other = (serving(tmp_path / name, stack, **settings) for name in ("one", "other"))
    cookie = learnt(one)
    assert over_udp(other.endpoint, with_cookie(cookie))[-24:] == cookie
    assert other.app.outcomes()["cookies"]["valid"] == 1

    def read_again(server: LocalServer, count: int) -> None:
        before = server.log_text.count("secrets of cookies: ")
        server.loop.call_soon_threadsafe(server.app._reload_all)
        wait_until(lambda: server.log_text.count("secrets of cookies: ") > before, "secrets are read", SECONDS)
        assert f"secrets of cookies: {count} read from {file}" in server.log_text

    new = "445536bcd2513298075a5d379663c962"
    file.write_text(f"{new}\n{SECRET}\n")
    read_again(one, 2)
    assert over_udp(one.endpoint, with_cookie(cookie))[-24:] == cookie
    made = learnt(one)
    assert made != cookie
    file.write_text("not a secret\n")
    one.loop.call_soon_threadsafe(one.app._reload_all)
    one.wait_for_log(f"{file}:1: expected 32 hex digits, found something else; those that were read before stay")
    assert over_udp(one.endpoint, with_cookie(made))[-24:] == made
    assert SECRET not in one.log_text
    assert new not in one.log_text


def test_a_file_of_secrets_that_is_not_there_is_no_reason_not_to_serve(tmp_path: Path, stack: ExitStack) -> None:
    server = serving(tmp_path, stack, cookies={"secret-file": str(tmp_path / "missing")})
    assert f"cannot read {tmp_path / 'missing'}" in server.log_text
    assert over_udp(server.endpoint, with_cookie(learnt(server)))[-24:] == learnt(server)


def test_the_metrics_and_a_new_limit(tmp_path: Path, stack: ExitStack) -> None:
    port = free_port()
    zone = Zone("example.com", write_zone(tmp_path / "zone", 1, "www A 192.0.2.1"))
    more = {"metrics": {"listen": f"127.0.0.1:{port}"}, "rate-limit": {"exempt": [], "burst": 1, "per-second": 1}}
    server = stack.enter_context(Authdns(tmp_path / "server", [zone], more=more))
    server.wait_until_serving("example.com")

    def metrics() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS) as response:
            return str(response.read().decode())

    over_udp(server.endpoint, with_cookie(CLIENT_COOKIE))
    for _ in range(5):
        over_udp(server.endpoint, question("www.example.com"))
    text = metrics()
    assert 'authdns_cookies_total{outcome="new"} 1.0' in text
    assert 'authdns_rate_limited_total{outcome="truncated"} 0.0' not in text
    assert 'authdns_rate_limited_total{outcome="logged"} 0.0' in text
    assert "# HELP authdns_rate_limited_total Queries over the rate limit" in text
    server.more = {**more, "rate-limit": {"exempt": ["127.0.0.1"]}}
    server.write_configuration()
    os.kill(server.pid, signal.SIGHUP)

    def unlimited() -> bool:
        return not any(over_udp(server.endpoint, question("www.example.com"))[2] & 2 for _ in range(200))

    wait_until(unlimited, "the new limit", SECONDS)


def test_who_takes_too_much_time_by_tcp_is_cut_off(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authdns.server.guards.TIME_A_SECOND", 10)
    monkeypatch.setattr("authdns.server.guards.TIME_AT_ONCE", 10_000)
    server = serving(tmp_path, stack)

    def until_closed(source: str) -> int:
        answered = 0
        with Tcp(server.endpoint, source=source) as client:
            while answered < 2000:
                try:
                    client.ask(question("www.example.com")).message()
                except (EOFError, OSError):
                    break
                answered += 1
        return answered

    assert 10 < until_closed("127.0.0.2") < 2000
    assert server.app.counts()["tcp_over_time"] == 1
    assert until_closed("127.0.0.2") <= 1
    assert until_closed("127.0.0.1") == 2000, "it may transfer the zone"
    with Tcp(server.endpoint, source="127.0.0.3") as other:
        assert rcode(other.ask(question("www.example.com")).message()) == 0


@pytest.fixture(autouse=True)
def _log_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authdns.server.guards.LOOK_SECONDS", 0.05)
