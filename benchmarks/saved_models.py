"""What reading a SavedModel and a frozen graph of TensorFlow costs, as whole processes, beside TensorFlow's own ways.

    python benchmarks/saved_models.py               # writes benchmarks/RESULTS_SAVED.md; needs 2 GB on the disk
    python benchmarks/saved_models.py --output - --rounds 1 --models MobileNetV2

Needs tensorflow-cpu and keras beside multiprof. Every figure is the wall-clock time and the largest resident memory of
a process of its own, from its start to its end, the files read once before so that all find them in the page cache;
commands are run in turn in every round. The models are those of keras.applications with random weights.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from speed_files import best, warm

ROOT = Path(__file__).resolve().parent.parent
# Multiply-adds for one image, parameters, running statistics: Keras's own counts, and tests/adapters/keras.
MODELS = {
    "MobileNetV2": (300_774_272, 3_504_872, 34_112),
    "ResNet50": (3_857_973_248, 25_583_592, 53_120),
    "VGG16": (15_470_264_320, 138_357_544, 0),
}

OURS = """
import multiprof
report = multiprof.analyze({path!r}, (1, 224, 224, 3), strict=True)
assert (report.macs, report.params, report.buffers) == {expected!r}, (report.macs, report.params, report.buffers)
"""
IMPORT = "import tensorflow"
LOAD = "import tensorflow as tf; model = tf.saved_model.load({path!r})"
FREEZE = """
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
model = tf.saved_model.load({path!r})
graph = convert_variables_to_constants_v2(model.signatures["serving_default"]).graph.as_graph_def()
"""
PROFILE = (
    FREEZE
    + """
with tf.Graph().as_default() as own:
    tf.graph_util.import_graph_def(graph, name="")
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    tf.compat.v1.profiler.profile(own, options=options)
"""
)
PARSE = """
import tensorflow as tf
graph = tf.compat.v1.GraphDef()
graph.ParseFromString(open({path!r}, "rb").read())
with tf.Graph().as_default():
    tf.graph_util.import_graph_def(graph, name="")
"""


def make(name: str, folder: Path) -> None:
    """``folder``/saved and ``folder``/frozen.pb."""
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    model = getattr(keras.applications, name)(weights=None)
    model.export(str(folder / "saved"), verbose=False)
    call = tf.function(lambda x: model(x, training=False))
    function = call.get_concrete_function(tf.TensorSpec((1, 224, 224, 3)))
    graph = convert_variables_to_constants_v2(function).graph.as_graph_def()
    (folder / "frozen.pb").write_bytes(graph.SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", default=str(ROOT / "benchmarks" / "RESULTS_SAVED.md"), help="- for stdout alone")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    args = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    rows = ["| model | file | what | seconds | memory, MB |", "|---|---|---|---|---|"]

    def add(model: str, file: str, commands: dict[str, str]) -> None:
        for what, (seconds, memory, failed) in zip(commands, best(list(commands.values()), args.rounds), strict=True):
            shown = f"failed: {failed[:80]}" if failed else f"{seconds:.2f}"
            rows.append(f"| {model} | {file} | {what} | {shown} | {memory:.0f} |")
            print(rows[-1], flush=True)

    add("none", "", {"start of Python": "pass", "import tensorflow": IMPORT})
    for name in args.models:
        with tempfile.TemporaryDirectory() as folder:
            # in a process of its own: Linux counts a parent's memory into the largest of its children
            subprocess.run([sys.executable, __file__, "--make", name, folder], check=True, stdout=subprocess.DEVNULL)
            saved, frozen = Path(folder) / "saved", Path(folder) / "frozen.pb"
            files = [file for file in saved.rglob("*") if file.is_file()]
            for file in (*files, frozen):
                warm(file)
            own = {"path": str(saved), "expected": MODELS[name]}
            add(
                name,
                f"SavedModel, {sum(file.stat().st_size for file in files) / 1e6:.0f} MB",
                {
                    "multiprof": OURS.format(**own),
                    "tf.saved_model.load": LOAD.format(**own),
                    "load and convert_variables_to_constants_v2": FREEZE.format(**own),
                    "load, convert, TensorFlow's profiler": PROFILE.format(**own),
                },
            )
            own["path"] = str(frozen)
            add(
                name,
                f"frozen graph, {frozen.stat().st_size / 1e6:.0f} MB",
                {"multiprof": OURS.format(**own), "parse and import_graph_def": PARSE.format(**own)},
            )
    text = "\n".join((HEADER.format(python=platform.python_version(), cores=os.cpu_count()), *rows, ""))
    if args.output != "-":
        Path(args.output).write_text(text)


HEADER = """# SavedModels and frozen graphs, whole processes

Remade by `python benchmarks/saved_models.py`: the median of the rounds, in one run, on {cores} cores with Python
{python}. The time is that of the whole process, the start of Python and the import of TensorFlow included. What
multiprof says is compared with Keras's own counts in every run: multiply-adds, parameters, running statistics.
"""


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
