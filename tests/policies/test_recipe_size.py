"""The size of a recipe, in bytes and not in characters."""

from collections.abc import Callable

from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.recipe_size import RULE

VERSION = "aws-native:greengrassv2:ComponentVersion"


def test_a_recipe_that_fits_passes_and_one_byte_more_does_not(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(VERSION, inlineRecipe="x" * 16_000)) == []
    assert messages(RULE, make(VERSION, inlineRecipe="x" * 16_001)) == ["16001 bytes, allowed are 16000"]
    assert messages(RULE, make(VERSION, inlineRecipe="ü" * 8_001)) == ["16002 bytes, allowed are 16000"]


def test_an_unknown_recipe_is_undecided_and_another_resource_has_none(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE, make(VERSION, inlineRecipe=UNKNOWN))
    assert isinstance(message, Undecided)
    assert messages(RULE, make("aws:sqs/queue:Queue", inlineRecipe="x" * 16_001)) == []
