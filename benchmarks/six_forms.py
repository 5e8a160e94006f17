"""Four networks, each in six forms, timed on TensorFlow Lite and on the CPU by the form's own framework, one thread.

    python benchmarks/six_forms.py                  # writes benchmarks/RESULTS_FORMS.md; some 15 minutes
    python benchmarks/six_forms.py --networks lstm --forms onnx --output -

Needs multiprof with multiprof-benchmark, and torch, onnx, onnxruntime, tensorflow-cpu, keras, ai-edge-litert and mxnet
beside it. Every cell is what `multiprof bench FORM --on tflite,cpu` prints: medians, in a process of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SHAPES = {
    "mobilenetv2": "1x3x224x224",
    "resnet50": "1x3x224x224",
    "lstm": "1x50x128",
    "generator": "1x100x1x1",
}
FORMS = ("torch", "keras", "savedmodel", "mxnet", "onnx", "tflite")


def made(form: str, name: str, folder: Path) -> tuple[str, ...]:
    """The form's file in the folder, written by its framework, as arguments of ``multiprof bench``."""
    if form == "torch":
        return (f"networks.torch_networks:{name}", "--input", SHAPES[name])
    if form == "mxnet":
        from networks.mxnet_networks import export

        return (str(export(name, folder)), "--input", SHAPES[name])
    if form == "onnx":
        import torch
        from networks.torch_networks import INPUTS
        from networks.torch_networks import NETWORKS as modules

        path = folder / f"{name}.onnx"
        torch.onnx.export(modules[name](), (torch.zeros(INPUTS[name]),), str(path), dynamo=False)
        return (str(path),)
    from networks.keras_networks import NETWORKS as models

    model = models[name]()
    if form == "keras":
        path = folder / f"{name}.keras"
        model.save(path)
    elif form == "savedmodel":
        path = folder / name
        model.export(str(path), verbose=False)
        return (str(path), "--input", "x".join(map(str, model.inputs[0].shape)))
    else:
        import tensorflow as tf
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        call = tf.function(lambda x: model(x, training=False)).get_concrete_function(
            tf.TensorSpec(model.inputs[0].shape)
        )
        converter = tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(call)])
        path = folder / f"{name}.tflite"
        path.write_bytes(converter.convert())
    return (str(path),)


def measured(arguments: list[str], saved: Path) -> dict[str, Any]:
    """The report of ``multiprof bench``; what it printed goes to stderr."""
    command = [
        sys.executable,
        "-m",
        "multiprof",
        "bench",
        *arguments,
        "--on",
        "tflite,cpu",
        "--format",
        "latency",
        "-o",
        str(saved),
    ]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    print("$", *command[2:], f"\n{done.stdout}{done.stderr}", file=sys.stderr)
    if not saved.is_file():
        raise SystemExit(f"{arguments[0]}: {done.stderr.strip()}")
    return json.loads(saved.read_text())


def cells(report: dict[str, Any]) -> str:
    """MACs, and for each runner its route, the median in milliseconds, and what the rows of layers add up to."""
    row = [f"{report['totals']['macs']:,}"]
    for runner in ("tflite", "cpu"):
        times = [m for m in report["measurements"] if m["runner"] == runner]
        whole = [m for m in times if m["kind"] == "whole"]
        if not whole:
            row += ["–", "–", "–"]
            continue
        median = middle(whole[0]["times"])
        parts = [m for m in times if m["kind"] != "whole"]
        total = sum(middle(m["times"]) for m in parts)
        row += [whole[0]["route"], f"{1e3 * median:.3g}", f"{total / median:.2f} ({len(parts)})" if parts else "–"]
    return " | ".join(row)


def middle(times: list[float]) -> float:
    ordered = sorted(times)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(SHAPES))
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--folder", type=Path, help="where the models are written, and found again")
    parser.add_argument("--make", nargs=2, metavar=("FORM", "NETWORK"), help=argparse.SUPPRESS)
    parser.add_argument("--output", default=str(HERE / "RESULTS_FORMS.md"), help="- for stdout alone")
    args = parser.parse_args()
    if args.make:  # in a process of its own, so that no framework meets another
        sys.path.insert(0, str(HERE))
        found = made(*args.make, args.folder)
        (args.folder / "arguments.json").write_text(json.dumps(found))
        return
    folder = args.folder or Path(tempfile.mkdtemp(prefix="six_forms_"))
    lines = [
        "| network | form | MACs | TFLite by | ms | layers' sum (rows) | CPU by | ms | layers' sum (rows) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in args.networks.split(","):
        for form in args.forms.split(","):
            own = folder / form / name
            own.mkdir(parents=True, exist_ok=True)
            if not (own / "arguments.json").is_file():
                line = [sys.executable, __file__, "--make", form, name, "--folder", str(own)]
                quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
                subprocess.run(line, env=quiet, stdout=sys.stderr, check=True)
            arguments = json.loads((own / "arguments.json").read_text())
            lines.append(f"| {name} | {form} | {cells(measured(arguments, own / 'report.json'))} |")
            print(lines[-1], file=sys.stderr)
    about = json.loads((own / "report.json").read_text())["measurements"][0]["environment"]
    text = "\n".join(["# Four networks in six forms", "", (__doc__ or "").split("\n\n")[0], "", *lines, ""])
    text += f"\n{about.get('cpu', '')}, one thread; medians; sums are of rows as measured, over the whole's median.\n"
    print(text)
    if args.output != "-":
        Path(args.output).write_text(text)


if __name__ == "__main__":
    main()
