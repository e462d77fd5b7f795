"""What is wrong with the TXT records that mail depends on: SPF, DKIM, DMARC.

Here live the judgements about their text and nothing else: no zone, no places, no DNS look-up. A receiver of mail that
cannot read one of these records ignores it in silence, and the sender learns of it weeks later; so what every receiver
must reject is said when the zone is read. Only what is surely wrong is said: tags and modifiers that we do not know are
extensions, and pass.

`complaints` chooses, by the owner and by how a text begins, which of the three sets of rules applies.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Iterator
from itertools import pairwise

from authdns.wire import name as names

MAX_SPF_LOOKUPS = 10  # RFC 7208 §4.6.4, counted over includes too; more than that in one record alone can never work

_MECHANISMS = frozenset({"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"})
_COSTS_A_LOOKUP = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE | re.DOTALL)
_MECHANISM = re.compile(r"([+?~-]?)([a-z][a-z0-9_.-]*)([:/].*)?", re.IGNORECASE | re.DOTALL)
_POLICIES = frozenset({"none", "quarantine", "reject"})
_ED25519_KEY_OCTETS = 32  # RFC 8463 §4


def complaints(owner: bytes, rdatas: tuple[bytes, ...]) -> Iterator[str]:
    """What is wrong with the TXT RRset `rdatas` (wire form) of `owner` (lower-case). Messages do not name the owner."""
    texts = [b"".join(strings(rdata)).decode("latin-1") for rdata in rdatas]
    yield from _spf_set(rdatas, texts)
    labels = names.labels(owner)
    if b"_dmarc" not in labels:
        if any(text.lower().startswith("v=dmarc1") for text in texts):
            yield "a DMARC policy is only looked for at _dmarc below the domain (RFC 7489 §6.1)"
    elif labels[0] == b"_dmarc":
        yield from _dmarc_set(texts)
    if labels[1:2] == (b"_domainkey",):
        for text in texts:
            yield from _dkim(text)


def strings(rdata: bytes) -> list[bytes]:
    """The character strings of a TXT record (RFC 1035 §3.3.14)."""
    found = []
    position = 0
    while position < len(rdata):
        end = position + 1 + rdata[position]
        found.append(rdata[position + 1 : end])
        position = end
    return found


def _spf_set(rdatas: tuple[bytes, ...], texts: list[str]) -> Iterator[str]:
    spf = [i for i, text in enumerate(texts) if text.lower().startswith("v=spf1")]
    if len(spf) > 1:
        yield f"{len(spf)} SPF records; receivers ignore them all unless there is exactly one (RFC 7208 §4.5)"
    for i in spf:
        if texts[i][6:7] not in ("", " "):
            yield f"SPF: a space must follow v=spf1, not {texts[i][6:7]!r}, or receivers ignore it (RFC 7208 §4.5)"
        else:
            yield from _spf(texts[i])
            yield from _spf_joints(strings(rdatas[i]))


def _spf(text: str) -> Iterator[str]:
    """The syntax of RFC 7208 §4.6.1: one wrong term and receivers ignore the record as a whole (§4.6)."""
    lookups = 0
    after_all = False
    for term in text[6:].split():
        if match := _MODIFIER.fullmatch(term):
            word, argument = match[1].lower(), match[2]
            if word in _MECHANISMS:
                yield f"SPF: {term!r} is ignored by receivers, {word} takes a colon: '{word}:{argument}'"
        elif (match := _MECHANISM.fullmatch(term)) and match[2].lower() in _MECHANISMS:
            word, argument = match[2].lower(), match[3] or ""
            if after_all:
                yield f"SPF: {term!r} stands behind 'all' and is never looked at (RFC 7208 §5.1)"
            after_all = after_all or word == "all"
            if word == "all" and match[1] in ("", "+"):
                yield f"SPF: {term!r} lets everyone send; '-all' or '~all' was expected"
            if wrong := _mechanism_argument(word, argument):
                yield f"SPF: {term!r}: {wrong}"
        else:
            yield f"SPF: {term!r} is no mechanism (expected one of {', '.join(sorted(_MECHANISMS))}; RFC 7208 §4.6.1)"
            continue
        lookups += word in _COSTS_A_LOOKUP
    if lookups > MAX_SPF_LOOKUPS:
        yield f"SPF: {lookups} terms need a look-up, receivers stop after {MAX_SPF_LOOKUPS} (RFC 7208 §4.6.4)"


def _mechanism_argument(word: str, argument: str) -> str:
    """What is wrong with `argument` (its ":" or "/" included), or the empty string (RFC 7208 §5)."""
    if word == "all":
        return "'all' takes no argument" if argument else ""
    if word in ("ip4", "ip6"):
        try:
            (ipaddress.IPv4Network if word == "ip4" else ipaddress.IPv6Network)(argument[1:], strict=False)
        except ValueError:
            return f"{argument[1:]!r} is no IPv{word[2]} address or network"
        return "" if argument.startswith(":") else f"a colon must follow {word}"
    domain = argument[1:] if argument.startswith(":") else ""
    if not domain and (word in ("include", "exists") or argument.startswith(":")):
        return f"a domain must follow '{word}:'"
    if ":" in domain:
        return "a domain has no colon; is there a space missing in front of the next term?"
    return ""


def _spf_joints(parts: list[bytes]) -> Iterator[str]:
    """Strings of one TXT record are joined without a space between them (RFC 7208 §3.3)."""
    for left, right in pairwise(parts):
        first = right.decode("latin-1").split(" ", 1)[0]
        match = _MECHANISM.fullmatch(first)
        if left[-1:] not in (b" ", b"") and match and match[2].lower() in _MECHANISMS and (match[1] or match[3]):
            yield f"SPF: strings are joined without a space, but {first!r} looks like a new term; begin it with a space"


def _tags(text: str) -> list[tuple[str, str]]:
    """The tag list of DKIM (RFC 6376 §3.2) and DMARC (RFC 7489 §6.3), in order; a part without "=" has no name."""
    found = []
    for part in filter(None, map(str.strip, text.split(";"))):
        tag, equals, value = part.partition("=")
        found.append((tag.strip(), value.strip()) if equals else ("", part))
    return found


def _dkim(text: str) -> Iterator[str]:
    """A DKIM key record (RFC 6376 §3.6.1)."""
    tags = _tags(text)
    found = dict(reversed(tags))
    if "v" in found and (tags[0][0] != "v" or found["v"] != "DKIM1"):
        yield "DKIM: v=DKIM1 must come first, spelled so, or verifiers ignore the key (RFC 6376 §3.6.1)"
    if "p" not in found:
        yield "DKIM: the key is missing, expected p= and the key in base64 (RFC 6376 §3.6.1)"
        return
    try:
        key = base64.b64decode("".join(found["p"].split()), validate=True)
    except (binascii.Error, ValueError):
        yield "DKIM: what follows p= is no base64; was the key cut or pasted with its quotes? (RFC 6376 §3.6.1)"
        return
    if not key:
        return  # a revoked key, on purpose
    kind = found.get("k", "rsa")
    if kind == "rsa" and not _is_whole_der(key):
        yield "DKIM: the RSA key is cut off or damaged; copy all its lines from the file of the key"
    if kind == "ed25519" and len(key) != _ED25519_KEY_OCTETS:
        yield f"DKIM: an Ed25519 key has {_ED25519_KEY_OCTETS} octets, this one has {len(key)} (RFC 8463 §4)"


def _is_whole_der(key: bytes) -> bool:
    """An ASN.1 SEQUENCE whose own length is the length that we have: a lost line of base64 shows here."""
    if len(key) < 2 or key[0] != 0x30:
        return False
    if key[1] < 0x80:
        return len(key) == 2 + key[1]
    octets = key[1] & 0x7F
    return len(key) == 2 + octets + int.from_bytes(key[2 : 2 + octets], "big")


def _dmarc_set(texts: list[str]) -> Iterator[str]:
    policies = [text for text in texts if text.startswith("v=DMARC1")]
    if not policies:
        yield "DMARC: no record here begins with v=DMARC1, spelled so (RFC 7489 §6.3)"
    if len(policies) > 1:
        yield f"{len(policies)} DMARC records; receivers ignore them all unless there is one (RFC 7489 §6.6.3)"
    for text in policies:
        found = dict(reversed(_tags(text)))
        if found.get("v") != "DMARC1":
            yield "DMARC: a semicolon must follow v=DMARC1 (RFC 7489 §6.4)"
        for tag in ("p", "sp"):
            if found.get(tag, "none").lower() not in _POLICIES:
                yield f"DMARC: {tag}={found[tag]} is no policy, expected none, quarantine or reject (RFC 7489 §6.3)"
        if "p" not in found:
            yield "DMARC: the policy is missing, expected p=none, p=quarantine or p=reject (RFC 7489 §6.3)"
        for tag in ("rua", "ruf"):
            for address in filter(None, map(str.strip, found.get(tag, "").split(","))):
                if not address.lower().startswith(("mailto:", "https:", "http:")):
                    yield f"DMARC: {tag}={address} is no URI, expected 'mailto:{address}' (RFC 7489 §6.2)"
