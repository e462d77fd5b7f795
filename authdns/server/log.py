"""Logging: lines for people or JSON lines, and a bound on the lines that strangers can cause."""

import atexit
import contextlib
import json
import logging
import os
import queue
import sys
import threading
import time
from typing import ClassVar, Literal, TextIO

STRANGER_LINES_A_SECOND = 10
QUEUED_LINES = 10_000  # that wait to be written
FINISH_SECONDS = 2.0

log = logging.getLogger("authdns")  # what operators did and want to know
stranger_log = logging.getLogger("authdns.strangers")  # what anybody on the network can cause
fault_log = logging.getLogger("authdns.faults")  # the same, but it is ours to mend: refusals must not crowd it out


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


class BackgroundHandler(logging.Handler):
    """Writes from a thread of its own. A terminal that was stopped, or a collector that does not read, must not stop
    the event loop; what cannot be written meanwhile is counted and left out."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self._lines: queue.Queue[str] = queue.Queue(QUEUED_LINES)
        self._left_out = 0
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        lines = f"{self.format(record)}\n"
        if self._left_out:
            message = f"{self._left_out} lines before this one could not be written"
            left_out = {"levelno": logging.WARNING, "levelname": "WARNING", "msg": message}
            lines = f"{self.format(logging.makeLogRecord(left_out))}\n{lines}"
        try:
            self._lines.put_nowait(lines)
            self._left_out = 0
        except queue.Full:
            self._left_out += 1

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            with contextlib.suppress(OSError, ValueError):
                self.stream.write(line)
                self.stream.flush()
            self._lines.task_done()

    def finish(self) -> None:
        """At the end of the process: waits a moment for what is still to be written."""
        deadline = time.monotonic() + FINISH_SECONDS
        while self._lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)


def _log_thread_failure(failure: threading.ExceptHookArgs) -> None:
    """What a thread of a library died of goes where everything goes, in the same form."""
    name = "unknown" if failure.thread is None else failure.thread.name
    value = failure.exc_value or failure.exc_type()
    fault_log.error("the thread %s failed", name, exc_info=(failure.exc_type, value, failure.exc_traceback))


def configure(form: Literal["human", "json"], level: str) -> None:
    """To standard error. A person in a terminal wants the time; the journal adds it itself."""
    handler = next((known for known in log.handlers if isinstance(known, BackgroundHandler)), None)
    if handler is None:
        handler = BackgroundHandler(sys.stderr)
        atexit.register(handler.finish)
    if form == "json":
        handler.setFormatter(JsonFormatter())
    elif _is_journal(handler.stream):
        handler.setFormatter(JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S"))
    handler.setLevel(level.upper())
    if handler not in log.handlers:
        log.addHandler(handler)
    log.setLevel(min(handler.level, logging.INFO))  # events (server/events) are kept whatever is shown
    log.propagate = False
    others = logging.getLogger()  # what libraries say (watchdog, asyncio) has the same form
    if handler not in others.handlers:
        others.addHandler(handler)
    threading.excepthook = _log_thread_failure
    for limited in (stranger_log, fault_log):
        if not limited.filters:
            limited.addFilter(AtMost())
