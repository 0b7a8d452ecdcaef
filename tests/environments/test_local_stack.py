"""The stack `local` points Pulumi's own providers at the embedded cloud, each service of the program included.

Not proved here: an update by Pulumi's own command line and providers, which are not needed to work on this project.
"""

import inspect
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pulumi_aws
import pulumi_aws_native
import pytest
import yaml

from pm_sandbox.recorder import Recording
from tests.pulumi_stub import Stub

ROOT = Path(__file__).resolve().parents[2]
ENDPOINT = "http://127.0.0.1:4566"
#: Services of resources whose type's folder has another name.
SERVICES = {
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": "firehose",
    "aws:cloudwatch/logGroup:LogGroup": "logs",
    "aws:cloudwatch/logStream:LogStream": "logs",
    "aws:cloudwatch/eventRule:EventRule": "events",
    "aws:cloudwatch/eventTarget:EventTarget": "events",
}


def _config() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())["config"]
    return values


def _settings(prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in _config().items() if key.startswith(prefix)}


def _endpoints(prefix: str) -> dict[str, str]:
    """The endpoint by service. `aws` takes a list of maps; `aws-native` takes a map, whatever its schema says: a list
    fails with "cannot unmarshal array into Go value of type map[string]string"."""
    endpoints = _settings(prefix)["endpoints"]
    found: dict[str, str] = endpoints if prefix == "aws-native:" else endpoints[0]
    assert isinstance(found, dict), f"{prefix}endpoints"
    return found


def _camel(name: str) -> str:
    head, *rest = name.rstrip("_").split("_")
    return head + "".join(word.capitalize() for word in rest)


def test_the_providers_know_every_setting_and_endpoint() -> None:
    for prefix, package in (("aws:", pulumi_aws), ("aws-native:", pulumi_aws_native)):
        known = {_camel(name) for name in inspect.signature(package.Provider._internal_init).parameters}
        assert set(_settings(prefix)) <= known
        endpoints = _endpoints(prefix)
        services = {name.rstrip("_") for name in inspect.signature(package.ProviderEndpointArgs.__init__).parameters}
        assert set(endpoints) <= services
        assert set(endpoints.values()) == {ENDPOINT}


def test_no_service_of_the_program_is_asked_for_at_aws(recorded: Callable[[str], Recording]) -> None:
    endpoints = _endpoints("aws:")
    types = {one.type for stack in ("local", "dev") for one in recorded(stack).resources if one.custom}
    assert len(types) > 30
    for type_ in sorted(types):
        if type_.startswith("aws:"):
            assert SERVICES.get(type_, type_.split(":")[1].split("/")[0]) in endpoints, type_
        else:
            assert type_.startswith("aws-native:greengrassv2:"), type_


def test_every_stack_gives_both_providers_the_same_region() -> None:
    for path in sorted(ROOT.glob("Pulumi.*.yaml")):
        config = yaml.safe_load(path.read_text())["config"]
        assert config["aws:region"] == config["aws-native:region"], path


def test_there_is_nothing_secret_in_it() -> None:
    assert {key: value for key, value in _config().items() if "ecret" in key or "accessKey" in key} == {
        f"{provider}:{key}": "test" for provider in ("aws", "aws-native") for key in ("accessKey", "secretKey")
    }
    assert "secure" not in json.dumps(_config())


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def test_an_empty_cloud_answers_these_credentials_at_the_port_that_was_asked_for(port: int, tmp_path: Path) -> None:
    # Whichever command this machine has: this one is in front of it, and too old to be asked for more than its version.
    stub = Stub(tmp_path / "commands", "echo v3.1.0")

    def pm(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("pm")), *arguments, "--directory", str(tmp_path / "factory")]
        environment = {**os.environ, "PATH": f"{stub.folder}:{os.environ['PATH']}"}
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)

    started = pm("up", "--cloud-only", "--port", str(port))
    assert started.returncode == 0, started.stdout
    shell = tmp_path / "factory" / "pulumi" / "environment.sh"
    assert shell.read_text() in started.stdout
    assert "export PULUMI_DEBUG_PROVIDERS=aws:" in started.stdout
    assert (
        f"The same lines, shorter: source {shell}\nThen pulumi stack init local and pulumi up -s local"
        in started.stdout
    )
    assert f"By hand: {stub.path} is Pulumi 3.1.0, too old: 3.208.0 or newer is needed" in started.stdout
    assert stub.runs == ["version"]
    try:
        settings = _settings("aws:")
        client = boto3.client(
            "sts",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name=settings["region"],
            aws_access_key_id=settings["accessKey"],
            aws_secret_access_key=settings["secretKey"],
        )
        assert client.get_caller_identity()["Arn"].endswith(":root")
        status = pm("status")
        assert status.returncode == 2
        assert "nothing is deployed" in status.stderr
    finally:
        stopped = pm("down")
    assert stopped.returncode == 0, stopped.stdout
