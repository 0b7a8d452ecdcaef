"""Newline JSON to Parquet with the schema of a Glue table, as Firehose's record format conversion does it."""

import io
import re
from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet

_SCALARS = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    # Hive's timestamp knows no zone; the text in the records is UTC.
    "timestamp": pa.timestamp("us"),
    "date": pa.date32(),
}
_object = msgspec.json.Decoder(dict)


def arrow_type(hive_type: str) -> pa.DataType:
    """The Arrow type of a Glue (Hive) column type.

    Raises:
        ValueError: for a type that is not converted here; the text names those that are.
    """
    text = hive_type.strip()
    if text.lower() in _SCALARS:
        return _SCALARS[text.lower()]
    if outer := re.fullmatch(r"(?is)(array|struct)<(.*)>", text):
        parts = _split(outer[2])
        if outer[1].lower() == "array" and len(parts) == 1:
            return pa.list_(arrow_type(parts[0]))
        if outer[1].lower() == "struct":
            fields = [part.partition(":") for part in parts]
            return pa.struct([pa.field(name.strip(), arrow_type(type_)) for name, _, type_ in fields])
    raise ValueError(f"column type {hive_type!r}: converted are {', '.join(_SCALARS)}, array<...> and struct<name:...>")


def convert(records: Sequence[bytes], schema: pa.Schema) -> tuple[bytes, list[tuple[int, str]]]:
    """Convert what can be converted.

    Args:
        records: One JSON object each. Fields that the schema does not have are left out, as Firehose does.
        schema: The table's columns.

    Returns:
        One Parquet file (Snappy) of the good records in their order, empty if there is none, and (index, reason) of
        the others.
    """
    refused: list[tuple[int, str]] = []
    good: list[int] = []
    for index, record in enumerate(records):
        try:
            _object.decode(record)
            good.append(index)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            refused.append((index, f"not one JSON object: {error}"))
    tables = _read(records, good, schema, refused)
    if not tables:
        return b"", sorted(refused)
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.concat_tables(tables), sink, compression="snappy")
    return sink.getvalue(), sorted(refused)


def _read(
    records: Sequence[bytes], wanted: list[int], schema: pa.Schema, refused: list[tuple[int, str]]
) -> list[pa.Table]:
    """Tables of the records at `wanted`; halves what does not read as a whole, until the culprits are alone."""
    if not wanted:
        return []
    # A line break inside a record is white space to JSON, but might end a record for the reader.
    data = b"\n".join(records[index].replace(b"\n", b" ") for index in wanted)
    try:
        table = pyarrow.json.read_json(
            io.BytesIO(data),
            # One block: a record that straddles two is an error, and threads would take the other services' cores.
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
        return [table.select(schema.names)]
    except pa.ArrowInvalid as error:
        if len(wanted) == 1:
            refused.append((wanted[0], f"data does not match the schema: {error}"))
            return []
    middle = len(wanted) // 2
    return _read(records, wanted[:middle], schema, refused) + _read(records, wanted[middle:], schema, refused)


def _split(text: str) -> list[str]:
    """Split at the commas that are not inside `<...>`."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "<") - (character == ">")
        if character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]
