"""AWS IoT SQL by the tables of its reference: conditions, CASE, what is Undefined, and what is refused.

Not proved here: that AWS keeps to its tables, and that rules are run so (test_rules_extension.py).
"""

import base64
import json
from typing import Any

import pytest

from pm_sandbox.cloud import rule_sql
from pm_sandbox.cloud.rule_sql import UNDEFINED, Message, SqlError

FIELDS = {"n": 2, "f": 2.0, "s": "2", "yes": True, "text": "True", "none": None, "list": [1], "in": {"a": {"b": 1}}}


def value(expression: str, payload: bytes = json.dumps(FIELDS).encode(), topic: str = "pm/lindau/air-1/reading") -> Any:
    statement = rule_sql.parse(f"SELECT {expression} AS v FROM '#'")
    event = statement.event(Message.of(topic, payload, "client", "principal", "trace"))
    assert isinstance(event, dict)
    return event.get("v", UNDEFINED)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # "= operator": nothing is converted; what is not there makes it Undefined.
        *(("n = 2", True), ("n = f", True), ("n = s", False), ("s = '2'", True), ("yes = true", True)),
        *(("yes = text", False), ("none = null", True), ("none = 'x'", False), ("list = s", False)),
        *(("gone = 1", UNDEFINED), ("1 = gone", UNDEFINED), ("gone = gone", UNDEFINED), ("in.a.c = 1", UNDEFINED)),
        *(("n <> s", True), ("n <> f", False), ("none <> none", False), ("gone <> 'x'", UNDEFINED)),
        # Order converts to numbers.
        *(("n < 3", True), ("s < 3", True), ("s >= '2'", True), ("text > 1", UNDEFINED), ("yes > 0", UNDEFINED)),
        *(("gone > 1", UNDEFINED), ("none < 1", UNDEFINED), ("n <= 1", False), ("n > 1.5", True)),
        # Boolean operands, or texts that say so; "Other value: Undefined" holds for each side.
        *(("yes AND text", True), ("yes AND n", UNDEFINED), ("false AND gone", UNDEFINED)),
        *(("true OR gone", UNDEFINED), ("false OR yes", True), ("NOT yes", False), ("NOT gone", UNDEFINED)),
        *(("NOT n = 3 AND yes", True), ("yes OR yes AND false", True), ("(yes OR yes) AND false", False)),
        # CASE, and the one function that is never Undefined.
        *(("CASE n WHEN 1 THEN 'a' WHEN 2 THEN 'b' END", "b"), ("CASE n WHEN 1 THEN 'a' END", UNDEFINED)),
        *(("CASE n WHEN 1 THEN 'a' ELSE 'c' END", "c"), ("CASE gone WHEN 1 THEN 'a' ELSE 'c' END", UNDEFINED)),
        *(("CASE n WHEN gone THEN 1 ELSE 2 END", 2), ("isUndefined(gone)", True), ("isUndefined(none)", False)),
        *(("isUndefined(gone = 1)", True), ("isUndefined(in.a.b)", False)),
        *(("topic()", "pm/lindau/air-1/reading"), ("topic(3)", "air-1"), ("topic(9)", UNDEFINED)),
        *(("topic(0)", UNDEFINED), ("topic(s)", UNDEFINED)),
        *(("clientid()", "client"), ("principal()", "principal"), ("traceid()", "trace"), ("'it''s'", "it's")),
        *(("encode(s, 'base64')", "Mg=="), ("encode(n, 'base64')", UNDEFINED), ("encode(s, 'hex')", UNDEFINED)),
    ],
)  # fmt: skip
def test_an_expression_is_what_the_tables_say(expression: str, expected: Any) -> None:
    found = value(expression)
    assert found is expected if isinstance(expected, bool) or expected is UNDEFINED else found == expected


@pytest.mark.parametrize("payload", [b"\xff\x00", b"", b"text", b"[1]", b"{", b"7", b"[" * 60_000 + b"]" * 60_000])
def test_a_payload_that_is_no_object_has_no_fields_and_goes_on_as_it_came(payload: bytes) -> None:
    assert value("isUndefined(n)", payload) is True
    assert value("encode(*, 'base64')", payload) == base64.b64encode(payload).decode()
    message = Message.of("a", payload)
    assert rule_sql.parse("SELECT * FROM 'a'").event(message) == payload
    assert not rule_sql.parse("SELECT * FROM 'a' WHERE n = 2").takes(message)
    assert not rule_sql.parse("SELECT * FROM 'a' WHERE n <> 2").takes(message)


def test_what_is_undefined_is_left_out_and_an_attribute_has_its_last_name() -> None:
    statement = rule_sql.parse("SELECT in.a.b, gone, topic(1) AS root FROM 'pm/+'")
    assert statement.topic_filter == "pm/+"
    assert statement.event(Message.of("pm/x", json.dumps(FIELDS).encode())) == {"b": 1, "root": "pm"}


def test_who_sent_it_is_told_as_far_as_it_is_known() -> None:
    statement = rule_sql.parse("SELECT clientid() AS c, principal() AS p, timestamp() AS t, newuuid() AS u FROM 'a'")
    event = statement.event(Message.of("a", b"{}"))
    assert isinstance(event, dict)
    assert event["c"] == "n/a"
    assert set(event) == {"c", "t", "u"}


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("", "found 'nothing', allowed is SELECT"),
        ("SELECT * FROM a", "allowed is a topic filter in single quotes"),
        ("SELECT *", "allowed is FROM"),
        ("SELECT *, n FROM 'a'", "allowed is FROM"),
        ("SELECT n, 1 FROM 'a'", "has no name"),
        ("SELECT n AS select FROM 'a'", "allowed is a name"),
        ("SELECT n AS FROM 'a'", "allowed is a name"),
        ("SELECT * FROM 'a' WHERE", "'nothing' is not honoured"),
        ("SELECT * FROM 'a' WHERE n LIKE 'x'", "'LIKE' is not honoured"),
        ("SELECT * FROM 'a' WHERE n == 1", "'=' is not honoured"),
        ("SELECT * FROM 'a' WHERE n != 1", "'!= 1' is not honoured"),
        ("SELECT * FROM 'a' WHERE n + 1 = 2", "is not honoured"),
        ("SELECT * FROM 'a' WHERE (n = 1", "allowed is )"),
        ("SELECT * FROM 'a' WHERE n AND", "'nothing' is not honoured"),
        ("SELECT * FROM 'a' WHERE CASE n END", "CASE needs a WHEN"),
        ("SELECT * FROM 'a' WHERE CASE n WHEN 1 END", "allowed is THEN"),
        ("SELECT * FROM 'a' WHERE upper(n) = 'A'", r"SQL function upper() is not honoured"),
        ("SELECT * FROM 'a' WHERE isUndefined()", "found 0 arguments"),
        ("SELECT * FROM 'a' WHERE 'x", "is not honoured"),
        (f"SELECT * FROM 'a' WHERE {'(' * 2000}n", "nested more than 100 times"),
    ],
)
def test_what_is_not_known_is_refused_by_name(sql: str, told: str) -> None:
    with pytest.raises(SqlError) as refused:
        rule_sql.parse(sql)
    assert told in str(refused.value)
