"""The policy pack: the rules as Pulumi's policy objects, and the analyzer that serves them to the engine.

pulumi-policy 1.7.0 is the last version that runs beside protobuf 6, and its analyzer neither mends resources nor tells
severities. The protocol has both, so `Analyzer` adds them to the analyzer of that version, by the seams in `SEAMS`.
"""

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import json_format, struct_pb2
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.deserialize import deserialize_properties
from pulumi_policy.policy import _PolicyAnalyzerServicer
from pulumi_policy.proxy import UnknownValueError

from pm_policies.rule import (
    Finding,
    Level,
    Resource,
    ResourceRule,
    Rule,
    Settings,
    Stack,
    StackRule,
    Undecided,
    plain,
    stack_settings,
    undecided,
)

PACK = "predictive-maintenance"
VERSION = "1.0.0"

#: Members on which `Analyzer` relies in the class that it extends; a test looks whether they are there.
SEAMS = ("_create_report_violation", "_convert_enforcement_level", "_get_policy_config", "_get_enforcement_level")

_MESSAGE_BYTES = 400 * 1024 * 1024
_WORKERS = 4


def policy(rule: Rule) -> Policy:
    """The rule as a policy object of Pulumi's SDK, for this pack or for one of your own.

    A remediating rule is mandatory there: the SDK of this version knows no remediation, `Analyzer` does.
    """
    level = EnforcementLevel.ADVISORY if rule.level is Level.ADVISORY else EnforcementLevel.MANDATORY
    schema = PolicyConfigSchema({name: dict(schema) for name, schema in rule.settings.items()})
    common: dict[str, Any] = {
        "name": rule.name,
        "description": rule.demand,
        "enforcement_level": level,
        "config_schema": schema if rule.settings else None,
    }
    if isinstance(rule, ResourceRule):
        return ResourceValidationPolicy(validate=_validate_resource(rule), **common)
    if isinstance(rule, StackRule):
        return StackValidationPolicy(validate=_validate_stack(rule), **common)
    raise TypeError(f"rule {rule.name}: found {type(rule).__name__}, allowed are ResourceRule and StackRule")


def _validate_resource(rule: ResourceRule) -> Callable[[ResourceValidationArgs, ReportViolation], None]:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = Resource(args.resource_type, args.name, args.urn, args.props)
        _report(rule, rule.findings(resource, args.get_config()), report)

    return validate


def _validate_stack(rule: StackRule) -> Callable[[StackValidationArgs, ReportViolation], None]:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [
            Resource(
                one.resource_type,
                one.name,
                one.urn,
                one.props,
                {key: [needed.urn for needed in all_] for key, all_ in one.property_dependencies.items()},
            )
            for one in args.resources
        ]
        _report(rule, rule.findings(Stack(resources), args.get_config()), report)

    return validate


def _report(rule: Rule, findings: Any, report: ReportViolation) -> None:
    for finding in findings:
        report(told(rule, finding), finding.urn)


def told(rule: Rule, finding: Finding) -> str:
    """The text of a finding for the user: the problem, and how to mend it."""
    if not finding.decided:
        return finding.message
    return f"{finding.message}. To mend it: {rule.mend}"


class Analyzer(_PolicyAnalyzerServicer):
    """Serves rules to the engine, with remediation and severities."""

    def __init__(self, name: str, rules: Sequence[Rule]) -> None:
        super().__init__(name, VERSION, [policy(rule) for rule in rules], EnforcementLevel.MANDATORY)
        self._pack = name
        self._rules = {rule.name: rule for rule in rules}
        self._levels = {rule.name: rule.level for rule in rules}
        self._of_stack: dict[str, Settings] = {}
        self._waiting = _Waiting()

    def GetAnalyzerInfo(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Name the rules, with what the SDK's class leaves out."""
        info = super().GetAnalyzerInfo(request, context)
        for described in info.policies:
            rule = self._rules[described.name]
            described.enforcementLevel = proto.EnforcementLevel.Value(rule.level.name)
            described.severity = _severity(rule)
            described.remediation_steps = rule.mend
            described.policy_type = (
                proto.POLICY_TYPE_RESOURCE if isinstance(rule, ResourceRule) else proto.POLICY_TYPE_STACK
            )
        return info

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Take levels and settings; the engine sends those of every rule, also where nobody set them."""
        for name, given in request.policyConfig.items():
            level = proto.EnforcementLevel.Name(given.enforcementLevel)
            self._levels[name] = Level[level] if level in Level.__members__ else Level.ADVISORY
        return super().Configure(request, context)

    def ConfigureStack(self, request: Any, _context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Take from the stack's configuration what rules have in it."""
        self._of_stack = {name: stack_settings(rule, request.config) for name, rule in self._rules.items()}
        self._waiting.take()
        return proto.AnalyzerStackConfigureResponse()

    def AnalyzeStack(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Judge the stack, and name once what no rule could judge yet, of single resources too."""
        response = super().AnalyzeStack(request, context)
        for rules, message, urns in self._waiting.take():
            names = ", ".join(sorted(urn.rpartition("::")[2] for urn in urns if urn))
            of = f", of {len(urns)}: {names}" if names else ""
            also = f" (also {', '.join(rules[1:])})" if rules[1:] else ""
            urn = urns[0] if len(urns) == 1 else ""
            response.diagnostics.append(
                self._diagnostic(rules[0], f"{message}{of}{also}", urn, EnforcementLevel.ADVISORY)
            )
        return response

    def Remediate(self, request: Any, _context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Mend a resource by each remediating rule in turn, each on what the one before it left."""
        response = proto.RemediateResponse()
        properties = json_format.MessageToDict(request.properties)
        for name, rule in self._rules.items():
            if self._levels[name] is not Level.REMEDIATE or not isinstance(rule, ResourceRule) or rule.remedy is None:
                continue
            resource = Resource(request.type, request.name, request.urn, plain(deserialize_properties(properties)))
            settings = rule.with_defaults(self._get_policy_config(name))
            remediation = {"policyName": name, "policyPackName": self._pack, "policyPackVersion": VERSION}
            try:
                changes = rule.remedy(resource, settings)
            except UnknownValueError as unknown:
                response.remediations.append(proto.Remediation(**remediation, diagnostic=undecided(unknown)))
                continue
            if changes:
                # The changes are laid over what came, so that assets, secrets and unknown values stay as they are.
                properties = {**properties, **changes}
                mended = struct_pb2.Struct()
                mended.update(properties)
                response.remediations.append(
                    proto.Remediation(**remediation, description=rule.demand, properties=mended)
                )
        return response

    def _get_policy_config(self, name: str) -> dict[str, Any]:
        return {**self._of_stack.get(name, {}), **(super()._get_policy_config(name) or {})}

    def _convert_enforcement_level(self, enforcement_level: int) -> EnforcementLevel:
        # What is left after a remediation is a violation.
        if enforcement_level == proto.REMEDIATE:
            return EnforcementLevel.MANDATORY
        return super()._convert_enforcement_level(enforcement_level)

    def _create_report_violation(
        self, diagnostics: list[Any], policy_name: str, policy_description: str, enforcement_level: EnforcementLevel
    ) -> ReportViolation:
        def report(message: str, urn: str | None = None) -> None:
            if isinstance(message, Undecided):
                self._waiting.defer(policy_name, message, urn or "")
            else:
                text = f"{policy_description}\n{message}"
                diagnostics.append(self._diagnostic(policy_name, text, urn or "", enforcement_level))

        return report

    def _diagnostic(self, name: str, message: str, urn: str, level: EnforcementLevel) -> Any:
        return proto.AnalyzeDiagnostic(
            policyName=name,
            policyPackName=self._pack,
            policyPackVersion=VERSION,
            description=self._rules[name].demand,
            message=message,
            urn=urn,
            enforcementLevel=proto.EnforcementLevel.Value(level.name),
            severity=_severity(self._rules[name]),
        )


class _Waiting:
    """Findings that rules could not judge yet. The engine asks of several resources at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: dict[tuple[str, str], set[str]] = {}

    def defer(self, rule: str, message: str, urn: str) -> None:
        """Note that `rule` waits, by its message, for a value of the resource `urn`."""
        with self._lock:
            self._rules.setdefault((message, urn), set()).add(rule)

    def take(self) -> list[tuple[list[str], str, list[str]]]:
        """Rules, message and URNs of what waits: each resource once a message, those of the same rules together."""
        with self._lock:
            waiting, self._rules = self._rules, {}
        together: dict[tuple[tuple[str, ...], str], list[str]] = {}
        for (message, urn), rules in sorted(waiting.items()):
            together.setdefault((tuple(sorted(rules)), message), []).append(urn)
        return [(list(rules), message, urns) for (rules, message), urns in sorted(together.items())]


def _severity(rule: Rule) -> Any:
    return proto.PolicySeverity.Value(f"POLICY_SEVERITY_{rule.severity.name}")


def serve(name: str, rules: Sequence[Rule]) -> None:
    """Serve a pack of rules on loopback, print the port for the engine, and do not return.

    Args:
        name: the pack's name.
        rules: what it holds programs to.
    """
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=_WORKERS),
        options=[("grpc.max_receive_message_length", _MESSAGE_BYTES)],
    )
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Analyzer(name, rules), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    threading.Event().wait()


def judge(rules: Sequence[Rule], stack: Stack, settings: Mapping[str, Mapping[str, Any]]) -> list[tuple[Rule, Finding]]:
    """All that the rules have against a stack, without an engine.

    Args:
        rules: to be held to.
        stack: its resources.
        settings: settings of rules by the rule's name.
    """
    found: list[tuple[Rule, Finding]] = []
    for rule in rules:
        given = settings.get(rule.name, {})
        if isinstance(rule, StackRule):
            found += [(rule, finding) for finding in rule.findings(stack, given)]
        elif isinstance(rule, ResourceRule):
            found += [(rule, finding) for one in stack.resources for finding in rule.findings(one, given)]
    return found
