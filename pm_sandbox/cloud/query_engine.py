"""Athena's SQL over Parquet files, run by DuckDB.

The statement is parsed as Athena's dialect and written as DuckDB's, so that what runs is what Athena would have taken.
A function that both do not know is refused by name: DuckDB's own would run here and fail on AWS.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import expressions as exp

from pm_sandbox.cloud.parquet_conversion import arrow_type

#: Functions that sqlglot hands on by name and that mean the same in Trino and in DuckDB.
_SHARED_FUNCTIONS = frozenset({"bit_count", "degrees", "e", "is_finite", "normalize", "pi", "radians", "typeof"})

_UNLOAD = re.compile(
    r"\s*UNLOAD\s*\((?P<query>.*)\)\s*TO\s*'(?P<location>[^']*)'\s*(?:WITH\s*\((?P<options>.*)\))?\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_OPTION = re.compile(r"\s*(\w+)\s*=\s*('[^']*'|\w+(?:\s*\[[^\]]*\])?)\s*(?:,|$)")

_RESULT_TYPES = {
    "BOOLEAN": "boolean",
    "TINYINT": "tinyint",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "HUGEINT": "bigint",
    "FLOAT": "float",
    "DOUBLE": "double",
    "VARCHAR": "varchar",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
}


class QueryRefused(ValueError):
    """A statement that cannot be run as Athena would; the text says what in it."""


class Unload(NamedTuple):
    """The destination of an UNLOAD statement: bucket and prefix."""

    bucket: str
    prefix: str


class Statement(NamedTuple):
    """A statement, ready to run: DuckDB's SQL, the (database, table) pairs that it reads, and where it unloads to."""

    sql: str
    tables: frozenset[tuple[str, str]]
    unload: Unload | None


@dataclass(frozen=True)
class Table:
    """A table of the catalog and the Parquet files that hold its rows, below folders of the form `key=value`.

    Attributes:
        columns: Name to Hive type.
        partition_keys: Name to Hive type.
        files: The Parquet files.
    """

    columns: Mapping[str, str]
    partition_keys: Mapping[str, str]
    files: Sequence[Path]


class Result(NamedTuple):
    """Column names, their Athena types, and the rows as Athena writes values; an unload has the row count alone."""

    columns: list[str]
    types: list[str]
    rows: list[list[str | None]]
    row_count: int


def translate(text: str, database: str) -> Statement:
    """Take an Athena statement apart.

    Args:
        text: SELECT (with or without WITH), or UNLOAD of one to Parquet.
        database: The database of tables that are named without one.

    Raises:
        QueryRefused: naming what is not honoured.
    """
    unload = None
    if matched := _UNLOAD.fullmatch(text):
        unload = _unload(matched["location"], matched["options"] or "")
        text = matched["query"]
    try:
        tree = sqlglot.parse_one(text, dialect="athena")
    except sqlglot.errors.ParseError as error:
        found = error.errors[0]
        raise QueryRefused(f"line {found['line']}:{found['col']}: {found['description']}") from error
    if not isinstance(tree, exp.Query):
        raise QueryRefused(f"only SELECT and UNLOAD are honoured here, not {text.split(maxsplit=1)[0].upper()}")
    for function in tree.find_all(exp.Anonymous):
        if function.name.lower() not in _SHARED_FUNCTIONS:
            raise QueryRefused(f"function {function.name.lower()} is not honoured here, or is none of Athena's")
    names = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    tables = set()
    for table in tree.find_all(exp.Table):
        if not table.db and table.name.lower() in names:
            continue
        if table.catalog:
            raise QueryRefused(
                f"catalog {table.catalog} of table {table.name}: only the default catalog is honoured here"
            )
        # Glue names are lower case, and Athena folds what a query says.
        tables.add(((table.db or database).lower(), table.name.lower()))
        table.set("db", exp.to_identifier((table.db or database).lower(), quoted=True))
        table.set("this", exp.to_identifier(table.name.lower(), quoted=True))
    for number, column in enumerate(tree.selects):
        if not column.alias and not isinstance(column, exp.Column | exp.Dot) and not column.is_star:
            column.replace(exp.alias_(column.copy(), f"_col{number}"))
    return Statement(tree.sql(dialect="duckdb"), frozenset(tables), unload)


def _unload(location: str, options: str) -> Unload:
    given = {name.lower(): value.strip("'").lower() for name, value in _OPTION.findall(options)}
    if given.get("format") != "parquet":
        raise QueryRefused(f"UNLOAD writes format 'PARQUET' here, not {given.get('format')!r}")
    if given.get("compression", "snappy") != "snappy":
        raise QueryRefused(f"UNLOAD compresses with 'SNAPPY' here, not {given['compression']!r}")
    if unknown := sorted(set(given) - {"format", "compression"}):
        raise QueryRefused(f"option {unknown[0]} of UNLOAD is not honoured here")
    matched = re.fullmatch(r"s3://([^/]+)/(.+)", location)
    if not matched:
        raise QueryRefused(f"UNLOAD TO {location!r}: s3://BUCKET/PREFIX/ is expected")
    return Unload(matched[1], matched[2] if matched[2].endswith("/") else matched[2] + "/")


def run(statement: Statement, tables: Mapping[tuple[str, str], Table], output: Path | None = None) -> Result:
    """Run a statement.

    Args:
        statement: What `translate` returned.
        tables: Every table that the statement reads.
        output: The Parquet file that an unload is written to.

    Raises:
        QueryRefused: with DuckDB's reason, or if a column's type is none that is honoured.
    """
    with duckdb.connect(config={"threads": 2}) as connection:
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET integer_division = true")
            for (database, name), table in tables.items():
                _create_view(connection, database, name, table)
            if output is not None:
                connection.execute(f"COPY ({statement.sql}) TO '{_quoted(str(output))}' (FORMAT parquet)")
                (count,) = connection.fetchone() or (0,)
                return Result(["rows"], ["bigint"], [], int(count))
            answer = connection.sql(statement.sql)
            names, types = answer.columns, [_type(type_) for type_ in answer.types]
            # By way of Arrow, since DuckDB's own rows need pytz for times with a zone.
            columns = [[_text(value) for value in column.to_pylist()] for column in answer.to_arrow_table().columns]
        except (duckdb.Error, ValueError) as error:
            raise QueryRefused(str(error)) from error
    rows = [list(row) for row in zip(*columns, strict=True)]
    return Result(names, types, rows, len(rows))


def _create_view(connection: duckdb.DuckDBPyConnection, database: str, name: str, table: Table) -> None:
    """A view with exactly the catalog's columns, whatever the files hold, or where there are none."""
    types = {**table.columns, **table.partition_keys}
    empty = pa.schema([pa.field(column, arrow_type(type_)) for column, type_ in types.items()]).empty_table()
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{database}"')
    connection.register(f"empty {database} {name}", empty)
    rows = f'SELECT * FROM "empty {database} {name}"'
    if table.files:
        files = ", ".join(f"'{_quoted(str(file))}'" for file in table.files)
        keys = ", ".join(f"'{key}': {_KEY_TYPES.get(type_, 'VARCHAR')}" for key, type_ in table.partition_keys.items())
        hive = f"hive_partitioning = true, hive_types = {{{keys}}}" if keys else "hive_partitioning = false"
        rows = f"SELECT * FROM read_parquet([{files}], union_by_name = true, {hive}) UNION ALL BY NAME {rows}"
    columns = ", ".join(f'"{column}"' for column in types)
    # DuckDB refuses prepared parameters in CREATE VIEW; names come from the catalog, which checks them.
    connection.execute(f'CREATE VIEW "{database}"."{name}" AS SELECT {columns} FROM ({rows})')


_KEY_TYPES = {"int": "INTEGER", "bigint": "BIGINT", "date": "DATE"}


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _type(duckdb_type: Any) -> str:
    name = str(duckdb_type)
    if name.endswith("[]"):
        return "array"
    return _RESULT_TYPES.get(name) or ("row" if name.startswith("STRUCT") else name.split("(")[0].lower())


def _text(value: Any) -> str | None:
    """A value as Athena writes it into a result."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime):
        text = value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03d}"
        return f"{text} UTC" if value.tzinfo else text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_inner(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_inner(item) for item in value) + "]"
    return str(value)


def _inner(value: Any) -> str:
    text = _text(value)
    return "null" if text is None else text
