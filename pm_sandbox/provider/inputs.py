"""A resource's inputs, read so that none is dropped unnoticed: what nobody read is an error of the deployment."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Failure(NamedTuple):
    """A refusal of a resource's inputs.

    Attributes:
        input: The path of the input, empty if the resource is refused as a whole.
        reason: Why.
    """

    input: str
    reason: str

    def __str__(self) -> str:
        return f"{self.input}: {self.reason}" if self.input else self.reason


class InputError(Exception):
    """An input that is missing, or that the sandbox cannot honour."""


class Inputs:
    """A resource's inputs, or a block within them. Each key must be read once, or the resource is refused.

    Args:
        values: The inputs by Pulumi's (camel case) names.
        path: Where the block is, for error texts: `serverSideEncryption[0].`.
    """

    def __init__(self, values: Mapping[str, Any], path: str = "") -> None:
        self._values = dict(values)
        self._path = path
        self._unread = set(self._values)
        self._blocks: list[Inputs] = []

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str, default: Any = None) -> Any:
        """An input's value, or the default where the program did not give it."""
        self._unread.discard(key)
        return self._values.get(key, default)

    def need(self, key: str) -> Any:
        """An input that must be there.

        Raises:
            InputError: if it is not. The sandbox makes up no names, so these too must be given.
        """
        if key not in self._values:
            raise InputError(
                f"input {self._path}{key} is missing; given are {', '.join(sorted(self._values)) or 'none'}"
            )
        return self.get(key)

    def renamed(self, **names: str) -> dict[str, Any]:
        """Arguments for boto3 of the inputs that are there: `renamed(batchSize="BatchSize")`."""
        return {new: self.get(old) for old, new in names.items() if old in self._values}

    def blocks(self, key: str) -> list["Inputs"]:
        """The blocks of a list input, or the one block of an object input; their own keys must be read as well."""
        value = self.get(key, [])
        items = value if isinstance(value, list) else [value]
        made = [
            Inputs(item, f"{self._path}{key}[{index}]." if isinstance(value, list) else f"{self._path}{key}.")
            for index, item in enumerate(items)
        ]
        self._blocks += made
        return made

    def block(self, key: str) -> "Inputs | None":
        """The block of an object input, or None if it is not there."""
        return next(iter(self.blocks(key)), None)

    def unread(self) -> Iterator[str]:
        """The paths of the inputs that nobody read, blocks included."""
        for key in sorted(self._unread):
            yield f"{self._path}{key}"
        for block in self._blocks:
            yield from block.unread()


def pascal(value: Any, **names: str) -> Any:
    """Keys with a capital first letter at every depth, as most of AWS's interfaces want them.

    Args:
        value: The inputs, in Pulumi's camel case.
        names: Keys whose AWS name is another: `pascal(value, roleArn="RoleARN")`.

    Returns:
        A copy. The object `parameters` keeps its keys, since these are the program's own and not AWS's.
    """
    if isinstance(value, dict):
        return {
            names.get(key, key[:1].upper() + key[1:]): dict(item)
            if key == "parameters" and isinstance(item, dict)
            else pascal(item, **names)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [pascal(item, **names) for item in value]
    return value


def camel(value: Any, **names: str) -> Any:
    """The reverse of `pascal`: what AWS answers, in Pulumi's names.

    Args:
        value: The answer, or a part of it.
        names: Pulumi's names whose AWS name is another: `camel(value, roleArn="RoleARN")`, as for `pascal`.

    Returns:
        A copy. The object `parameters` keeps its keys.
    """
    back = {there: here for here, there in names.items()}
    if isinstance(value, dict):
        return {
            back.get(key, key[:1].lower() + key[1:]): dict(item)
            if key == "Parameters" and isinstance(item, dict)
            else camel(item, **names)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [camel(item, **names) for item in value]
    return value


def told(answer: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """The reverse of `Inputs.renamed`: what AWS answers for each input; None if it has nothing."""
    return {old: answer.get(new) for old, new in names.items()}


def json_text(value: Any) -> str:
    """A policy or another document as JSON text; programs give it as text or as an object."""
    return value if isinstance(value, str) else json.dumps(value)


def tags_given(inputs: Inputs) -> dict[str, Any]:
    """The argument `tags` of a call that refuses none: the resource's tags, or no argument where it has none."""
    tags = inputs.get("tags")
    return {"tags": tags} if tags else {}


def tag_list(inputs: Inputs) -> list[dict[str, str]]:
    """The resource's tags as AWS's list of keys and values."""
    return tag_pairs(inputs.get("tags", {}))


def tag_pairs(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Tags as AWS's list of keys and values, sorted; the reverse of `changes.tags_of`."""
    return [{key: name, value: text} for name, text in sorted(tags.items())]


def whole_numbers(value: Any) -> Any:
    """Integers for whole floats, at every depth: Pulumi's wire format knows only floats."""
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
