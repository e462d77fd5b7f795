"""The shipped list of secondary services."""

from datetime import date

from authdns.config import Preset, parse_domain, presets
from tests.unit.config.examples import parse


def test_the_known_services_are_there_and_dated() -> None:
    assert set(presets()) == {
        "freedns",
        "hurricane-electric",
        "1984-hosting",
        "ns-global",
        "puck",
        "hetzner",
        "buddyns",
    }
    for preset in presets().values():
        assert date.fromisoformat(preset.as_of) >= date(2026, 11, 20)
        assert preset.page.startswith("https://")
        assert preset.source
        assert preset.title


def test_every_address_is_a_single_one_and_stands_there_once() -> None:
    for preset in presets().values():
        assert all(network.prefixlen == network.max_prefixlen for network in preset.transfer_from)
        assert len(set(preset.transfer_from)) == len(preset.transfer_from)
        assert len(set(preset.notify_to)) == len(preset.notify_to)
        assert all(endpoint.port == 53 for endpoint in preset.notify_to)


def test_every_public_name_is_a_domain_name() -> None:
    for preset in presets().values():
        for name in preset.public_names:
            assert parse_domain(name) == parse_domain(name.lower())


def test_hurricane_electric_wants_notify_elsewhere_than_it_pulls_from() -> None:
    hurricane: Preset = presets()["hurricane-electric"]
    assert list(map(str, hurricane.notify_to)) == ["216.218.130.2:53", "[2001:470:100::2]:53"]
    assert list(map(str, hurricane.transfer_from)) == ["216.218.133.2/32", "2001:470:600::2/128"]


def test_every_preset_with_addresses_can_be_used_without_being_declared() -> None:
    for key, preset in presets().items():
        if preset.transfer_from:
            assert parse(f"zones: [{{folder: z, secondaries: {key}}}]").zones[0].policy.allow_transfer
