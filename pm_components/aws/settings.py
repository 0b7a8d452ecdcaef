"""Settings of components: structs whose fields state type, default, limits and meaning, each in one place.

A field's name ends in its unit. Its `Meta` says what is allowed, in numbers and, as `description`, in words; the
docstring below it says what it means. `pm_components/settings.py` makes schema and documentation from that.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Optional, TypeVar, cast

import msgspec
from msgspec import Meta

from pm_components.aws.limits import EXPIRATION_DAYS_MINIMUM, INSTANCE_TYPE, ML_INSTANCE_TYPE

#: Directory of all that edge components keep; the shipping of models and the site must agree on it.
DATA_DIRECTORY = "/var/lib/pm"

AbsolutePath = Annotated[
    str,
    Meta(pattern=r"^(?!.*/\.\.(?:/|\Z))/[A-Za-z0-9._/-]+\Z", description="an absolute POSIX path without a level `..`"),
]
Days = Annotated[int, Meta(ge=EXPIRATION_DAYS_MINIMUM, le=3650, description="1 to 3650 days")]
InstanceType = Annotated[str, Meta(pattern=INSTANCE_TYPE, description="FAMILY.SIZE")]
MlInstanceType = Annotated[str, Meta(pattern=ML_INSTANCE_TYPE, description="ml.FAMILY.SIZE")]
Share = Annotated[float, Meta(ge=0, le=1, description="a share, 0 to 1")]

_Args = TypeVar("_Args", bound=Mapping[str, object])
_Converted = TypeVar("_Converted")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a component, of an argument of it, or of a stack."""


def arguments(settings: msgspec.Struct, form: type[_Args]) -> _Args:
    """Those of the settings that the TypedDict `form` takes; what is None is left out, as a caller leaves it out."""
    return cast(_Args, {name: value for name, value in _given(settings).items() if name in form.__annotations__})


def with_defaults(args: _Args, defaults: msgspec.Struct) -> _Args:
    """`args`, and where they say nothing `defaults`; what is None in these stays out."""
    return cast(_Args, {**_given(defaults), **args})


def _given(settings: msgspec.Struct) -> dict[str, Any]:
    return {
        name: _given(value) if isinstance(value, msgspec.Struct) else value
        for name in settings.__struct_fields__
        if (value := getattr(settings, name)) is not None
    }


def without_meta(annotation: Any) -> Any:
    """The type in an annotation, without `Annotated` and `None`."""
    arguments_ = [argument for argument in getattr(annotation, "__args__", ()) if argument is not type(None)]
    if hasattr(annotation, "__metadata__") or (len(arguments_) == 1 and is_optional(annotation)):
        return without_meta(arguments_[0])
    return annotation


def is_optional(annotation: Any) -> bool:
    """True if `None` is among what the annotation allows."""
    return type(None) in getattr(annotation, "__args__", ())


def allowed(annotation: Any) -> Optional[str]:
    """The values that the annotation of a field allows, in words; None if its type says it all."""
    for meta in getattr(annotation, "__metadata__", ()):
        if meta.description:
            return str(meta.description)
    if is_optional(annotation):
        return next((text for part in annotation.__args__ if (text := allowed(part))), None)
    return None


def converted(given: Mapping[str, Any], settings: type[_Converted], key: str) -> _Converted:
    """The settings that are given, with the defaults for the rest.

    Raises:
        ValueError: if one is not allowed; the text names the key, what was found and what is allowed.
    """
    try:
        # Not strict: Pulumi hands whole numbers over as floats.
        return msgspec.convert(dict(given), type=settings, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"{key}: {error}; found {dict(given)}") from error
