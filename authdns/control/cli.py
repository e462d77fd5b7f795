"""The command line. Messages go to standard error, results to standard output; exit codes are those of sysexits.h."""

import asyncio
import base64
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path

import click

from authdns import __version__
from authdns.config import (
    BadValue,
    Config,
    ConfigError,
    default_config,
    expand_zones,
    json_schema,
    load_config,
    parse_domain,
)
from authdns.control.explain import OPERATIONS, explain
from authdns.control.key_snippets import snippets
from authdns.server import log as logs
from authdns.server.app import App
from authdns.server.files import list_folder, read_regular
from authdns.server.guards import BadSecrets, read_secrets
from authdns.server.keys import read_keys
from authdns.server.listen import CannotStart
from authdns.server.tls import BadCertificate, server_context
from authdns.store import read_events
from authdns.transfer.policy import Identity, Tls, plain
from authdns.wire import name as names
from authdns.wire.tsig import ALGORITHMS, DEFAULT_ALGORITHM, key_text
from authdns.zone.printer import print_zone
from authdns.zone.problem import Problems, Severity
from authdns.zone.reader import read_zone

DEFAULT_CONFIG = Path("/etc/authdns/authdns.yaml")
_KEY_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_NO_STATE = "/nonexistent"  # checking keeps nothing, so it must not fail for want of a place

_config_option = click.option(
    "--config",
    "-c",
    "config_file",
    type=click.Path(path_type=Path, readable=False),
    help=f"The configuration file; {DEFAULT_CONFIG} if neither this nor --zones is given.",
)
_zones_option = click.option(
    "--zones",
    "-z",
    "zones_folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="No configuration: every *.zone of this folder, on 127.0.0.1 and ::1, port 5353.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="authdns")
def main() -> None:
    """An authoritative DNS server."""


@main.command()
@_config_option
@_zones_option
def serve(config_file: Path | None, zones_folder: Path | None) -> None:
    """Run the server in the foreground."""
    config = _load(config_file, zones_folder)
    logs.configure(config.log.format, config.log.level)

    async def run() -> None:
        await App(config, os.environ).run()

    try:
        asyncio.run(run())
    except CannotStart as error:
        click.echo(f"authdns: {error}", err=True)
        sys.exit(error.exit_code)


@main.command()
@_config_option
@_zones_option
@click.option("--quiet", "-q", is_flag=True, help="Errors only.")
def check(config_file: Path | None, zones_folder: Path | None, quiet: bool) -> None:
    """Check the configuration and every zone, without serving. Exits with 1 if there is an error."""
    config = _load(config_file, zones_folder, failure=1, environ={"STATE_DIRECTORY": _NO_STATE, **os.environ})
    zones, config_problems = expand_zones(config, list_folder)
    for problem in config_problems:
        click.echo(str(problem), err=True)
    failed = len(config_problems)
    if config.cookies is not None and config.cookies.secret_file is not None:
        try:
            read_secrets(config.cookies.secret_file)
        except BadSecrets as error:
            click.echo(f"secrets of cookies: {error}", err=True)
            failed += 1
    if config.tls is not None:
        try:
            server_context(config.tls)
        except BadCertificate as error:
            click.echo(f"{config.tls.where}: {error}", err=True)
            failed += 1
    _, key_problems = read_keys(config.keys, {})
    for message in key_problems:
        click.echo(message, err=True)
    failed += len(key_problems)
    for apex, zone in zones.items():
        if zone.is_catalog:
            members = sum(apex in each.listing.catalogs for each in zones.values())
            if not quiet:
                click.echo(f"{names.zone_text(apex)}: OK: a catalog of {_count(members, 'zone')}")
            continue
        if zone.file is None:
            if not quiet:
                sources = ", ".join(str(primary.endpoint) for primary in zone.primaries)
                kind = "secondary" if zone.members is None else "secondary, a catalog whose members are served"
                click.echo(f"{names.zone_text(apex)}: {kind}, transferred from {sources}")
            continue
        reading = read_zone(zone.file, apex, read_regular, int(time.time()))
        _echo_problems(reading.problems, quiet)
        failed += reading.problems.errors
        name = names.zone_text(apex)
        if reading.zone is None:
            click.echo(f"{name}: NOT OK: {_count(reading.problems.errors, 'error')}")
        elif not quiet:
            click.echo(f"{name}: OK: serial {reading.zone.soa.serial}, {_count(reading.zone.records, 'record')}")
    for left_out in _left_out(config):
        click.echo(f"{left_out}: left out: a `folder` is read for *.zone; rename it, or use `glob:`", err=True)
    if not zones:
        click.echo("no zone is configured", err=True)
    sys.exit(1 if failed or not zones else 0)


def _left_out(config: Config) -> Iterator[Path]:
    """Files of a `folder` that look like zone files and are not taken for one: BIND's users name them otherwise."""
    for folder in {entry.folder for entry in config.zones if entry.folder is not None}:
        try:
            listed = list_folder(folder)
        except OSError:
            continue  # reported already
        yield from (Path(folder, name) for name in sorted(listed) if name.startswith("db.") or name.endswith(".db"))


@main.command("explain")
@click.argument("operation", type=click.Choice(OPERATIONS))
@click.argument("zone_name", metavar="ZONE")
@click.argument("address")
@click.option("--key", "key_name", help="The name of the key of TSIG that it would be signed with.")
@click.option(
    "--tls",
    "tls_name",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="It would come over TLS, with a client certificate for NAME.",
)
@_config_option
@_zones_option
def explain_(
    operation: str,
    zone_name: str,
    address: str,
    key_name: str | None,
    tls_name: str | None,
    config_file: Path | None,
    zones_folder: Path | None,
) -> None:
    """Say whether ADDRESS may do that with ZONE, and by which rule; if not, what to write, and exit with 1."""
    config = _load(config_file, zones_folder, environ={"STATE_DIRECTORY": _NO_STATE, **os.environ})
    try:
        apex = parse_domain(zone_name).lower()
        asker = plain(ip_address(address))
        key_wire = None if key_name is None else parse_domain(key_name).lower()
        shown = [names.to_text(parse_domain(tls_name).lower()).removesuffix(".")] if tls_name else []
    except (BadValue, ValueError) as error:
        raise click.UsageError(str(error)) from error
    known = {each.name for each in config.keys}
    if key_wire is not None and key_wire not in known:
        named = ", ".join(sorted(map(key_text, known))) or "there is none"
        raise click.UsageError(f"no key {key_name} is configured, its signature would be refused (known: {named})")
    if tls_name is not None and config.tls is None:
        raise click.UsageError("nothing listens for TLS: there is no section `tls`")
    if shown and config.tls is not None and config.tls.client_certificates is None:
        raise click.UsageError("no client's certificate is believed: there are no `client-certificates` in `tls`")
    tls = None if tls_name is None else Tls(frozenset(shown))
    zones, problems = expand_zones(config, list_folder)
    for problem in problems:
        click.echo(str(problem), err=True)
    allowed, lines = explain(config, zones.get(apex), operation, Identity(asker, key_wire, tls))
    for line in lines:
        click.echo(line)
    sys.exit(0 if allowed else 1)


@main.command("events")
@click.argument("zone_name", metavar="[ZONE]", required=False)
@click.option("--last", "-n", "most", type=click.IntRange(1), default=50, show_default=True, help="So many.")
@_config_option
@_zones_option
def events_(zone_name: str | None, most: int, config_file: Path | None, zones_folder: Path | None) -> None:
    """Print what happened to ZONE, or to all zones: loaded, transferred, announced, refused, expired."""
    config = _load(config_file, zones_folder)
    try:
        apex = None if zone_name is None else parse_domain(zone_name).lower()
        found = read_events(config.state, apex, most)
    except BadValue as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        click.echo(f"no events: {error}", err=True)
        sys.exit(1)
    for event in found:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at))
        click.echo(f"{moment} {event.level.upper():7} {event.text}")


@main.group()
def config() -> None:
    """About the configuration file."""


@config.command()
def schema() -> None:
    """Print a JSON Schema of the configuration, for editors."""
    click.echo(json.dumps(json_schema(), indent=2))


@main.group()
def zone() -> None:
    """About zone files."""


@zone.command("print")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
def print_(name: str, file: Path) -> None:
    """Print the zone NAME in FILE as the server understands it, in canonical order."""
    try:
        apex = parse_domain(name).lower()
    except BadValue as error:
        raise click.BadParameter(str(error), param_hint="NAME") from error
    reading = read_zone(str(file), apex, read_regular, int(time.time()))
    _echo_problems(reading.problems, quiet=False)
    if reading.zone is None:
        sys.exit(1)
    for line in print_zone(reading.zone):
        click.echo(line)


@main.group()
def key() -> None:
    """About keys of TSIG."""


@key.command()
@click.argument("name")
@click.option("--algorithm", type=click.Choice(list(ALGORITHMS)), default=DEFAULT_ALGORITHM, show_default=True)
def generate(name: str, algorithm: str) -> None:
    """Print a new key NAME, ready to paste into the configuration of authdns and of each secondary."""
    try:
        text = key_text(parse_domain(name).lower())
    except BadValue as error:
        raise click.BadParameter(str(error), param_hint="NAME") from error
    if not _KEY_NAME.fullmatch(text):  # the others' files have quotes of their own
        raise click.BadParameter("expected letters, digits, `-`, `_` and dots", param_hint="NAME")
    secret = base64.b64encode(secrets.token_bytes(ALGORITHMS[algorithm].octets)).decode()
    click.echo(snippets(text, algorithm, secret), nl=False)


def _load(
    config_file: Path | None,
    zones_folder: Path | None,
    failure: int = os.EX_CONFIG,
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """Ends the process with `failure` and every problem of the configuration on standard error."""
    if config_file is not None and zones_folder is not None:
        raise click.UsageError("--config and --zones exclude each other")
    try:
        if zones_folder is not None:
            return default_config(zones_folder, environ=environ)
        return load_config(config_file or DEFAULT_CONFIG, environ=environ)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(failure)


def _echo_problems(problems: Problems, quiet: bool) -> None:
    for problem in problems:
        if problem.severity is Severity.ERROR or not quiet:
            click.echo(str(problem), err=True)
    if problems.left_out:
        click.echo(f"and {_count(problems.left_out, 'more problem')}", err=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
