"""From entries to zones: which files there are now, and which zone each one holds.

A folder is listed by the caller, so this stays free of I/O and a reload can call it as often as it likes. A file is
named after its zone. Octets other than letters, digits, `-` and `_` are written `%` and two hexadecimal digits: a
name can hold `/` (RFC 2317) or a dot, a file name must not turn into another path. The root zone is `@`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType

from authdns.config.problem import ConfigProblem, Where, quoted
from authdns.config.settings import (
    NOT_LISTED,
    ZONE_SUFFIX,
    Config,
    Listing,
    Members,
    Primary,
    TransferRule,
    ZoneEntry,
    ZonePolicy,
)
from authdns.config.values import BadValue, parse_domain
from authdns.wire import name as names

ROOT_STEM = "@"
BIND_PREFIX = "db."  # `db.example.com`, as many name files for BIND

_STEM = re.compile(r"(?:[A-Za-z0-9_.-]|[^\x00-\x7f]|%[0-9A-Fa-f]{2})+")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")


@dataclass(frozen=True, slots=True)
class ConfiguredZone:
    """One zone. `name` keeps the spelling (wire bytes), `file` is its zone file, `entry` says where both come from. A
    secondary zone has no file, but `primaries`; `allow_notify` are those and who else may send NOTIFY. Nor has
    a catalog that is made here (`is_catalog`), of what the `listing` of the others says. A secondary zone with
    `members` is a catalog as well; `catalog` is the one that lists this zone, which stands in no file then."""

    name: bytes
    file: str | None
    policy: ZonePolicy
    entry: Where
    primaries: tuple[Primary, ...] = ()
    allow_notify: tuple[TransferRule, ...] = ()
    listing: Listing = NOT_LISTED
    is_catalog: bool = False
    members: Members | None = None
    catalog: bytes | None = None

    @property
    def is_private(self) -> bool:
        """For those only who may transfer it: it is a catalog."""
        return self.is_catalog or self.members is not None


def expand_zones(
    config: Config, list_folder: Callable[[str], list[str]]
) -> tuple[Mapping[bytes, ConfiguredZone], tuple[ConfigProblem, ...]]:
    """Every zone by its apex (lower-case wire bytes), catalogs first, then in the order of the entries, files of a
    folder by name.

    `list_folder` returns the names of a folder's files and may raise OSError. A zone that is there twice, a file whose
    name is no domain name and a folder that cannot be read are problems; the first entry of a zone wins, and the
    other zones go on.
    """
    found: dict[bytes, ConfiguredZone] = {}
    problems: list[ConfigProblem] = []
    for catalog in config.catalogs:
        found[catalog.name.lower()] = ConfiguredZone(catalog.name, None, catalog.policy, catalog.where, is_catalog=True)
    for entry in config.zones:
        for name, file in _zones_of(entry, list_folder, problems):
            zone = ConfiguredZone(
                name,
                file,
                entry.policy,
                entry.where,
                entry.primaries,
                entry.allow_notify,
                entry.listing,
                members=entry.members,
            )
            if (first := found.setdefault(name.lower(), zone)) is not zone:
                message = (
                    f"the zone {names.to_text(name)} is configured twice: {_source(zone)} is left out, "
                    f"{_source(first)} is served ({first.entry})"
                )
                problems.append(ConfigProblem(entry.where, message))
    return MappingProxyType(found), tuple(problems)


def _zones_of(
    entry: ZoneEntry, list_folder: Callable[[str], list[str]], problems: list[ConfigProblem]
) -> Iterator[tuple[bytes, str | None]]:
    folder = entry.watched_folder
    if entry.zone is not None or folder is None:
        yield entry.zone or names.ROOT, entry.file
        return
    try:
        listed = sorted(list_folder(folder))
    except OSError as error:
        problems.append(ConfigProblem(entry.where, f"cannot read the folder {folder}: {error.strerror or error}"))
        return
    for file_name in filter(entry.picks, listed):
        path = str(PurePath(folder) / file_name)
        try:
            yield zone_name_of_file(file_name), path
        except BadValue as error:
            problems.append(ConfigProblem(entry.where, f"{path}: the file's name is no zone's name: {error}"))


def _source(zone: ConfiguredZone) -> str:
    """Where its records come from."""
    if zone.is_catalog:
        return "the catalog"
    return zone.file or f"what is transferred from {', '.join(str(each.endpoint) for each in zone.primaries)}"


def zone_name_of_file(file_name: str) -> bytes:
    """The zone (wire bytes, spelling kept) that a file of this name holds. Raises BadValue."""
    if file_name.endswith(ZONE_SUFFIX):
        stem = file_name.removesuffix(ZONE_SUFFIX)
    elif file_name.startswith(BIND_PREFIX):
        stem = file_name.removeprefix(BIND_PREFIX)
    else:
        stem = PurePath(file_name).stem
    if stem == ROOT_STEM:
        return names.ROOT
    if not _STEM.fullmatch(stem) or stem.startswith(".") or stem.endswith("."):
        raise BadValue(
            f"expected a domain name such as example.com, found {quoted(stem)}; write other characters as %2f"
        )
    return parse_domain(_ESCAPE.sub(lambda escape: f"\\{int(escape[1], 16):03d}", stem))


def stem_of_zone(apex: bytes) -> str:
    """The file name, without suffix, for a zone: what `zone_name_of_file` reads back to the same lower-case name."""
    if apex == names.ROOT:
        return ROOT_STEM
    return ".".join(
        "".join(chr(octet) if octet in _PLAIN else f"%{octet:02x}" for octet in label)
        for label in names.labels(apex.lower())
    )
