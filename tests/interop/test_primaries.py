"""BIND, NSD, Knot, PowerDNS and authdns itself as primaries of authdns: what it has is what they serve, record by
record. An edit reaches it by NOTIFY (over TCP from Knot, over UDP from the others), and comes as IXFR where the primary
has what changed.
"""

from __future__ import annotations

import base64
import shutil
from contextlib import ExitStack
from pathlib import Path

import dns.rdatatype
import pytest

from authdns.wire import name as names
from authdns.wire.types import Type
from tests.interop.test_peers_as_primaries import (
    ADDING_AGAIN,
    WITH_AND_WITHOUT_KEY,
    WITHOUT_IXFR_OUT,
    of_another_secret,
)
from tests.interop.test_peers_as_primaries import PRIMARIES as PEERS
from tests.interop.test_secondaries import copied
from tests.interop.zones import EXAMPLE_COM, EXAMPLE_NET, write
from tests.peers import (
    Authdns,
    Bind,
    Endpoint,
    Knot,
    NameServer,
    Nsd,
    Pdns,
    Record,
    TsigKey,
    Zone,
    ask_all,
    axfr,
    free_port,
    records_in_file,
    requires,
    wait_until,
)
from tests.peers.availability import SIGNERS
from tests.peers.records import serial_at
from tests.peers.signing import sign
from tests.scenario.tools import over_udp
from tests.unit.answer.packets import query, seen

pytestmark = pytest.mark.only_authdns

ARRIVAL_SECONDS = 20.0  # PowerDNS looks once a second for what is new
PRIMARIES = [*PEERS, pytest.param(Authdns)]
SERVING_SIGNED_FILES = [each for each in PRIMARIES if each.values != (Pdns,)]  # PowerDNS makes another chain
KEY = TsigKey("transfer.example", base64.b64encode(bytes(range(32))).decode())
ALGORITHMS = ("hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512")
APEX = "example.com"

# Besides what EXAMPLE_COM has: names spelled otherwise than in lower case, large RRsets, and so many messages.
MORE_OF_ALL = "".join(
    [
        "MiXeD.Case  IN CNAME WWW.Example.COM.\n",
        "SHOUTED     IN MX    5 Mail.EXAMPLE.com.\n",
        '*.SHOUTED   IN TXT   "a wildcard"\n',
        "unknown     IN TYPE65282 \\# 300 " + "0a" * 300 + "\n",
        "large       IN TXT   " + " ".join(['"' + "y" * 255 + '"'] * 60) + "\n",
        *(f'h{number} {number + 1} IN TXT "{"x" * 200}"\n' for number in range(400)),
    ]
)
# NSD 4.6 sends messages without records for ever when one has more than 16 KB (4.7 does not), and has no IXFR of a zone
# with a record without rdata; PowerDNS breaks off at a record of 63 KB.
ODD = "empty IN TYPE65281 \\# 0\nlarger IN TXT " + " ".join(['"' + "z" * 255 + '"'] * 250) + "\n"
WITHOUT_ODD = (Nsd, Pdns)
EDITS = (
    "added IN A 192.0.2.200\n",
    "added IN A 192.0.2.200\nadded IN A 192.0.2.201\nAdded2 IN TXT text\n",
    "added 17 IN A 192.0.2.201\n",
    "a.b.c.added IN AAAA 2001:db8::1\n*.c.added IN MX 10 added\n",
    "",
    "",  # nothing but the serial
)


def folded(records: frozenset[Record]) -> frozenset[Record]:
    """Peers turn names into lower case when they read them, also those inside of records."""
    return frozenset(record._replace(rdata=record.rdata.lower()) for record in records)


def ways(kind: type[NameServer]) -> tuple[str, ...]:
    """How what changed comes. An IXFR that adds what we have already is not taken, and the whole zone asked for."""
    if kind in WITHOUT_IXFR_OUT:
        return ("AXFR",)
    return ("IXFR", "AXFR") if kind in ADDING_AGAIN else ("IXFR",)


class Followed:
    """A primary of example.com, whose file is edited, and authdns as its secondary."""

    def __init__(
        self, kind: type[NameServer], folder: Path, stack: ExitStack, key: TsigKey | None = None, more: str = ""
    ) -> None:
        self.ways = ways(kind)
        self.always = more
        self.stack = stack
        self.file = folder / "example.com.zone"
        write(self.file, EXAMPLE_COM, APEX, 1, more)
        ours = Endpoint("127.0.0.1", free_port())
        zone = Zone(APEX, self.file, notify=(ours,), key=key)
        self.primary = kind(folder / kind.name, [zone])
        self.secondary = Authdns(
            folder / "secondary", [Zone(APEX, primary=self.primary.endpoint, key=key)], port=ours.port
        )
        stack.enter_context(self.primary)
        stack.enter_context(self.secondary)

    def edit(self, serial: int, more: str = "") -> None:
        write(self.file, EXAMPLE_COM, APEX, serial, self.always + more)

    def serve(self, serial: int, more: str = "") -> None:
        """An edit that the primary serves, whether it reaches us or not."""
        self.edit(serial, more)
        self.primary.zone_file_changed()
        self.primary.wait_until_serving(APEX, serial)

    def arrives(self, serial: int, since: int = 0) -> str:
        """How (AXFR or IXFR) the version came, of which we have what the primary has."""
        where = f"127.0.0.1#{self.primary.port}"
        found = self.secondary.wait_for_log(
            rf"zone example\.com/IN: transferred serial {serial} from {where}[^(]*( \(primary[^(]*\))? \((\wXFR), ",
            since,
            seconds=ARRIVAL_SECONDS,
        )
        self.secondary.wait_until_serving(APEX, serial)
        self.same()
        return found[2]

    def same(self) -> None:
        ours = axfr(self.secondary.endpoint, APEX)
        assert ours == axfr(self.primary.endpoint, APEX, self.primary.zones[0].key)
        assert folded(ours) == folded(records_in_file(self.file, APEX))


@WITH_AND_WITHOUT_KEY
@pytest.mark.parametrize("kind", PRIMARIES)
def test_every_edit_arrives(kind: type[NameServer], key: TsigKey | None, tmp_path: Path, stack: ExitStack) -> None:
    followed = Followed(kind, tmp_path, stack, key, MORE_OF_ALL + ODD * (kind not in WITHOUT_ODD))
    assert followed.arrives(1) == "AXFR"
    log = followed.secondary
    for serial, more in enumerate(EDITS[:3] if key else EDITS, 2):
        mark = log.log_mark()
        followed.edit(serial, more)
        followed.primary.zone_file_changed()
        assert followed.arrives(serial, mark) in followed.ways
        signed = f", key {key.name.lower()}" if key else ""
        log.wait_for_log(rf"client 127\.0\.0\.1#\d+: notify for 'example\.com/IN'.*{signed}: ", mark)
    assert "refused" not in log.log_text()


@pytest.mark.parametrize("kind", PRIMARIES)
def test_edits_while_we_are_down_come_at_the_start(kind: type[NameServer], tmp_path: Path, stack: ExitStack) -> None:
    """As what changed, in one step or several."""
    followed = Followed(kind, tmp_path, stack)
    followed.arrives(1)
    followed.secondary.stop()
    for serial, more in enumerate(EDITS, 2):
        followed.serve(serial, more)
    mark = followed.secondary.log_mark()
    followed.secondary.start()
    assert followed.arrives(len(EDITS) + 1, mark) in followed.ways
    followed.secondary.wait_for_log(r"zone example\.com/IN: serial 1 from the state folder", mark)


@pytest.mark.parametrize("kind", PRIMARIES)
def test_without_its_history_the_whole_zone_comes(kind: type[NameServer], tmp_path: Path, stack: ExitStack) -> None:
    followed = Followed(kind, tmp_path, stack)
    followed.arrives(1)
    followed.serve(2, EDITS[0])
    followed.arrives(2)
    mark = followed.secondary.log_mark()
    followed.primary.stop()
    forget_history(followed)
    followed.edit(3, EDITS[1])
    followed.primary.start()
    assert followed.arrives(3, mark) == "AXFR"
    followed.edit(4, EDITS[2])
    followed.primary.zone_file_changed()
    assert followed.arrives(4, mark) in followed.ways


def forget_history(followed: Followed) -> None:
    """What a primary keeps of the versions that it had."""
    folder = followed.primary.folder
    for kept in (folder / "database", folder / "state"):  # of Knot and authdns; BIND's journal goes at each start
        shutil.rmtree(kept, ignore_errors=True)
    for kept in followed.file.parent.glob("*.ixfr*"):  # of NSD
        kept.unlink()


NOT_SIGNED = "the primary answered NOTAUTH; TSIG: it is not signed(, and says {}[^;]*)?; "
NOT_ALLOWED = "the primary answered (REFUSED|NOTAUTH) to AXFR: "


@pytest.mark.parametrize("kind", PRIMARIES)
def test_keys(kind: type[NameServer], tmp_path: Path, stack: ExitStack) -> None:
    """Each zone with another one, of all algorithms: transfer, NOTIFY, and IXFR where there is; and then wrong ones,
    which change nothing, and the log says why."""
    ours = Endpoint("127.0.0.1", free_port())
    zones = []
    for algorithm in ALGORITHMS:
        name = f"{algorithm.removeprefix('hmac-')}.example"
        file = write(tmp_path / f"{name}.zone", EXAMPLE_NET, name, 1)
        zones.append(Zone(name, file, notify=(ours,), key=KEY._replace(name=f"key.of.{name}", algorithm=algorithm)))
    primary = stack.enter_context(kind(tmp_path / kind.name, zones))
    copies = [Zone(zone.name, primary=primary.endpoint, key=zone.key) for zone in zones]
    secondary = stack.enter_context(Authdns(tmp_path / "secondary", copies, port=ours.port))
    for serial in (1, 2):
        for zone in zones:
            secondary.wait_until_serving(zone.name, serial, seconds=ARRIVAL_SECONDS)
            assert has(secondary, zone)
            how = "|".join(ways(kind)) if serial > 1 else "AXFR"
            said = (
                rf"{zone.name}/IN: transferred serial {serial} from \S+ \(\S+\) \(({how}), .*, key key.of.{zone.name}\)"
            )
            secondary.wait_for_log(said)
        edit(zones, 2, "added IN A 192.0.2.1\n")
        primary.zone_file_changed()
    secondary.stop()

    before = [records_in_file(zone.file, zone.name) for zone in zones if zone.file]
    edit(zones, 3, "added IN A 192.0.2.3\n")
    primary.zone_file_changed()
    for zone in zones:
        primary.wait_until_serving(zone.name, 3)
    wrong: list[tuple[TsigKey | None, str]] = []
    for zone, reason in zip(zones, ("BADSIG", "BADKEY", "BADKEY", ""), strict=True):
        assert zone.key is not None
        if reason == "BADSIG":
            wrong.append((of_another_secret(zone.key), NOT_SIGNED.format("BADSIG")))
        elif not wrong[1:]:
            wrong.append((zone.key._replace(name="other.example"), NOT_SIGNED.format("BADKEY")))
        elif reason:  # NSD verifies it, and does not allow it
            other = zone.key._replace(algorithm="hmac-sha256")
            wrong.append((other, f"({NOT_SIGNED.format('BADKEY')}|{NOT_ALLOWED})"))
        else:
            wrong.append((None, NOT_ALLOWED))
    copies = [Zone(zone.name, primary=primary.endpoint, key=key) for zone, (key, _) in zip(zones, wrong, strict=True)]
    wrongly = stack.enter_context(Authdns(secondary.folder, copies, port=ours.port))
    for zone, (_, reason), records in zip(zones, wrong, before, strict=True):
        wrongly.wait_for_log(rf"zone {zone.name}/IN: no transfer from \S+( \(\S+\))?: {reason}")
        assert axfr(wrongly.endpoint, zone.name) == records


def edit(zones: list[Zone], serial: int, more: str) -> None:
    for zone in zones:
        assert zone.file is not None
        write(zone.file, EXAMPLE_NET, zone.name, serial, more)


def has(secondary: Authdns, zone: Zone) -> bool:
    assert zone.file is not None
    return axfr(secondary.endpoint, zone.name) == records_in_file(zone.file, zone.name)


@pytest.mark.parametrize("how", ["nsec", "nsec3"])
@pytest.mark.parametrize("kind", SERVING_SIGNED_FILES)
@requires(*SIGNERS)
def test_signed_zones(kind: type[NameServer], how: str, tmp_path: Path, stack: ExitStack) -> None:
    """RRSIGs, the chain and its parameters come as they are, also when it is signed anew."""
    plain = write(tmp_path / "plain.zone", EXAMPLE_COM, APEX, 1)
    file = sign(plain, APEX, how, tmp_path / "signed")
    ours = Endpoint("127.0.0.1", free_port())
    primary = stack.enter_context(kind(tmp_path / kind.name, [Zone(APEX, file, notify=(ours,))]))
    copy = Zone(APEX, primary=primary.endpoint)
    secondary = stack.enter_context(Authdns(tmp_path / "secondary", [copy], port=ours.port))
    for serial in (1, 2, 3):
        secondary.wait_until_serving(APEX, serial, seconds=ARRIVAL_SECONDS)
        assert axfr(secondary.endpoint, APEX) == axfr(primary.endpoint, APEX) == records_in_file(file, APEX)
        edited = EXAMPLE_COM + ("added IN A 192.0.2.200\n" if serial == 1 else "")
        sign(write(plain, edited, APEX, serial + 1), APEX, how, tmp_path / "signed")
        primary.zone_file_changed()
    responses = ask_all(secondary.endpoint, [("nothing.example.com", "A"), ("any.wild.example.com", "A")])
    proofs = {rrset.rdtype for response in responses for rrset in response.authority}
    assert (dns.rdatatype.NSEC if how == "nsec" else dns.rdatatype.NSEC3) in proofs


CHAINS = [
    (Bind, Nsd),
    (Nsd, Knot),
    (Knot, Pdns),
    (Pdns, Bind),
    (Authdns, Authdns),
]


@pytest.mark.parametrize(("first", "last"), CHAINS)
@requires("bind", "nsd", "knot", "pdns")
def test_chains(first: type[NameServer], last: type[NameServer], tmp_path: Path, stack: ExitStack) -> None:
    """`first` → authdns → `last`: NOTIFY is passed on, and IXFR gets what changed on each way that has it."""
    middle, end = (Endpoint("127.0.0.1", free_port()) for _ in range(2))
    file = write(tmp_path / "example.com.zone", EXAMPLE_COM, APEX, 1)
    origin = stack.enter_context(first(tmp_path / "first", [Zone(APEX, file, notify=(middle,))]))
    copy = Zone(APEX, primary=origin.endpoint, notify=(end,))
    between = stack.enter_context(Authdns(tmp_path / "middle", [copy], port=middle.port))
    between.wait_until_serving(APEX, 1, seconds=ARRIVAL_SECONDS)
    target = stack.enter_context(last(tmp_path / "last", [Zone(APEX, primary=middle)], port=end.port))
    serials = [target.wait_until_serving(APEX, 1, seconds=ARRIVAL_SECONDS)]
    for serial, more in enumerate(EDITS[:3], 2):
        mark = between.log_mark()
        write(file, EXAMPLE_COM, APEX, serial, more)
        origin.zone_file_changed()

        def arrived(serial: int = serial) -> bool:
            found = serial_at(target.endpoint, APEX, timeout=0.3)
            serials.extend([] if found is None else [found])
            return found == serial

        wait_until(arrived, f"serial {serial}", ARRIVAL_SECONDS)
        expected = records_in_file(file, APEX)
        assert copied(between, APEX) == expected
        assert copied(target, APEX) == expected
        how = "|".join(ways(first))
        between.wait_for_log(rf"transferred serial {serial} from \S+ \(({how}), ", mark)
        between.wait_for_log(rf"notify to 127\.0\.0\.1#{end.port} \(configured\): accepted \(serial {serial}\)", mark)
        # BIND does not keep what changed of a zone that it has not asked for since; the others always ask for IXFR.
        between.wait_for_log(rf"IXFR started \(serial {serial}\)", mark)
    assert serials == sorted(serials), "a serial went back"


NOTIFY_AA = b"\x24\0"
# NOTIFY to a secondary of example.com: (from whom, for which zone) -> what it says. The others disagree: Knot says
# NOTAUTH to a stranger, NSD NXDOMAIN and PowerDNS REFUSED where there is no such zone; NSD leaves out the question.
NOTIFIES = {
    ("127.0.0.1", "example.com"): "NOERROR aa question 0/0/0",
    ("127.0.0.2", "example.com"): "REFUSED question 0/0/0",
    ("127.0.0.1", "example.org"): "NOTAUTH question 0/0/0",
    ("127.0.0.2", "example.org"): "NOTAUTH question 0/0/0",
    ("127.0.0.1", "www.example.com"): "NOTAUTH question 0/0/0",
}


@requires("bind")
@pytest.mark.parametrize("kind", [Bind, Authdns])
def test_notify_is_answered_as_bind_does(kind: type[NameServer], tmp_path: Path, stack: ExitStack) -> None:
    file = write(tmp_path / "example.com.zone", EXAMPLE_COM, APEX, 1)
    primary = stack.enter_context(Authdns(tmp_path / "primary", [Zone(APEX, file)]))
    server = stack.enter_context(kind(tmp_path / kind.name, [Zone(APEX, primary=primary.endpoint)]))
    server.wait_until_serving(APEX, 1, seconds=ARRIVAL_SECONDS)
    found = {}
    for source, zone in NOTIFIES:
        request = query(names.from_text(f"{zone}."), Type.SOA)
        request = request[:2] + NOTIFY_AA + request[4:]
        found[source, zone] = seen(request, over_udp(server.endpoint, request, source))
    assert found == NOTIFIES


@requires("nsd")
def test_changes_that_do_not_fit_bring_the_whole_zone_at_once(tmp_path: Path, stack: ExitStack) -> None:
    """NSD 4.6 adds what is there already: of a name with several types, RRsets that did not change."""
    followed = Followed(Nsd, tmp_path, stack)
    followed.arrives(1)
    for serial, more in enumerate(("added IN A 192.0.2.1\n        IN TXT one\n", "added IN A 192.0.2.1\n"), 2):
        mark = followed.secondary.log_mark()
        followed.edit(serial, more)
        followed.primary.zone_file_changed()
        followed.arrives(serial, mark)
        said = r"no transfer from .*: the delta adds a record that the zone has already; asking for all of the zone$"
        if serial == 2:
            followed.secondary.wait_for_log(said, mark)
