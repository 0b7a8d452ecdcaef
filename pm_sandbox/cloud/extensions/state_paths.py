"""Step Functions: a path that finds nothing ends the execution, as in AWS.

The emulator takes null for a field that is missing, writes results into what is no object, and lets a Catch take what
ends an execution in AWS. Here a path that finds nothing is the error `States.Runtime` with AWS's words, wherever a
state reads one: InputPath, OutputPath, Parameters, ItemSelector, ResultSelector, arguments of intrinsic functions,
the variable and the operand of a choice (but of IsPresent), SecondsPath, TimestampPath, ItemsPath, ErrorPath and
CausePath. A path or a field that cannot be honoured ends the execution too.

Sources: "Handling errors in Step Functions workflows", AWS Step Functions developer guide: `States.Runtime` always
fails the execution, and neither Retry nor Catch takes it; "Choice workflow state" for the operators.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ministack.services import stepfunctions

from pm_sandbox.cloud import seams

_RUNTIME = "States.Runtime"
_CONTEXT = "$$."
#: Errors that end an execution whatever its Retry and Catch say.
_TERMINAL = (_RUNTIME, "States.DataLimitExceeded")

_COMPARISONS = ("Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals")
#: Operators that the emulator evaluates; it would take any other operator for false.
_OPERATORS = {
    "BooleanEquals",
    "BooleanEqualsPath",
    "IsBoolean",
    "IsNull",
    "IsNumeric",
    "IsPresent",
    "IsString",
    "IsTimestamp",
    "StringEqualsPath",
    "StringMatches",
    *(f"{kind}{comparison}" for kind in ("String", "Numeric", "Timestamp") for comparison in _COMPARISONS),
    *(f"Numeric{comparison}Path" for comparison in _COMPARISONS),
}
#: Path fields of a state that the emulator does not look at.
_NOT_HONOURED = (
    "HeartbeatSecondsPath",
    "MaxConcurrencyPath",
    "TimeoutSecondsPath",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentagePath",
)


#: The function that is replaced, and its arguments.
_REPLACED = {
    "_apply_result_path_raw": ("result_path", "original", "result"),
    "_error_matches": ("error_equals", "error"),
    "_evaluate_intrinsic": ("expression", "data", "ctx"),
    "_evaluate_rule": ("rule", "data", "ctx"),
    "_execute_task": ("state_def", "raw_input", "execution", "ctx"),
    "_execute_wait": ("state_def", "raw_input", "ctx"),
    "_resolve_ctx_path": ("path", "ctx"),
    "_resolve_path": ("path", "data"),
    "_run_map_items": ("state_def", "raw_input", "execution", "ctx"),
}


class NothingThere(LookupError):
    """A path that finds nothing in the data."""


def _error(cause: str, name: str = _RUNTIME) -> Exception:
    error: Exception = stepfunctions._ExecutionError(name, cause)
    return error


def find(path: str, data: Any) -> Any:
    """Resolve a path.

    Args:
        path: from `$`; with `[*]` or `.*` it selects a list, which may be empty.
        data: what it selects from.

    Raises:
        NothingThere: if a field or an item is missing before the first wildcard.
        _ExecutionError: if the path is none that is honoured here.
    """
    values, projected = [data], False
    for kind, key in _tokens(path):
        if kind == "wildcard":
            projected = True
            values = [inner for value in values for inner in _inside(value)]
            continue
        found = [value[key] for value in values if _holds(value, kind, key)]
        if not found and not projected:
            raise NothingThere(path)
        values = found
    return values if projected else values[0]


def _tokens(path: str) -> list[tuple[str, Any]]:
    """The steps of a path: field, index or wildcard, and its key."""
    tokens: list[tuple[str, Any]] | None = stepfunctions._parse_jsonpath_tokens(path) if path.startswith("$") else None
    if tokens is None:
        raise _error(f"path {path!r} is not honoured here; honoured are fields, indices and wildcards from $")
    return tokens


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _holds(value: Any, kind: str, key: Any) -> bool:
    if kind == "field":
        return isinstance(value, Mapping) and key in value
    return kind == "index" and isinstance(value, list) and key < len(value)


def _resolve(path: str, data: Any) -> Any:
    """Resolve a path for the emulator; one that finds nothing ends the execution."""
    try:
        return find(path, data)
    except NothingThere:
        raise _error(f"The JSONPath '{path}' could not be found in the input '{json.dumps(data)}'") from None


def _resolve_context(path: str, context: Any) -> Any:
    """Resolve a path into the context object, `$$.`."""
    return _resolve(path[1:], context)


def _either(path: str, data: Any, context: Any) -> Any:
    return find(path[1:], context or {}) if path.startswith(_CONTEXT) else find(path, data)


def _choice(path: str, data: Any, context: Any) -> Any:
    """Resolve the value that a choice compares."""
    try:
        return _either(path, data, context)
    except NothingThere:
        raise _error(f"Invalid path '{path}': The choice state's condition path references an invalid value.") from None


def _check_rule(rule: Mapping[str, Any], data: Any, context: Any) -> bool | None:
    """Evaluate a rule that asks for presence; None for any other rule that can be evaluated."""
    operators = rule.keys() - {"Variable", "Next", "Comment", "Assign", "Output"}
    if "Variable" not in rule or len(operators) != 1 or not operators <= _OPERATORS:
        known = ", ".join(sorted(_OPERATORS))
        raise _error(f"choice {json.dumps(rule)} is not honoured here; honoured is Variable with one of {known}")
    (operator,) = operators
    if operator == "IsPresent":
        try:
            _either(rule["Variable"], data, context)
        except NothingThere:
            return not rule[operator]
        return bool(rule[operator])
    _choice(rule["Variable"], data, context)
    if operator.endswith("Path"):
        _choice(rule[operator], data, context)
    return None


def _result_at(path: str | None, original: Any, result: Any) -> Any:
    """The input with a result put where the path says.

    Raises:
        _ExecutionError: States.ResultPathMatchFailure where there is something on the way that takes no field.
    """
    output = copy.deepcopy(original)
    if path is None:
        return output
    tokens = _tokens(path)
    if not tokens:
        return result
    place = output
    for number, (kind, key) in enumerate(tokens):
        last = number == len(tokens) - 1
        if kind == "field" and isinstance(place, dict):
            place.setdefault(key, {})
        if not _holds(place, kind, key):
            name = "States.ResultPathMatchFailure"
            raise _error(f"Unable to apply ReferencePath {path} to input {json.dumps(original)}", name)
        if last:
            place[key] = result
        place = place[key]
    return output


def _check_wait(state: Mapping[str, Any], data: Any, context: Any) -> None:
    """Refuse what a Wait state cannot wait for.

    Raises:
        _ExecutionError: if seconds are no whole number from 0, or a time is none.
    """
    if "SecondsPath" in state:
        path = state["SecondsPath"]
        seconds = stepfunctions._resolve_path_or_ctx(path, data, context)
        if not isinstance(seconds, int) or isinstance(seconds, bool):
            raise _error(f"The SecondsPath parameter cannot be parsed as a long value: {path} == {json.dumps(seconds)}")
        if seconds < 0:
            raise _error(f"The SecondsPath parameter references a negative value: {path} == {seconds}")
    if "TimestampPath" in state:
        path = state["TimestampPath"]
        time = stepfunctions._resolve_path_or_ctx(path, data, context)
        if not stepfunctions._is_timestamp(time):
            raise _error(
                "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format "
                f"string: {path} == {json.dumps(time)}"
            )


def _check_fields(state: Mapping[str, Any]) -> None:
    found = [name for name in _NOT_HONOURED if name in state]
    if found:
        raise _error(f"{', '.join(found)} of a state is not honoured here")


def _intrinsic(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    """An intrinsic function whose failure has AWS's name."""

    def evaluate_intrinsic(expression: str, data: Any, ctx: Any) -> Any:
        try:
            return evaluate(expression, data, ctx)
        except stepfunctions._ExecutionError as error:
            raise _error(f"The function '{expression}' had the following error: {error.cause}", error.error) from error
        except Exception as error:
            cause = f"The function '{expression}' had the following error: {error!r}"
            raise _error(cause, "States.IntrinsicFailure") from error

    return evaluate_intrinsic


def install() -> None:
    """Replace how paths are resolved, and what Retry and Catch take."""
    seams.require_value(stepfunctions, "_ExecutionError", type)
    for name, parameters in _REPLACED.items():
        seams.require(stepfunctions, name, *parameters)
    seams.require(stepfunctions, "_parse_jsonpath_tokens", "path")
    seams.require(stepfunctions, "_resolve_path_or_ctx", "path", "data", "ctx")
    seams.require(stepfunctions, "_is_timestamp", "v")
    evaluate_rule, execute_wait = stepfunctions._evaluate_rule, stepfunctions._execute_wait
    execute_task, run_map_items = stepfunctions._execute_task, stepfunctions._run_map_items
    matches = stepfunctions._error_matches

    def rule(rule: Mapping[str, Any], data: Any, ctx: Any = None) -> Any:
        if not rule.keys() & {"And", "Or", "Not"}:
            present = _check_rule(rule, data, ctx)
            if present is not None:
                return present
        return evaluate_rule(rule, data, ctx)

    def wait(state_def: Mapping[str, Any], raw_input: Any, ctx: Any = None) -> Any:
        _check_wait(state_def, stepfunctions._apply_input_path(state_def, raw_input, ctx), ctx)
        return execute_wait(state_def, raw_input, ctx)

    def task(state_def: Mapping[str, Any], raw_input: Any, execution: Any, ctx: Any) -> Any:
        _check_fields(state_def)
        return execute_task(state_def, raw_input, execution, ctx)

    def map_items(state_def: Mapping[str, Any], raw_input: Any, execution: Any, ctx: Any) -> Any:
        _check_fields(state_def)
        if not state_def.keys() & {"Items", "ItemReader"}:
            effective = stepfunctions._apply_input_path(state_def, raw_input, ctx)
            items = stepfunctions._resolve_path_or_ctx(state_def.get("ItemsPath", "$"), effective, ctx)
            if not isinstance(items, list):
                raise _error("Attempting to map over non-iterable node.")
        return run_map_items(state_def, raw_input, execution, ctx)

    def error_matches(error_equals: Sequence[str], error: str) -> bool:
        return error not in _TERMINAL and bool(matches(error_equals, error))

    stepfunctions._resolve_path = _resolve
    stepfunctions._resolve_ctx_path = _resolve_context
    stepfunctions._evaluate_rule = rule
    stepfunctions._apply_result_path_raw = _result_at
    stepfunctions._execute_wait = wait
    stepfunctions._execute_task = task
    stepfunctions._run_map_items = map_items
    stepfunctions._error_matches = error_matches
    stepfunctions._evaluate_intrinsic = _intrinsic(stepfunctions._evaluate_intrinsic)
