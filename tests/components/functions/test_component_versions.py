"""Component versions that a function makes: another stack's are others, and are never taken for one's own.

Not proved here: what AWS IoT Greengrass answers (the emulated one does in tests/components).
"""

import json
from typing import Any

import pytest

from pm_components.functions.component_recipes import of_model
from pm_components.functions.component_versions import ComponentVersions, NotPublished

TEMPLATE = {
    "RecipeFormatVersion": "2020-01-25",
    "ComponentName": "pm.FaultModel",
    "ComponentVersion": "0.0.0",
    "ComponentDescription": "The fault model.",
    "ComponentPublisher": "predictive-maintenance",
    "Manifests": [{"Artifacts": [{"Uri": "s3://BUCKET/KEY/model.zip"}]}],
}
FILES = {"model.onnx": b"model", "manifest.json": b"{}"}


class _NotFound(Exception):
    pass


class _Greengrass:
    """The versions of an account and region."""

    class exceptions:  # noqa: N801 - the client's name
        ResourceNotFoundException = _NotFound

    def __init__(self) -> None:
        self.recipes: dict[str, dict[str, Any]] = {}

    def describe_component(self, arn: str) -> dict[str, Any]:
        if arn not in self.recipes:
            raise _NotFound
        return {"publisher": self.recipes[arn]["ComponentPublisher"], "status": {"componentState": "DEPLOYABLE"}}

    def create_component_version(self, inlineRecipe: bytes) -> None:  # noqa: N803 - the client's name
        recipe = json.loads(inlineRecipe)
        self.recipes[f"arn:{recipe['ComponentName']}:versions:{recipe['ComponentVersion']}"] = recipe


class _S3:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803
        assert ContentType == "application/zip"
        self.objects[f"s3://{Bucket}/{Key}"] = Body


@pytest.fixture
def greengrass() -> _Greengrass:
    return _Greengrass()


def _versions(greengrass: _Greengrass, bucket: str, s3: _S3 | None = None) -> ComponentVersions:
    return ComponentVersions(s3 or _S3(), greengrass, bucket, "arn:", wait=lambda _: None)


def test_the_same_model_of_two_stacks_is_two_versions_and_again_the_same(greengrass: _Greengrass) -> None:
    one, other = (_versions(greengrass, bucket).publish(TEMPLATE, FILES) for bucket in ("ulm", "bremen"))
    assert one[0] == other[0] == "pm.FaultModel"
    assert one != other
    assert len(greengrass.recipes) == 2
    s3 = _S3()
    assert _versions(greengrass, "ulm", s3).publish(TEMPLATE, FILES) == one
    assert (len(greengrass.recipes), s3.objects) == (2, {})


def test_the_recipe_says_where_the_artifact_lies_and_which_model_it_is(greengrass: _Greengrass) -> None:
    s3 = _S3()
    _, version = _versions(greengrass, "ulm", s3).publish(of_model(TEMPLATE, "1.260101.7"), FILES)
    recipe = greengrass.recipes[f"arn:pm.FaultModel:versions:{version}"]
    assert [entry["Uri"] for entry in recipe["Manifests"][0]["Artifacts"]] == list(s3.objects)
    assert recipe["ComponentDescription"] == "The fault model. Model 1.260101.7."
    assert recipe["ComponentPublisher"] == "predictive-maintenance, s3://ulm/models"


def test_another_model_or_recipe_is_another_version(greengrass: _Greengrass) -> None:
    versions = _versions(greengrass, "ulm")
    changed = {**TEMPLATE, "Manifests": [{"Platform": {"os": "linux"}, **TEMPLATE["Manifests"][0]}]}  # type: ignore[dict-item]
    made = [
        versions.publish(TEMPLATE, FILES),
        versions.publish(TEMPLATE, {**FILES, "model.onnx": b"other"}),
        versions.publish(changed, FILES),
    ]
    assert len(set(made)) == 3


def test_a_version_that_somebody_else_has_is_not_taken_for_ours(greengrass: _Greengrass) -> None:
    _, version = _versions(greengrass, "ulm").publish(TEMPLATE, FILES)
    recipe = greengrass.recipes[f"arn:pm.FaultModel:versions:{version}"]
    recipe["ComponentPublisher"] = "predictive-maintenance, s3://bremen/models"
    with pytest.raises(NotPublished, match=r"found one of .*bremen/models, allowed is one of .*ulm/models"):
        _versions(greengrass, "ulm").publish(TEMPLATE, FILES)
