"""The configuration as the server uses it: every name looked up, every default applied, nothing left to parse.

All values are immutable. Layers below `server` never see a Config; they are handed the part that they need
(an Endpoint, a ZonePolicy).
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Literal

from authdns.config.models import HistoryModel, IncomingModel, LogModel, TcpModel
from authdns.config.problem import Where
from authdns.config.values import Endpoint, Network
from authdns.wire.tsig import Algorithm, Key

ZONE_SUFFIX = ".zone"


@dataclass(frozen=True, slots=True)
class KeySettings:
    """A key of TSIG: `key` itself, if its secret stands in the configuration, or the file that holds it in base64."""

    name: bytes
    algorithm: Algorithm
    key: Key | None = None
    secret_file: str | None = None


@dataclass(frozen=True, slots=True)
class TransferRule:
    """Clients in `network`, None for any, may transfer if they sign with `key`, None for no matter whether. `tls`: True
    if only over TLS, a name if only with a client certificate for it. `why` is where that was said: `secondary
    freedns`, `addresses.office`, `zones[0].allow-transfer`; the log prints it."""

    network: Network | None
    why: str
    key: bytes | None = None
    tls: bool | str = False


@dataclass(frozen=True, slots=True)
class Secondary:
    """Where a secondary pulls from, where it wants NOTIFY, and what it is called in public: three different things.

    `public_names` are lower-case, without the final dot. `preset` is the preset that it came from, if any. `key` is the
    name of the key that it must sign with, and that its NOTIFY is signed with. `tls` is as in TransferRule.
    """

    name_key: str
    public_names: tuple[str, ...]
    transfer_from: tuple[Network, ...]
    notify_to: tuple[Endpoint, ...]
    preset: str | None = None
    key: bytes | None = None
    tls: bool | str = False

    @property
    def public_name(self) -> str | None:
        return self.public_names[0] if self.public_names else None


@dataclass(frozen=True, slots=True)
class Primary:
    """One address from which a zone is transferred. `name_key` is the name of the primary in the configuration, or the
    address; `key` is the name of the key that requests and answers are signed with; `tls` says whom to believe, None:
    it is asked in cleartext."""

    name_key: str
    endpoint: Endpoint
    key: bytes | None = None
    tls: "TlsClient | None" = None


@dataclass(frozen=True, slots=True)
class ZonePolicy:
    """Who may transfer a zone and who is told about changes.

    `allow_transfer` and `notify` already hold what the secondaries bring along, each network and target once. The
    first rule that matches wins; nothing matches: refused. `notify_ns`: the addresses of the zone's NS names as well.
    """

    allow_transfer: tuple[TransferRule, ...] = ()
    notify: tuple[Endpoint, ...] = ()
    notify_ns: bool = True
    secondaries: tuple[Secondary, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """The catalogs that list a zone (names in lower case), what they say of it, and the one that may take it over."""

    catalogs: tuple[bytes, ...] = ()
    groups: tuple[bytes, ...] = ()
    coo: bytes | None = None


NOT_LISTED = Listing()


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A catalog that is made here (RFC 9432)."""

    name: bytes
    policy: ZonePolicy
    where: Where


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """How a member of somebody else's catalog is served here; `where` that is said."""

    policy: ZonePolicy
    primaries: tuple[Primary, ...]
    allow_notify: tuple[TransferRule, ...]
    where: Where


@dataclass(frozen=True, slots=True)
class Members:
    """How the members of a catalog are served here (RFC 9432); `groups`, by their values, in the order of the file."""

    settings: MemberSettings
    groups: tuple[tuple[bytes, MemberSettings], ...] = ()

    def of(self, groups: Collection[bytes]) -> MemberSettings:
        """For a member of these groups: the first one of the file that is among them decides. In a catalog they have no
        order, and it is not for the catalog to say which of our settings comes first."""
        return next((settings for group, settings in self.groups if group in groups), self.settings)


@dataclass(frozen=True, slots=True)
class ZoneEntry:
    """One entry of `zones`: a single zone (`zone`, as wire bytes, and `file`), or a `folder`, or a `glob`; or a zone
    that is transferred from its `primaries`, who may send NOTIFY, as may whoever `allow_notify` names. `members`: it is
    a catalog.

    Paths are already relative to the configuration file's folder or absolute.
    """

    policy: ZonePolicy
    where: Where
    zone: bytes | None = None
    file: str | None = None
    folder: str | None = None
    glob: str | None = None
    primaries: tuple[Primary, ...] = ()
    allow_notify: tuple[TransferRule, ...] = ()
    listing: Listing = NOT_LISTED
    members: Members | None = None

    @property
    def watched_folder(self) -> str | None:
        """The folder in which this entry's zone files lie; None if it has none."""
        if self.folder is not None:
            return self.folder
        path = self.glob or self.file
        return None if path is None else str(PurePath(path).parent)

    def picks(self, file_name: str) -> bool:
        """Whether a file of the watched folder belongs to this entry. Hidden files, as editors leave them, never do."""
        if file_name.startswith("."):
            return False
        if self.folder is not None:
            return file_name.endswith(ZONE_SUFFIX)
        return fnmatchcase(file_name, PurePath(self.glob or self.file or "").name)


@dataclass(frozen=True, slots=True)
class RateLimitSettings:
    """The section `rate-limit`, its lists looked up."""

    per_second: int
    burst: int
    slip: int
    log_only: bool
    exempt: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class CookieSettings:
    """Without a file the secret is the process's own."""

    secret_file: str | None = None


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The section `tls`: where queries and transfers over TLS are answered, and the files for it. `where` is the place
    of the section, for what is found to be wrong when the files are read."""

    listen: tuple[Endpoint, ...]
    certificate: str
    private_key: str
    client_certificates: str | None = None
    where: Where = field(default=Where(""), compare=False)


@dataclass(frozen=True, slots=True)
class TlsClient:
    """How a primary is asked over TLS. Without `name` and `pins` anybody is believed to be it (opportunistic, RFC 9103
    §9.3); with either or both it must prove who it is (strict).

    `name`: its certificate must be valid for that DNS name and signed by a CA of the file `ca`, None for those of the
    system. `pins`: the SHA-256 of its public key (SPKI, RFC 7858 §4.2) must be one of these. `certificate` and
    `private_key` are shown to it (mutual TLS). `require_alpn`: it must select the token `dot` (RFC 9103 §7.1); without,
    it may select nothing."""

    name: str | None = None
    ca: str | None = None
    pins: tuple[bytes, ...] = ()
    certificate: str | None = None
    private_key: str | None = None
    require_alpn: bool = True
    where: Where = field(default=Where(""), compare=False)

    @property
    def strict(self) -> bool:
        return self.name is not None or bool(self.pins)


@dataclass(frozen=True, slots=True)
class Config:
    """`path` is the file it was read from, None without one. `metrics`, `rate_limit` and `cookies` are None when
    switched off, `tls` when nothing is said of it."""

    listen: tuple[Endpoint, ...]
    state: Path
    zones: tuple[ZoneEntry, ...]
    metrics: Endpoint | None
    rate_limit: RateLimitSettings | None
    cookies: CookieSettings | None
    tls: TlsSettings | None = None
    keys: tuple[KeySettings, ...] = ()
    catalogs: tuple[CatalogEntry, ...] = ()
    identity: str | None = None
    version: str | None = None
    edns_size: int = 1232
    engine: Literal["auto", "native", "python"] = "auto"
    workers: int | None = None
    log: LogModel = field(default_factory=LogModel)
    history: HistoryModel = field(default_factory=HistoryModel)
    incoming: IncomingModel = field(default_factory=IncomingModel)
    tcp: TcpModel = field(default_factory=TcpModel)
    path: Path | None = None
