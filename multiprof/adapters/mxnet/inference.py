"""Shapes and types of every tensor of a symbol: rules are asked until nothing more follows, forwards and backwards."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from multiprof.adapters.mxnet.aliases import canonical
from multiprof.adapters.mxnet.attributes import Attributes
from multiprof.adapters.mxnet.call import MAX_RANK, Body, Call, Known, unify
from multiprof.adapters.mxnet.rules import find_rule
from multiprof.adapters.mxnet.symbol import VARIABLE, Node, Symbol
from multiprof.adapters.mxnet.table import PARAMETERS
from multiprof.errors import ModelError
from multiprof.ir import Shape

MAX_OUTPUTS = 10_000  # of one node
MAX_TENSORS = 400_000  # of all
MAX_WORK = 50_000_000  # arguments looked at: no network needs that many, a hostile file may


class Variable:
    """A node without an operator: an input, a label, or a parameter. ``entry`` is its place in the lists."""

    __slots__ = ("attrs", "entry", "name", "uses")

    def __init__(self, name: str, attrs: Attributes, entry: int) -> None:
        self.name = name
        self.attrs = attrs
        self.entry = entry
        self.uses: list[tuple[Call, int]] = []  # who reads it, as which argument

    @property
    def declared(self) -> Shape | None:
        """The attribute ``__shape__``, in which 0 (and −1) stand for what is unknown."""
        dims = self.attrs.maybe_ints("__shape__")
        if dims and any(dim is not None and dim < -1 for dim in dims):
            raise self.attrs.wrong("__shape__", "sizes, 0 or −1 where one is unknown")
        return tuple(dim if dim is not None and dim > 0 else None for dim in dims) if dims else None

    def args(self) -> set[str]:
        """The names of the arguments as which it is read, in subgraphs too ("" where arguments are all alike)."""
        found: set[str] = set()
        for call, place in self.uses:
            inner = [
                body.inference.variables[name].args() for body in call.bodies for at, name in body.links if at == place
            ]
            found.update(*inner, ({call.args[place]} if place < len(call.args) else {""}) if not inner else ())
        return found

    @property
    def learned(self) -> bool:
        """Whether some operator reads it as a weight or statistics, or its attributes say how to initialise it."""
        marks = ("__init__", "__lr_mult__", "__wd_mult__")
        return any(mark in self.attrs.values for mark in marks) or not PARAMETERS.isdisjoint(self.args())

    @property
    def is_label(self) -> bool:
        """Whether inference can do without it."""
        if self.name.endswith("_label"):
            return True
        return bool(self.uses) and all(
            call.rule is not None and place < len(call.args) and call.args[place] in call.rule.unread
            for call, place in self.uses
        )


class Inference:
    """``shapes`` and ``dtypes`` hold an entry for every output of every node; ``calls`` are in the order they run."""

    def __init__(self, symbol: Symbol, where: str) -> None:
        self.symbol = symbol
        self.where = where
        self.shapes: list[Known] = []
        self.dtypes: list[str] = []
        self.names: list[str] = []
        self.variables: dict[str, Variable] = {}
        self.calls: list[Call] = []
        self.readers: list[list[int]] = []  # entry -> the calls that read it
        self.makers: list[int] = []  # entry -> the call that makes it, -1 for a variable
        self.heads: list[int] = []
        self._queue: deque[int] = deque()
        self._queued = bytearray()
        self._work = 0
        self._started = False
        self._build()

    # -- the graph ----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        nodes = self.symbol.nodes
        used = [0] * len(nodes)  # how many outputs others read
        for node in nodes:
            for index, output in node.inputs:
                used[index] = max(used[index], output + 1)
        for index, output in self.symbol.heads:
            used[index] = max(used[index], output + 1)
        outs: list[range] = []  # the entries of each node
        for node, count in zip(nodes, used, strict=True):
            where = f"{self.where}: node {node.name[:80]} ({node.op[:80]})"
            if node.op == VARIABLE:
                entry = self._variable(node, where).entry
                outs.append(range(entry, entry + 1))
            else:
                outs.append(self._call(node, where, count, outs).outs)
        for index, output in self.symbol.heads:
            self.heads.append(self._entry(outs[index], output, f"{self.where}: a head"))
        self._queued = bytearray(len(self.calls))

    def _variable(self, node: Node, where: str) -> Variable:
        found = self.variables.get(node.name)
        if found is not None:
            raise ModelError(f"{where}: two variables have this name")
        found = Variable(node.name, Attributes(node.attrs, where), self._add(node.name, -1))
        self.variables[node.name] = found
        return found

    def _call(self, node: Node, where: str, used: int, outs: list[range]) -> Call:
        op = canonical(node.op)
        rule = find_rule(op)
        call = Call(node.name, op, node.op, Attributes(node.attrs, where), rule, self)
        if node.subgraphs and rule is not None:
            parts = enumerate(node.subgraphs)
            call.bodies = [Body(Inference(part, f"{where}: subgraph {i}"), []) for i, part in parts]
        index = len(self.calls)
        call.ins = [self._entry(outs[above], output, where) for above, output in node.inputs]
        if rule is not None:
            call.args = rule.args if isinstance(rule.args, tuple) else rule.args(call)
        # files of before 2017 leave statistics and labels out; MXNet's loader adds them by these names
        for arg in call.args[len(call.ins) :]:
            name = f"{node.name}_{arg}"
            implied = self.variables.get(name)
            if implied is None:
                implied = self._variable(Node(VARIABLE, name, {}, []), where)
            call.ins.append(implied.entry)
        for place, entry in enumerate(call.ins):
            self.readers[entry].append(index)
            if self.makers[entry] < 0:
                self.variables[self.names[entry]].uses.append((call, place))
        made = max(used, 1)
        if rule is not None:
            made = rule.outputs if isinstance(rule.outputs, int) else rule.outputs(call)
            if not used <= made <= MAX_OUTPUTS:
                raise ModelError(f"{where}: {made} results, and {used} are read")
        start = len(self.shapes)
        if start + made > MAX_TENSORS:
            raise ModelError(f"{where}: more than {MAX_TENSORS} tensors so far: no network is that large")
        for i in range(made):
            self._add(f"{node.name}_output{i}" if made > 1 else f"{node.name}_output", index)
        call.outs = range(start, start + made)
        self.calls.append(call)
        return call

    def _add(self, name: str, maker: int) -> int:
        self.shapes.append(None)
        self.dtypes.append("")
        self.names.append(name)
        self.readers.append([])
        self.makers.append(maker)
        return len(self.shapes) - 1

    def _entry(self, outs: range, output: int, where: str) -> int:
        if output >= len(outs):
            name = self.names[outs[0]] if outs else "a node without results"
            raise ModelError(f"{where} reads output {output} of {name}, of which there are {len(outs)}")
        return outs[output]

    # -- shapes -------------------------------------------------------------------------------------------------------

    def run(self, given: Mapping[str, Shape] | None = None) -> None:
        """Take the shapes of variables by name, declared ones for the others, and ask the rules until nothing more
        follows. Given again, shapes only add to what is known."""
        known = given or {}
        for name, variable in self.variables.items():
            shape = known.get(name)
            if shape is None and not self._started:
                shape = variable.declared
            if shape is not None:
                self.narrow(variable.entry, shape, None, "what is given")
        if not self._started:
            self._started = True
            self._queue = deque(range(len(self.calls)))
            self._queued = bytearray(b"\x01" * len(self.calls))
        while self._queue:
            index = self._queue.popleft()
            self._queued[index] = 0
            call = self.calls[index]
            self._work += len(call.ins) + len(call.outs)
            if self._work > MAX_WORK:
                raise ModelError(f"{self.where}: the shapes do not settle after looking at {MAX_WORK} of them")
            if call.rule is not None:
                call.rule.infer(call)

    def narrow(self, entry: int, shape: Shape, by: Call | None, what: str) -> None:
        """Note what is known of an entry's shape; raises `ModelError` where it contradicts what was known."""
        known = self.shapes[entry]
        if known == shape:
            return
        try:
            found = unify(known, shape)
        except ValueError:
            where = by.where if by is not None else self.where
            raise ModelError(
                f"{where}: {what} {self.names[entry]!r} has the shape {_written(known)}; {_written(shape)} is needed"
            ) from None
        if found == known or found is None:
            return
        if len(found) > MAX_RANK or any(dim is not None and dim < 0 for dim in found):
            where = by.where if by is not None else self.where
            raise ModelError(f"{where}: {self.names[entry]!r} would have the shape {_written(found)}")
        self.shapes[entry] = found
        for index in (*self.readers[entry], self.makers[entry]):
            if index >= 0 and not self._queued[index] and (by is None or self.calls[index] is not by):
                self._queued[index] = 1
                self._queue.append(index)

    # -- types --------------------------------------------------------------------------------------------------------

    def run_dtypes(self) -> None:
        """Element types, forwards; an argument without one takes that of those beside it, and float32 in the end."""
        for last in (False, True):
            if last:
                for variable in self.variables.values():
                    self.dtypes[variable.entry] = self.dtypes[variable.entry] or "float32"
            for call in self.calls:
                self._dtypes_of(call)

    def _dtypes_of(self, call: Call) -> None:
        dtypes, rule = self.dtypes, call.rule
        like = rule.like if rule is not None else None
        group = call.ins if like is None else [call.ins[i] for i in like if i < len(call.ins)]
        known = next((dtypes[entry] for entry in group if dtypes[entry]), "")
        if rule is not None and known:
            for entry in group:
                if not dtypes[entry] and self.makers[entry] < 0:
                    dtypes[entry] = known
        made = rule.dtype(call) if rule is not None and rule.dtype is not None else known
        each = made if isinstance(made, tuple) else (made,) * len(call.outs)
        for entry, dtype in zip(call.outs, each, strict=False):
            dtypes[entry] = dtype or known


def _written(shape: Known) -> str:
    if shape is None:
        return "?"
    return "×".join("?" if dim is None else str(dim) for dim in shape) or "scalar"


__all__ = ["Inference", "Variable"]
