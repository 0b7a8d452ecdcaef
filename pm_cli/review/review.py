"""A review: the program of one stack, seen from all sides that a reviewer asks about."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from pm_cli.review import snapshot as snapshots
from pm_cli.review.checks.cfn_lint import CfnLint
from pm_cli.review.checks.refusal import Refusal
from pm_cli.review.costs import Estimate, estimate
from pm_cli.review.findings import Finding, as_stack, findings
from pm_cli.review.permissions import Permission, permissions
from pm_cli.review.service_limits import ComponentVersion, Use, component_versions, service_limits
from pm_cli.review.settings import read
from pm_sandbox.recorder import DEFAULT_REGION, Recording, record

SNAPSHOTS = "snapshots"
#: Name under which resources without a component are counted.
STACK = "stack"


class Review(NamedTuple):
    """The findings of a review of a stack."""

    stack: str
    tier: str
    region: str
    by_component: dict[str, int]
    """Resources by component (type and name), a component itself included."""
    permissions: list[Permission]
    findings: list[Finding]
    refusals: list[Refusal]
    """Refusals by the provider or AWS."""
    not_checked: list[str]
    """Lines on what was not checked for that, and why."""
    costs: Estimate
    cost_limit_usd: float
    component_versions: list[ComponentVersion]
    service_limits: dict[str, list[Use]]
    """Use of each quota by each site, by the site's name."""
    difference: snapshots.Difference | None
    """Changes since the last reviewed snapshot; None without one."""
    snapshot: snapshots.Snapshot
    """The snapshot that `--accept` keeps."""

    @property
    def total(self) -> int:
        """The number of resources, components included."""
        return sum(self.by_component.values())

    @property
    def refused(self) -> bool:
        """True if a mandatory policy, the provider or AWS would refuse `pulumi up`."""
        return bool(self.refusals) or any(finding.level == "mandatory" for finding in self.findings)


def review(program: Path, stack: str) -> Review:
    """Review a stack of a program.

    Args:
        program: the directory with `Pulumi.yaml`, `__main__.py` and `snapshots/`.
        stack: the stack's name.

    Raises:
        DeploymentError: if a file of the project is missing or cannot be read.
        ConfigError: if the stack's configuration is wrong.
        RecordingError: if the program fails.
        SnapshotError: if the stack's snapshot cannot be read.
        CfnLintError: if cfn-lint fails.
    """
    settings, providers = read(program, stack)
    before = snapshots.read(snapshot_path(program, stack))
    region = providers.get("aws:region", DEFAULT_REGION)
    with CfnLint() as cfn_lint:
        recording = record(program, stack, checked=True)
        of_cfn_lint = cfn_lint.judge(recording, region)
    resources = as_stack(recording, region)
    costs = estimate(resources)
    allowed = permissions(recording)
    now = snapshots.taken(recording, [str(one) for one in allowed], costs.monthly_usd)
    return Review(
        stack=stack,
        tier=settings.tier,
        region=region,
        by_component=by_component(recording),
        permissions=allowed,
        findings=findings(resources, settings),
        refusals=[*provider_refusals(recording), *of_cfn_lint],
        not_checked=[*cfn_lint.left_out, *not_held(recording)],
        costs=costs,
        cost_limit_usd=settings.cost_limit_usd,
        component_versions=component_versions(recording),
        service_limits=service_limits(recording, settings.sites),
        difference=None if before is None else snapshots.compared(before, now),
        snapshot=now,
    )


def provider_refusals(recording: Recording) -> list[Refusal]:
    """The refusals by the SDK and the services' models, from a recording that was to check that."""
    return [Refusal(one.urn, text) for one in recording.resources for text in one.refused]


def not_held(recording: Recording) -> list[str]:
    """The resources that were held to no service's model, by type and reason."""
    counts = Counter((one.type, one.unheld) for one in recording.resources if one.unheld)
    return [
        f"{number} {type_}, against the service's model: {reason}" for (type_, reason), number in sorted(counts.items())
    ]


def snapshot_path(program: Path, stack: str) -> Path:
    """The path of a stack's last reviewed snapshot."""
    return program / SNAPSHOTS / f"{stack}.json"


def by_component(recording: Recording) -> dict[str, int]:
    """The number of each component's resources, itself included; a component within one counts by itself."""
    components = {one.urn for one in recording.resources if not one.custom}
    counts = Counter(
        snapshots.name_of(home) if (home := one.urn if one.urn in components else one.parent) in components else STACK
        for one in recording.resources
    )
    return dict(sorted(counts.items()))
