"""SPF, DKIM and DMARC: what every receiver of mail would reject, and the healthy texts that pass in silence."""

import base64

import pytest

from authdns.wire import name as names
from authdns.zone.mail_policy import complaints, strings

APEX = "example.com."
ED25519 = base64.b64encode(bytes(32)).decode()
RSA = base64.b64encode(b"\x30\x82\x01\x22" + bytes(290)).decode()


def said(owner: str, *texts: str | tuple[str, ...]) -> str:
    """All complaints about the TXT records `texts`, each one string or several, in lines."""
    rdatas = []
    for text in texts:
        parts = (text,) if isinstance(text, str) else text
        octets = [piece.encode() for part in parts for piece in split(part)]
        rdatas.append(b"".join(bytes((len(piece),)) + piece for piece in octets))
    return "\n".join(complaints(names.from_text(owner), tuple(rdatas)))


def split(text: str) -> list[str]:
    return [text[i : i + 255] for i in range(0, len(text), 255)] or [""]


@pytest.mark.parametrize(
    ("owner", "text"),
    [
        (APEX, "some words"),
        (APEX, "v=verification-of-something"),
        (APEX, "v=spf1"),
        (APEX, "v=spf1 -all"),
        (APEX, "V=SPF1 MX A:mail.example.com/24 ip4:192.0.2.0/24 ip6:2001:db8::/32 ?ptr ~all"),
        (APEX, "v=spf1 a//64 mx/24//64 exists:%{i}._spf.example.com include:_spf.example.net -all"),
        (APEX, "v=spf1 redirect=_spf.example.net exp=why.example.com"),
        (APEX, "v=spf1 later-invention=yes -all"),
        ("_dmarc.example.com.", "v=DMARC1; p=none"),
        ("_dmarc.example.com.", "v=DMARC1;p=REJECT;sp=none;rua=mailto:a@example.com,mailto:b@example.net!10m;pct=50"),
        ("example.org._report._dmarc.example.com.", "v=DMARC1"),
        ("mail._domainkey.example.com.", f"v=DKIM1; h=sha256; k=rsa; p={RSA}"),
        ("mail._domainkey.example.com.", f"k=rsa; t=s; p={RSA[:100]} {RSA[100:]};"),
        ("mail._domainkey.example.com.", f"v=DKIM1; k=ed25519; p={ED25519}"),
        ("mail._domainkey.example.com.", "v=DKIM1; p="),
        ("_domainkey.example.com.", "o=~"),
    ],
)
def test_a_healthy_text_passes_in_silence(owner: str, text: str) -> None:
    assert said(owner, text) == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("v=spf1; -all", "a space must follow v=spf1, not ';'"),
        ("v=spf1-all", "a space must follow"),
        ("v=spf1 ip:192.0.2.1 -all", "'ip:192.0.2.1' is no mechanism"),
        ("v=spf1 redirect:_spf.example.net", "'redirect:_spf.example.net' is no mechanism"),
        ("v=spf1 include=_spf.example.net -all", "'include:_spf.example.net'"),
        ("v=spf1 192.0.2.1 -all", "'192.0.2.1' is no mechanism"),
        ("v=spf1 ip4:192.0.2.256 -all", "'192.0.2.256' is no IPv4 address"),
        ("v=spf1 ip4:2001:db8::1 -all", "is no IPv4 address"),
        ("v=spf1 ip6:192.0.2.1 -all", "is no IPv6 address"),
        ("v=spf1 ip4/192.0.2.1 -all", "a colon must follow ip4"),
        ("v=spf1 ip4 -all", "is no IPv4 address"),
        ("v=spf1 include: -all", "a domain must follow 'include:'"),
        ("v=spf1 include -all", "a domain must follow 'include:'"),
        ("v=spf1 mx: -all", "a domain must follow 'mx:'"),
        ("v=spf1 include:a.example.netip4:192.0.2.1 -all", "is there a space missing"),
        ("v=spf1 mx -all a", "'a' stands behind 'all'"),
        ("v=spf1 mx all", "lets everyone send"),
        ("v=spf1 -all:example.com", "'all' takes no argument"),
        ("v=spf1 " + " ".join(f"include:s{i}.example.net" for i in range(11)) + " -all", "11 terms need a look-up"),
    ],
)
def test_an_spf_that_receivers_would_ignore(text: str, complaint: str) -> None:
    assert complaint in said(APEX, text)


def test_two_spf_records_cancel_each_other() -> None:
    assert "2 SPF records" in said(APEX, "v=spf1 mx -all", "other", "v=spf1 a -all")


def test_spf_strings_that_are_joined_without_a_space() -> None:
    assert "joined without a space" in said(APEX, ("v=spf1 include:a.example.net", "include:b.example.net -all"))
    assert said(APEX, ("v=spf1 include:a.example.net", " include:b.example.net -all")) == ""
    assert said(APEX, ("v=spf1 include:a.example", ".net -all")) == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("v=DMARC1 p=none", "a semicolon must follow"),
        ("v=DMARC1; p=block", "p=block is no policy"),
        ("v=DMARC1; p=none; sp=all", "sp=all is no policy"),
        ("v=DMARC1; rua=mailto:a@example.com", "the policy is missing"),
        ("v=DMARC1; p=none; rua=a@example.com", "expected 'mailto:a@example.com'"),
        ("v=dmarc1; p=none", "no record here begins with v=DMARC1"),
        ("p=none", "no record here begins with v=DMARC1"),
    ],
)
def test_a_dmarc_policy_that_receivers_would_ignore(text: str, complaint: str) -> None:
    assert complaint in said("_dmarc.example.com.", text)


def test_a_dmarc_policy_is_looked_for_at_one_name_only() -> None:
    assert "only looked for at _dmarc" in said(APEX, "v=DMARC1; p=none")
    assert "2 DMARC records" in said("_dmarc.example.com.", "v=DMARC1; p=none", "v=DMARC1; p=reject")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"k=rsa; v=DKIM1; p={RSA}", "v=DKIM1 must come first"),
        (f"v=dkim1; p={RSA}", "v=DKIM1 must come first"),
        ("v=DKIM1; k=rsa", "the key is missing"),
        ("v=DKIM1; k=rsa; p=MIIB'IjAN", "is no base64"),
        (f"v=DKIM1; k=rsa; p={RSA[:-80]}", "cut off"),
        (f"v=DKIM1; p={ED25519}", "cut off or damaged"),
        (f"v=DKIM1; k=ed25519; p={ED25519[:-8]}", "has 32 octets"),
    ],
)
def test_a_dkim_key_that_verifiers_cannot_use(text: str, complaint: str) -> None:
    assert complaint in said("mail._domainkey.example.com.", text)


def test_strings_of_a_text_record() -> None:
    assert strings(b"\x02ab\x00\x01c") == [b"ab", b"", b"c"]
