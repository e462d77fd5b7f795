r"""Rdata from zone-file text: the grammar of the common types, everything else through dnspython.

There are two readings of the common types, with one meaning. `PlainRdata` takes the words of a simple line (no quotes,
escapes or parentheses) as fast as Python can; whatever is not simple raises ValueError or KeyError there and is read
again. `RdataReader` takes tokens, knows all types, and says exactly what is wrong. Names relative to an origin are
read by `NameReader`, which both share.

Words and tokens are raw octets: UTF-8 passes through strings unchanged, and becomes an A-label in a name (RFC 5890).
"""

import re
import struct
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import dns.exception
import dns.ipv4
import dns.ipv6
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import idna

from authdns.wire import name as names
from authdns.wire.types import Type, type_to_text
from authdns.zone.lexer import Fault, Token

MAX_TTL = 2**31 - 1  # RFC 2181 §8
MAX_RDATA_OCTETS = 65535
MAX_STRING_OCTETS = 255  # RFC 1035 §3.3, one <character-string>
# A memo is emptied when it is full: zones repeat themselves nearby, and memory stays small however large the zone.
MAX_MEMO = 10_000
ORIGIN_KEY = b" "  # in `NameReader.suffixes`, the origin: no word has a blank in it
SPF = 99  # RFC 7208 §3.1: obsolete, the same form as TXT

Remark = Callable[[Token, str], None]  # where, what: something worth a note
Value = TypeVar("Value")

_SPECIAL = re.compile(rb'[\x00-\x20"$();@\\\x7f-\xff]')
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TTL = re.compile(r"(?:[0-9]{1,10}[smhdw])+\Z")
_TTL_PART = re.compile(r"([0-9]+)([smhdw])")
_OCTET_TEXTS = {b"%d" % n: bytes((n,)) for n in range(256)}
LENGTH_OCTETS = [bytes((n,)) for n in range(names.MAX_LABEL_OCTETS + 1)]


class Memo(dict[bytes, Value], Generic[Value]):
    """A dictionary that computes what it lacks. `compute` raises ValueError for what has no value."""

    __slots__ = ("compute",)

    def __init__(self, compute: Callable[[bytes], Value]) -> None:
        self.compute: Final = compute

    def __missing__(self, key: bytes) -> Value:
        value = self.compute(key)
        if len(self) >= MAX_MEMO:
            self.clear()
        self[key] = value
        return value


def parse_ttl(word: bytes) -> int:
    """Seconds, from `3600` or `1h30m` (BIND's units s m h d w). Raises ValueError with what was expected."""
    text = word.decode("latin-1").lower()
    if text.isascii() and text.isdigit() and len(text) <= 20:
        seconds = int(text)
    elif len(text) <= 100 and _TTL.match(text):
        seconds = sum(int(amount) * _UNITS[unit] for amount, unit in _TTL_PART.findall(text))
    else:
        raise ValueError(f"{shown(word)} is no TTL; expected seconds such as 3600, or 1h30m")
    if seconds > MAX_TTL:
        raise ValueError(f"the TTL {shown(word)} is larger than {MAX_TTL} (RFC 2181 §8)")
    return seconds


class NameReader:
    """Names relative to `origin`. `suffixes` and `targets` are memos for plain words and belong to one origin."""

    def __init__(self, origin: bytes) -> None:
        self.origin = origin
        self.suffixes = Memo(self._plain_suffix)  # what follows the first dot of a plain word -> wire
        self.targets = Memo(self.plain)

    def plain(self, word: bytes) -> bytes:
        """The wire form, spelling kept, of a name without any special character; ValueError for every other word."""
        head, dot, rest = word.partition(b".")
        if not head or _SPECIAL.search(head):
            raise ValueError("not a plain name")
        base = self.suffixes[rest] if dot else self.origin
        if len(head) > names.MAX_LABEL_OCTETS or len(head) + 1 + len(base) > names.MAX_NAME_OCTETS:
            raise ValueError("too long")
        return LENGTH_OCTETS[len(head)] + head + base

    def _plain_suffix(self, rest: bytes) -> bytes:
        """So long a suffix that a label may not fit before it is left to `read`."""
        if rest == ORIGIN_KEY:
            wire = self.origin
        elif not rest:
            wire = names.ROOT
        elif rest == b"." or len(rest) > names.MAX_NAME_OCTETS or _SPECIAL.search(rest):
            raise ValueError("not plain")
        else:
            wire = names.from_text(rest.decode("ascii"), self.origin)
        if len(wire) + 1 + names.MAX_LABEL_OCTETS > names.MAX_NAME_OCTETS:
            raise ValueError("too long for a plain suffix")
        return wire

    def read(self, token: Token, remark: Remark) -> bytes:
        """Any name: `@`, escapes, UTF-8. The wire form, spelling kept. Raises Fault."""
        raw = token.text
        if raw == b"@" and token.quoted:
            raw = rb"\@"
        if not raw.isascii():
            raw = self._a_labels(token, remark)
        try:
            return names.from_text(raw.decode("utf-8", "surrogateescape"), self.origin)
        except names.BadName as error:
            raise Fault(token, f"{shown(token.text)} is no domain name: {error}") from None

    def _a_labels(self, token: Token, remark: Remark) -> bytes:
        """Labels with UTF-8 in them as IDNA writes them (UTS 46, then RFC 5891); the others unchanged."""
        try:
            text = token.text.decode("utf-8")
            labels = [
                label if label.isascii() or "\\" in label else idna.encode(label, uts46=True).decode("ascii")
                for label in _split_raw(text)
            ]
        except (UnicodeError, idna.IDNAError) as error:
            raise Fault(token, f"{shown(token.text)} has characters that no domain name can have: {error}") from None
        converted = ".".join(labels)
        remark(token, f"the name {text} is written {converted} in the DNS (IDNA)")
        return converted.encode()


def _split_raw(text: str) -> list[str]:
    """At the dots that are not escaped."""
    if "\\" not in text:
        return text.split(".")
    return re.findall(r"(?:^|(?<=\.))(?:[^.\\]|\\.)*+", text, re.DOTALL)


def unescape_string(raw: bytes) -> bytes:
    r"""What is between the quotes, `\DDD` and `\X` undone. Raises ValueError."""
    if b"\\" not in raw:
        return raw
    found = bytearray()
    position = 0
    while (escape := raw.find(b"\\", position)) >= 0:
        found += raw[position:escape]
        octet, position = names.unescape(raw, escape + 1)
        found.append(octet)
    return bytes(found + raw[position:])


# --- the fast reading ------------------------------------------------------------------------------------------------

Plain = Callable[[list[bytes], int, bytes], bytes]  # words of the line, index of the first of rdata, the line -> rdata

_TXT_WORDS = re.compile(rb'[^"();\\]*\Z')
_TXT_QUOTED = re.compile(rb'"([^"\\\r]{0,255})"\s*\Z')


class PlainRdata:
    """`codecs` by type. Each raises ValueError, KeyError or IndexError for what is wrong or just not simple."""

    def __init__(self, reader: NameReader) -> None:
        self._targets = reader.targets
        self._networks = Memo(_network)
        self._prefixes = Memo(_prefix)
        self._groups = Memo(_group)
        self._numbers = Memo(_number16)
        name, strings = self._name, self._strings
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
        }

    def _a(self, words: list[bytes], first: int, line: bytes) -> bytes:
        (word,) = words[first:]
        network, _, host = word.rpartition(b".")
        return self._networks[network] + _OCTET_TEXTS[host]

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


def _network(text: bytes) -> bytes:
    a, b, c = text.split(b".")
    return _OCTET_TEXTS[a] + _OCTET_TEXTS[b] + _OCTET_TEXTS[c]


def _group(text: bytes) -> bytes:
    """Up to four hexadecimal digits; `fromhex` alone would accept blanks."""
    if not 1 <= len(text) <= 4 or not text.isalnum():
        raise ValueError("no group of an IPv6 address")
    return bytes.fromhex(text.decode().zfill(4))


def _prefix(text: bytes) -> bytes:
    """The first seven groups; a `::` may be at the end (then `text` ends in one colon) or inside."""
    return _ipv6(text + b":0")[:14]


def _number16(text: bytes) -> bytes:
    if not text.isdigit() or len(text) > 10 or int(text) > 65535:
        raise ValueError("not a number of 16 bits")
    return int(text).to_bytes(2, "big")


def _ipv6(text: bytes) -> bytes:
    try:
        return dns.ipv6.inet_aton(text)
    except dns.exception.SyntaxError:
        raise ValueError("no IPv6 address") from None


def _ipv4(text: bytes) -> bytes:
    """Four decimal octets without leading zeros, as inet_pton has it: 010 is 8 to some programs and 10 to others."""
    parts = [_OCTET_TEXTS.get(part) for part in text.split(b".", 4)]
    if len(parts) != 4 or None in parts:
        raise ValueError("no IPv4 address")
    return b"".join(part for part in parts if part)


# --- the complete reading --------------------------------------------------------------------------------------------

Field = Callable[["RdataReader", Token], bytes]


class RdataReader:
    """Tokens to rdata, all types. `remark` takes what is worth a note."""

    def __init__(self, reader: NameReader, remark: Remark) -> None:
        self.names = reader
        self.remark = remark

    def read(self, rrtype: int, tokens: Sequence[Token], type_token: Token) -> bytes:
        """Uncompressed rdata, names absolute and as spelled. Raises Fault."""
        if tokens and tokens[0].text == b"\\#" and not tokens[0].quoted:
            rdata = _generic(rrtype, tokens)
        elif rrtype in (Type.TXT, SPF):
            rdata = self._strings(rrtype, tokens, type_token)
        elif rrtype in GRAMMAR:
            rdata = self._fields(rrtype, tokens, type_token)
        elif rrtype in (Type.SVCB, Type.HTTPS) and len(tokens) > 2 and tokens[0].text.strip(b"0") == b"":
            # "Zone-file parsers MAY emit a warning" (RFC 9460 §2.4.2). To dnspython it is an error, so the parameters
            # are read as those of another priority.
            self.remark(tokens[2], "priority 0 makes this an alias; clients ignore its parameters (RFC 9460 §2.4.2)")
            rdata = b"\0\0" + self._dnspython(rrtype, [tokens[0]._replace(text=b"1"), *tokens[1:]], type_token)[2:]
        else:
            rdata = self._dnspython(rrtype, tokens, type_token)
        if len(rdata) > MAX_RDATA_OCTETS:
            raise Fault(type_token, f"the record's data is {len(rdata)} octets long, at most {MAX_RDATA_OCTETS}")
        return rdata

    def _fields(self, rrtype: int, tokens: Sequence[Token], type_token: Token) -> bytes:
        grammar = GRAMMAR[rrtype]
        if len(tokens) != len(grammar):
            raise _wrong_count(rrtype, tokens, type_token)
        rdata = []
        for (title, field), token in zip(grammar, tokens, strict=True):
            try:
                rdata.append(field(self, token))
            except Fault as fault:
                if len(grammar) > 1:
                    raise Fault(fault.token, f"{title}: {fault.message}") from None
                raise
        return b"".join(rdata)

    def _strings(self, rrtype: int, tokens: Sequence[Token], type_token: Token) -> bytes:
        """TXT (RFC 1035 §3.3.14). What is longer than one string can be is split, as every reader joins it again."""
        if not tokens:
            raise Fault(type_token, f'{type_to_text(rrtype)} has no text; expected a string such as "v=spf1 -all"')
        rdata = bytearray()
        for token in tokens:
            try:
                text = unescape_string(token.text)
            except ValueError as error:
                raise Fault(token, str(error)) from None
            if len(text) > MAX_STRING_OCTETS:
                count = -(-len(text) // MAX_STRING_OCTETS)
                self.remark(token, f"a string of {len(text)} octets is split into {count} of at most 255")
            for start in range(0, len(text) or 1, MAX_STRING_OCTETS):
                part = text[start : start + MAX_STRING_OCTETS]
                rdata.append(len(part))
                rdata += part
        return bytes(rdata)

    def _dnspython(self, rrtype: int, tokens: Sequence[Token], type_token: Token) -> bytes:
        rdatatype = dns.rdatatype.RdataType.make(rrtype)
        if dns.rdata.get_rdata_class(dns.rdataclass.IN, rdatatype) is dns.rdata.GenericRdata:  # type: ignore[no-untyped-call]
            raise Fault(
                type_token, rf"the data of {type_to_text(rrtype)} has to be written as \# LENGTH HEX (RFC 3597)"
            )
        try:
            text = _joined(tokens)
            rdata = dns.rdata.from_text(
                dns.rdataclass.IN,
                rdatatype,
                text,
                origin=dns.name.from_wire(self.names.origin, 0)[0],
                relativize=False,
                idna_codec=dns.name.IDNA_2008_UTS_46,
            )
            if not text.isascii() and any(not token.quoted and not token.text.isascii() for token in tokens):
                self.remark(type_token, "names with other than ASCII characters are converted to A-labels (IDNA)")
            return rdata.to_wire() or b""
        except (dns.exception.DNSException, ValueError, OverflowError, struct.error) as error:
            form = FORMS.get(rrtype)
            expected = f"; expected {type_to_text(rrtype)} {form}" if form else ""
            where = tokens[0] if tokens else type_token
            raise Fault(where, f"{type_to_text(rrtype)}: {error or 'wrong data'}{expected}") from None

    def _name(self, token: Token) -> bytes:
        return self.names.read(token, self.remark)

    def _ipv4(self, token: Token) -> bytes:
        try:
            return _ipv4(token.text)
        except ValueError:
            raise Fault(token, _why_no_ipv4(token.text)) from None

    def _ipv6(self, token: Token) -> bytes:
        try:
            return _ipv6(token.text)
        except ValueError:
            hint = "; this is an IPv4 address, did you mean A?" if _is_ipv4(token.text) else ""
            raise Fault(
                token, f"{shown(token.text)} is no IPv6 address{hint or '; expected one such as 2001:db8::1'}"
            ) from None

    def _number16(self, token: Token) -> bytes:
        return _number(token, 2)

    def _number32(self, token: Token) -> bytes:
        return _number(token, 4)

    def _period(self, token: Token) -> bytes:
        """Seconds, with units if wanted (BIND); an SOA's numbers have the whole 32 bits."""
        if token.text.isdigit():
            return _number(token, 4)
        try:
            return struct.pack("!I", parse_ttl(token.text))
        except ValueError:
            raise Fault(token, f"{shown(token.text)} is no time; expected seconds such as 3600, or 1h30m") from None


_NAME_ONLY = (("name", RdataReader._name),)
GRAMMAR: dict[int, tuple[tuple[str, Field], ...]] = {
    # Obsolete or experimental (RFC 1035 §3.3), unknown to dnspython, still in somebody's file.
    Type.MD: _NAME_ONLY,
    Type.MF: _NAME_ONLY,
    Type.MB: _NAME_ONLY,
    Type.MG: _NAME_ONLY,
    Type.MR: _NAME_ONLY,
    Type.MINFO: (("mailbox", RdataReader._name), ("mailbox for errors", RdataReader._name)),
    Type.A: (("address", RdataReader._ipv4),),
    Type.AAAA: (("address", RdataReader._ipv6),),
    Type.NS: (("name server", RdataReader._name),),
    Type.CNAME: (("target", RdataReader._name),),
    Type.PTR: _NAME_ONLY,
    Type.DNAME: (("target", RdataReader._name),),
    Type.MX: (("preference", RdataReader._number16), ("mail server", RdataReader._name)),
    Type.SRV: (
        ("priority", RdataReader._number16),
        ("weight", RdataReader._number16),
        ("port", RdataReader._number16),
        ("target", RdataReader._name),
    ),
    Type.SOA: (
        ("primary name server", RdataReader._name),
        ("mailbox", RdataReader._name),
        ("serial", RdataReader._number32),
        ("refresh", RdataReader._period),
        ("retry", RdataReader._period),
        ("expire", RdataReader._period),
        ("minimum", RdataReader._period),
    ),
}

# What a message shows as the expected form of types that dnspython reads.
FORMS: dict[int, str] = {
    257: 'FLAGS TAG "VALUE", such as CAA 0 issue "letsencrypt.org"',
    43: "KEY-TAG ALGORITHM DIGEST-TYPE DIGEST",
    48: "FLAGS 3 ALGORITHM KEY",
    52: "USAGE SELECTOR MATCHING-TYPE DATA",
    44: "ALGORITHM TYPE FINGERPRINT",
    35: 'ORDER PREFERENCE "FLAGS" "SERVICE" "REGEXP" REPLACEMENT',
    64: "PRIORITY TARGET KEY=VALUE ..., such as SVCB 1 svc.example.com. port=8443",
    65: 'PRIORITY TARGET KEY=VALUE ..., such as HTTPS 1 . alpn="h2,h3"',
    13: '"CPU" "OS"',
    256: 'PRIORITY WEIGHT "URI"',
    29: "D [M [S]] N|S D [M [S]] E|W ALTITUDE[m] ..., such as LOC 52 22 23 N 4 53 32 E -2m",
}


def _wrong_count(rrtype: int, tokens: Sequence[Token], type_token: Token) -> Fault:
    titles = [title for title, _ in GRAMMAR[rrtype]]
    word = type_to_text(rrtype)
    form = f"{word} {' '.join(title.upper().replace(' ', '-') for title in titles)}"
    if len(tokens) > len(titles):
        return Fault(tokens[len(titles)], f"{shown(tokens[len(titles)].text)} is one word too many; expected {form}")
    if not tokens:
        return Fault(type_token, f"the data is missing; expected {form}")
    missing = titles[len(tokens) :]
    if rrtype == Type.MX and not tokens[0].text.isdigit():
        missing = ["preference"]
        form = f"a number before the name, such as MX 10 {shown(tokens[0].text)}"
    elif rrtype == Type.SOA and len(tokens) == 6 and tokens[1].text.isdigit():
        missing = ["mailbox"]
    verb = "is" if len(missing) == 1 else "are"
    return Fault(
        tokens[-1],
        f"{word} has {len(tokens)} of its {len(titles)} fields: {', '.join(missing)} {verb} missing; expected {form}",
    )


def _number(token: Token, octets: int) -> bytes:
    largest = (1 << 8 * octets) - 1
    if not token.text.isdigit():
        raise Fault(token, f"{shown(token.text)} is no number; expected one from 0 to {largest}")
    if len(token.text) > 10 or int(token.text) > largest:
        raise Fault(token, f"{shown(token.text)} is too large; expected a number from 0 to {largest}")
    return int(token.text).to_bytes(octets, "big")


def _is_ipv4(text: bytes) -> bool:
    try:
        _ipv4(text)
    except ValueError:
        return False
    return True


def _why_no_ipv4(text: bytes) -> str:
    word = shown(text)
    parts = text.split(b".")
    if b":" in text:
        try:
            _ipv6(text)
        except ValueError:
            pass
        else:
            return f"{word} is an IPv6 address, A holds an IPv4 address; did you mean AAAA?"
    elif all(part.isdigit() for part in parts):
        if len(parts) != 4:
            return f"{word} is no IPv4 address: it has {len(parts)} numbers; expected four, such as 192.0.2.1"
        for part in parts:
            if len(part) > 3 or int(part) > 255:
                return f"{word} is no IPv4 address: {shown(part)} is larger than 255"
        return f"{word} is ambiguous: a number that begins with 0 is octal to some programs; leave out the zeros"
    return f"{word} is no IPv4 address; expected one such as 192.0.2.1"


def _generic(rrtype: int, tokens: Sequence[Token]) -> bytes:
    r"""`\# LENGTH HEX...` (RFC 3597 §5), for every type; what a known type cannot hold is refused."""
    if len(tokens) < 2 or not tokens[1].text.isdigit() or len(tokens[1].text) > 5:
        raise Fault(tokens[1] if len(tokens) > 1 else tokens[0], r"expected \# LENGTH HEX, the length from 0 to 65535")
    length = int(tokens[1].text)
    try:
        data = bytes.fromhex(b"".join(token.text for token in tokens[2:]).decode("ascii"))
    except ValueError:
        raise Fault(tokens[2], r"expected hexadecimal digits after \# and the length, two for each octet") from None
    if len(data) != length:
        raise Fault(tokens[1], rf"\# says {length} octets, but {len(data)} follow")
    known = data
    if rrtype in (Type.SVCB, Type.HTTPS) and data[:2] == b"\0\0":
        known = b"\0\1" + data[2:]  # dnspython refuses an alias with parameters, which may be there (RFC 9460 §2.4.2)
    try:
        parsed = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType.make(rrtype), known, 0, length)
        same = parsed.to_wire() == known
    except (dns.exception.DNSException, ValueError, OverflowError, struct.error):
        same = False
    if not same:
        raise Fault(tokens[0], rf"the octets after \# are no {type_to_text(rrtype)} data (a compressed name?)")
    return data


def _joined(tokens: Sequence[Token]) -> str:
    """Tokens as text for dnspython's own tokenizer. What was glued (`alpn="h2"`) stays so."""
    parts = []
    for token in tokens:
        text = token.text.decode("utf-8")
        parts.append(("" if token.glued else " ") + (f'"{text}"' if token.quoted else text))
    return "".join(parts)


def shown(text: bytes) -> str:
    """For a message: short, printable."""
    shown = text.decode("utf-8", "backslashreplace")
    if len(shown) > 60:
        shown = shown[:57] + "..."
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in shown) or '""'
