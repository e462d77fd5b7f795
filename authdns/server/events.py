"""What happened to zones, kept in the store: those lines of the log that say of which zone they are.

A line is such a one if it was logged with `extra=about(apex)`. So the log and the events cannot say different things;
and the bound on lines that strangers can cause is one on events as well.
"""

import asyncio
import logging
import sqlite3
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from authdns.server.log import log
from authdns.server.versions import Versions
from authdns.store import Event

MOST_WAITING = 10_000  # more in a turn are not kept; the log has them
FLUSH_SECONDS = 0.5


def about(apex: bytes) -> dict[str, bytes]:
    """For `extra` of a line of the log: it belongs to that zone."""
    return {"apex": apex}


class EventKeeper(logging.Handler):
    """Hands lines to the worker, which alone writes to the store, some at a time."""

    def __init__(self, versions: Versions, worker: ThreadPoolExecutor) -> None:
        super().__init__(logging.INFO)
        self._versions = versions
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Event] = deque()
        self._scheduled = False
        self._finished = False
        log.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        apex = getattr(record, "apex", None)
        if apex is None or len(self._waiting) >= MOST_WAITING:
            return
        self._waiting.append(Event(apex, int(record.created), record.levelname.lower(), record.getMessage()))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._loop.call_later, FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        if not self._finished:
            self._scheduled = False
            self._worker.submit(self._write)

    def _write(self) -> None:
        events = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not events:
            return
        store = self._versions.store
        try:
            store.add_events(events, int(time.time()), self._versions.keep)
        except sqlite3.Error as error:
            log.error("cannot write %s: %s", store.path, error)

    def finish(self) -> None:
        """What is waiting is written; nothing more is taken."""
        log.removeHandler(self)
        self._finished = True
        self._worker.submit(self._write)
