"""The servers of the benchmark: the floor, authdns with either engine, the peers; with one worker or several."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tests.bench.load import COMPILER, compile_c
from tests.peers import Authdns, Bind, Knot, NameServer, Nsd, Zone
from tests.peers.availability import find_binary

FLOOR, REFERENCE = "floor", "bind"  # what every server is compared with


@dataclass(frozen=True)
class Place:
    """Where a server runs: its folder, its cores, and how many workers it has."""

    folder: Path
    cores: Collection[int]
    workers: int = 1


class Measurable(NameServer):
    """A server that can have several workers, each with a socket of its own."""

    speaks_dns: ClassVar[bool] = True  # False: only sends back what it gets
    workers: int = 1

    @classmethod
    @abstractmethod
    def version(cls) -> str | None:
        """What the server says it is; None if it is not installed."""


class Floor(Measurable):
    """`floor.c`: a server without the name server."""

    name: ClassVar[str] = FLOOR
    speaks_dns = False

    @classmethod
    def version(cls) -> str | None:
        return "floor.c, receives and sends back batches" if find_binary(COMPILER) else None

    def write_configuration(self) -> None:
        compile_c(Path(__file__).with_name("floor.c"), self.folder / "floor")

    def command(self) -> list[str]:
        return [str(self.folder / "floor"), self.address, str(self.port), str(self.workers)]


class NativeAuthdns(Measurable, Authdns):
    engine: ClassVar[str] = "native"

    @classmethod
    def version(cls) -> str | None:
        built = importlib.util.find_spec("authdns.answer.native._native")
        return f"this checkout, engine: native, Python {platform.python_version()}" if built else None

    @property
    def configuration(self) -> dict[str, Any]:
        return {**super().configuration, "engine": self.engine, "workers": self.workers}


class PythonAuthdns(NativeAuthdns):
    name: ClassVar[str] = "authdns-python"
    engine: ClassVar[str] = "python"

    @classmethod
    def version(cls) -> str | None:
        return f"this checkout, engine: python, Python {platform.python_version()}"


class BindWorkers(Measurable, Bind):
    @classmethod
    def version(cls) -> str | None:
        return first_line_of("named", "-v")

    def command(self) -> list[str]:
        command = super().command()
        command[command.index("-n") + 1] = str(self.workers)
        return command


class NsdWorkers(Measurable, Nsd):
    @classmethod
    def version(cls) -> str | None:
        return first_line_of("nsd", "-v")

    def write_configuration(self) -> None:
        super().write_configuration()
        if self.workers > 1:
            more = f"server-count: {self.workers}\n            reuseport: yes"
            replace(self.folder / "nsd.conf", "server-count: 1", more)


class KnotWorkers(Measurable, Knot):
    @classmethod
    def version(cls) -> str | None:
        return first_line_of("knotd", "-V")

    def write_configuration(self) -> None:
        super().write_configuration()
        replace(self.folder / "knot.conf", "udp-workers: 1", f"udp-workers: {self.workers}")


SERVERS: dict[str, type[Measurable]] = {
    server.name: server for server in (Floor, NativeAuthdns, PythonAuthdns, BindWorkers, NsdWorkers, KnotWorkers)
}
ONE_WORKER = {PythonAuthdns.name}  # never more


def installed() -> list[str]:
    return [name for name, server in SERVERS.items() if server.version()]


def make(name: str, place: Place, zones: Sequence[Zone], folder_of_zones: Path | None = None) -> Measurable:
    """The server, not yet started. `folder_of_zones` holds the files of all the zones, where authdns takes a folder."""
    kind = SERVERS[name]
    given: Sequence[Any] = zones if kind.speaks_dns else ()
    if issubclass(kind, Authdns) and folder_of_zones:
        given = [{"folder": str(folder_of_zones), "allow-transfer": ["127.0.0.1"], "notify-ns": False}]
    server = kind(place.folder / name, given, cores=place.cores, quiet=True)
    server.workers = place.workers
    return server


def first_line_of(program: str, flag: str) -> str | None:
    path = find_binary(program)
    if path is None:
        return None
    done = subprocess.run([path, flag], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).splitlines()[0]


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    if text.count(old) != 1:
        raise RuntimeError(f"{file.name}: {old!r} is there {text.count(old)} times")
    file.write_text(text.replace(old, new))
