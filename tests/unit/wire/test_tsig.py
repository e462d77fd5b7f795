"""TSIG: what we sign, dnspython verifies, and the other way round; and everything that can be wrong with one."""

import base64

import dns.message
import dns.name
import dns.rcode
import dns.rdtypes.ANY.TSIG
import dns.renderer
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authdns.wire import name as names
from authdns.wire.query import Malformed, parse_query
from authdns.wire.tsig import (
    ALGORITHMS,
    FUDGE_SECONDS,
    Fault,
    Key,
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
