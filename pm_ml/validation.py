"""Rows of files held to the contract: named columns, units and ranges; what is refused is kept with its reason.

The ranges and units are those of `pm_contracts.measurements`, read from the types that the edge decodes messages with,
so that a file and a message are held to the same.
"""

from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd

#: What stands for a missing value in the files that we read.
MISSING = ("", "na", "NA", "nan", "NaN", "null")


class Limits(NamedTuple):
    """The limits of a column."""

    lowest: float
    highest: float
    description: str  #: what it is, and in which unit


class Checked(NamedTuple):
    """A file's rows, sorted out."""

    good: pd.DataFrame  #: numbers, NaN where missing
    refused: pd.DataFrame  #: `line` (1 is the file's first), `reason`, `row` (as it was)


def limits_of(measurements: type[msgspec.Struct]) -> dict[str, Limits]:
    """The limits of each measurement of a contract."""
    found = {}
    structure = msgspec.inspect.type_info(measurements)
    assert isinstance(structure, msgspec.inspect.StructType)  # noqa: S101 - a fact about our own types
    for field in structure.fields:
        described: Any = field.type
        choices = described.types if isinstance(described, msgspec.inspect.UnionType) else (described,)
        described = next(each for each in choices if not isinstance(each, msgspec.inspect.NoneType))
        schema: dict[str, Any] = {}
        if isinstance(described, msgspec.inspect.Metadata):
            schema, described = described.extra_json_schema or {}, described.type
        found[field.name] = Limits(described.ge, described.le, schema.get("description", ""))
    return found


def check_numbers(text: pd.DataFrame, limits: dict[str, Limits], first_line: int) -> Checked:
    """Hold each column to its limits.

    Args:
        text: the columns of `limits`, as text.
        limits: of each column.
        first_line: of the file, that the first row stands on.
    """
    numbers, reasons = {}, np.full(len(text), "", dtype=object)
    for name, allowed in limits.items():
        column = text[name].str.strip()
        values = pd.to_numeric(column.mask(column.isin(MISSING)), errors="coerce").to_numpy(dtype=np.float64)
        no_number = np.isnan(values) & ~column.isin(MISSING).to_numpy()
        outside = ~np.isnan(values) & ((values < allowed.lowest) | (values > allowed.highest))
        for row in np.flatnonzero(no_number | outside):
            what = "is no number" if no_number[row] else f"is outside {allowed.lowest:g} to {allowed.highest:g}"
            about = f" ({allowed.description})" if allowed.description else ""
            reasons[row] = reasons[row] or f"{name}: {column.iloc[row]!r} {what}{about}"
        numbers[name] = values
    good = reasons == ""
    refused = pd.DataFrame(
        {
            "line": np.flatnonzero(~good) + first_line,
            "reason": reasons[~good],
            "row": [",".join(map(str, row)) for row in text[~good].itertuples(index=False)],
        }
    )
    return Checked(pd.DataFrame(numbers)[good], refused)
