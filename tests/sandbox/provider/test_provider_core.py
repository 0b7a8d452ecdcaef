"""The provider's core: differences, replacements, and what is refused, without a cloud and without the protocol.

Not proved: what a type's functions do in the cloud.
"""

from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm_sandbox.provider import Context, InputError, Provider
from pm_sandbox.provider.differences import as_the_cloud_has, differences, same
from pm_sandbox.provider.registry import UPDATES
from pm_sandbox.provider.wire import UNKNOWN

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
    assert provider.diff(QUEUE, olds, {**olds, "tags": {}}) == ({"tags.a": "delete"}, [], False, [])
    assert provider.diff(QUEUE, olds, {**olds, "name": "p"}) == ({"name": "update"}, ["name"], False, ["name"])


def test_a_part_of_an_input_makes_anew_where_the_rest_of_it_does_not(provider: Provider) -> None:
    stream = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"

    def inputs(partitioned: bool, seconds: int) -> dict[str, Any]:
        part = {"dynamicPartitioningConfiguration": {"enabled": partitioned}, "bufferingInterval": seconds}
        return {"name": "s", "extendedS3Configuration": part}

    olds, at = inputs(False, 60), "extendedS3Configuration.dynamicPartitioningConfiguration.enabled"
    assert provider.diff(stream, olds, inputs(False, 90)).replaces == []
    found = provider.diff(stream, olds, inputs(True, 90))
    assert (found.replaces, found.because, found.deletes_first) == (["extendedS3Configuration"], [at], True)
    changes = {path: found.replaces_at(path) for path in found.changes}
    assert changes == {"extendedS3Configuration.bufferingInterval": False, at: True}
    assert provider.diff(stream, olds, {"name": "s"}).replaces_at("extendedS3Configuration")


@pytest.mark.parametrize(("size", "replaces"), [(4, ["volumeSize"]), (6, []), (UNKNOWN, [])])
def test_a_disk_grows_in_place_and_does_not_shrink(provider: Provider, size: Any, replaces: list[str]) -> None:
    notebook = "aws:sagemaker/notebookInstance:NotebookInstance"
    assert provider.diff(notebook, {"volumeSize": 5}, {"volumeSize": size}).replaces == replaces


#: The engine leaves out what is null.
VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=3), VALUES, max_size=4), st.dictionaries(st.text(max_size=3), VALUES, max_size=4)
)
def test_there_is_a_difference_where_two_are_not_the_same_and_none_to_itself(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert not list(differences(old, old))
    assert bool(list(differences(old, new))) == (not same(old, new))
    there, back = dict(differences(old, new)), dict(differences(new, old))
    opposite = {"add": "delete", "delete": "add", "update": "update"}
    assert back == {path: opposite[kind] for path, kind in there.items()}


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
