"""Configurations that the tests share: the whole grammar on one page, and the smallest useful ones."""

from collections.abc import Mapping
from pathlib import Path

from authdns.config import Config, ConfigError, parse_config

PATH = Path("/etc/authdns/authdns.yaml")
ENVIRON: Mapping[str, str] = {"HOME": "/home/ada"}

FULL = """\
x-hidden: &office [192.0.2.0/24, "2001:db8::/32"]   # a place for anchors
listen: ["127.0.0.1:5353", "[::1]:5353"]
state: /var/lib/authdns
identity: ns1.example.com
version: "authdns"
edns-size: 1232
addresses:
  office: *office
  everyone-in: [office, 198.51.100.7]
secondaries:
  freedns: {preset: freedns}
  mine:
    name: ns2.example.net
    transfer-from: [198.51.100.53, office]
    notify-to: [198.51.100.53, "198.51.100.54:5300"]
  signing: {transfer-from: 198.51.100.77, key: transfer.example}
  encrypted: {transfer-from: 198.51.100.78, tls: NS4.Example.net}
keys:
  transfer.example: {algorithm: hmac-sha512, secret: "AAECAwQFBgcICQoLDA0ODw=="}
  Other: {secret-file: other.key}
defaults:
  catalog: fleet.example
  group: [europe, "Ostfriesland ÄÖ"]
  secondaries: [freedns]
  allow-transfer: []
  notify: []
zones:
  - zone: example.com
    file: example.com.zone
    secondaries: [freedns, mine]
    allow-transfer: [office, 192.0.2.1]
    notify: ["192.0.2.1:5300"]
    notify-ns: true
    catalog: [fleet.example, other.example]
    group: signed
    coo: other.example
  - folder: zones
    secondaries: [freedns]
  - glob: "/etc/authdns/z/*.db"
    catalog: []
    allow-transfer: [{address: office, key: other}, {key: transfer.example, tls: required}]
metrics: {listen: "127.0.0.1:9153"}
log: {format: json, level: debug}
history: {versions: 5, days: 0.5, megabytes: 1}
tcp: {connections: 100, per-client: 3, idle-seconds: 2.5, pipelined: 6}
rate-limit: {per-second: 20, burst: 40, slip: 2, log-only: true, exempt: [office, "127.0.0.1"]}
cookies: {secret-file: cookie-secrets}
catalogs:
  Fleet.example: {secondaries: signing}
  other.example: {allow-transfer: [office, {key: other}], notify: 192.0.2.1}
tls:
  listen: ["127.0.0.1:8853", "::1"]
  certificate: ns1.pem
  private-key: ns1.key
  client-certificates: /etc/authdns/clients.pem
"""

SMALL = "zones: [{folder: zones}]"

SINGLE_TEXTS = """\
listen: 127.0.0.1
addresses: {office: 192.0.2.0/24}
secondaries: {mine: {name: ns2.example.net, transfer-from: 198.51.100.53}}
zones:
  - {zone: example.com, file: example.com.zone, secondaries: mine, allow-transfer: office, notify: 192.0.2.9}
metrics: off
rate-limit: {exempt: office}
cookies: off
"""

ALL = {"full": FULL, "small": SMALL, "single texts": SINGLE_TEXTS, "empty": "", "sections empty": "zones:\nlog:\n"}


def parse(text: str, environ: Mapping[str, str] = ENVIRON) -> Config:
    return parse_config(text.encode(), path=PATH, environ=environ)


def problems(text: str) -> list[str]:
    """`line:column path: message` of every problem."""
    try:
        parse(text)
    except ConfigError as error:
        return [f"{p.where.line}:{p.where.column} {p.path}: {p.message}" for p in error.problems]
    return []
