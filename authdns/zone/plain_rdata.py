"""The fast reading of rdata: the words of a simple line, without quotes, escapes or parentheses, to octets.

Only the types that fill large zones, and of them only what is plain and right: whatever is not raises ValueError or
LookupError here and is read again by `rdata_text`, which knows all the rest and says what is wrong. What is read here
means the same there.
"""

import re
from collections.abc import Callable

from authdns.wire.types import Type
from authdns.zone import dnssec_text
from authdns.zone.rdata_text import MAX_RDATA_OCTETS, OCTET_TEXTS, SPF, Memo, NameReader, ipv6

MAX_PLAIN_TYPES_OCTETS = 1000  # of the types of an NSEC or NSEC3, as text: what is remembered is small

Plain = Callable[[list[bytes], int, bytes], bytes]  # words of the line, index of the first of rdata, the line -> rdata

_TXT_WORDS = re.compile(rb'[^"();\\]*\Z')
_TXT_QUOTED = re.compile(rb'"([^"\\\r]{0,255})"\s*\Z')


class PlainRdata:
    """`codecs` by type. Each raises ValueError, KeyError or IndexError for what is wrong or just not simple."""

    def __init__(self, reader: NameReader) -> None:
        self.use(reader)
        self._networks = Memo(_network)
        self._prefixes = Memo(_prefix)
        self._groups = Memo(_group)
        self._octets = Memo(_number8)
        self._numbers = Memo(_number16)
        self._periods = Memo(_number32)
        self._algorithms = Memo(dnssec_text.algorithm)
        self._types = Memo(dnssec_text.covered_type)
        self._times = Memo(dnssec_text.signature_time)
        self._salts = Memo(dnssec_text.salt)
        self._bitmaps = Memo(dnssec_text.type_bitmap)
        name, strings, ds, key = self._name, self._strings, self._ds, self._key
        self.codecs: dict[int, Plain] = {
            Type.A: self._a,
            Type.AAAA: self._aaaa,
            Type.NS: name,
            Type.CNAME: name,
            Type.PTR: name,
            Type.DNAME: name,
            Type.MX: self._mx,
            Type.SRV: self._srv,
            Type.TXT: strings,
            SPF: strings,
            Type.RRSIG: self._rrsig,
            Type.NSEC: self._nsec,
            Type.NSEC3: self._nsec3,
            Type.DS: ds,
            Type.CDS: ds,
            Type.DNSKEY: key,
            Type.CDNSKEY: key,
            Type.SSHFP: self._sshfp,
            Type.TLSA: self._tlsa,
        }

    def use(self, reader: NameReader) -> None:
        """Names are relative to that reader's origin from now on."""
        self._targets = reader.targets

    def _a(self, words: list[bytes], first: int, line: bytes) -> bytes:
        (word,) = words[first:]
        network, _, host = word.rpartition(b".")
        return self._networks[network] + OCTET_TEXTS[host]

    def _aaaa(self, words: list[bytes], first: int, line: bytes) -> bytes:
        (word,) = words[first:]
        prefix, _, group = word.rpartition(b":")
        return self._prefixes[prefix] + self._groups[group]

    def _name(self, words: list[bytes], first: int, line: bytes) -> bytes:
        (word,) = words[first:]
        return self._targets[word]

    def _mx(self, words: list[bytes], first: int, line: bytes) -> bytes:
        preference, exchange = words[first:]
        return self._numbers[preference] + self._targets[exchange]

    def _srv(self, words: list[bytes], first: int, line: bytes) -> bytes:
        priority, weight, port, target = words[first:]
        numbers = self._numbers
        return numbers[priority] + numbers[weight] + numbers[port] + self._targets[target]

    def _strings(self, words: list[bytes], first: int, line: bytes) -> bytes:
        text = line.split(None, first)[first]
        quoted = _TXT_QUOTED.match(text)
        if quoted:
            return bytes((len(quoted[1]),)) + quoted[1]
        if not _TXT_WORDS.match(text):
            raise ValueError("not plain")
        rdata = b"".join([bytes((len(word),)) + word for word in words[first:]])  # ValueError beyond 255
        if not 0 < len(rdata) <= MAX_RDATA_OCTETS:
            raise ValueError("not plain")
        return rdata

    def _rrsig(self, words: list[bytes], first: int, line: bytes) -> bytes:
        covered, algorithm, labels, ttl, expiration, inception, tag, signer, *signature = words[first:]
        times = self._times
        return (
            self._types[covered]
            + self._algorithms[algorithm]
            + self._octets[labels]
            + self._periods[ttl]
            + times[expiration]
            + times[inception]
            + self._numbers[tag]
            + self._targets[signer]
            + dnssec_text.base64(_value(signature))
        )

    def _nsec(self, words: list[bytes], first: int, line: bytes) -> bytes:
        return self._targets[words[first]] + self._bitmap(words[first + 1 :])

    def _nsec3(self, words: list[bytes], first: int, line: bytes) -> bytes:
        algorithm, flags, iterations, salt, following, *types = words[first:]
        octets = self._octets
        return (
            octets[algorithm]
            + octets[flags]
            + self._numbers[iterations]
            + self._salts[salt]
            + dnssec_text.next_hash(following)
            + self._bitmap(types)
        )

    def _bitmap(self, words: list[bytes]) -> bytes:
        text = b" ".join(words)
        if len(text) > MAX_PLAIN_TYPES_OCTETS:
            raise ValueError("not plain")
        return self._bitmaps[text]

    def _ds(self, words: list[bytes], first: int, line: bytes) -> bytes:
        tag, algorithm, digest_type, *digest = words[first:]
        rdata = self._numbers[tag] + self._algorithms[algorithm] + self._octets[digest_type]
        return rdata + dnssec_text.digest(rdata[3], _value(digest))

    def _key(self, words: list[bytes], first: int, line: bytes) -> bytes:
        flags, protocol, algorithm, *key = words[first:]
        head = self._numbers[flags] + self._octets[protocol] + self._algorithms[algorithm]
        return head + dnssec_text.base64(_value(key))

    def _sshfp(self, words: list[bytes], first: int, line: bytes) -> bytes:
        algorithm, kind, *fingerprint = words[first:]
        rdata = self._octets[algorithm] + self._octets[kind]
        return rdata + dnssec_text.fingerprint(rdata[1], _value(fingerprint))

    def _tlsa(self, words: list[bytes], first: int, line: bytes) -> bytes:
        usage, selector, matching, *data = words[first:]
        octets = self._octets
        return octets[usage] + octets[selector] + octets[matching] + dnssec_text.hexadecimal(_value(data))


def _value(words: list[bytes]) -> bytes:
    """Base64 or hexadecimal digits in one word or several; what the limit lets pass is no more than an rdata holds."""
    value = words[0] if len(words) == 1 else b"".join(words)
    if not 0 < len(value) <= MAX_RDATA_OCTETS:
        raise ValueError("not plain")
    return value


def _network(text: bytes) -> bytes:
    a, b, c = text.split(b".")
    return OCTET_TEXTS[a] + OCTET_TEXTS[b] + OCTET_TEXTS[c]


def _group(text: bytes) -> bytes:
    """Up to four hexadecimal digits; `fromhex` alone would accept blanks."""
    if not 1 <= len(text) <= 4 or not text.isalnum():
        raise ValueError("no group of an IPv6 address")
    return bytes.fromhex(text.decode().zfill(4))


def _prefix(text: bytes) -> bytes:
    """The first seven groups; a `::` may be at the end (then `text` ends in one colon) or inside."""
    return ipv6(text + b":0")[:14]


def _number8(text: bytes) -> bytes:
    return _plain_number(text, 1)


def _number16(text: bytes) -> bytes:
    return _plain_number(text, 2)


def _number32(text: bytes) -> bytes:
    return _plain_number(text, 4)


def _plain_number(text: bytes, octets: int) -> bytes:
    if not text.isdigit() or len(text) > 10 or int(text) >> 8 * octets:
        raise ValueError("not a number of so many octets")
    return int(text).to_bytes(octets, "big")
