"""Secrets in inputs, by form and by name. Not proved here: that one of no known form and no telling name is found."""

import base64
from collections.abc import Callable

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rules.no_plain_secret import RULE

FUNCTION = "aws:lambda/function:Function"

# Put together here, so that this file holds none either.
ACCESS_KEY = "AKIA" + "ABCDEFGHIJKLMNOP"
PRIVATE_KEY = "-----BEGIN " + "EC PRIVATE KEY-----\nMHc\n"
TOKEN = "ghp_" + "a1" * 18


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"export KEY={ACCESS_KEY}", "an AWS access key id"),
        (PRIVATE_KEY, "a private key"),
        (TOKEN, "a GitHub token"),
        ("postgres://me:" + "hunter2@db/plant", "a password in a URL"),
    ],
)
def test_a_secret_of_a_known_form_is_found_wherever_it_is(
    make: Callable, messages: Callable, text: str, kind: str
) -> None:
    resource = make("aws:ec2/instance:Instance", metadata=[{"later": UNKNOWN}, {"userData": text}])
    assert messages(RULE, resource) == [f"metadata[1].userData holds {kind}"]


@pytest.mark.parametrize("encode", [str, lambda text: base64.b64encode(text.encode()).decode()])
def test_the_script_of_a_launch_template_is_read_through_its_encoding(
    make: Callable, messages: Callable, encode: Callable[[str], str]
) -> None:
    template = "aws:ec2/launchTemplate:LaunchTemplate"
    assert messages(RULE, make(template, userData=encode(f"#!/bin/sh\nexport KEY={ACCESS_KEY}\n"))) == [
        "userData holds an AWS access key id"
    ]
    assert messages(RULE, make(template, userData=encode("#!/bin/sh\n"))) == []
    assert messages(RULE, make(template, userData=UNKNOWN)) == []


def _variable(make: Callable, name: str, value: str) -> object:
    return make(FUNCTION, environment={"variables": {name: value}})


@pytest.mark.parametrize("name", ["HISTORIAN_PASSWORD", "TOKEN", "api_key", "DB_SECRET"])
def test_a_variable_that_is_called_a_secret_holds_none(make: Callable, messages: Callable, name: str) -> None:
    assert messages(RULE, _variable(make, name, "x")) == [
        f"environment variable {name} holds a value, allowed is the ARN or path of a secret"
    ]


@pytest.mark.parametrize("value", ["arn:aws:secretsmanager:eu-central-1:1:secret:x", "/plant/password", "", UNKNOWN])
def test_where_the_secret_lies_may_be_told(make: Callable, messages: Callable, value: str) -> None:
    assert messages(RULE, _variable(make, "HISTORIAN_PASSWORD", value)) == []


@pytest.mark.parametrize("name", ["SENT_TABLE", "TOPIC_ARN", "TOKENIZER", "SECRETARY_NAME"])
def test_other_names_pass(make: Callable, messages: Callable, name: str) -> None:
    assert messages(RULE, _variable(make, name, "x")) == []
