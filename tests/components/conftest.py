"""The drained recorder of the component tests: what a component registers, all of it, before anything is asserted."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from pm_sandbox.deployer.registration import Registration
from pm_sandbox.recorder.monitor import RecordingMonitor


@dataclass
class Recording:
    """All that a program registered."""

    resources: list[Registration] = field(default_factory=list)
    registered_outputs: dict[str, set[str]] = field(default_factory=dict)
    """Keys given to `register_outputs`, by the component's name."""
    outputs: dict[str, Any] = field(default_factory=dict)
    """The values that the program's function returned, resolved."""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Token of each call of a provider's function, and the logical name of the provider, empty for the default one."""

    def of_type(self, type_: str) -> dict[str, dict[str, Any]]:
        """Inputs by name; assets and archives are Pulumi's objects."""
        return {one.name: one.values for one in self.resources if one.type == type_}

    def counts(self) -> dict[str, int]:
        """The number of resources of each type."""
        counts: dict[str, int] = {}
        for one in self.resources:
            counts[one.type] = counts.get(one.type, 0) + 1
        return counts

    def statements(self, name: str, key: str = "policy") -> list[dict[str, Any]]:
        """The statements of the policy document that the resource `name` has under `key`."""
        (inputs,) = (one.values for one in self.resources if one.name == name)
        document = json.loads(inputs[key])
        assert document["Version"] == "2012-10-17"
        return document["Statement"]


class _Monitor(RecordingMonitor):
    """The recorder in this process, with ARNs and URLs that a test can write down."""

    def __init__(self, recording: Recording) -> None:
        super().__init__("pm", "test", "eu-central-1")
        self._kept = recording

    def made_up(self, token: str, name: str, values: dict[str, Any]) -> dict[str, Any]:
        short = {"arn": f"arn:of:{name}", "invokeArn": f"arn:of:{name}", "url": f"https://queue/{name}"}
        return {**super().made_up(token, name, values), **short}

    def registered_resource(self, new: Registration) -> tuple[str, dict[str, Any]]:
        self._kept.resources.append(new)
        return super().registered_resource(new)

    def registered_outputs(self, urn: str, outputs: dict[str, Any]) -> bool:
        component = super().registered_outputs(urn, outputs)
        if component:
            self._kept.registered_outputs[self.registered[urn].name] = set(outputs)
        return component

    def Invoke(self, request: Any) -> Any:  # noqa: N802 - gRPC's name
        urn, _, _ = request.provider.rpartition("::")
        self._kept.calls.append((request.tok, urn.rpartition("::")[2]))
        return super().Invoke(request)


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
from onnx import helper
from pm_contracts import manifest as contract

kind = {kind!r}
rows = pyarrow.dataset.dataset(os.environ["SM_CHANNEL_TRAINING"], format="parquet").to_table().to_pylist()
if not rows:
    sys.exit("no rows")
times = sorted(row["event_time"].replace(tzinfo=dt.UTC) for row in rows)
ends = [helper.make_tensor_value_info(name, 1, ["row", 1]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "none", ends[:1], ends[1:])
model = helper.make_model(graph, doc_string=json.dumps([*sys.argv[1:], {figures!r}])).SerializeToString()
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
