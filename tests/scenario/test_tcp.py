"""DNS over TCP as hostile, slow and hasty clients see it (RFC 7766)."""

from __future__ import annotations

import os
import random
import resource
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest

from authdns.server import app, tcp
from authdns.server.tcp import TcpLimits
from tests.peers import Authdns, Zone, wait_until
from tests.scenario.conftest import Serve
from tests.scenario.tools import (
    SECONDS,
    LocalServer,
    Tcp,
    addresses_of,
    exit_status,
    framed,
    ident,
    memory_of,
    opened,
    over_udp,
    parsed,
    question,
    rcode,
    write_zone,
)

NOERROR, FORMERR = 0, 1
BIG_RECORDS = 20_000
MANY = 10_000
WWW = question("www.example.com")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zones")


@pytest.fixture(scope="module")
def small(folder: Path) -> Path:
    text = 'txt TXT "' + '" "'.join(["x" * 250] * 12) + '"'
    return write_zone(folder / "example.com.zone", 1, "www A 192.0.2.80", text)


@pytest.fixture(scope="module")
def big(folder: Path) -> Path:
    """About 9 MB as a transfer: more than the buffers between server and client hold."""
    text = " ".join(['"' + "x" * 225 + '"'] * 2)
    return write_zone(folder / "example.net.zone", 1, *(f"h{i} TXT {text}" for i in range(BIG_RECORDS)))


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A zone with one answer of 60 KB."""
    return write_zone(tmp_path / "large.zone", 1, *(f'large TXT "{i} {"x" * 240}"' for i in range(240)))


@pytest.fixture(scope="module")
def server(serve_all: Serve, small: Path, big: Path) -> Authdns:
    zones = [Zone("example.com", small), Zone("example.net", big)]
    return serve_all(zones, tcp={"idle-seconds": 60.0, "per-client": 2000})


@pytest.fixture
def limited(serve: Serve, small: Path) -> Callable[..., Authdns]:
    """A server with these limits, from which nobody may transfer."""
    return lambda **tcp: serve(
        [{"zone": "example.com", "file": str(small), "notify-ns": False}],
        tcp={key.replace("_", "-"): value for key, value in tcp.items()},
    )


def read_by(server: tuple[str, int]) -> None:
    """Returns when everything sent before was read by the server: its loop looks at all sockets in each turn, and
    answers of two turns have come back."""
    for _ in range(2):
        over_udp(server, WWW)


def answers(client: Tcp) -> bool:
    return rcode(client.ask(WWW).message()) == NOERROR


def test_pipelined_queries_are_all_answered(server: Authdns) -> None:
    """More than one turn's worth of them (64)."""
    with Tcp(server.endpoint) as client:
        client.ask(*(question("www.example.com", ident=number) for number in range(1000)))
        assert sorted(map(ident, client.messages(1000))) == list(range(1000))


def test_a_query_may_be_split_at_every_octet(server: Authdns) -> None:
    octets = framed(WWW)
    with Tcp(server.endpoint) as client:
        for cut in range(1, len(octets)):
            client.send(octets[:cut])
            read_by(server.endpoint)
            client.send(octets[cut:])
            assert rcode(client.message()) == NOERROR, cut
        for octet in octets:
            client.send(bytes((octet,)))
            read_by(server.endpoint)
        assert rcode(client.message()) == NOERROR


def test_a_segment_may_hold_a_query_and_half_of_the_next(server: Authdns) -> None:
    octets = framed(question("www.example.com", ident=1)) + framed(question("www.example.com", ident=2))
    for cut in (len(octets) // 2 + 1, len(octets) // 2 + 10, len(octets) - 1):
        with Tcp(server.endpoint) as client:
            client.send(octets[:cut])
            assert ident(client.message()) == 1
            client.send(octets[cut:])
            assert ident(client.message()) == 2


def test_a_half_closed_client_still_gets_its_answers(server: Authdns) -> None:
    with Tcp(server.endpoint) as client:
        client.ask(*(question("txt.example.com", "TXT", number) for number in range(200))).end()
        assert sorted(map(ident, client.messages(200))) == list(range(200))
        client.wait_until_closed()


def test_a_half_closed_client_still_gets_its_transfer(server: Authdns) -> None:
    with Tcp(server.endpoint, receive_buffer=8192) as client:
        client.ask(question("example.net", "AXFR")).end()
        assert records_in(client.transfer()) == BIG_RECORDS + 6
        client.wait_until_closed()


def records_in(messages: list[bytes]) -> int:
    return sum(int.from_bytes(message[6:8], "big") for message in messages)


def test_answers_go_out_while_a_transfer_streams(server: Authdns) -> None:
    with Tcp(server.endpoint, receive_buffer=8192) as client:
        client.ask(question("example.net", "AXFR", ident=1))
        assert ident(client.message()) == 1
        client.ask(*(question("www.example.com", ident=number) for number in range(2, 12)))
        order: list[int] = []
        while order.count(1) == 0 or len(order) - order.count(1) < 10:
            order.append(ident(client.message()))
        rest = records_in(client.messages(1))  # the transfer goes on behind the last of the ten
        assert rest > 0
        assert [number for number in order if number != 1] == list(range(2, 12))


def test_an_idle_connection_is_closed(limited: Callable[..., Authdns]) -> None:
    server = limited(idle_seconds=0.7)
    begun = time.monotonic()
    with Tcp(server.endpoint) as silent:
        silent.wait_until_closed()
        assert time.monotonic() - begun >= 0.7
    for _ in range(5):  # a pause of the machine may have closed it rightly: then again
        with Tcp(server.endpoint) as busy:
            begun = last = time.monotonic()
            pause = 0.0
            try:
                while time.monotonic() - begun < 1.5:
                    assert answers(busy)
                    pause, last = max(pause, time.monotonic() - last), time.monotonic()
                break
            except (EOFError, OSError):
                assert max(pause, time.monotonic() - last) > 0.5, "closed although it was not idle"


def test_a_message_that_is_begun_must_be_finished_soon(server: Authdns) -> None:
    """Not after the idle time (a minute here), and an octet now and then does not help."""
    begun = time.monotonic()
    with Tcp(server.endpoint) as silent, Tcp(server.endpoint) as dripping:
        silent.send(b"\0")
        closed: set[Tcp] = set()
        for octet in framed(question("a" * 60 + "." + "b" * 60 + ".example.com")):
            if dripping in closed:
                break
            try:
                dripping.send(bytes((octet,)))
                with_pause = wait_until_either(dripping, 0.05)
            except OSError:
                with_pause = True
            if with_pause:
                closed.add(dripping)
        assert dripping in closed, "six seconds for one message"
        silent.wait_until_closed()
        assert time.monotonic() - begun >= tcp.MESSAGE_SECONDS


def wait_until_either(client: Tcp, seconds: float) -> bool:
    """Whether it was closed within that time."""
    try:
        client.wait_until_closed(seconds)
    except TimeoutError:
        return False
    return True


def test_one_address_gets_no_more_than_its_share_of_connections(limited: Callable[..., Authdns]) -> None:
    server = limited(per_client=3)
    with opened(server.endpoint, 3) as mine, Tcp(server.endpoint) as fourth:
        fourth.wait_until_closed()
        assert all(map(answers, mine))
        with Tcp(server.endpoint, source="127.0.0.9") as other:
            assert answers(other)
        mine[0].close()

        def place() -> bool:
            with Tcp(server.endpoint) as again:
                try:
                    return answers(again)
                except (EOFError, OSError):
                    return False

        wait_until(place, "a closed connection frees its place", SECONDS)


def test_a_client_is_an_ipv4_address_or_an_ipv6_prefix_of_56_bits() -> None:
    def same(one: str, other: str) -> bool:
        return tcp._client(ip_address(one)) == tcp._client(ip_address(other))

    assert same("2001:db8:1:200::1", "2001:db8:1:2ff:ffff::2")
    assert not same("2001:db8:1:200::1", "2001:db8:1:300::1")
    assert same("192.0.2.1", "192.0.2.1")
    assert not same("192.0.2.1", "192.0.2.2")


def test_when_all_places_are_taken_the_longest_idle_connection_goes(limited: Callable[..., Authdns]) -> None:
    server = limited(connections=4)
    with opened(server.endpoint, 4) as four:
        for number in (0, 1, 2, 3, 0):
            assert answers(four[number])
        with Tcp(server.endpoint) as fifth:
            assert answers(fifth)
            four[1].wait_until_closed()
            assert all(answers(four[number]) for number in (0, 2, 3))


def test_a_burst_of_connections_does_not_pass_the_limit(limited: Callable[..., Authdns]) -> None:
    """They are all accepted in one turn of the server's loop."""
    server = limited(connections=4, idle_seconds=60.0)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        burst = [Tcp(server.endpoint) for _ in range(20)]
    finally:
        os.kill(server.pid, signal.SIGCONT)
    wait_until(lambda: sum(client.is_closed() for client in burst) >= 16, "all but four are closed", SECONDS)
    open_ones = [client for client in burst if not client.is_closed()]
    assert len(open_ones) == 4
    assert all(map(answers, open_ones))
    for client in burst:
        client.close()


def test_who_may_transfer_gets_in_although_all_places_are_taken(serve: Serve, small: Path) -> None:
    zone = {"zone": "example.com", "file": str(small), "notify-ns": False, "allow-transfer": ["127.0.0.2"]}
    server = serve([zone], tcp={"connections": 2, "per-client": 2})
    with opened(server.endpoint, 2) as strangers:
        assert all(map(answers, strangers))
        with opened(server.endpoint, 3, source="127.0.0.2") as secondary:
            assert len(secondary[2].ask(question("example.com", "AXFR")).transfer()) == 1
            assert all(map(answers, [*secondary, *strangers]))


def test_a_client_that_never_reads_is_cut_off(
    tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack
) -> None:
    monkeypatch.setattr(tcp, "WRITE_STALL_SECONDS", 1.0)
    server = stack.enter_context(LocalServer(tmp_path, [Zone("example.com", small)]))
    with Tcp(server.endpoint, receive_buffer=4096) as client:
        assert push_until_stuck([client], question("txt.example.com", "TXT")) > 0
        wait_until(lambda: not server.app._counters.tcp_connections, "it is cut off", SECONDS)
    assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.80"}


def test_clients_that_never_read_do_not_make_the_server_grow(server: Authdns) -> None:
    """The answers that they asked for would be some hundred MB."""
    before = memory_of(server.pid)
    with opened(server.endpoint, 20) as clients:
        asked = push_until_stuck(clients, question("txt.example.com", "TXT"))
        assert asked * 3000 > 40 << 20
        assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.80"}
        grown = memory_of(server.pid) - before
        assert grown < len(clients) * 300 << 10, f"{grown >> 10} KiB for {asked} queries"
        for client in clients:
            client.reset()


def test_large_answers_wait_in_the_server_one_at_a_time(tmp_path: Path, large: Path, stack: ExitStack) -> None:
    """Sixty-four answers of 60 KB would be 4 MB for each connection of somebody who does not read."""
    server = stack.enter_context(LocalServer(tmp_path, [Zone("example.com", large)]))
    with Tcp(server.endpoint, receive_buffer=4096) as client:
        assert push_until_stuck([client], question("large.example.com", "TXT")) > 64
        (connection,) = server.tcp._connections
        assert 0 < connection._transport.get_write_buffer_size() < tcp.WRITE_HIGH_WATER_OCTETS + 2 * 65535
        client.reset()


def push_until_stuck(clients: list[Tcp], request: bytes) -> int:
    """Asks again and again, reading nothing, until the server has stopped reading as well; how often."""
    octets = framed(request) * 100
    asked = 0
    for client in clients:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        client.socket.setblocking(False)
    while writable := select.select([], [client.socket for client in clients], [], 0.5)[1]:
        for sock in writable:
            try:
                asked += sock.send(octets)
            except OSError:
                return asked // len(framed(request))
    return asked // len(framed(request))


def test_a_message_of_no_octets_ends_the_connection(server: Authdns) -> None:
    with Tcp(server.endpoint) as client:
        client.ask(WWW, b"")
        assert rcode(client.message()) == NOERROR
        client.wait_until_closed()


def test_a_response_sent_to_us_gets_no_answer(server: Authdns) -> None:
    with Tcp(server.endpoint) as client:
        client.ask(WWW, question("www.example.com", ident=7, flags=0x8000))
        assert ident(client.message()) == 1
        client.wait_until_closed()
        with pytest.raises((EOFError, OSError)):
            client.message()


def test_garbage_is_answered_with_formerr_or_not_at_all(server: Authdns) -> None:
    source = random.Random(1)
    for _ in range(100):
        garbage = source.randbytes(source.randrange(12, 200))
        with Tcp(server.endpoint) as client:
            client.ask(garbage).end()
            try:
                assert rcode(client.message()) != NOERROR
            except EOFError:
                assert garbage[2] & 0x80
    for _ in range(20):  # lengths that do not fit
        with Tcp(server.endpoint) as client:
            client.send(source.randbytes(500)).end()
            client.wait_until_closed()
    assert addresses_of(server.endpoint, "www.example.com") == {"192.0.2.80"}


def test_ten_thousand_idle_connections_leave_udp_and_new_clients_alone(serve: Serve, small: Path) -> None:
    server = serve(
        [Zone("example.com", small)], tcp={"connections": MANY + 100, "per-client": 100, "idle-seconds": 600.0}
    )
    with files_allowed(MANY + 500):
        before = memory_of(server.pid)
        with crowd(server.endpoint, MANY) as clients:
            assert memory_of(server.pid) - before <= MANY * 8 << 10
            for number in range(100):
                assert rcode(over_udp(server.endpoint, question("www.example.com", ident=number))) == NOERROR
            with Tcp(server.endpoint, source="127.0.0.9") as newcomer:
                assert answers(newcomer)
            for client in clients:
                client.ask(WWW)
            assert all(rcode(client.message()) == NOERROR for client in clients)


def test_ten_thousand_connections_compete_for_the_places_there_are_by_default(serve: Serve, small: Path) -> None:
    server = serve([Zone("example.com", small)], tcp={"idle-seconds": 600.0})
    places = TcpLimits().connections
    with files_allowed(MANY + 500), crowd(server.endpoint, MANY) as clients:
        assert all(client.is_closed() for client in clients[:-places])
        assert not any(client.is_closed() for client in clients[-places:])
        with Tcp(server.endpoint, source="127.0.0.9") as newcomer:
            assert answers(newcomer)
            clients[-places].wait_until_closed()
            assert all(map(answers, clients[-places + 1 :]))
            assert answers(newcomer)


@contextmanager
def crowd(server: tuple[str, int], number: int) -> Iterator[list[Tcp]]:
    """So many connections, 32 from one address. Now and then one asks, and its answer says that the server has
    accepted all before it: more wait in the kernel than its queue holds, otherwise."""
    clients: list[Tcp] = []
    with ExitStack() as stack:
        for each in range(number):
            source = str(IPv4Address("127.0.64.0") + each // TcpLimits().per_client)
            clients.append(stack.enter_context(Tcp(server, source=source)))
            if each % 100 == 99:
                assert answers(clients[-1])
        yield clients
        for client in clients:
            client.reset()  # or ten thousand would linger in TIME_WAIT


def test_idle_connections_are_closed_however_many_they_are(limited: Callable[..., Authdns]) -> None:
    """More than the sweep closes in one turn."""
    server = limited(per_client=1000, idle_seconds=0.5)
    with opened(server.endpoint, 20 * tcp.CLOSED_AT_ONCE) as clients:
        for client in clients:
            client.wait_until_closed()


def test_a_transfer_that_goes_on_keeps_no_idle_connection_open(serve: Serve, big: Path) -> None:
    """It has been idle for longer than those that are closed."""
    server = serve([Zone("example.net", big)], tcp={"idle-seconds": 0.5})
    with Tcp(server.endpoint, receive_buffer=8192) as secondary, Tcp(server.endpoint) as idle:
        first = secondary.ask(question("example.net", "AXFR")).message()
        idle.wait_until_closed()
        with Tcp(server.endpoint) as later:
            later.wait_until_closed()
        assert records_in([first, *secondary.transfer_after(first)]) == BIG_RECORDS + 6


def test_udp_is_answered_while_many_ask_over_tcp(tmp_path: Path, small: Path, stack: ExitStack) -> None:
    """A turn of the loop may hold thousands of answers; UDP does not wait for its end."""
    server = stack.enter_context(LocalServer(tmp_path, [Zone("example.com", small)], more={"tcp": {"per-client": 100}}))
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1

    assert server.tcp.meanwhile, "nobody answers UDP in between"
    server.tcp.meanwhile.append(look)
    with opened(server.endpoint, 100) as clients:
        for client in clients:
            client.ask(*(question("www.example.com", ident=number) for number in range(100)))
        for client in clients:
            assert list(map(ident, client.messages(100))) == list(range(100))
    assert looks >= 100 * 100 // (tcp.STEPS_IN_A_ROW + TcpLimits().pipelined)


def test_in_a_long_turn_everybody_gets_less_and_in_the_end_all(
    tmp_path: Path, small: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "STEPS_IN_A_TURN", 0)
    server = stack.enter_context(LocalServer(tmp_path, [Zone("example.com", small)]))
    with opened(server.endpoint, 10) as clients:
        for client in clients:
            client.ask(*(question("www.example.com", ident=number) for number in range(200))).end()
        for client in clients:
            assert list(map(ident, client.messages(200))) == list(range(200))
            client.wait_until_closed()


def test_a_client_may_go_at_every_octet(server: Authdns) -> None:
    octets = framed(WWW) + framed(question("txt.example.com", "TXT"))
    for cut in range(len(octets) + 1):
        for leave in (Tcp.reset, Tcp.close):
            client = Tcp(server.endpoint)
            client.send(octets[:cut])
            leave(client)
    with Tcp(server.endpoint) as client:
        assert answers(client)
    assert "raised an error" not in server.log_text()


def test_without_file_descriptors_others_are_served_and_later_new_ones(serve: Serve, small: Path) -> None:
    server = serve([Zone("example.com", small)], tcp={"per-client": 100})
    limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir(f"/proc/{server.pid}/fd"))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (highest + 11, limits[1]))
    mark = server.log_mark()
    with opened(server.endpoint, 30) as clients:
        server.wait_for_log("cannot accept a connection: Too many open files", since=mark)
        assert sum("cannot accept" in line for line in server.log_text(mark).splitlines()) < 20
        assert answers(clients[0])
        assert rcode(over_udp(server.endpoint, WWW)) == NOERROR
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
        assert all(map(answers, clients))


def test_the_server_takes_as_many_file_descriptors_as_its_limits_need(tmp_path: Path, folder: Path) -> None:
    """The usual limit of a shell is 1,024, less than the connections that are promised."""
    own = write_zone(tmp_path / "example.com.zone", 1, "www A 192.0.2.80")
    limits = {"per-client": 1000, "idle-seconds": 60.0}
    with files_allowed(200):
        server = Authdns(tmp_path / "server", [Zone("example.com", own)], more={"tcp": limits})
        server.launch()
    try:
        server.wait_until_serving("example.com")
        with files_allowed(2000), opened(server.endpoint, 400) as clients:
            for client in clients:
                client.ask(WWW)
            assert all(rcode(client.message()) == NOERROR for client in clients)
            write_zone(own, 2, "www A 192.0.2.81")
            server.wait_until_serving("example.com", 2)
    finally:
        server.stop()


@contextmanager
def files_allowed(number: int) -> Iterator[None]:
    """The soft limit of file descriptors, for us and what we start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < number:
        pytest.skip(f"at most {hard} file descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_transfer_under_way_is_finished_before_the_server_stops(serve: Serve, small: Path, big: Path) -> None:
    server = serve([Zone("example.com", small), Zone("example.net", big)])
    with Tcp(server.endpoint, receive_buffer=8192) as client, Tcp(server.endpoint) as idle:
        client.ask(question("example.net", "AXFR"))
        first = client.message()
        os.kill(server.pid, signal.SIGTERM)
        idle.wait_until_closed()  # it is stopping
        assert records_in([first, *client.transfer_after(first)]) == BIG_RECORDS + 6
        client.wait_until_closed()
    assert exit_status(server) == 0
    assert "stopped" in server.log_text()


def test_answers_on_their_way_are_delivered_before_the_server_stops(serve: Serve, large: Path) -> None:
    """Twelve MB of them, of which the client has taken one."""
    server = serve([Zone("example.com", large)])
    with Tcp(server.endpoint, receive_buffer=4096) as client, Tcp(server.endpoint) as idle:
        client.ask(*(question("large.example.com", "TXT", number) for number in range(200)))
        assert ident(client.message()) == 0
        os.kill(server.pid, signal.SIGTERM)
        idle.wait_until_closed()
        assert [ident(message) for message in client.messages(199)] == list(range(1, 200))
        client.wait_until_closed()
    assert exit_status(server) == 0


def test_a_client_that_does_not_take_its_transfer_cannot_keep_the_server_from_stopping(
    tmp_path: Path, big: Path, monkeypatch: pytest.MonkeyPatch, stack: ExitStack
) -> None:
    monkeypatch.setattr(app, "STOP_GRACE_SECONDS", 0.5)
    server = stack.enter_context(LocalServer(tmp_path, [Zone("example.net", big)]))
    with Tcp(server.endpoint, receive_buffer=4096) as client:
        client.ask(question("example.net", "AXFR"))
        assert parsed(client.message()).answer
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun >= 0.5
    assert "broken off" in server.log_text
