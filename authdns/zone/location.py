"""LOC (RFC 1876) from text, in whole centimetres and thousandths of a second: a float would be off by one of them."""

import re
from collections.abc import Sequence

from authdns.zone.lexer import Fault, Token, shown

FORM = (
    "D [M [S]] N|S D [M [S]] E|W ALTITUDE[m] [SIZE[m] [HORIZONTAL[m] [VERTICAL[m]]]], such as 52 22 23 N 4 53 32 E -2m"
)
_SIZES = (("size", 0x12), ("horizontal precision", 0x16), ("vertical precision", 0x13))  # 1 m, 10 km, 10 m (§3)
_EQUATOR = 1 << 31
_SEA_LEVEL = 10_000_000  # 100 km above the lowest altitude there is (RFC 1876 §2)
_SECONDS = re.compile(rb"(\d{1,9})(?:\.(\d{0,3}))?")
_METRES = re.compile(rb"([+-]?)(?=\.?\d)(\d{0,9})(?:\.(\d*))?m?")


def location(tokens: Sequence[Token], head: bytes = b"") -> bytes:
    """The rdata. Raises Fault."""
    words = list(tokens)
    try:
        latitude = _angle(words, b"N", b"S", 90)
        longitude = _angle(words, b"E", b"W", 180)
        token = words.pop(0)
    except IndexError:
        raise Fault(tokens[-1], f"something is missing after {shown(tokens[-1].text)}; expected {FORM}") from None
    altitude = _SEA_LEVEL + _centimetres(token, "altitude", signed=True)
    if not 0 <= altitude < 1 << 32:
        raise Fault(token, f"altitude: {shown(token.text)} is out of range; expected -100000m to 42849672.95m")
    if len(words) > len(_SIZES):
        raise Fault(words[3], f"{shown(words[3].text)} is one word too many; expected {FORM}")
    sizes = [_digit_and_power(token, title) for token, (title, _) in zip(words, _SIZES, strict=False)]
    return (
        bytes((0, *sizes, *(default for _, default in _SIZES[len(sizes) :])))  # 0: the version
        + latitude.to_bytes(4, "big")
        + longitude.to_bytes(4, "big")
        + altitude.to_bytes(4, "big")
    )


def _angle(words: list[Token], positive: bytes, negative: bytes, most: int) -> int:
    """Degrees, minutes, seconds, hemisphere, taken off the front of `words`; IndexError when these are too few."""
    directions = f"{positive.decode()} or {negative.decode()}"
    total = 0
    for title, unit, limit in (("degrees", 3_600_000, most), ("minutes", 60_000, 59), ("seconds", 1000, 59)):
        token = words.pop(0)
        if title != "degrees" and token.text.upper() in (positive, negative):
            break
        number = _SECONDS.fullmatch(token.text)
        if number is None or (number[2] is not None and title != "seconds") or int(number[1]) > limit:
            or_direction = "" if title == "degrees" else f", or {directions}"
            raise Fault(token, f"{title}: {shown(token.text)}; expected a number from 0 to {limit}{or_direction}")
        total += int(number[1]) * unit + int((number[2] or b"").ljust(3, b"0"))
    else:
        token = words.pop(0)
        if token.text.upper() not in (positive, negative):
            raise Fault(token, f"{shown(token.text)}; expected {directions}")
    return _EQUATOR + (total if token.text.upper() == positive else -total)


def _centimetres(token: Token, title: str, *, signed: bool = False) -> int:
    """What is less than a centimetre is left out."""
    number = _METRES.fullmatch(token.text)
    if number is None or (number[1] == b"-" and not signed):
        raise Fault(token, f"{title}: {shown(token.text)}; expected metres, such as 10m or {'-' * signed}2.50m")
    centimetres = int(number[2] or b"0") * 100 + int((number[3] or b"").ljust(2, b"0")[:2])
    return -centimetres if number[1] == b"-" else centimetres


def _digit_and_power(token: Token, title: str) -> int:
    """Of ten, half an octet each, of centimetres; the number is rounded down (RFC 1876 §2)."""
    digits = str(_centimetres(token, title))
    if len(digits) > 10:
        raise Fault(token, f"{title}: {shown(token.text)} is too large; expected at most 90000000m")
    return int(digits[0]) << 4 | len(digits) - 1
