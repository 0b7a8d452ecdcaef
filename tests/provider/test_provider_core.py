"""The provider's core: differences, replacements, and what is refused, without a cloud and without the protocol.

Not proved: what a type's functions do in the cloud.
"""

from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from sandbox.provider import Context, InputError, Provider
from sandbox.provider.differences import as_the_cloud_has, differences
from sandbox.provider.registry import UPDATES

QUEUE = "aws:sqs/queue:Queue"


@pytest.fixture
def provider() -> Provider:
    return Provider(Context(SimpleNamespace(region="r", account_id="1", mqtt_host="h", client=None)))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"tags": {"a.b": "1"}}, {"tags": {"a.b": "2"}}, {'tags["a.b"]': "update"}),
        ({"rules": [{"id": "a"}]}, {"rules": [{"id": "b"}, {"id": "c"}]}, {"rules[0].id": "update", "rules[1]": "add"}),
        ({"a": 1}, {}, {"a": "delete"}),
        ({"policy": '{"a":  1}'}, {"policy": '{"a": 1}'}, {}),
        ({"policy": '{"a": 1'}, {"policy": '{"a":  1'}, {"policy": "update"}),
        ({"code": pulumi.StringAsset("x")}, {"code": pulumi.StringAsset("x")}, {}),
        ({"code": pulumi.StringAsset("x")}, {"code": pulumi.StringAsset("y")}, {"code": "update"}),
    ],
)
def test_differences_are_told_by_their_path(old: dict[str, Any], new: dict[str, Any], told: dict[str, str]) -> None:
    assert dict(differences(old, new)) == told


def test_a_change_of_a_name_makes_anew_and_of_tags_does_not(provider: Provider) -> None:
    olds = {"name": "q", "tags": {"a": "1"}}
    assert provider.diff(QUEUE, olds, {**olds, "tags": {}}) == ({"tags.a": "delete"}, [], False)
    assert provider.diff(QUEUE, olds, {**olds, "name": "p"}) == ({"name": "update"}, ["name"], False)


def test_what_keeps_its_name_is_deleted_first(provider: Provider) -> None:
    olds = {"name": "q", "fifoQueue": False}
    assert provider.diff(QUEUE, olds, {"name": "q", "fifoQueue": True}).deletes_first


@pytest.mark.parametrize(
    ("key", "asked", "found", "had"),
    [
        ("rules", [{"id": "a"}], [{"id": "a", "status": "default"}], [{"id": "a"}]),
        ("tags", {"a": "1"}, {"a": "1", "by": "hand"}, {"a": "1", "by": "hand"}),
        ("policy", '{"a": 1}', '{"a":1}', '{"a": 1}'),
        ("delaySeconds", 5, 6, 6),
        ("ttl", {"enabled": True, "attributeName": "x"}, {"enabled": True}, {"enabled": True}),
    ],
)
def test_what_a_cloud_has_is_told_without_its_defaults(key: str, asked: Any, found: Any, had: Any) -> None:
    assert as_the_cloud_has(key, asked, found) == had


def test_an_input_that_changes_and_that_nobody_honours_is_refused(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(UPDATES, QUEUE, lambda id_, olds, news, context: {})
    olds = {"name": "q", "delaySeconds": 1}
    assert provider.update(QUEUE, "id", olds, {**olds, "arn": "a"}, olds) == {"arn": "a"}
    with pytest.raises(InputError, match=r"cannot honour the input.s. delaySeconds"):
        provider.update(QUEUE, "id", olds, {**olds, "arn": "a"}, {"name": "q", "delaySeconds": 2})


def test_a_type_without_functions_is_refused(provider: Provider) -> None:
    with pytest.raises(InputError, match="no handler for this type"):
        provider.delete("aws:redshift/cluster:Cluster", "id", {})
