"""A name server as a child process: ports, start, log, stop; and waiting for a condition with a deadline.

What differs between servers (configuration, command line) lives in `servers` and `authdns`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, NamedTuple, Self, TypeVar

from tests.peers.availability import find_binary
from tests.peers.certificates import Certificate
from tests.peers.records import ask, serial_at

T = TypeVar("T")

START_SECONDS = 15.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.02
# Below the range that Linux hands to outgoing connections (32768 and up), so that none of those takes the port between
# the moment it was found free and the moment the server binds it.
PORTS = range(20_000, 32_000)


class Endpoint(NamedTuple):
    """Where a server answers."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class TsigKey(NamedTuple):
    """A key of TSIG, the secret in base64."""

    name: str
    secret: str
    algorithm: str = "hmac-sha256"


@dataclass(frozen=True)
class OverTls:
    """How a secondary comes to its primary over TLS: the primary's certificate is valid for `name` and signed by the
    CA in the file `ca`; the secondary shows `own`, if there is one."""

    name: str
    ca: Path
    own: Certificate | None = None


@dataclass(frozen=True)
class Zone:
    """A zone that a server serves: from `file`, or transferred from `primary`; exactly one of the two is given.

    With `key`, BIND, NSD, Knot and PowerDNS sign what they ask the primary, and take its NOTIFY only if it is signed;
    where the zone comes from a file, they let only who signs transfer it, and sign their NOTIFY. What a secondary gives
    to others is never signed. With `tls`, BIND and NSD transfer over TLS, and `primary` is where it answers that. For
    `Unbound`, `primary` is the server to ask for names in the zone.

    With `groups`, even with none, it is a catalog, and BIND, Knot and PowerDNS transfer the zones that it lists from
    `primary` too. Knot lets nobody transfer those of its `groups`, so that a test can tell; the others know no groups.

    With `makes_catalog`, Knot and PowerDNS make a catalog of the zones whose `catalog` it is, with their `group`; of
    its file PowerDNS takes SOA and NS, and Knot nothing. BIND makes none, and serves what is in the file.
    """

    name: str  # without the final dot
    file: Path | None = None
    primary: Endpoint | None = None
    notify: tuple[Endpoint, ...] = ()
    key: TsigKey | None = None
    groups: tuple[str, ...] | None = None
    tls: OverTls | None = None
    makes_catalog: bool = False
    catalog: str | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        if (self.file is None) == (self.primary is None):
            raise ValueError(f"zone {self.name}: give either a file or a primary")

    @property
    def key_of_secondaries(self) -> TsigKey | None:
        """What those must sign with who transfer the zone from this server, and what NOTIFY to them is signed with."""
        return self.key if self.primary is None else None


class ServerDied(Exception):
    """A server ended although nobody stopped it."""


def wait_until(condition: Callable[[], T], what: str, seconds: float = 10.0, poll: float = POLL_SECONDS) -> T:
    """The first true value of `condition()`; TimeoutError saying `what` did not happen after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(poll)


def free_port(address: str = "127.0.0.1") -> int:
    """A port that is free on `address` for both UDP and TCP. Tests that run at the same time (pytest-xdist) choose from
    different ones."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for port in random.sample(PORTS[number::workers], 200):
        if is_free(address, port):
            return port
    raise OSError(f"no free port on {address}")


def is_free(address: str, port: int) -> bool:
    """Whether `port` can be bound for UDP and for TCP (False as well if we may not bind it)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


class NameServer(ABC):
    """One name server in the foreground, with its standard output and error in `folder`/log."""

    name: ClassVar[str]
    watches_files: ClassVar[bool] = False  # whether an edited zone file is published without being told

    def __init__(
        self,
        folder: Path,
        zones: Sequence[Zone] = (),
        *,
        address: str = "127.0.0.1",
        port: int | None = None,
        cores: Collection[int] | None = None,
        quiet: bool = False,
        certificate: Certificate | None = None,
    ) -> None:
        """`cores` pins the server; `quiet` is for measurements: the least logging the server can be told to do. With a
        `certificate`, BIND and NSD answer over TLS as well, at `tls_endpoint`."""
        self.folder = folder
        self.zones = tuple(zones)
        self.endpoint = Endpoint(address, free_port(address) if port is None else port)
        self.cores = cores
        self.quiet = quiet
        self.certificate = certificate
        self.tls_endpoint = Endpoint(address, free_port(address))
        self.log_file = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def write_configuration(self) -> None:
        """Write everything that `command` refers to into the folder."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command that runs the server in the foreground."""

    @property
    def keys(self) -> list[TsigKey]:
        """Of all zones, each once."""
        return list(dict.fromkeys(zone.key for zone in self.zones if zone.key is not None))

    def _ways(self) -> list[OverTls]:
        """Of all zones, each once."""
        return list(dict.fromkeys(zone.tls for zone in self.zones if zone.tls is not None))

    @property
    def address(self) -> str:
        return self.endpoint.address

    @property
    def port(self) -> int:
        return self.endpoint.port

    @property
    def pid(self) -> int:
        return self._running().pid

    def launch(self) -> None:
        """Start the process and return at once."""
        if self._process is not None:
            raise RuntimeError(f"{self.name} runs already")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write_configuration()
        with self.log_file.open("ab") as log, pinned_to(self.cores):
            # A session of its own, so that the processes it forks can be ended together with it.
            self._process = subprocess.Popen(
                [*dying_with_parent(), *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.environment(),
                start_new_session=True,
            )
        RUNNING.add(self)

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def start(self, seconds: float = START_SECONDS) -> Self:
        """Start the process and wait until it answers: each zone that it has from a file with authority."""
        self.launch()
        try:
            self.wait_until_answering(seconds)
            for zone in self.zones:
                if zone.file is not None and not zone.makes_catalog:  # Knot hides it from those who may not transfer it
                    self.wait_until_serving(zone.name, seconds=seconds)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the process, politely first; does nothing if it does not run."""
        process, self._process = self._process, None
        RUNNING.discard(self)
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        # Only what is left of the server's own session: its number is the first process's, which was ours.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def sigterm(self, seconds: float = STOP_SECONDS) -> int:
        """Ask the process to end and return its exit status (negative: the signal that ended it)."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} still runs {seconds:g} s after SIGTERM\n{self.log_tail()}") from None
        self.stop()
        return status

    def reload(self) -> None:
        """Tell the server to read its files again."""
        self._running().send_signal(signal.SIGHUP)

    def zone_file_changed(self) -> None:
        """What an operator does after an edit: nothing where the server watches its files."""
        if not self.watches_files:
            self.reload()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Waiting

    def wait_until_answering(self, seconds: float = START_SECONDS) -> None:
        """Wait until the server answers anything at all."""
        self._wait(lambda: ask(self.endpoint, ".", "SOA", timeout=0.3) is not None, "an answer", seconds)

    def wait_until_serving(self, zone: str, serial: int | None = None, seconds: float = 10.0) -> int:
        """Wait until the server has `zone` (with `serial`, if given); the serial that it serves."""

        def serving() -> tuple[int] | None:
            found = serial_at(self.endpoint, zone, timeout=0.3)
            return None if found is None or serial not in (None, found) else (found,)

        what = f"zone {zone}" + ("" if serial is None else f" with serial {serial}")
        found = self._wait(serving, what, seconds)
        assert found is not None
        return found[0]

    def _wait(self, condition: Callable[[], T], what: str, seconds: float) -> T:
        def alive_and_true() -> T:
            value = condition()
            process = self._running()
            if not value and process.poll() is not None:
                raise ServerDied(f"{self.name} ended with status {process.returncode}\n{self.log_tail()}")
            return value

        try:
            return wait_until(alive_and_true, f"{self.name} on {self.endpoint}: {what}", seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log_tail()}") from None

    # The log

    def log_text(self, since: int = 0) -> str:
        """What the server has written, from offset `since` (see `log_mark`) on."""
        try:
            return self.log_file.read_bytes()[since:].decode(errors="replace")
        except FileNotFoundError:
            return ""

    def log_mark(self) -> int:
        """The log's present length: what comes later is `log_text(since=mark)`."""
        return self.log_file.stat().st_size if self.log_file.exists() else 0

    def wait_for_log(self, pattern: str, since: int = 0, seconds: float = 10.0) -> re.Match[str]:
        """Wait until a line of the log matches the regular expression."""
        what = f"a log line like {pattern!r}"
        found = self._wait(lambda: re.search(pattern, self.log_text(since), re.MULTILINE), what, seconds)
        assert found is not None
        return found

    def log_tail(self, lines: int = 30) -> str:
        tail = "\n".join("    " + line for line in self.log_text().splitlines()[-lines:])
        return f"  the end of the log of {self.name}:\n{tail}"

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process


RUNNING: weakref.WeakSet[NameServer] = weakref.WeakSet()


@atexit.register
def stop_all() -> None:
    """No server outlives the tests, whatever happened to its fixture."""
    for server in list(RUNNING):
        server.stop()


@contextlib.contextmanager
def pinned_to(cores: Collection[int] | None) -> Iterator[None]:
    """Run the body on `cores`: what it starts inherits that, with all threads and children."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@cache
def dying_with_parent() -> tuple[str, ...]:
    """What to put before a command so that it ends even if the tests are killed (`setpriv` of util-linux)."""
    setpriv = find_binary("setpriv")
    return (setpriv, "--pdeathsig", "TERM", "--") if setpriv else ()


def runnable(program: str, folder: Path) -> str:
    """The path to run `program` by; a copy in `folder` where an AppArmor profile would keep it out of that folder."""
    path = find_binary(program)
    if path is None:
        raise FileNotFoundError(f"{program} is not installed")
    enabled = Path("/sys/module/apparmor/parameters/enabled")
    # A profile is attached to the program's path, so a copy runs without it.
    profile = Path("/etc/apparmor.d", str(Path(path).resolve()).lstrip("/").replace("/", "."))
    if enabled.exists() and enabled.read_text().startswith("Y") and profile.exists():
        copy = folder / program
        if not copy.exists():
            shutil.copy(path, copy)
        return str(copy)
    return path
