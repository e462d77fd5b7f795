"""The server as a systemd service, without systemd: the test is the manager at the other end of NOTIFY_SOCKET.

Also here: the exit statuses that `deploy/authdns.service` decides by, and how exposed systemd thinks that unit is.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.interop import zones
from tests.peers import Authdns, Zone, serial_at

pytestmark = [pytest.mark.interop, pytest.mark.only_authdns]

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "authdns.service"
WATCHDOG_SECONDS = 3.0
DEADLINE_SECONDS = 15.0
MOST_EXPOSURE = 15  # tenths


class Manager:
    """The end of NOTIFY_SOCKET that systemd holds. `address` is what the environment says: `@` for a NUL."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def hears(self, state: str, seconds: float = DEADLINE_SECONDS) -> float:
        """Waits for that state, passing over others; how long it took."""
        begun = time.monotonic()
        heard = []
        while (left := begun + seconds - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                heard.append(self.socket.recv(4096).decode())
            except TimeoutError:
                break
            if state in heard[-1].splitlines():
                return time.monotonic() - begun
        raise AssertionError(f"{state} was not heard within {seconds:g} s, only {heard}")


class Service(Authdns):
    """authdns with the environment that systemd gives to a service of Type=notify."""

    variables: dict[str, str]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **self.variables}


@contextmanager
def service(folder: Path, address: str, **variables: str) -> Iterator[tuple[Service, Manager]]:
    """A service that was launched, not waited for."""
    file = zones.write(folder / "example.com.zone", zones.EXAMPLE_COM, "example.com", 1)
    made = Service(folder / "served", [Zone("example.com", file)])
    made.variables = {"NOTIFY_SOCKET": address, **variables}
    with ExitStack() as stack:
        manager = Manager(address)
        stack.callback(manager.socket.close)
        made.launch()
        stack.callback(made.stop)
        yield made, manager


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


def test_ready_is_said_when_every_zone_is_served(tmp_path: Path, address: str) -> None:
    with service(tmp_path, address) as (server, manager):
        manager.hears("READY=1")
        assert serial_at(server.endpoint, "example.com") == 1


def test_an_abstract_socket_is_understood(tmp_path: Path) -> None:
    with service(tmp_path, f"@authdns-test-{os.getpid()}") as (_, manager):
        manager.hears("READY=1")


def test_the_watchdog_is_fed_well_before_it_bites(tmp_path: Path, address: str) -> None:
    microseconds = str(int(WATCHDOG_SECONDS * 1e6))
    with service(tmp_path, address, WATCHDOG_USEC=microseconds) as (_, manager):
        manager.hears("READY=1")
        waits = [manager.hears("WATCHDOG=1") for _ in range(4)]
        assert max(waits) <= WATCHDOG_SECONDS / 2, "sd_watchdog_enabled(3) asks for half of the interval"


@pytest.mark.parametrize("nonsense", ["", "0", "-1", "soon"])
def test_a_watchdog_that_nobody_asked_for_is_not_fed(tmp_path: Path, address: str, nonsense: str) -> None:
    with service(tmp_path, address, WATCHDOG_USEC=nonsense) as (_, manager):
        manager.hears("READY=1")
        with pytest.raises(AssertionError):
            manager.hears("WATCHDOG=1", seconds=0.5)


def test_stopping_is_said_and_the_exit_status_is_0(tmp_path: Path, address: str) -> None:
    with service(tmp_path, address) as (server, manager):
        manager.hears("READY=1")
        assert server.sigterm() == 0
        manager.hears("STOPPING=1")


def test_a_reload_neither_ends_it_nor_makes_it_ready_again(tmp_path: Path, address: str) -> None:
    with service(tmp_path, address) as (server, manager):
        manager.hears("READY=1")
        server.reload()
        server.wait_for_log("the configuration was read again")
        assert serial_at(server.endpoint, "example.com") == 1
        with pytest.raises(AssertionError):
            manager.hears("READY=1", seconds=0.3)


def test_nothing_depends_on_a_manager_that_went_away(tmp_path: Path, address: str) -> None:
    with service(tmp_path, address, WATCHDOG_USEC="300000") as (server, manager):
        manager.hears("READY=1")
        manager.socket.close()
        Path(address).unlink()
        time.sleep(0.5)
        assert serial_at(server.endpoint, "example.com") == 1
        assert server.sigterm() == 0


class TestExitStatuses:
    """The unit restarts the server on some and not on others."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Authdns]:
        made = Authdns(tmp_path / "served")
        yield made
        made.stop()

    def status(self, server: Authdns) -> int:
        server.folder.mkdir(parents=True, exist_ok=True)
        server.write_configuration()
        done = subprocess.run(
            server.command(), env=server.environment(), capture_output=True, timeout=DEADLINE_SECONDS, check=False
        )
        assert done.stderr.strip(), "it says why"
        assert b"Traceback" not in done.stderr
        return done.returncode

    def test_of_errors_in_the_configuration(self, server: Authdns) -> None:
        server.more = {"listne": "127.0.0.1"}
        assert self.status(server) == os.EX_CONFIG
        assert os.EX_CONFIG in never_restarted_on()

    def test_of_a_port_that_another_program_has(self, server: Authdns) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((server.address, server.port))
            assert self.status(server) == os.EX_UNAVAILABLE
        assert os.EX_UNAVAILABLE not in never_restarted_on()

    def test_of_an_address_that_is_not_there_yet(self, server: Authdns) -> None:
        """It must not keep the server from its other addresses; somebody may add it at any time."""
        server.more = {"listen": [f"192.0.2.1:{server.port}", f"127.0.0.1:{server.port}"]}
        with server:
            server.wait_for_log(r"192\.0\.2\.1:\d+: this host does not have that address \(yet\)")
            server.wait_until_answering()

    def test_of_a_state_folder_that_cannot_be_used(self, server: Authdns, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        server.more = {"state": str(tmp_path / "file")}
        assert self.status(server) == os.EX_CANTCREAT
        assert os.EX_CANTCREAT not in never_restarted_on(), "a full disk may have room again"

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give up the right to low ports")
    @pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv")
    def test_of_no_right_to_the_port(self, server: Authdns, monkeypatch: pytest.MonkeyPatch) -> None:
        lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
        if lowest <= 53:
            pytest.skip("everybody may bind port 53 here")
        without = ["setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"]
        command = server.command()
        monkeypatch.setattr(server, "command", lambda: [*without, *command])
        server.more = {"listen": ["127.0.0.1:53"]}
        assert self.status(server) == os.EX_NOPERM
        assert os.EX_NOPERM in never_restarted_on()


def never_restarted_on() -> set[int]:
    found = re.search(r"^RestartPreventExitStatus=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert found
    return {int(status) for status in found[1].split()}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_unit_is_as_closed_as_it_can_be() -> None:
    version = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"systemd (\d+)", version)
    if found is None or int(found[1]) < 250:
        pytest.skip("needs `systemd-analyze security --offline`")
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
