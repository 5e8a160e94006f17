"""Walking a subgraph, each operator through its rule; names, parameters and known values on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from multiprof.adapters._common.writer import GraphWriter, kind_by_dtype
from multiprof.adapters.tflite.evaluate import CUTS, EVALUATORS, pieces
from multiprof.adapters.tflite.model import MAX_NUMBERS, Model, Operator, SubGraph, Tensor
from multiprof.adapters.tflite.node import Node, Values
from multiprof.adapters.tflite.scopes import common_head, split_name
from multiprof.ir import BUFFER, CONSTANT, Layer, Shape, TensorSpec

# Subgraphs that call one another: real ones are at most a few deep.
MAX_DEPTH = 40
# Operators walked and subgraphs entered, again for every call: subgraphs that call one another several times multiply.
MAX_WALKED = 150_000
MAX_ENTERED = 10_000
# Sizes have 64 bits: a larger number is none, and a file may square one again and again.
LARGEST = 1 << 63
Rule = Callable[[Node], None]


@dataclass(slots=True)
class Frame:
    """A subgraph as it is run: what its tensors are called and how large they are. ``scope`` is the caller's."""

    subgraph: SubGraph
    scope: str = ""
    specs: dict[int, TensorSpec] = field(default_factory=dict)
    values: dict[int, Values | None] = field(default_factory=dict)


@dataclass(slots=True)
class Given:
    """A tensor as it goes into a subgraph or comes out of it, with its numbers where they are known."""

    spec: TensorSpec
    values: Values | None = None


class Walker:
    """Runs subgraphs of one model into one writer."""

    def __init__(self, model: Model, writer: GraphWriter, rules: Mapping[str, Rule], fallback: Rule) -> None:
        self.model = model
        self.writer = writer
        self.rules = rules
        self.fallback = fallback
        self.weights: set[str] = set()  # tensors computed from parameters and constants alone
        self.handles: dict[str, str] = {}  # tensor that holds a handle -> name of the variable
        self.initial: dict[str, Tensor] = {}  # variable -> what it is before the first run
        self._buffers: dict[int, TensorSpec] = {}
        self._variables: dict[str, TensorSpec] = {}
        self._written: set[str] | None = None
        self._active: list[int] = []
        self._head = ""
        self._walked = 0
        self._entered = 0
        self._differences = 0
        self._first_difference = ""

    # -- subgraphs -----------------------------------------------------------------------------------------------

    def run(self, number: int, given: Sequence[Given], where: str, scope: str = "") -> list[Given]:
        """Write the layers of a subgraph that gets those inputs; its outputs."""
        subgraph = self.model.subgraph(number, where)
        if number in self._active:
            raise self.model.file.fail(where, f"subgraph {number} calls itself")
        if len(self._active) >= MAX_DEPTH:
            raise self.model.file.fail(where, f"more than {MAX_DEPTH} subgraphs call one another")
        if len(given) != len(subgraph.inputs):
            raise self.model.file.fail(
                where, f"subgraph {number} takes {len(subgraph.inputs)} inputs, {len(given)} given"
            )
        self._entered += 1
        if self._entered > MAX_ENTERED:
            raise self.model.file.fail(where, f"more than {MAX_ENTERED} subgraphs run: no model is that large")
        if not self._active:
            self._head = common_head([self._split(subgraph, operator)[0] for operator in subgraph.operators])
        frame = Frame(subgraph, scope)
        for index, one in zip(subgraph.inputs, given, strict=True):
            frame.specs[index] = one.spec
            frame.values[index] = one.values
        self._active.append(number)
        for operator in subgraph.operators:
            self._step(frame, operator)
        self._active.pop()
        # what is declared and not used is declared all the same
        for index, tensor in enumerate(subgraph.tensors):
            if tensor.buffer and index not in frame.specs and self.model.extent(tensor.buffer)[1]:
                self._constant(tensor)
        return [
            Given(self._find(frame, index, f"{subgraph.where}, output {i}"), self.values(frame, index))
            for i, index in enumerate(subgraph.outputs)
        ]

    def _step(self, frame: Frame, operator: Operator) -> None:
        self._walked += 1
        if self._walked > MAX_WALKED:
            raise self.model.file.fail(operator.where, f"more than {MAX_WALKED} operators run: no model is that large")
        node = Node(self, frame, operator)
        try:
            self.rules.get(operator.code, self.fallback)(node)
            self._evaluate(frame, operator, node)
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise node.fail(f"its operands or options do not fit together ({error})") from error

    def _evaluate(self, frame: Frame, operator: Operator, node: Node) -> None:
        """Note the numbers in small outputs, as far as they follow from what is known."""
        evaluate = EVALUATORS.get(operator.code)
        if evaluate is None:
            if operator.code in CUTS and all(self._small(frame, index) for index in operator.outputs):
                for number, values in enumerate(pieces(node) or ()):
                    node.know(tuple(values), number)
        elif operator.outputs and self._small(frame, operator.outputs[0]):
            found = evaluate(node)
            if found is not None:
                node.know(tuple(None if v is None or not -LARGEST < v < LARGEST else v for v in found))

    def _small(self, frame: Frame, index: int) -> bool:
        spec = frame.specs.get(index)
        return spec is not None and spec.rank < 4 and None not in spec.shape and prod(spec.shape) <= MAX_NUMBERS  # type: ignore[arg-type]  # no None is left

    # -- variables -----------------------------------------------------------------------------------------------

    def initialise(self, number: int, where: str) -> None:
        """Note what a subgraph that runs once, before the first run, writes into variables."""
        subgraph = self.model.subgraph(number, where)
        self.writer.warnings.append(f"{subgraph.where} runs once, to initialise variables: it is not counted")
        keys: dict[int, str] = {}
        for operator in subgraph.operators:
            if operator.code == "VAR_HANDLE" and operator.outputs:
                keys[operator.outputs[0]] = self.key_of(operator)
            elif operator.code == "ASSIGN_VARIABLE" and len(operator.inputs) == 2:
                key = keys.get(operator.inputs[0])
                if key is not None and operator.inputs[1] >= 0:
                    self.initial[key] = subgraph.tensors[operator.inputs[1]]

    def key_of(self, operator: Operator) -> str:
        """The name of the variable that a VAR_HANDLE names."""
        options = self.model.options(operator)
        return "/".join(part for part in (options["container"], options["shared_name"]) if part) or "variable"

    def is_written(self, key: str) -> bool:
        """Whether a run may write a variable: any subgraph does that is not there to initialise."""
        if self._written is None:
            self._written = self._find_written()
        return key in self._written

    def _find_written(self) -> set[str]:
        """Variables written outside of initialisation; a handle passed from subgraph to subgraph may be any of them."""
        subgraphs = [self.model.subgraph(n, "model") for n in range(self.model.subgraphs)]
        once = {
            self.model.options(operator)["init_subgraph_index"]
            for subgraph in subgraphs for operator in subgraph.operators if operator.code == "CALL_ONCE"
        }  # fmt: skip
        found: set[str] = set()
        every: set[str] = set()
        passed = False
        for subgraph in subgraphs:
            keys: dict[int, str] = {}
            for operator in subgraph.operators:
                if operator.code == "VAR_HANDLE" and operator.outputs:
                    keys[operator.outputs[0]] = self.key_of(operator)
                elif operator.code == "ASSIGN_VARIABLE" and operator.inputs and subgraph.number not in once:
                    key = keys.get(operator.inputs[0])
                    passed = passed or key is None
                    found.update(() if key is None else (key,))
            every.update(keys.values())
        return every if passed else found

    def variable(self, key: str, like: Tensor) -> TensorSpec:
        """The declared tensor of a variable, as it was initialised, or like what is read or written here."""
        found = self._variables.get(key)
        if found is None:
            tensor = self.initial.get(key, like)
            found = TensorSpec(tensor.shape, tensor.dtype, self.writer.taken(key), tensor.quant)
            written = self.is_written(key)
            self.writer.declare(found, BUFFER if written else None, source=key)
            if not written:
                self.weights.add(found.name)
            self._variables[key] = found
        return found

    # -- tensors -------------------------------------------------------------------------------------------------

    def spec(self, frame: Frame, index: int, operator: Operator) -> TensorSpec:
        """The tensor an operator reads."""
        found = frame.specs.get(index)
        return found if found is not None else self._find(frame, index, operator.where)

    def _find(self, frame: Frame, index: int, where: str) -> TensorSpec:
        found = frame.specs.get(index)
        if found is None:
            tensor = frame.subgraph.tensors[index]
            if self.model.extent(tensor.buffer)[1]:
                found = self._constant(tensor)
            elif tensor.variable:
                found = self._state(tensor)
            elif 0 in tensor.shape:  # nothing to store: an empty list of axes
                found = TensorSpec(tensor.shape, tensor.dtype, self.name_of(tensor), tensor.quant)
                self.writer.declare(found, CONSTANT)
                self.weights.add(found.name)
                frame.values[index] = ()
            else:
                raise self.model.file.fail(
                    where, f"reads tensor {index} ({tensor.name or 'unnamed'}), which is no input and no constant, "
                    "and no earlier operator makes it",
                )  # fmt: skip
            frame.specs[index] = found
        return found

    def _constant(self, tensor: Tensor) -> TensorSpec:
        """A tensor whose contents stand in the file: declared once, however many tensors share the contents."""
        first = self._buffers.get(tensor.buffer)
        spec = TensorSpec(tensor.shape, tensor.dtype, "", tensor.quant)
        _, length = self.model.extent(tensor.buffer)
        if not tensor.sparse and tensor.kind != "STRING" and spec.nbytes > length:
            raise self.model.file.fail(
                tensor.where,
                f"its shape {tensor.shape} takes {spec.nbytes} bytes; its contents are {length} bytes long",
            )
        if first is not None:
            spec.name = first.name
            known = self.writer.parameters[first.name]
            if tensor.name and tensor.name != known.source and tensor.name not in known.tied:
                known.tied = (*known.tied, tensor.name)
            return spec
        spec.name = self.name_of(tensor)
        self._buffers[tensor.buffer] = spec
        self.writer.declare(spec, kind_by_dtype(spec) if tensor.shape else CONSTANT, source=tensor.name or spec.name)
        self.weights.add(spec.name)
        return spec

    def _state(self, tensor: Tensor) -> TensorSpec:
        """A tensor that keeps its values from one run to the next."""
        spec = TensorSpec(tensor.shape, tensor.dtype, self.name_of(tensor), tensor.quant)
        self.writer.declare(spec, BUFFER, source=tensor.name or spec.name)
        return spec

    def name_of(self, tensor: Tensor) -> str:
        """A name that no tensor of the graph has yet."""
        return self.writer.taken(tensor.name or "tensor")

    def bind(self, frame: Frame, index: int, spec: TensorSpec) -> None:
        frame.specs[index] = spec
        frame.values.pop(index, None)

    def know(self, frame: Frame, index: int, values: Values) -> None:
        frame.values[index] = values

    def values(self, frame: Frame, index: int) -> Values | None:
        if index in frame.values:
            return frame.values[index]
        tensor = frame.subgraph.tensors[index]
        spec = frame.specs.get(index)
        found = () if spec is None and 0 in tensor.shape else None
        if found is None and tensor.buffer and (spec is None or spec.name in self.writer.parameters):
            found = self.model.numbers(tensor)
        frame.values[index] = found
        return found

    # -- layers --------------------------------------------------------------------------------------------------

    def place(self, frame: Frame, operator: Operator) -> tuple[str, str]:
        """Scope and name of an operator's layers, from what its first output is called."""
        path, leaf = self._split(frame.subgraph, operator)
        head = self._head
        if head and (path == head or path.startswith(head + ".")):
            path = path[len(head) + 1 :]
        scope = path or frame.scope
        kind = (operator.custom or operator.code or f"code_{operator.builtin}").lower()
        if path:
            return scope, f"{scope}/{kind}"
        if leaf:
            return scope, f"{scope}/{leaf}" if scope else leaf
        return scope, f"{scope}/{kind}" if scope else kind

    def _split(self, subgraph: SubGraph, operator: Operator) -> tuple[str, str]:
        """Path and last part of what its first output is called, else of its weight."""
        found = ("", "")
        names = [subgraph.tensors[index].name for index in operator.outputs]
        if names:
            chosen = next((n for n in names if "/while" in n), names[0]) if operator.code == "WHILE" else names[0]
            found = split_name(chosen, operator.code)
        if found == ("", "") and len(operator.inputs) > 1 and operator.inputs[1] >= 0:
            weight = subgraph.tensors[operator.inputs[1]]
            if weight.buffer and self.model.extent(weight.buffer)[1]:
                found = split_name(weight.name, operator.code)[0], ""
        return found

    def write(
        self,
        node: Node,
        op: str,
        inputs: Mapping[str, TensorSpec],
        outputs: Mapping[str, TensorSpec],
        attrs: Mapping[str, Any] | None,
        name: str,
        aliases: tuple[tuple[str, str, str], ...],
    ) -> Layer:
        weights = self.weights
        if op == "constant" or (inputs and all(spec.name in weights for spec in inputs.values())):
            weights.update(spec.name for spec in outputs.values())
        source = node.operator.label
        return self.writer.layer(name, op, inputs, outputs, attrs, scope=node.scope, source=source, aliases=aliases)

    def note_difference(self, node: Node, number: int, declared: Shape, found: Shape) -> None:
        """An output whose declared shape its operator does not give; what executes is what the operator gives."""
        self._differences += 1
        if not self._first_difference:
            self._first_difference = f"output {number} of {node.operator.where} is {found}, declared {declared}"

    def finish(self) -> None:
        if self._differences:
            self.writer.warnings.append(
                f"{self._differences} tensors have other shapes than the file declares, as their operators compute "
                f"them; the first: {self._first_difference}"
            )


__all__ = ["Frame", "Given", "Walker"]
