"""What a process and all its descendants have used, from /proc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Cpu(NamedTuple):
    """CPU time in seconds."""

    user: float
    system: float

    def since(self, before: Cpu) -> Cpu:
        return Cpu(self.user - before.user, self.system - before.system)

    @property
    def total(self) -> float:
        return self.user + self.system


def cpu_of_tree(pid: int) -> Cpu:
    """CPU time of a process, its living descendants and the dead ones that were waited for; all threads."""
    ticks = [0, 0]
    for each in tree(pid):
        # After the last ")" (a name may hold blanks and parentheses): state is field 3, utime..cstime 14..17 (proc(5)).
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        utime, stime, cutime, cstime = (int(field) for field in fields[11:15])
        ticks[0] += utime + cutime
        ticks[1] += stime + cstime
    return Cpu(ticks[0] / TICKS_PER_SECOND, ticks[1] / TICKS_PER_SECOND)


def waits_of_tree(pid: int) -> int:
    """How often a thread of the process or of a living descendant has gone to sleep."""
    waits = 0
    for each in tree(pid):
        for task in Path(f"/proc/{each}/task").iterdir():
            lines = (task / "status").read_text().splitlines()
            waits += sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
    return waits


def memory_of_tree(pid: int) -> int:
    """Resident memory in bytes; a page that several of the processes share counts once."""
    return sum(proportional_size(each) for each in tree(pid))


def proportional_size(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no Pss for process {pid}")


def tree(pid: int) -> list[int]:
    """The process and its living descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            found.extend(int(child) for child in (task / "children").read_text().split())
    return found
