"""A nucleus's reading of a component's recipe: the manifest for this machine, its configuration, its variables.

Source of the rules: the component recipe reference of the AWS IoT Greengrass V2 developer guide
(https://docs.aws.amazon.com/greengrass/v2/developerguide/component-recipe-reference.html).
"""

import json
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pm_components.aws.recipe_format import release
from pm_components.functions.component_recipes import RecipeError, bucket_and_key, default_configuration
from pm_components.greengrass_site.nuclei import NucleusKind

#: Lifecycle steps that this nucleus runs; another one is refused and never skipped.
STEPS: Final = ("install", "startup", "run", "shutdown")
#: Seconds that a step may take where the recipe does not say; "Lifecycle", recipe reference. `run` has no limit.
STEP_TIMEOUTS: Final[Mapping[str, float]] = {"install": 120.0, "startup": 120.0, "shutdown": 15.0}

#: Seconds that nucleus lite waits for each component of a deployment (`wait_for_deployment_status` of ggdeploymentd).
LITE_WAITS: Final = 300.0

#: The platform attribute `runtime` of a nucleus; a classic one has none.
_RUNTIMES: Final[Mapping[NucleusKind, str]] = {NucleusKind.LITE: "aws_nucleus_lite"}
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "aarch64", "arm64": "aarch64"}
_VARIABLE = re.compile(r"\{([\w.\-]+:)?(configuration|artifacts|work|kernel|iot):([^{}\s]+)\}")


@dataclass(frozen=True)
class Step:
    """One lifecycle step: a shell script, its environment, and the seconds it may take (None: no limit)."""

    script: str
    environment: Mapping[str, str]
    timeout: float | None


@dataclass(frozen=True)
class Artifact:
    """A file in S3 that a component needs; `digest` is Base64 of its SHA-256, as the cloud has noted it."""

    bucket: str
    key: str
    digest: str
    unarchive: bool
    executable: bool

    @property
    def name(self) -> str:
        """Its file name."""
        return self.key.rpartition("/")[2]


@dataclass(frozen=True)
class Recipe:
    """One version of a component, as this machine runs it."""

    name: str
    version: str
    defaults: Mapping[str, Any]
    dependencies: Mapping[str, tuple[str, bool]]
    """Name -> the versions it wants, and whether it is HARD: restarted together with what it depends on."""
    environment: Mapping[str, str]
    steps: Mapping[str, Step]
    artifacts: tuple[Artifact, ...]


def parse_recipe(document: Mapping[str, Any], kind: NucleusKind = NucleusKind.CLASSIC) -> Recipe:
    """A recipe as a nucleus on this machine carries it out.

    Args:
        document: The recipe as the cloud gives it, JSON taken apart.
        kind: The nucleus that reads it.

    Raises:
        RecipeError: if no manifest is for this machine, or something in it cannot be honoured.
    """
    name, version = str(document["ComponentName"]), str(document["ComponentVersion"])
    where = f"{name} {version}"
    if document.get("Lifecycle"):
        raise RecipeError(f"{where}: a global Lifecycle with selections; only a manifest's own is honoured here")
    manifest = _manifest_for(kind, where, document.get("Manifests") or [])
    if kind is NucleusKind.LITE:
        _check_for_lite(where, document, manifest)
    lifecycle = {str(key): value for key, value in (manifest.get("Lifecycle") or {}).items()}
    environment = _texts(lifecycle.pop("setenv", None) or {})
    return Recipe(
        name=name,
        version=version,
        defaults=default_configuration(document),
        dependencies={
            other: (wanted.get("VersionRequirement", "*"), wanted.get("DependencyType", "HARD") == "HARD")
            for other, wanted in (document.get("ComponentDependencies") or {}).items()
        },
        environment=environment,
        steps={key: _step(where, key, value) for key, value in lifecycle.items()},
        artifacts=tuple(_artifact(where, artifact) for artifact in manifest.get("Artifacts") or []),
    )


def without(configuration: Mapping[str, Any], pointer: str) -> dict[str, Any]:
    """`configuration` without what a JSON pointer (RFC 6901) names; the empty pointer names all of it."""
    if not pointer:
        return {}
    head, *rest = _pointer_parts(pointer)
    remaining = dict(configuration)
    if not rest:
        remaining.pop(head, None)
    elif isinstance(remaining.get(head), Mapping):
        remaining[head] = without(remaining[head], "/" + "/".join(map(_escaped, rest)))
    return remaining


def configuration_value(configuration: Mapping[str, Any], pointer: str) -> str | None:
    """The value at a JSON pointer in its form for a script: a text as it is, all else as JSON; None if missing."""
    value: Any = configuration
    for part in _pointer_parts(pointer):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def interpolate(text: str, look_up: Callable[[str, str], str | None]) -> str:
    """`text` with its recipe variables replaced.

    Args:
        text: A script or a value of its environment.
        look_up: (namespace, key) -> value, None if there is none; `("configuration", "/site")` for one.

    Raises:
        RecipeError: if a variable has no value (a real nucleus would leave it in the script as it stands), or names
            another component, which nucleus lite does not know.
    """

    def replacement(match: re.Match[str]) -> str:
        component, namespace, key = match.groups()
        if component:
            raise RecipeError(f"variable {match[0]}: one of another component, which nucleus lite does not know")
        value = look_up(namespace, key)
        if value is None:
            raise RecipeError(f"variable {match[0]} has no value")
        return value

    return _VARIABLE.sub(replacement, text)


def satisfies(version: str, requirement: str) -> bool:
    """True if a version meets a requirement: comparators (`>=1.0.0 <2.0.0`), all of which must hold, or `*`.

    Raises:
        RecipeError: if the requirement is none that both nuclei know.
    """
    found = release(version)
    for comparator in requirement.split():
        match = re.fullmatch(r"(>=|<=|>|<|=)?(\d+\.\d+\.\d+)", comparator)
        if comparator == "*":
            continue
        if match is None:
            raise RecipeError(
                f"version requirement {requirement!r}: allowed are '*' and >=, <=, >, <, = with a version"
            )
        wanted = release(match[2])
        holds = {">=": found >= wanted, "<=": found <= wanted, ">": found > wanted, "<": found < wanted}
        if not holds.get(match[1], found == wanted):
            return False
    return True


def newest(versions: list[str], requirement: str) -> str | None:
    """The newest of `versions` that meets the requirement; None if none does."""
    fitting = [version for version in versions if satisfies(version, requirement)]
    return max(fitting, key=release, default=None)


def _manifest_for(kind: NucleusKind, where: str, manifests: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first manifest whose platform is this machine's, as both nuclei choose it.

    An attribute that the machine does not have meets `*` alone. Lite takes no manifest that does not name a runtime.
    """
    machine: dict[str, str | None] = {
        "os": platform.system().lower(),
        "architecture": _ARCHITECTURES.get(platform.machine().lower(), platform.machine().lower()),
        "runtime": _RUNTIMES.get(kind),
    }
    for manifest in manifests:
        wanted = manifest.get("Platform") or {}
        is_meant = kind is NucleusKind.CLASSIC or {"os", "runtime"} <= wanted.keys()
        if is_meant and all(value in ("*", machine.get(key)) for key, value in wanted.items()):
            return manifest
    raise RecipeError(f"{where}: no manifest is for this machine, {machine}")


def _check_for_lite(where: str, document: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """Refuse what fails on nucleus lite alone, or does something else there than on a classic one.

    Raises:
        RecipeError: for such a manifest.
    """
    if not isinstance(manifest.get("Artifacts"), list):
        raise RecipeError(f"{where}: nucleus lite wants Artifacts, an empty list where there are none")
    for other, wanted in (document.get("ComponentDependencies") or {}).items():
        if wanted.get("DependencyType", "HARD") == "HARD" and not other.startswith("aws.greengrass."):
            raise RecipeError(
                f"{where}: it depends HARD on {other}; nucleus lite would stop it whenever {other} ends, by BindsTo, "
                "which is not played here; allowed is SOFT"
            )
    steps = set(manifest.get("Lifecycle") or {})
    if not steps & {"run", "startup"}:
        raise RecipeError(
            f"{where}: nucleus lite waits {LITE_WAITS:.0f} s for a component that has neither run nor startup, and "
            "fails the deployment then; give it a run that ends with 0"
        )
    if "shutdown" in steps:
        raise RecipeError(f"{where}: nucleus lite has no lifecycle step shutdown")
    if "startup" in steps:
        raise RecipeError(
            f"{where}: nucleus lite makes startup a unit of Type=notify, which the component's UpdateState may not "
            "reach, though it is answered; give it a run"
        )


def _step(where: str, name: str, value: Any) -> Step:
    if name not in STEPS:
        raise RecipeError(f"{where}: lifecycle step {name!r}; allowed here are {', '.join(STEPS)}")
    timeout = STEP_TIMEOUTS.get(name)
    if isinstance(value, str):
        return Step(value, {}, timeout)
    fields = {str(key).lower(): field for key, field in value.items()}
    unknown = fields.keys() - {"script", "setenv", "timeout", "requiresprivilege"}
    if unknown or "script" not in fields:
        raise RecipeError(
            f"{where}: {name} has {', '.join(sorted(fields))}; allowed are Script, Setenv, Timeout, RequiresPrivilege"
        )
    if str(fields.get("requiresprivilege", False)).lower() == "true":
        raise RecipeError(f"{where}: {name} wants to run as root, which the sandbox never does")
    if "timeout" in fields:
        timeout = float(fields["timeout"])
    return Step(str(fields["script"]), _texts(fields.get("setenv") or {}), timeout)


def _artifact(where: str, artifact: Mapping[str, Any]) -> Artifact:
    uri = str(artifact["Uri"])
    try:
        bucket, key = bucket_and_key(uri)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error
    if not artifact.get("Digest") or artifact.get("Algorithm", "SHA-256") != "SHA-256":
        raise RecipeError(f"{where}: artifact {uri!r} has no SHA-256 digest, so it cannot be verified")
    permission = artifact.get("Permission") or {}
    return Artifact(
        bucket=bucket,
        key=key,
        digest=str(artifact["Digest"]),
        unarchive=artifact.get("Unarchive", "NONE") == "ZIP",
        executable=permission.get("Execute", "NONE") != "NONE",
    )


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in values.items()}


def _pointer_parts(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        raise RecipeError(f"JSON pointer {pointer!r} must start with '/'")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
