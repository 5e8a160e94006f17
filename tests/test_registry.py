"""Plugins: found, registered, checked; clashes and mistakes are told with the names of those who made them."""

from __future__ import annotations

import types
from types import SimpleNamespace

import pytest

import multiprof
from multiprof import hookspecs, registry
from multiprof.ops import OPS


def plugin(name: str, **functions) -> types.ModuleType:
    """A plugin module whose hooks return what the keywords say."""
    module = types.ModuleType(name)
    for hook, value in functions.items():
        function = _returning(value)
        function.__module__ = name
        setattr(module, hook, multiprof.hookimpl(function))
    return module


def _returning(value):
    def function():
        if isinstance(value, Exception):
            raise value
        return value

    return function


def toy_formula(*ops: str) -> multiprof.Formula:
    return multiprof.free(*ops, reason="a toy")


def test_builtins_enter_through_the_hooks_and_are_named():
    built = registry.build()
    assert [p.name for p in built.plugins() if p.builtin] == list(registry.BUILTINS)
    assert {f.provider for formulas in built.formulas().values() for f in formulas if f.provider == "multiprof"}
    assert "torch" in [adapter.framework for adapter in built.adapters()]
    assert {"table", "tree", "json", "csv", "md"} <= {reporter.name for reporter in built.reporters()}


def test_every_op_of_the_vocabulary_has_one_builtin_formula():
    formulas = registry.build().formulas()
    assert [op for op in OPS if len(formulas.get(op, ())) != 1] == []


def test_each_call_builds_a_fresh_manager():
    first = registry.build([plugin("extra", multiprof_formulas=[toy_formula("toy.a")])])
    assert "toy.a" in first.formulas()
    assert "toy.a" not in registry.build().formulas()


def test_every_hook_is_asked():
    device = multiprof.Device("chip", {"float32": 1e12}, 1e11, "its data sheet")
    convention = multiprof.Convention("other", lambda report: {"macs": 1})
    command = multiprof.Command("toy", "does nothing", lambda parser: None, lambda args: 0)
    reporter = multiprof.Reporter("brief", lambda report: "short")
    adapter = multiprof.Adapter("toyish", "toyreader:read")
    runner = SimpleNamespace(name="fast", available=None, routes=None, prepare=None, run=None, per_layer=None)
    built = registry.build(
        [
            plugin(
                "all",
                multiprof_adapters=[adapter],
                multiprof_formulas=(f for f in [toy_formula("toy.a")]),
                multiprof_conventions=(convention,),
                multiprof_runners=[runner],
                multiprof_reporters={reporter.name: reporter}.values(),
                multiprof_devices=[device],
                multiprof_commands=[command],
            )
        ]
    )
    every_hook = {name for name in vars(hookspecs) if name.startswith("multiprof_")}
    assert set(built.plugins()[-1].hooks) == every_hook
    assert len(every_hook) == 7
    assert adapter in built.adapters()
    assert built.conventions() == [convention]
    assert built.runners() == [runner]
    assert reporter in built.reporters()
    assert device in built.devices()
    assert [(p.name, c) for p, c in built.commands()] == [("all", command)]


def test_a_formula_carries_its_provider():
    built = registry.build([plugin("extra", multiprof_formulas=[toy_formula("toy.a", "toy.b")])])
    assert [f.provider for f in built.formulas()["toy.b"]] == ["extra"]


def test_an_object_or_a_named_pair_is_a_plugin_too():
    class Own:
        @multiprof.hookimpl
        def multiprof_formulas(self):
            return [toy_formula("toy.own")]

    assert registry.build([Own()]).formulas()["toy.own"][0].provider == "Own"
    assert registry.build([("mine", Own())]).formulas()["toy.own"][0].provider == "mine"


def test_two_plugins_of_one_name_are_told_apart():
    one, two = (plugin("same", multiprof_formulas=[toy_formula(op)]) for op in ("toy.a", "toy.b"))
    built = registry.build([one, two])
    assert [f.provider for op in ("toy.a", "toy.b") for f in built.formulas()[op]] == ["same", "same#2"]


def test_a_plugin_given_twice_is_registered_once_with_a_warning():
    one = plugin("same", multiprof_formulas=[toy_formula("toy.a")])
    built = registry.build([one, one])
    assert len(built.formulas()["toy.a"]) == 1
    assert ["same#2 is registered twice" in w for w in built.warnings] == [True]


@pytest.mark.parametrize(
    ("functions", "said"),
    [
        ({"multiprof_formula": []}, r"plugin bad: multiprof_formula is no hook .* did you mean multiprof_formulas\?"),
        ({"multiprof_zzz": []}, "plugin bad: multiprof_zzz is no hook of multiprof; the hooks are multiprof_adapters"),
    ],
)
def test_a_misspelt_hook_is_an_error_that_names_function_and_plugin(functions, said):
    bad = plugin("bad", **functions)
    with pytest.raises(multiprof.PluginError, match=said):
        registry.build([bad])
    tolerant = registry.build([bad], tolerant=True)
    assert len(tolerant.problems) == 1
    assert tolerant.plugins()[-1].problem == tolerant.problems[0]


def test_a_hook_without_the_marker_is_an_error():
    bad = types.ModuleType("bad")
    exec("def multiprof_formulas(): return []", bad.__dict__)
    with pytest.raises(multiprof.PluginError, match=r"multiprof_formulas is not marked .* @multiprof.hookimpl"):
        registry.build([bad])


def test_a_hook_with_arguments_is_an_error_that_names_them():
    bad = types.ModuleType("bad")

    def multiprof_formulas(config):
        return []

    bad.multiprof_formulas = multiprof.hookimpl(multiprof_formulas)
    with pytest.raises(multiprof.PluginError, match=r"plugin bad: .*config"):
        registry.build([bad])


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "multiprof_formulas returned None; it must return an iterable of Formula"),
        (toy_formula("toy.a"), "multiprof_formulas returned a Formula; it must return an iterable of Formula"),
        ("toy.a", "multiprof_formulas returned a str; it must"),
        ([1], "multiprof_formulas returned an int among its values; each must be a Formula"),
        (RuntimeError("no file"), "multiprof_formulas raised RuntimeError: no file"),
    ],
)
def test_wrong_values_are_an_error_that_names_the_plugin(returned, said):
    bad = plugin("bad", multiprof_formulas=returned)
    built = registry.build([bad])
    with pytest.raises(multiprof.PluginError, match=f"plugin bad: {said}"):
        built.formulas()
    tolerant = registry.build([bad], tolerant=True)
    assert "conv" in tolerant.formulas()  # everybody else's are there
    assert [said in problem for problem in tolerant.problems] == [True]


def test_a_runner_lacking_a_member_is_an_error():
    built = registry.build([plugin("bad", multiprof_runners=[SimpleNamespace(name="half", run=None)])])
    with pytest.raises(multiprof.PluginError, match=r"plugin bad: .* without available, routes, prepare, per_layer"):
        built.runners()


def test_clashes_name_everybody_and_what_they_clash_over():
    one = plugin("one", multiprof_formulas=[toy_formula("toy.a"), toy_formula("conv")])
    two = plugin(
        "two",
        multiprof_formulas=[toy_formula("toy.a"), toy_formula("cnov")],
        multiprof_reporters=[multiprof.Reporter("table", str)],
    )
    found = registry.build([one, two]).clashes()
    assert "op 'toy.a' is priced by one and by two" in found
    assert "op 'conv' is priced by multiprof and by one" in found
    assert "reporter 'table' is supplied by multiprof and by two" in found
    assert any("two prices 'cnov', which is not in the vocabulary" in sentence for sentence in found)
    assert len(found) == 4
    assert registry.build().clashes() == []


def test_a_name_supplied_twice_is_refused_when_it_is_used():
    built = registry.build([plugin("two", multiprof_reporters=[multiprof.Reporter("json", str)])])
    assert built.named("multiprof_reporters", "csv").name == "csv"
    assert built.named("multiprof_reporters", "none") is None
    with pytest.raises(multiprof.PluginError, match="reporter 'json' is supplied by multiprof and by two"):
        built.named("multiprof_reporters", "json")


def test_installed_plugins_are_found_with_distribution_and_version(site):
    found = {p.name: p for p in registry.build().plugins()}
    assert (found["toy"].distribution, found["toy"].version) == ("toy-plugin", "1.2")
    assert found["toy"].provider == "toy-plugin (toy)"
    assert found["toy"].hooks == ("multiprof_adapters",)


def test_two_distributions_may_use_one_entry_point_name(site):
    source = (
        "import multiprof\n@multiprof.hookimpl\ndef multiprof_formulas(): return [multiprof.free('toy.{}', reason='r')]"
    )
    site.install("first", source.format("a"), ops="first_ops")
    site.install("second", source.format("b"), ops="second_ops")
    formulas = registry.build().formulas()
    providers = {formulas[op][0].provider.replace("#2", "") for op in ("toy.a", "toy.b")}
    assert providers == {"first (ops)", "second (ops)"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import a_module_that_is_nowhere", "ModuleNotFoundError: No module named 'a_module_that_is_nowhere'"),
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("def (", "SyntaxError"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_a_warning_that_names_its_distribution(site, source, said):
    site.install("sorry-plugin", source, sorry="sorry_module")
    built = registry.build()
    (warning,) = built.warnings
    assert "plugin sorry-plugin (sorry_module) could not be imported" in warning
    assert said in warning
    assert "toy" in [a.framework for a in built.adapters()]
    assert [p.problem != "" for p in built.plugins() if p.name == "sorry"] == [True]


def test_plugins_can_be_switched_off(site, monkeypatch):
    monkeypatch.setenv("MULTIPROF_DISABLE_PLUGINS", "1")
    assert all(p.builtin for p in registry.build().plugins())
    monkeypatch.setenv("MULTIPROF_DISABLE_PLUGINS", "0")
    assert not all(p.builtin for p in registry.build().plugins())
