"""The rules, one module each; a module below this package is a rule, and its `RULE` belongs to the pack."""

import importlib
import pkgutil

from pm_policies.rule import Rule


def _all() -> list[Rule]:
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}").RULE for name in modules]


RULES: list[Rule] = _all()
