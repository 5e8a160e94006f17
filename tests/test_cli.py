"""The command line: results on stdout, everything else on stderr, an exit code, and one line for what goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import subprocess
import sys

import pytest

import multiprof
from multiprof.cli import BUILTINS, main
from multiprof.commands.console import complain

MACS = 2 * 3 * 4 + 2 * 4 * 5


def one_line(err: str) -> str:
    """The message, which is one line and no traceback."""
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


# results


def test_the_table_goes_to_stdout(cli):
    code, out, err = cli("analyze", "nets:net", "--input", "2x3")
    assert (code, err) == (0, "")
    assert out.startswith("Toy (toy), x: 2×3 float32\n")
    assert f"MACs              {MACS}\n" in out


def test_in_a_process_of_its_own(site):
    result = site.run("analyze", "nets.py:build", "--input", "2x3", "--format", "json")
    assert result.returncode == 0
    assert json.loads(result.stdout)["totals"]["macs"] == MACS
    assert "building" in result.stderr  # what the model prints is no result


def test_several_formats_at_once(cli):
    code, out, _ = cli("analyze", "nets:net", "--input", "2x3", "--format", "csv", "--format", "md")
    assert code == 0
    assert out.startswith("name,scope,op")
    assert "### Toy (toy)" in out


def test_several_files_at_once_each_in_the_format_of_its_suffix(cli, tmp_path):
    files = {name: tmp_path / f"out.{name}" for name in ("json", "csv", "md", "txt")}
    arguments = [argument for file in files.values() for argument in ("-o", str(file))]
    code, out, err = cli("analyze", "nets:net", "--input", "2x3", *arguments)
    assert (code, out) == (0, "")
    assert all(f"wrote {file}" in err for file in files.values())
    assert multiprof.load(files["json"]).macs == MACS
    assert files["csv"].read_text().startswith("name,scope")
    assert files["md"].read_text().startswith("### Toy")
    assert "└─ head" in files["txt"].read_text(encoding="utf-8")


def test_a_format_goes_to_the_file_that_takes_it_and_else_to_stdout(cli, tmp_path):
    file = tmp_path / "r.json"
    code, out, err = cli(
        "analyze", "nets:net", "--input", "2x3", "--format", "table", "--format", "json", "-o", str(file)
    )
    assert (code, err) == (0, "")
    assert out.startswith("Toy") and "schema_version" not in out
    assert json.loads(file.read_text())["totals"]["macs"] == MACS
    tree = tmp_path / "tree.txt"  # .txt is the table's suffix and the tree's
    assert cli("analyze", "nets:net", "--input", "2x3", "--format", "tree", "-o", str(tree))[:2] == (0, "")
    assert tree.read_text(encoding="utf-8").split("\n")[2].startswith("Module")
    odd = tmp_path / "report.log"  # an unknown suffix: the one format asked for
    assert cli("analyze", "nets:net", "--input", "2x3", "--format", "csv", "-o", str(odd))[:2] == (0, "")
    assert odd.read_text().startswith("name,")


def test_a_prediction_says_that_it_is_one(cli):
    code, out, err = cli("analyze", "nets:net", "--input", "2x3", "--device", "t4", "--device", "graviton3")
    assert (code, err) == (0, "")
    assert re.search(r"Predicted +[\d.]+ ns on NVIDIA T4, not measured: 100% bound by memory\n", out)
    assert re.search(r"Predicted +[\d.]+ ns on AWS Graviton3 \(64 Neoverse V1\), not measured: ", out)
    assert cli("analyze", "nets:net", "--input", "2x3", "--format", "roofline")[1].endswith(
        "Predicted  nothing: name a machine with --device, or call multiprof.predict\n"
    )


def test_devices_are_listed_with_their_sources(cli):
    code, out, _ = cli("devices")
    assert code == 0
    row = next(line for line in out.split("\n") if line.startswith("t4 "))
    # 8.1, 65 and 130 Tera-operations a second, 320 GB a second
    assert re.split(r" {2,}", row) == [
        "t4", "NVIDIA T4", "8,100", "65,000", "130,000", "320", "multiprof",
        "NVIDIA T4 Tensor Core GPU data sheet; energy as of a newer process, so too low",
    ]  # fmt: skip


def test_depth_sort_and_top_reach_the_reporters(cli):
    _, out, _ = cli("analyze", "nets:net", "--input", "2x3", "--depth", "0")
    assert "head" not in out.split("\n\n")[1]
    _, out, _ = cli("analyze", "nets:net", "--input", "2x3", "--format", "csv", "--sort", "name", "--top", "2")
    assert [line.split(",")[0] for line in out.split("\n")] == ["name", "body.act", "body.fc", ""]


def test_inputs_dims_trips_and_framework_reach_the_reader(cli):
    _, out, err = cli(
        "analyze", "nets:net", "--input", "x:2x3:float16", "--dim", "batch=9", "--framework", "toy", "--format", "json"
    )
    data = json.loads(out)
    assert data["inputs"][0]["dtype"] == "float16"
    assert "warning: the batch is 9" in err


def test_causal_counts_the_unmasked_pairs(site, cli):
    (site.root / "causal_reader.py").write_text(
        "from multiprof import *\n"
        "class Model: pass\n"
        "model = Model()\n"
        "def read(model, inputs, *, leaves, trace, options):\n"
        "    q, k, v, y = (TensorSpec((1, 2, 4, 8), 'float32', n) for n in 'qkvy')\n"
        "    attrs = dict(batch=1, heads=2, kv_heads=2, q_len=4, kv_len=4, qk_dim=8, v_dim=8, causal=True,\n"
        "                 causal_alignment='top_left', pairs='full', scale=1.0)\n"
        "    layer = Layer('y', 'attention', dict(q=q, k=k, v=v), dict(y=y), attrs)\n"
        "    return Graph('Causal', 'causal', (q, k, v), (y,), (layer,))\n"
        "@hookimpl\n"
        "def multiprof_adapters():\n"
        "    return [Adapter('causal', 'causal_reader:read', types=('causal_reader.Model',))]\n"
    )
    site.install("causal", causal="causal_reader")
    full = json.loads(cli("analyze", "causal_reader:model", "--format", "json")[1])["totals"]["macs"]
    some = json.loads(cli("analyze", "causal_reader:model", "--causal", "--format", "json")[1])["totals"]["macs"]
    assert (full, some) == (2 * 4 * 4 * (8 + 8), 2 * (4 * 5 // 2) * (8 + 8))


def test_strict_shows_the_report_and_fails(cli):
    code, out, err = cli("analyze", "nets:partly", "--input", "2x3")
    assert (code, "Unsupported" in out) == (0, True)
    assert "warning: layers without a cost, the totals are too low: toy.mystery (1)" in err
    code, out, err = cli("analyze", "nets:partly", "--input", "2x3", "--strict", "-q")
    assert (code, "Unsupported" in out) == (1, True)
    assert one_line(err) == "multiprof: error: --strict: layers without a cost: toy.mystery (1)\n"
    assert cli("analyze", "nets:net", "--input", "2x3", "--strict")[0] == 0


def test_quiet_and_verbose(cli):
    arguments = ("analyze", "nets:net", "--input", "2x3", "--dim", "batch=9", "--format", "csv")
    assert "warning" in cli(*arguments)[2]
    assert cli(*arguments, "-q")[2] == ""
    assert "read nets:net with toy (by the book): 3 layers" in cli(*arguments, "-v")[2]


def test_names_of_a_model_cannot_control_the_terminal(cli):
    for format in ("table", "tree", "md", "csv", "json"):
        _, out, err = cli("analyze", "nets:hostile", "--input", "2x3", "--format", format)
        assert "\x1b" not in out + err
    code, _, err = cli("explain", "nets:hostile", "\x1b[31mnone", "--input", "2x3")
    assert code == 2
    assert "\x1b" not in one_line(err)


@pytest.mark.parametrize("format", ["table", "tree", "md", "csv", "json"])
def test_a_terminal_without_unicode(site, format):
    result = site.run("analyze", "nets:net", "--input", "2x3", "--format", format, env={"PYTHONIOENCODING": "ascii"})
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.isascii()


# what goes wrong


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("analyse",), "invalid choice: 'analyse'"),
        (("analyze",), "the following arguments are required: MODEL"),
        (("analyze", "gone.onnx"), "no such file: gone.onnx; give a model file, or file.py:callable"),
        (("analyze", "nets.py"), "nets.py is Python: say which model in it, as nets.py:callable"),
        (("analyze", "notes.xyz"), "nothing here reads notes.xyz; known suffixes: -symbol.json, "),
        (("analyze", "nets:nte"), "nets has no 'nte'; did you mean"),
        (("analyze", "nowhere:net"), "no module named 'nowhere' here"),
        (("analyze", "nets:net"), "a toy net needs an input: --input 2x3"),
        (("analyze", "nets:broken"), "nets:broken raised ValueError: no luck at all (nets.py:"),
        (("analyze", "nets:failing", "--input", "2x3"), "IndexError: list index out of range (nets.py:"),
        (("analyze", "nets:net", "--input", "2xx3"), "--input '2xx3' is malformed; example: --input 1x3x224x224"),
        (("analyze", "nets:net", "--input", "float32"), "is malformed"),
        (("analyze", "nets:net", "--input", ""), "is malformed"),
        (("analyze", "nets:net", "--input", "2x3:flaot32"), "unknown dtype 'flaot32'; did you mean float32?"),
        (("analyze", "nets:net", "--input", "x:2x3", "--input", "x:2x3"), "--input: 'x' is given twice"),
        (("analyze", "nets:net", "--dim", "batch"), "--dim 'batch' is malformed; example: --dim name=8"),
        (("analyze", "nets:net", "--dim", "batch=1.5"), "--dim 'batch=1.5' is malformed"),
        (("analyze", "nets:net", "--trips", "a=1", "--trips", "a=2"), "--trips: 'a' is given twice"),
        (("analyze", "nets:net", "--input", "2x3", "--dim", "width=8"), "no free dimension 'width'; it has batch"),
        (("analyze", "nets:net", "--input", "2x3", "--trips", "loop=8"), "no loop 'loop'"),
        (("analyze", "nets:net", "--input", "2x3", "--signature", "main"), "the model has no signature 'main'"),
        (("analyze", "nets:net", "--input", "2x3", "--hash"), "--hash: nets:net is no file"),
        (("analyze", "nets:net", "--framework", "tyo"), "unknown framework 'tyo'; did you mean 'toy'?"),
        (("analyze", "nets:net", "--format", "tabel"), "unknown format 'tabel'; did you mean table?"),
        (
            ("analyze", "nets:net", "--format", "zzz"),
            "unknown format 'zzz'; one of table, tree, json, csv, md, ",
        ),
        (("analyze", "nets:net", "--format", "json", "--depth", "2"), "--depth does nothing for the format json"),
        (("analyze", "nets:net", "--format", "tree", "--top", "2"), "--top does nothing for the format tree"),
        (
            ("analyze", "nets:net", "--input", "2x3", "--device", "h10-sxm"),
            "unknown device 'h10-sxm'; did you mean h1",
        ),
        (("analyze", "nets:net", "--input", "2x3", "--device", "x.toml"), "x.toml: cannot be read: No such file"),
        (("analyze", "nets:net", "-o", "r.zip"), "no format has this suffix; use one of .txt, .json, .csv, .md"),
        (("analyze", "nets:net", "-o", "no/where/r.md"), "-o no/where/r.md: no/where is not a folder to write to"),
        (("analyze", "nets:net", "-o", "."), "is not a file"),
        (("analyze", "nets:net", "-o", "r.md", "-o", "r.md"), "-o r.md is given twice"),
        (("analyze", "nets:net", "--top", "0"), "'0' is no integer of at least 1"),
        (("analyze", "nets:net", "--depth", "-1"), "--depth"),
        (("analyze", "nets:net", "--sort", "size"), "invalid choice: 'size'"),
        (("analyze", "nets:net", "--form", "json"), "unrecognized arguments: --form"),
        (("explain", "cnov"), "there is no op 'cnov'; did you mean conv?"),
        (("explain", "nets:net"), "say which layer of it: multiprof explain nets:net LAYER"),
        (("explain", "conv", "--input", "2x3"), "--input: an op is explained without a model"),
        (("explain", "conv", "--causal", "--trust"), "--causal, --trust: an op is explained without a model"),
        (("explain", "nets:net", "haed", "--input", "2x3"), "Toy has no layer 'haed'; did you mean head?"),
        (("formulas", "zzz"), "no formula fits 'zzz'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_call_is_one_line_and_exit_code_2(site, cli, arguments, said):
    (site.root / "notes.xyz").write_text("")
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert said in one_line(err)
    assert err.startswith("multiprof")


def test_a_warning_does_not_repeat_a_name_of_a_megabyte(capsys):
    complain(f"warning: layers without a cost: onnx.{'F' * 1_000_000} (1)")
    assert len(one_line(capsys.readouterr().err)) < 300


def test_the_hash_of_a_file_is_that_of_its_contents(site, cli):
    (site.root / "net.toy").write_text("TOY\nhead linear 4\n")
    arguments = ("analyze", "net.toy", "--input", "2x3", "--format", "json")
    assert "sha256" not in json.loads(cli(*arguments)[1])["model"]
    model = json.loads(cli(*arguments, "--hash")[1])["model"]
    assert model["sha256"] == hashlib.sha256(b"TOY\nhead linear 4\n").hexdigest()
    assert model["file_bytes"] == 18


def test_a_traceback_only_with_vv(site):
    quiet = site.run("analyze", "nets:failing", "--input", "2x3", "-v")
    loud = site.run("analyze", "nets:failing", "--input", "2x3", "-vv")
    assert (quiet.returncode, loud.returncode) == (2, 2)
    one_line(quiet.stderr)
    assert "Traceback" in loud.stderr
    assert "return [][1]" in loud.stderr


def test_an_unforeseen_error_is_one_line_too(cli, monkeypatch):
    monkeypatch.setattr("multiprof.engine.price", lambda *args, **kwargs: 1 // 0)
    code, _, err = cli("analyze", "nets:net", "--input", "2x3")
    assert code == 2
    assert "unexpected ZeroDivisionError" in one_line(err)
    assert "this is a bug in multiprof or in a plugin; -vv shows the traceback" in err


def test_interruption(cli, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("multiprof.engine.price", interrupt)
    assert cli("analyze", "nets:net", "--input", "2x3") == (130, "", "")


def test_a_reader_that_leaves_early_is_no_error(site):
    code = (
        "import sys\nfrom subprocess import PIPE, Popen\n"
        "child = Popen([sys.executable, '-m', 'multiprof', 'formulas'], stdout=PIPE, stderr=PIPE)\n"
        "child.stdout.close()\n"  # nobody reads
        "sys.stderr.write(child.stderr.read().decode()); sys.exit(child.wait())\n"
    )
    result = site.python("-c", code)
    assert (result.returncode, result.stderr) == (141, "")


def test_help_and_version(cli):
    code, out, err = cli("--help")
    assert (code, err) == (0, "")
    assert all(f"    {name} " in out for name in BUILTINS)
    assert cli("--version") == (0, f"multiprof {multiprof.__version__}\n", "")
    for name in BUILTINS:
        code, out, _ = cli(name, "--help")
        assert code == 0
        assert "--verbose" in out


def test_python_m(site):
    assert site.run("--version").stdout == f"multiprof {multiprof.__version__}\n"


# terminals


WARNED = ["analyze", "nets:net", "--input", "2x3", "--dim", "batch=9"]


@pytest.mark.parametrize("columns", ["200", "30"])  # 30: the warning is broken over lines
@pytest.mark.parametrize("format", ["table", "tree", "md"])
def test_warnings_are_not_said_twice_on_a_terminal(site, monkeypatch, capsys, format, columns):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", columns)
    assert main([*WARNED, "--format", format]) == 0
    shown = capsys.readouterr()
    assert " ".join(re.sub(r"[\\|]", "", shown.out).split()).count("the batch is 9") == 1
    assert shown.err == ""


@pytest.mark.parametrize("more", [["--format", "csv"], ["-o", "r.txt"], ["-o", "r.csv"]])
def test_what_the_terminal_does_not_show_is_said_on_stderr(site, monkeypatch, capsys, more):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main([*WARNED, *more]) == 0
    assert capsys.readouterr().err.count("multiprof: warning: the batch is 9") == 1


def test_warnings_are_on_stderr_where_the_table_goes_elsewhere(cli):
    code, out, err = cli(*WARNED)
    assert code == 0
    assert "the batch is 9" in out
    assert err.count("multiprof: warning: the batch is 9") == 1


def test_on_a_real_terminal_the_table_keeps_to_its_width(site):
    parent, child = pty.openpty()
    code = "import sys; from multiprof.cli import main\nsys.exit(main(['analyze', 'nets:net', '--input', '2x3']))"
    paths = os.pathsep.join([str(site.root), os.path.dirname(os.path.dirname(multiprof.__file__))])
    env = {**os.environ, "PYTHONPATH": paths, "COLUMNS": "60", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=site.root, env=env, stdout=child, stderr=child, stdin=child
    )
    os.close(child)
    seen = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:  # the child has gone
            break
        if not piece:
            break
        seen += piece
    os.close(parent)
    assert process.wait() == 0
    lines = seen.decode().replace("\r\n", "\n").split("\n")
    assert "└─ head" in seen.decode()
    assert max(map(len, lines)) <= 60
