"""A validator has two callers, the constructor and the policy pack, and both say the same of the same fault.

Not proved here: that the pack applies a rule to every type that it should (tests/policies does).
"""

import pytest

from pm_components.aws import recipes
from pm_components.aws.permissions import allow
from pm_policies.rule import Resource
from pm_policies.rules import least_privilege, recipe_size

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"


@pytest.mark.parametrize(
    ("actions", "resources"),
    [
        (["s3:*"], ["arn:aws:s3:::lake/*"]),
        (["*"], ["*"]),
        (["s3:GetObject"], ["*"]),
        (["sqs:SendMessage", "sns:Publish"], ["*"]),
    ],
)
def test_what_a_policy_may_not_allow(actions: list[str], resources: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^(action|resource) '") as refusal:
        allow(actions, resources)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resources}]}
    found = list(least_privilege.check(Resource(ROLE_POLICY, "one", "urn", {"policy": document}), {}))
    assert found[0] == str(refusal.value)


def test_what_a_policy_may_allow() -> None:
    statement = allow(["s3:GetObject"], ["arn:aws:s3:::lake/*"])
    document = {"Version": "2012-10-17", "Statement": [statement]}
    assert list(least_privilege.check(Resource(ROLE_POLICY, "one", "urn", {"policy": document}), {})) == []


def test_how_long_a_recipe_may_be() -> None:
    source = recipes.load("uplink")
    long = source._replace(recipe={**source.recipe, "ComponentDescription": "x" * 16_000})
    with pytest.raises(recipes.RecipeError) as refusal:
        long.published("bucket", "components")
    size = int(str(refusal.value).split(": ")[1].split(" bytes")[0])
    version = Resource("aws-native:greengrassv2:ComponentVersion", "one", "urn", {"inlineRecipe": "x" * size})
    (found,) = recipe_size.check(version, {})
    assert str(refusal.value).endswith(f": {found}")
