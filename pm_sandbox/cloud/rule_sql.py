"""AWS IoT SQL: a rule's statement, parsed once, and what it makes of a message. Pure.

Source: "AWS IoT SQL reference" of the AWS IoT Core developer guide, whose tables are followed to the letter: an
operator that has no row for its operands answers Undefined, also AND and OR with one Undefined operand. Where AWS may
be kinder than its tables, nobody should count on it. What is not known here is refused when the rule is made.
"""

import base64
import re
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

#: Not a value: of a field that is not there, and of an operator that cannot use its operands ("Data types").
UNDEFINED = type("Undefined", (), {"__repr__": lambda _: "Undefined"})()
#: Deeper statements and messages than a person writes are refused, not followed.
_MAXIMUM_DEPTH = 100

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>\d+(?:\.\d+)?)|(?P<word>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
    r"|(?P<sign><>|<=|>=|[=<>(),*]))"
)
_KEYWORDS = frozenset(["AND", "AS", "CASE", "ELSE", "END", "FROM", "NOT", "OR", "SELECT", "THEN", "WHEN", "WHERE"])
_CONSTANTS = {"TRUE": True, "FALSE": False, "NULL": None}
_COMPARISONS = ("=", "<>", "<=", ">=", "<", ">")


class SqlError(ValueError):
    """A statement that is not honoured; the text says why."""


class Message(NamedTuple):
    """A published message, and who published it."""

    topic: str
    payload: bytes
    content: Any
    """The payload's JSON value; `UNDEFINED` where it is none."""
    client_id: str = ""
    principal: str = ""
    trace_id: str = ""

    @classmethod
    def of(cls, topic: str, payload: bytes, client_id: str = "", principal: str = "", trace_id: str = "") -> "Message":
        """The message of a payload."""
        try:
            content = msgspec.json.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            content = UNDEFINED
        return cls(topic, payload, content, client_id, principal, trace_id)


_Expression = Callable[[Message], Any]


class Statement(NamedTuple):
    """A statement, ready to be asked."""

    topic_filter: str
    selected: tuple[tuple[str, _Expression], ...]
    """Names and values of a message of its own; none for `SELECT *`, by which the message goes on as it came."""
    where: _Expression | None

    def takes(self, message: Message) -> bool:
        """True if the actions are done: the condition is true, neither false nor Undefined."""
        return self.where is None or _boolean(self.where(message)) is True

    def event(self, message: Message) -> dict[str, Any] | bytes:
        """The result of SELECT: the payload as it came, or an object without what is Undefined."""
        if not self.selected:
            return message.payload
        values = ((name, value(message)) for name, value in self.selected)
        return {name: value for name, value in values if value is not UNDEFINED}


def parse(text: str) -> Statement:
    """The statement in `text`.

    Raises:
        SqlError: if it is none, or has what is not honoured here; the text says what.
    """
    return _Parser(text).statement()


class _Parser:
    """Recursive descent, an operator's precedence a method: OR, AND, NOT, comparisons."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at, text = 0, text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise SqlError(f"SQL: {text[at : at + 20].strip()!r} is not honoured here")
            assert found.lastgroup is not None  # noqa: S101 - each alternative has a name
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()
        self._next = 0
        self._depth = 0

    def statement(self) -> Statement:
        self._expect("SELECT")
        selected = () if self._take("*") else self._selected()
        self._expect("FROM")
        kind, topic_filter = self._tokens[self._next] if self._next < len(self._tokens) else ("", "nothing")
        if kind != "string":
            raise SqlError(f"SQL: found {topic_filter} after FROM, allowed is a topic filter in single quotes")
        self._next += 1
        where = self._expression() if self._take("WHERE") else None
        if self._next < len(self._tokens):
            raise SqlError(f"SQL: {self._tokens[self._next][1]!r} is not honoured here")
        return Statement(_string(topic_filter), selected, where)

    def _selected(self) -> tuple[tuple[str, _Expression], ...]:
        items = []
        while True:
            began = self._next
            value = self._expression()
            kind, word = self._tokens[began]
            name = self._word("a name") if self._take("AS") else word.rsplit(".", 1)[-1] if kind == "word" else ""
            if not name:
                raise SqlError(f"SQL: {word} in SELECT has no name: AS")
            items.append((name, value))
            if not self._take(","):
                return tuple(items)

    def _expression(self) -> _Expression:
        self._depth += 1
        if self._depth > _MAXIMUM_DEPTH:
            raise SqlError(f"SQL: nested more than {_MAXIMUM_DEPTH} times")
        expression = self._chain("OR", lambda: self._chain("AND", self._negation, all), any)
        self._depth -= 1
        return expression

    def _chain(self, word: str, operand: Callable[[], _Expression], of: Callable[[list[bool]], bool]) -> _Expression:
        operands = [operand()]
        while self._take(word):
            operands.append(operand())
        if len(operands) == 1:
            return operands[0]

        def evaluate(message: Message) -> Any:
            values = [_boolean(one(message)) for one in operands]
            return UNDEFINED if UNDEFINED in values else of(values)

        return evaluate

    def _negation(self) -> _Expression:
        if not self._take("NOT"):
            return self._comparison()
        operand = self._negation()

        def evaluate(message: Message) -> Any:
            value = _boolean(operand(message))
            return UNDEFINED if value is UNDEFINED else not value

        return evaluate

    def _comparison(self) -> _Expression:
        left = self._primary()
        sign = next((sign for sign in _COMPARISONS if self._take(sign)), "")
        if not sign:
            return left
        right = self._primary()
        return lambda message: _compared(sign, left(message), right(message))

    def _primary(self) -> _Expression:
        if self._take("("):
            inner = self._expression()
            self._expect(")")
            return inner
        if self._take("CASE"):
            return self._case()
        kind, text = self._tokens[self._next] if self._next < len(self._tokens) else ("sign", "nothing")
        self._next += 1
        if kind == "string":
            return _constant(_string(text))
        if kind == "number":
            return _constant(float(text) if "." in text else int(text))
        if kind != "word" or text.upper() in _KEYWORDS:
            raise SqlError(f"SQL: {text!r} is not honoured here")
        if self._take("("):
            return self._call(text)
        if text.upper() in _CONSTANTS:
            return _constant(_CONSTANTS[text.upper()])
        path = text.split(".")
        return lambda message: _attribute(message.content, path)

    def _case(self) -> _Expression:
        value = self._expression()
        branches = []
        while self._take("WHEN"):
            wanted = self._expression()
            self._expect("THEN")
            branches.append((wanted, self._expression()))
        if not branches:
            raise SqlError("SQL: CASE needs a WHEN")
        otherwise = self._expression() if self._take("ELSE") else _constant(UNDEFINED)
        self._expect("END")

        def evaluate(message: Message) -> Any:
            found = value(message)
            if found is UNDEFINED:
                return UNDEFINED
            for wanted, then in branches:
                if _compared("=", found, wanted(message)) is True:
                    return then(message)
            return otherwise(message)

        return evaluate

    def _call(self, name: str) -> _Expression:
        arguments: list[_Expression] = []
        if not self._take(")"):
            while True:
                arguments.append(_payload if self._take("*") else self._expression())
                if not self._take(","):
                    break
            self._expect(")")
        known = _FUNCTIONS.get(name.lower())
        if known is None:
            raise SqlError(f"SQL function {name}() is not honoured here; honoured are {', '.join(sorted(_FUNCTIONS))}")
        if len(arguments) not in known.arguments:
            raise SqlError(f"SQL function {name}(): found {len(arguments)} arguments, allowed are {known.arguments}")
        return lambda message: known.answer(message, [one(message) for one in arguments])

    def _take(self, wanted: str) -> bool:
        if self._next < len(self._tokens):
            kind, text = self._tokens[self._next]
            if (text.upper() if kind == "word" else text) == wanted and kind != "string":
                self._next += 1
                return True
        return False

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            found = self._tokens[self._next][1] if self._next < len(self._tokens) else "nothing"
            raise SqlError(f"SQL: found {found!r}, allowed is {wanted}")

    def _word(self, what: str) -> str:
        kind, text = self._tokens[self._next] if self._next < len(self._tokens) else ("", "nothing")
        if kind != "word" or text.upper() in _KEYWORDS:
            raise SqlError(f"SQL: found {text!r}, allowed is {what}")
        self._next += 1
        return text


class _Function(NamedTuple):
    """A function: how many arguments it takes, and its answer to them."""

    arguments: tuple[int, ...]
    answer: Callable[[Message, Sequence[Any]], Any]


def _topic(message: Message, arguments: Sequence[Any]) -> Any:
    if not arguments:
        return message.topic
    levels = message.topic.split("/")
    (number,) = arguments
    return levels[number - 1] if isinstance(number, int) and 1 <= number <= len(levels) else UNDEFINED


def _encode(_: Message, arguments: Sequence[Any]) -> Any:
    value, scheme = arguments
    if scheme != "base64" or not isinstance(value, str | bytes):
        return UNDEFINED
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


_FUNCTIONS = {
    # The client's id, "or n/a if the message wasn't sent over MQTT".
    "clientid": _Function((0,), lambda message, _: message.client_id or "n/a"),
    "encode": _Function((2,), _encode),
    "isundefined": _Function((1,), lambda _, arguments: arguments[0] is UNDEFINED),
    "newuuid": _Function((0,), lambda *_: str(uuid.uuid4())),
    "principal": _Function((0,), lambda message, _: message.principal or UNDEFINED),
    "timestamp": _Function((0,), lambda *_: int(time.time() * 1000)),
    "topic": _Function((0, 1), _topic),
    "traceid": _Function((0,), lambda message, _: message.trace_id or UNDEFINED),
}


def _compared(sign: str, left: Any, right: Any) -> Any:
    """The tables of "Operators": equality does not convert, order converts to numbers, and Undefined stays so."""
    if left is UNDEFINED or right is UNDEFINED:
        return UNDEFINED
    if sign in ("=", "<>"):
        return (_kind(left) == _kind(right) and left == right) is (sign == "=")
    low, high = _number(left), _number(right)
    if low is UNDEFINED or high is UNDEFINED:
        return UNDEFINED
    return {"<": low < high, ">": low > high, "<=": low <= high, ">=": low >= high}[sign]


def _kind(value: Any) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _boolean(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value if isinstance(value, bool) else UNDEFINED


def _number(value: Any) -> Any:
    """A number, and a text that is one by the pattern of "Conversions"."""
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?([eE]-?\d+)?", value):
        return float(value)
    return value if _kind(value) is float else UNDEFINED


def _attribute(content: Any, path: Sequence[str]) -> Any:
    for name in path:
        if not isinstance(content, dict) or name not in content:
            return UNDEFINED
        content = content[name]
    return content


def _constant(value: Any) -> _Expression:
    return lambda _: value


def _payload(message: Message) -> bytes:
    return message.payload


def _string(quoted: str) -> str:
    return quoted[1:-1].replace("''", "'")
