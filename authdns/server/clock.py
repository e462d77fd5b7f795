"""The clocks in which the life of a secondary zone is counted."""

import time
from pathlib import Path

from authdns.store import Lease

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def since_boot() -> float:
    """Seconds since the machine was started, time asleep included. Nobody can set this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def lease(seconds: float) -> Lease:
    """So many seconds from now."""
    return Lease(int(time.time()), seconds, _boot(), since_boot())


def left(of: Lease) -> float:
    """Seconds until it is over, or less than none."""
    return of.left(lease(0.0))


def _boot() -> str:
    """Names this run of the machine; "" where the system does not say."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
