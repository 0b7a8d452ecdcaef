"""The monitor and the registry, given the SDK's own messages, without a cloud and without a child process.

Not proved: that a handler does what it should in the cloud (see test_deploy_small_program.py).
"""

import inspect
import re
import traceback
from types import SimpleNamespace
from typing import Any

import pulumi
import pulumi_aws
import pulumi_aws_native
import pytest
from cryptography.fernet import Fernet
from google.protobuf import struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import callback_pb2, resource_pb2

from pm_sandbox.deployer.engine import Engine
from pm_sandbox.deployer.monitor import CloudMonitor
from pm_sandbox.deployer.records import DeploymentError, ResourceRecord
from pm_sandbox.deployer.registration import REFUSED
from pm_sandbox.deployer.vault import Vault
from pm_sandbox.provider import Context, InputError, Provider
from pm_sandbox.provider.registry import HANDLERS
from pm_sandbox.provider.wire import plain

SECRET = {rpc._special_sig_key: rpc._special_secret_sig}


class FakeService:
    """A boto3 client of which every call succeeds and is kept."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> dict[str, Any]:
            self.calls.append((name, arguments))
            return {"QueueUrl": "http://queue", "Role": {"Arn": "arn:role", "RoleId": "id"}}

        return call


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def provider(service: FakeService) -> Provider:
    cloud = SimpleNamespace(
        region="eu-central-1",
        account_id="000000000000",
        mqtt_host="127.0.0.1",
        client=lambda name: service,
    )
    return Provider(Context(cloud))


@pytest.fixture
def engine(provider: Provider) -> Engine:
    return Engine(provider, Vault(Fernet.generate_key()), lambda _: None)


@pytest.fixture
def monitor(engine: Engine, provider: Provider) -> CloudMonitor:
    return CloudMonitor("pm", "dev", engine, provider)


def _record(engine: Engine) -> ResourceRecord:
    """The one record that there is."""
    (record,) = engine.records.values()
    return record


def _request(type_: str, inputs: dict[str, Any], **fields: Any) -> resource_pb2.RegisterResourceRequest:
    message = struct_pb2.Struct()
    message.update(inputs)
    return resource_pb2.RegisterResourceRequest(type=type_, name="it", parent="", custom=True, object=message, **fields)


QUEUE = "aws:sqs/queue:Queue"
#: By field of the message, of each that is refused.
ASKED: dict[str, Any] = {
    "importId": "old",
    "remote": True,
    "transforms": [{"target": "x", "token": "y"}],
    "hooks": {"after_create": ["h"]},
    "customTimeouts": {"create": "1s"},
    "deletedWith": "urn:a",
    "replace_with": ["urn:a"],
    "replacement_trigger": {"string_value": "a"},
    "pluginDownloadURL": "https://a",
    "envVarMappings": {"a": "b"},
    "state_migrations": [{"target": "x", "token": "y"}],
}


def test_whole_numbers_and_secrets_reach_the_cloud_as_plain_values(
    monitor: CloudMonitor, service: FakeService, engine: Engine
) -> None:
    request = _request(QUEUE, {"name": {**SECRET, "value": "q"}, "delaySeconds": 5.0, "tags": {**SECRET, "value": {}}})
    response = monitor.RegisterResource(request)
    assert service.calls == [("create_queue", {"QueueName": "q", "Attributes": {"DelaySeconds": "5"}, "tags": {}})]
    assert response.id == "http://queue"
    assert not response.unknown, "what the handler did not answer is None"
    assert _record(engine).outputs["arn"] == "arn:aws:sqs:eu-central-1:000000000000:q"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            _request("aws:redshift/cluster:Cluster", {}),
            "aws:redshift/cluster:Cluster 'it': the sandbox has no handler for this type",
        ),
        (_request(QUEUE, {"name": "q", "colour": "red"}), "colour: there is no such input"),
        (_request(QUEUE, {"name": "q", "namePrefix": "p"}), "cannot honour the input.s. namePrefix"),
        (_request(QUEUE, {"namePrefix": "q"}), "input name is missing; given are namePrefix"),
        (_request(QUEUE, {"name": rpc.UNKNOWN}), "input name has no value"),
        (
            _request(QUEUE, {"name": "q"}, version="9.9.9"),
            "asks for version 9.9.9 of the provider aws, and the sandbox",
        ),
        (
            _request("pulumi:providers:aws", {"region": "us-east-1"}),
            "region is us-east-1, and the sandbox's cloud is in",
        ),
        (_request("pulumi:providers:aws", {"defaultTags": {"tags": {}}}), "defaultTags is not done"),
        (
            _request("aws:iam/role:Role", {"name": "r", "assumeRolePolicy": "{}", "inlinePolicies": [{"name": "p"}]}),
            r"input inlinePolicies\[0\].policy is missing",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(monitor: CloudMonitor, request_: Any, message: str) -> None:
    with pytest.raises((DeploymentError, KeyError), match=message):
        monitor.RegisterResource(request_)
    assert monitor.failure is not None


@pytest.mark.parametrize("field", REFUSED)
def test_an_option_that_is_not_done_is_refused_by_name(monitor: CloudMonitor, engine: Engine, field: str) -> None:
    request = _request(QUEUE, {"name": "q"}, **{field: ASKED[field]})
    with pytest.raises(DeploymentError, match=f"it'?: asks for {REFUSED[field]}, which the sandbox does not do"):
        monitor.RegisterResource(request)
    assert engine.records == {}


@pytest.mark.parametrize(
    ("call", "request_", "message"),
    [
        ("ReadResource", resource_pb2.ReadResourceRequest(type=QUEUE, name="it"), f"{QUEUE} it: looks up a resource"),
        (
            "ReadResource",
            resource_pb2.ReadResourceRequest(type="pulumi:pulumi:StackReference", name="other"),
            "StackReference other: looks up a resource",
        ),
        ("RegisterStackTransform", callback_pb2.Callback(), "a stack transform is not run"),
        ("RegisterStackInvokeTransform", callback_pb2.Callback(), "a transform of function calls is not run"),
        ("RegisterResourceHook", resource_pb2.RegisterResourceHookRequest(name="h"), "h: a resource hook is not run"),
        ("RegisterErrorHook", resource_pb2.RegisterErrorHookRequest(name="h"), "h: an error hook is not run"),
    ],
)
def test_a_call_that_is_not_done_is_refused_by_name(
    monitor: CloudMonitor, call: str, request_: Any, message: str
) -> None:
    with pytest.raises(DeploymentError, match=message):
        getattr(monitor, call)(request_)


def test_an_input_that_the_sdk_does_not_have_is_refused(monitor: CloudMonitor, service: FakeService) -> None:
    inputs = {"environment": {"varibles": {}}, "role": "r"}
    with pytest.raises(DeploymentError, match=r"Function 'it': environment.varibles: there is no such input"):
        monitor.RegisterResource(_request("aws:lambda/function:Function", inputs))
    assert service.calls == []


def test_a_call_that_a_services_model_refuses_is_not_made(monitor: CloudMonitor, service: FakeService) -> None:
    with pytest.raises(DeploymentError, match="athena CreateWorkGroup: Value 'a b' at 'Name' failed"):
        monitor.RegisterResource(_request("aws:athena/workgroup:Workgroup", {"name": "a b"}))
    assert service.calls == []


def test_a_block_that_is_not_understood_is_refused(monitor: CloudMonitor) -> None:
    logs = {"logGroupName": "x", "roleArn": "arn:aws:iam::123456789012:role/r"}
    rule = {"name": "r", "sql": "SELECT 1", "sqlVersion": "2016-03-23", "enabled": True}
    inputs = {**rule, "errorAction": {"cloudwatchLogs": logs}}
    with pytest.raises(DeploymentError, match=r"cannot honour the input.s. errorAction.cloudwatchLogs"):
        monitor.RegisterResource(_request("aws:iot/topicRule:TopicRule", inputs))


def test_what_the_program_holds_for_secret_is_no_part_of_the_record(
    monitor: CloudMonitor, service: FakeService, engine: Engine
) -> None:
    inputs = {"name": "q", "tags": {"a": {**SECRET, "value": "hush"}}}
    response = monitor.RegisterResource(_request(QUEUE, inputs, additionalSecretOutputs=["url"]))
    assert response.object["url"][rpc._special_sig_key] == rpc._special_secret_sig
    outputs = struct_pb2.Struct()
    outputs.update({"shown": "a", "hidden": {**SECRET, "value": "hush"}})
    monitor.RegisterResourceOutputs(resource_pb2.RegisterResourceOutputsRequest(urn="urn:stack", outputs=outputs))
    assert service.calls[0][1]["tags"] == {"a": "hush"}
    record = _record(engine)
    assert record.inputs["tags"] == record.outputs["tags"] == {"a": "[secret]"}
    assert record.outputs["url"] == "[secret]"
    assert "hush" not in str(record)
    assert monitor.outputs == {"shown": "a", "hidden": "[secret]"}


def test_a_secret_is_no_part_of_an_error(
    monitor: CloudMonitor, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = {"name": "q", "tags": {"a": {**SECRET, "value": "hushhush"}}}

    def refuses(*_: Any) -> Any:
        raise InputError("hushhush is no tag")

    monkeypatch.setattr(provider, "create", refuses)
    with pytest.raises(DeploymentError, match=r"\[secret\] is no tag") as refusal:
        monitor.RegisterResource(_request(QUEUE, inputs))
    assert "hushhush" not in "".join(traceback.format_exception(refusal.value))


def test_an_explicit_provider_for_this_cloud_is_the_one_that_there_is(monitor: CloudMonitor) -> None:
    response = monitor.RegisterResource(_request("pulumi:providers:aws", {"region": "eu-central-1", "token": "t"}))
    queue = _request(QUEUE, {"name": "q"}, provider=f"{response.urn}::{response.id}")
    assert monitor.RegisterResource(queue).id == "http://queue"


def test_nothing_is_made_after_a_failure(monitor: CloudMonitor, service: FakeService) -> None:
    with pytest.raises(DeploymentError):
        monitor.RegisterResource(_request("aws:redshift/cluster:Cluster", {}))
    with pytest.raises(DeploymentError, match="redshift"):
        monitor.RegisterResource(_request(QUEUE, {"name": "q"}))
    assert service.calls == []


def test_two_resources_of_one_name_are_refused(monitor: CloudMonitor) -> None:
    monitor.RegisterResource(_request(QUEUE, {"name": "q"}))
    with pytest.raises(DeploymentError, match="two resources of this type and name"):
        monitor.RegisterResource(_request(QUEUE, {"name": "other"}))


def test_a_function_without_an_answer_and_an_argument_without_effect_are_refused(monitor: CloudMonitor) -> None:
    with pytest.raises(DeploymentError, match="aws:ec2/getVpc:getVpc: the sandbox has no answer"):
        monitor.Invoke(resource_pb2.ResourceInvokeRequest(tok="aws:ec2/getVpc:getVpc"))


def test_an_argument_that_a_function_cannot_honour_is_refused(monitor: CloudMonitor) -> None:
    arguments = struct_pb2.Struct()
    arguments.update({"endpointType": "iot:Jobs"})
    request = resource_pb2.ResourceInvokeRequest(tok="aws:iot/getEndpoint:getEndpoint", args=arguments)
    with pytest.raises(DeploymentError, match=r"iot:Jobs.*allowed are .*iot:Data-ATS"):
        monitor.Invoke(request)


def test_references_assets_nulls_and_unknowns_are_taken_apart() -> None:
    message = struct_pb2.Struct()
    message.update(
        {
            "reference": {rpc._special_sig_key: rpc._special_resource_sig, "urn": "urn:x", "id": "id-x"},
            "component": {rpc._special_sig_key: rpc._special_resource_sig, "urn": "urn:y"},
            "asset": {rpc._special_sig_key: rpc._special_asset_sig, "text": "hello"},
            "nothing": None,
            "deep": {"list": [1.0, 1.5, {"unknown": rpc.UNKNOWN}]},
        }
    )
    values, missing = plain(message)
    assert missing == ["deep.list[2].unknown"]
    assert isinstance(values.pop("asset"), pulumi.StringAsset)
    assert values == {"reference": "id-x", "component": "urn:y", "deep": {"list": [1, 1.5, {}]}}


def _class_of(token: str) -> type:
    """The provider's class of a type token, which must name the token itself: `aws:iot/thing:Thing`."""
    provider, module, name = token.split(":")
    package: Any = {"aws": pulumi_aws, "aws-native": pulumi_aws_native}[provider]
    service = module.split("/")[0]
    cls: type = getattr(getattr(package, "lambda_" if service == "lambda" else service), name)
    assert f"'{token}'" in inspect.getsource(cls)
    return cls


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("token", HANDLERS)
def test_a_handler_is_for_a_type_of_a_provider_and_ignores_only_inputs_that_it_has(token: str) -> None:
    parameters = set(inspect.signature(_class_of(token)._internal_init).parameters)  # type: ignore[attr-defined]
    ignores = HANDLERS[token].ignores
    for key in ignores:
        assert re.sub("([A-Z])", r"_\1", key).lower() in parameters
    assert all(len(reason) > 20 for reason in ignores.values())
