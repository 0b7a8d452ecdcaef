"""One deployment for each target. Not proved here: deployments that a pipeline makes, outside of the program."""

from collections.abc import Callable

from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.one_deployment_per_group import RULE

DEPLOYMENT = "aws-native:greengrassv2:Deployment"


def test_deployments_to_several_groups_pass(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(DEPLOYMENT, "a", targetArn="code"), make(DEPLOYMENT, "b", targetArn="model")) == []


def test_a_second_one_of_a_group_is_refused(make: Callable, messages: Callable) -> None:
    two = (make(DEPLOYMENT, "b", targetArn="code"), make(DEPLOYMENT, "a", targetArn="code"))
    assert messages(RULE, *two) == ["its target code has the deployment a already"]


def test_an_unknown_group_is_told_by_what_it_comes_from(make: Callable, messages: Callable) -> None:
    def to(name: str, group: str) -> object:
        return make(DEPLOYMENT, name, targetArn=UNKNOWN, depends_on={"targetArn": [group]})

    assert messages(RULE, to("a", "urn:code"), to("b", "urn:model")) == []
    assert messages(RULE, to("a", "urn:code"), to("b", "urn:code")) == [
        "its target urn:code has the deployment a already"
    ]


def test_an_unknown_group_of_unknown_origin_is_undecided(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE, make(DEPLOYMENT, targetArn=UNKNOWN))
    assert isinstance(message, Undecided)
