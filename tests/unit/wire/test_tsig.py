"""TSIG: what we sign, dnspython verifies, and the other way round; and everything that can be wrong with one."""

import base64

import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TSIG
import dns.renderer
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authdns.wire import name as names
from authdns.wire.query import Malformed, parse_query, tsig_of_response
from authdns.wire.tsig import (
    ALGORITHMS,
    FUDGE_SECONDS,
    MAX_UNSIGNED_MESSAGES,
    Fault,
    Key,
    SignedStream,
    Signer,
    Tsig,
    TsigError,
    tsig_record,
    unsigned_refusal,
    verify,
    verify_response,
    with_record,
)
from authdns.wire.types import Rcode
from tests.unit.answer.packets import opt, query

NOW = 1_800_000_000
SECRET = bytes(range(32))
NAME = names.from_text("transfer.example.")


def key(algorithm: str = "hmac-sha256", secret: bytes = SECRET, name: bytes = NAME) -> Key:
    return Key(name, ALGORITHMS[algorithm], secret)


KEY = key()
CHANGED = "the secrets differ, or the message was changed on its way"
KEYS = {NAME: KEY}


def theirs(ours: Key) -> dns.tsig.Key:
    return dns.tsig.Key(names.to_text(ours.name), ours.secret, ours.algorithm.digest.replace("sha", "hmac-sha") + ".")


def signed_by_dnspython(monkeypatch: pytest.MonkeyPatch, ours: Key = KEY, at: int = NOW) -> dns.message.Message:
    """With `wire` and `mac`: rendered."""
    monkeypatch.setattr("dns.renderer.time.time", lambda: at)
    monkeypatch.setattr("dns.message.time.time", lambda: at)
    message = dns.message.make_query("www.example.com.", "A", use_edns=0)
    message.use_tsig(theirs(ours))
    message.to_wire()
    return message


def result(wire: bytes, keys: dict[bytes, Key] = KEYS, now: int = NOW) -> Signer | Fault:
    tsig = parse_query(wire).tsig
    assert tsig is not None
    return verify(keys, wire, tsig, now)


def fault(wire: bytes, keys: dict[bytes, Key] = KEYS, now: int = NOW) -> Fault:
    found = result(wire, keys, now)
    assert isinstance(found, Fault)
    return found


def signed(by: Key = KEY, at: int = NOW, message: bytes = query(edns=opt())) -> bytes:
    return Signer(by, b"", at).sign(message, at)


def with_mac_of(octets: int, by: Key) -> bytes:
    """Signed, the MAC cut."""
    signer = Signer(by, b"", NOW)
    signer.sign(query(), NOW)
    said = Tsig(by.name, by.algorithm.wire_name, NOW, FUDGE_SECONDS, 0x1234)
    return with_record(query(), tsig_record(said, signer.mac[:octets]))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_dnspython_signs_is_verified_and_it_verifies_the_response(
    monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    ours = key(algorithm)
    asked = signed_by_dnspython(monkeypatch, ours)
    wire = asked.to_wire()
    found = result(wire, {NAME: ours})
    assert isinstance(found, Signer)
    assert found.key is ours
    plain = dns.message.make_response(dns.message.from_wire(wire, keyring=False)).to_wire()
    octets = found.octets
    response = found.sign(plain, NOW)
    assert len(response) == len(plain) + octets
    message = dns.message.from_wire(response, keyring=theirs(ours), request_mac=asked.mac)
    assert message.had_tsig


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_we_sign_dnspython_verifies_and_we_verify_its_response(
    monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    ours = key(algorithm)
    monkeypatch.setattr("dns.message.time.time", lambda: NOW)
    asking = Signer(ours, b"", NOW)
    request = dns.message.from_wire(asking.sign(query(edns=opt()), NOW), keyring=theirs(ours))
    response = dns.message.make_response(request)
    response.use_tsig(theirs(ours))
    assert request.mac is not None
    response.request_mac = request.mac
    monkeypatch.setattr("dns.renderer.time.time", lambda: NOW)
    wire = response.to_wire()
    assert verify_response(asking, wire, parse_query(wire).tsig, NOW) is None
    changed = wire[:3] + bytes((wire[3] ^ 5,)) + wire[4:]
    found = verify_response(asking, changed, parse_query(changed).tsig, NOW)
    assert found is not None
    assert found.error is TsigError.BADSIG


def test_a_stream_of_messages_is_signed_so_that_dnspython_verifies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dns.message.time.time", lambda: NOW + 9)
    asked = signed_by_dnspython(monkeypatch)
    found = result(asked.to_wire())
    assert isinstance(found, Signer)
    context = None
    for number in range(4):
        plain = dns.message.make_response(dns.message.from_wire(asked.to_wire(), keyring=False)).to_wire()
        wire = found.sign(plain, NOW + number)
        monkeypatch.setattr("dns.message.time.time", lambda: NOW + 9)
        message = dns.message.from_wire(wire, keyring=theirs(KEY), request_mac=asked.mac, tsig_ctx=context, multi=True)
        assert message.had_tsig
        context = message.tsig_ctx


def test_key_names_and_algorithms_compare_without_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dns.renderer.time.time", lambda: NOW)
    message = dns.message.make_query("www.example.com.", "A")
    message.use_tsig(dns.tsig.Key("TRANSFER.Example.", SECRET, "HMAC-sha256."))
    found = result(message.to_wire())
    assert isinstance(found, Signer)
    assert found.key is KEY


def test_a_request_whose_id_was_changed_on_its_way_is_genuine() -> None:
    """A forwarder does that; the original id is in TSIG (RFC 8945 §5.5)."""
    wire = signed()
    assert isinstance(result(b"\x77\x77" + wire[2:]), Signer)


# What can be wrong


def test_another_key() -> None:
    found = fault(signed(), {})
    assert (found.error, found.rcode, found.signer) == (TsigError.BADKEY, Rcode.NOTAUTH, None)
    assert found.reason == "there is no key transfer.example"


def test_another_algorithm_than_the_configured_one() -> None:
    found = fault(signed(), {NAME: key("hmac-sha512")})
    assert (found.error, found.signer) == (TsigError.BADKEY, None)
    assert found.reason == "key transfer.example is used with hmac-sha256, and configured with hmac-sha512"


def test_another_secret() -> None:
    found = fault(signed(key(secret=b"another")))
    assert (found.error, found.rcode, found.signer) == (TsigError.BADSIG, Rcode.NOTAUTH, None)


@pytest.mark.parametrize("seconds", [-100_000, -301, -300, -1, 0, 1, 300, 301, 100_000])
def test_the_clocks_may_differ_by_the_fudge(seconds: int) -> None:
    found = result(signed(at=NOW + seconds))
    if abs(seconds) <= FUDGE_SECONDS:
        assert isinstance(found, Signer)
        return
    assert isinstance(found, Fault)
    assert found.error is TsigError.BADTIME
    assert found.signer is not None
    assert f"differ by {seconds:+d} s" in found.reason


def test_the_refusal_of_a_time_can_be_verified_and_says_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = signed_by_dnspython(monkeypatch, at=NOW - 1000)
    wire = asked.to_wire()
    found = fault(wire)
    tsig = parse_query(wire).tsig
    assert found.signer is not None
    assert tsig is not None
    plain = dns.message.make_response(dns.message.from_wire(wire, keyring=False))
    plain.set_rcode(dns.rcode.NOTAUTH)
    refusal = found.signer.refuse(plain.to_wire(), tsig, found.error)
    record = dns.message.from_wire(refusal, keyring=False).tsig
    assert record is not None
    rdata = record[0]
    assert isinstance(rdata, dns.rdtypes.ANY.TSIG.TSIG)
    assert (rdata.error, rdata.time_signed, rdata.other) == (18, NOW - 1000, NOW.to_bytes(6, "big"))
    with pytest.raises(dns.tsig.PeerBadTime):
        dns.message.from_wire(refusal, keyring=theirs(KEY), request_mac=asked.mac)
    asking = Signer(KEY, asked.mac or b"", NOW)
    said = verify_response(asking, refusal, parse_query(refusal).tsig, NOW - 1000)
    assert said is not None
    assert said.reason == "it says BADTIME"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("octets", range(66))
def test_a_mac_may_be_cut(algorithm: str, octets: int) -> None:
    ours = key(algorithm)
    if octets > ours.algorithm.octets:
        said = Tsig(NAME, ours.algorithm.wire_name, NOW, FUDGE_SECONDS, 0x1234)
        found = result(with_record(query(), tsig_record(said, bytes(octets))), {NAME: ours})
    else:
        found = result(with_mac_of(octets, ours), {NAME: ours})
    if not max(10, ours.algorithm.octets / 2) <= octets <= ours.algorithm.octets:
        assert isinstance(found, Fault)
        assert (found.rcode, found.error, found.signer) == (Rcode.FORMERR, TsigError.NOERROR, None)
    elif octets < 16:
        assert isinstance(found, Fault)
        assert found.error is TsigError.BADTRUNC
        assert found.signer is not None
    else:
        assert isinstance(found, Signer)


def test_the_mac_comes_before_the_time_and_the_time_before_the_length() -> None:
    short = key("hmac-sha224")
    assert fault(signed(key(secret=b"x"), at=NOW - 9999)).error is TsigError.BADSIG
    cut = with_mac_of(14, short)
    assert fault(cut, {NAME: short}).error is TsigError.BADTRUNC
    assert fault(cut, {NAME: short}, NOW + 301).error is TsigError.BADTIME
    assert fault(cut, {NAME: key("hmac-sha224", b"x")}, NOW + 301).error is TsigError.BADSIG


def test_an_octet_changed_anywhere_is_noticed() -> None:
    """But for the id, which may change on its way, and the case of letters in the names of key and algorithm."""
    wire = signed()
    for position in range(2, len(wire)):
        for bit in range(8):
            changed = wire[:position] + bytes((wire[position] ^ 1 << bit,)) + wire[position + 1 :]
            try:
                tsig = parse_query(changed).tsig
            except Malformed:
                continue
            if tsig is None:
                assert position == 2  # another opcode, which is refused whoever asks
                continue
            if position >= tsig.begins_at and changed.lower() == wire.lower():
                continue
            assert isinstance(verify(KEYS, changed, tsig, NOW), Fault), (position, bit)


@given(st.binary(max_size=64))
def test_no_mac_that_is_made_up_is_taken(mac: bytes) -> None:
    said = Tsig(NAME, KEY.algorithm.wire_name, NOW, FUDGE_SECONDS, 0x1234)
    assert isinstance(result(with_record(query(), tsig_record(said, mac))), Fault)


def test_a_response_that_is_not_signed_or_otherwise_is_no_response() -> None:
    asking = Signer(KEY, b"", NOW)
    asking.sign(query(), NOW)
    for wire, reason in (
        (query(), "it is not signed"),
        (signed(key(name=b"\1x\0")), "it is signed with another key, x"),
        (signed(), f"the MAC is not that of key transfer.example: {CHANGED}"),
    ):
        found = verify_response(asking, wire, parse_query(wire).tsig, NOW)
        assert found is not None
        assert found.reason == reason
    tsig = parse_query(signed()).tsig
    assert tsig is not None
    unsigned = with_record(query(), unsigned_refusal(tsig, TsigError.BADKEY))
    found = verify_response(asking, unsigned, parse_query(unsigned).tsig, NOW)
    assert found is not None
    assert found.reason == "it is not signed, and says BADKEY"


def test_the_secret_is_never_shown() -> None:
    shown = f"{KEY} {KEY!r} {Signer(KEY, b'', NOW)!r} {fault(signed(key(secret=b'x')))!r}"
    assert repr(SECRET)[2:-1] not in shown
    assert SECRET.hex() not in shown
    assert base64.b64encode(SECRET).decode() not in shown


# --- streams (RFC 8945 §5.3.1) ----------------------------------------------------------------------------------------


class TheirStream:
    """The messages of a transfer, signed by dnspython."""

    def __init__(self, request: bytes, by: Key = KEY) -> None:
        self.by = by
        tsig = parse_query(request).tsig
        assert tsig is not None
        self.request_mac = tsig.mac
        self.context: dns.tsig.HMACTSig | None = None

    def message(self, number: int, *, sign: bool = True, at: int = NOW, key_name: bytes | None = None) -> bytes:
        plain = query(b"\3www\7example\3com\0")
        plain = bytes((0x12, number & 255)) + b"\x84" + plain[3:]
        if not sign:
            assert self.context is not None
            self.context.update(plain)  # type: ignore[no-untyped-call]
            return plain
        key = theirs(self.by if key_name is None else Key(key_name, self.by.algorithm, self.by.secret))
        record = dns.rdtypes.ANY.TSIG.TSIG(  # type: ignore[no-untyped-call]
            dns.rdataclass.ANY,
            dns.rdatatype.TSIG,
            key.algorithm,
            at,
            300,
            b"",
            int.from_bytes(plain[:2], "big"),
            0,
            b"",
        )
        rdata, self.context = dns.tsig.sign(plain, key, record, at, self.request_mac, self.context, True)  # type: ignore[no-untyped-call]
        octets = rdata.to_wire()
        assert octets is not None
        owner = key.name.to_wire()
        assert owner is not None
        return with_record(plain, owner + b"\0\xfa\0\xff\0\0\0\0" + len(octets).to_bytes(2, "big") + octets)


def asked_and_answered(by: Key = KEY) -> tuple[SignedStream, TheirStream]:
    signer = Signer(by, b"", NOW)
    request = signer.sign(query(edns=opt()), NOW)
    return SignedStream(signer), TheirStream(request, by)


def taken(stream: SignedStream, wire: bytes, now: int = NOW) -> Fault | None:
    return stream.take(wire, tsig_of_response(wire), now)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("every", [1, 2, 3, 100])
def test_a_stream_that_dnspython_signs_is_verified(algorithm: str, every: int) -> None:
    ours, stream = asked_and_answered(key(algorithm))
    for number in range(301):
        assert taken(ours, stream.message(number, sign=number % every == 0)) is None
        assert (ours.end() is None) == (number % every == 0)


def test_the_first_message_of_a_stream_is_signed() -> None:
    ours, _ = asked_and_answered()
    found = taken(ours, query())
    assert found is not None
    assert found.reason == "it is not signed"


def test_a_stream_without_messages_has_no_end() -> None:
    ours, _ = asked_and_answered()
    found = ours.end()
    assert found is not None
    assert found.reason == "the last message is not signed"


def test_so_many_messages_in_a_row_need_no_signature() -> None:
    ours, stream = asked_and_answered()
    assert taken(ours, stream.message(0)) is None
    for _ in range(2):
        for number in range(MAX_UNSIGNED_MESSAGES):
            assert taken(ours, stream.message(number, sign=False)) is None
        assert taken(ours, stream.message(1)) is None
    for number in range(MAX_UNSIGNED_MESSAGES):
        assert taken(ours, stream.message(number, sign=False)) is None
    found = taken(ours, stream.message(1, sign=False))
    assert found is not None
    assert found.reason == "more than 99 messages in a row are not signed"


@pytest.mark.parametrize("which", range(7))
@pytest.mark.parametrize("what", ["changed", "left out", "twice", "swapped"])
def test_whatever_happens_to_a_stream_is_noticed_at_the_next_signature(which: int, what: str) -> None:
    """Messages 0, 3 and 6 are signed, and 7 is after them."""
    ours, stream = asked_and_answered()
    messages = [stream.message(number, sign=number % 3 == 0) for number in range(10)]
    match what:
        case "changed":
            messages[which] = messages[which][:20] + bytes((messages[which][20] ^ 1,)) + messages[which][21:]
        case "left out":
            del messages[which]
        case "twice":
            messages.insert(which, messages[which])
        case _:
            messages[which : which + 2] = [messages[which + 1], messages[which]]
    found = next((fault for each in messages if (fault := taken(ours, each)) is not None), None)
    assert found is not None
    assert found.error is TsigError.BADSIG or (which == 0 and found.reason == "it is not signed")


@pytest.mark.parametrize("bit", range(0, 8 * 90, 7))
def test_no_bit_of_a_further_message_can_be_changed(bit: int) -> None:
    ours, stream = asked_and_answered()
    assert taken(ours, stream.message(0)) is None
    genuine = stream.message(1)
    wire = bytearray(genuine)
    wire[(bit >> 3) % len(wire)] ^= 1 << (bit & 7)
    if bit >> 3 < 2 or wire.lower() == genuine.lower():
        return  # the id is not covered, the original one is; names of keys and algorithms are in lower case
    try:
        tsig = tsig_of_response(bytes(wire))
    except Malformed:
        return
    found = ours.take(bytes(wire), tsig, NOW)
    assert found is not None or ours.end() is not None


@pytest.mark.parametrize("number", [0, 1])
def test_times_and_keys_of_each_message_count(number: int) -> None:
    for changes, error in ({"at": NOW - 301}, TsigError.BADTIME), ({"key_name": b"\5other\0"}, TsigError.BADKEY):
        ours, stream = asked_and_answered()
        for place in range(number):
            assert taken(ours, stream.message(place)) is None
        found = taken(ours, stream.message(number, **changes))
        assert found is not None
        assert found.error is error
    ours, stream = asked_and_answered()
    for place in range(number + 1):
        assert taken(ours, stream.message(place, at=NOW - 300 + place)) is None
