"""From the file's models to the Config: names looked up, paths made whole, defaults applied, secondaries folded in.

Everything is resolved once, whether a zone uses it or not, so that a mistake in an unused list is found as well, and
one that ten thousand zones inherit is reported once. A value that is wrong is reported and left out; the rest goes on.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from authdns.config.document import Document, Node
from authdns.config.models import (
    ZONE_KINDS,
    CatalogModel,
    FileModel,
    KeyModel,
    MemberModel,
    MembersModel,
    PolicyModel,
    PrimaryModel,
    SecondaryModel,
    SharingModel,
    TlsClientModel,
    TransferModel,
    ZoneModel,
)
from authdns.config.presets import Preset, presets
from authdns.config.problem import quoted
from authdns.config.settings import (
    NOT_LISTED,
    CatalogEntry,
    Config,
    CookieSettings,
    KeySettings,
    Listing,
    Members,
    MemberSettings,
    Primary,
    RateLimitSettings,
    Secondary,
    TlsClient,
    TlsSettings,
    TransferRule,
    ZoneEntry,
    ZonePolicy,
)
from authdns.config.values import (
    DNS_OVER_TLS_PORT,
    DNS_PORT,
    BadValue,
    Endpoint,
    Network,
    parse_domain,
    parse_endpoint,
    parse_network,
    parse_pin,
    parse_secret,
)
from authdns.config.wording import nearest
from authdns.wire import name as names
from authdns.wire.tsig import ALGORITHMS, Key

MAX_LIST_DEPTH = 32  # lists that name lists; deeper is a mistake, and the expansion recurses
MAX_TXT_OCTETS = 255  # identity and version are answered as one character-string (RFC 1035 §3.3.14)
METRICS_PORT = 9153
# Of a catalog: 32 digits, `zones` and `group` stand in front of it (zone/catalog).
MAX_CATALOG_NAME_OCTETS = names.MAX_NAME_OCTETS - 33 - 6 - 6
MAX_GROUPS = 16  # of one zone; as many as are taken from others' catalogs
MAX_GROUP_OCTETS = 255  # one character-string (RFC 1035 §3.3.14)
CREDENTIALS = "CREDENTIALS_DIRECTORY"  # where systemd puts what LoadCredential= names

_LIST_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_BUILT_IN_LISTS = {  # BIND's
    "any": 'write 0.0.0.0/0 and "::/0"',
    "none": "write [] for none",
    "localhost": 'write 127.0.0.1 and "::1"',
    "localnets": "write the prefixes of your networks",
}
_WILDCARDS = "*?["


def resolve(document: Document, model: FileModel, *, path: Path, environ: Mapping[str, str]) -> Config:
    """The Config of `model`, which was made from `document`. Problems are added to the document's."""
    return _Resolver(document, model, path, environ).config()


@dataclass(slots=True)
class _Resolver:
    document: Document
    model: FileModel
    path: Path
    environ: Mapping[str, str]
    lists: dict[str, tuple[TransferRule, ...]] = field(default_factory=dict)
    open_lists: list[str] = field(default_factory=list)
    secondaries: dict[str, Secondary] = field(default_factory=dict)
    primaries: dict[str, tuple[Primary, ...]] = field(default_factory=dict)
    keys: dict[bytes, KeySettings] = field(default_factory=dict)
    catalogs: dict[bytes, CatalogEntry] = field(default_factory=dict)

    def config(self) -> Config:
        model = self.model
        for name in model.addresses:
            self.named_list(name, self.at("addresses", name))
        for text, key_model in model.keys.items():
            self.key(text, key_model, self.at("keys", text))
        for key, secondary in model.secondaries.items():
            self.secondaries[key] = self.secondary(key, secondary, self.at("secondaries", key))
        for key, primary in model.primaries.items():
            self.primaries[key] = self.primary(key, primary, self.at("primaries", key))
        for text, catalog in model.catalogs.items():
            self.catalog(text, catalog, self.at("catalogs", text))
        default = self.policy(model.defaults, self.at("defaults"), _Parts())
        listing = self.listing(model.defaults, self.at("defaults"), NOT_LISTED)
        zones = [self.zone(zone, self.at("zones", index), default, listing) for index, zone in enumerate(model.zones)]
        listen = self.listen(model.listen, self.at("listen"), DNS_PORT)
        return Config(
            listen=listen,
            state=self.state(),
            zones=tuple(zone for zone in zones if zone is not None),
            metrics=self.metrics(),
            rate_limit=self.rate_limit(),
            cookies=self.cookies(),
            tls=self.tls(listen),
            keys=tuple(self.keys.values()),
            catalogs=tuple(self.catalogs.values()),
            identity=self.short_text(model.identity, "identity"),
            version=self.short_text(model.version, "version"),
            edns_size=model.edns_size,
            engine=model.engine,
            workers=model.workers,
            log=model.log,
            history=model.history,
            incoming=model.incoming,
            tcp=model.tcp,
            path=self.path,
        )

    # -- single values -------------------------------------------------------------------------------------------

    def at(self, *location: str | int) -> Node:
        return self.document.root.find(location)

    def names_of(self, section: str) -> list[str]:
        """The names that were declared in a section, also those whose values were reported and taken out."""
        node = self.at(section)
        return [] if node is self.document.root else [*(str(step) for step, _ in node.children()), *sorted(node.broken)]

    def is_broken(self, section: str, name: str) -> bool:
        """The name, or its whole section, was reported already: whoever uses it is not to blame."""
        return section in self.document.root.broken or name in self.at(section).broken

    def report(self, node: Node, message: str, *, at_key: bool = False) -> None:
        self.document.report(node, message, at_key=at_key)

    def listen(
        self, items: tuple[str, ...], own: Node, default_port: int, taken: tuple[Endpoint, ...] = ()
    ) -> tuple[Endpoint, ...]:
        found: list[Endpoint] = []
        for text, node in _each(items, own):
            try:
                endpoint = parse_endpoint(text, default_port=default_port, listening=True)
            except BadValue as error:
                self.report(node, str(error))
                continue
            if endpoint in found and endpoint.port:
                self.report(node, f"{endpoint} stands in the list twice")
            elif endpoint in taken and endpoint.port:
                self.report(node, f"{endpoint} stands in `listen` as well; TLS needs a port of its own, such as 853")
            found.append(endpoint)
        if not items and not own.broken:
            message = "expected at least one address, found an empty list"
            self.report(own, f"{message}; leave `listen` out for port {default_port}")
        return tuple(found)

    def tls(self, taken: tuple[Endpoint, ...]) -> TlsSettings | None:
        model, own = self.model.tls, self.at("tls")
        if model is None:
            return None
        for key, value in (("certificate", model.certificate), ("private-key", model.private_key)):
            if value is None and not own.broken:
                self.report(own, f"`{key}` is missing: the path of a file in PEM", at_key=True)
        certificate = self.pem_path(model.certificate, own.find(("certificate",)))
        private_key = self.pem_path(model.private_key, own.find(("private-key",)))
        return TlsSettings(
            self.listen(model.listen, own.find(("listen",)), DNS_OVER_TLS_PORT, taken),
            certificate or "",
            private_key or "",
            self.pem_path(model.client_certificates, own.find(("client-certificates",))),
            self.document.where(own),
        )

    def tls_client(self, model: TlsClientModel | None, node: Node) -> TlsClient | None:
        """How a primary is asked; None for cleartext."""
        if model is None:
            return None
        name = None if model.name is None else self.host_name(model.name, node.find(("name",)))
        if model.ca is not None and model.name is None:
            message = "`ca` needs `name`: the name that the certificate must be valid for"
            self.report(node.find(("ca",)), message, at_key=True)
        if (model.certificate is None) != (model.private_key is None) and not node.broken:
            there, missing = ("certificate", "private-key") if model.certificate else ("private-key", "certificate")
            self.report(node.find((there,)), f"`{there}` needs `{missing}`", at_key=True)
        pins: list[bytes] = []
        for text, item in _each(model.pins or (), node.find(("pins",))):
            try:
                pins.append(parse_pin(text))
            except BadValue as error:
                self.report(item, str(error))
        if model.pins == ():  # not the same as none: that would be to trust anybody
            self.report(
                node.find(("pins",)), "expected at least one pin, found an empty list; leave `pins` out for none"
            )
        return TlsClient(
            name,
            self.pem_path(model.ca, node.find(("ca",))),
            tuple(pins),
            self.pem_path(model.certificate, node.find(("certificate",))),
            self.pem_path(model.private_key, node.find(("private-key",))),
            model.require_alpn,
            self.document.where(node),
        )

    def pem_path(self, text: str | None, node: Node) -> str | None:
        """As `secret_path`."""
        if text is not None and "-----BEGIN" in text:
            self.report(node, "expected the path of a file, found what stands in such a file")
            return ""
        return None if text is None else self.secret_path(text, node)

    def host_name(self, text: str, node: Node) -> str | None:
        """As certificates have it: lower-case, without the final dot. None if it is none, which is reported."""
        try:
            return names.to_text(parse_domain(text).lower()).removesuffix(".")
        except BadValue as error:
            self.report(node, str(error))
            return None

    def tls_need(self, said: str | bool | None, node: Node) -> bool | str:
        """Of a rule: whether it wants TLS, or the name that it wants in the client's certificate."""
        if said is None:
            return False
        if said is False:
            self.report(node, "expected `required` or a name, found false; leave `tls` out where TCP will do")
            return True
        if self.model.tls is None and not self.is_broken("tls", ""):
            self.report(node, "nobody could come: there is no section `tls`, so nothing listens for TLS")
        if said is True or said == "required":
            return True
        tls = self.model.tls
        if tls is not None and tls.client_certificates is None and "client-certificates" not in self.at("tls").broken:
            hint = "which say whose certificates are believed"
            self.report(node, f"nobody could come: there are no `client-certificates` in `tls`, {hint}")
        return self.host_name(said, node) or True

    def metrics(self) -> Endpoint | None:
        if self.model.metrics is None:
            return None
        try:
            return parse_endpoint(self.model.metrics.listen, default_port=METRICS_PORT, listening=True)
        except BadValue as error:
            self.report(self.at("metrics", "listen"), str(error))
            return None

    def rate_limit(self) -> RateLimitSettings | None:
        model = self.model.rate_limit
        if model is None:
            return None
        exempt = self.networks(model.exempt, self.at("rate-limit", "exempt"), "rate-limit.exempt")
        return RateLimitSettings(model.per_second, model.burst, model.slip, model.log_only, exempt)

    def cookies(self) -> CookieSettings | None:
        model = self.model.cookies
        if model is None or model.secret_file is None:
            return None if model is None else CookieSettings()
        return CookieSettings(self.whole_path(model.secret_file, self.at("cookies", "secret-file")))

    def key(self, text: str, model: KeyModel, node: Node) -> None:
        """Adds a key to `keys`. Nothing that is reported shows a secret."""
        try:
            name = parse_domain(text).lower()
        except BadValue as error:
            self.report(node, str(error), at_key=True)
            return
        if name in self.keys:
            self.report(node, f"the key {quoted(text)} stands here twice", at_key=True)
        algorithm = ALGORITHMS[model.algorithm]
        self.keys[name] = KeySettings(name, algorithm)
        if model.secret is not None and model.secret_file is not None:
            self.report(node, "expected `secret` or `secret-file`, found both")
        elif model.secret is not None:
            try:
                self.keys[name] = KeySettings(name, algorithm, Key(name, algorithm, parse_secret(model.secret)))
            except BadValue as error:
                self.report(node.find(("secret",)), f"{error}; `authdns key generate {text}` makes one")
        elif model.secret_file is not None:
            file = self.secret_path(model.secret_file, node.find(("secret-file",)))
            self.keys[name] = KeySettings(name, algorithm, secret_file=file)
        elif not node.broken:
            message = f"`secret` or `secret-file` is missing; `authdns key generate {text}` makes one"
            self.report(node, message, at_key=True)

    def secret_path(self, text: str, node: Node) -> str:
        """As `whole_path`; $CREDENTIALS_DIRECTORY in front stands for the folder that systemd names."""
        for start in (f"${CREDENTIALS}/", f"${{{CREDENTIALS}}}/"):
            if text.startswith(start):
                if not (folder := self.environ.get(CREDENTIALS, "")):
                    self.report(node, f"{CREDENTIALS} is not set: systemd does that, for units with LoadCredential=")
                return str(Path(folder, text.removeprefix(start)))
        return self.whole_path(text, node)

    def key_named(self, text: str, node: Node) -> bytes | None:
        """The name of a key that is declared; None if there is none, which is reported."""
        try:
            name = parse_domain(text).lower()
        except BadValue as error:
            self.report(node, str(error))
            return None
        if name in self.keys:
            return name
        if not self.is_broken("keys", text):
            hint = _did_you_mean(text, self.names_of("keys")) or f"; `authdns key generate {text}` makes one"
            self.report(node, f"no key {quoted(text)} in `keys`{hint}")
        return None

    def short_text(self, text: str | None, key: str) -> str | None:
        if text is not None and not 0 < len(text.encode()) <= MAX_TXT_OCTETS:
            octets = len(text.encode())
            self.report(self.at(key), f"expected text of 1 to {MAX_TXT_OCTETS} octets, found {octets}; null refuses it")
        return text

    def state(self) -> Path:
        """$STATE_DIRECTORY is systemd's, which may list several, separated by colons; the first one is ours."""
        if self.model.state is not None:
            return Path(self.whole_path(self.model.state, self.at("state")))
        if given := self.environ.get("STATE_DIRECTORY", "").split(":")[0]:
            return Path(given)
        # One folder for each configuration: two servers of one user would take each other's serials for their own.
        own = hashlib.blake2b(os.fsencode(os.path.abspath(self.path)), digest_size=4).hexdigest()
        if given := self.environ.get("XDG_STATE_HOME", ""):
            return Path(given) / "authdns" / own
        if home := self.environ.get("HOME", ""):
            return Path(home) / ".local" / "state" / "authdns" / own
        message = "expected `state`, the folder for what must survive a restart: STATE_DIRECTORY and HOME are not set"
        self.report(self.document.root, message)
        return Path()

    def whole_path(self, text: str, node: Node) -> str:
        """Relative to the configuration file; `~/` is the home folder."""
        if not text or "\0" in text:
            self.report(node, f"expected a path, found {'an empty text' if not text else 'a text with a NUL'}")
            return "."
        if text == "~" or text.startswith("~/"):
            if not (home := self.environ.get("HOME", "")):
                self.report(node, "`~` stands for the home folder, but HOME is not set")
            text = home + text[1:]
        return str(self.path.parent / text)

    # -- lists of addresses --------------------------------------------------------------------------------------

    def named_list(self, name: str, node: Node) -> tuple[TransferRule, ...]:
        """What the list holds once the lists in it are expanded. A cycle is reported once, where it closes."""
        if name in self.lists:
            return self.lists[name]
        if name in self.open_lists:
            round_trip = " → ".join([*self.open_lists[self.open_lists.index(name) :], name])
            self.report(node, f"the list contains itself: {round_trip}")
            return ()
        if len(self.open_lists) >= MAX_LIST_DEPTH:
            self.report(node, f"lists name lists more than {MAX_LIST_DEPTH} deep")
            return ()
        own = self.at("addresses", name)
        if not _LIST_NAME.fullmatch(name) or _is_network(name):
            message = f"expected a name of letters, digits, `-`, `_` and `.` that is no address, found {quoted(name)}"
            self.report(own, message, at_key=True)
        self.open_lists.append(name)
        self.lists[name] = self.rules(self.model.addresses[name], own, f"addresses.{name}")
        self.open_lists.pop()
        return self.lists[name]

    def rules(self, items: Iterable[str], node: Node, why: str) -> tuple[TransferRule, ...]:
        """Addresses, prefixes and names of lists; each network once, with the first reason for it."""
        return _once(rule for text, item in _each(items, node) for rule in self.rules_of(text, item, why))

    def rules_of(self, text: str, node: Node, why: str) -> tuple[TransferRule, ...]:
        return self.named_list(text, node) if text in self.model.addresses else self.single_rule(text, node, why)

    def networks(self, items: Iterable[str], node: Node, why: str) -> tuple[Network, ...]:
        return tuple(rule.network for rule in self.rules(items, node, why) if rule.network is not None)

    def transfer_rules(self, items: Iterable[TransferModel], node: Node, why: str) -> tuple[TransferRule, ...]:
        """Entries of `allow-transfer`. What names a key that is not there, or nothing, allows nobody."""
        found: list[TransferRule] = []
        for index, item in enumerate(items):
            place = node.find((index,))
            if place.broken:
                continue  # what is wrong there was reported
            if item.address is None and item.key is None:
                self.report(place, "expected `address`, `key` or both, found neither")
                continue
            key = None if item.key is None else self.key_named(item.key, place.find(("key",)))
            if item.key is not None and key is None:
                continue
            tls = self.tls_need(item.tls, place.find(("tls",)))
            if item.address is None:
                found.append(TransferRule(None, why, key, tls))
                continue
            rules = self.rules_of(item.address, place.find(("address",)), why)
            found += (TransferRule(rule.network, rule.why, key, tls) for rule in rules)
        return _once(found)

    def single_rule(self, text: str, node: Node, why: str) -> tuple[TransferRule, ...]:
        try:
            return (TransferRule(parse_network(text), why),)
        except BadValue as error:
            self.report_no_address(text, node, error)
            return ()

    def endpoints(
        self, items: Iterable[str], node: Node, port: int = DNS_PORT, what: str = "NOTIFY"
    ) -> tuple[Endpoint, ...]:
        """Targets of NOTIFY, or primaries. A named list may stand there if it holds single addresses only."""
        found: dict[Endpoint, None] = {}
        for text, item in _each(items, node):
            if text in self.model.addresses:
                networks = [rule.network for rule in self.named_list(text, item) if rule.network is not None]
                if wide := [network for network in networks if not _is_single(network)]:
                    self.report(item, f"{what} needs single addresses, but the list {quoted(text)} holds {wide[0]}")
                found.update(dict.fromkeys(_hosts(networks, port)))
                continue
            try:
                found[parse_endpoint(text, default_port=port)] = None
            except BadValue as error:
                self.report_no_address(text, item, error)
        return tuple(found)

    def report_no_address(self, text: str, node: Node, error: BadValue) -> None:
        """`text` is neither an address nor a list. If it looks like a name, say which names there are."""
        if not _LIST_NAME.fullmatch(text) or text[0].isdigit():
            self.report(node, str(error))
        elif self.is_broken("addresses", text):
            return
        elif text in self.model.secondaries or text in presets():
            message = f"expected an address or a list of `addresses`; {quoted(text)} is a secondary"
            self.report(node, f"{message}, which belongs under `secondaries`")
        elif text in _BUILT_IN_LISTS:
            self.report(node, f"no list {quoted(text)} in `addresses`; {_BUILT_IN_LISTS[text]}")
        else:
            self.report(node, f"no list {quoted(text)} in `addresses`{_did_you_mean(text, self.names_of('addresses'))}")

    # -- secondaries ---------------------------------------------------------------------------------------------

    def secondary(self, key: str, model: SecondaryModel, node: Node) -> Secondary:
        preset = self.preset(model, node)
        if model.transfer_from is not None:
            transfer_from = self.networks(model.transfer_from, node.find(("transfer-from",)), f"secondary {key}")
        else:
            transfer_from = preset.transfer_from if preset else ()
        if model.transfer_from is None and not transfer_from and not node.broken:
            message = f"`transfer-from` is missing: the addresses from which {quoted(key)} transfers{_see(preset)}"
            self.report(node, message, at_key=True)
        if model.notify_to is not None:
            notify_to = self.endpoints(model.notify_to, node.find(("notify-to",)))
        elif preset and preset.notify_to and model.transfer_from is None:
            notify_to = preset.notify_to
        else:
            notify_to = tuple(_hosts(transfer_from))
        signs_with = None if model.key is None else self.key_named(model.key, node.find(("key",)))
        return Secondary(
            name_key=key,
            public_names=self.public_names(model, node) or (preset.public_names if preset else ()),
            transfer_from=transfer_from,
            notify_to=notify_to,
            preset=preset.key if preset else None,
            key=signs_with,
            tls=self.tls_need(model.tls, node.find(("tls",))),
        )

    def preset(self, model: SecondaryModel, node: Node) -> Preset | None:
        if model.preset is None or model.preset in presets():
            return presets()[model.preset] if model.preset else None
        hint = _did_you_mean(model.preset, presets()) or f"; there are {', '.join(presets())}"
        self.report(node.find(("preset",)), f"no preset {quoted(model.preset)}{hint}")
        node.broken.add("preset")
        return None

    def public_names(self, model: SecondaryModel, node: Node) -> tuple[str, ...]:
        found = (self.host_name(*pair) for pair in _each(model.name or (), node.find(("name",))))
        return tuple(name for name in found if name is not None)

    def secondary_named(self, key: str, node: Node) -> Secondary | None:
        if key in self.secondaries:
            return self.secondaries[key]
        if self.is_broken("secondaries", key):
            return None
        if (preset := presets().get(key)) is not None:
            if not preset.transfer_from:
                message = f"the preset {quoted(key)} needs your account's addresses: declare it under `secondaries`"
                self.report(node, f"{message}, with `preset: {key}` and `transfer-from`{_see(preset)}")
            made = Secondary(key, preset.public_names, preset.transfer_from, preset.notify_to, preset.key)
            self.secondaries[key] = made
            return made
        if _is_network(key) or key in self.model.addresses:
            message = f"expected the name of a secondary, found the address or list {quoted(key)}"
            self.report(node, f"{message}; it belongs under `allow-transfer`, or a secondary's `transfer-from`")
        else:
            self.report(
                node, f"no secondary {quoted(key)}{_did_you_mean(key, [*self.names_of('secondaries'), *presets()])}"
            )
        return None

    # -- primaries -----------------------------------------------------------------------------------------------

    def primary(self, key: str, model: PrimaryModel, node: Node) -> tuple[Primary, ...]:
        """One for each of its addresses. One that names a key that is not there is left out: nothing is asked of it
        without."""
        if _is_network(key) or not _LIST_NAME.fullmatch(key):
            message = f"expected a name of letters, digits, `-`, `_` and `.` that is no address, found {quoted(key)}"
            self.report(node, message, at_key=True)
        if not model.address and not node.broken:
            self.report(node, f"`address` is missing: where the primary {quoted(key)} answers", at_key=True)
        signs_with = None if model.key is None else self.key_named(model.key, node.find(("key",)))
        if model.key is not None and signs_with is None:
            return ()
        tls = self.tls_client(model.tls, node.find(("tls",)))
        port = DNS_PORT if tls is None else DNS_OVER_TLS_PORT
        endpoints = self.endpoints(model.address or (), node.find(("address",)), port, "a primary")
        return tuple(Primary(key, endpoint, signs_with, tls) for endpoint in endpoints)

    def primaries_of(self, items: Iterable[str], node: Node) -> tuple[Primary, ...]:
        """Names of primaries, or addresses, each once."""
        found: dict[Primary, None] = {}
        for text, item in _each(items, node):
            if text in self.primaries:
                found.update(dict.fromkeys(self.primaries[text]))
            elif not self.is_broken("primaries", text):
                try:
                    endpoint = parse_endpoint(text)
                    found[Primary(str(endpoint.host), endpoint)] = None
                except BadValue as error:
                    self.report_no_primary(text, item, error)
        return tuple(found)

    def report_no_primary(self, text: str, node: Node, error: BadValue) -> None:
        if not _LIST_NAME.fullmatch(text) or text[0].isdigit():
            self.report(node, str(error))
        elif text in self.model.secondaries or text in presets():
            self.report(node, f"expected one of `primaries`, found the secondary {quoted(text)}")
        else:
            self.report(
                node, f"no primary {quoted(text)} in `primaries`{_did_you_mean(text, self.names_of('primaries'))}"
            )

    def notify_rules(self, primaries: Iterable[Primary], others: Iterable[TransferRule]) -> tuple[TransferRule, ...]:
        """Who may send NOTIFY: the primaries, signed if what they are asked is, and who else is named."""
        rules = [
            TransferRule(parse_network(str(each.endpoint.host)), f"primary {each.name_key}", each.key)
            for each in primaries
        ]
        return _once([*rules, *others])

    def named_to_notify(self, model: ZoneModel | MemberModel, node: Node) -> tuple[TransferRule, ...]:
        entries = node.find(("allow-notify",))
        allowed = []
        for index, item in enumerate(model.allow_notify or ()):
            if item.tls is not None:
                self.report(entries.find((index, "tls")), "NOTIFY comes in cleartext; leave `tls` out, and name a key")
            allowed.append(item.model_copy(update={"tls": None}))
        return self.transfer_rules(allowed, entries, f"{node.path}.allow-notify")

    # -- catalogs ------------------------------------------------------------------------------------------------

    def catalog(self, text: str, model: CatalogModel, node: Node) -> None:
        """Adds a catalog to `catalogs`. What `defaults` allows is not allowed there: a catalog tells of every zone."""
        try:
            name = parse_domain(text)
        except BadValue as error:
            self.report(node, str(error), at_key=True)
            return
        if name.lower() in self.catalogs:
            self.report(node, f"the catalog {quoted(text)} stands here twice", at_key=True)
        if len(name) > MAX_CATALOG_NAME_OCTETS:
            message = f"expected a name of at most {MAX_CATALOG_NAME_OCTETS} octets, found one of {len(name)}"
            self.report(node, f"{message}; the names in the catalog end in it", at_key=True)
        if model.secondaries is None and model.allow_transfer is None and not node.broken:
            message = "nobody may transfer the catalog: expected `secondaries` or `allow-transfer`, found neither"
            self.report(node, f"{message} (`defaults` does not apply to catalogs)", at_key=True)
        # Its only name server is `invalid.`, which has no address to notify.
        policy = self.policy(model, node, _Parts(notify_ns=False)).whole()
        self.catalogs[name.lower()] = CatalogEntry(name, policy, self.document.where(node))

    def listing(self, model: PolicyModel, node: Node, default: Listing) -> Listing:
        """What `model` says of catalogs, and `default` where it says nothing."""
        catalogs, groups, coo = default.catalogs, default.groups, None
        if model.catalog is not None:
            named = (self.catalog_named(*pair) for pair in _each(model.catalog, node.find(("catalog",))))
            catalogs = tuple(dict.fromkeys(name for name in named if name is not None))
        if model.group is not None:
            groups = self.groups(model.group, node.find(("group",)))
        if isinstance(model, ZoneModel) and model.coo is not None:
            try:
                coo = parse_domain(model.coo).lower()
            except BadValue as error:
                self.report(node.find(("coo",)), str(error))
        if isinstance(model, ZoneModel) and not catalogs and model.catalog in (None, ()):
            for key in ("group", "coo"):
                if getattr(model, key) and "catalog" not in node.broken:
                    message = f"`{key}` is said in a catalog, but none lists this zone; add `catalog`"
                    self.report(node.find((key,)), message)
        elif coo is not None and catalogs == (coo,):
            self.report(node.find(("coo",)), "expected the name of another catalog, found the one that has the zone")
        return Listing(catalogs, groups, coo)

    def catalog_named(self, text: str, node: Node) -> bytes | None:
        """The name of a catalog that is declared; None if there is none, which is reported."""
        try:
            name = parse_domain(text).lower()
        except BadValue as error:
            self.report(node, str(error))
            return None
        if name in self.catalogs:
            return name
        if not self.is_broken("catalogs", text):
            hint = (
                _did_you_mean(text, self.names_of("catalogs"))
                or f"; write `catalogs: {{{text}: {{secondaries: ...}}}}`"
            )
            self.report(node, f"no catalog {quoted(text)} in `catalogs`{hint}")
        return None

    def groups(self, items: tuple[str, ...], node: Node) -> tuple[bytes, ...]:
        if len(items) > MAX_GROUPS:
            self.report(node, f"expected at most {MAX_GROUPS} groups, found {len(items)}")
        found = set()
        for text, item in _each(items, node):
            octets = text.encode()
            if not 0 < len(octets) <= MAX_GROUP_OCTETS:
                self.report(item, f"expected text of 1 to {MAX_GROUP_OCTETS} octets, found {len(octets)}")
            found.add(octets)
        return tuple(sorted(found))

    # -- zones ---------------------------------------------------------------------------------------------------

    def policy(self, model: SharingModel, node: Node, default: "_Parts") -> "_Parts":
        """What `model` says, and `default` where it says nothing."""
        made = _Parts(default.secondaries, default.rules, default.notify, default.notify_ns)
        if model.secondaries is not None:
            named = (self.secondary_named(*pair) for pair in _each(model.secondaries, node.find(("secondaries",))))
            made.secondaries = tuple(dict.fromkeys(secondary for secondary in named if secondary))
        if model.allow_transfer is not None:
            entries = node.find(("allow-transfer",))
            made.rules = self.transfer_rules(model.allow_transfer, entries, f"{node.path}.allow-transfer")
        if model.notify is not None:
            made.notify = self.endpoints(model.notify, node.find(("notify",)))
        if isinstance(model, PolicyModel | MemberModel) and model.notify_ns is not None:
            made.notify_ns = model.notify_ns
        return made

    def zone(self, model: ZoneModel, node: Node, default: "_Parts", listing: Listing) -> ZoneEntry | None:
        if model.members is not None:  # what `defaults` allows is for its members: a catalog tells of every zone
            listing = self.listing(model, node, NOT_LISTED)
            policy = self.policy(model, node, _Parts(notify_ns=False)).whole()
        else:
            listing = self.listing(model, node, listing)
            policy = self.policy(model, node, default).whole()
        where = self.document.where(node)
        kinds = [key for key in ("zone", "folder", "glob") if getattr(model, key) is not None]
        sources = [key for key in ("file", "primaries") if getattr(model, key) is not None]
        if len(kinds) != 1 or len(sources) != (model.zone is not None):
            self.report_zone_kind(model, node, [*kinds, *sources])
            return None
        if model.allow_notify is not None and model.primaries is None:
            self.report(node.find(("allow-notify",)), "only a zone with `primaries` hears of changes by NOTIFY")
        if model.members is not None and model.primaries is None:
            self.report(node.find(("members",)), "only a zone with `primaries` is a catalog whose members are served")
        if model.zone is not None:
            try:
                name = parse_domain(model.zone)
            except BadValue as error:
                self.report(node.find(("zone",)), str(error))
                return None
            if model.primaries is not None:
                return self.secondary_zone(name, model, node, policy, listing, default)
            file = self.whole_path(model.file or "", node.find(("file",)))
            return ZoneEntry(policy, where, zone=name, file=file, listing=listing)
        if model.folder is not None:
            folder = self.whole_path(model.folder, node.find(("folder",)))
            return ZoneEntry(policy, where, folder=folder, listing=listing)
        pattern = self.whole_path(model.glob or "", node.find(("glob",)))
        if any(character in str(PurePath(model.glob or "").parent) for character in _WILDCARDS):
            self.report(node.find(("glob",)), "wildcards are possible in the file's name only, not in its folder")
        return ZoneEntry(policy, where, glob=pattern, listing=listing)

    def secondary_zone(
        self, name: bytes, model: ZoneModel, node: Node, policy: ZonePolicy, listing: Listing, default: "_Parts"
    ) -> ZoneEntry:
        place = node.find(("primaries",))
        primaries = self.primaries_of(model.primaries or (), place)
        if not model.primaries and not place.broken:
            self.report(place, "expected at least one primary, found an empty list")
        rules = self.notify_rules(primaries, self.named_to_notify(model, node))
        where = self.document.where(node)
        members = None
        if model.members is not None:
            members = self.members(model.members, node.find(("members",)), default, primaries)
        return ZoneEntry(
            policy, where, zone=name, primaries=primaries, allow_notify=rules, listing=listing, members=members
        )

    def members(self, model: MembersModel, node: Node, default: "_Parts", primaries: tuple[Primary, ...]) -> Members:
        """How the members of a catalog are served; `primaries` are the catalog's."""
        parts = self.policy(model, node, default)
        others = self.named_to_notify(model, node)
        primaries = self.primaries_of_members(model, node, primaries)
        plain = MemberSettings(
            parts.whole(), primaries, self.notify_rules(primaries, others), self.document.where(node)
        )
        groups = []
        for text, group in model.groups.items():
            place = node.find(("groups", text))
            octets = text.encode()
            if not 0 < len(octets) <= MAX_GROUP_OCTETS:
                self.report(place, f"expected text of 1 to {MAX_GROUP_OCTETS} octets, found {len(octets)}", at_key=True)
            policy = self.policy(group, place, parts).whole()
            theirs = self.primaries_of_members(group, place, primaries)
            notifying = others if group.allow_notify is None else self.named_to_notify(group, place)
            rules = self.notify_rules(theirs, notifying)
            groups.append((octets, MemberSettings(policy, theirs, rules, self.document.where(place))))
        return Members(plain, tuple(groups))

    def primaries_of_members(self, model: MemberModel, node: Node, default: tuple[Primary, ...]) -> tuple[Primary, ...]:
        if model.primaries is None:
            return default
        place = node.find(("primaries",))
        if not model.primaries and not place.broken:
            self.report(place, "expected at least one primary, found an empty list")
        return self.primaries_of(model.primaries, place)

    def report_zone_kind(self, model: ZoneModel, node: Node, kinds: list[str]) -> None:
        if node.broken:
            return  # what is missing was probably there, under the key that was reported
        if len(kinds) > 1:
            said = " and ".join(map(quoted, kinds))
            message = f"expected one of `zone` with `file`, `folder`, `glob`, `zone` with `primaries`, found {said}"
        elif model.zone is not None:
            message = f"`file` is missing: the zone file of {model.zone}, such as `file: {model.zone}.zone`"
        elif model.file is not None:
            message = f"`zone` is missing: the name of the zone in {model.file}"
        elif model.primaries is not None:
            message = "`zone` is missing: the name of the zone that is transferred"
        else:
            message = f"expected {ZONE_KINDS}"
        self.report(node, message)


@dataclass(slots=True)
class _Parts:
    """A policy before the secondaries are folded in, so that defaults apply key by key."""

    secondaries: tuple[Secondary, ...] = ()
    rules: tuple[TransferRule, ...] = ()
    notify: tuple[Endpoint, ...] = ()
    notify_ns: bool = True

    def whole(self) -> ZonePolicy:
        """Secondaries come first: theirs is the better reason when an address is allowed twice."""
        rules: list[TransferRule] = []
        notify: dict[Endpoint, None] = {}
        for secondary in self.secondaries:
            why = f"secondary {secondary.name_key}"
            rules += (TransferRule(network, why, secondary.key, secondary.tls) for network in secondary.transfer_from)
            notify.update(dict.fromkeys(secondary.notify_to))
        notify.update(dict.fromkeys(self.notify))
        return ZonePolicy(_once([*rules, *self.rules]), tuple(notify), self.notify_ns, self.secondaries)


def _once(rules: Iterable[TransferRule]) -> tuple[TransferRule, ...]:
    """Each network with each key and need of TLS once, with the first reason for it."""
    found: dict[tuple[Network | None, bytes | None, bool | str], TransferRule] = {}
    for rule in rules:
        found.setdefault((rule.network, rule.key, rule.tls), rule)
    return tuple(found.values())


def _each(items: Iterable[str], node: Node) -> Iterable[tuple[str, Node]]:
    """Each text of a list with its node; a single text that stands for a list has the list's."""
    return ((text, node.find((index,))) for index, text in enumerate(items))


def _hosts(networks: Iterable[Network], port: int = DNS_PORT) -> Iterable[Endpoint]:
    return (Endpoint(network.network_address, port) for network in networks if _is_single(network))


def _is_single(network: Network) -> bool:
    return network.prefixlen == network.max_prefixlen


def _is_network(text: str) -> bool:
    try:
        parse_network(text)
    except BadValue:
        return False
    return True


def _see(preset: Preset | None) -> str:
    return f" ({preset.title} lists them at {preset.page})" if preset else ""


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = nearest(word, known)
    return f"; did you mean `{near}`?" if near else ""
