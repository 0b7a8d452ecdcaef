"""Ends of support, by a day that the test sets. Not proved here: the days, which are copied from AWS's pages."""

import datetime as dt
import json
from collections.abc import Callable

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_components.aws.lambda_function import RUNTIME
from pm_components.forecast_pipeline.settings import REGION, TrainingSettings
from pm_policies.rule import Undecided
from pm_policies.rules.ends_of_support import IMAGES, RULE, RUNTIMES, WARNING_DAYS

FUNCTION, TRAINING = "aws:lambda/function:Function", "aws:sfn/stateMachine:StateMachine"
END = RUNTIMES["python3.11"]


def _definition(image: str) -> str:
    task = {"Type": "Task", "Parameters": {"AlgorithmSpecification": {"TrainingImage": image}}}
    return json.dumps({"States": {"Both": {"Branches": [{"States": {"Train": task}}]}}})


def _day(before: int) -> str:
    return (END - dt.timedelta(days=before)).isoformat()


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (WARNING_DAYS + 1, None),
        (WARNING_DAYS, "its support ends on 2027-06-30, in 180 days (https://docs.aws.amazon.com/lambda/"),
        (0, "its support ends on 2027-06-30, in 0 days"),
        (-1, "its support ended on 2027-06-30"),
    ],
)
def test_a_runtime_is_told_half_a_year_before_its_end(
    make: Callable, messages: Callable, before: int, told: str | None
) -> None:
    found = messages(RULE, make(FUNCTION, runtime="python3.11"), today=_day(before))
    assert [message.startswith(f"runtime python3.11: {told}") for message in found] == ([True] if told else [])


def test_how_long_before_can_be_set(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(FUNCTION, runtime="python3.11"), today=_day(100), warning_days=99) == []


def test_an_image_deep_in_a_state_machine_is_found(make: Callable, messages: Callable) -> None:
    image = TrainingSettings().image_uri.replace(REGION, "eu-central-1")
    found = messages(RULE, make(TRAINING, definition=_definition(image)), today="2025-10-30")
    assert found == [
        f"training image {image}: its support ended on 2025-10-29 "
        "(https://aws.github.io/deep-learning-containers/reference/support_policy)"
    ]
    own = _definition("123456789012.dkr.ecr.eu-central-1.amazonaws.com/my-trainer:1.0")
    assert messages(RULE, make(TRAINING, definition=own), today="2025-10-30") == []


@pytest.mark.parametrize("version", ["2.1", "2.10", "2.100"])
def test_versions_are_not_compared_by_their_beginning(make: Callable, messages: Callable, version: str) -> None:
    image = f"763104351884.dkr.ecr.eu-central-1.amazonaws.com/pytorch-training:{version}.0-cpu-py313"
    (message,) = messages(RULE, make(TRAINING, definition=_definition(image)), today="2027-01-01")
    assert ("is not known here" in message) is (("pytorch", version) not in IMAGES)


def test_what_is_in_no_table_is_told(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE, make(FUNCTION, runtime="nodejs99.x"))
    assert message.startswith(
        "runtime nodejs99.x: when its support ends is not known here; add it to pm_policies.rules."
    )


def test_what_the_project_uses_is_in_the_tables(make: Callable, messages: Callable) -> None:
    assert RUNTIME in RUNTIMES
    image = TrainingSettings().image_uri.replace(REGION, "eu-central-1")
    (message,) = messages(RULE, make(TRAINING, definition=_definition(image)), today="9999-12-31")
    assert "is not known here" not in message


def test_other_resources_and_functions_from_images_pass(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(FUNCTION), make("aws:iot/thing:Thing"), today="9999-12-31") == []


def test_an_unknown_runtime_or_definition_is_undecided(make: Callable, messages: Callable) -> None:
    for resource in (make(FUNCTION, runtime=UNKNOWN), make(TRAINING, definition=UNKNOWN)):
        (message,) = messages(RULE, resource)
        assert isinstance(message, Undecided)
