"""A component with a story for a recipe."""

import json

from pulumi_aws_native import greengrassv2

recipe = {
    "RecipeFormatVersion": "2020-01-25",
    "ComponentName": "pm.Novel",
    "ComponentVersion": "1.0.0",
    "ComponentDescription": "Once upon a time " * 1000,
}
greengrassv2.ComponentVersion("novel", inline_recipe=json.dumps(recipe))
