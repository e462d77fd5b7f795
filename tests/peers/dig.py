"""What a user sees: real `dig`, run against a server, with its text taken apart as far as tests need it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field

from tests.peers.availability import find_binary
from tests.peers.process import Endpoint

DIG_SECONDS = 30.0
SECTIONS = ("ANSWER", "AUTHORITY", "ADDITIONAL")


@dataclass(frozen=True)
class Dig:
    """One run of dig."""

    text: str
    exit_status: int
    status: str | None = None  # of the last response: NOERROR, NXDOMAIN, ...
    flags: frozenset[str] = frozenset()
    sections: dict[str, list[str]] = field(default_factory=dict)  # name of the section -> lines, blanks made single

    @property
    def answer(self) -> list[str]:
        return self.sections.get("ANSWER", [])

    @property
    def authority(self) -> list[str]:
        return self.sections.get("AUTHORITY", [])

    @property
    def additional(self) -> list[str]:
        return self.sections.get("ADDITIONAL", [])

    @property
    def over_tcp(self) -> bool:
        return "(TCP)" in self.text

    @property
    def records(self) -> list[str]:
        """All record lines of the output, whichever section; for a transfer, all records."""
        return [" ".join(line.split()) for line in self.text.splitlines() if line and not line.startswith(";")]


def dig(server: Endpoint, *arguments: str) -> Dig:
    """Run `dig @server arguments`: one try of 3 seconds, no cookie and no EDNS unless the arguments say otherwise."""
    program = find_binary("dig")
    if program is None:
        raise FileNotFoundError("dig is not installed")
    defaults = ["+tries=1", "+time=3", "+nocookie", "+noedns"]
    command = [program, "-r", f"@{server.address}", "-p", str(server.port), *defaults, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DIG_SECONDS, check=False)
    return parse(done.stdout + done.stderr, done.returncode)


def parse(text: str, exit_status: int) -> Dig:
    """Take dig's output apart."""
    statuses = re.findall(r"status: (\w+)", text)
    flags = re.findall(r"^;; flags: ([a-z ]*);", text, re.MULTILINE)
    sections: dict[str, list[str]] = {}
    for section in SECTIONS:
        found = re.search(rf"^;; {section} SECTION:\n(.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
        if found:
            sections[section] = [" ".join(line.split()) for line in found[1].splitlines()]
    return Dig(
        text=text,
        exit_status=exit_status,
        status=statuses[-1] if statuses else None,
        flags=frozenset(flags[-1].split()) if flags else frozenset(),
        sections=sections,
    )
