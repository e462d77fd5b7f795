"""A primary that commits faults, one at a time: what a secondary server has to survive.

`faults` says what it does, `zones` what it serves, `server` does it over TCP; `messages` are octets, and of use alone.
"""

from tests.hostile_primary.faults import FAULTS, Fault
from tests.hostile_primary.server import HostilePrimary
from tests.hostile_primary.zones import Copy

__all__ = ["FAULTS", "Copy", "Fault", "HostilePrimary"]
