"""The provider over its protocol, asked as the engine asks, with a service that keeps what it is told.

Not proved: that the real engine understands the answers (`make test-engine`), nor what a real cloud would do.
"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from pm_sandbox.provider import Context, InputError
from pm_sandbox.provider.registry import HANDLERS, READS, UPDATES, Creation
from pm_sandbox.provider.server import REFUSED, Server, debug_providers
from pm_sandbox.provider.wire import UNKNOWN, message_of, secret

URN = "urn:pulumi:dev::pm::pm:index:Site$aws:sqs/queue:Queue::it"
CALLS: list[tuple[str, dict[str, Any]]] = []


class FakeService:
    """A client of which each call succeeds."""

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> dict[str, Any]:
            CALLS.append((name, arguments))
            return {"QueueUrl": "http://queue"}

        return call


@pytest.fixture(scope="module")
def provider() -> Iterator[Any]:
    cloud = SimpleNamespace(
        region="eu-central-1", account_id="000000000000", mqtt_host="h", client=lambda _: FakeService()
    )
    with Server(Context(cloud)) as server, grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert debug_providers(server.port) == f"aws:{server.port},aws-native:{server.port}"
        yield provider_pb2_grpc.ResourceProviderStub(channel)


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


def _dict(message: Any) -> dict[str, Any]:
    return {key: dict(value) if hasattr(value, "items") else value for key, value in message.items()}


def test_a_secret_reaches_the_cloud_plain_and_the_engine_as_a_secret(provider: Any) -> None:
    inputs = {"name": "q", "kmsMasterKeyId": secret("key-id")}
    made = provider.Create(provider_pb2.CreateRequest(urn=URN, properties=message_of(inputs)))
    assert CALLS == [("create_queue", {"QueueName": "q", "Attributes": {"KmsMasterKeyId": "key-id"}, "tags": {}})]
    assert made.id == "http://queue"
    assert _dict(made.properties)["kmsMasterKeyId"] == secret("key-id")
    assert made.properties["arn"] == "arn:aws:sqs:eu-central-1:000000000000:q"


def test_a_preview_makes_nothing_and_takes_what_is_not_known(provider: Any) -> None:
    inputs = message_of({"name": UNKNOWN})
    assert not provider.Check(provider_pb2.CheckRequest(urn=URN, news=inputs)).failures
    made = provider.Create(provider_pb2.CreateRequest(urn=URN, properties=inputs, preview=True))
    assert not made.id
    assert {made.properties[name] for name in ("name", "arn", "url", "tagsAll")} == {UNKNOWN}
    assert "delaySeconds" not in made.properties, "what a queue need not have is not there, as after an update"
    assert CALLS == []


def test_an_input_that_its_provider_or_aws_would_refuse_is_refused_before_anything_is_made(provider: Any) -> None:
    def failures(**inputs: Any) -> list[tuple[str, str]]:
        checked = provider.Check(provider_pb2.CheckRequest(urn=URN, news=message_of({"name": "q", **inputs})))
        return [(failure.property, failure.reason.partition(",")[0]) for failure in checked.failures]

    # The path is in the reason: of a property the engine would print the value.
    assert failures(tags={"a": ["b"]}) == [("", "tags.a: found ['b']")]
    assert failures(colour=secret("pass phrase")) == [("", "colour: there is no such input")]
    assert failures(delaySeconds=secret("pass phrase"), tags=secret("pass phrase")) == []
    assert CALLS == []


def test_a_preview_of_a_component_version_knows_neither_its_arn_nor_its_version(provider: Any) -> None:
    urn = "urn:pulumi:dev::pm::aws-native:greengrassv2:ComponentVersion::it"
    inputs = message_of({"inlineRecipe": secret("{}")})
    made = provider.Create(provider_pb2.CreateRequest(urn=urn, properties=inputs, preview=True))
    told = _dict(made.properties)
    assert told.pop("inlineRecipe") == secret("{}")
    assert told == dict.fromkeys(("arn", "componentName", "componentVersion"), UNKNOWN)


@pytest.mark.parametrize(
    ("changed", "unknown"),
    [
        ({"policy": "b"}, {"defaultVersionId"}),
        ({"policy": UNKNOWN}, {"defaultVersionId"}),
        ({"tags": {"a": "1"}}, set()),
    ],
)
def test_a_preview_of_a_change_knows_what_the_change_leaves_alone(
    provider: Any, changed: dict[str, Any], unknown: set[str]
) -> None:
    urn = "urn:pulumi:dev::pm::aws:iot/policy:Policy::it"
    inputs = {"name": "p", "policy": "a"}
    request = {
        "old_inputs": message_of(inputs),
        "olds": message_of({**inputs, "arn": "a", "defaultVersionId": secret("1")}),
        "news": message_of({**inputs, **changed}),
    }
    told = _dict(provider.Update(provider_pb2.UpdateRequest(urn=urn, id="p", preview=True, **request)).properties)
    version = secret(UNKNOWN if unknown else "1")
    assert told == {**inputs, **changed, "arn": "a", "defaultVersionId": version}
    assert CALLS == []


def test_an_input_that_goes_is_no_output_and_an_output_that_was_secret_stays_so(
    provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(UPDATES, "aws:sqs/queue:Queue", lambda id_, olds, news, context: {"url": news.get("name")})
    request = {
        "old_inputs": message_of({"name": "q", "delaySeconds": 5}),
        "olds": message_of({"name": "q", "delaySeconds": 5, "arn": "a", "url": secret("u")}),
        "news": message_of({"name": "q"}),
    }
    told = provider.Update(provider_pb2.UpdateRequest(urn=URN, id="i", **request))
    assert _dict(told.properties) == {"name": "q", "arn": "a", "url": secret("q")}


def test_what_the_cloud_says_of_a_secret_input_is_secret(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Creation(lambda inputs, context: ("i", {"name": inputs.get("name"), "arn": "a"}), {})
    monkeypatch.setitem(HANDLERS, "aws:sqs/queue:Queue", made)
    answer = provider.Create(provider_pb2.CreateRequest(urn=URN, properties=message_of({"name": secret("q")})))
    assert _dict(answer.properties) == {"name": secret("q"), "arn": "a"}


def test_a_difference_says_what_it_does(provider: Any) -> None:
    olds, news = {"name": "q", "tags": {"a": "1"}}, {"name": "p", "tags": {"a": "2"}}
    answer = provider.Diff(
        provider_pb2.DiffRequest(urn=URN, id="i", old_inputs=message_of(olds), news=message_of(news))
    )
    assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert list(answer.replaces) == ["name"]
    assert {path: one.kind for path, one in answer.detailedDiff.items()} == {
        "name": provider_pb2.PropertyDiff.UPDATE_REPLACE,
        "tags.a": provider_pb2.PropertyDiff.UPDATE,
    }


def test_what_was_changed_by_hand_is_read_and_what_was_secret_stays_so(
    provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"delaySeconds": 7, "kmsMasterKeyId": "other"}
    monkeypatch.setitem(READS, "aws:sqs/queue:Queue", lambda id_, state, context: found if id_ == "i" else None)
    inputs = message_of({"name": "q", "delaySeconds": 5, "kmsMasterKeyId": secret("key-id")})
    request = {"urn": URN, "inputs": inputs, "properties": message_of({**_dict(inputs), "arn": "a"})}
    answer = provider.Read(provider_pb2.ReadRequest(id="i", **request))
    assert _dict(answer.inputs) == {"name": "q", "delaySeconds": 7, "kmsMasterKeyId": secret("other")}
    assert answer.properties["arn"] == "a"
    assert not provider.Read(provider_pb2.ReadRequest(id="gone", **request)).id


@pytest.mark.parametrize(
    ("method", "request_", "message"),
    [
        (
            "Create",
            provider_pb2.CreateRequest(urn=URN, properties=message_of({"name": "q", "colour": "red"})),
            "cannot honour the input(s) colour",
        ),
        (
            "Create",
            provider_pb2.CreateRequest(urn=URN, properties=message_of({"name": UNKNOWN})),
            "input name has no value",
        ),
        ("Read", provider_pb2.ReadRequest(urn=URN, id="x"), "aws:sqs/queue:Queue x: the sandbox neither imports"),
        ("Invoke", provider_pb2.InvokeRequest(tok="aws:ec2/getVpc:getVpc"), "no answer to this function"),
    ],
)
def test_what_is_refused_is_an_error_of_the_call(provider: Any, method: str, request_: Any, message: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        getattr(provider, method)(request_)
    assert message in error.value.details()


def test_a_type_and_a_configuration_that_are_not_done_are_refused_before_anything_is_made(provider: Any) -> None:
    urn = "urn:pulumi:dev::pm::aws:redshift/cluster:Cluster::it"
    (failure,) = provider.Check(provider_pb2.CheckRequest(urn=urn, news=message_of({}))).failures
    assert "no handler for this type" in failure.reason
    news = message_of({"region": "us-east-1", "defaultTags": "{}", "accessKey": "test", "version": "7.51.1"})
    checked = provider.CheckConfig(provider_pb2.CheckRequest(urn="urn:x", news=news))
    assert _dict(checked.inputs)["accessKey"] == secret("test")
    assert {one.property: one.reason for one in checked.failures} == {
        "region": "is us-east-1, and the sandbox's cloud is in eu-central-1",
        "defaultTags": "is not done by the sandbox's provider",
    }


@pytest.mark.parametrize("error", [InputError("key-id is wrong"), KeyError("key-id")])
def test_an_error_does_not_tell_what_is_secret(
    provider: Any, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def create(inputs: Any, context: Any) -> Any:
        raise error

    monkeypatch.setitem(HANDLERS, "aws:sqs/queue:Queue", Creation(create, {}))
    inputs = message_of({"name": "q", "tags": {"a": secret("key-id")}})
    with pytest.raises(grpc.RpcError) as refused:
        provider.Create(provider_pb2.CreateRequest(urn=URN, properties=inputs))
    assert "[secret]" in refused.value.details()
    assert "key-id" not in refused.value.details() + capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "signature"),
    [("asset", "c44067f5952c0a294b673a41bacd8c17"), ("archive", "0def7320c3a5731c473e5ecbe6d01bc7")],
)
def test_an_asset_is_another_one_when_its_hash_is(provider: Any, kind: str, signature: str) -> None:
    def code(digest: str, path: str) -> Any:
        sig = "4dabf18193072939515e22adb298388d"
        return message_of({"code": {sig: signature, "hash": digest, "path": path}})

    def changes(digest: str) -> list[str]:
        request = {"old_inputs": code("1", "/not/there"), "news": code(digest, "/nor/there")}
        urn = "urn:pulumi:dev::pm::aws:lambda/function:Function::it"
        return list(provider.Diff(provider_pb2.DiffRequest(urn=urn, id="i", **request)).detailedDiff)

    assert (changes("1"), changes("2")) == ([], ["code"])


SERVICE = provider_pb2.DESCRIPTOR.services_by_name["ResourceProvider"]
#: A request that succeeds, by call of the protocol.
DONE = {
    "Attach": plugin_pb2.PluginAttach(address="127.0.0.1:1"),
    "Cancel": empty_pb2.Empty(),
    "Check": provider_pb2.CheckRequest(urn=URN, news=message_of({"name": "q"})),
    "CheckConfig": provider_pb2.CheckRequest(urn="urn:x", news=message_of({})),
    "Configure": provider_pb2.ConfigureRequest(),
    "Create": provider_pb2.CreateRequest(urn=URN, properties=message_of({"name": "q"})),
    "Delete": provider_pb2.DeleteRequest(urn=URN, id="i", properties=message_of({"name": "q"})),
    "Diff": provider_pb2.DiffRequest(urn=URN, id="i"),
    "DiffConfig": provider_pb2.DiffRequest(urn="urn:x"),
    "GetPluginInfo": empty_pb2.Empty(),
    "Handshake": provider_pb2.ProviderHandshakeRequest(),
    "Invoke": provider_pb2.InvokeRequest(tok="aws:index/getRegion:getRegion"),
    "Read": provider_pb2.ReadRequest(urn=URN, id="i", properties=message_of({"name": "q"})),
    "Update": provider_pb2.UpdateRequest(urn=URN, id="i", news=message_of({"name": "q"}), preview=True),
}


def test_each_call_of_the_protocol_is_done_or_refused() -> None:
    assert sorted([*DONE, *REFUSED]) == sorted(method.name for method in SERVICE.methods)


@pytest.mark.parametrize("method", DONE)
def test_a_call_that_is_done_answers(provider: Any, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(READS, "aws:sqs/queue:Queue", lambda id_, state, context: {})
    assert getattr(provider, method)(DONE[method]) is not None


@pytest.mark.parametrize("method", REFUSED)
def test_a_call_that_is_not_done_is_refused_by_name_in_one_line(provider: Any, method: str) -> None:
    request = getattr(provider_pb2, SERVICE.methods_by_name[method].input_type.name)()
    with pytest.raises(grpc.RpcError) as error:
        list(getattr(provider, method)(request))
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert error.value.details() == f"{method}: {REFUSED[method]}"
    assert "\n" not in error.value.details()
