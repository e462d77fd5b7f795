"""The configuration: YAML in, one immutable Config out, or every problem of the file with its line.

A leaf: it knows domain names (`authdns.wire`) and nothing else of authdns, does no I/O but reading the one file, and
is told the environment. Layers below `server` are handed values out of a Config, never a Config.

    problem    Where, ConfigProblem, ConfigError
    document   YAML → a tree whose values know their line
    models     the file as it is written; its JSON Schema
    wording    what pydantic found, in words
    values     addresses, prefixes, names from text
    presets    known secondary services (authdns/data/secondaries.yaml)
    settings   the Config and its parts
    resolve    models → Config
    zonefiles  entries → zones and their files
    load       the doors: load_config, parse_config, default_config
"""

from authdns.config.load import default_config, load_config, parse_config
from authdns.config.models import LogModel, TcpModel, json_schema
from authdns.config.presets import Preset, presets
from authdns.config.problem import ConfigError, ConfigProblem, Where
from authdns.config.settings import (
    CatalogEntry,
    Config,
    CookieSettings,
    KeySettings,
    Listing,
    Members,
    MemberSettings,
    Primary,
    RateLimitSettings,
    Secondary,
    TlsClient,
    TlsSettings,
    TransferRule,
    ZoneEntry,
    ZonePolicy,
)
from authdns.config.values import BadValue, Endpoint, parse_domain, parse_endpoint, parse_network, parse_secret
from authdns.config.zonefiles import ConfiguredZone, expand_zones, stem_of_zone, zone_name_of_file

__all__ = [
    "BadValue",
    "CatalogEntry",
    "Config",
    "ConfigError",
    "ConfigProblem",
    "ConfiguredZone",
    "CookieSettings",
    "Endpoint",
    "KeySettings",
    "Listing",
    "LogModel",
    "MemberSettings",
    "Members",
    "Preset",
    "Primary",
    "RateLimitSettings",
    "Secondary",
    "TcpModel",
    "TlsClient",
    "TlsSettings",
    "TransferRule",
    "Where",
    "ZoneEntry",
    "ZonePolicy",
    "default_config",
    "expand_zones",
    "json_schema",
    "load_config",
    "parse_config",
    "parse_domain",
    "parse_endpoint",
    "parse_network",
    "parse_secret",
    "presets",
    "stem_of_zone",
    "zone_name_of_file",
]
