"""How long multiprof takes on model files, as whole processes, beside readers that read everything.

    python benchmarks/speed_files.py                # writes benchmarks/RESULTS_FILES.md; needs 5 GB on the disk
    python benchmarks/speed_files.py --output - --rounds 1 --files symbol tflite

Needs onnx, onnx-tool, tflite and ai-edge-litert beside multiprof. Every figure is the wall-clock time and the largest
resident memory of a process of its own, from its start to its end, the files read once before so that all find them in
the page cache; commands are run in turn in every round. The files are made here, with random weights.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOISE = os.urandom(1 << 20)
TARGETS = {  # whole process: seconds, and bytes of memory where the file is large
    "onnx 100 MB": (0.5, None),
    "onnx 2 GB": (2.0, 300e6),
    "onnx 2 GB, external": (1.0, 300e6),
    "tflite 100 MB": (0.5, None),
    "symbol": (0.15, None),
}

OURS = """
import sys, multiprof
report = multiprof.analyze({path!r})
assert report.coverage == 1.0 and report.macs, report.coverage
loaded = [m for m in ("jax", "keras", "mxnet", "onnxruntime", "tensorflow", "torch") if m in sys.modules]
assert not loaded, loaded
print(report.macs)
"""
LOAD = "import onnx; model = onnx.load({path!r}); print(len(model.graph.node))"
TOOL = """
import onnx_tool
model = onnx_tool.Model({path!r})
model.graph.shape_infer(None)
model.graph.profile()
print(model.graph.macs)
"""


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def field(number: int, payload: bytes | str) -> bytes:
    """A length-delimited field of a protobuf message."""
    data = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(data)) + data


def number(field_: int, value: int) -> bytes:
    return varint(field_ << 3) + varint(value)


def tensor_type(name: str, shape: tuple[int, ...]) -> bytes:
    """A ValueInfoProto of floats."""
    dims = b"".join(field(1, number(1, size)) for size in shape)
    return field(1, name) + field(2, field(1, number(1, 1) + field(2, dims)))


def write_onnx(path: Path, layers: int, size: int, *, external: bool = False) -> None:
    """A chain of Gemm and Relu, each Gemm with size × size float32 weights, written without holding them in memory."""
    nodes = inner = b""
    heads = []
    for i in range(layers):
        gemm = field(1, f"x{i}") + field(1, f"w{i}") + field(2, f"g{i}") + field(3, f"layer{i}/Gemm") + field(4, "Gemm")
        relu = field(1, f"g{i}") + field(2, f"x{i + 1}") + field(3, f"layer{i}/Relu") + field(4, "Relu")
        nodes += field(1, gemm) + field(1, relu)
        head = number(1, size) + number(1, size) + number(2, 1) + field(8, f"w{i}")
        if external:
            at = {"location": f"{path.name}.data", "offset": str(i * size * size * 4), "length": str(size * size * 4)}
            head += b"".join(field(13, field(1, key) + field(2, text)) for key, text in at.items()) + number(14, 1)
        heads.append(head)
    payload = 0 if external else size * size * 4
    raw = varint(9 << 3 | 2) + varint(payload) if payload else b""
    ends = field(11, tensor_type("x0", (1, size))) + field(12, tensor_type(f"x{layers}", (1, size)))
    tensors = [varint(5 << 3 | 2) + varint(len(head) + len(raw) + payload) + head + raw for head in heads]
    inner = nodes + field(2, "chain")
    length = len(inner) + sum(map(len, tensors)) + layers * payload + len(ends)
    model = number(1, 8) + field(2, "benchmark") + field(8, number(2, 17))
    with path.open("wb") as file:
        file.write(model + varint(7 << 3 | 2) + varint(length) + inner)
        for tensor in tensors:
            file.write(tensor)
            fill(file.write, payload)
        file.write(ends)
    if external:
        with path.with_name(f"{path.name}.data").open("wb") as file:
            fill(file.write, layers * size * size * 4)


def fill(write: Callable[[bytes], int], count: int) -> None:
    for _ in range(count // len(NOISE)):
        write(NOISE)
    write(NOISE[: count % len(NOISE)])


def write_tflite(path: Path, layers: int, size: int) -> None:
    """A chain of fully connected layers with fused ReLUs, each with size × size float32 weights."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.version = 3
    model.description = "benchmark"
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    model.operatorCodes = [code]
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.name, graph.tensors, graph.operators = "main", [], []

    def tensor(name: str, shape: list[int], buffer: int = 0) -> int:
        item = schema.TensorT()
        item.name, item.shape, item.type, item.buffer = name, shape, schema.TensorType.FLOAT32, buffer
        graph.tensors.append(item)
        return len(graph.tensors) - 1

    import numpy as np

    weights = np.frombuffer(NOISE * (size * size * 4 // len(NOISE) + 1), np.uint8)[: size * size * 4]
    current = tensor("x", [1, size])
    graph.inputs = [current]
    for i in range(layers):
        buffer = schema.BufferT()
        buffer.data = weights
        model.buffers.append(buffer)
        weight = tensor(f"net/layer{i}/kernel", [size, size], len(model.buffers) - 1)
        made = tensor(f"net/layer{i}/Relu", [1, size])
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = 0, [current, weight, -1], [made]
        op.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        op.builtinOptions = schema.FullyConnectedOptionsT()
        op.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU
        graph.operators.append(op)
        current = made
    graph.outputs = [current]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(layers * (size * size * 4 + 1024))
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())


def write_symbol(path: Path, blocks: int) -> None:
    """Convolution, norm and activation in turn, as many as a ResNet-50 has, with the data's shape written in."""
    nodes: list[dict[str, object]] = [
        {"op": "null", "name": "data", "inputs": [], "attrs": {"__shape__": "(1, 64, 56, 56)"}}
    ]

    def node(op: str, name: str, inputs: list[int], **attrs: str) -> int:
        nodes.append({"op": op, "name": name, "inputs": [[i, 0, 0] for i in inputs], "attrs": attrs})
        return len(nodes) - 1

    current = 0
    for i in range(blocks):
        weight = node("null", f"conv{i}_weight", [])
        conv = {"kernel": "(3, 3)", "pad": "(1, 1)", "stride": "(1, 1)", "num_filter": "64", "no_bias": "True"}
        current = node("Convolution", f"conv{i}", [current, weight], **conv)
        roles = [node("null", f"bn{i}_{role}", []) for role in ("gamma", "beta", "moving_mean", "moving_var")]
        current = node("BatchNorm", f"bn{i}", [current, *roles], eps="1e-05", fix_gamma="False")
        current = node("Activation", f"relu{i}", [current], act_type="relu")
    variables = [i for i, item in enumerate(nodes) if item["op"] == "null"]
    path.write_text(json.dumps({"nodes": nodes, "arg_nodes": variables, "heads": [[current, 0, 0]]}, indent=2))


def measure(code: str) -> tuple[float, int, str]:
    """Seconds, largest resident memory in bytes, and what went wrong, of a Python process that runs ``code``."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = os.posix_spawn(
            sys.executable, [sys.executable, "-c", code], environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, errors.fileno(), 2),
            ],
        )  # fmt: skip
        _, status, usage = os.wait4(process, 0)
        seconds = time.perf_counter() - began
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    failed = "" if status == 0 else (said[-1] if said else f"status {status}")
    return seconds, usage.ru_maxrss * 1024, failed


def make(name: str, folder: Path) -> None:
    if name == "symbol":
        path = folder / "net-symbol.json"
        write_symbol(path, 53)
    elif name == "tflite 100 MB":
        path = folder / "net.tflite"
        write_tflite(path, 25, 1000)
    else:
        external = "external" in name
        path = folder / f"{name.replace(' ', '_').replace(',', '')}.onnx"
        write_onnx(path, 25 if "100 MB" in name else 500, 1000, external=external)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", default=str(ROOT / "benchmarks" / "RESULTS_FILES.md"), help="- for stdout alone")
    parser.add_argument("--files", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    args = parser.parse_args()
    rows = ["| file | what | seconds | of multiprof's time | memory, MB | target |", "|---|---|---|---|---|---|"]
    rows.append("| none | start of Python | {:.3f} | | {:.0f} | |".format(*best(["pass"], args.rounds)[0][:2]))
    for name in args.files:
        with tempfile.TemporaryDirectory() as folder:
            # in a process of its own: Linux counts a parent's memory into the largest of its children
            subprocess.run([sys.executable, __file__, "--make", name, folder], check=True)
            (path,) = (file for file in Path(folder).iterdir() if file.suffix != ".data")
            commands = {"multiprof": OURS}
            if path.suffix == ".onnx":
                commands |= {"onnx.load": LOAD, "onnx-tool": TOOL}
            for file in Path(folder).iterdir():
                warm(file)
            figures = best([code.format(path=str(path)) for code in commands.values()], args.rounds)
        seconds, memory = TARGETS[name]
        aim = f"{seconds} s" + (f", {memory / 1e6:.0f} MB" if memory else "")
        for what, (taken, used, failed) in zip(commands, figures, strict=True):
            ratio = f"{taken / figures[0][0]:.1f}"
            shown = f"failed: {failed[:80]}" if failed else f"{taken:.3f}"
            rows.append(f"| {name} | {what} | {shown} | {ratio} | {used:.0f} | {aim if what == 'multiprof' else ''} |")
            print(rows[-1], flush=True)
    text = "\n".join((HEADER.format(python=platform.python_version(), cores=os.cpu_count()), *rows, ""))
    print(text)
    if args.output != "-":
        Path(args.output).write_text(text)


HEADER = """# Model files, whole processes

Remade by `python benchmarks/speed_files.py`: the median of the rounds, in one run, on {cores} cores with Python
{python}. The time is that of the whole process, the start of Python and all imports included.
"""


def best(codes: list[str], rounds: int) -> list[tuple[float, float, str]]:
    """Median seconds and memory in MB of each, in turn in every round, after one that compiles the modules."""
    taken: list[list[tuple[float, int, str]]] = [[] for _ in codes]
    for code in codes:
        measure(code)
    for _ in range(rounds):
        for index, code in enumerate(codes):
            taken[index].append(measure(code))
    return [
        (statistics.median(t[0] for t in runs), statistics.median(t[1] for t in runs) / 1e6, runs[-1][2])
        for runs in taken
    ]


def warm(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
