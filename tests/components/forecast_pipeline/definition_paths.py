"""The writers of what a state machine reads: its paths, followed through all states and branches.

A shape says which fields are there on every way that leads to a state, and which states wrote them. Where two ways
meet, what only one of them has is gone. A path that finds nothing in a shape is missing on some way.

Honoured is what the project's definitions use; any other state, path or function is an error, so that nothing is
skipped: no Map, no wildcard, no JSONata.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

#: Members of an execution's context object: "Accessing execution data from the Context object", developer guide.
CONTEXT = {
    "Execution": {"Id": "", "Name": "", "StartTime": "", "RoleArn": ""},
    "State": {"Name": "", "EnteredTime": ""},
}
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_ARGUMENT = re.compile(r"'(?:[^'\\]|\\.)*'|(\$[\w.$\[\]]*)")
_OPERANDS = re.compile(r"Path$")


class Shape(NamedTuple):
    """The known content of a value."""

    writers: frozenset[str]
    fields: Mapping[str, "Shape"] | None = None
    """Of an object, what it has on every way."""
    items: tuple["Shape", ...] | None = None
    """Of a list, the items that it has on every way."""

    @classmethod
    def of(cls, value: Any, writer: str) -> "Shape":
        """The shape of an example that `writer` wrote."""
        writers = frozenset({writer})
        if isinstance(value, Mapping):
            return cls(writers, {key: cls.of(inner, writer) for key, inner in value.items()})
        if isinstance(value, list | tuple):
            return cls(writers, items=tuple(cls.of(inner, writer) for inner in value))
        return cls(writers)

    def meet(self, other: "Shape") -> "Shape":
        """The common part of both."""
        writers = self.writers | other.writers
        if self.fields is not None and other.fields is not None:
            common = self.fields.keys() & other.fields.keys()
            return Shape(writers, {key: self.fields[key].meet(other.fields[key]) for key in sorted(common)})
        if self.items is not None and other.items is not None:
            pairs = zip(self.items, other.items, strict=False)
            return Shape(writers, items=tuple(one.meet(two) for one, two in pairs))
        return Shape(writers)

    def step(self, key: str | int) -> "Shape | None":
        """The value below a field or an index; None if it may be missing."""
        if isinstance(key, int):
            return self.items[key] if self.items is not None and key < len(self.items) else None
        return self.fields.get(key) if self.fields is not None else None

    def put(self, keys: Sequence[str | int], value: "Shape") -> "Shape":
        """The shape with `value` put where the keys lead."""
        if not keys:
            return value
        key, *rest = keys
        assert isinstance(key, str), "results are put into fields"
        inner = self.step(key) or Shape(value.writers, {})
        return Shape(self.writers, {**(self.fields or {}), key: inner.put(rest, value)})


class Read(NamedTuple):
    """A path that a state reads."""

    state: str
    field: str
    path: str
    writers: frozenset[str] | None
    """The states that wrote it, on all ways; None if there is a way without it."""


#: The shape of what a task answers, from its name, its definition and the shape of what it is given.
Answer = Callable[[str, Mapping[str, Any], Shape], Shape]


def reads(definition: Mapping[str, Any], given: Any, answer: Answer) -> list[Read]:
    """Every path that the states read, and who wrote it.

    Args:
        definition: Amazon States Language.
        given: an example of the execution's input.
        answer: of tasks.
    """
    analysis = _Analysis(answer)
    analysis.run(definition, Shape.of(given, "the execution's input"))
    return sorted(analysis.found.values(), key=lambda read: (read.state, read.field, read.path))


class _Analysis:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.found: dict[tuple[str, str, str], Read] = {}
        self._present: set[str] = set()
        self._name = ""

    def run(self, machine: Mapping[str, Any], given: Shape) -> Shape | None:
        """Follow all ways through a state machine or a branch: the shape of its output, None if it has none."""
        states, arriving = machine["States"], {machine["StartAt"]: given}
        waiting, output = deque([machine["StartAt"]]), None
        while waiting:
            name = waiting.popleft()
            for following, shape in self._leave(name, states[name], arriving[name]):
                if following is None:
                    output = shape if output is None else output.meet(shape)
                    continue
                met = shape if following not in arriving else arriving[following].meet(shape)
                if following not in arriving or met != arriving[following]:
                    arriving[following] = met
                    waiting.append(following)
        unreached = states.keys() - arriving.keys()
        assert not unreached, f"no way leads to {sorted(unreached)}"
        return output

    def _leave(self, name: str, state: Mapping[str, Any], given: Shape) -> Iterator[tuple[str | None, Shape]]:
        """The states that follow, each with what arrives there; None for the end."""
        self._name = name
        kind = state["Type"]
        unknown = state.keys() - _HONOURED[kind]
        assert not unknown, f"{', '.join(sorted(unknown))} of state {name} is not analysed"
        if kind == "Fail":
            for field in ("ErrorPath", "CausePath"):
                if field in state:
                    self._value(field, state[field], given)
            return
        if kind == "Choice":
            for choice in state["Choices"]:
                self._present = set()
                self._rule(choice, given)
                yield choice["Next"], given
            if "Default" in state:
                yield state["Default"], given
            return
        following = None if kind == "Succeed" or state.get("End") else state["Next"]
        if kind in ("Wait", "Succeed"):
            yield following, given
            return
        taken = self._template("Parameters", state["Parameters"], given) if "Parameters" in state else given
        result = self._result(name, state, taken)
        # A branch has been followed meanwhile.
        self._name = name
        if result is not None:
            if "ResultSelector" in state:
                result = self._template("ResultSelector", state["ResultSelector"], result)
            placed = self._placed(state.get("ResultPath", "$"), given, result)
            yield following, self._value("OutputPath", state.get("OutputPath", "$"), placed)
        for catcher in state.get("Catch", ()):
            error = Shape.of({"Error": "", "Cause": ""}, f"{name} (what is caught)")
            yield catcher["Next"], self._placed(catcher.get("ResultPath", "$"), given, error)

    def _result(self, name: str, state: Mapping[str, Any], taken: Shape) -> Shape | None:
        if state["Type"] == "Task":
            return self._answer(name, state, taken)
        if state["Type"] == "Pass":
            return taken
        outputs = [self.run(branch, taken) for branch in state["Branches"]]
        ended = [output for output in outputs if output is not None]
        return Shape(frozenset({name}), items=tuple(ended)) if len(ended) == len(outputs) else None

    def _rule(self, rule: Mapping[str, Any], given: Shape) -> None:
        """Note what a choice reads; below And, what was found present may be read after it."""
        for joined in ("And", "Or", "Not"):
            if joined in rule:
                for inner in rule[joined] if isinstance(rule[joined], list) else [rule[joined]]:
                    self._rule(inner, given)
                    if joined == "And" and inner.get("IsPresent") is True:
                        self._present.add(inner["Variable"])
                return
        (operator,) = rule.keys() - {"Variable", "Next"}
        if operator != "IsPresent" and rule["Variable"] not in self._present:
            self._value("Variable", rule["Variable"], given)
        if _OPERANDS.search(operator):
            self._value(operator, rule[operator], given)

    def _placed(self, path: str | None, given: Shape, result: Shape) -> Shape:
        return given if path is None else given.put(_keys(path), result)

    def _template(self, field: str, template: Any, data: Shape) -> Shape:
        """The shape of a payload template, and note what it reads."""
        writers = frozenset({self._name})
        if isinstance(template, list):
            return Shape(writers, items=tuple(self._template(field, inner, data) for inner in template))
        if not isinstance(template, Mapping):
            return Shape(writers)
        made: dict[str, Shape] = {}
        for key, value in template.items():
            inner = f"{field}.{key}"
            if key.endswith(".$"):
                made[key.removesuffix(".$")] = self._value(inner, value, data)
            else:
                made[key] = self._template(inner, value, data)
        return Shape(writers, made)

    def _value(self, field: str, expression: str, data: Shape) -> Shape:
        """The shape of what a path or an intrinsic function gives, and note what it reads."""
        if expression.startswith("$"):
            return self._read(field, expression, data)
        assert expression.startswith("States."), f"{field}: {expression}"
        for argument in _ARGUMENT.findall(expression):
            if argument:
                self._read(field, argument, data)
        return Shape(frozenset({self._name}))

    def _read(self, field: str, path: str, data: Shape) -> Shape:
        source = Shape.of(CONTEXT, "Step Functions") if path.startswith("$$") else data
        place: Shape | None = source
        for key in _keys(path.removeprefix("$$").removeprefix("$")):
            place = place.step(key) if place is not None else None
        if path != "$":
            entry = Read(self._name, field, path, place.writers if place else None)
            # A later pass knows of more ways.
            self.found[self._name, field, path] = entry
        return place or Shape(frozenset())


_COMMON = {"Type", "Comment", "Next", "End"}
_HONOURED = {
    "Task": _COMMON
    | {"Resource", "Parameters", "ResultSelector", "ResultPath", "OutputPath", "Retry", "Catch", "TimeoutSeconds"},
    "Parallel": _COMMON | {"Branches", "Parameters", "ResultSelector", "ResultPath", "OutputPath", "Retry", "Catch"},
    "Pass": _COMMON | {"Parameters", "ResultPath", "OutputPath"},
    "Choice": {"Type", "Comment", "Choices", "Default"},
    "Wait": _COMMON | {"Seconds"},
    "Succeed": _COMMON,
    "Fail": {"Type", "Comment", "Error", "Cause", "ErrorPath", "CausePath"},
}


def _keys(path: str) -> list[str | int]:
    """The fields and indices of a path."""
    rest = path.removeprefix("$")
    assert _STEP.sub("", rest) == "", f"path {path!r} is not analysed"
    return [field or int(index) for field, index in _STEP.findall(rest)]


def missing(found: Sequence[Read]) -> list[str]:
    """A line for each path that is missing on some way."""
    return [f"{read.state}: {read.field} {read.path}" for read in found if read.writers is None]


def table(found: Sequence[Read]) -> str:
    """The writers by path, for people."""
    return json.dumps([[*read[:3], sorted(read.writers or ["NOBODY"])] for read in found], indent=1)
