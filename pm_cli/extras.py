"""The extras of the installed package (`pyproject.toml`) that a command may lack."""

import importlib.util
import traceback

#: The extra by a package of ours that imports what it brings, or by what it brings. No command does with the policies
#: alone, which the extra `sandbox` has, too.
_EXTRAS = {"pm_sandbox": "sandbox", "pm_policies": "sandbox", "pm_ml": "ml", "pandas": "ml", "xgboost": "ml"}


def require(module: str) -> None:
    """Raise as the import would, for what another process is to import.

    Raises:
        ModuleNotFoundError: if the module is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def missing_extra(error: ModuleNotFoundError) -> str:
    """The text for an import that failed: the extra is that of the first package that the command asked for."""
    asked = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    packages = [name.partition(".")[0] for name in (*asked, error.name or "")]
    extra = next((_EXTRAS[package] for package in packages if package in _EXTRAS), "sandbox")
    return f"{error.name} is not installed: pip install 'predictive-maintenance[{extra}]'"
