"""Models made to do harm, and plain ones that must pass: each takes `[rows, width]` and gives `[rows, 1]`."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

ML = "ai.onnx.ml"
_FLOAT, _INT64, _BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def constant(name: str, value: Any, dtype: Any = np.float32) -> TensorProto:
    return numpy_helper.from_array(np.array(value, dtype), name)


def graph(nodes: Sequence[NodeProto], constants: Sequence[TensorProto] = (), width: int = 2) -> GraphProto:
    x = helper.make_tensor_value_info("x", _FLOAT, ["row", width])
    y = helper.make_tensor_value_info("y", _FLOAT, ["row", 1])
    return helper.make_graph(list(nodes), "crafted", [x], [y], list(constants))


def model(
    nodes: Sequence[NodeProto], constants: Sequence[TensorProto] = (), width: int = 2, opset: int = 18, **fields: Any
) -> ModelProto:
    sets = [helper.make_opsetid("", opset), helper.make_opsetid(ML, 3)]
    return helper.make_model(graph(nodes, constants, width), opset_imports=sets, ir_version=10, **fields)


def written(nodes: Sequence[NodeProto], constants: Sequence[TensorProto] = (), width: int = 2, **fields: Any) -> bytes:
    return bytes(model(nodes, constants, width, **fields).SerializeToString())


def identity(width: int = 1) -> bytes:
    """A model that answers with what it is asked."""
    return written([node("Identity", "x", "y")], width=width)


def node(operator: str, inputs: str, outputs: str, domain: str = "", **attributes: Any) -> NodeProto:
    """A node; names are parted by blanks."""
    return helper.make_node(operator, inputs.split(), outputs.split(), domain=domain, **attributes)


def tree(
    true: Sequence[int] = (1, 0, 0), false: Sequence[int] = (2, 0, 0), targets: int = 1, operator: str = "Regressor"
) -> NodeProto:
    """Trees of one: a node whose children are (0, 0) is a leaf."""
    count = len(true)
    leaves = [place for place in range(count) if not (true[place] or false[place])]
    return node(
        f"TreeEnsemble{operator}", "x", "y", ML, n_targets=targets, nodes_treeids=[0] * count,
        nodes_nodeids=list(range(count)), nodes_truenodeids=list(true), nodes_falsenodeids=list(false),
        nodes_modes=["BRANCH_LT" if true[place] or false[place] else "LEAF" for place in range(count)],
        nodes_featureids=[0] * count, nodes_values=[float(place) for place in range(count)],
        target_treeids=[0] * len(leaves), target_nodeids=leaves, target_ids=[0] * len(leaves),
        target_weights=[1.0] * len(leaves),
    )  # fmt: skip


def _changed(made: bytes, old: bytes, new: bytes) -> bytes:
    assert made.count(old) == 1 and len(old) == len(new), (made, old)  # noqa: PT018
    return made.replace(old, new)


def _edited(edit: Callable[[ModelProto], object], *nodes: NodeProto) -> bytes:
    made = model(nodes or [node("Identity", "x", "y")], [constant("c", [1.0, 2.0])])
    edit(made)
    return bytes(made.SerializeToString())


def _loop(width: int, times: TensorProto, *before: NodeProto) -> bytes:
    """A loop that counts, and an answer of its own."""
    body = helper.make_graph(
        [node("Identity", "more", "more_still"), node("Add", "sum one", "sum_then")],
        "body",
        [
            helper.make_tensor_value_info("number", _INT64, []),
            helper.make_tensor_value_info("more", _BOOL, []),
            helper.make_tensor_value_info("sum", _FLOAT, [1, 1]),
        ],
        [
            helper.make_tensor_value_info("more_still", _BOOL, []),
            helper.make_tensor_value_info("sum_then", _FLOAT, [1, 1]),
        ],
    )
    constants = [times, constant("yes", True, np.bool_), constant("one", [[1.0]]), constant("zero", [[0.0]])]
    return written([*before, node("Loop", "times yes zero", "y", body=body)], constants, width)


def _loop_of_the_input(width: int) -> bytes:
    """Short for the questions of a manifest, without end for what comes later."""
    return _loop(
        width, constant("none", [0, 1], np.int64),
        node("ReduceMax", "x", "largest", keepdims=0), node("Cast", "largest", "times", to=_INT64),
    )  # fmt: skip


def _branch(width: int) -> bytes:
    inside = helper.make_graph(
        [node("Identity", "x", "inside")], "inside", [], [helper.make_tensor_value_info("inside", _FLOAT, None)]
    )
    return written(
        [node("If", "yes", "y", then_branch=inside, else_branch=inside)], [constant("yes", True, np.bool_)], width
    )


def _nested_functions(width: int) -> bytes:
    """Functions that each call the one before it twice: 2^60 nodes, once they are put in place."""
    made = model([node("f60", "x", "y", "own")], width=width)
    made.opset_import.append(helper.make_opsetid("own", 1))
    sets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    for number in range(61):
        inner = [node(f"f{number - 1}", "a", "b", "own"), node(f"f{number - 1}", "b", "c", "own")]
        nodes = inner if number else [node("Neg", "a", "c")]
        made.functions.append(helper.make_function("own", f"f{number}", ["a"], ["c"], nodes, sets))
    return bytes(made.SerializeToString())


def _external(width: int, location: str = "weights.bin") -> bytes:
    weights = TensorProto(name="w", data_type=_FLOAT, dims=[width, 1], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", str(4 * width))):
        weights.external_data.add(key=key, value=value)
    return written([node("MatMul", "x w", "y")], [weights], width)


def _sparse(width: int) -> bytes:
    made = model([node("MatMul", "x w", "y")], width=width)
    values, places = constant("w", [1.0]), constant("places", [0], np.int64)
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [2**31, 2**10]))
    return bytes(made.SerializeToString())


def _sized(operator: str, width: int, **attributes: Any) -> bytes:
    """An operator that makes 4 GB out of a number, of which the answer takes one."""
    constants = [constant("size", [1_000_000_000], np.int64), constant("first", [0], np.int64)]
    inputs = "size" if operator == "ConstantOfShape" else "x size"
    return written([node(operator, inputs, "much", **attributes), node("Gather", "much first", "y")], constants, width)


def _size_of_the_input(width: int) -> bytes:
    """A shape that the row decides on."""
    return written(
        [
            node("Cast", "x", "size", to=_INT64), node("Reshape", "x size", "y"),
        ], width=width,
    )  # fmt: skip


def _divided(operator: str, width: int) -> bytes:
    """-2^63 by an integer of the input: -1 ends the process."""
    constants = [constant("least", [-(2**63)], np.int64)]
    nodes = [node("Cast", "x", "i", to=_INT64), node(operator, "least i", "d"), node("Cast", "d", "y", to=_FLOAT)]
    return written(nodes, constants, width)


def _chosen_integers(width: int) -> bytes:
    """The same without a cast."""
    constants = [constant("least", [-(2**63)], np.int64), constant("one", [-1], np.int64), constant("zero", [0.0])]
    return written(
        [
            node("Greater", "x zero", "up"), node("Where", "up one least", "i"), node("Div", "least i", "d"),
            node("Cast", "d", "y", to=_FLOAT),
        ], constants, width,
    )  # fmt: skip


def _deep_tree() -> NodeProto:
    """A chain of 20,000 nodes, which onnxruntime goes down by recursion."""
    steps = 20_000
    true = [place + 2 if place % 2 == 0 and place < 2 * steps else 0 for place in range(2 * steps + 1)]
    false = [place + 1 if place % 2 == 0 and place < 2 * steps else 0 for place in range(2 * steps + 1)]
    return tree(true, false)


#: Models that are refused unread by onnxruntime: how each is made for a width, and a part of the reason.
REFUSED: dict[str, tuple[Callable[[int], bytes], str]] = {
    "a loop of 2^62": (lambda width: _loop(width, constant("times", 2**62, np.int64)), "a graph, which is not allowed"),
    "a loop that depends on the input": (_loop_of_the_input, "a graph, which is not allowed"),
    "a branch": (_branch, "a graph, which is not allowed"),
    "nested functions": (_nested_functions, "functions, which is not allowed"),
    "a constant of 1e9": (lambda width: _sized("ConstantOfShape", width), "operator 'ConstantOfShape'"),
    "an expansion to 1e9": (lambda width: _sized("Expand", width), "operator 'Expand'"),
    "a tile of 1e9": (lambda width: _sized("Tile", width), "operator 'Tile'"),
    "a padding of 1e9": (
        lambda width: written([node("Conv", "x w", "y", pads=[10**9, 0])], [constant("w", [[[1.0]]])], width),
        "pads 1000000000 of Conv, allowed are 65536",
    ),
    "1e9 targets": (lambda width: written([tree(targets=10**9)], width=width), "n_targets 1000000000 of TreeEns"),
    "a shape of the input": (_size_of_the_input, "Cast makes integers"),
    "a division of integers": (lambda width: _divided("Div", width), "Cast makes integers"),
    "a chosen divisor": (_chosen_integers, "Where makes integers"),
    "a remainder": (lambda width: _divided("Mod", width), "operator 'Mod'|Cast makes integers"),
    "places that values decide": (
        lambda width: written([node("NonZero", "x", "places"), node("Cast", "places", "y", to=_FLOAT)], width=width),
        "operator 'NonZero'",
    ),
    "random numbers": (
        lambda width: written([node("RandomNormalLike", "x", "y")], width=width),
        "operator 'RandomNormalLike'",
    ),
    "an operator of a runtime's own": (
        lambda width: _edited(
            lambda made: made.opset_import.append(helper.make_opsetid("com.microsoft", 1)),
            node("FusedGemm", "x c", "y", "com.microsoft"),
        ),
        "operators of 'com.microsoft' are not allowed",
    ),
    "an operator of a set that is not imported": (
        lambda width: written([node("FusedGemm", "x x", "y", "com.microsoft")], width=width),
        "operator 'FusedGemm' of 'com.microsoft'",
    ),
    "data outside the file": (_external, "data outside the file"),
    "data outside the file in an attribute": (
        lambda width: written(
            [
                node(
                    "Constant",
                    "",
                    "y",
                    value=TensorProto(name="w", data_type=_FLOAT, dims=[1], data_location=TensorProto.EXTERNAL),
                )
            ],
            width=width,
        ),
        "data outside the file",
    ),
    "a sparse tensor": (_sparse, "a sparse tensor, which is not allowed"),
    "a shape without content": (
        lambda width: written([node("MatMul", "x w", "y")], [TensorProto(name="w", data_type=1, dims=[10**9, 1])]),
        "'w' has 0 elements, and a shape of 1000000000",
    ),
    "a shape beyond all files": (
        lambda width: written([node("MatMul", "x w", "y")], [TensorProto(name="w", data_type=1, dims=[2**62, 2**62])]),
        "'w' has a shape that no file can hold",
    ),
    "texts": (
        lambda width: written(
            [node("Identity", "x", "y")], [TensorProto(name="t", data_type=8, dims=[1], string_data=[b"a"])], width
        ),
        "texts in a tensor, which is not allowed",
    ),
    "a tree that leads back": (
        lambda width: written([tree((1, 0, 0, 0), (2, 3, 0, 0))], width=width),
        "no tree, or one that is deeper than 128",
    ),
    "a tree of meeting branches": (
        lambda width: written(
            [tree([place + 1 for place in range(60)] + [0], [place + 1 for place in range(60)] + [0])]
        ),
        "no tree, or one that is deeper than 128",
    ),
    "a tree of 20,000 steps": (
        lambda width: written([_deep_tree()], width=width),
        "no tree, or one that is deeper than 128",
    ),
    "a tree that leads nowhere": (lambda width: written([tree((1, 0, 0), (9, 0, 0))], width=width), "not there"),
    "a name that is no UTF-8": (
        lambda width: identity(width).replace(b"\x01x", b"\x01\xff"),
        "name is no UTF-8|input is no UTF-8",
    ),
    "a name of a control character": (lambda width: identity(width).replace(b"\x01x", b"\x01\x1b"), "printable"),
    "a name of a megabyte": (
        lambda width: written([node("Identity", "x", "y" * 1_000_000)], width=width),
        "no name of at most 1000",
    ),
    "an old operator set": (
        lambda width: written([node("Identity", "x", "y")], width=width, opset=9),
        "operators of set 9 are too old",
    ),
    "a field of the future": (lambda width: identity(width) + b"\xfa\x01\x01z", "the model has a field 31"),
    "a second graph": (lambda width: identity(width) + b"\x3a\x00", "graph stands twice in the model"),
    "a result that is made twice": (
        lambda width: written([node("Identity", "x", "y"), node("Neg", "x", "y")], width=width),
        "'y' is made twice",
    ),
    "a result of nothing": (lambda width: written([node("Neg", "z", "y")], width=width), "Neg takes 'z'"),
    "no graph": (lambda width: b"", "0 inputs and 0 outputs"),
    "no protobuf": (lambda width: b"not a model at all", "is no |not known here|ends within"),
}


def _doubled(width: int) -> bytes:
    """A row put beside itself 50 times over."""
    names = ["x", *(f"d{number}" for number in range(50))]
    nodes = [node("Concat", f"{old} {old}", new, axis=1) for old, new in itertools.pairwise(names)]
    return written([*nodes, node("ReduceMax", names[-1], "y", keepdims=1)], width=width)


def _broadcast(width: int) -> bytes:
    """A column by a row: 40,000 numbers make 1.6e9."""
    constants = [constant("column", np.ones((40_000, 1))), constant("row", np.ones((1, 40_000)))]
    nodes = [
        node("ReduceMax", "x", "largest", keepdims=1), node("Mul", "largest row", "its_row"),
        node("Mul", "column its_row", "product"), node("ReduceMax", "product", "y", keepdims=1),
    ]  # fmt: skip
    return written(nodes, constants, width)


def _multiplied(width: int) -> bytes:
    """Matrices of 2 MB that are multiplied 3,000 times: an answer of minutes."""
    constants = [constant("m", np.full((700, 700), 1e-3))]
    names = ["start", *(f"m{number}" for number in range(3000))]
    nodes = [node("ReduceMax", "x", "largest", keepdims=1), node("Mul", "m largest", "start")]
    nodes += [node("MatMul", f"{old} m", new) for old, new in itertools.pairwise(names)]
    return written([*nodes, node("ReduceMax", names[-1], "y", keepdims=1)], constants, width)


def _divided_constants(width: int) -> bytes:
    """-2^63 by -1 among constants, which onnxruntime computes while it loads the model: it ends the process."""
    constants = [constant("least", [[-(2**63)]], np.int64), constant("minus_one", [[-1]], np.int64)]
    nodes = [
        node("Div", "least minus_one", "d"), node("Cast", "d", "f", to=_FLOAT), node("Mul", "x f", "p"),
        node("ReduceMax", "p", "y", keepdims=1),
    ]  # fmt: skip
    return written(nodes, constants, width)


#: Models of allowed operators alone, which only an attempt shows to be bad, and what the reason says.
BAD_AT_WORK: dict[str, tuple[Callable[[int], bytes], str]] = {
    "a row that is doubled 50 times": (_doubled, "memory"),
    "a product of 1.6e9 numbers": (_broadcast, "memory"),
    "3,000 products of matrices": (_multiplied, "processor time"),
    "a quotient of constants": (_divided_constants, "SIGFPE"),
}


def _mlp(width: int) -> bytes:
    constants = [
        constant("w", np.ones((width, 4))), constant("b", np.ones(4)), constant("v", np.ones((4, 1))),
        constant("c", np.ones(1)), constant("axis", [1], np.int64), constant("first", [0], np.int64),
    ]  # fmt: skip
    nodes = [
        node("Gemm", "x w b", "h"), node("LayerNormalization", "h b b", "n"), node("Gelu", "n", "g"),
        node("ReduceMean", "g axis", "m"), node("Sub", "g m", "s"), node("Gemm", "s v c", "o"),
        node("Gather", "o first", "y", axis=1),
    ]  # fmt: skip
    return written(nodes, constants, width, opset=20)


def _recurrent(operator: str, gates: int) -> Callable[[int], bytes]:
    def make(width: int) -> bytes:
        """The row as a series of one signal, the net's last state as its answer; the shape as PyTorch exports it."""
        constants = [
            constant("w", np.ones((1, gates * 3, 1))), constant("r", np.ones((1, gates * 3, 3))),
            constant("v", np.ones((3, 1))), constant("two", [2], np.int64), constant("zero", [0], np.int64),
            constant("one", [1], np.int64), constant("three", [3], np.int64), constant("minus", [-1], np.int64),
        ]  # fmt: skip
        nodes = [
            node("Unsqueeze", "x two", "series"), node("Transpose", "series", "steps", perm=[1, 0, 2]),
            node(operator, "steps w r", "all last", hidden_size=3),
            node("Shape", "x", "shape"), node("Slice", "shape zero one", "rows"),
            node("Concat", "rows three", "as_rows", axis=0), node("Reshape", "last as_rows", "state"),
            node("MatMul", "state v", "y"),
        ]  # fmt: skip
        return written(nodes, constants, width)

    return make


def _convolution(width: int) -> bytes:
    constants = [constant("kernel", np.ones((2, 1, 2))), constant("one", [1], np.int64), constant("v", np.ones((2, 1)))]
    nodes = [
        node("Unsqueeze", "x one", "channel"), node("Conv", "channel kernel", "c", pads=[1, 0], dilations=[1]),
        node("Relu", "c", "r"), node("GlobalAveragePool", "r", "p"), node("Flatten", "p", "f"),
        node("MatMul", "f v", "y"),
    ]  # fmt: skip
    return written(nodes, constants, width)


def _classifier(width: int) -> bytes:
    made = tree(operator="Classifier")
    kept = [each for each in made.attribute if not each.name.startswith(("target_", "n_targets"))]
    added: list[AttributeProto] = [
        helper.make_attribute("class_treeids", [0, 0]), helper.make_attribute("class_nodeids", [1, 2]),
        helper.make_attribute("class_ids", [0, 0]), helper.make_attribute("class_weights", [0.2, 0.7]),
        helper.make_attribute("classlabels_int64s", [0, 1]), helper.make_attribute("post_transform", "NONE"),
    ]  # fmt: skip
    del made.attribute[:]
    made.attribute.extend([*kept, *added])
    made.output[:] = ["label", "scores"]
    constants = [constant("one", [1], np.int64)]
    return written([made, node("Gather", "scores one", "y", axis=1)], constants, width)


def _codes(width: int) -> bytes:
    """A code as a choice of constants: compared, not looked up."""
    constants = [constant("codes", [[0.0, 1.0, 2.0]]), constant("one", [1], np.int64), constant("v", np.ones((3, 1))),
                 constant("first", [0], np.int64)]  # fmt: skip
    nodes = [
        node("Gather", "x first", "code", axis=1), node("Equal", "code codes", "is"),
        node("Cast", "is", "f", to=_FLOAT),
        node("MatMul", "f v", "y"),
    ]  # fmt: skip
    return written(nodes, constants, width)


#: Models as data scientists export them.
PLAIN: dict[str, Callable[[int], bytes]] = {
    "a feed-forward net": _mlp,
    "a convolution": _convolution,
    "an LSTM": _recurrent("LSTM", 4),
    "a GRU": _recurrent("GRU", 3),
    "an RNN": _recurrent("RNN", 1),
    "trees": lambda width: written([tree()], width=width),
    "a classifier of trees": _classifier,
    "a code": _codes,
}
