"""Logging: lines for people or JSON lines, and a bound on the lines that strangers can cause."""

import json
import logging
import os
import time
from typing import ClassVar, Literal, TextIO

STRANGER_LINES_A_SECOND = 10

log = logging.getLogger("authdns")  # what operators did and want to know
stranger_log = logging.getLogger("authdns.strangers")  # what anybody on the network can cause


class JsonFormatter(logging.Formatter):
    """One object a line: time (ISO 8601, UTC), level, message."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


class AtMost(logging.Filter):
    """Lets through so many records a second, then counts, and says how many it left out when it goes on."""

    def __init__(self, a_second: int = STRANGER_LINES_A_SECOND) -> None:
        super().__init__()
        self._a_second = a_second
        self._second = 0
        self._passed = 0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        second = int(record.created)
        if second != self._second:
            self._second, self._passed = second, 0
            if self._left_out:
                record.msg = f"{record.getMessage()} ({self._left_out} similar lines were left out before)"
                record.args = None
                self._left_out = 0
        if self._passed >= self._a_second:
            self._left_out += 1
            return False
        self._passed += 1
        return True


class JournalFormatter(logging.Formatter):
    """For systemd's journal, which keeps the time itself and reads the priority from the front (sd-daemon(3))."""

    _PRIORITY: ClassVar[dict[int, int]] = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}

    def format(self, record: logging.LogRecord) -> str:
        mark = f"<{self._PRIORITY.get(record.levelno, 3)}>"
        return "\n".join(mark + line for line in super().format(record).split("\n"))


def _is_journal(stream: TextIO) -> bool:
    """True if `stream` is the one that systemd made for the journal (JOURNAL_STREAM in systemd.exec(5))."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def configure(form: Literal["human", "json"], level: str) -> None:
    """To standard error. A person in a terminal wants the time; the journal adds it itself."""
    handler = logging.StreamHandler()
    if form == "json":
        handler.setFormatter(JsonFormatter())
    elif _is_journal(handler.stream):
        handler.setFormatter(JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
    log.handlers[:] = [handler]
    log.setLevel(level.upper())
    log.propagate = False
    stranger_log.filters[:] = [AtMost()]
