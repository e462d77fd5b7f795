"""Problems of types and keys, in words for the person who wrote the file. pydantic says where; this says what.

People come from other servers with their words in hand, so an unknown key is answered with the key that was meant:
the same one spelt with a hyphen, the word of BIND, NSD or Knot translated, the place where this key belongs, or the
nearest in spelling.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from authdns.config.document import Node
from authdns.config.models import MAPPINGS, keys_of
from authdns.config.problem import quoted

Location = tuple[str | int, ...]

NEAR = 0.6  # difflib's own measure; below it the suggestions puzzle more than they help

_NO_RECURSION = "authdns answers everybody for its own zones and never recurses; leave it out"
_ONLY_PRIMARY = "every zone here is a primary one; leave it out"
_IS_LISTEN = 'the port stands behind the address in `listen`, such as "192.0.2.1:5353"'

_IS_RATE_LIMIT = "write `rate-limit: {per-second: 50}`"
_FIXED_TABLE = "the table has a fixed size; leave it out"
_FIXED_PREFIXES = "prefixes of several lengths are counted at once, none is to be chosen; leave it out"
_TSIG_KEY = "write `keys: {NAME: {algorithm: hmac-sha256, secret: BASE64}}`, and `key: NAME` where it is needed"
_COOKIE_SECRET = "write `cookies: {secret-file: PATH}`; in the file each line is a secret of 32 hex digits"

# Words of BIND, NSD, Knot, PowerDNS and CoreDNS: the key that does it here, or a sentence.
_FOREIGN = {
    "also-notify": "notify",
    "outgoing-notify": "notify",
    "provide-xfr": "allow-transfer",
    "allow-axfr-ips": "allow-transfer",
    "transfer": "allow-transfer",
    "listen-on": "listen",
    "listen-on-v6": "listen",
    "ip-address": "listen",
    "local-address": "listen",
    "interface": "listen",
    "bind": "listen",
    "port": _IS_LISTEN,
    "local-port": _IS_LISTEN,
    "server-id": "identity",
    "nsid": "identity",
    "hide-identity": "leave `identity` out to hide it",
    "hide-version": "leave `version` out to hide it",
    "max-udp-size": "edns-size",
    "edns-udp-size": "edns-size",
    "udp-max-payload": "edns-size",
    "max-ixfr-log-size": "history",
    "max-journal-size": "history",
    "journal-max-usage": "history",
    "journal-max-depth": "history",
    "ixfr-size": "history",
    "ixfr-number": "history",
    "acl": "addresses",
    "acls": "addresses",
    "tsig": _TSIG_KEY,
    "tsig-key": _TSIG_KEY,
    "tsigkey": _TSIG_KEY,
    "catalog-zones": "catalogs",
    "catalog-zone": "catalog",
    "catalog-group": "group",
    "catalog-role": "write `catalogs: {NAME: {secondaries: ...}}`, and `catalog: NAME` where a zone is to be listed",
    "cert-file": "certificate",
    "tls-service-pem": "certificate",
    "key-file": "private-key",
    "tls-service-key": "private-key",
    "ca-file": "client-certificates",
    "tls-cert-bundle": "client-certificates",
    "listen-tls": "write `tls: {listen: ADDRESS, certificate: FILE, private-key: FILE}`",
    "tls-port": _IS_LISTEN,
    "zonefile": "file",
    "zone-file": "file",
    "domain": "zone",
    "directory": "folder",
    "storage": "folder",
    "zonesdir": "folder",
    "database": "state",
    "logging": "log",
    "options": "there is no such block; its keys stand at the top of the file",
    "server": "there is no such block; its keys stand at the top of the file",
    "type": _ONLY_PRIMARY,
    "masters": _ONLY_PRIMARY,
    "primaries": _ONLY_PRIMARY,
    "master": _ONLY_PRIMARY,
    "recursion": _NO_RECURSION,
    "allow-recursion": _NO_RECURSION,
    "allow-query": _NO_RECURSION,
    "forwarders": _NO_RECURSION,
    "responses-per-second": "per-second",
    "all-per-second": "per-second",
    "rrl-ratelimit": _IS_RATE_LIMIT,
    "ratelimit": "rate-limit",
    "rrl": "rate-limit",
    "mod-rrl": "rate-limit",
    "instant-limit": "burst",
    "rrl-slip": "slip",
    "exempt-clients": "exempt",
    "whitelist": "exempt",
    "rrl-size": _FIXED_TABLE,
    "table-size": _FIXED_TABLE,
    "max-table-size": _FIXED_TABLE,
    "min-table-size": _FIXED_TABLE,
    "window": "the window follows from `burst` and `per-second`; leave it out",
    "rate-limit-window": "the window follows from `burst` and `per-second`; leave it out",
    "qps-scale": "the rate does not depend on the load; leave it out",
    "rrl-ipv4-prefix-length": _FIXED_PREFIXES,
    "rrl-ipv6-prefix-length": _FIXED_PREFIXES,
    "ipv4-prefix-length": _FIXED_PREFIXES,
    "ipv6-prefix-length": _FIXED_PREFIXES,
    "answer-cookie": "cookies",
    "mod-cookies": "cookies",
    "cookie-secret": _COOKIE_SECRET,
    "cookie-secret-file": _COOKIE_SECRET,
    "cookie-secrets": _COOKIE_SECRET,
    "secret": _COOKIE_SECRET,
    "cookie-algorithm": "there is one, siphash24 (RFC 9018); leave it out",
    "require-server-cookie": "a client without a valid cookie is answered within the `rate-limit`; leave it out",
}


def unknown_key(location: Location) -> str:
    """The message for a key that its mapping does not have; the last step of `location` is the key."""
    key = str(location[-1])
    known = _known_keys(location[:-1])
    message = f"unknown key {quoted(key)}"
    hyphenated = key.lower().replace("_", "-")
    if hyphenated in known:
        return f"{message}; did you mean `{hyphenated}`?"
    meant = _FOREIGN.get(hyphenated, "")
    if meant in known:
        return f"{message}; did you mean `{meant}`?"
    if (hyphenated == "name" and "zone" in known) or (hyphenated == "address" and "listen" in known):
        return f"{message}; did you mean `{'zone' if hyphenated == 'name' else 'listen'}`?"
    if " " in meant:
        return f"{message}; {meant}"
    if near := nearest(hyphenated, known):
        return f"{message}; did you mean `{near}`?"
    if homes := _homes(meant or hyphenated):
        called = f"`{meant}`, as it is called here," if meant else "it"
        return f"{message} here; {called} belongs {' or '.join(homes)}"
    return f"{message}; the keys here are {', '.join(known)}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is spelt most like `word`, if one is at all."""
    return next(iter(get_close_matches(word, list(known), n=1, cutoff=NEAR)), None)


def unexpected(what: str, found: Node, location: Location) -> str:
    """`expected WHAT, found ...`, with a hint where YAML made something else of the text than its writer thought."""
    message = f"expected {what}, found {describe(found)}"
    if hint := _hint(what, found, location):
        message += f"; {hint}"
    return message


def describe(found: Node) -> str:
    """What stands there, in words; never a secret."""
    below_keys = found.path.startswith("keys.") and not found.path.endswith(".algorithm")
    if below_keys and isinstance(found.value, str | int | float):  # where a secret stands, or was meant to
        return "something else"
    value = found.value
    if value is None:
        return f"nothing ({quoted(found.source)})" if found.source else "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    kind = shown if isinstance(value, bool) else f"the number {shown}"
    return kind if shown == found.source else f"{quoted(found.source)}, which YAML reads as {kind}"


def _hint(what: str, found: Node, location: Location) -> str:
    value = found.value
    if location[-1] == "secret":
        return "put quotes around it" if isinstance(value, bool | int | float) else ""
    if value is None and _takes_list(location):
        return "write [] for none, or leave the key out"
    if isinstance(value, dict) and len(value) == 1 and (key := next(iter(value))).count(":") > 1:
        return f'an IPv6 address that ends in `:` needs quotes: "{key}:"'
    if not what.startswith("a mapping") and _is_setting_of_text(location) and isinstance(value, bool | int | float):
        if "listen" in location[:2] and isinstance(value, int) and found.source.isdigit():
            return f'for every address write "0.0.0.0:{value}" and "[::]:{value}"'
        return f'if the text is meant, quote it: "{found.source}"'
    return ""


def _takes_list(location: Location) -> bool:
    return location[-1] in _LISTS


_LISTS = (
    *("secondaries", "allow-transfer", "notify", "transfer-from", "notify-to", "listen", "exempt"),
    *("catalog", "group"),
)
_NOT_OF_TEXT = ("edns-size", "engine", "workers", "tcp", "log", "rate-limit", "history")


def _is_setting_of_text(location: Location) -> bool:
    return location[0] not in _NOT_OF_TEXT and location[-1] != "notify-ns"


def _known_keys(location: Location) -> tuple[str, ...]:
    for pattern, model in MAPPINGS.items():
        steps = zip(pattern, location, strict=False)
        if len(pattern) == len(location) and all(at in ("*", step) for at, step in steps):
            return keys_of(model)
    return ()


def _homes(key: str) -> list[str]:
    """Where in the file `key` would be known; what is inside another such place is left out."""
    found: list[Location] = []
    for pattern, model in MAPPINGS.items():
        if key in keys_of(model) and not any(outer and pattern[: len(outer)] == outer for outer in found):
            found.append(pattern)
    return [
        f"under `{'.'.join(map(str, pattern)).replace('.*', '[]')}`" if pattern else "at the top of the file"
        for pattern in found
    ]
