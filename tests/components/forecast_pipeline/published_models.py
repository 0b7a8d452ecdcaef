"""Queries of the emulated AWS IoT Greengrass about a component that brings a model."""

import json
from typing import Any

from pm_sandbox.cloud import Cloud


def recipe(cloud: Cloud, component: str, version: str) -> dict[str, Any]:
    """The recipe of a component version."""
    arn = f"arn:aws:greengrass:{cloud.region}:{cloud.account_id}:components:{component}:versions:{version}"
    answer = cloud.client("greengrassv2").get_component(arn=arn, recipeOutputFormat="JSON")
    found: dict[str, Any] = json.loads(answer["recipe"])
    return found


def model_versions(cloud: Cloud, components: dict[str, str]) -> dict[str, str]:
    """The version of the model that each component brings, which its description ends with."""
    descriptions = {name: recipe(cloud, name, its)["ComponentDescription"] for name, its in components.items()}
    return {name: text.rpartition("Model ")[2].rstrip(".") for name, text in descriptions.items()}
