"""What a configuration means: every key of the grammar, every default."""

import re
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from authdns.config import (
    ConfigError,
    CookieSettings,
    Endpoint,
    Listing,
    LogModel,
    TcpModel,
    TlsSettings,
    ZonePolicy,
    default_config,
    load_config,
    parse_config,
    parse_endpoint,
    presets,
    resolve,
)
from authdns.wire import name as names
from authdns.zone import catalog
from tests.unit.config.examples import ALL, ENVIRON, FULL, PATH, SINGLE_TEXTS, parse, problems


def rules(policy: ZonePolicy) -> list[tuple[str, str]]:
    return [(str(rule.network), rule.why) for rule in policy.allow_transfer]


SECRET = bytes(range(16))
SIGNED = """\
keys:
  Transfer.Example: {secret: "AAECAwQFBgcICQoLDA0ODw=="}
  other: {algorithm: hmac-sha512, secret-file: /run/other}
addresses: {office: [192.0.2.0/24, "2001:db8::/32"]}
secondaries:
  one: {transfer-from: [198.51.100.1, 198.51.100.2], key: transfer.example}
zones:
  - folder: z
    secondaries: one
    allow-transfer: [198.51.100.1, {address: office, key: other}, {key: OTHER}, {address: 192.0.2.9}]
"""


def test_keys_and_who_must_sign_with_them() -> None:
    config = parse(SIGNED)
    first, second = config.keys
    assert first.key is not None
    assert (first.key.name, first.key.secret) == (first.name, SECRET)
    assert (first.name, first.algorithm.digest) == (b"\x08transfer\x07example\0", "sha256")
    assert (second.name, second.algorithm.digest, second.key, second.secret_file) == (
        b"\5other\0",
        "sha512",
        None,
        "/run/other",
    )
    policy = config.zones[0].policy
    assert [(str(rule.network), rule.key, rule.why) for rule in policy.allow_transfer] == [
        ("198.51.100.1/32", first.name, "secondary one"),
        ("198.51.100.2/32", first.name, "secondary one"),
        ("198.51.100.1/32", None, "zones[0].allow-transfer"),
        ("192.0.2.0/24", second.name, "addresses.office"),
        ("2001:db8::/32", second.name, "addresses.office"),
        ("None", second.name, "zones[0].allow-transfer"),
        ("192.0.2.9/32", None, "zones[0].allow-transfer"),
    ]
    assert policy.secondaries[0].key == first.name


def test_a_secret_file_may_be_a_credential_of_systemd() -> None:
    for text in ("$CREDENTIALS_DIRECTORY/k", "${CREDENTIALS_DIRECTORY}/k"):
        config = parse_config(
            f"keys: {{k: {{secret-file: '{text}'}}}}".encode(),
            path=PATH,
            environ={**ENVIRON, "CREDENTIALS_DIRECTORY": "/run/credentials/authdns"},
        )
        assert config.keys[0].secret_file == "/run/credentials/authdns/k"


@pytest.mark.parametrize(
    "text",
    [
        SIGNED + "listen: 5",
        SIGNED.replace("secret:", "secert:"),
        SIGNED.replace("secret:", "secret :").replace("{secret :", "{algorithm: md5, secret :"),
        SIGNED.replace('"AAE', '"!AAE'),
        SIGNED.replace("{secret:", "").replace("}\n  other", "\n  other"),
        SIGNED.replace('DA0ODw=="}', 'DA0ODw=="'),
    ],
)
def test_no_problem_shows_a_secret(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    shown = "\n".join(map(str, caught.value.problems)) + repr(caught.value)
    assert "AAECAwQF" not in shown
    assert shown


def test_a_config_does_not_show_its_secrets() -> None:
    assert repr(SECRET)[2:-1] not in repr(parse(SIGNED))
    assert "AAECAwQF" not in repr(parse(SIGNED))


def test_every_key_of_the_grammar_is_read() -> None:
    config = parse(FULL)
    assert list(map(str, config.listen)) == ["127.0.0.1:5353", "[::1]:5353"]
    assert config.state == Path("/var/lib/authdns")
    assert (config.identity, config.version, config.edns_size) == ("ns1.example.com", "authdns", 1232)
    assert str(config.metrics) == "127.0.0.1:9153"
    assert (config.log.format, config.log.level) == ("json", "debug")
    assert (config.tcp.connections, config.tcp.per_client) == (100, 3)
    assert (config.tcp.idle_seconds, config.tcp.pipelined) == (2.5, 6)
    limit = config.rate_limit
    assert limit is not None
    assert (limit.per_second, limit.burst, limit.slip, limit.log_only) == (20, 40, 2, True)
    assert list(map(str, limit.exempt)) == ["192.0.2.0/24", "2001:db8::/32", "127.0.0.1/32"]
    assert config.cookies == CookieSettings("/etc/authdns/cookie-secrets")
    assert config.tls == TlsSettings(
        (parse_endpoint("127.0.0.1:8853"), parse_endpoint("[::1]:853")),
        "/etc/authdns/ns1.pem",
        "/etc/authdns/ns1.key",
        "/etc/authdns/clients.pem",
    )
    assert str(config.tls.where) == "/etc/authdns/authdns.yaml:52:3"
    assert config.path == PATH
    single, folder, glob = config.zones
    assert (single.zone, single.file) == (b"\x07example\x03com\0", "/etc/authdns/example.com.zone")
    assert (folder.folder, glob.glob) == ("/etc/authdns/zones", "/etc/authdns/z/*.db")
    assert (str(single.where), single.where.path) == ("/etc/authdns/authdns.yaml:28:5", "zones[0]")


def test_catalogs_and_the_zones_in_them() -> None:
    config = parse(FULL)
    fleet, other = config.catalogs
    assert (names.to_text(fleet.name), fleet.where.path) == ("Fleet.example.", "catalogs.Fleet.example")
    assert rules(fleet.policy) == [("198.51.100.77/32", "secondary signing")]
    assert fleet.policy.allow_transfer[0].key == names.from_text("transfer.example.")
    assert list(map(str, fleet.policy.notify)) == ["198.51.100.77:53"]
    assert rules(other.policy) == [
        ("192.0.2.0/24", "addresses.office"),
        ("2001:db8::/32", "addresses.office"),
        ("None", "catalogs.other.example.allow-transfer"),
    ]
    assert not fleet.policy.notify_ns
    assert not other.policy.notify_ns
    single, folder, glob = config.zones
    lower = (fleet.name.lower(), other.name)
    assert single.listing == Listing(lower, (b"signed",), other.name)
    assert folder.listing == Listing(lower[:1], ("Ostfriesland ÄÖ".encode(), b"europe"), None)
    assert glob.listing.catalogs == ()


def test_without_a_word_no_catalog_lists_a_zone() -> None:
    [folder] = parse("catalogs: {c: {allow-transfer: []}}\nzones: [{folder: z}]").zones
    assert folder.listing == Listing()


def test_a_catalog_has_so_many_groups_as_are_taken_from_others_and_a_name_with_room_in_front() -> None:
    assert (resolve.MAX_GROUPS, resolve.MAX_GROUP_OCTETS) == (catalog.MAX_GROUPS, catalog.MAX_GROUP_OCTETS)
    groups = ", ".join(f"g{number}" for number in range(resolve.MAX_GROUPS + 1))
    [problem] = problems(f"defaults: {{group: [{groups}]}}")
    assert problem == "1:19 defaults.group: expected at most 16 groups, found 17"
    room = resolve.MAX_CATALOG_NAME_OCTETS
    longest = ".".join(["x" * 10] * 19)
    member = catalog.Member(names.ROOT, catalog.member_label(names.ROOT, 0), (b"g",))
    [made] = parse(f"catalogs: {{{longest}: {{allow-transfer: []}}}}").catalogs
    assert len(made.name) == room
    longest_owner = max(len(owner) for owner, _ in catalog.make_catalog(made.name, 1, [member]).owners())
    assert longest_owner == names.MAX_NAME_OCTETS
    [problem] = problems(f"catalogs: {{{longest}z: {{allow-transfer: []}}}}")
    assert "expected a name of at most 210 octets, found one of 211" in problem


def test_a_zone_policy_says_where_each_permission_comes_from() -> None:
    single = parse(FULL).zones[0].policy
    assert rules(single) == [
        ("69.65.50.192/32", "secondary freedns"),
        ("2001:1850:1:5:800::6b/128", "secondary freedns"),
        ("198.51.100.53/32", "secondary mine"),
        ("192.0.2.0/24", "secondary mine"),
        ("2001:db8::/32", "secondary mine"),
        ("192.0.2.1/32", "zones[0].allow-transfer"),
    ]
    notified = ["69.65.50.192:53", "198.51.100.53:53", "198.51.100.54:5300", "192.0.2.1:5300"]
    assert list(map(str, single.notify)) == notified
    assert [secondary.public_name for secondary in single.secondaries] == ["ns2.afraid.org", "ns2.example.net"]


def test_a_rule_of_a_named_list_names_the_list_in_which_the_address_stands() -> None:
    config = parse(
        "addresses: {all: [office, 192.0.2.9], office: 10.0.0.0/8}\n"
        "defaults: {allow-transfer: [all, '::1']}\n"
        "zones: [{folder: z}]\n"
    )
    assert rules(config.zones[0].policy) == [
        ("10.0.0.0/8", "addresses.office"),
        ("192.0.2.9/32", "addresses.all"),
        ("::1/128", "defaults.allow-transfer"),
    ]


def test_defaults_apply_key_by_key_and_an_empty_list_replaces_them() -> None:
    config = parse(
        "defaults: {secondaries: puck, allow-transfer: 192.0.2.1, notify: 192.0.2.2, notify-ns: false}\n"
        "zones: [{folder: a}, {folder: b, secondaries: [], notify-ns: true}, {folder: c, allow-transfer: []}]\n"
    )
    first, second, third = (entry.policy for entry in config.zones)
    assert [rule[1] for rule in rules(first)] == ["secondary puck", "secondary puck", "defaults.allow-transfer"]
    assert not first.notify_ns
    assert rules(second) == [("192.0.2.1/32", "defaults.allow-transfer")]
    assert second.notify == (Endpoint(ip_address("192.0.2.2"), 53),)
    assert second.notify_ns
    assert [rule[1] for rule in rules(third)] == ["secondary puck", "secondary puck"]


def test_without_a_word_nobody_may_transfer_and_the_name_servers_are_notified() -> None:
    assert parse("zones: [{folder: z}]").zones[0].policy == ZonePolicy((), (), True, ())


def test_an_empty_file_is_all_defaults() -> None:
    config = parse("# nothing but a comment\n")
    assert list(map(str, config.listen)) == ["0.0.0.0:53", "[::]:53"]
    assert str(config.metrics) == "127.0.0.1:9153"
    assert (config.identity, config.version, config.edns_size, config.zones) == (None, None, 1232, ())
    assert (config.log, config.tcp) == (LogModel(), TcpModel())
    assert (config.tcp.connections, config.tcp.per_client) == (4096, 32)
    assert (config.tcp.idle_seconds, config.tcp.pipelined) == (10, 64)


@pytest.mark.parametrize("switched_off", ["metrics: off", "metrics: null", "metrics:", "metrics: false"])
def test_metrics_can_be_switched_off(switched_off: str) -> None:
    assert parse(switched_off).metrics is None


def test_metrics_can_be_switched_on_without_saying_where() -> None:
    assert str(parse("metrics: on").metrics) == "127.0.0.1:9153"
    assert str(parse("metrics: {listen: 192.0.2.1}").metrics) == "192.0.2.1:9153"


def test_a_single_text_stands_for_a_list_of_one() -> None:
    config = parse(SINGLE_TEXTS)
    assert list(map(str, config.listen)) == ["127.0.0.1:53"]
    assert rules(config.zones[0].policy) == [
        ("198.51.100.53/32", "secondary mine"),
        ("192.0.2.0/24", "addresses.office"),
    ]


@pytest.mark.parametrize("text", ALL.values(), ids=ALL.keys())
def test_the_examples_are_without_problems(text: str) -> None:
    parse(text)


@pytest.mark.parametrize(
    ("environ", "state"),
    [
        ({"STATE_DIRECTORY": "/var/lib/authdns", "HOME": "/home/ada"}, "/var/lib/authdns"),
        ({"STATE_DIRECTORY": "/var/lib/authdns:/var/lib/second"}, "/var/lib/authdns"),
        ({"XDG_STATE_HOME": "/s", "HOME": "/home/ada"}, "/s/authdns/[0-9a-f]{8}"),
        ({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "", "HOME": "/h"}, "/h/.local/state/authdns/[0-9a-f]{8}"),
    ],
)
def test_the_state_folder_comes_from_the_environment(environ: Mapping[str, str], state: str) -> None:
    assert re.fullmatch(state, str(parse("", environ).state))


def test_two_configurations_have_two_state_folders() -> None:
    one, other = (parse_config(b"", path=Path(name), environ={"HOME": "/h"}).state for name in ("a.yaml", "b.yaml"))
    assert one != other
    assert one.parent == other.parent


def test_without_a_home_the_state_folder_has_to_be_said() -> None:
    with pytest.raises(ConfigError, match="expected `state`"):
        parse("", {})
    assert parse("state: here", {}).state == Path("/etc/authdns/here")


def test_paths_are_relative_to_the_file_and_the_home_folder_is_known() -> None:
    config = parse("state: ~/state\nzones: [{folder: ../z}, {zone: a.example, file: /srv/a}, {glob: '~/*.db'}]\n")
    assert config.state == Path("/home/ada/state")
    assert [entry.folder or entry.file or entry.glob for entry in config.zones] == [
        "/etc/authdns/../z",
        "/srv/a",
        "/home/ada/*.db",
    ]
    assert [entry.watched_folder for entry in config.zones] == ["/etc/authdns/../z", "/srv", "/home/ada"]


def test_a_preset_is_used_by_its_name_and_its_keys_can_be_replaced() -> None:
    config = parse(
        "secondaries: {he: {preset: hurricane-electric, notify-to: 192.0.2.1}}\n"
        "zones: [{folder: z, secondaries: [he, puck]}]\n"
    )
    hurricane, puck = config.zones[0].policy.secondaries
    assert hurricane.preset == "hurricane-electric"
    assert hurricane.transfer_from == presets()["hurricane-electric"].transfer_from
    assert list(map(str, hurricane.notify_to)) == ["192.0.2.1:53"]
    assert hurricane.public_names == ("ns1.he.net", "ns2.he.net", "ns3.he.net", "ns4.he.net", "ns5.he.net")
    assert puck.name_key == puck.preset == "puck"


def test_a_declared_secondary_comes_before_the_preset_of_the_same_name() -> None:
    config = parse("secondaries: {puck: {transfer-from: 192.0.2.1}}\nzones: [{folder: z, secondaries: puck}]\n")
    assert config.zones[0].policy.secondaries[0].transfer_from == (ip_network("192.0.2.1/32"),)


def test_notify_goes_where_the_secondary_pulls_from_unless_it_says_otherwise() -> None:
    def notified(secondary: str) -> list[str]:
        config = parse(f"secondaries: {{s: {{{secondary}}}}}\nzones: [{{folder: z, secondaries: s}}]\n")
        return list(map(str, config.zones[0].policy.notify))

    assert notified("transfer-from: [192.0.2.1, 192.0.2.128/25, '2001:db8::1']") == ["192.0.2.1:53", "[2001:db8::1]:53"]
    assert notified("transfer-from: 192.0.2.1, notify-to: []") == []
    assert notified("preset: buddyns, transfer-from: 192.0.2.1") == ["192.0.2.1:53"]


def test_a_named_list_of_single_addresses_can_be_notified() -> None:
    config = parse("addresses: {peers: [192.0.2.1, '2001:db8::1']}\nzones: [{folder: z, notify: peers}]\n")
    assert list(map(str, config.zones[0].policy.notify)) == ["192.0.2.1:53", "[2001:db8::1]:53"]


def test_anchors_aliases_and_merges_are_yamls_own_variables() -> None:
    config = parse(
        "x-base: &base {secondaries: puck, allow-transfer: 192.0.2.1}\n"
        "zones:\n  - {<<: *base, folder: a}\n  - {<<: *base, folder: b, allow-transfer: []}\n"
    )
    first, second = (entry.policy for entry in config.zones)
    assert len(first.allow_transfer) == 3
    assert len(second.allow_transfer) == 2


def test_an_international_name_is_accepted() -> None:
    config = parse("zones: [{zone: bücher.example, file: b}, {zone: 0/25.2.0.192.in-addr.arpa., file: r}]")
    assert config.zones[0].zone == b"\x0dxn--bcher-kva\x07example\0"
    assert config.zones[1].zone == b"\x040/25\x012\x010\x03192\x07in-addr\x04arpa\0"


def test_a_config_does_not_change() -> None:
    config = parse(FULL)
    with pytest.raises(FrozenInstanceError):
        config.edns_size = 512  # type: ignore[misc]
    assert hash(config.zones[0].policy) == hash(parse(FULL).zones[0].policy)


def test_an_unreadable_file_is_a_problem_like_any_other() -> None:
    def read(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(ConfigError) as caught:
        load_config(PATH, environ=ENVIRON, read=read)
    assert str(caught.value) == "/etc/authdns/authdns.yaml: cannot read the configuration: Permission denied"


def test_a_file_is_read_from_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "authdns.yaml"
    path.write_text("\ufeffzones: [{folder: z}]\r\n", encoding="utf-8")
    assert load_config(path, environ=ENVIRON).zones[0].folder == str(tmp_path / "z")


def test_without_a_file_one_folder_is_served_on_loopback() -> None:
    config = default_config(Path("zones"), environ=ENVIRON)
    assert list(map(str, config.listen)) == ["127.0.0.1:5353", "[::1]:5353"]
    assert [entry.folder for entry in config.zones] == ["zones"]
    assert config.zones[0].policy == ZonePolicy(notify_ns=False)  # it sends nothing to anybody
    assert str(config.metrics) == "127.0.0.1:9153"
    assert config.path is None
    assert str(config.zones[0].where) == "built-in configuration"
    with pytest.raises(ConfigError, match="expected `state`"):
        default_config(Path("zones"), environ={})


def test_what_rules_want_of_tls() -> None:
    config = parse(
        "tls: {certificate: c, private-key: k, client-certificates: t}\n"
        "secondaries:\n"
        "  one: {transfer-from: 192.0.2.1, tls: required}\n"
        "  two: {transfer-from: 192.0.2.2, tls: NS2.Example.net.}\n"
        "  three: {transfer-from: 192.0.2.3}\n"
        "zones:\n"
        "  - folder: z\n"
        "    secondaries: [one, two, three]\n"
        "    allow-transfer: [192.0.2.1, {address: 192.0.2.1, tls: true}, {address: 192.0.2.9, tls: required}]\n"
    )
    (zone,) = config.zones
    assert [(str(rule.network), rule.tls, rule.why) for rule in zone.policy.allow_transfer] == [
        ("192.0.2.1/32", True, "secondary one"),
        ("192.0.2.2/32", "ns2.example.net", "secondary two"),
        ("192.0.2.3/32", False, "secondary three"),
        ("192.0.2.1/32", False, "zones[0].allow-transfer"),
        ("192.0.2.9/32", True, "zones[0].allow-transfer"),
    ]
    assert config.tls is not None
    assert list(map(str, config.tls.listen)) == ["0.0.0.0:853", "[::]:853"]


def test_tls_is_off_unless_it_is_there() -> None:
    assert parse("zones: [{folder: z}]").tls is None
    assert parse("tls: off\nzones: [{folder: z}]").tls is None


MEMBERS = """\
primaries: {main: {address: 192.0.2.1}, eu: {address: [192.0.2.2, 192.0.2.3]}}
secondaries: {backup: {transfer-from: 198.51.100.53}}
defaults: {secondaries: backup, notify-ns: false}
catalogs: {own.example: {allow-transfer: []}}
zones:
  - zone: Fleet.example
    primaries: main
    members:
      allow-notify: 192.0.2.9
      groups:
        europe: {primaries: eu, secondaries: []}
        far: {allow-notify: [], notify-ns: true}
        none:
"""


def test_the_members_of_a_catalog() -> None:
    entry = parse(MEMBERS).zones[0]
    assert entry.policy == ZonePolicy(notify_ns=False), "`defaults` is not for the catalog"
    assert entry.members is not None
    plain = entry.members.settings
    assert plain.primaries == entry.primaries
    assert rules(plain.policy) == [("198.51.100.53/32", "secondary backup")]
    assert [str(rule.network) for rule in plain.allow_notify] == ["192.0.2.1/32", "192.0.2.9/32"]
    assert plain.where.path == "zones[0].members"
    assert [group for group, _ in entry.members.groups] == [b"europe", b"far", b"none"]
    europe, far, none = (entry.members.of([group]) for group in (b"europe", b"far", b"none"))
    assert rules(europe.policy) == []
    assert [str(rule.network) for rule in europe.allow_notify] == ["192.0.2.2/32", "192.0.2.3/32", "192.0.2.9/32"]
    assert [str(rule.network) for rule in far.allow_notify] == ["192.0.2.1/32"]
    assert (plain.policy.notify_ns, far.policy.notify_ns) == (False, True)
    assert (none.policy, none.primaries, none.allow_notify) == (plain.policy, plain.primaries, plain.allow_notify)
    assert entry.members.of([]) == entry.members.of([b"mars"]) == plain
    assert entry.members.of([b"far", b"europe"]) == europe


def test_a_catalog_that_is_listed_itself_says_so() -> None:
    text = MEMBERS.replace("defaults: {", "defaults: {catalog: own.example, ")
    assert parse(text).zones[0].listing.catalogs == ()
    said = text.replace("primaries: main", "primaries: main\n    catalog: own.example")
    assert parse(said).zones[0].listing.catalogs == (names.from_text("own.example."),)
