"""The list of the rules, for people: `python -m pm_policies.catalogue > pm_policies/README.md`."""

import json
import sys
from collections.abc import Sequence

from pm_policies.rule import ResourceRule, Rule
from pm_policies.rules import RULES

_HEAD = """# What every stack is held to

A [CrossGuard](https://www.pulumi.com/docs/iac/using-pulumi/crossguard/) policy pack. The engine runs it with

    pulumi up --policy-pack pm_policies [--policy-pack-config policies.json]

and the tests run it over every `Pulumi.*.yaml` through the same protocol, without the command line. This page is made
from the rules (`python -m pm_policies.catalogue > pm_policies/README.md`); a test holds it to them.

- **advisory**: a warning. **mandatory**: the update is refused. **remediate**: the pack mends the resource before it
  is made, and says so; what it cannot mend is refused.
- In a preview, values of resources that are still to be made are unknown. A rule that needs one says that it cannot be
  judged yet, and is asked again in the update, where it refuses at its own level. What waits is listed at the end, as
  one advisory finding for all resources that wait for the same input by the same rules.
- Rules speak of the types of the AWS Classic provider. A resource of an older name (`BucketV2`) or of AWS Native is
  judged as the classic resources that it amounts to (`pm_policies/siblings.py`), and a finding speaks in their terms.
- `policies.json` sets a rule's level or settings: `{"log-retention": {"enforcementLevel": "mandatory", "maximum_days":
  90}}`. `tier` and `limit_usd` come from the stack's own `pm:tier` and `pm:cost_limit_usd` where it does not.
- The monthly cost is an estimate: list prices in `pm_policies/prices.py`, each with its page and what it was compared
  with, and the assumptions of `pm_policies/costs.py`.

| Rule | Severity | Level | Demand |
|---|---|---|---|
"""


def render(rules: Sequence[Rule]) -> str:
    """The page, Markdown."""
    table = "".join(
        f"| [{rule.name}](#{rule.name}) | {rule.severity.value} | {rule.level.value} | {rule.demand} |\n"
        for rule in rules
    )
    return _HEAD + table + "".join(f"\n{_section(rule)}" for rule in rules)


def _section(rule: Rule) -> str:
    scope = "each resource, before it is made" if isinstance(rule, ResourceRule) else "the stack as a whole"
    module = rule.name.replace("-", "_")
    lines = [
        f"## {rule.name}\n",
        f"{rule.demand} Looks at {scope} ([source](rules/{module}.py)).\n",
        f"- Why: {rule.why}",
        f"- To mend it: {rule.mend}.",
    ]
    for name, schema in rule.settings.items():
        default = f"; default `{json.dumps(schema['default'])}`" if "default" in schema else ""
        lines.append(f"- Setting `{name}` ({schema['type']}): {schema['description']}{default}.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render(RULES))
