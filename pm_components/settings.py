"""All settings of the library, for the schema of other languages and for `docs/settings.md`.

Run as a program it prints that file.
"""

import ast
import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Optional, get_args, get_origin

import msgspec

from pm_components.analytics_store.settings import AnalyticsStoreSettings, LakeSettings
from pm_components.aws.settings import allowed, without_meta
from pm_components.fault_alerting.settings import AlarmSettings, DetectorSettings, FaultAlertingSettings
from pm_components.forecast_pipeline.settings import CanarySettings, ForecastPipelineSettings, WorkbenchSettings
from pm_components.greengrass_site.settings import CoreDeviceHostSettings, GreengrassSiteSettings, NucleusSettings

#: The settings of each component, by the component's name.
COMPONENTS: Mapping[str, type[msgspec.Struct]] = {
    "AnalyticsStore": AnalyticsStoreSettings,
    "CoreDeviceHost": CoreDeviceHostSettings,
    "FaultAlerting": FaultAlertingSettings,
    "ForecastPipeline": ForecastPipelineSettings,
    "GreengrassSite": GreengrassSiteSettings,
}
#: The settings of each structured argument, by the name of its type.
STRUCTURED: Mapping[str, type[msgspec.Struct]] = {
    "AlarmArgs": AlarmSettings,
    "CanaryArgs": CanarySettings,
    "DetectorArgs": DetectorSettings,
    "NucleusArgs": NucleusSettings,
    "WorkbenchArgs": WorkbenchSettings,
}


class Setting(NamedTuple):
    """A setting as documentation shows it."""

    name: str
    type: str
    default: Optional[str]
    """None where the meaning says what holds without it, or that it is required."""
    allowed: str
    """In words; empty where the type says it all."""
    meaning: str

    @property
    def description(self) -> str:
        """Meaning, what is allowed, and default in one text."""
        allowed_ = f" Allowed: {self.allowed}." if self.allowed else ""
        return f"{self.meaning}{allowed_}{f' Default: {self.default}.' if self.default else ''}"


def settings(form: type[msgspec.Struct]) -> list[Setting]:
    """The settings of a struct, in its order."""
    meanings = _meanings(form)
    return [
        Setting(field.name, _type(field.type), _default(field), _allowed(field.type), meanings.get(field.name, ""))
        for field in msgspec.structs.fields(form)
    ]


@functools.cache
def _meanings(form: type[msgspec.Struct]) -> dict[str, str]:
    """The docstring below each field, by the field's name."""
    found: dict[str, str] = {}
    for owner in reversed(form.__mro__):
        if issubclass(owner, msgspec.Struct) and owner is not msgspec.Struct:
            (body,) = ast.parse(inspect.getsource(owner)).body
            assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class
            for one, after in zip(body.body, body.body[1:], strict=False):
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(after, ast.Expr):
                    found[one.target.id] = " ".join(str(ast.literal_eval(after.value)).split())
    return found


def _type(annotation: Any) -> str:
    form = without_meta(annotation)
    origin, arguments = get_origin(form), get_args(form)
    if origin is dict and arguments[1] is not Any:
        return f"{_type(arguments[1])} by name"
    if origin in (list, tuple):
        return f"list of {_type(arguments[0])}"
    plain: dict[Any, str] = {bool: "boolean", float: "number", int: "integer", str: "text"}
    structured: dict[Any, str] = {struct: f"`{name}`" for name, struct in STRUCTURED.items()}
    return (plain | structured).get(form, "object")


def _allowed(annotation: Any) -> str:
    """The allowed values, or those of each item of a list or a mapping."""
    if text := allowed(annotation):
        return text
    form = without_meta(annotation)
    items = get_args(form)[-1:] if get_origin(form) is dict else get_args(form)[:1]
    return next((text for item in items if (text := allowed(item))), "")


def _default(field: msgspec.structs.FieldInfo) -> Optional[str]:
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    if value is msgspec.NODEFAULT or value is None or value == "":
        return None
    if isinstance(value, msgspec.Struct):
        return "as each of its fields says"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, dict)):
        return ", ".join(map(str, value)) or "none"
    return f"`{value}`"


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of the library with the description of each setting."""
    for kind, properties, forms in (
        ("resources", "inputProperties", COMPONENTS),
        ("types", "properties", STRUCTURED),
    ):
        for token, definition in schema.get(kind, {}).items():
            form = forms.get(token.rpartition(":")[2])
            for setting in settings(form) if form else ():
                definition[properties][_camel(setting.name)]["description"] = setting.description
    return schema


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def documentation() -> str:
    """`docs/settings.md`: a table for a stack and one for each component and structured argument."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    from pm_components.stack import config, tiers

    yield "# Settings"
    yield ""
    yield "Generated: `python -m pm_components.settings > docs/settings.md`. A name ends in its unit. Beside these, a"
    yield "component takes what a program links it by: buckets, topics, names (`ForecastPipelineArgs` and its like)."
    yield ""
    yield "## Stack: `pm:KEY`"
    yield ""
    yield "`tier` as the default stands for what the stack's tier sets (`pm_components/stack/tiers.py`); `training` has"
    yield "defaults of the tier, too. `pm config diff dev prod` shows where two stacks differ after all defaults."
    yield ""
    of_tier = tiers.DEFAULTS[tiers.PROD]
    yield from _table(
        one._replace(default="tier") if one.name in of_tier and one.default is None else one
        for one in settings(config.Config)
    )
    keys: dict[str, type[msgspec.Struct]] = {
        "`pm:sites[]`": config.Site,
        "`pm:sites[].devices[]`": config.Device,
        "`pm:lake`": LakeSettings,
    }
    components = {f"`{name}`": form for name, form in {**COMPONENTS, **STRUCTURED}.items()}
    for title, form in {**keys, **components}.items():
        yield from _section(title, settings(form))


def _section(title: str, rows: list[Setting]) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
    yield from _table(iter(rows))


def _table(rows: Iterator[Setting]) -> Iterator[str]:
    yield "| name | type | default | allowed | meaning |"
    yield "|---|---|---|---|---|"
    for one in rows:
        cells = (f"`{one.name}`", one.type, one.default or "", one.allowed, one.meaning)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    print(documentation(), end="")
