"""The engine's side of a policy pack, and resources for the rules to judge."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc

from pm_policies.rule import Resource, ResourceRule, Rule, Stack, StackRule, plain

ROOT = Path(__file__).parents[2]
#: The day that rules judge by, so that no test has another outcome on a later one.
DAY = {"ends-of-support": {"today": "2025-01-01"}}


@pytest.fixture
def make() -> Callable[..., Resource]:
    """Make a resource of the stack `dev`: type, name, inputs as the engine spells them."""

    def resource(
        type_: str, name: str = "one", /, *, stack: str = "dev", depends_on: Mapping[str, list[str]] = {}, **inputs: Any
    ) -> Resource:
        return Resource(type_, name, f"urn:pulumi:{stack}::pm::{type_}::{name}", plain(inputs), depends_on)

    return resource


@pytest.fixture
def messages() -> Callable[..., list[str]]:
    """A rule's messages on resources, given settings."""

    def told(rule: Rule, *resources: Resource, **settings: Any) -> list[str]:
        if isinstance(rule, StackRule):
            return [finding.message for finding in rule.findings(Stack(resources), settings)]
        assert isinstance(rule, ResourceRule)
        return [finding.message for one in resources for finding in rule.findings(one, settings)]

    return told


class Diagnostic(NamedTuple):
    """A diagnostic of the pack to the engine."""

    rule: str
    level: str
    urn: str
    message: str
    severity: str

    @property
    def undecided(self) -> bool:
        """True if it waits for a value."""
        return "cannot be judged before the update" in self.message or "not in the estimate" in self.message


@dataclass
class Review:
    """The result of showing a program to the pack."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    mended: list[tuple[str, str]] = field(default_factory=list)
    """Rule and URN of each remediation."""
    mended_inputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def refusals(self) -> set[str]:
        """The rules by which the engine would refuse the program."""
        return {one.rule for one in self.diagnostics if one.level == "MANDATORY"}

    def decided(self) -> set[str]:
        """The rules that have something against the program, of any level."""
        return {one.rule for one in self.diagnostics if not one.undecided}


class Engine:
    """Speaks to a policy pack as Pulumi's engine does."""

    def __init__(self, stub: Any) -> None:
        self.stub = stub

    def configure(self, settings: Mapping[str, Mapping[str, Any]] = {}, levels: Mapping[str, str] = {}) -> None:
        """Send the configuration of all rules, as the engine does: level and settings, by default the rule's own."""
        request = proto.ConfigureAnalyzerRequest()
        for policy in self.stub.GetAnalyzerInfo(empty_pb2.Empty()).policies:
            given = request.policyConfig[policy.name]
            given.enforcementLevel = proto.EnforcementLevel.Value(
                levels.get(policy.name, proto.EnforcementLevel.Name(policy.enforcementLevel))
            )
            schema = json_format.MessageToDict(policy.configSchema.properties)
            defaults = {name: described["default"] for name, described in schema.items() if "default" in described}
            given.properties.update({**defaults, **DAY.get(policy.name, {}), **settings.get(policy.name, {})})
        self.stub.Configure(request)

    def configure_stack(self, stack: str, config: Mapping[str, str]) -> None:
        """Send what the engine sends of the stack before anything else."""
        self.stub.ConfigureStack(proto.AnalyzerStackConfigureRequest(stack=stack, project="pm", config=config))

    def review(self, resources: Iterable[Any]) -> Review:
        """Show resources, as `pm_sandbox.recorder` has them, to the pack: each is mended, then judged, and all together
        at the end.
        """
        review = Review()
        whole = proto.AnalyzeStackRequest()
        for one in resources:
            inputs = dict(one.inputs)
            request = proto.AnalyzeRequest(type=one.type, urn=one.urn, name=one.name, properties=_struct(inputs))
            for remediation in self.stub.Remediate(request).remediations:
                assert not remediation.diagnostic, remediation
                inputs = json_format.MessageToDict(remediation.properties)
                review.mended.append((remediation.policyName, one.urn))
                review.mended_inputs[one.urn] = inputs
            request.properties.CopyFrom(_struct(inputs))
            review.diagnostics += _diagnostics(self.stub.Analyze(request), one.urn)
            state = _struct({**inputs, **one.outputs})
            resource = whole.resources.add(type=one.type, urn=one.urn, name=one.name, properties=state)
            resource.parent = one.parent
            resource.dependencies.extend(one.dependencies)
            for key, urns in one.input_dependencies.items():
                resource.propertyDependencies[key].urns.extend(urns)
        review.diagnostics += _diagnostics(self.stub.AnalyzeStack(whole), "")
        return review


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(dict(values))
    return struct


def _diagnostics(response: Any, urn: str) -> list[Diagnostic]:
    return [
        Diagnostic(
            one.policyName,
            proto.EnforcementLevel.Name(one.enforcementLevel),
            one.urn or urn,
            one.message,
            proto.PolicySeverity.Name(one.severity),
        )
        for one in response.diagnostics
    ]


@pytest.fixture(scope="session")
def pack_process() -> Iterator[Any]:
    """The pack in a process of its own, started as the command line starts it: in its folder, by Pulumi's module."""
    with subprocess.Popen(
        [sys.executable, "-m", "pulumi.policy", "127.0.0.1:0", "."],
        cwd=ROOT / "pm_policies",
        env={**os.environ, "PULUMI_PROJECT": "pm", "PULUMI_STACK": "dev", "PULUMI_DRY_RUN": "false"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port.isdigit(), f"the pack said {port!r} where its port was expected"
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                grpc.channel_ready_future(channel).result(timeout=30)
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.terminate()


@pytest.fixture
def engine(pack_process: Any) -> Iterator[Engine]:
    """The engine beside a pack that has its default configuration, which it gets back afterwards."""
    engine = Engine(pack_process)
    engine.configure()
    engine.configure_stack("dev", {})
    yield engine
    engine.configure()
    engine.configure_stack("dev", {})
