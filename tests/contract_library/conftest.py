"""The engine's side of the gRPC protocol: a monitor that records, and the component provider as its own process."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2, provider_pb2_grpc, resource_pb2_grpc

from pm_sandbox.recorder import Registered, record
from pm_sandbox.recorder.monitor import RecordingMonitor

ROOT = Path(__file__).parents[2]
STACK_URN = "urn:pulumi:test::factory::pulumi:pulumi:Stack::factory-test"
#: The longest names that the configuration allows (32 characters), which differ in the last one alone.
SITES = [
    {
        "name": f"plant-with-the-longest-of-names{number}",
        "core_devices": [f"core-{number}-with-the-longest-of-names"],
        "devices": [
            {"name": "air-with-the-longest-of-all-name", "type": "air_quality"},
            {"name": "machine-with-the-longest-of-name", "type": "machine"},
        ],
    }
    for number in (1, 2)
]
_LIMITS = [("grpc.max_receive_message_length", 1 << 26), ("grpc.max_send_message_length", 1 << 26)]


class _Served:
    """A monitor's methods as gRPC calls them."""

    def __init__(self, monitor: RecordingMonitor) -> None:
        self._monitor = monitor

    def __getattr__(self, name: str) -> Any:
        def call(request: Any, context: grpc.ServicerContext) -> Any:
            method = getattr(self._monitor, name, None)
            if method is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the test's engine has no {name}")
            return method(request)

        return call


class _Engine(engine_pb2_grpc.EngineServicer):
    def __init__(self) -> None:
        self.log: list[str] = []

    def Log(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        self.log.append(request.message)
        return empty_pb2.Empty()


class Provider:
    """The component provider, started as Pulumi's engine starts it, and the engine that it talks to."""

    def __init__(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(16), options=_LIMITS)
        self._engine = _Engine()
        self.preview = False
        """True if what is constructed next is a preview, in which no output of a resource has a value."""
        self._served = _Served(self._monitor())
        engine_pb2_grpc.add_EngineServicer_to_server(self._engine, self._server)
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(self._served, self._server)
        self._address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        # From elsewhere, without the checkout installed (`-S` leaves out what an editable installation adds), as the
        # engine does it.
        self._process = subprocess.Popen(
            [sys.executable, "-S", str(ROOT / "component_provider"), self._address],
            stdout=subprocess.PIPE,
            cwd="/",
            env={**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")},
        )
        assert self._process.stdout is not None
        self._channel = grpc.insecure_channel(f"127.0.0.1:{int(self._process.stdout.readline())}", options=_LIMITS)
        self._stub = provider_pb2_grpc.ResourceProviderStub(self._channel)

    def schema(self) -> dict[str, Any]:
        """The package's schema."""
        return json.loads(self._stub.GetSchema(provider_pb2.GetSchemaRequest()).schema)

    def construct(self, type_: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Have a component constructed; the outputs that the program of another language gets."""
        message = struct_pb2.Struct()
        message.update(inputs)
        request = provider_pb2.ConstructRequest(
            project="factory",
            stack="test",
            type=type_,
            name=name,
            parent=STACK_URN,
            inputs=message,
            monitorEndpoint=self._address,
            config={"aws:region": "eu-central-1"},
            parallel=16,
            dryRun=self.preview,
        )
        return json_format.MessageToDict(self._stub.Construct(request).state)

    def registered(self) -> list[Registered]:
        """The registrations of the components since the last call."""
        found = list(self._served._monitor.registered.values())
        self._served._monitor = self._monitor()
        return found

    def calls(self) -> dict[str, int]:
        """The number of calls of each function of a provider since `registered` was last asked."""
        return dict(self._served._monitor.calls)

    def _monitor(self) -> RecordingMonitor:
        return RecordingMonitor("factory", "test", "eu-central-1", preview=self.preview)

    def stop(self) -> None:
        """End the process and the engine."""
        self._channel.close()
        self._process.terminate()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._server.stop(None)


@pytest.fixture(scope="session")
def provider_process() -> Iterator[Provider]:
    """The component provider, one process for all tests."""
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture
def provider(provider_process: Provider) -> Provider:
    """The component provider, with nothing registered yet."""
    provider_process.preview = False
    provider_process.registered()
    return provider_process


@pytest.fixture
def own_provider() -> Iterator[Provider]:
    """A provider process for one test: after a component fails half-way, what it registered before still comes in."""
    provider = Provider()
    yield provider
    provider.stop()


EVERY_OPTION = "every-option"
ENVIRONMENTS = [*sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml")), EVERY_OPTION]


@pytest.fixture(scope="session", params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> list[Registered]:
    """All that is registered, with the longest names of sites: by the project's program for each stack that has a file,
    and by the components with a value for every argument that they have.
    """
    if request.param != EVERY_OPTION:
        return record(ROOT, request.param, {"pm:sites": SITES}).resources
    provider = Provider()
    try:
        outputs: dict[str, dict[str, Any]] = {}
        for type_, name, arguments in every_option():
            outputs[name] = provider.construct(type_, name, resolved(arguments, outputs))
        return provider.registered()
    finally:
        provider.stop()


def every_option() -> list[tuple[str, str, dict[str, Any]]]:
    """Type, name and arguments of components that together use every argument; `${name.output}` is of another."""
    ownership = {"tier": "dev", "owner": "factory-platform", "costCentre": "4711"}
    alarms = ["${alerting.topicArn}"]
    site = SITES[0]
    core = site["core_devices"][0]
    return [
        (
            "pm:index:FaultAlerting",
            "alerting",
            {
                "ownership": ownership,
                "emails": ["operator@example.com"],
                "sites": [one["name"] for one in SITES],
                "voice": "Matthew",
                "voiceEngine": "standard",
                "voiceLanguage": "en-US",
                "announcementDays": 7,
                "detector": {"window": 9, "minimumCount": 5, "maximumShare": 0.1, "clearShare": 0.05, "tolerance": 0.1},
                "disposable": True,
                "alarms": {
                    "dedupeSeconds": 600,
                    "escalationSeconds": 900,
                    "escalationSeverities": ["critical"],
                    "mailLimit": 50,
                    "digestSeconds": 300,
                },
                "escalationEmails": ["head@example.com"],
                "reservedConcurrency": 2,
            },
        ),
        (
            "pm:index:AnalyticsStore",
            "store",
            {
                "ownership": ownership,
                "sites": [one["name"] for one in SITES],
                "retentionDays": 30,
                "scanLimitBytes": 10_485_760,
                "alarmTopicArns": alarms,
                "disposable": True,
                "customerKey": True,
            },
        ),
        (
            "pm:index:ForecastPipeline",
            "pipeline",
            {
                "ownership": ownership,
                "sites": [one["name"] for one in SITES],
                "lakeBucket": "${store.lakeBucket}",
                "database": "${store.database}",
                "workgroup": "${store.workgroup}",
                "imageUri": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/training:1",
                "instanceType": "ml.m5.large",
                "maximumSeconds": 600,
                "hyperparameters": {"seed": "7"},
                "minimumSkill": 0.02,
                "championMargin": 0.02,
                "canary": {"intervalSeconds": 60, "margin": 0.05, "maximumSeconds": 3600, "minimumOutcomes": 24},
                "schedule": "rate(1 day)",
                "scheduleEnabled": True,
                "signingKeys": ["next", "first"],
                "spot": True,
                "watchIntervalSeconds": 10,
                "watchSeconds": 60,
                "dataDirectory": "/srv/pm",
                "retentionDays": 30,
                "driftEnabled": True,
                "driftCooldownSeconds": 3600,
                "workbench": {
                    "instanceType": "ml.t3.large",
                    "volumeGibibytes": 30,
                    "subnetId": "subnet-0123456789abcdef0",
                    "securityGroupIds": ["sg-0123456789abcdef0"],
                },
                "alarmTopicArns": alarms,
                "disposable": True,
            },
        ),
        (
            "pm:index:EdgeComponents",
            "edge",
            {"ownership": ownership, "artifactBucket": "${pipeline.artifactBucket}"},
        ),
        (
            "pm:index:GreengrassSite",
            site["name"],
            {
                "ownership": ownership,
                "site": site["name"],
                "coreDevices": [core],
                "devices": {one["name"]: one["type"] for one in site["devices"]},
                "artifactBucket": "${pipeline.artifactBucket}",
                "componentVersions": "${edge.versions}",
                "modelPublicKeys": "${pipeline.modelPublicKeys}",
                "python": "/srv/venv/bin/python",
                "dataDirectory": "/srv/pm",
                "flowControl": "none",
                "canaryDevices": [core],
                "clientDevices": True,
                "configuration": {"pm.Uplink": '{"outboxMebibytes": "64"}'},
                "serialNumbers": {core: "SN-0001"},
                "hostInstanceType": "t3.medium",
                "hostChecksums": {"nucleus": "0" * 64, "provisioning_plugin": "0" * 64},
                "nucleus": {"kind": "classic", "version": "2.16.0"},
                "alarmTopicArns": ["${alerting.topicArn}"],
            },
        ),
        (
            "pm:index:CoreDeviceHost",
            "host",
            {
                "ownership": ownership,
                "thingName": "lindau-core",
                "serialNumber": "SN-0002",
                "provisioningTemplate": "pm-test-lindau",
                "roleAlias": "pm-test-lindau",
                "thingGroups": ["pm-test-lindau"],
                "alarmTopicArns": ["${alerting.topicArn}"],
                "artifactBucket": "${pipeline.artifactBucket}",
                "instanceType": "t3.large",
                "checksums": {"nucleus": "0" * 64, "session_manager_agent": "0" * 64},
                "nucleus": {"kind": "lite", "version": "2.6.0"},
                "python": "/srv/venv/bin/python",
                "dataDirectory": "/srv/pm",
            },
        ),
    ]


def resolved(value: Any, outputs: dict[str, dict[str, Any]]) -> Any:
    """`value` with the output of a component in place of each `${name.output}`."""
    if isinstance(value, dict):
        return {key: resolved(item, outputs) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, outputs) for item in value]
    if isinstance(value, str) and value.startswith("${"):
        name, output = value.strip("${}").split(".")
        return outputs[name][output]
    return value


@pytest.fixture(scope="session")
def arguments_tried() -> dict[str, set[str]]:
    """The arguments that `every_option` uses, by the component's type."""
    return {type_: set(arguments) for type_, _, arguments in every_option()}
