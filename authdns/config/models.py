"""The configuration file as it is written: one pydantic model for each mapping, and the JSON Schema made from them.

These models know types and ranges only, so a JSON Schema can say all of it and an editor can check while one types.
What needs the rest of the file (names of lists, cycles, relative paths) is `resolve.py`'s. A key is the field's name
with hyphens. Each value carries, as `Expected`, the words for "expected ..., found ..."; pydantic's are never shown.
Nothing is required here: a missing key is reported by `resolve.py`, which can say what it would be good for.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, StrictBool, StrictStr
from pydantic import ValidationError as Invalid
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"

ADDRESSES = "a list of addresses, prefixes or names of lists"
TRANSFERS = "a list of addresses, prefixes, names of lists or {address: PREFIX, key: NAME, tls: required}"
ZONE_KINDS = "`zone` and `file`, or `folder`, or `glob`, or `zone` and `primaries`"
ENDPOINTS = "a list of addresses with or without a port"
SECONDARY_NAMES = "a list of names of secondaries"
PRIMARIES = "a list of names of `primaries`, or addresses with or without a port"
CATALOG_NAMES = "the name of one of `catalogs`, or a list of them"
GROUPS = "a text, or a list of texts"


@dataclass(frozen=True)
class Expected:
    """What a value should have been, in words. Replaces pydantic's message about the value itself; problems of values
    inside it keep their own. `null`: an empty value is meant to be one."""

    what: str
    null: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._validate, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        made = handler(schema)
        kinds = [kind for kind in made.get("anyOf", []) if self.null or kind != {"type": "null"}]
        if len(kinds) == 1:
            del made["anyOf"]
            made.update(kinds[0])
        return made

    def prepare(self, value: Any) -> Any:
        """The value as the type wants it; a chance to be lenient."""
        return value

    def _validate(self, value: Any, inner: core_schema.ValidatorFunctionWrapHandler) -> Any:
        prepared = self.prepare(value)
        if prepared is None and not self.null:
            raise self._error()
        try:
            return inner(prepared)
        except Invalid as error:
            if any(detail["loc"] for detail in error.errors(include_url=False, include_context=False)):
                raise
            raise self._error() from None

    def _error(self) -> PydanticCustomError:
        return PydanticCustomError("expected", "{what}", {"what": self.what})


@dataclass(frozen=True)
class ListOrOne(Expected):
    """A list of texts. A single text stands for a list of one: it can mean nothing else."""

    def prepare(self, value: Any) -> Any:
        if isinstance(value, str):
            return (value,)
        return tuple(value) if isinstance(value, list) else value

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        made = super().__get_pydantic_json_schema__(schema, handler)
        return {"anyOf": [made, {"type": "string"}]}


@dataclass(frozen=True)
class AddressOrMapping(Expected):
    """A text stands for a mapping with nothing but that `address`."""

    def prepare(self, value: Any) -> Any:
        return {"address": value} if isinstance(value, str) else value

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [super().__get_pydantic_json_schema__(schema, handler), {"type": "string"}]}


@dataclass(frozen=True)
class Section(Expected):
    """A mapping, or a list of mappings, of which all entries may be commented out: then YAML sees nothing."""

    empty: Literal["mapping", "list"] = "mapping"

    def prepare(self, value: Any) -> Any:
        if value is None:
            return {} if self.empty == "mapping" else ()
        return tuple(value) if isinstance(value, list) else value

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [super().__get_pydantic_json_schema__(schema, handler), {"type": "null"}]}


@dataclass(frozen=True)
class Switch(Expected):
    """A mapping that can be switched off as a whole: `off`, which YAML reads as false, or `null`."""

    null: bool = True

    def prepare(self, value: Any) -> Any:
        return None if value is False else {} if value is True else value

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        made = super().__get_pydantic_json_schema__(schema, handler)
        return {"anyOf": [*made.get("anyOf", [made]), {"type": "boolean"}]}


AddressList = Annotated[
    tuple[Annotated[StrictStr, Expected("an address, a prefix or the name of a list")], ...], ListOrOne(ADDRESSES)
]
EndpointList = Annotated[
    tuple[Annotated[StrictStr, Expected("an address with or without a port")], ...], ListOrOne(ENDPOINTS)
]
# `| None` below stands for "not said", which is not the same as an empty list; an empty value is refused.
OptionalAddresses = Annotated[
    tuple[Annotated[StrictStr, Expected("an address, a prefix or the name of a list")], ...] | None,
    ListOrOne(ADDRESSES),
]
OptionalEndpoints = Annotated[
    tuple[Annotated[StrictStr, Expected("an address with or without a port, or the name of a list")], ...] | None,
    ListOrOne(ENDPOINTS),
]
OptionalSecondaries = Annotated[
    tuple[Annotated[StrictStr, Expected("the name of a secondary")], ...] | None, ListOrOne(SECONDARY_NAMES)
]
OptionalPrimaries = Annotated[
    tuple[Annotated[StrictStr, Expected("the name of one of `primaries`, or an address")], ...] | None,
    ListOrOne(PRIMARIES),
]
OptionalCatalogs = Annotated[
    tuple[Annotated[StrictStr, Expected("the name of one of `catalogs`")], ...] | None, ListOrOne(CATALOG_NAMES)
]
OptionalGroups = Annotated[tuple[Annotated[StrictStr, Expected("a text")], ...] | None, ListOrOne(GROUPS)]
OptionalNames = Annotated[
    tuple[Annotated[StrictStr, Expected("the domain name of a name server")], ...] | None,
    ListOrOne("the domain name of a name server, or a list of them"),
]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"))


_TLS_NEED = Expected("`required`, or the name in a client certificate")


class TransferModel(Model):
    """Who may transfer: the address, the key that it must sign with, and whether it must come over TLS; without an
    address, whoever has the key."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["address"]}, {"required": ["key"]}]})

    address: Annotated[StrictStr | None, Expected("an address, a prefix or the name of a list")] = Field(
        None, description="An address, a prefix or the name of a list."
    )
    key: Annotated[StrictStr | None, Expected("the name of a key")] = Field(
        None, description="The name of a key of `keys`."
    )
    tls: Annotated[StrictStr | StrictBool | None, _TLS_NEED] = Field(
        None,
        description="`required`: only over TLS. A DNS name: only over TLS with a client certificate for that name, "
        "which `tls.client-certificates` vouches for. Default: TCP will do.",
    )


OptionalTransfers = Annotated[
    tuple[
        Annotated[
            TransferModel,
            AddressOrMapping("an address, a prefix, the name of a list or {address: PREFIX, key: NAME, tls: required}"),
        ],
        ...,
    ]
    | None,
    ListOrOne(TRANSFERS),
]


class SharingModel(Model):
    """Who may transfer, and who is told about changes."""

    secondaries: OptionalSecondaries = Field(
        None, description="Names of secondaries: declared under `secondaries`, or presets."
    )
    allow_transfer: OptionalTransfers = Field(
        None,
        description="More clients that may transfer, any one of these: addresses, prefixes, names of lists; "
        "{address: PREFIX, key: NAME} wants both, {key: NAME} the key alone; `tls: required` wants TLS besides. "
        "Secondaries always may.",
    )
    notify: OptionalEndpoints = Field(
        None, description="More targets of NOTIFY: addresses with or without a port, names of lists. Default port 53."
    )


class PolicyModel(SharingModel):
    """Who may transfer a zone and who is told about its changes; in which catalogs it is listed."""

    notify_ns: Annotated[StrictBool | None, Expected("true or false")] = Field(
        None, description="Send NOTIFY to the addresses of the zone's NS names as well. Default true."
    )
    catalog: OptionalCatalogs = Field(
        None, description="The catalog, or the catalogs, of `catalogs` that list the zone. Default: none."
    )
    group: OptionalGroups = Field(
        None, description="What the catalog says of the zone: by it, secondaries may choose how they configure it."
    )


class DefaultsModel(PolicyModel):
    """Applies to each zone that does not say otherwise, key by key."""


class MemberModel(SharingModel):
    """How the members of a catalog are served here, as secondary zones."""

    primaries: OptionalPrimaries = Field(
        None, description="Where they are transferred from. Default: from where the catalog is."
    )
    notify_ns: Annotated[StrictBool | None, Expected("true or false")] = Field(
        None, description="Whether the addresses of the zone's NS names are told about changes, too."
    )
    allow_notify: OptionalTransfers = Field(
        None, description="Who may say that one of them has changed, besides its primaries: as in `allow-transfer`."
    )


class MembersModel(MemberModel):
    """How the members of a catalog are served here: `defaults` applies, then this, then what a group says, key by
    key."""

    groups: Annotated[
        dict[
            str,
            Annotated[
                MemberModel,
                Section(
                    "a mapping with `primaries`, `secondaries`, `allow-transfer`, `notify`, `notify-ns`, `allow-notify`"
                ),
            ],
        ],
        Section("a mapping of names of groups to mappings"),
    ] = Field(
        {}, description="What differs for members of a group. Of several groups that a member has, the first one here."
    )


_NO_FILE: dict[str, Any] = {"not": {"required": ["file"]}}


class ZoneModel(PolicyModel):
    """One zone (`zone` and `file`), or all the zone files of a folder (`folder`), or those of a pattern (`glob`), or a
    zone that is transferred from elsewhere (`zone` and `primaries`)."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["zone", "file"]},
                {"required": ["zone", "primaries"]},
                {"required": ["folder"], **_NO_FILE},
                {"required": ["glob"], **_NO_FILE},
            ],
            "anyOf": [{"required": ["primaries"]}, {"not": {"required": ["members"]}}],
        }
    )

    zone: Annotated[StrictStr | None, Expected("the name of a zone")] = Field(
        None, description="The name of the zone, such as example.com. Needs `file` or `primaries`."
    )
    file: Annotated[StrictStr | None, Expected("the path of a zone file")] = Field(
        None, description="The zone file, relative to the configuration file."
    )
    folder: Annotated[StrictStr | None, Expected("the path of a folder")] = Field(
        None, description="Every *.zone file of this folder; the file's name without .zone is the zone's name."
    )
    glob: Annotated[StrictStr | None, Expected("a pattern of file names")] = Field(
        None, description="Every file that fits, such as z/*.db; its name without the last suffix is the zone's name."
    )
    primaries: OptionalPrimaries = Field(
        None,
        description="Makes it a secondary zone, transferred from these: names of `primaries`, or addresses. The first "
        "is asked first, then the one that worked last.",
    )
    allow_notify: OptionalTransfers = Field(
        None,
        description="Who may say that a secondary zone has changed, besides its primaries: as in `allow-transfer`, but "
        "without `tls`: NOTIFY comes in cleartext.",
    )
    members: Annotated[
        MembersModel | None,
        Section(
            "a mapping with `primaries`, `secondaries`, `allow-transfer`, `notify`, `notify-ns`, `allow-notify`, "
            "`groups`"
        ),
    ] = Field(
        None,
        description="Makes a secondary zone a catalog (RFC 9432) whose members are served here; how. `{}` is enough. "
        "`defaults` then applies to the members, not to the catalog.",
    )
    coo: Annotated[StrictStr | None, Expected("the name of a catalog")] = Field(
        None, description="The catalog, here or elsewhere, that may take the zone over (RFC 9432, change of ownership)."
    )


class SecondaryModel(Model):
    """A name server of somebody else that transfers zones from here."""

    preset: Annotated[StrictStr | None, Expected("the name of a preset")] = Field(
        None, description="A known service; the keys beside it replace the preset's."
    )
    name: OptionalNames = Field(None, description="Its public name or names, as in the zone's NS records.")
    transfer_from: OptionalAddresses = Field(
        None, description="The addresses it transfers from: addresses, prefixes, names of lists."
    )
    notify_to: OptionalEndpoints = Field(
        None,
        description="Where it wants NOTIFY, default port 53. Left out: the single addresses of `transfer-from`.",
    )
    key: Annotated[StrictStr | None, Expected("the name of a key")] = Field(
        None, description="The key of `keys` that it must sign with, besides having the address. NOTIFY is signed too."
    )
    tls: Annotated[StrictStr | StrictBool | None, _TLS_NEED] = Field(
        None,
        description="`required`: it transfers over TLS only. A DNS name: also with a client certificate for that name. "
        "Default: TCP will do. NOTIFY is not encrypted.",
    )


class KeyModel(Model):
    """A key of TSIG (RFC 8945), by the name that both sides have for it. Needs `secret` or `secret-file`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["secret"]}, {"required": ["secret-file"]}]})

    algorithm: Annotated[
        Literal["hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"],
        Expected("hmac-sha224, hmac-sha256, hmac-sha384 or hmac-sha512"),
    ] = Field("hmac-sha256", description="How messages are signed.")
    secret: Annotated[StrictStr | None, Expected("the secret in base64, as text")] = Field(
        None, repr=False, description="The secret in base64."
    )
    secret_file: Annotated[StrictStr | None, Expected("the path of a file")] = Field(
        None,
        description="A file with the secret in base64. $CREDENTIALS_DIRECTORY/NAME is a credential of systemd's.",
    )


class MetricsModel(Model):
    """Counters for Prometheus, over HTTP."""

    listen: Annotated[StrictStr, Expected("an address with or without a port")] = Field(
        "127.0.0.1:9153", description="Address and port. Default port 9153."
    )


class LogModel(Model):
    """What is logged, and how."""

    format: Annotated[Literal["human", "json"], Expected("human or json")] = Field(
        "human", description="Lines for people, or one JSON object a line."
    )
    level: Annotated[Literal["debug", "info", "warning", "error"], Expected("debug, info, warning or error")] = Field(
        "info", description="The least important level that is still logged."
    )


class TlsModel(Model):
    """Queries (RFC 7858) and zone transfers (RFC 9103) over TLS. The limits of `tcp` hold for these connections too."""

    model_config = ConfigDict(json_schema_extra={"required": ["certificate", "private-key"]})

    listen: EndpointList = Field(
        ("0.0.0.0:853", "[::]:853"), description='Where: "127.0.0.1:8853", "[::1]:8853". Default port 853.'
    )
    certificate: Annotated[StrictStr | None, Expected("the path of a file")] = Field(
        None, description="The certificate of this server and those between it and its CA, in PEM. Needed."
    )
    private_key: Annotated[StrictStr | None, Expected("the path of a file")] = Field(
        None,
        description="Its private key, in PEM, without a password. Needed. "
        "$CREDENTIALS_DIRECTORY/NAME is a credential of systemd's.",
    )
    client_certificates: Annotated[StrictStr | None, Expected("the path of a file")] = Field(
        None,
        description="Certificates in PEM that vouch for clients: of CAs, or of the clients themselves. "
        "Needed where `tls: NAME` stands in a rule. Left out: no client is asked for one.",
    )


class TlsClientModel(Model):
    """How a primary is asked over TLS (RFC 9103). With nothing in it: encrypted, but whoever answers is believed."""

    name: Annotated[StrictStr | None, Expected("the domain name of a name server")] = Field(
        None, description="Its certificate must be valid for this DNS name."
    )
    ca: Annotated[StrictStr | None, Expected("the path of a file")] = Field(
        None, description="The CAs that may have signed it, in PEM. Default: those of the system. Needs `name`."
    )
    pins: Annotated[
        tuple[Annotated[StrictStr, Expected("a pin in base64")], ...] | None, ListOrOne("a list of pins in base64")
    ] = Field(None, description="SHA-256 of its public key (SPKI) in base64, any one of these, as kdig's +tls-pin.")
    certificate: Annotated[StrictStr | None, Expected("the path of a file")] = Field(
        None, description="Our certificate for it (mutual TLS), in PEM. Needs `private-key`."
    )
    private_key: Annotated[StrictStr | None, Expected("the path of a file")] = Field(
        None, description="The private key of our certificate, in PEM, without a password."
    )
    require_alpn: Annotated[StrictBool, Expected("true or false")] = Field(
        True, description="false: a primary that does not know ALPN will do as well (Debian 12's NSD does not)."
    )


# For `tls` of a primary: a mapping, or `on` for one with nothing in it.
OptionalTlsClient = Annotated[
    TlsClientModel | None,
    Switch("a mapping with `name`, `ca`, `pins`, `certificate`, `private-key`, `require-alpn`, or on or off"),
]


class PrimaryModel(Model):
    """A server of somebody else, or one behind it, from which zones are transferred to here."""

    address: Annotated[
        tuple[Annotated[StrictStr, Expected("an address with or without a port")], ...] | None, ListOrOne(ENDPOINTS)
    ] = Field(None, description="Where it answers: addresses with or without a port. Default port 53.")
    key: Annotated[StrictStr | None, Expected("the name of a key")] = Field(
        None, description="The key of `keys` with which requests are signed, and answers and NOTIFY have to be."
    )
    tls: OptionalTlsClient = Field(
        None,
        description="Asks over TLS (RFC 9103), and never without; then the default port is 853. `on`: encrypted, but "
        "whoever answers is believed.",
    )


class CatalogModel(SharingModel):
    """A catalog (RFC 9432): a zone, made by the server, that lists those zones which name it, for secondaries that
    configure themselves by it. `defaults` does not apply to it."""


class TcpModel(Model):
    """Limits of TCP connections (RFC 7766, RFC 9210)."""

    connections: Annotated[
        int, Field(strict=True, ge=1, le=1_000_000), Expected("a whole number from 1 to 1000000")
    ] = Field(4096, description="Connections in all.")
    per_client: Annotated[int, Field(strict=True, ge=1, le=1_000_000), Expected("a whole number from 1 to 1000000")] = (
        Field(32, description="Connections of one client: an IPv4 address or an IPv6 /56.")
    )
    idle_seconds: Annotated[
        float, Field(strict=True, gt=0, le=3600, allow_inf_nan=False), Expected("seconds, more than 0 and at most 3600")
    ] = Field(10.0, description="An idle connection is closed after so many seconds.")
    pipelined: Annotated[int, Field(strict=True, ge=1, le=65535), Expected("a whole number from 1 to 65535")] = Field(
        64, description="Unanswered queries that one connection may have."
    )


class RateLimitModel(Model):
    """How many responses one source may have by UDP, so that nobody is flooded whose address was forged. Who sends a
    valid cookie is not limited; by TCP a source has a budget of the server's time instead."""

    per_second: Annotated[int, Field(strict=True, ge=1, le=10_000), Expected("a whole number from 1 to 10000")] = Field(
        50, description="Responses a second to one address; networks have more (/24: 32 times as many)."
    )
    burst: Annotated[int, Field(strict=True, ge=1, le=100_000), Expected("a whole number from 1 to 100000")] = Field(
        125, description="Responses to one address that was silent before."
    )
    slip: Annotated[int, Field(strict=True, ge=0, le=100), Expected("a whole number from 0 to 100")] = Field(
        1, description="Every so many limited queries, one is answered with TC: come by TCP. 0: none is."
    )
    log_only: Annotated[StrictBool, Expected("true or false")] = Field(
        False, description="Only count, and log, what would be limited."
    )
    exempt: AddressList = Field(
        ("127.0.0.0/8", "::1"), description="Who is never limited: addresses, prefixes, names of lists."
    )


class CookiesModel(Model):
    """DNS cookies (RFC 7873): who sends one back has not forged its address."""

    secret_file: Annotated[StrictStr | None, Expected("the path of a file")] = Field(
        None,
        description="A file with a secret of 32 hex digits on each line, shared by the servers of one address: the "
        "first makes cookies, all verify them. Default: a secret of this process, a new one every day.",
    )


class HistoryModel(Model):
    """What is kept of each zone's past versions, for secondaries that ask for what changed (IXFR, RFC 1995). What is
    more is forgotten, oldest first; then a secondary gets the whole zone."""

    versions: Annotated[int, Field(strict=True, ge=0, le=10_000), Expected("a whole number from 0 to 10000")] = Field(
        100, description="Versions of a zone."
    )
    days: Annotated[
        float, Field(strict=True, gt=0, le=3650, allow_inf_nan=False), Expected("days, more than 0 and at most 3650")
    ] = Field(30.0, description="Their age.")
    megabytes: Annotated[
        float,
        Field(strict=True, gt=0, le=1024, allow_inf_nan=False),
        Expected("megabytes, more than 0 and at most 1024"),
    ] = Field(64.0, description="The size of what changed, of one zone, compressed.")
    events: Annotated[int, Field(strict=True, ge=1, le=10_000_000), Expected("a whole number from 1 to 10000000")] = (
        Field(10_000, description="Events of all zones, which `authdns events` shows; they become no older either.")
    )


class IncomingModel(Model):
    """How secondary zones are transferred: so that ten thousand of them at a start leave room for everything else."""

    at_once: Annotated[int, Field(strict=True, ge=1, le=1000), Expected("a whole number from 1 to 1000")] = Field(
        20, description="Primaries that are asked at the same time."
    )
    megabytes_per_second: Annotated[
        float | None,
        Field(strict=True, gt=0, le=100_000, allow_inf_nan=False),
        Expected("megabytes a second, more than 0 and at most 100000"),
    ] = Field(None, description="What all transfers together may receive. Default: as much as comes.")
    max_records: Annotated[
        int, Field(strict=True, ge=1, le=1_000_000_000), Expected("a whole number from 1 to 1000000000")
    ] = Field(10_000_000, description="Of one zone; more is refused. A million take about 400 MB while they come in.")


class FileModel(Model):
    """The configuration of authdns, an authoritative DNS server."""

    model_config = ConfigDict(
        title="authdns configuration",
        json_schema_extra={"patternProperties": {"^x-": {"description": "Ignored: a place for YAML anchors."}}},
    )

    listen: EndpointList = Field(
        ("0.0.0.0:53", "[::]:53"),
        description='Where queries are answered: "127.0.0.1:5353", "[::1]:5353". Default port 53.',
    )
    state: Annotated[StrictStr | None, Expected("the path of a folder")] = Field(
        None,
        description="The folder for what must survive a restart. Default: $STATE_DIRECTORY, else "
        "a folder for this configuration in $XDG_STATE_HOME/authdns or ~/.local/state/authdns.",
    )
    identity: Annotated[StrictStr | None, Expected("text, or null", null=True)] = Field(
        None, description="Answers CH TXT id.server and hostname.bind, and NSID. Default null: refused."
    )
    version: Annotated[StrictStr | None, Expected("text, or null", null=True)] = Field(
        None, description="Answers CH TXT version.bind and version.server. Default null: refused."
    )
    edns_size: Annotated[int, Field(strict=True, ge=512, le=4096), Expected("a whole number from 512 to 4096")] = Field(
        1232, description="The largest UDP answer, in octets."
    )
    engine: Annotated[Literal["auto", "native", "python"], Expected("auto, native or python")] = Field(
        "auto",
        description="What answers by UDP: the native engine, Python, or (auto) Python where the other is missing.",
    )
    workers: Annotated[int | None, Field(strict=True, ge=1, le=64), Expected("a whole number from 1 to 64")] = Field(
        None, description="Threads of the native engine for each address. Default: one for each processor."
    )
    addresses: Annotated[
        dict[str, AddressList], Section("a mapping of names to lists of addresses, prefixes or names of lists")
    ] = Field({}, description="Named lists of addresses and prefixes; they may name each other.")
    secondaries: Annotated[
        dict[
            str,
            Annotated[
                SecondaryModel, Expected("a mapping with `preset`, `name`, `transfer-from`, `notify-to`, `key`, `tls`")
            ],
        ],
        Section("a mapping of names to secondaries"),
    ] = Field({}, description="Named secondaries. A preset can be used by its name without being declared.")
    primaries: Annotated[
        dict[str, Annotated[PrimaryModel, Expected("a mapping with `address`, `key`, `tls`")]],
        Section("a mapping of names to primaries"),
    ] = Field({}, description="Named servers that zones are transferred from.")
    keys: Annotated[
        dict[str, Annotated[KeyModel, Expected("a mapping with `algorithm` and `secret` or `secret-file`")]],
        Section("a mapping of names to keys"),
    ] = Field({}, description="Keys of TSIG (RFC 8945), by their domain names. `authdns key generate` makes one.")
    catalogs: Annotated[
        dict[str, Annotated[CatalogModel, Expected("a mapping with `secondaries`, `allow-transfer`, `notify`")]],
        Section("a mapping of names to catalogs"),
    ] = Field({}, description="Catalogs that are made here, by their zones' names; `catalog` puts zones into them.")
    defaults: Annotated[
        DefaultsModel,
        Section("a mapping with `secondaries`, `allow-transfer`, `notify`, `notify-ns`, `catalog`, `group`"),
    ] = Field(DefaultsModel(), description="Applies to each zone that does not say otherwise, key by key.")
    zones: Annotated[
        tuple[Annotated[ZoneModel, Expected(f"a mapping with {ZONE_KINDS}")], ...],
        Section(f"a list of zones, each a mapping with {ZONE_KINDS}", empty="list"),
    ] = Field((), description="The zones that are served. If one is named twice, the first entry wins.")
    metrics: Annotated[MetricsModel | None, Switch("a mapping with `listen`, or off")] = Field(
        MetricsModel(), description="Counters for Prometheus, over HTTP; `off` or null for none."
    )
    log: Annotated[LogModel, Section("a mapping with `format` and `level`")] = Field(
        LogModel(), description="What is logged, and how."
    )
    history: Annotated[HistoryModel, Section("a mapping with `versions`, `days`, `megabytes`, `events`")] = Field(
        HistoryModel(), description="What is kept of past versions, for IXFR, and of events."
    )
    incoming: Annotated[IncomingModel, Section("a mapping with `at-once`, `megabytes-per-second`, `max-records`")] = (
        Field(IncomingModel(), description="How secondary zones are transferred.")
    )
    tcp: Annotated[TcpModel, Section("a mapping with `connections`, `per-client`, `idle-seconds`, `pipelined`")] = (
        Field(TcpModel(), description="Limits of TCP connections.")
    )
    tls: Annotated[
        TlsModel | None, Switch("a mapping with `listen`, `certificate`, `private-key`, `client-certificates`, or off")
    ] = Field(None, description="Queries and transfers over TLS. Left out or off: none.")
    rate_limit: Annotated[
        RateLimitModel | None,
        Switch("a mapping with `per-second`, `burst`, `slip`, `log-only`, `exempt`, or off"),
    ] = Field(
        RateLimitModel(), description="Limits the responses that one source gets by UDP; `off` or null: it has none."
    )
    cookies: Annotated[CookiesModel | None, Switch("a mapping with `secret-file`, or off")] = Field(
        CookiesModel(), description="DNS cookies (RFC 7873, RFC 9018); `off` or null for none."
    )


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the configuration file, for editors. The same object each time it is printed."""
    return {"$schema": DIALECT, **_tidied(FileModel.model_json_schema(by_alias=True))}


def _tidied(schema: Any) -> Any:
    """Without pydantic's titles, which repeat the keys, and without `null` as a default: here it means "not said"."""
    if isinstance(schema, list):
        return [_tidied(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _tidied(part) for key, part in schema.items() if part is not None}
    if "$defs" not in kept and isinstance(kept.get("title"), str):
        del kept["title"]
    return kept


# Where each mapping of fixed keys stands. `*` is an index or a name that the user chose.
MAPPINGS: dict[tuple[str, ...], type[Model]] = {
    (): FileModel,
    ("defaults",): DefaultsModel,
    ("zones", "*"): ZoneModel,
    ("defaults", "allow-transfer", "*"): TransferModel,
    ("zones", "*", "allow-transfer", "*"): TransferModel,
    ("zones", "*", "allow-notify", "*"): TransferModel,
    ("zones", "*", "members"): MembersModel,
    ("zones", "*", "members", "allow-transfer", "*"): TransferModel,
    ("zones", "*", "members", "allow-notify", "*"): TransferModel,
    ("zones", "*", "members", "groups", "*"): MemberModel,
    ("zones", "*", "members", "groups", "*", "allow-transfer", "*"): TransferModel,
    ("zones", "*", "members", "groups", "*", "allow-notify", "*"): TransferModel,
    ("primaries", "*"): PrimaryModel,
    ("primaries", "*", "tls"): TlsClientModel,
    ("incoming",): IncomingModel,
    ("catalogs", "*"): CatalogModel,
    ("catalogs", "*", "allow-transfer", "*"): TransferModel,
    ("secondaries", "*"): SecondaryModel,
    ("keys", "*"): KeyModel,
    ("metrics",): MetricsModel,
    ("log",): LogModel,
    ("history",): HistoryModel,
    ("tcp",): TcpModel,
    ("tls",): TlsModel,
    ("rate-limit",): RateLimitModel,
    ("cookies",): CookiesModel,
}


def keys_of(model: type[Model]) -> tuple[str, ...]:
    """The keys of a mapping as they are written."""
    return tuple(field.alias or name for name, field in model.model_fields.items())
