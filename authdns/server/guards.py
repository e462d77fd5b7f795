"""What stands between strangers and the answers: cookies and the rate limit, in Python and in the engine alike.

Here are their settings, the life of the secrets, and the line in the log that says when the rate limit acted. The
engine keeps counters of its own, and Python those of what the engine hands to it; both have the same limits.
"""

import asyncio
import re
import secrets
import time
from ipaddress import ip_address

from authdns.answer.cookies import MAX_SECRETS, OLDEST_SECONDS, SECRET_OCTETS, Cookies
from authdns.answer.limiter import Limiter, RateLimit
from authdns.config import Config, CookieSettings, RateLimitSettings
from authdns.server.engine import NativeEngine
from authdns.server.files import read_regular
from authdns.server.log import log, stranger_log
from authdns.server.tcp import TIME_A_SECOND, TIME_AT_ONCE

LOOK_SECONDS = 1.0
LOG_SECONDS = 60.0  # between lines about the rate limit
SECRET_SECONDS = 24 * 3600.0  # then the process makes itself a new secret
# The one before still verifies until no cookie that it made can be valid any more.
OLD_SECRET_SECONDS = OLDEST_SECONDS + 300.0

_SECRET = re.compile(rf"[0-9A-Fa-f]{{{2 * SECRET_OCTETS}}}")


class BadSecrets(Exception):
    """The file of secrets cannot be used; the message says why, and never what is in it."""


class Guards:
    """`cookies` and `limiter` are for the Responders, `budget` is for TCP; None where switched off."""

    def __init__(self, config: Config, engine: NativeEngine | None) -> None:
        self._engine = engine
        self._own = [secrets.token_bytes(SECRET_OCTETS)]  # what the process made itself, the active one first
        self._own_since = time.monotonic()
        self._file: str | None = None
        self.cookies = None if config.cookies is None else Cookies(self._own)
        self.limiter = None if config.rate_limit is None else Limiter(_rate_limit(config.rate_limit))
        self.budget = None if config.rate_limit is None else Limiter(_time_budget(config.rate_limit))
        self._logged_at = -LOG_SECONDS
        self._logged = 0
        self._source = ""

    def start(self, config: Config) -> None:
        """Before the first query."""
        if config.rate_limit is not None and self._engine is not None:
            self._engine.use_limiter(_rate_limit(config.rate_limit))
        if config.cookies is not None:
            self._use(self._own)
            self._read_secrets(config.cookies)

    def take_over(self, before: Config, config: Config) -> None:
        """A configuration that was read again; what is switched on or off waits for the next start."""
        if self.limiter is not None and config.rate_limit is not None and config.rate_limit != before.rate_limit:
            limit = _rate_limit(config.rate_limit)
            self.limiter.use(limit)
            if self.budget is not None:
                self.budget.use(_time_budget(config.rate_limit))
            if self._engine is not None:
                self._engine.use_limiter(limit)
        if self.cookies is not None and config.cookies is not None:
            self._read_secrets(config.cookies)

    def _read_secrets(self, settings: CookieSettings) -> None:
        if settings.secret_file is None:
            if self._file is not None:
                self._file = None
                self._use(self._own)
            return
        try:
            found = read_secrets(settings.secret_file)
        except BadSecrets as error:
            kept = "those that were read before stay" if self._file else "the process goes on with a secret of its own"
            log.error("secrets of cookies: %s; %s", error, kept)
            return
        self._file = settings.secret_file
        self._use(found)
        log.info("secrets of cookies: %d read from %s", len(found), settings.secret_file)

    def _use(self, found: list[bytes]) -> None:
        assert self.cookies is not None
        self.cookies.use(found)
        if self._engine is not None:
            self._engine.use_secrets(found)

    async def run(self) -> None:
        """Looks after secrets and the log, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            self.roll_over(now)
            self.log_limited(now)

    def roll_over(self, now: float) -> None:
        """A new secret of the process's own each day; `now` in seconds of the monotonic clock."""
        if now - self._own_since >= SECRET_SECONDS:
            self._own = [secrets.token_bytes(SECRET_OCTETS), self._own[0]]
            self._own_since = now
        elif len(self._own) > 1 and now - self._own_since >= OLD_SECRET_SECONDS:
            del self._own[1:]
        else:
            return
        if self.cookies is not None and self._file is None:
            self._use(self._own)

    def log_limited(self, now: float) -> None:
        """One line for all that happened in LOG_SECONDS, with one of the sources."""
        limited, source = self._limited()
        self._source = source or self._source
        if limited == self._logged or now - self._logged_at < LOG_SECONDS:
            return
        stranger_log.warning(
            "the rate limit acted on %d queries, one of them from %s", limited - self._logged, self._source
        )
        self._logged, self._logged_at = limited, now

    def _limited(self) -> tuple[int, str]:
        """(queries so far, the address of one)."""
        found, source = 0, ""
        if self.limiter is not None:
            found, source = sum(self.limiter.counts.values()), self.limiter.last_limited
            if self._engine is not None:
                counts, address = self._engine.limited()
                found += sum(counts)
                source = str(ip_address(address)) if address else source
        return found, source


def read_secrets(path: str) -> list[bytes]:
    """The secrets in a file: 32 hex digits on each line; empty lines and `#` comments are left out. Raises
    BadSecrets."""
    try:
        lines = read_regular(path).decode("ascii", "replace").splitlines()
    except OSError as error:
        raise BadSecrets(f"cannot read {path}: {error.strerror or error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if text and not _SECRET.fullmatch(text):
            raise BadSecrets(f"{path}:{number}: expected {2 * SECRET_OCTETS} hex digits, found something else")
        if text:
            found.append(bytes.fromhex(text))
    if not 0 < len(found) <= MAX_SECRETS:
        raise BadSecrets(f"{path}: expected 1 to {MAX_SECRETS} secrets, found {len(found)}")
    return found


def _rate_limit(settings: RateLimitSettings) -> RateLimit:
    return RateLimit(settings.per_second, settings.burst, settings.slip, settings.log_only, settings.exempt)


def _time_budget(settings: RateLimitSettings) -> RateLimit:
    return RateLimit(TIME_A_SECOND, TIME_AT_ONCE, 0, settings.log_only, settings.exempt)
