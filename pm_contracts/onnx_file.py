"""The structure of an ONNX file, read without the `onnx` package and without trust.

An ONNX file is a message of Protocol Buffers. It is read field by field against the tables below, which hold what a
plain graph of operators needs. A field that they do not name, or that they name as not allowed, is refused: so no part
of a file is left that a runtime would look at and this reader would not. Numbers of fields:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto; the encoding:
https://protobuf.dev/programming-guides/encoding/.
"""

import functools
import re
from array import array
from collections.abc import Mapping
from typing import Any, NamedTuple

from pm_contracts.messages import Refused

#: Fields of a file, runs of numbers counted as one: a hundred times those of our models.
MAXIMUM_FIELDS = 1_000_000
#: Integers of a file that are looked at, most of them the places of a tree's nodes: ten times those of our models.
MAXIMUM_INTEGERS = 4_000_000
#: Characters of a name.
MAXIMUM_NAME = 1_000

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES = 10
_64_BITS = (1 << 64) - 1
_ABOVE_ASCII = bytes(range(0x80, 0x100))


class DataType(NamedTuple):
    """An element type of tensors."""

    width: int  #: bytes of an element
    field: str  #: the field of a tensor that holds its elements where they are not raw
    is_integer: bool


#: The element types that are taken, by their number in `TensorProto.DataType`: no strings, no complex numbers, and none
#: of the types that only accelerators compute with.
DATA_TYPES = {
    1: DataType(4, "float_data", False),  # FLOAT
    2: DataType(1, "int32_data", True),  # UINT8
    3: DataType(1, "int32_data", True),  # INT8
    4: DataType(2, "int32_data", True),  # UINT16
    5: DataType(2, "int32_data", True),  # INT16
    6: DataType(4, "int32_data", True),  # INT32
    7: DataType(8, "int64_data", True),  # INT64
    9: DataType(1, "int32_data", False),  # BOOL
    10: DataType(2, "int32_data", False),  # FLOAT16
    11: DataType(8, "double_data", False),  # DOUBLE
    12: DataType(4, "uint64_data", True),  # UINT32
    13: DataType(8, "uint64_data", True),  # UINT64
}
FLOAT, INT64, BOOL = 1, 7, 9


class Tensor(NamedTuple):
    """A constant of a graph, whose elements are all in the file."""

    name: str
    data_type: int


class Attribute(NamedTuple):
    """An attribute of a node."""

    integer: int | None
    integers: "array[int]"
    texts: list[str]
    tensor: Tensor | None
    floats: int  #: how many there are


class Node(NamedTuple):
    """A node of a graph; a missing input or output has an empty name."""

    domain: str
    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Attribute]


class Graph(NamedTuple):
    """The graph of a model, and the versions of the operator sets that it uses."""

    operator_sets: dict[str, int]
    nodes: list[Node]
    constants: list[Tensor]
    inputs: dict[str, int]  #: data type by name, of those that are no constants
    outputs: list[str]


class _Field(NamedTuple):
    name: str
    kind: str
    of: Mapping[int, "_Field"] = {}
    is_repeated: bool = False


def _refused(reason: str) -> _Field:
    return _Field(reason, "refused")


def _name(name: str, is_repeated: bool = False) -> _Field:
    return _Field(name, "name", is_repeated=is_repeated)


def _one(name: str, of: Mapping[int, _Field]) -> _Field:
    return _Field(name, "message", of)


def _many(name: str, of: Mapping[int, _Field]) -> _Field:
    return _Field(name, "message", of, True)


_ENTRY = {1: _Field("key", "text"), 2: _Field("value", "text")}
_NOTES = _many("metadata_props", _ENTRY)
_NOTE = _Field("doc_string", "text")
_TENSOR = {
    1: _Field("dims", "integers"),
    2: _Field("data_type", "integer"),
    3: _refused("a segment of a tensor"),
    4: _Field("float_data", "floats"),
    5: _Field("int32_data", "integers"),
    6: _refused("texts in a tensor"),
    7: _Field("int64_data", "integers"),
    8: _name("name"),
    9: _Field("raw_data", "bytes"),
    10: _Field("double_data", "doubles"),
    11: _Field("uint64_data", "integers"),
    12: _NOTE,
    13: _refused("data outside the file"),
    14: _Field("data_location", "integer"),
    16: _NOTES,
}
_ATTRIBUTE = {
    1: _name("name"),
    2: _Field("f", "float"),
    3: _Field("i", "integer"),
    4: _Field("s", "text"),
    5: _one("t", _TENSOR),
    6: _refused("a graph"),
    7: _Field("floats", "floats"),
    8: _Field("ints", "integers"),
    9: _Field("strings", "text", is_repeated=True),
    10: _refused("tensors in an attribute"),
    11: _refused("graphs"),
    13: _NOTE,
    14: _refused("a type in an attribute"),
    15: _refused("types in an attribute"),
    20: _Field("type", "integer"),
    21: _refused("an attribute of a function"),
    22: _refused("a sparse tensor"),
    23: _refused("sparse tensors"),
}
_NODE = {
    1: _name("input", True),
    2: _name("output", True),
    3: _name("name"),
    4: _name("op_type"),
    5: _many("attribute", _ATTRIBUTE),
    6: _NOTE,
    7: _name("domain"),
    8: _refused("an overload of a function"),
    9: _NOTES,
}
_DIMENSION = {1: _Field("dim_value", "integer"), 2: _name("dim_param"), 3: _name("denotation")}
_TENSOR_TYPE = {1: _Field("elem_type", "integer"), 2: _one("shape", {1: _many("dim", _DIMENSION)})}
_TYPE = {
    1: _one("tensor_type", _TENSOR_TYPE),
    4: _refused("a sequence"),
    5: _refused("a map"),
    6: _name("denotation"),
    7: _refused("a type of its own"),
    8: _refused("a sparse tensor"),
    9: _refused("an optional value"),
}
_VALUE = {1: _name("name"), 2: _one("type", _TYPE), 3: _NOTE, 4: _NOTES}
_GRAPH = {
    1: _many("node", _NODE),
    2: _name("name"),
    5: _many("initializer", _TENSOR),
    10: _NOTE,
    11: _many("input", _VALUE),
    12: _many("output", _VALUE),
    13: _many("value_info", _VALUE),
    15: _refused("a sparse tensor"),
    16: _NOTES,
}
_OPERATOR_SET = {1: _name("domain"), 2: _Field("version", "integer")}
_MODEL = {
    1: _Field("ir_version", "integer"),
    2: _Field("producer_name", "text"),
    3: _Field("producer_version", "text"),
    4: _Field("domain", "text"),
    5: _Field("model_version", "integer"),
    6: _NOTE,
    7: _one("graph", _GRAPH),
    8: _many("opset_import", _OPERATOR_SET),
    14: _NOTES,
    20: _refused("training steps"),
    25: _refused("functions"),
}


def read(content: bytes) -> Graph:
    """The graph of the ONNX model in `content`.

    Raises:
        Refused: if it is no such file, or holds more than a plain graph of operators; the text says what.
    """
    model = _Reader().message(content, _MODEL, "the model")
    graph = model.get("graph", {})
    operator_sets: dict[str, int] = {}
    for each in model.get("opset_import", ()):
        domain = each.get("domain", "")
        if domain in operator_sets:
            raise Refused(f"the operator set {domain!r} is imported twice")
        operator_sets[domain] = _signed(each.get("version", 0))
    constants = [_tensor(each) for each in graph.get("initializer", ())]
    names = {constant.name for constant in constants}
    return Graph(
        operator_sets,
        [_node(each) for each in graph.get("node", ())],
        constants,
        dict(_value(each) for each in graph.get("input", ()) if each.get("name") not in names),
        [_value(each)[0] for each in graph.get("output", ())],
    )


def _node(fields: Mapping[str, Any]) -> Node:
    attributes: dict[str, Attribute] = {}
    for each in fields.get("attribute", ()):
        name = each.get("name", "")
        if name in attributes:
            raise Refused(f"an attribute {name!r} stands twice in a node")
        attributes[name] = Attribute(
            integer=_signed(each["i"]) if "i" in each else None,
            integers=_integers(each.get("ints", b"")),
            texts=[each["s"]] if "s" in each else each.get("strings", []),
            tensor=_tensor(each["t"]) if "t" in each else None,
            floats=each.get("floats", 0) // 4,
        )
    operator, domain = fields.get("op_type", ""), fields.get("domain", "")
    return Node(domain, operator, fields.get("input", []), fields.get("output", []), attributes)


def _value(fields: Mapping[str, Any]) -> tuple[str, int]:
    return fields.get("name", ""), fields.get("type", {}).get("tensor_type", {}).get("elem_type", 0)


def _tensor(fields: Mapping[str, Any]) -> Tensor:
    """A tensor whose shape and elements agree: a runtime makes room by the shape."""
    name, number = fields.get("name", ""), fields.get("data_type", 0)
    if fields.get("data_location", 0):
        raise Refused(f"tensor {name!r} has data outside the file")
    if number not in DATA_TYPES:
        raise Refused(f"tensor {name!r} has elements of type {number}, allowed are {sorted(DATA_TYPES)}")
    kind, expected = DATA_TYPES[number], 1
    for size in _integers(fields.get("dims", b"")):
        expected *= size
        if size < 0 or expected > _64_BITS:
            raise Refused(f"tensor {name!r} has a shape that no file can hold")
    parts = {part: fields[part] for part in _ELEMENTS if part in fields}
    if len(parts) > 1:
        raise Refused(f"tensor {name!r} has its elements in {' and '.join(parts)}")
    found = 0
    for part, data in parts.items():
        if part not in ("raw_data", kind.field):
            raise Refused(f"tensor {name!r} of type {number} has its elements in {part}")
        if isinstance(data, bytes):
            found = _count(data)
        else:
            found, rest = divmod(data, kind.width if part == "raw_data" else _WIDTHS[part])
            if rest:
                raise Refused(f"tensor {name!r} ends within an element")
    if found != expected:
        raise Refused(f"tensor {name!r} has {found} elements, and a shape of {expected}")
    return Tensor(name, number)


_WIDTHS = {"float_data": 4, "double_data": 8}
_ELEMENTS = ("raw_data", *sorted({kind.field for kind in DATA_TYPES.values()}))


class _Reader:
    """Reads messages, and counts what it reads in one file."""

    def __init__(self) -> None:
        self._fields = MAXIMUM_FIELDS
        self._integers = MAXIMUM_INTEGERS

    def message(self, data: bytes | memoryview, fields: Mapping[int, _Field], what: str) -> dict[str, Any]:
        """The fields of a message by name: repeated ones as lists, others at most once."""
        found: dict[str, Any] = {}
        view = memoryview(data)
        at = 0
        while at < len(view):
            self._fields -= 1
            if self._fields < 0:
                raise Refused(f"it has more than {MAXIMUM_FIELDS} fields")
            start = at
            tag, at = _varint(view, at)
            number, wire = tag >> 3, tag & 7
            field = fields.get(number)
            if field is None:
                raise Refused(f"{what} has a field {number}, which is not known here")
            if field.kind == "refused":
                raise Refused(f"{what} has {field.name}, which is not allowed")
            if wire not in _WIRES[field.kind]:
                raise Refused(f"{field.name} of {what} is no {field.kind}")
            if wire == _VARINT and field.kind == "integer":
                value, at = _varint(view, at)
            elif wire == _BYTES:
                inside, at = _inside(view, at)
                value = self._content(field, inside)
            else:
                value, at = self._run(view, start, tag)
            if field.is_repeated:
                found.setdefault(field.name, []).append(value)
            elif field.name in found:
                raise Refused(f"{field.name} stands twice in {what}")
            else:
                found[field.name] = value
        return found

    def _content(self, field: _Field, inside: memoryview) -> Any:
        if field.kind == "message":
            return self.message(inside, field.of, field.name)
        if field.kind == "integers":
            return self._varints(bytes(inside))
        if field.kind not in ("name", "text"):
            return len(inside)
        try:
            text = str(inside, "utf-8")
        except UnicodeDecodeError as error:
            raise Refused(f"{field.name} is no UTF-8: {error}") from error
        if field.kind == "name" and not (text.isprintable() and len(text) <= MAXIMUM_NAME):
            raise Refused(f"{field.name} {text[:50]!r} is no name of at most {MAXIMUM_NAME} printable characters")
        return text

    def _run(self, view: memoryview, start: int, tag: int) -> tuple[Any, int]:
        """Numbers that each have a field of their own, as many as follow one another."""
        one, many = _run_of(tag)
        run = many.match(view, start)
        if run is None:
            raise Refused("it ends within a number")
        numbers = b"".join(one.findall(run.group()))
        return (self._varints(numbers) if tag & 7 == _VARINT else len(numbers)), run.end()

    def _varints(self, content: bytes) -> bytes:
        if not _VARINTS.fullmatch(content):
            raise Refused("it ends within an integer")
        self._integers -= _count(content)
        if self._integers < 0:
            raise Refused(f"it has more than {MAXIMUM_INTEGERS} integers")
        return content


#: The ways in which each kind of field may be written.
_WIRES = {
    "integer": (_VARINT,),
    "float": (_FIXED32,),
    "name": (_BYTES,),
    "text": (_BYTES,),
    "bytes": (_BYTES,),
    "message": (_BYTES,),
    "integers": (_VARINT, _BYTES),
    "floats": (_FIXED32, _BYTES),
    "doubles": (_FIXED64, _BYTES),
}
_ONE_VARINT = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
_EACH_VARINT = re.compile(_ONE_VARINT)
_VARINTS = re.compile(rb"(?:%s)*+" % _ONE_VARINT)
_NUMBERS = {_VARINT: _ONE_VARINT, _FIXED32: rb"[\x00-\xff]{4}", _FIXED64: rb"[\x00-\xff]{8}"}


@functools.cache
def _run_of(tag: int) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """One number with its tag, and as many as follow one another."""
    one = re.escape(bytes([tag])) + rb"(%s)" % _NUMBERS[tag & 7]
    return re.compile(one), re.compile(rb"(?:%s)++" % one)


def _varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """The number of up to 64 bits that begins at `at`, and where it ends."""
    value = 0
    for shift in range(0, 7 * _VARINT_BYTES, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _64_BITS, at
    raise Refused("it ends within an integer")


def _inside(view: memoryview, at: int) -> tuple[memoryview, int]:
    length, at = _varint(view, at)
    if length > len(view) - at:
        raise Refused(f"it ends within a field of {length} bytes")
    return view[at : at + length], at + length


def _integers(varints: bytes) -> "array[int]":
    return array("q", map(_Signed().__getitem__, _EACH_VARINT.findall(varints)))


class _Signed(dict[bytes, int]):
    """Integers by how they are written: most of a tree's are there many times."""

    def __missing__(self, varint: bytes) -> int:
        self[varint] = value = _signed(_varint(varint, 0)[0])
        return value


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _count(varints: bytes) -> int:
    # Of each integer the last byte alone is below 0x80.
    return len(varints.translate(None, _ABOVE_ASCII))
