"""The inputs that replace a resource, held to what the installed SDKs say of them.

The SDK of `aws-native` tells all of them. That of `aws` tells those of layers alone, since Pulumi leaves the sentence
"Forces new resource" out of what it takes over.

Not proved: what the provider of `aws` replaces; each entry of the table names the file that says so.
"""

import inspect
import re

import pulumi_aws as aws
import pytest

from sandbox.provider.previews import resource_class
from sandbox.provider.replacements import REPLACING


def test_each_input_is_one_of_the_sdk() -> None:
    for token, entry in REPLACING.items():
        parameters = inspect.signature(vars(resource_class(token))["_internal_init"]).parameters
        known = {re.sub("_", "", name) for name in parameters}
        assert {path.split(".")[0].lower() for path in entry.inputs | entry.shrinking} <= known, token


@pytest.mark.parametrize("token", [token for token in REPLACING if token.startswith("aws-native:")])
def test_the_sdk_of_aws_native_tells_what_replaces(token: str) -> None:
    (told,) = re.findall(r"replace_on_changes=\[([^\]]*)\]", inspect.getsource(resource_class(token)))
    assert {path.split(".")[0] for path in re.findall(r'"([^"]+)"', told)} == REPLACING[token].inputs


def test_the_sdk_tells_what_replaces_a_layer() -> None:
    text = vars(aws.lambda_.LayerVersionArgs)["skip_destroy"].__doc__
    (told,) = re.findall(r"changing any of (.*?) forces", text)
    names = {"filename": "code"}
    inputs = {re.sub(r"_(\w)", lambda at: at[1].upper(), name) for name in re.findall(r"`(\w+)`", told)}
    assert {names.get(name, name) for name in inputs} == REPLACING["aws:lambda/layerVersion:LayerVersion"].inputs
