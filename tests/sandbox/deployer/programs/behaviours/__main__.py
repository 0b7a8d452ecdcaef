"""Registers what the cases have in the run that is configured."""

import cases
import pulumi

config = pulumi.Config()
run, failing = config.require_int("run"), config.get("failing")
if not failing:
    for case in cases.CASES.values():
        case.register(run)
for name, one in cases.FAILING.items() if failing else ():
    one.register(run if failing in ("all", name) else 0)
