"""Step Functions of the emulated AWS: a path that finds nothing ends the execution, whatever catches errors.

Not proved here: AWS's words beyond the names of the errors, and paths with filters, slices or descents, which are
refused (`test_a_path_that_cannot_be_honoured_is_refused`).
"""

import json
import time
from typing import Any

import pytest

from tests.waiting import eventually

CATCH = [
    {"ErrorEquals": [name], "ResultPath": "$.caught", "Next": "Caught"} for name in ("States.Runtime", "States.ALL")
]


def executed(account: Any, states: dict[str, Any], given: Any) -> dict[str, Any]:
    """The description of one execution of a state machine that begins with `State`, ended."""
    client = account.cloud.client("stepfunctions")
    machine = client.create_state_machine(
        name=f"{account.prefix}-{time.time_ns()}",
        definition=json.dumps({"StartAt": "State", "States": states}),
        roleArn=account.role("states", ("sns:Publish", "*"), name=f"states-{time.time_ns()}"),
    )["stateMachineArn"]
    arn = client.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"]

    def ended() -> dict[str, Any] | None:
        described: dict[str, Any] = client.describe_execution(executionArn=arn)
        return None if described["status"] == "RUNNING" else described

    return eventually(ended, "the execution to end")


def choice(rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "State": {"Type": "Choice", "Choices": [{**rule, "Next": "Yes"}], "Default": "No"},
        "Yes": {"Type": "Pass", "Result": "yes", "End": True},
        "No": {"Type": "Pass", "Result": "no", "End": True},
    }


def passing(**fields: Any) -> dict[str, Any]:
    return {"State": {"Type": "Pass", "End": True, **fields}}


def over(**fields: Any) -> dict[str, Any]:
    """A map over items that passes each on."""
    processor = {"StartAt": "Item", "States": {"Item": {"Type": "Pass", "End": True}}}
    return {"State": {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}}


def in_parallel(**fields: Any) -> dict[str, Any]:
    branch = {"StartAt": "Inner", "States": {"Inner": {"Type": "Pass", "End": True}}}
    return {"State": {"Type": "Parallel", "Branches": [branch], "End": True, **fields}}


def failing(**fields: Any) -> dict[str, Any]:
    return {"State": {"Type": "Fail", **fields}}


READERS = {
    "a choice": choice({"Variable": "$.models[1].failed", "BooleanEquals": True}),
    "a choice beyond the list": choice({"Variable": "$.models[2].passed", "BooleanEquals": True}),
    "a choice below And": choice({"And": [{"Variable": "$.missing", "IsNull": False}]}),
    "a choice below Not": choice({"Not": {"Variable": "$.missing", "StringEquals": "a"}}),
    "a choice's operand": choice({"Variable": "$.number", "NumericEqualsPath": "$.missing"}),
    "a choice in the context": choice({"Variable": "$$.Execution.Missing", "StringEquals": "a"}),
    "Parameters": passing(Parameters={"a": {"b.$": "$.models[0].missing"}}),
    "Parameters from the context": passing(Parameters={"a.$": "$$.Execution.Missing"}),
    "an argument": passing(Parameters={"a.$": "States.Format('{}', $.missing)"}),
    "an argument of an argument": passing(Parameters={"a.$": "States.Array(States.JsonToString($.missing))"}),
    "InputPath": passing(InputPath="$.missing"),
    "OutputPath": passing(OutputPath="$.missing"),
    "a field of a text": passing(InputPath="$.text.missing"),
    "ItemsPath": over(ItemsPath="$.missing"),
    "ItemSelector": over(ItemsPath="$.models", ItemSelector={"a.$": "$.missing"}),
    "ItemsPath to no list": over(ItemsPath="$.text"),
    "ResultSelector": in_parallel(ResultSelector={"a.$": "$[0].missing"}),
    "SecondsPath": {"State": {"Type": "Wait", "SecondsPath": "$.missing", "End": True}},
    "SecondsPath to a text": {"State": {"Type": "Wait", "SecondsPath": "$.text", "End": True}},
    "TimestampPath": {"State": {"Type": "Wait", "TimestampPath": "$.text", "End": True}},
    "CausePath": failing(CausePath="States.JsonToString($.missing)"),
    "ErrorPath": failing(ErrorPath="$.missing"),
}
GIVEN = {"models": [{"passed": True}, {"passed": False, "nothing": None}], "number": 1, "text": "some"}


@pytest.mark.parametrize("reader", READERS)
def test_a_path_that_finds_nothing_ends_the_execution(account: Any, reader: str) -> None:
    ended = executed(account, READERS[reader], GIVEN)
    assert (ended["status"], ended.get("error")) == ("FAILED", "States.Runtime")


@pytest.mark.parametrize("field", ["ResultSelector", "OutputPath", "Parameters"])
def test_neither_retry_nor_catch_takes_it(account: Any, field: str) -> None:
    topic = account.cloud.client("sns").create_topic(Name=account.prefix)["TopicArn"]
    parameters = {"TopicArn": topic, "Message": "m"}
    fields: dict[str, Any] = {
        "Parameters": parameters,
        "ResultSelector": {"id.$": "$.MessageId"},
        "OutputPath": "$.id",
    }
    fields |= {
        "ResultSelector": {"ResultSelector": {"id.$": "$.Missing"}},
        "OutputPath": {"OutputPath": "$.missing"},
        "Parameters": {"Parameters": {**parameters, "Message.$": "$.missing"}},
    }[field]
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    task = {"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Retry": retry, "Catch": CATCH, "End": True}
    states = {"State": {**task, **fields}, "Caught": {"Type": "Pass", "End": True}}
    ended = executed(account, states, GIVEN)
    assert (ended["status"], ended.get("error")) == ("FAILED", "States.Runtime")
    assert ended["cause"].count("could not be found in the input") == 1


def test_a_parallel_state_does_not_catch_it_of_its_branches(account: Any) -> None:
    branch = {"StartAt": "State", "States": passing(InputPath="$.missing")}
    states = {
        "State": {"Type": "Parallel", "Branches": [branch], "Catch": CATCH, "End": True},
        "Caught": {"Type": "Pass", "End": True},
    }
    ended = executed(account, states, GIVEN)
    assert (ended["status"], ended.get("error")) == ("FAILED", "States.Runtime")


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ({"Variable": "$.models[0].failed", "IsPresent": True}, "no"),
        ({"Variable": "$.models[0].failed", "IsPresent": False}, "yes"),
        ({"Variable": "$.models[1].nothing", "IsPresent": True}, "yes"),
        ({"Variable": "$.models[1].nothing", "IsNull": True}, "yes"),
        ({"And": [{"Variable": "$.a", "IsPresent": True}, {"Variable": "$.a", "BooleanEquals": True}]}, "no"),
        ({"Variable": "$.text", "NumericEquals": 1}, "no"),
    ],
)
def test_a_choice_may_ask_for_presence(account: Any, rule: dict[str, Any], answer: str) -> None:
    ended = executed(account, choice(rule), GIVEN)
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", answer)


def test_what_is_there_is_read_as_before(account: Any) -> None:
    selected = {
        "passed.$": "$.models[*].passed",
        "none.$": "$.models[*].missing",
        "null.$": "$.models[1]['nothing']",
        "name.$": "States.Format('{}-{}', $$.StateMachine.Name, $.number)",
    }
    ended = executed(account, passing(Parameters=selected, ResultPath="$.new.inner"), GIVEN)
    assert ended["status"] == "SUCCEEDED", ended
    output = json.loads(ended["output"])
    name = output["new"]["inner"].pop("name")
    assert name.startswith(account.prefix)
    assert name.endswith("-1")
    assert output == {**GIVEN, "new": {"inner": {"passed": [True, False], "none": [], "null": None}}}


@pytest.mark.parametrize(("path", "given"), [("$.text.inner", GIVEN), ("$.inner", [1]), ("$.models[5].a", GIVEN)])
def test_a_result_needs_an_object_to_be_put_into(account: Any, path: str, given: Any) -> None:
    ended = executed(account, passing(Result=1, ResultPath=path), given)
    assert (ended["status"], ended.get("error")) == ("FAILED", "States.ResultPathMatchFailure")


def test_a_function_that_fails_has_a_name_of_its_own(account: Any) -> None:
    ended = executed(account, passing(Parameters={"a.$": "States.ArrayGetItem($.models, 7)"}), GIVEN)
    assert (ended["status"], ended.get("error")) == ("FAILED", "States.IntrinsicFailure")


@pytest.mark.parametrize(
    ("states", "named"),
    [
        (passing(InputPath="$.models[?(@.passed)]"), "path '$.models[?(@.passed)]'"),
        (passing(Parameters={"a.$": "models"}), "path 'models'"),
        (choice({"Variable": "$.text", "StringLessThanPath": "$.text"}), "StringLessThanPath"),
        (over(ItemsPath="$.models", MaxConcurrencyPath="$.number"), "MaxConcurrencyPath"),
    ],
)
def test_a_path_that_cannot_be_honoured_is_refused(account: Any, states: dict[str, Any], named: str) -> None:
    ended = executed(account, states, GIVEN)
    assert (ended["status"], ended.get("error")) == ("FAILED", "States.Runtime")
    assert named in ended["cause"]
    assert "is not honoured here" in ended["cause"]
