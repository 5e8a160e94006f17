"""The pipeline on a toy framework that an installed plugin supplies: 2×3 → linear 4 → relu → linear 5."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

import multiprof
from multiprof import MissingDependencyError, api

MACS = 2 * 3 * 4 + 2 * 4 * 5
PARAMS = (3 * 4 + 4) + (4 * 5 + 5)
FLOPS = 2 * MACS + (2 * 4 + 2 * 5) + 2 * 4  # bias adds, one comparison per element of the relu


@pytest.fixture
def nets(site):
    import nets

    return nets


def test_a_live_model_goes_through_the_whole_pipeline(nets):
    report = multiprof.analyze(nets.net, (2, 3))
    assert (report.macs, report.params, report.flops) == (MACS, PARAMS, FLOPS)
    assert report.coverage == 1.0
    assert [row.provider for row in report.layers] == ["multiprof"] * 3
    assert report.tool == {"name": "multiprof", "version": multiprof.__version__}
    assert report.environment["python"] == platform.python_version()
    assert report.environment["toy"] == "7.5"
    assert (report.model["format"], report.file_bytes) == (None, None)


@pytest.mark.parametrize(
    "inputs",
    [(2, 3), [2, 3], [(2, 3)], multiprof.TensorSpec((2, 3)), {"x": (2, 3)}, multiprof.Inputs((2, 3))],
    ids=["shape", "list of numbers", "list of one shape", "spec", "mapping", "Inputs"],
)
def test_inputs_come_in_every_form(nets, inputs):
    assert multiprof.analyze(nets.net, inputs).macs == MACS


def test_a_file_is_read_by_path_and_measured(site):
    path = site.root / "net.toy"
    text = "TOY\nfc linear 4\nact relu\nhead linear 5\n"
    path.write_bytes(text.encode())
    for model in (path, str(path)):
        report = multiprof.analyze(model, (2, 3))
        assert (report.macs, report.model["format"], report.file_bytes) == (MACS, "toy", len(text))


def test_a_python_target_brings_its_inputs_and_the_callers_go_before(site):
    assert multiprof.analyze("nets:build_with_input").macs == MACS
    assert multiprof.analyze(f"{site.root}/nets.py:build_with_input", (20, 3)).macs == 10 * MACS


def test_a_function_is_read_when_its_framework_is_named(nets):
    assert multiprof.analyze(lambda: nets.net, (2, 3), framework="toy").macs == MACS


def test_the_reader_learns_which_foreign_names_are_claimed(nets):
    block = multiprof.free("toy.pack.Block", reason="tested")
    report = multiprof.analyze(nets.net, (2, 3), formulas=[block])
    assert "toy.pack.Block" in report.graph.metadata["leaves"]
    assert not any(op in report.graph.metadata["leaves"] for op in ("conv", "linear"))


def test_an_unknown_op_lowers_the_coverage_and_is_an_error_under_strict(nets):
    report = multiprof.analyze(nets.partly, (2, 3))
    assert report.coverage == 0.5
    assert report.unsupported() == {"toy.mystery": ["odd"]}
    assert report.layer("odd").cost is None
    with pytest.raises(multiprof.UnsupportedOpError, match=r"toy\.mystery"):
        multiprof.analyze(nets.partly, (2, 3), strict=True)


def seven(layer):
    """seven: 7 adds"""
    return multiprof.Cost({"seven": multiprof.Counts(adds=7)})


@pytest.mark.parametrize("form", [lambda f: {"toy.mystery": f}, lambda f: [f], lambda f: f])
def test_the_callers_formulas_price_what_nobody_prices(nets, form):
    formula = multiprof.formula("toy.mystery")(seven)
    report = multiprof.analyze(nets.partly, (2, 3), formulas=form(formula))
    assert (report.coverage, report.layer("odd").flops, report.layer("odd").provider) == (1.0, 7, "the caller")


def test_the_callers_formulas_go_before_those_of_plugins_even_before_clashing_ones(site, nets):
    source = (
        "import multiprof\n@multiprof.hookimpl\ndef multiprof_formulas(): return [multiprof.free('{}', reason='r')]"
    )
    site.install("one", source.format("relu"), one="one_ops")
    with pytest.raises(multiprof.FormulaClashError, match=r"relu .* multiprof and one"):
        multiprof.analyze(nets.net, (2, 3))
    own = multiprof.formula("relu")(seven)
    assert multiprof.analyze(nets.net, (2, 3), formulas={"relu": own}).layer("body.act").flops == 7


def test_two_plugins_for_one_op_matter_only_when_it_is_priced(site, nets):
    source = (
        "import multiprof\n@multiprof.hookimpl\ndef multiprof_formulas(): return [multiprof.free('{}', reason='r')]"
    )
    site.install("first-ops", source.format("toy.mystery"), one="one_ops")
    site.install("second-ops", source.format("toy.mystery"), two="two_ops")
    assert multiprof.analyze(nets.net, (2, 3)).macs == MACS
    with pytest.raises(multiprof.FormulaClashError) as caught:
        multiprof.analyze(nets.partly, (2, 3))
    assert "first-ops" in str(caught.value)
    assert "second-ops" in str(caught.value)


def test_warnings_come_from_the_reader_and_from_broken_plugins(site, nets):
    site.install("sorry", "raise ValueError('broken')", sorry="sorry_ops")
    report = multiprof.analyze(nets.net, (2, 3), dims={"batch": 9})
    assert sorted(w.partition(" ")[0] for w in report.warnings) == ["plugin", "the"]
    assert "the batch is 9" in report.warnings
    assert any("sorry (sorry_ops) could not be imported" in w for w in report.warnings)


def test_trust_without_effect_is_told(nets):
    assert multiprof.analyze(nets.net, (2, 3)).warnings == ()
    (warning,) = multiprof.analyze(nets.net, (2, 3), trust=True).warnings
    assert warning.startswith("trust had no effect")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"optimizer": "adam"}, "give train=True"),
        ({"train": True, "optimizer": "lion"}, "one of sgd, momentum, adam, adamw, adafactor"),
        ({"train": True, "optimizer": ["adam"]}, "optimizer is ['adam']; one of sgd"),
        ({"train": "yes"}, "train is 'yes': give True or False"),
        ({"convention": "thop"}, "only the 'default' convention, not 'thop'"),
        ({"causal": "half"}, "causal is 'half'; one of full, unmasked"),
        ({"dims": {"batch": 0}}, "dims: 'batch': 0 is not a name with an integer of at least 1"),
        ({"dims": {"batch": True}}, "dims: 'batch': True"),
        ({"dims": [1]}, "dims is a list; give a mapping"),
        ({"dims": {"width": 3}}, "the model has no free dimension 'width'; it has batch"),
        ({"trips": {"loop": -1}}, "trips: 'loop': -1 is not a name with an integer of at least 0"),
        ({"trips": {"loop": 3}}, "no loop 'loop'"),
        ({"signature": "serve"}, "the model has no signature 'serve'"),
        ({"formulas": {"relu": seven}}, "is no Formula"),
        ({"formulas": [multiprof.free("a.b", reason="r")] * 2}, "formulas: two of them price 'a.b'"),
        ({"framework": "tyo"}, "unknown framework 'tyo'; did you mean 'toy'"),
        ({"inputs": None}, "a toy net needs an input"),
        ({"inputs": (2, -3)}, "negative dimension"),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)
def test_a_wrong_call_is_one_line_that_says_what_to_do(nets, arguments, said):
    with pytest.raises(multiprof.MultiprofError) as caught:
        multiprof.analyze(nets.net, **{"inputs": (2, 3), **arguments})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_model_raises_is_told_with_the_place(nets):
    with pytest.raises(multiprof.ModelError) as caught:
        multiprof.analyze(nets.failing, (2, 3))
    line = 1 + Path(nets.__file__).read_text().split("\n").index("    return [][1]")
    assert str(caught.value) == f"reading the model (toy) failed: IndexError: list index out of range (nets.py:{line})"
    assert isinstance(caught.value.__cause__, IndexError)


def test_a_model_that_exits_does_not_take_the_caller_along(nets):
    with pytest.raises(multiprof.ModelError, match=r"SystemExit: 3 \(nets\.py:"):
        multiprof.analyze(nets.Net(check=nets.leaves), (2, 3))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nets:nte", "nets has no 'nte'; did you mean"),
        ("nets:net.stops", "nets has no 'net.stops'; did you mean steps"),
        ("nets:zzzzzz", "nets has no 'zzzzzz'; it has broken, build"),
        ("nets:number", "nets:number is a int: neither a model nor a function"),
        ("nets:needs", r"nets:needs needs arguments \(width\)"),
        ("nets:nothing", "nets:nothing returned None"),
        ("nets:broken", r"nets:broken raised ValueError: no luck at all \(nets\.py:\d+\)"),
        ("nets:leaves", r"nets:leaves raised SystemExit\(3\)"),
        ("nowhere.net:f", "no module named 'nowhere' here"),
        ("gone.py:f", "no such file: gone.py"),
        ("net.toy:f", "net.toy is not Python"),
        ("no-name:f", "'no-name' is neither a Python file"),
        ("lost.py:f", r"lost\.py raised while it was imported: ModuleNotFoundError: No module named 'nowhere'"),
        ("wrong.py:f", r"wrong\.py raised while it was imported: SyntaxError: .*wrong\.py, line 1"),
        ("script.py:f", r"script\.py raised while it was imported: SystemExit\(None\): it runs as a script"),
    ],
)
def test_a_wrong_target_says_which_part_is_wrong(site, target, said):
    (site.root / "net.toy").write_text("TOY\n")
    (site.root / "lost.py").write_text("import nowhere\n")
    (site.root / "wrong.py").write_text("def f(:\n")
    (site.root / "script.py").write_text("raise SystemExit\n")
    with pytest.raises(multiprof.ModelError, match=said) as caught:
        multiprof.analyze(target, (2, 3))
    assert "\n" not in str(caught.value)


def test_a_file_may_be_called_like_a_module_that_is_loaded(site):
    (site.root / "platform.py").write_text("import nets\nf = nets.net\n")
    assert multiprof.analyze("platform.py:f", (2, 3)).macs == MACS
    assert platform.python_version()


def test_code_of_another_framework_goes_to_its_adapter(site, nets):
    site.install(
        "shell",
        "import multiprof\n"
        "class Shell:\n    pass\n"
        "def read(model, inputs, *, leaves, trace, options):\n    return trace('toy', model.inside, inputs)\n"
        "@multiprof.hookimpl\n"
        "def multiprof_adapters():\n"
        "    return [multiprof.Adapter('shell', 'shell_reader:read', types=('shell_reader.Shell',))]\n",
        shell="shell_reader",
    )
    import shell_reader

    model = shell_reader.Shell()
    model.inside = lambda: nets.net
    report = multiprof.analyze(model, (2, 3))
    assert (report.macs, report.framework) == (MACS, "toy")


def test_two_adapters_of_one_framework_are_an_error_naming_both(site, nets):
    (site.root / "twin.py").write_text((site.root / "toyplugin.py").read_text())
    site.install("twin-plugin", twin="twin")
    with pytest.raises(multiprof.PluginError) as caught:
        multiprof.analyze(nets.net, (2, 3))
    assert "adapter 'toy' is supplied by" in str(caught.value)
    assert "twin-plugin" in str(caught.value)
    assert "toy-plugin" in str(caught.value)


def test_the_same_call_twice_gives_the_same_report(nets):
    assert multiprof.analyze(nets.net, (2, 3)) == multiprof.analyze(nets.net, (2, 3))


def test_a_saved_report_comes_back(nets, tmp_path):
    report = multiprof.analyze(nets.net, (2, 3))
    report.save(tmp_path / "report.json")
    assert multiprof.load(tmp_path / "report.json") == report


def test_measuring_takes_a_plugin(monkeypatch):
    monkeypatch.setattr(api, "BENCHMARK", "no_such_plugin")
    with pytest.raises(MissingDependencyError) as error:
        multiprof.benchmark("model.onnx", on="cpu")
    assert str(error.value) == "multiprof.benchmark needs a plugin: pip install multiprof-benchmark"
