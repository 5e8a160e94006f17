"""Plugins on the command line: listed, checked, asked for commands and formats, and never able to break help."""

from __future__ import annotations

import sys

import pytest

from multiprof.adapters import matching

MACS = 2 * 3 * 4 + 2 * 4 * 5


def one_line(err: str) -> str:
    """The message, which is one line and no traceback."""
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


# lists


def test_the_lists_say_who_supplied_what(cli):
    _, out, _ = cli("formulas", "conv*")
    rows = [line.split() for line in out.split("\n")[2:] if line]
    assert [row[0] for row in rows] == ["conv", "conv_transpose", "deform_conv"]
    assert all("multiprof" in row for row in rows)
    assert "|y|·K·C_i/G macs" in out
    _, out, _ = cli("formulas", "deconv")  # a family
    assert [line.split()[0] for line in out.split("\n")[2:] if line] == ["conv_transpose"]
    _, out, _ = cli("adapters")
    assert any(
        line.split()[0] == "toy" and "toy-plugin (toy)" in line and line.endswith("yes")
        for line in out.split("\n")
        if line
    )
    _, out, _ = cli("plugins")
    assert any(line.split() == ["toy", "toy-plugin", "1.2", "adapters"] for line in out.split("\n"))


def test_an_adapter_that_is_not_ready_says_what_to_install(site, cli):
    site.install(
        "rare",
        "import multiprof\n@multiprof.hookimpl\ndef multiprof_adapters():\n"
        "    return [multiprof.Adapter('rare', 'x:y', suffixes=('.rare',), requires=('a_rare_one',), extra='rare')]\n",
        rare="rare_plugin",
    )
    assert "no: a_rare_one is not installed: pip install 'multiprof[rare]'" in cli("adapters")[1]


def test_plugins_check(site, cli):
    code, out, err = cli("plugins", "--check")
    assert (code, err) == (0, "")
    assert "no clashes, no broken plugins" in out
    clash(site)
    code, out, _ = cli("plugins", "--check")
    assert code == 1
    assert "problem: op 'toy.mystery' is priced by first-ops (one) and by second-ops (two)" in out


def test_plugins_check_finds_broken_ones(site, cli):
    site.install("sorry", "import a_module_that_is_nowhere", sorry="sorry_ops")
    code, _, err = cli("plugins", "--check")
    assert code == 1
    assert "plugin sorry (sorry_ops) could not be imported" in err
    site.install("typo", "import multiprof\n@multiprof.hookimpl\ndef multiprof_formulae(): return []", typo="typo_ops")
    code, out, _ = cli("plugins", "--check")
    assert code == 1
    assert "typo: multiprof_formulae is no hook" in out


# plugins on the command line


def clash(site) -> None:
    source = (
        "import multiprof\n@multiprof.hookimpl\n"
        "def multiprof_formulas(): return [multiprof.free('toy.mystery', reason='r')]"
    )
    site.install("first-ops", source, one="one_ops")
    site.install("second-ops", source, two="two_ops")


def test_two_plugins_for_one_op_break_only_what_needs_it(site, cli):
    clash(site)
    assert cli("--help")[::2] == (0, "")
    assert cli("analyze", "nets:net", "--input", "2x3")[0] == 0
    code, _, err = cli("analyze", "nets:partly", "--input", "2x3")
    assert code == 2
    assert "first-ops" in one_line(err) and "second-ops" in err


COMMAND = """\
import multiprof
def arguments(parser):
    parser.add_argument("word")
def run(args):
    print("hello", args.word, args.quiet)
    return 7
@multiprof.hookimpl
def multiprof_commands():
    return [multiprof.Command({!r}, "says hello", arguments, run)]
"""


def test_a_plugin_adds_a_command(site, cli):
    site.install("greeter", COMMAND.format("greet"), greet="greet_plugin")
    assert "says hello" in cli("--help")[1]
    assert cli("greet", "you", "-q") == (7, "hello you True\n", "")
    assert "greet" in cli("greet", "--help")[1]


def test_a_plugins_command_never_replaces_a_builtin_one(site, cli):
    site.install("greeter", COMMAND.format("analyze"), greet="greet_plugin")
    code, out, err = cli("--help")
    assert code == 0
    assert one_line(err) == (
        "multiprof: warning: the command 'analyze' of greeter (greet) is left out: multiprof has one of that name\n"
    )
    assert "says hello" not in out
    assert cli("analyze", "nets:net", "--input", "2x3")[0] == 0


def test_two_commands_of_one_name_are_both_left_out(site, cli):
    site.install("one", COMMAND.format("greet"), one="one_plugin")
    site.install("two", COMMAND.format("greet"), two="two_plugin")
    code, out, err = cli("--help")
    assert (code, "says hello" in out) == (0, False)
    assert "the command 'greet' is left out: it is supplied by" in one_line(err)


def test_help_works_whatever_is_installed(site, cli):
    site.install("sorry", "import a_module_that_is_nowhere", sorry="sorry_ops")
    site.install("typo", "import multiprof\n@multiprof.hookimpl\ndef multiprof_formulae(): return []", typo="typo_ops")
    bad = "parser.add_argument('-v', '--verbose')"
    site.install("greedy", COMMAND.format("greet").replace('parser.add_argument("word")', bad), greedy="greedy_plugin")
    site.install("percent", COMMAND.format("half").replace("says hello", "cuts 50% of it"), percent="percent_plugin")
    site.install("format", COMMAND.format("bad").replace('"word")', '"word", help="%z")'), format="format_plugin")
    code, out, err = cli("--help")
    assert (code, "says hello" in out) == (0, False)
    assert "cuts 50% of it" in out
    assert "cuts 50% of it" in cli("half", "--help")[1]
    assert "the command 'bad' of a plugin is left out" in err
    assert "sorry (sorry_ops) could not be imported" in err
    assert "multiprof_formulae is no hook" in err
    assert "the command 'greet' of a plugin is left out" in err


def test_a_plugins_reporter_is_a_format(site, cli, tmp_path):
    site.install(
        "brief",
        "import multiprof\n@multiprof.hookimpl\ndef multiprof_reporters():\n"
        "    return [multiprof.Reporter('brief', lambda report: f'{report.macs}!', ('.brief',))]\n",
        brief="brief_plugin",
    )
    assert cli("analyze", "nets:net", "--input", "2x3", "--format", "brief")[1] == f"{MACS}!"
    cli("analyze", "nets:net", "--input", "2x3", "-o", str(tmp_path / "r.brief"))
    assert (tmp_path / "r.brief").read_text() == f"{MACS}!"


def test_a_file_whose_extra_is_missing_is_one_line_that_says_what_to_install(site, cli, monkeypatch):
    monkeypatch.setattr(matching, "is_installed", lambda module: module != "onnx")
    for loaded in [module for module in sys.modules if module.partition(".")[0] == "onnx"]:
        monkeypatch.delitem(sys.modules, loaded)
    (site.root / "net.onnx").write_bytes(b"\x08\x07\x12\x07pytorch")
    remedy = "pip install 'multiprof[onnx]'"
    said = f"reading onnx models needs onnx, which is not installed: {remedy}"
    assert cli("analyze", "net.onnx") == (2, "", f"multiprof: error: {said}\n")
    (row,) = [line for line in cli("adapters")[1].split("\n") if line.startswith("onnx")]
    assert f"no: onnx is not installed: {remedy}" in row


@pytest.mark.parametrize(("framework", "suffix"), [("mxnet", "-symbol.json"), ("tflite", ".tflite")])
def test_formats_that_need_no_extra_are_ready(cli, framework, suffix):
    (row,) = [line for line in cli("adapters")[1].split("\n") if line.startswith(framework)]
    assert row.split()[-1] == "yes"
    assert suffix in row
