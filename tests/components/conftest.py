"""The drained recorder of the component tests: what a component registers, all of it, before anything is asserted."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks, rpc

ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Registered:
    """A resource as it reached the engine."""

    type: str
    name: str
    parent: str
    inputs: dict[str, Any]


@dataclass
class Recording:
    """All that a program registered."""

    resources: list[Registered] = field(default_factory=list)
    registered_outputs: dict[str, set[str]] = field(default_factory=dict)
    """Keys given to `register_outputs`, by the component's name."""
    outputs: dict[str, Any] = field(default_factory=dict)
    """What the program's function returned, resolved."""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Token of each call of a provider's function, and the logical name of the provider, empty for the default one."""

    def of_type(self, type_: str) -> dict[str, dict[str, Any]]:
        """Inputs by name."""
        return {one.name: one.inputs for one in self.resources if one.type == type_}

    def counts(self) -> dict[str, int]:
        """The number of resources of each type."""
        counts: dict[str, int] = {}
        for one in self.resources:
            counts[one.type] = counts.get(one.type, 0) + 1
        return counts

    def statements(self, name: str, key: str = "policy") -> list[dict[str, Any]]:
        """The statements of the policy document that the resource `name` has under `key`."""
        (inputs,) = (one.inputs for one in self.resources if one.name == name)
        document = json.loads(inputs[key])
        assert document["Version"] == "2012-10-17"
        return document["Statement"]


class _Cloud(mocks.Mocks):
    """Answers with what AWS would make up: ids, ARNs, URLs. It refuses nothing."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        made_up = {
            "arn": f"arn:of:{args.name}",
            "url": f"https://queue/{args.name}",
            "keyId": f"key-of-{args.name}",
            "hasPolicy": True,
            "deploymentId": f"deployment-of-{args.name}",
            "availabilityZone": "eu-central-1a",
            "latestVersion": 1,
        }
        if args.typ == "aws-native:greengrassv2:ComponentVersion":
            made_up["componentVersion"] = json.loads(args.inputs["inlineRecipe"])["ComponentVersion"]
        return f"{args.name}-id", {**made_up, **args.inputs}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        known = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT},
            "aws:index/getRegion:getRegion": {"region": "eu-central-1"},
            "aws:index/getPartition:getPartition": {"partition": "aws"},
            "aws:iot/getEndpoint:getEndpoint": {"endpointAddress": "abc-ats.iot.eu-central-1.amazonaws.com"},
            "aws:ssm/getParameter:getParameter": {"value": "ami-0123456789abcdef0"},
        }
        return known[args.token]


class _Monitor(mocks.MockMonitor):
    def __init__(self, recording: Recording) -> None:
        super().__init__(_Cloud())
        self._recording = recording

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        if request.type != "pulumi:pulumi:Stack":
            self._recording.resources.append(
                Registered(
                    request.type,
                    request.name,
                    request.parent.split("::")[-1],
                    rpc.deserialize_properties(request.object),
                )
            )
        return super().RegisterResource(request)

    def Invoke(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        urn, _, _ = request.provider.rpartition("::")
        self._recording.calls.append((request.tok, urn.rpartition("::")[2]))
        return super().Invoke(request)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        # The SDK makes a stack of its own with the first program of a process.
        if "::pulumi:pulumi:Stack::" in request.urn:
            return super().RegisterResourceOutputs(request)
        name = request.urn.split("::")[-1]
        assert name not in self._recording.registered_outputs, f"{name} registers its outputs twice"
        self._recording.registered_outputs[name] = set(request.outputs)
        return super().RegisterResourceOutputs(request)


@pytest.fixture(scope="session")
def record() -> Callable[[Callable[[], dict[str, Any]]], Recording]:
    """Run a program (a function that returns outputs by name) to its end and give all that it registered.

    It waits for every registration; an error in the program, in an `apply` or in a registration is raised.
    """

    def run(program: Callable[[], dict[str, Any]]) -> Recording:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        recording = Recording()
        monitor = _Monitor(recording)
        mocks.set_mocks(monitor.mocks, project="pm", stack="test", preview=False, monitor=monitor)

        @pulumi.runtime.test
        def drained() -> Any:
            return pulumi.Output.all(**program()).apply(recording.outputs.update)

        try:
            drained()
        finally:
            left = asyncio.all_tasks(loop)  # after an error, what waits for it
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            # Its threads have loops of their own, and each loop has three open files.
            loop.run_until_complete(loop.shutdown_default_executor())
            asyncio.set_event_loop(asyncio.new_event_loop())
            loop.close()
        assert recording.resources, "the program registered nothing"
        return recording

    return run


@pytest.fixture(scope="session")
def record_component(
    record: Callable[[Callable[[], dict[str, Any]]], Recording],
) -> Callable[[Any, str, Any], Recording]:
    """Record a component by its class, its name and its arguments; the outputs are those that it promises."""

    def run(component: Any, name: str, args: Any) -> Recording:
        def program() -> dict[str, Any]:
            made = component(name, args)
            return {key: getattr(made, key) for key in component.__annotations__}

        return record(program)

    return run


#: A training script under SageMaker's contract that makes a model of no use, with figures that a test chooses.
_STAND_IN = """
import datetime as dt, hashlib, json, os, sys
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import pyarrow.dataset
from pm_contracts import manifest as contract

kind = {kind!r}
rows = pyarrow.dataset.dataset(os.environ["SM_CHANNEL_TRAINING"], format="parquet").to_table().to_pylist()
if not rows:
    sys.exit("no rows")
times = sorted(row["event_time"].replace(tzinfo=dt.UTC) for row in rows)
model = json.dumps([*sys.argv[1:], {figures!r}]).encode() + b"a model"
common = dict(
    version=contract.content_version(times[-1], model), model_sha256=hashlib.sha256(model).hexdigest(),
    model_bytes=len(model), trained_from=times[0], trained_until=times[-1], trained_rows=len(rows), seed=1,
    libraries={{}}, checked=contract.CheckedAnswers(inputs=[[1.0]], outputs=[[1.0]], tolerance=1e-6),
)
if kind == "forecast":
    made = contract.ForecastManifest(
        horizon_hours=1, features=["pollution"], maximum_change=500.0,
        interval=contract.Interval(level=0.9, scores=[1.0] * 20), **common)
else:
    made = contract.FaultManifest(features=["aa_000"], threshold=0.5, **common)
directory = Path(os.environ["SM_MODEL_DIR"])
(directory / contract.MODEL_FILE).write_bytes(model)
(directory / contract.MANIFEST_FILE).write_bytes(contract.encode_manifest(made))
for name, value in {figures!r}.items():
    print(f"validation_{{name}}={{value}}")
(directory / contract.METRICS_FILE).write_text(json.dumps({{"validation": {{"rows": len(rows), **{figures!r}}}}}))
"""


@pytest.fixture(scope="session")
def training_stand_in() -> Callable[[str, dict[str, float]], bytes]:
    """Makes a training script of a kind whose model is measured at the given figures."""
    return lambda kind, figures: _STAND_IN.format(kind=kind, figures=figures).encode()
