"""Logging: JSON lines, and a bound on what strangers can cause."""

import json
import logging
import os
import subprocess
import sys
import threading

import pytest

from authdns.server.log import (
    QUEUED_LINES,
    AtMost,
    BackgroundHandler,
    JsonFormatter,
    _log_thread_failure,
    fault_log,
)


def record(created: float, message: str = "line %d", *arguments: object) -> logging.LogRecord:
    made = logging.LogRecord("authdns", logging.WARNING, "", 0, message, arguments or (1,), None)
    made.created, made.msecs = created, (created % 1) * 1000
    return made


def test_so_many_lines_a_second_pass_and_the_rest_is_counted() -> None:
    at_most = AtMost(3)
    assert [at_most.filter(record(100.0 + i / 100)) for i in range(5)] == [True, True, True, False, False]
    following = record(101.0)
    assert at_most.filter(following)
    assert following.getMessage() == "line 1 (2 similar lines were left out before)"
    quiet = record(102.0)
    assert at_most.filter(quiet)
    assert quiet.getMessage() == "line 1"


def test_a_json_line_has_time_level_and_message() -> None:
    line = JsonFormatter().format(record(1.5, 'a "quoted" %s', "é\n"))
    assert "\n" not in line
    assert json.loads(line) == {"time": "1970-01-01T00:00:01.500Z", "level": "warning", "message": 'a "quoted" é\n'}


def test_a_stream_that_nobody_reads_stops_nobody() -> None:
    read, write = os.pipe()
    with os.fdopen(read, "rb"), os.fdopen(write, "w") as stream:
        handler = BackgroundHandler(stream)
        handler.setFormatter(logging.Formatter("%(message)s"))
        for _ in range(QUEUED_LINES + 100):
            handler.emit(record(1.0, "%s", "x" * 1000))
        assert handler._left_out > 0
        os.set_blocking(read, False)
        while handler._lines.unfinished_tasks:
            try:
                os.read(read, 1 << 20)
            except BlockingIOError:
                pass
        handler.emit(record(1.0, "%s", "again"))
        handler.finish()
        assert b"lines before this one could not be written\nagain\n" in os.read(read, 1 << 20)


def test_a_thread_that_dies_is_logged_in_the_same_form(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(fault_log, "error", lambda message, *arguments, exc_info: said.append(message % arguments))
    thread = threading.Thread(target=lambda: 1 / 0, name="some library")
    monkeypatch.setattr(threading, "excepthook", _log_thread_failure)
    thread.start()
    thread.join()
    assert said == ["the thread some library failed"]


def test_what_libraries_say_has_the_same_form() -> None:
    """In a process of its own: the root logger here belongs to pytest."""
    code = (
        "import logging; from authdns.server import log; log.configure('json', 'info');"
        "logging.getLogger('watchdog.observers').error('called when the thread is inactive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr)["message"] == "called when the thread is inactive"
