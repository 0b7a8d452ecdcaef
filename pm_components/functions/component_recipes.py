"""A component as it is published: its artifact, its recipe filled in, and the version that follows from both; pure.

The library publishes code this way, and the pipeline's functions publish models. Whoever has a recipe asks it
by the functions here; `pm_components.aws.recipe_format` parses and checks its text.
"""

import copy
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ARTIFACT_PREFIX = "s3://BUCKET/KEY/"
"""The beginning of an artifact's address in a recipe that is not filled in."""
VERSION_PLACEHOLDER = "0.0.0"

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644
#: Largest major, minor and patch number of a component version that AWS IoT Greengrass takes: six digits each.
_VERSION_PART = 1_000_000


class RecipeError(ValueError):
    """A recipe that cannot be published or run; the text names its place, what was found and what is allowed."""


class Published(NamedTuple):
    """A version of a component as it is registered."""

    version: str
    recipe: str
    """JSON."""


def zipped(files: Mapping[str, bytes]) -> bytes:
    """An artifact of `files`, without times, owners or an order of its own.

    It is stored, not deflated: other versions of zlib deflate to other bytes, and Greengrass keeps the digest that an
    artifact had when its version was registered.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.external_attr = _MODE << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def content_version(content: bytes) -> str:
    """A semantic version `1.MINOR.PATCH` that stands for a content: 40 bits of its hash, six decimal digits a part.

    Versions of other contents differ, but which is newer they do not say; a deployment names the one it means. Of 1,000
    contents two have one version with a probability of 5 in 10 million, and Greengrass takes a version only once, so
    that the second is refused.
    """
    digest = hashlib.sha256(content).hexdigest()
    return f"1.{int(digest[:10], 16) % _VERSION_PART}.{int(digest[10:20], 16) % _VERSION_PART}"


def artifact_name(template: Mapping[str, Any], path: Path | None = None) -> str:
    """The file name of a recipe's artifact, empty if it has none.

    Args:
        template: the recipe with placeholders.
        path: its file, for the error's text.

    Raises:
        RecipeError: if there is more than one artifact, or one that is not at the placeholder.
    """
    uris = sorted({artifact["Uri"] for artifact in artifacts(template)})
    if len(uris) > 1 or any(not uri.startswith(ARTIFACT_PREFIX) for uri in uris):
        raise RecipeError(
            f"{path or template['ComponentName']}: artifacts {uris}, allowed is one at most, at {ARTIFACT_PREFIX}NAME"
        )
    return uris[0].removeprefix(ARTIFACT_PREFIX) if uris else ""


def artifact_key(template: Mapping[str, Any], prefix: str, artifact: bytes) -> str:
    """The key of an artifact in its bucket, which has the packed bytes' digest in it: an object never changes.

    Args:
        template: the recipe with placeholders.
        prefix: of all that the publisher keeps in the bucket.
        artifact: the packed bytes.
    """
    digest = hashlib.sha256(artifact).hexdigest()
    return f"{prefix}/{template['ComponentName']}/{digest}/{artifact_name(template)}"


def published(template: Mapping[str, Any], bucket: str, prefix: str, artifact: bytes) -> Published:
    """The recipe filled in, and the version, which follows from all that the recipe says.

    It says who publishes, where the artifact lies, and by its key what is in it. So two stacks that publish one
    component in one account never have a version in common, and one that goes takes none of the other's.

    Args:
        template: the recipe with placeholders for version and artifact.
        bucket: name of the bucket that keeps the artifact.
        prefix: of all that the publisher keeps in the bucket.
        artifact: the packed bytes; not used where the recipe has no artifact.
    """
    recipe = copy.deepcopy(dict(template))
    recipe["ComponentPublisher"] = publisher(template, bucket, prefix)
    for entry in artifacts(recipe):
        entry["Uri"] = f"s3://{bucket}/{artifact_key(template, prefix, artifact)}"
    recipe["ComponentVersion"] = VERSION_PLACEHOLDER
    version = content_version(json.dumps(recipe, sort_keys=True).encode())
    recipe["ComponentVersion"] = version
    return Published(version, json.dumps(recipe, indent=1))


def publisher(template: Mapping[str, Any], bucket: str, prefix: str) -> str:
    """The publisher that a recipe names: the template's, and where it keeps its artifacts."""
    return f"{template['ComponentPublisher']}, s3://{bucket}/{prefix}"


def of_model(template: Mapping[str, Any], model_version: str) -> dict[str, Any]:
    """The template of a component that brings a model, with the model's version in its description.

    The component's own version is another, which follows from where the model lies, too.
    """
    return {**template, "ComponentDescription": f"{template['ComponentDescription']} Model {model_version}."}


def dependencies(template: Mapping[str, Any]) -> list[str]:
    """The names of the components that a recipe depends on, sorted."""
    return sorted(template.get("ComponentDependencies", {}))


def default_configuration(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration that a component has where nobody sets another one."""
    configuration: dict[str, Any] = (recipe.get("ComponentConfiguration") or {}).get("DefaultConfiguration") or {}
    return configuration


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `change` over it, as a nucleus merges: objects key by key, all else replaces what is there."""
    result = dict(base)
    for key, value in change.items():
        inner = result.get(key)
        result[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return result


def artifacts(recipe: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The artifacts of all manifests, as the very objects of the recipe."""
    for manifest in recipe.get("Manifests", []):
        yield from manifest.get("Artifacts", [])


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Split the address of an artifact, `s3://BUCKET/KEY`.

    Raises:
        RecipeError: if it has another form.
    """
    matched = re.fullmatch(r"s3://([^/]+)/(.+)", uri)
    if not matched:
        raise RecipeError(f"artifact {uri!r}: allowed is s3://BUCKET/KEY")
    return matched[1], matched[2]
