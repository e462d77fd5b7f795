"""Secondary zones of the real process: expiry, the state folder, several primaries, NOTIFY, and other configurations.

The primary is authdns as well; what others send is looked at in tests/interop/test_primaries.py.
"""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml

from authdns import secondary as refreshing
from authdns.answer.executor import COMPILE_WHOLE_NAMES, ServedZone
from authdns.config import ZonePolicy
from authdns.server.publish import Publisher
from authdns.store import FILE_NAME
from tests.hostile_primary import Copy, Fault, HostilePrimary
from tests.hostile_primary.actions import Action, Wait
from tests.hostile_primary.faults import AXFR, Talk
from tests.peers import Authdns, Endpoint, TsigKey, Zone, axfr, free_port, records_in_file, serial_at, wait_until
from tests.scenario.tools import (
    SECONDS,
    LocalServer,
    Tcp,
    addresses_of,
    hosts,
    over_udp,
    question,
    rcode,
    rcode_of,
    replace,
)

NOERROR, SERVFAIL, REFUSED, NOTAUTH = 0, 2, 5, 9
APEX = "example.com"
NOTIFY_AA = 0x2400
WWW = "www.example.com"
DAY = 86_400
KEY = TsigKey("transfer.example", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")


def text(serial: int, *, refresh: int = DAY, retry: int = DAY, expire: int = 7 * DAY) -> str:
    """Its address tells which version it is."""
    return (
        f"$TTL 300\n@ SOA ns1 hostmaster {serial} {refresh} {retry} {expire} 300\n"
        f"  NS ns1\n  NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2\nwww A 192.0.2.{serial}\n"
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return replace(tmp_path / "example.com.zone", text(1))


@pytest.fixture
def primary(tmp_path: Path, file: Path, stack: ExitStack) -> Authdns:
    """Says nothing of its edits."""
    return stack.enter_context(Authdns(tmp_path / "primary", [Zone(APEX, file)]))


def secondary(folder: Path, *primaries: Endpoint, more: Mapping[str, Any] = {}, **settings: Any) -> Authdns:
    """Not started. `settings` are those of the zone, `more` of all."""
    return Authdns(folder / "secondary", [entry(*primaries, **settings)], more=more)


def entry(*primaries: Endpoint, name: str = APEX, **settings: Any) -> dict[str, Any]:
    own = {key.replace("_", "-"): value for key, value in settings.items()}
    return {"zone": name, "primaries": list(map(str, primaries)), "allow-transfer": "127.0.0.1", **own}


def follows(server: Authdns, serial: int) -> None:
    wait_until(lambda: addresses_of(server.endpoint, WWW) == {f"192.0.2.{serial}"}, f"serial {serial}", SECONDS)


def does_not_serve(server: Authdns, zone: str = APEX) -> None:
    wait_until(lambda: rcode_of(server.endpoint, zone) == SERVFAIL, "SERVFAIL", SECONDS)


def dead() -> Endpoint:
    """Nobody listens there."""
    return Endpoint("127.0.0.1", free_port())


def notify(zone: str = APEX) -> bytes:
    return question(zone, "SOA", flags=NOTIFY_AA)


# Expiry.


def test_it_expires_and_is_served_again_at_once(tmp_path: Path, file: Path, primary: Authdns) -> None:
    replace(file, text(2, refresh=1, retry=1, expire=2))
    primary.wait_until_serving(APEX, 2)
    with secondary(tmp_path, primary.endpoint) as server:
        follows(server, 2)
        primary.stop()
        server.wait_for_log(r"zone example\.com/IN: no transfer from .*: Connection refused; again in [01] s")
        does_not_serve(server)
        server.wait_for_log(
            r"zone example\.com/IN: expired: no primary has confirmed it for too long; queries get SERVFAIL; "
            r"the last error: .*Connection refused"
        )
        assert rcode(over_udp(server.endpoint, question(WWW))) == SERVFAIL
        mark = server.log_mark()
        primary.start()
        follows(server, 2)
        server.wait_for_log(r"zone example\.com/IN: serial 2 is confirmed, and served again", mark)
        primary.stop()
        does_not_serve(server)
        replace(file, text(3, refresh=1, retry=1, expire=2))
        primary.start()
        follows(server, 3)


def test_no_primary_from_the_beginning(tmp_path: Path) -> None:
    with secondary(tmp_path, dead()) as server:
        server.wait_for_log(r"serving 0 of 1 zone")
        does_not_serve(server)
        assert rcode(over_udp(server.endpoint, question("nothing.example.com"))) == SERVFAIL


# The state folder.


def test_it_is_served_at_a_start_without_a_primary(tmp_path: Path, file: Path, primary: Authdns) -> None:
    server = secondary(tmp_path, primary.endpoint)
    with server:
        follows(server, 1)
        replace(file, text(2))
        primary.wait_until_serving(APEX, 2)
        over_udp(server.endpoint, notify())
        follows(server, 2)
    primary.stop()
    for _ in range(2):
        mark = server.log_mark()
        with server:
            server.wait_for_log(r"serving 1 zone", mark)
            follows(server, 2)
            said = r"zone example\.com/IN: serial 2 from the state folder, for (\d+) s more"
            assert 6 * DAY < int(server.wait_for_log(said, mark)[1]) <= 7 * DAY
            assert axfr(server.endpoint, APEX) == records_in_file(file, APEX)


def test_it_is_whole_after_kill_9(tmp_path: Path, primary: Authdns) -> None:
    server = secondary(tmp_path, primary.endpoint)
    with server:
        follows(server, 1)
        os.kill(server.pid, signal.SIGKILL)
    primary.stop()
    with server:
        follows(server, 1)


def test_its_age_counts_while_it_is_down(tmp_path: Path, file: Path, primary: Authdns) -> None:
    replace(file, text(2, refresh=1, retry=1, expire=3))
    primary.wait_until_serving(APEX, 2)
    server = secondary(tmp_path, primary.endpoint)
    with server:
        follows(server, 2)
        primary.stop()
    mark = server.log_mark()
    with server:
        found = server.wait_for_log(
            r"zone example\.com/IN: (serial 2 from the state folder, for [0-2] s|expired)", mark
        )
        if found[1] != "expired":  # else this machine is slow
            server.wait_for_log(r"zone example\.com/IN: expired", mark)
        does_not_serve(server)
    mark = server.log_mark()
    with server:
        server.wait_for_log(r"zone example\.com/IN: expired", mark)
        server.wait_for_log(r"serving 0 of 1 zone", mark)
        does_not_serve(server)
        assert "from the state folder" not in server.log_text(mark)
        primary.start()
        follows(server, 2)


@pytest.mark.parametrize("what", ["contents", "file"])
def test_a_damaged_state_is_never_served(what: str, tmp_path: Path, file: Path, primary: Authdns) -> None:
    """What is left of it is: a version that was served, or nothing until the primary answers."""
    server = secondary(tmp_path, primary.endpoint)
    with server:
        follows(server, 1)
        replace(file, text(2))
        primary.wait_until_serving(APEX, 2)
        over_udp(server.endpoint, notify())
        follows(server, 2)
    primary.stop()
    damage(server.folder / "state" / FILE_NAME, what)
    mark = server.log_mark()
    with server:
        server.wait_for_log(r"serving 0 of 1 zone", mark)
        does_not_serve(server)
        if what == "file":
            server.wait_for_log(r"the state file was damaged: set aside as \S+, begun anew", mark)
        else:
            server.wait_for_log(r"zone example\.com/IN: what was published last cannot be restored: ", mark)
        primary.start()
        follows(server, 2)
        assert axfr(server.endpoint, APEX) == records_in_file(file, APEX)
    primary.stop()
    with server:
        follows(server, 2)


def damage(path: Path, what: str) -> None:
    """One octet of the records, or many of the file; of single bits see tests/unit/server/test_damage.py."""
    if what == "contents":
        with closing(sqlite3.connect(path)) as database, database:
            ((octets,),) = database.execute("SELECT records FROM contents")
            middle = len(octets) // 2
            octets = octets[:middle] + bytes((octets[middle] ^ 0x40,)) + octets[middle + 1 :]
            database.execute("UPDATE contents SET records = ?", (octets,))
        return
    whole = bytearray(path.read_bytes())
    chance = random.Random(1)
    for at in range(100, len(whole), 7):
        whole[at] ^= chance.randrange(256)
    path.write_bytes(whole)


def test_a_state_folder_that_cannot_be_written_is_no_reason_for_an_old_zone(
    tmp_path: Path, file: Path, primary: Authdns
) -> None:
    with secondary(tmp_path, primary.endpoint) as server:
        follows(server, 1)
        with closing(sqlite3.connect(server.folder / "state" / FILE_NAME)) as other:
            other.execute("BEGIN EXCLUSIVE")  # as a full disk: no write succeeds
            replace(file, text(2))
            primary.wait_until_serving(APEX, 2)
            over_udp(server.endpoint, notify())
            server.wait_for_log(r"cannot write \S+: .*; at the next start there will be an older version, or none")
            follows(server, 2)
        replace(file, text(3))
        primary.wait_until_serving(APEX, 3)
        over_udp(server.endpoint, notify())
        follows(server, 3)
    primary.stop()
    with server:
        follows(server, 3)


def test_a_version_that_could_not_be_written_is_when_it_is_confirmed(
    tmp_path: Path, file: Path, primary: Authdns
) -> None:
    """Else the older one in the state folder would get the life of the newer one."""
    with secondary(tmp_path, primary.endpoint) as server:
        follows(server, 1)
        with closing(sqlite3.connect(server.folder / "state" / FILE_NAME)) as other:
            other.execute("BEGIN EXCLUSIVE")
            replace(file, text(2, refresh=1, retry=1))
            primary.wait_until_serving(APEX, 2)
            over_udp(server.endpoint, notify())
            server.wait_for_log(r"cannot write \S+: .*; at the next start there will be an older version, or none")
            follows(server, 2)

        def is_written() -> bool:
            with closing(sqlite3.connect(server.folder / "state" / FILE_NAME)) as database:
                return bool(database.execute("SELECT serial FROM served").fetchall() == [(2,)])

        wait_until(is_written, "it is written", SECONDS)
    primary.stop()
    with server:
        follows(server, 2)


def test_a_large_zone(tmp_path: Path, file: Path, stack: ExitStack) -> None:
    """Over IPv6. It is answered by the engine once its image is made, and goes on from there."""
    many = hosts(COMPILE_WHOLE_NAMES + 1)
    replace(file, text(1) + "\n".join(many))
    settings = {"zone": APEX, "file": str(file), "allow-transfer": "::1", "notify-ns": False}
    primary = stack.enter_context(Authdns(tmp_path / "primary", [settings], address="::1"))
    server = Authdns(tmp_path / "secondary", [entry(primary.endpoint, allow_transfer="::1")], address="::1")
    with server:
        follows(server, 1)
        for serial in (2, 3):
            replace(file, text(serial) + "\n".join([*many, f"more{serial} A 192.0.2.1\n"]))
            primary.wait_until_serving(APEX, serial)
            over_udp(server.endpoint, notify())
            follows(server, serial)
            server.wait_for_log(rf"transferred serial {serial} from ::1#{primary.port} ")
        assert axfr(server.endpoint, APEX) == records_in_file(file, APEX)
    primary.stop()
    with server:
        follows(server, 3)
        assert axfr(server.endpoint, APEX) == records_in_file(file, APEX)


# Several primaries.


def test_the_primary_that_works_is_remembered(tmp_path: Path, file: Path, primary: Authdns) -> None:
    replace(file, text(2, refresh=1, retry=1))
    primary.wait_until_serving(APEX, 2)
    nobody = dead()
    with secondary(tmp_path, nobody, primary.endpoint) as server:
        follows(server, 2)
        refused = rf"no transfer from 127\.0\.0\.1#{nobody.port}: Connection refused; asking the next primary"
        server.wait_for_log(refused)
        for serial in (3, 4, 5):
            replace(file, text(serial, refresh=1, retry=1))
            follows(server, serial)
        assert len(re.findall(refused, server.log_text())) == 1


def test_another_primary_takes_over(tmp_path: Path, file: Path, primary: Authdns, stack: ExitStack) -> None:
    other = stack.enter_context(Authdns(tmp_path / "other", [Zone(APEX, file)]))
    more = {"primaries": {"two": {"address": [str(primary.endpoint), str(other.endpoint)]}}}
    server = stack.enter_context(Authdns(tmp_path / "secondary", [{"zone": APEX, "primaries": "two"}], more=more))
    follows(server, 1)
    server.wait_for_log(rf"transferred serial 1 from 127\.0\.0\.1#{primary.port} \(two\)")
    primary.stop()
    replace(file, text(2))
    other.wait_until_serving(APEX, 2)
    over_udp(server.endpoint, notify())
    follows(server, 2)
    server.wait_for_log(rf"transferred serial 2 from 127\.0\.0\.1#{other.port} \(two\)")


def test_an_older_serial_is_not_taken(tmp_path: Path, file: Path, primary: Authdns, stack: ExitStack) -> None:
    """A primary that lost its latest zone file, or is behind: the other one is asked, and what we have stays."""
    behind_file = replace(tmp_path / "behind.zone", text(3))
    behind = stack.enter_context(Authdns(tmp_path / "behind", [Zone(APEX, behind_file)]))
    replace(file, text(5))
    primary.wait_until_serving(APEX, 5)
    server = stack.enter_context(secondary(tmp_path, primary.endpoint, behind.endpoint))
    follows(server, 5)
    primary.stop()
    mark = server.log_mark()
    over_udp(server.endpoint, notify())
    server.wait_for_log(
        rf"no transfer from 127\.0\.0\.1#{behind.port}: it has serial 3, which is not newer than ours, 5; again in ",
        mark,
    )
    assert addresses_of(server.endpoint, WWW) == {"192.0.2.5"}
    replace(behind_file, text(6))
    behind.wait_until_serving(APEX, 6)
    over_udp(server.endpoint, notify())
    follows(server, 6)


def test_a_fault_of_ours_at_the_end_of_an_attempt_is_got_over(
    tmp_path: Path, file: Path, primary: Authdns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is one place: it is given back; and what was transferred is transferred again and served."""
    monkeypatch.setattr(refreshing, "CONTENT_SECONDS", 0.5)
    transferred, failures = Publisher.transferred, [0]

    def fails_at_first(self: Publisher, apex: bytes, served: ServedZone, announce_by: ZonePolicy | None) -> None:
        failures[0] += 1
        if failures[0] == 1:
            raise MemoryError("a fault of ours")
        transferred(self, apex, served, announce_by)

    monkeypatch.setattr(Publisher, "transferred", fails_at_first)
    more = {"incoming": {"at-once": 1}}
    with LocalServer(tmp_path / "secondary", [entry(primary.endpoint)], more=more) as server:
        server.wait_for_log("the end of the attempt failed inside the server")
        wait_until(lambda: addresses_of(server.endpoint, WWW) == {"192.0.2.1"}, "it is served", SECONDS)


# NOTIFY.


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_who_may_send_notify(transport: str, tmp_path: Path, file: Path, primary: Authdns) -> None:
    def sent(zone: str, source: str) -> int:
        if transport == "udp":
            return rcode(over_udp(server.endpoint, notify(zone), source))
        with Tcp(server.endpoint, source=source) as client:
            return rcode(client.ask(notify(zone)).message())

    zones = [entry(primary.endpoint, allow_notify=["127.0.0.3"]), {"zone": "example.net", "file": str(file)}]
    with Authdns(tmp_path / "secondary", zones) as server:
        follows(server, 1)
        assert sent(APEX, "127.0.0.1") == NOERROR
        server.wait_for_log(r"client 127\.0\.0\.1#\d+: notify for 'example\.com/IN': asking")
        assert sent(APEX, "127.0.0.2") == REFUSED
        server.wait_for_log(
            r"client 127\.0\.0\.2#\d+: notify for 'example\.com/IN' refused: no rule allows 127\.0\.0\.2; "
            r"the nearest is 127\.0\.0\.3/32 \(zones\[0\]\.allow-notify\)$"
        )
        for zone in ("example.org", "example.net", "www.example.com"):  # unknown, primary, no zone
            assert sent(zone, "127.0.0.1") == NOTAUTH
            server.wait_for_log(
                rf"client 127\.0\.0\.1#\d+: notify for '{zone}/IN' refused: it is not one of our secondary zones"
            )
        replace(file, text(2))
        primary.wait_until_serving(APEX, 2)
        assert sent(APEX, "127.0.0.3") == NOERROR
        follows(server, 2)


def test_a_notify_that_must_be_signed(tmp_path: Path, file: Path, stack: ExitStack) -> None:
    primary = stack.enter_context(Authdns(tmp_path / "primary", [Zone(APEX, file, key=KEY)]))
    server = stack.enter_context(Authdns(tmp_path / "secondary", [Zone(APEX, primary=primary.endpoint, key=KEY)]))
    follows(server, 1)
    assert rcode(over_udp(server.endpoint, notify())) == REFUSED
    server.wait_for_log(
        r"client 127\.0\.0\.1#\d+: notify for 'example\.com/IN' refused: the address matches 127\.0\.0\.1/32 "
        r"\(primary primary-of-example\.com\), but it must be signed with key transfer\.example$"
    )
    assert KEY.secret not in server.log_text()


def test_many_notifies_make_few_transfers(tmp_path: Path, file: Path, primary: Authdns) -> None:
    with secondary(tmp_path, primary.endpoint) as server:
        follows(server, 1)
        replace(file, text(2))
        primary.wait_until_serving(APEX, 2)
        for _ in range(50):
            over_udp(server.endpoint, notify())
        follows(server, 2)
        assert server.log_text().count("transferred serial") == 2
        mark = server.log_mark()

        def said() -> bool:  # not in the same second: who sends so many is not logged each time
            over_udp(server.endpoint, notify_of(2))
            return "notify for 'example.com/IN' (serial 2): we have serial 2" in server.log_text()[mark:]

        wait_until(said, "it is known that there is nothing new", SECONDS, poll=0.3)


def notify_of(serial: int) -> bytes:
    """With the new SOA in the answer section (RFC 1996 section 3.7)."""
    wire = notify()
    rdata = b"\0\0" + b"".join(number.to_bytes(4, "big") for number in (serial, 0, 0, 0, 0))
    record = b"\xc0\x0c\0\x06\0\1\0\0\0\0" + len(rdata).to_bytes(2, "big") + rdata
    return wire[:6] + b"\0\1" + wire[8:] + record


# Other configurations.


def configure(server: Authdns, *zones: Mapping[str, Any], how: str = "edit") -> None:
    """Waits until the server has read it."""
    mark = server.log_mark()
    server.zone_settings = [dict(zone) for zone in zones]
    replace(server.folder / "authdns.yaml", yaml.safe_dump(server.configuration))
    if how == "SIGHUP":
        server.reload()
    server.wait_for_log("the configuration was read again", mark, SECONDS)


def rows(server: Authdns, zone: bytes = b"\7example\3com\0") -> int:
    with closing(sqlite3.connect(server.folder / "state" / FILE_NAME)) as database:
        tables = ("served", "history", "contents", "leases")
        return sum(
            int(database.execute(f"SELECT count(*) FROM {table} WHERE apex = ?", (zone,)).fetchone()[0])
            for table in tables
        )


@pytest.mark.parametrize("how", ["edit", "SIGHUP"])
def test_a_zone_comes_and_goes(how: str, tmp_path: Path, file: Path, stack: ExitStack) -> None:
    primary = stack.enter_context(Authdns(tmp_path / "primary", [Zone(APEX, file), Zone("example.net", file)]))
    with secondary(tmp_path, primary.endpoint, name="example.net") as server:
        server.wait_until_serving("example.net", 1)
        configure(server, entry(primary.endpoint, name="example.net"), entry(primary.endpoint), how=how)
        follows(server, 1)
        assert rows(server) == 3
        configure(server, entry(primary.endpoint, name="example.net"), how=how)
        server.wait_for_log(r"zone example\.com/IN: no longer configured, no longer served")
        assert rcode_of(server.endpoint, APEX) == REFUSED
        assert rcode(over_udp(server.endpoint, notify())) == NOTAUTH
        wait_until(lambda: rows(server) == 0, "its rows are gone", SECONDS)
        configure(server, entry(primary.endpoint, name="example.net"), entry(primary.endpoint), how=how)
        follows(server, 1)
        assert rcode_of(server.endpoint, "example.net") == NOERROR


def test_other_primaries_are_asked_at_once(tmp_path: Path, file: Path, primary: Authdns, stack: ExitStack) -> None:
    other_file = replace(tmp_path / "other.zone", text(2))
    other = stack.enter_context(Authdns(tmp_path / "other", [Zone(APEX, other_file)]))
    with secondary(tmp_path, primary.endpoint) as server:
        follows(server, 1)
        configure(server, entry(other.endpoint))
        follows(server, 2)
        replace(other_file, text(3))
        other.wait_until_serving(APEX, 3)
        configure(server, entry(other.endpoint, allow_notify="127.0.0.9"))
        assert rcode(over_udp(server.endpoint, notify(), "127.0.0.9")) == NOERROR
        follows(server, 3)


def test_what_a_primary_gives_that_is_none_any_more_is_not_taken(tmp_path: Path, file: Path, primary: Authdns) -> None:
    """Its serial is far ahead, so nothing of the others would ever be taken again."""
    finish = Event()

    def slow(talk: Talk) -> Iterator[Action]:
        first, *others = talk.honest(per_message=1)
        yield first
        while not finish.is_set():
            yield Wait(0.05)
        yield from others

    copy = Copy(APEX, hosts=3)
    copy.edit(1000)
    copy.fault = Fault("slow", "It waits in the middle.", frozenset((AXFR,)), "", slow)
    with HostilePrimary([copy]) as hostile, secondary(tmp_path, Endpoint(*hostile.address)) as server:
        assert copy.begun.wait(SECONDS)
        configure(server, entry(primary.endpoint))
        finish.set()
        follows(server, 1)
        server.wait_for_log(rf"what came from 127\.0\.0\.1#{hostile.address[1]} is not taken: it is no longer one of")
        assert serial_at(server.endpoint, APEX) == 1


def test_from_a_file_to_primaries_and_back(tmp_path: Path, file: Path, primary: Authdns) -> None:
    """There is an answer at every moment; the version that was served last is what IXFR and NOTIFY go on from."""
    own = replace(tmp_path / "own.zone", text(7))
    from_file = {"zone": APEX, "file": str(own), "allow-transfer": "127.0.0.1", "notify-ns": False}
    with Authdns(tmp_path / "secondary", [from_file]) as server:
        follows(server, 7)
        configure(server, entry(primary.endpoint))
        replace(file, text(8))
        primary.wait_until_serving(APEX, 8)
        over_udp(server.endpoint, notify())
        follows(server, 8)
        replace(own, text(9))
        configure(server, from_file)
        follows(server, 9)
        assert rcode(over_udp(server.endpoint, notify())) == NOTAUTH
    with server:
        follows(server, 9)


def test_two_hundred_zones_from_a_cold_start(tmp_path: Path, file: Path, stack: ExitStack) -> None:
    zones = [f"z{number}.example" for number in range(200)]
    primary = stack.enter_context(Authdns(tmp_path / "primary", [Zone(zone, file) for zone in zones]))
    port = free_port()
    more = {"metrics": {"listen": f"127.0.0.1:{port}"}, "incoming": {"at-once": 5}}
    with Authdns(tmp_path / "secondary", [entry(primary.endpoint, name=zone) for zone in zones], more=more) as server:
        for zone in zones:
            server.wait_until_serving(zone, 1, seconds=SECONDS)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS) as page:
            figures = page.read().decode()
        assert 'authdns_incoming_transfers_total{outcome="axfr"} 200.0' in figures
        for zone in zones:
            assert f'authdns_zone_serial{{zone="{zone}"}} 1.0' in figures
            assert f'authdns_zone_load_failed{{zone="{zone}"}} 0.0' in figures
        over_udp(server.endpoint, notify("z1.example"))
        over_udp(server.endpoint, notify("other.example"))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS) as page:
            figures = page.read().decode()
        assert 'authdns_incoming_notifies_total{outcome="accepted"} 1.0' in figures
        assert 'authdns_incoming_notifies_total{outcome="notauth"} 1.0' in figures
    primary.stop()
    with server:
        server.wait_for_log(r"serving 200 zones")
        for zone in zones:
            assert rcode_of(server.endpoint, zone) == NOERROR
