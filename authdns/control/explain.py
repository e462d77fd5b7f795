"""Why somebody may do something, or may not, and what would change that: the decision that the server takes, in words.

The server and this module ask the same `decide` with the same rules; nothing is decided here.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_network

from authdns.config import Config, ConfiguredZone
from authdns.transfer.policy import Decision, Identity, Rule, decide
from authdns.wire import name as names
from authdns.wire.tsig import key_text

OPERATIONS = ("axfr", "ixfr", "notify", "update", "query")


def explain(config: Config, zone: ConfiguredZone | None, operation: str, who: Identity) -> tuple[bool, list[str]]:
    """(whether it is allowed, lines to print). `zone` is the one that was named, None if there is none of that name."""
    if zone is None:
        return _perhaps_a_member(config, operation, who)
    if operation == "query" and zone.is_private:
        return False, ["REFUSED: a catalog is for those who may transfer it; others are told its SOA"]
    if operation == "query":
        return True, ["allowed: queries are answered for everybody", *_limits(config, who)]
    if operation in ("notify", "update") and zone.is_catalog:
        rcode = "NOTAUTH" if operation == "notify" else "NOTIMP"
        return False, [f"{rcode}: a catalog is made here; the members follow the configuration"]
    if operation == "notify":
        return _notify(zone, who)
    if operation == "update":
        return False, ["NOTIMP: zones are changed by their zone files, not by dynamic updates"]
    rules = tuple(Rule(rule.network, rule.why, rule.key, rule.tls) for rule in zone.policy.allow_transfer)
    decision = decide(rules, who)
    if decision.allowed:
        return True, [decision.reason]
    return False, [f"REFUSED: {decision.reason}", "", *_remedy(zone, decision, "allow-transfer", _own_rules(zone))]


def _perhaps_a_member(config: Config, operation: str, who: Identity) -> tuple[bool, list[str]]:
    """A zone that is not in the configuration. What the catalogs of others list only the server knows; how it is served
    if one of them lists it, the configuration says."""
    nothing = "REFUSED: no such zone is configured (a transfer gets NOTAUTH)"
    allowed, lines = True, [nothing]
    for entry in config.zones:
        if entry.members is None or entry.zone is None:
            continue
        listed = f"If the catalog {names.zone_text(entry.zone)} lists it"
        kinds = [(f"{listed}:", entry.members.settings)]
        for group, settings in entry.members.groups:
            kinds.append((f"{listed} in the group {names.label_to_text(group)}:", settings))
        for when, settings in kinds:
            zone = ConfiguredZone(
                names.ROOT,
                None,
                settings.policy,
                settings.where,
                settings.primaries,
                settings.allow_notify,
                catalog=entry.zone.lower(),
            )
            may, why = explain(config, zone, operation, who)
            allowed = allowed and may
            lines += ["", when, *(f"  {line}" if line else "" for line in why)]
    return allowed and len(lines) > 1, lines


def _notify(zone: ConfiguredZone, who: Identity) -> tuple[bool, list[str]]:
    if zone.file is not None:
        return False, ["NOTAUTH: this server is the primary of the zone; its zone file says what is new"]
    who = Identity(who.address, who.key)  # it comes in cleartext, or might as well
    decision = decide(tuple(Rule(rule.network, rule.why, rule.key) for rule in zone.allow_notify), who)
    if decision.allowed:
        return True, [decision.reason]
    own = (Rule(rule.network, rule.why, rule.key) for rule in zone.allow_notify if not rule.why.startswith("primary "))
    return False, [f"REFUSED: {decision.reason}", "", *_remedy(zone, decision, "allow-notify", own)]


def _remedy(zone: ConfiguredZone, decision: Decision, key: str, rules: Iterable[Rule]) -> Iterator[str]:
    """What to paste so that it would be allowed; `rules` are those that stand at `key` now."""
    who, nearest = decision.identity, decision.nearest
    if decision.no_alpn:
        yield "Nothing in the configuration changes that: the client has to offer `dot` by ALPN."
        return
    if nearest is not None and (nearest.key is not None or nearest.tls) and nearest.has_address(who.address):
        yield f"Have it {_to_do(nearest, who)} ({nearest.why}), or allow what it sends now:"
    elif nearest is None:
        yield "To allow it:"
    else:
        yield "To allow it as well:"
    yield ""
    yield f"    # {zone.entry}"
    yield f"    {key}:"
    yield from (f"      - {_as_written(rule)}" for rule in rules)
    yield f"      - {_as_written(_rule_for(who))}"


def _to_do(rule: Rule, who: Identity) -> str:
    """What the client lacks, as orders."""
    orders = []
    if rule.key is not None and not rule.has_key(who.key):
        orders.append(f"sign with key {key_text(rule.key)}")
    if not rule.has_tls(who.tls):
        over = "" if who.tls is not None else "come over TLS"
        shown = "" if rule.tls is True else f"show a certificate for {rule.tls}"
        orders += filter(None, (over, shown))
    return " and ".join(orders)


def _rule_for(who: Identity) -> Rule:
    """Allows it, and no more than that."""
    tls: bool | str = False if who.tls is None else next(iter(sorted(who.tls.names)), True)
    return Rule(ip_network(who.address), "", who.key, tls)


def _own_rules(zone: ConfiguredZone) -> Iterator[Rule]:
    """Those that `allow-transfer` has now: without them a list in a zone would take the place of the defaults'."""
    for rule in zone.policy.allow_transfer:
        if not rule.why.startswith("secondary "):
            yield Rule(rule.network, rule.why, rule.key, rule.tls)


def _as_written(rule: Rule) -> str:
    network = rule.network
    single = network is not None and network.prefixlen == network.max_prefixlen
    address = f'"{network.network_address if single and network is not None else network}"'
    if rule.key is None and not rule.tls:
        return address
    parts = [] if network is None else [f"address: {address}"]
    parts += [] if rule.key is None else [f"key: {key_text(rule.key)}"]
    parts += [] if not rule.tls else [f"tls: {'required' if rule.tls is True else rule.tls}"]
    return f"{{{', '.join(parts)}}}"


def _limits(config: Config, who: Identity) -> Iterator[str]:
    limit = config.rate_limit
    if limit is None:
        return
    exempt = next((network for network in limit.exempt if Rule(network, "").has_address(who.address)), None)
    if exempt is not None:
        yield f"no rate limit: {exempt} is exempt (rate-limit.exempt)"
    else:
        yield f"by UDP {limit.per_second} a second after {limit.burst} at once (rate-limit); then it is sent to TCP"
