r"""Rdata from zone-file text: the grammar of the common types, everything else through dnspython.

There are two readings of the common types, with one meaning. `plain_rdata` takes the words of a simple line as fast as
Python can. `RdataReader`, here, takes tokens, knows all types, and says exactly what is wrong. Names relative to an
origin are read by `NameReader` and the words of DNSSEC by `dnssec_text`, which both share.

Words and tokens are raw octets: UTF-8 passes through strings unchanged, and becomes an A-label in a name (RFC 5890).
"""

import re
import struct
from collections.abc import Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

import dns.exception
import dns.ipv4
import dns.ipv6
import dns.name
import dns.rdata
import dns.rdataclass
import idna
from dns.rdatatype import RdataType

from authdns.wire import name as names
from authdns.wire.rdata import name_at
from authdns.wire.types import Type, type_to_text
from authdns.zone import dnssec_text
from authdns.zone.lexer import Fault, Token, shown
from authdns.zone.location import location
from authdns.zone.rdata_shape import SHAPES, fits

MAX_TTL = 2**31 - 1  # RFC 2181 §8
MAX_RDATA_OCTETS = 65535
MAX_NAME_TEXT_OCTETS = 4 * names.MAX_NAME_OCTETS  # each as \DDD; what is longer as text is not worth a look
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
OCTET_TEXTS = {b"%d" % n: bytes((n,)) for n in range(256)}
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
        elif len(rest) > names.MAX_NAME_OCTETS or _SPECIAL.search(rest):
            raise ValueError("not plain")
        else:
            head, dot, above = rest.partition(b".")
            if not 0 < len(head) <= names.MAX_LABEL_OCTETS:
                raise ValueError("no label")
            wire = LENGTH_OCTETS[len(head)] + head + self.suffixes[above if dot else ORIGIN_KEY]
        if len(wire) + 1 + names.MAX_LABEL_OCTETS > names.MAX_NAME_OCTETS:
            raise ValueError("too long for a plain suffix")
        return wire

    def read(self, token: Token, remark: Remark) -> bytes:
        """Any name: `@`, escapes, UTF-8. The wire form, spelling kept. Raises Fault."""
        raw = token.text
        if len(raw) > MAX_NAME_TEXT_OCTETS:
            message = f"it is {len(raw)} characters long, at most {names.MAX_NAME_OCTETS} octets are possible"
            raise Fault(token, f"{shown(raw)} is no domain name: {message}")
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


Field = Callable[["RdataReader", Token], bytes]


class Tail(NamedTuple):
    """The last value of an rdata, in any number of words. `read` takes them, and the octets before them.

    It raises Fault, or ValueError when the fault is with the value as a whole. `doubt` says what is odd about a rdata,
    if anything.
    """

    title: str
    read: Callable[[Sequence[Token], bytes], bytes]
    optional: bool = False
    doubt: Callable[[bytes], str] = lambda rdata: ""


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
        elif rrtype in (Type.SVCB, Type.HTTPS):
            rdata = self._service(rrtype, tokens, type_token)
        elif rrtype == RdataType.IPSECKEY and len(tokens) == 4:
            # Without a key (RFC 4025 §2.4). dnspython wants one, so it gets one of one octet.
            key = tokens[-1]._replace(text=b"AA==", quoted=False, glued=False)
            rdata = self._dnspython(rrtype, [*tokens, key], type_token)[:-1]
        else:
            rdata = self._dnspython(rrtype, tokens, type_token)
        if len(rdata) > MAX_RDATA_OCTETS:
            raise Fault(type_token, f"the record's data is {len(rdata)} octets long, at most {MAX_RDATA_OCTETS}")
        return rdata

    def _fields(self, rrtype: int, tokens: Sequence[Token], type_token: Token) -> bytes:
        grammar, tail = GRAMMAR[rrtype], TAILS.get(rrtype)
        rest = tokens[len(grammar) :]
        if len(tokens) < len(grammar) or (not rest and tail and not tail.optional) or (rest and not tail):
            raise _wrong_count(rrtype, tokens, type_token)
        rdata = b""
        for (title, field), token in zip(grammar, tokens, strict=False):
            try:
                rdata += field(self, token)
            except Fault as fault:
                if len(grammar) > 1:
                    raise Fault(fault.token, f"{title}: {fault.message}") from None
                raise
        if tail:
            try:
                rdata += tail.read(rest, rdata)
            except Fault as fault:
                raise Fault(fault.token, f"{tail.title}: {fault.message}") from None
            except ValueError as error:
                raise Fault(rest[0] if rest else tokens[-1], f"{tail.title}: {error}") from None
            if doubt := tail.doubt(rdata):
                self.remark(rest[0], f"{tail.title}: {doubt}")
        return rdata

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

    def _service(self, rrtype: int, tokens: Sequence[Token], type_token: Token) -> bytes:
        """SVCB and HTTPS (RFC 9460) as dnspython reads them, given what it accepts for what it should accept."""
        words, changes = list(tokens), dict[bytes, bytes | None]()
        alias = len(words) > 2 and not words[0].text.strip(b"0")
        if alias:
            # "Zone-file parsers MAY emit a warning" (RFC 9460 §2.4.2). To dnspython it is an error, so the parameters
            # are read as those of another priority.
            self.remark(words[2], "priority 0 makes this an alias; clients ignore its parameters (RFC 9460 §2.4.2)")
            words[0] = words[0]._replace(text=b"1")
        keys = {token.text.partition(b"=")[0] for token in words[2:] if not token.quoted}
        if b"no-default-alpn" in keys and not keys & {b"alpn", b"key1", b"mandatory"}:
            words.append(type_token._replace(text=b"alpn=h2"))
            changes[_ALPN] = None
        for at, token in enumerate(words[2:], 2):
            # The next version of ECH may be encoded otherwise; dnspython looks inside.
            if token.quoted:
                continue
            if token.text == b"ech=" and len(words) > at + 1 and words[at + 1].quoted and words[at + 1].glued:
                changes[_ECH] = _ech(words[at + 1])
                words[at + 1] = words[at + 1]._replace(text=_SOME_ECH)
            elif token.text.startswith(b"ech=") and len(token.text) > 4:
                changes[_ECH] = _ech(token._replace(text=token.text[4:]))
                words[at] = token._replace(text=b"ech=" + _SOME_ECH)
        rdata = _with_parameters(self._dnspython(rrtype, words, type_token), changes)
        return b"\0\0" + rdata[2:] if alias else rdata

    def _dnspython(self, rrtype: int, tokens: Sequence[Token], type_token: Token) -> bytes:
        rdatatype = RdataType.make(rrtype)
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
            return ipv6(token.text)
        except ValueError:
            hint = "; this is an IPv4 address, did you mean A?" if _is_ipv4(token.text) else ""
            raise Fault(
                token, f"{shown(token.text)} is no IPv6 address{hint or '; expected one such as 2001:db8::1'}"
            ) from None

    def _number8(self, token: Token) -> bytes:
        return _number(token, 1)

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


def _word(read: Callable[[bytes], bytes]) -> Field:
    """A field from a function of `dnssec_text`, or another that raises ValueError."""

    def field(reader: RdataReader, token: Token) -> bytes:
        try:
            return read(token.text)
        except ValueError as error:
            raise Fault(token, str(error)) from None

    return field


def _caa_tag(text: bytes) -> bytes:
    """Letters and digits (RFC 8659 §4.1.1), their number before them."""
    tag = unescape_string(text)
    if not tag.isalnum() or len(tag) > MAX_STRING_OCTETS:
        raise ValueError(f"{shown(text)} is no tag; expected letters and digits, such as issue")
    return bytes((len(tag),)) + tag


def _counted(text: bytes) -> bytes:
    """A <character-string> (RFC 1035 §3.3)."""
    string = unescape_string(text)
    if len(string) > MAX_STRING_OCTETS:
        raise ValueError(f"{shown(text)} is {len(string)} octets long, at most {MAX_STRING_OCTETS} are possible")
    return bytes((len(string),)) + string


def _locator(text: bytes) -> bytes:
    """Four groups, without the `::` of an address (RFC 6742 §2.1.1, §2.3.1). BIND writes no leading zeros."""
    if not _LOCATOR.fullmatch(text):
        raise ValueError(f"{shown(text)}: expected four groups of hexadecimal digits, such as 14:4fff:ff20:ee64")
    return b"".join(int(group, 16).to_bytes(2, "big") for group in text.split(b":"))


def _ech(token: Token) -> bytes:
    try:
        value = _base64([token], b"")
    except Fault as fault:
        raise Fault(token, f"ech: {fault.message}") from None
    except ValueError as error:
        raise Fault(token, f"ech: {error}") from None
    if not 0 < len(value) <= MAX_RDATA_OCTETS:
        raise Fault(token, f"ech: {len(value)} octets; expected base64 of 1 to {MAX_RDATA_OCTETS} octets")
    return value


def _with_parameters(rdata: bytes, changes: dict[bytes, bytes | None]) -> bytes:
    """An SVCB with other values for some of its keys; None is for a key to leave out."""
    at = 2 + len(name_at(rdata, 2))
    changed = rdata[:at]
    while at < len(rdata):
        key, end = rdata[at : at + 2], at + 4 + int.from_bytes(rdata[at + 2 : at + 4], "big")
        value = changes.get(key, rdata[at + 4 : end])
        if value is not None:
            changed += key + len(value).to_bytes(2, "big") + value
        at = end
    return changed


def _types(tokens: Sequence[Token], head: bytes) -> bytes:
    for token in tokens:
        try:
            dnssec_text.type_bitmap(token.text)
        except ValueError as error:
            raise Fault(token, str(error)) from None
    return dnssec_text.type_bitmap(b" ".join(token.text for token in tokens))


def _zone_digest(tokens: Sequence[Token], head: bytes) -> bytes:
    if value := _hexadecimal(tokens, head):
        return value
    raise ValueError("it is empty; expected hexadecimal digits, two for each octet")


def _odd_digest(rdata: bytes) -> str:
    """Of a ZONEMD: a digest that no BIND takes, and that NSD, Knot and PowerDNS load."""
    octets, kind = len(rdata) - 6, rdata[5]
    expected = dnssec_text.ZONE_DIGEST_OCTETS.get(kind)
    if expected and octets != expected:
        return f"{octets} octets; hash algorithm {kind} has {expected} (RFC 8976 §5.3)"
    return f"{octets} octets; expected 12 or more (RFC 8976 §2.2.4)" if octets < 12 else ""


def _hexadecimal(tokens: Sequence[Token], head: bytes) -> bytes:
    return dnssec_text.hexadecimal(_digits(tokens))


def _digits(tokens: Sequence[Token]) -> bytes:
    for token in tokens:
        if _NO_HEXADECIMAL(token.text):
            raise Fault(token, f"{shown(token.text)}: expected hexadecimal digits, two for each octet")
    return b"".join(token.text for token in tokens)


def _digest(tokens: Sequence[Token], head: bytes) -> bytes:
    """Of DS and its kind. RFC 8078 §4 writes `CDS 0 0 0 0` for what its erratum 5049 corrects to 00."""
    digits = _digits(tokens)
    return b"\0" if digits == b"0" and head[2:] == b"\0\0" else dnssec_text.digest(head[3], digits)


def _fingerprint(tokens: Sequence[Token], head: bytes) -> bytes:
    return dnssec_text.fingerprint(head[1], _digits(tokens))


def _base64(tokens: Sequence[Token], head: bytes) -> bytes:
    for token in tokens:
        if _NO_BASE64(token.text):
            raise Fault(token, f"{shown(token.text)}: expected base64 (A-Z, a-z, 0-9, +, / and at the end =)")
    return dnssec_text.base64(b"".join(token.text for token in tokens))


def _public_key(tokens: Sequence[Token], head: bytes) -> bytes:
    """Of DNSKEY and its kind. A 0 is RFC 8078's (see `_digest`); flags can say that there is none (RFC 2535 §3.1.2)."""
    if head[3] == 0 and [token.text for token in tokens] == [b"0"]:
        return b"\0"
    if not tokens and head[0] & 0xC0 != 0xC0:
        raise ValueError("it is missing; expected base64")
    return _base64(tokens, head)


_NO_HEXADECIMAL = re.compile(rb"[^0-9A-Fa-f]").search
_NO_BASE64 = re.compile(rb"[^0-9A-Za-z+/=]").search
_LOCATOR = re.compile(rb"(?:[0-9A-Fa-f]{1,4}:){3}[0-9A-Fa-f]{1,4}")
_ALPN, _ECH = b"\0\1", b"\0\5"  # RFC 9460 §14.3.2
_SOME_ECH = b"AAQAAAAA"  # to dnspython a list of configurations
_NAME_ONLY = (("name", RdataReader._name),)
_SIGNATURE: tuple[tuple[str, Field], ...] = (  # RFC 4034 §3.2
    ("type covered", _word(dnssec_text.covered_type)),
    ("algorithm", _word(dnssec_text.algorithm)),
    ("labels", RdataReader._number8),
    ("original TTL", RdataReader._period),
    ("expiration", _word(dnssec_text.signature_time)),
    ("inception", _word(dnssec_text.signature_time)),
    ("key tag", RdataReader._number16),
    ("signer", RdataReader._name),
)
_KEY: tuple[tuple[str, Field], ...] = (  # RFC 4034 §2.2
    ("flags", _word(dnssec_text.key_flags)),
    ("protocol", _word(dnssec_text.key_protocol)),
    ("algorithm", _word(dnssec_text.algorithm)),
)
_DIGEST: tuple[tuple[str, Field], ...] = (  # RFC 4034 §5.3
    ("key tag", RdataReader._number16),
    ("algorithm", _word(dnssec_text.algorithm)),
    ("digest type", _word(dnssec_text.digest_type)),
)
_NSEC3: tuple[tuple[str, Field], ...] = (  # RFC 5155 §3.3, §4.3
    ("hash algorithm", _word(dnssec_text.hash_algorithm)),
    ("flags", RdataReader._number8),
    ("iterations", RdataReader._number16),
    ("salt", _word(dnssec_text.salt)),
)
_TLSA: tuple[tuple[str, Field], ...] = (  # RFC 6698 §2.2
    ("usage", RdataReader._number8),
    ("selector", RdataReader._number8),
    ("matching type", RdataReader._number8),
)
_LOCATORS: tuple[tuple[str, Field], ...] = (
    ("preference", RdataReader._number16),
    ("locator", _word(_locator)),
)
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
    Type.RRSIG: _SIGNATURE,
    Type.SIG: _SIGNATURE,
    Type.NSEC: (("next name", RdataReader._name),),
    Type.NSEC3: (*_NSEC3, ("next hash", _word(dnssec_text.next_hash))),
    Type.NSEC3PARAM: _NSEC3,
    Type.DNSKEY: _KEY,
    Type.CDNSKEY: _KEY,
    Type.KEY: _KEY,
    Type.DS: _DIGEST,
    Type.CDS: _DIGEST,
    Type.DLV: _DIGEST,
    Type.TLSA: _TLSA,
    Type.SMIMEA: _TLSA,
    Type.OPENPGPKEY: (),
    Type.DHCID: (),
    Type.SSHFP: (("algorithm", RdataReader._number8), ("type", RdataReader._number8)),
    Type.CAA: (
        ("flags", RdataReader._number8),
        ("tag", _word(_caa_tag)),
        ("value", _word(unescape_string)),
    ),
    RdataType.NAPTR: (
        ("order", RdataReader._number16),
        ("preference", RdataReader._number16),
        ("flags", _word(_counted)),
        ("service", _word(_counted)),
        ("regexp", _word(_counted)),
        ("replacement", RdataReader._name),
    ),
    RdataType.URI: (
        ("priority", RdataReader._number16),
        ("weight", RdataReader._number16),
        ("target", _word(unescape_string)),
    ),
    RdataType.NID: _LOCATORS,
    RdataType.L64: _LOCATORS,
    RdataType.LOC: (),
    # RFC 1712 §3 wants numbers; nobody reads them any more, and BIND takes any strings.
    RdataType.GPOS: (("longitude", _word(_counted)), ("latitude", _word(_counted)), ("altitude", _word(_counted))),
    RdataType.ZONEMD: (  # RFC 8976 §2.3
        ("serial", RdataReader._number32),
        ("scheme", RdataReader._number8),
        ("hash algorithm", RdataReader._number8),
    ),
}
TAILS: dict[int, Tail] = {
    **dict.fromkeys((Type.RRSIG, Type.SIG), Tail("signature", _base64)),
    **dict.fromkeys((Type.NSEC, Type.NSEC3), Tail("types", _types, optional=True)),
    **dict.fromkeys((Type.DNSKEY, Type.CDNSKEY, Type.KEY), Tail("key", _public_key, optional=True)),
    **dict.fromkeys((Type.DS, Type.CDS, Type.DLV), Tail("digest", _digest)),
    **dict.fromkeys((Type.TLSA, Type.SMIMEA), Tail("data", _hexadecimal)),
    **dict.fromkeys((Type.OPENPGPKEY, Type.DHCID), Tail("key", _base64)),  # RFC 7929 §2.3, RFC 4701 §3.1
    Type.SSHFP: Tail("fingerprint", _fingerprint),
    RdataType.LOC: Tail("location", location),
    RdataType.ZONEMD: Tail("digest", _zone_digest, doubt=_odd_digest),
}

# What a message shows as the expected form of types that dnspython reads.
FORMS: dict[int, str] = {
    64: "PRIORITY TARGET KEY=VALUE ..., such as SVCB 1 svc.example.com. port=8443",
    65: 'PRIORITY TARGET KEY=VALUE ..., such as HTTPS 1 . alpn="h2,h3"',
    13: '"CPU" "OS"',
}


def _wrong_count(rrtype: int, tokens: Sequence[Token], type_token: Token) -> Fault:
    titles = [title for title, _ in GRAMMAR[rrtype]]
    word = type_to_text(rrtype)
    form = " ".join([word, *(title.upper().replace(" ", "-") for title in titles)])
    if tail := TAILS.get(rrtype):
        form += f" [{tail.title.upper()}]" if tail.optional else f" {tail.title.upper()}"
        titles += [] if tail.optional else [tail.title]
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


def ipv6(text: bytes) -> bytes:
    try:
        return dns.ipv6.inet_aton(text)
    except dns.exception.SyntaxError:
        raise ValueError("no IPv6 address") from None


def _ipv4(text: bytes) -> bytes:
    """Four decimal octets without leading zeros, as inet_pton has it: 010 is 8 to some programs and 10 to others."""
    parts = [OCTET_TEXTS.get(part) for part in text.split(b".", 4)]
    if len(parts) != 4 or None in parts:
        raise ValueError("no IPv4 address")
    return b"".join(part for part in parts if part)


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
            ipv6(text)
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
    if not _can_be(rrtype, data):
        raise Fault(tokens[0], rf"the octets after \# are no {type_to_text(rrtype)} data (a compressed name?)")
    return data


def _can_be(rrtype: int, data: bytes) -> bool:
    if rrtype in SHAPES:
        return fits(rrtype, data)
    if rrtype in (Type.DS, Type.CDS, Type.DLV):
        try:
            dnssec_text.digest(data[3], data[4:].hex().encode())
        except (ValueError, IndexError):
            return False
        return len(data) > 4
    try:
        parsed = dns.rdata.from_wire(dns.rdataclass.IN, RdataType.make(rrtype), data, 0, len(data))
        return parsed.to_wire() == data
    except (dns.exception.DNSException, ValueError, OverflowError, struct.error):
        return False


def _joined(tokens: Sequence[Token]) -> str:
    """Tokens as text for dnspython's own tokenizer. What was glued (`alpn="h2"`) stays so."""
    parts = []
    for token in tokens:
        text = token.text.decode("utf-8")
        parts.append(("" if token.glued else " ") + (f'"{text}"' if token.quoted else text))
    return "".join(parts)
