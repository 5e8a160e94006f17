"""Everything plugins supply, gathered afresh for each call.

The built-in formulas, adapters and reporters enter through the same hooks as a third party's. A data hook takes nothing
and returns values, so each is called on its own and what it returns can be traced to its plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from multiprof import hookspecs
from multiprof.cost import Formula, index_formulas
from multiprof.device import Device
from multiprof.errors import PluginError
from multiprof.extensions import Adapter, Command, Convention, Reporter, Runner
from multiprof.installed import installed_plugins
from multiprof.ops import OPS

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BUILTINS = ("multiprof.formulas", "multiprof.adapters", "multiprof.reporters", "multiprof.devices")
BUILTIN_PROVIDER = "multiprof"

# What each hook returns: the type, or the members a Protocol asks for.
_RETURNS: dict[str, type] = {
    "multiprof_adapters": Adapter,
    "multiprof_formulas": Formula,
    "multiprof_conventions": Convention,
    "multiprof_runners": Runner,
    "multiprof_reporters": Reporter,
    "multiprof_devices": Device,
    "multiprof_commands": Command,
}
_RUNNER_MEMBERS = ("name", "available", "routes", "prepare", "run", "per_layer")


@dataclass(frozen=True, slots=True)
class Plugin:
    """A registered plugin: its name, its distribution and version, its hooks, and what is wrong with it."""

    name: str
    distribution: str
    version: str
    hooks: tuple[str, ...]
    problem: str = ""

    @property
    def builtin(self) -> bool:
        return self.name in BUILTINS

    @property
    def provider(self) -> str:
        """How results and errors name it."""
        if self.builtin:
            return BUILTIN_PROVIDER
        if not self.distribution or self.distribution == self.name:
            return self.name
        return f"{self.distribution} ({self.name})"


def build(plugins: Iterable[Any] = (), *, tolerant: bool = False) -> Registry:
    """A fresh `Registry`: the built-ins, every installed plugin, and ``plugins`` (modules, objects, or pairs of a name
    and one of those).

    A plugin that cannot be imported is left out with a warning. One that breaks its contract (a misspelt hook, an
    argument no hook has) raises `PluginError`; under ``tolerant`` it becomes a problem of the registry instead, so that
    help and diagnosis go on working.
    """
    registry = Registry(tolerant)
    for name in BUILTINS:
        registry.register(import_module(name), name)
    for entry in installed_plugins():
        registry.load(entry)
    for item in plugins:
        name, plugin = item if isinstance(item, tuple) else (_name_of(item), item)
        registry.register(plugin, name)
    return registry


class Registry:
    """What all plugins supply together. ``warnings`` and ``problems`` are sentences for the user."""

    def __init__(self, tolerant: bool = False) -> None:
        self.warnings: list[str] = []
        self.problems: list[str] = []
        self._tolerant = tolerant
        self._plugins: dict[str, Plugin] = {}
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    def load(self, entry: EntryPoint) -> None:
        """Import and register an entry point; a failing import is a warning that names its distribution."""
        distribution = entry.dist.name if entry.dist else ""
        version = entry.dist.version if entry.dist else ""
        try:
            plugin = entry.load()
        except Exception as error:  # whatever a third party's module raises must not take the tool down
            reason = f"plugin {distribution or entry.name} ({entry.value}) could not be imported: {_brief(error)}"
            self.warnings.append(f"{reason}; what it supplies is missing. Reinstall or uninstall it.")
            self._plugins[entry.name] = Plugin(entry.name, distribution, version, (), reason)
            return
        self.register(plugin, entry.name, distribution, version)

    def register(self, plugin: Any, name: str, distribution: str = "", version: str = "") -> None:
        """Register one plugin under ``name``, and check that each of its hooks exists."""
        if name in self._plugins:  # two distributions may use one entry-point name
            name = next(new for new in (f"{name}#{n}" for n in range(2, 1000)) if new not in self._plugins)
        label = Plugin(name, distribution, version, ()).provider
        problem = ""
        try:
            self._manager.register(plugin, name)
        except pluggy.PluginValidationError as error:
            problem = f"plugin {label}: {' '.join(str(error).split())}"
        except ValueError:
            self.warnings.append(f"plugin {label} is registered twice; the second one is ignored")
            return
        hooks = tuple(caller.name for caller in self._manager.get_hookcallers(plugin) or ())
        unknown = [hook for hook in hooks if hook not in _RETURNS] or _unmarked(plugin, hooks)
        if unknown and not problem:
            problem = f"plugin {label}: {unknown[0]} {_misspelt(unknown[0])}"
        self._plugins[name] = Plugin(name, distribution, version, hooks, problem)
        if problem:
            self._complain(problem)

    def plugins(self) -> tuple[Plugin, ...]:
        """Every plugin seen, built-ins first, also those that could not be imported."""
        return tuple(self._plugins.values())

    def supplied(self, hook: str) -> Iterator[tuple[Plugin, Any]]:
        """Every value that a hook returns, with its plugin, in the order of registration."""
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            plugin = self._plugins[implementation.plugin_name]
            try:
                values = _checked(implementation.function, hook)
            except PluginError as error:
                self._complain(f"plugin {plugin.provider}: {error}")
                continue
            for value in values:
                yield plugin, value

    def adapters(self) -> list[Adapter]:
        return [value for _, value in self.supplied("multiprof_adapters")]

    def formulas(self) -> dict[str, list[Formula]]:
        """All formulas by op, each naming its provider; a list longer than one is a clash."""
        return index_formulas(
            _credited(value) if plugin.builtin else value.supplied_by(plugin.provider)
            for plugin, value in self.supplied("multiprof_formulas")
        )

    def conventions(self) -> list[Convention]:
        return [value for _, value in self.supplied("multiprof_conventions")]

    def runners(self) -> list[Runner]:
        return [value for _, value in self.supplied("multiprof_runners")]

    def reporters(self) -> list[Reporter]:
        return [value for _, value in self.supplied("multiprof_reporters")]

    def devices(self) -> list[Device]:
        return [value for _, value in self.supplied("multiprof_devices")]

    def commands(self) -> list[tuple[Plugin, Command]]:
        """The subcommands, each with its plugin; what to do about equal names is the command line's to decide."""
        return list(self.supplied("multiprof_commands"))

    def named(self, hook: str, name: str) -> Any:
        """The one value of a hook called ``name``, or ``None``; two of that name raise an error naming both plugins."""
        found = [(plugin, value) for plugin, value in self.supplied(hook) if name_of(value) == name]
        if len(found) > 1:
            both = " and by ".join(plugin.provider for plugin, _ in found)
            raise PluginError(f"{_kind(hook)} {name!r} is supplied by {both}; uninstall one of them")
        return found[0][1] if found else None

    def clashes(self) -> list[str]:
        """A sentence for every op or name that more than one plugin supplies, and for every op nothing can use."""
        found = []
        for op, formulas in self.formulas().items():
            if len(formulas) > 1:
                found.append(f"op {op!r} is priced by {' and by '.join(f.provider for f in formulas)}")
            if op not in OPS and "." not in op:
                found.append(
                    f"{formulas[0].provider} prices {op!r}, which is not in the vocabulary; "
                    "a foreign op is qualified by its framework, as in torch.mypackage.op"
                )
        for hook in (hook for hook in _RETURNS if hook != "multiprof_formulas"):
            owners: dict[str, list[str]] = {}
            for plugin, value in self.supplied(hook):
                owners.setdefault(name_of(value), []).append(plugin.provider)
            found += [
                f"{_kind(hook)} {name!r} is supplied by {' and by '.join(providers)}"
                for name, providers in owners.items()
                if len(providers) > 1
            ]
        return found

    def _complain(self, problem: str) -> None:
        if not self._tolerant:
            raise PluginError(problem)
        if problem not in self.problems:
            self.problems.append(problem)


@cache  # the built-in formulas are the same ones in every build, and copying them all costs half a millisecond
def _credited(builtin: Formula) -> Formula:
    return builtin.supplied_by(BUILTIN_PROVIDER)


def name_of(value: Any) -> str:
    """What a value is called among its kind: an adapter by its framework, anything else by its name."""
    return str(value.framework if isinstance(value, Adapter) else value.name)


def _kind(hook: str) -> str:
    return hook.removeprefix("multiprof_").removesuffix("s")


def _checked(function: Callable[[], Any], hook: str) -> list[Any]:
    """The values a hook returns, each of the hook's type."""
    expected = _RETURNS[hook]
    try:
        returned = function()
        single = expected is not Runner and isinstance(returned, expected)  # a protocol has no instances to test
        if single or isinstance(returned, (str, bytes)) or not isinstance(returned, Iterable):
            raise PluginError(
                f"{hook} returned {_a(returned)}; it must return an iterable of {expected.__name__}, such as a list"
            )
        values = list(returned)
    except PluginError:
        raise
    except Exception as error:  # a third party's code
        raise PluginError(f"{hook} raised {_brief(error)}") from error
    for value in values:
        if expected is Runner:
            missing = [member for member in _RUNNER_MEMBERS if not hasattr(value, member)]
            if missing:
                raise PluginError(f"{hook} returned {_a(value)}, without {', '.join(missing)}; see multiprof.Runner")
        elif not isinstance(value, expected):
            raise PluginError(f"{hook} returned {_a(value)} among its values; each must be {_article(expected)}")
    return values


def _unmarked(plugin: Any, hooks: tuple[str, ...]) -> list[str]:
    """Functions of a plugin that look like hooks and are none, because nothing marks them."""
    if not isinstance(plugin, ModuleType):
        return []
    return [
        name
        for name, value in vars(plugin).items()
        if name.startswith("multiprof_")
        and isinstance(value, FunctionType)
        and value.__module__ == plugin.__name__
        and name not in hooks
    ]


def _misspelt(name: str) -> str:
    if name in _RETURNS:
        return "is not marked as a hook; put @multiprof.hookimpl above it"
    from difflib import get_close_matches

    close = get_close_matches(name, _RETURNS, 1, cutoff=0.85)  # the prefix alone makes all alike
    hint = f"did you mean {close[0]}?" if close else f"the hooks are {', '.join(_RETURNS)}"
    return f"is no hook of multiprof; {hint}"


def _name_of(plugin: Any) -> str:
    return str(getattr(plugin, "__name__", None) or type(plugin).__name__)


def _a(value: Any) -> str:
    return "None" if value is None else _article(type(value))


def _article(kind: type) -> str:
    return f"{'an' if kind.__name__[0] in 'AEIOUaeiou' else 'a'} {kind.__name__}"


def _brief(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
