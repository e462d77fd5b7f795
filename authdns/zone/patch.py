"""placeholder until merged"""

from authdns.zone.delta import Delta, applied
from authdns.zone.problem import Problems
from authdns.zone.records import build, records_of
from authdns.zone.zone import Zone


class DoesNotFit(ValueError):
    pass


def patched(zone: Zone, delta: Delta, problems: Problems, source: str) -> Zone:
    try:
        records = [r for owner, rrsets in zone.owners() for r in records_of(zone, owner, rrsets)]
        return build(zone.apex, applied(records, delta))
    except ValueError as error:
        raise DoesNotFit(str(error)) from None
