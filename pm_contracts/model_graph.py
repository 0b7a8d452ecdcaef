"""The graphs that a device is willing to run: an allow-list of operators, and no size or step that an answer decides.

A model is tried before it is used, with the few questions of its manifest. What is measured then, time and memory, must
hold for every question. So no operator may do more for one row than for another: there are no loops and no branches,
and wherever an operator takes a size, a place or a divisor that is an integer, it must not depend on the row.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pm_contracts import onnx_file
from pm_contracts.manifest import MODEL_FILE
from pm_contracts.messages import Refused
from pm_contracts.onnx_file import BOOL, DATA_TYPES, FLOAT, INT64, Graph, Node

ML_DOMAIN = "ai.onnx.ml"
#: Both names of the standard operators.
_STANDARD = ("", "ai.onnx")

#: Oldest set of standard operators that is taken: from it on (2020) sizes are inputs, whose places `_FIXED` knows.
OLDEST_OPERATORS = 13
MAXIMUM_NODES = 10_000
#: Largest integer in an attribute, such as a padding or a number of targets: a few bytes of file must not make much.
MAXIMUM_ATTRIBUTE = 65_536
#: Deepest tree: onnxruntime goes down them by recursion, and 200,000 steps end the process.
MAXIMUM_TREE_DEPTH = 128

_COMPARISONS = frozenset(
    ("And", "Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Not", "Or", "Xor")
)
_REDUCTIONS = frozenset(
    f"Reduce{name}" for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
)
#: Standard operators: what feed-forward, convolutional and recurrent nets are exported as. An operator that makes much
#: out of little (ConstantOfShape, Expand, Pad, Range, Resize, Tile), that runs a graph of its own (If, Loop, Scan),
#: draws random numbers, or whose result's size hangs on values (NonZero, TopK, Unique), is none of them.
STANDARD_OPERATORS = (
    _COMPARISONS
    | _REDUCTIONS
    | frozenset((
        "Abs", "Add", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "Concat", "Constant", "Conv",
        "Cos", "CumSum", "Div", "Elu", "Erf", "Exp", "Flatten", "Floor", "GRU", "Gather", "Gelu", "Gemm",
        "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LSTM",
        "LayerNormalization", "LeakyRelu", "Log", "LogSoftmax", "MatMul", "Max", "MaxPool", "Mean", "Min", "Mish",
        "Mul", "Neg", "PRelu", "Pow", "RNN", "Reciprocal", "Relu", "Reshape", "Round", "Selu", "Shape", "Sigmoid",
        "Sign", "Sin", "Slice", "Softmax", "Softplus", "Softsign", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh",
        "ThresholdedRelu", "Transpose", "Unsqueeze", "Where",
    ))
)  # fmt: skip
_TREES = {"TreeEnsembleRegressor": "target", "TreeEnsembleClassifier": "class"}
#: Operators of classical models.
ML_OPERATORS = frozenset(("Imputer", "Scaler", *_TREES))

#: Inputs that decide on the result's size or on the places that are read: they must not depend on the row.
_FIXED: dict[str, Sequence[int]] = {
    "CumSum": (1,),
    "Gather": (1,),
    "Reshape": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    **dict.fromkeys(_REDUCTIONS, (1,)),
}
#: Operators all of whose results may be used; of others it is the first, and of a classifier the scores alone.
_SEVERAL_RESULTS = frozenset(("GRU", "LSTM", "RNN", "Split"))
_CLASSIFIER = "TreeEnsembleClassifier"


class _Value(NamedTuple):
    """A value of the graph."""

    data_type: int
    depends: bool  #: on the row that is asked about


def check(content: bytes) -> None:
    """Check that the ONNX model in `content` is one that a device is willing to run.

    Raises:
        Refused: if it is not; the text names the operator, or what else it is.
    """
    try:
        _check(onnx_file.read(content))
    except Refused as error:
        raise Refused(f"{MODEL_FILE}: {error}") from error


def _check(graph: Graph) -> None:
    for domain, version in graph.operator_sets.items():
        if domain not in (*_STANDARD, ML_DOMAIN):
            raise Refused(f"operators of {domain!r} are not allowed")
        if domain in _STANDARD and version < OLDEST_OPERATORS:
            raise Refused(f"operators of set {version} are too old, allowed are those from {OLDEST_OPERATORS} on")
    if len(graph.nodes) > MAXIMUM_NODES:
        raise Refused(f"{len(graph.nodes)} nodes, allowed are {MAXIMUM_NODES}")
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise Refused(f"{len(graph.inputs)} inputs and {len(graph.outputs)} outputs, allowed is one of each")
    values: dict[str, _Value | None] = {}
    for name, data_type in graph.inputs.items():
        if data_type != FLOAT:
            raise Refused(f"input {name!r} is no tensor of 32-bit floats")
        values[name] = _Value(data_type, depends=True)
    for constant in graph.constants:
        _define(values, constant.name, _Value(constant.data_type, depends=False))
    for node in graph.nodes:
        _check_node(node, values)
    for name in graph.outputs:
        _known(values, name, "the model's output")


def _check_node(node: Node, values: dict[str, _Value | None]) -> None:
    allowed = STANDARD_OPERATORS if node.domain in _STANDARD else ML_OPERATORS if node.domain == ML_DOMAIN else ()
    if node.operator not in allowed:
        raise Refused(f"operator {node.operator!r} of {node.domain or _STANDARD[1]!r} is not allowed")
    inputs = [_known(values, name, node.operator) if name else None for name in node.inputs]
    for place in _FIXED.get(node.operator, ()):
        if place < len(inputs) and (value := inputs[place]) is not None and value.depends:
            raise Refused(f"{node.operator} takes a size or a place from the row that it is asked about")
    if node.operator in _TREES:
        _check_trees(node)
    if node.operator != "Constant":
        for name, attribute in node.attributes.items():
            integers = (attribute.integer or 0, *(attribute.integers if node.domain in _STANDARD else ()))
            if largest := next((each for each in integers if abs(each) > MAXIMUM_ATTRIBUTE), 0):
                raise Refused(f"{name} {largest} of {node.operator}, allowed are {MAXIMUM_ATTRIBUTE}")
    result = _Value(_data_type(node, inputs), _depends(node, inputs))
    kind = DATA_TYPES.get(result.data_type)
    if result.depends and (kind is None or kind.is_integer):
        raise Refused(f"{node.operator} makes integers, or what is not known here, of the row that it is asked about")
    main = 1 if node.operator == _CLASSIFIER else 0
    for place, name in enumerate(node.outputs):
        if name:
            _define(values, name, result if place == main or node.operator in _SEVERAL_RESULTS else None)


def _depends(node: Node, inputs: Iterable[_Value | None]) -> bool:
    return node.operator != "Shape" and any(value.depends for value in inputs if value is not None)


def _data_type(node: Node, inputs: Sequence[_Value | None]) -> int:
    """The type of a node's elements, 0 if it has none that is known."""
    operator, attributes = node.operator, node.attributes
    if operator in _COMPARISONS:
        return BOOL
    if operator in ML_OPERATORS:
        return FLOAT
    if operator == "Shape":
        return INT64
    if operator == "Cast":
        return (attributes["to"].integer or 0) if "to" in attributes else 0
    if operator == "Constant":
        tensor = next((each.tensor for each in attributes.values() if each.tensor), None)
        is_float = any(name.startswith("value_float") for name in attributes)
        return tensor.data_type if tensor else FLOAT if is_float else INT64
    same = inputs[1:2] if operator == "Where" else inputs[:1]
    return same[0].data_type if same and same[0] is not None else 0


def _known(values: dict[str, _Value | None], name: str, asked_by: str) -> _Value:
    value = values.get(name)
    if value is None:
        raise Refused(f"{asked_by} takes {name!r}, which is no result that stands before it and may be used")
    return value


def _define(values: dict[str, _Value | None], name: str, value: _Value | None) -> None:
    if name in values:
        raise Refused(f"{name!r} is made twice")
    values[name] = value


def _check_trees(node: Node) -> None:
    """Check that each tree is one: where two branches meet, or one leads back, the way to a leaf may have no end."""
    nodes = _columns(node, "nodes", ("treeids", "nodeids", "truenodeids", "falsenodeids", "featureids"))
    leaves = _columns(node, _TREES[node.operator], ("treeids", "nodeids", "ids"))
    modes = node.attributes["nodes_modes"].texts if "nodes_modes" in node.attributes else []
    branches: dict[tuple[int, int], tuple[int, int] | None] = {}
    roots: dict[int, int] = {}
    table = [*(nodes[name] for name in ("treeids", "nodeids", "truenodeids", "falsenodeids")), modes]
    if len({len(column) for column in table}) != 1:
        raise Refused(f"{node.operator} says not the same of all nodes")
    for tree, place, true, false, mode in zip(*table, strict=True):
        roots.setdefault(tree, place)
        branches[tree, place] = None if mode == "LEAF" else (true, false)
    # A runtime takes the first node of each stretch of one tree for a root.
    if len(branches) != len(modes) or len(list(itertools.groupby(nodes["treeids"]))) != len(roots):
        raise Refused(f"{node.operator} has two nodes of one number, or a tree in two places")
    level, visited = list(roots.items()), 0
    for _ in range(MAXIMUM_TREE_DEPTH):
        visited += len(level)
        if not level or visited > len(branches):
            break
        try:
            level = [(tree, child) for tree, place in level for child in branches[tree, place] or ()]
        except KeyError as error:
            raise Refused(f"{node.operator} leads to a node that is not there: {error}") from error
    if level:
        raise Refused(f"{node.operator} is no tree, or one that is deeper than {MAXIMUM_TREE_DEPTH}")
    weighted = leaves["treeids"], leaves["nodeids"]
    if len(weighted[0]) != len(weighted[1]) or not branches.keys() >= set(zip(*weighted, strict=True)):
        raise Refused(f"{node.operator} has weights of nodes that are not there")


def _columns(node: Node, of: str, needed: Iterable[str]) -> dict[str, Sequence[int]]:
    """The integers of the attributes whose names begin with `of`: a table, whose columns are of one length."""
    columns = {
        name.removeprefix(f"{of}_"): each
        for name, each in node.attributes.items()
        if name.startswith(f"{of}_") and not name.endswith("_as_tensor")
    }
    lengths = {len(each.integers) + each.floats + len(each.texts) for each in columns.values()}
    if len(lengths) != 1 or not set(needed) <= set(columns):
        raise Refused(f"{node.operator} must have the same number of all of {of}_{', '.join(needed)}")
    return {name: each.integers for name, each in columns.items()}
