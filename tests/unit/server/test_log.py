"""Logging: JSON lines, and a bound on what strangers can cause."""

import json
import logging

from authdns.server.log import AtMost, JsonFormatter


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
