"""Changes of tensor objects: their data, flags, hooks and shape in place. The model comes back as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

META = torch.device("meta")


def in_place(r: Any) -> Any:
    x = r.tensor(r.shape())
    a, b = r.axis(x.dim()), r.axis(x.dim())
    change = r.rng.choice(
        (
            lambda y: y.squeeze_(),
            lambda y: y.squeeze_(a),
            lambda y: y.unsqueeze_(a),
            lambda y: y.t_(),
            lambda y: y.transpose_(a, b),
            lambda y: y.swapaxes_(a, b),
            lambda y: y.detach_(),
            lambda y: y.as_strided_((1,), (1,)),
        )
    )

    def function(x: Any) -> Any:
        y = x.clone()
        change(y)
        return y

    return function, x


def test_random_calls(sweep: Callable[..., None]) -> None:
    sweep(in_place, ("copy", "reshape", "transpose", "slice"), times=400)


def test_a_tensor_that_changes_its_shape_is_a_view_of_itself(compare: Any) -> None:
    layer = compare(lambda x: x.clone().unsqueeze_(0), torch.empty(2, 3, device=META)).layers[-1]
    assert (layer.op, layer.y.shape, layer.aliases) == ("reshape", (1, 2, 3), (("y", "x", "view"),))


class Changing(torch.nn.Module):
    """Two weights of one shape, and a forward that does to them what a test says."""

    def __init__(self, change: Callable[[Any], Any], home: str = "cpu") -> None:
        super().__init__()
        self.a = torch.nn.Parameter(torch.ones(3, 3, device=home))
        self.b = torch.nn.Parameter(torch.full((3, 3), 2.0, device=home))
        self.change = change

    def forward(self, x: Any) -> Any:
        self.change(self)
        return x @ self.a @ self.b


def state(model: Changing) -> list[Any]:
    return [
        (
            id(p), p.untyped_storage()._cdata, tuple(p.shape), p.stride(), p.dtype, p.requires_grad, p.grad,
            p._version, p._backward_hooks, None if p.is_meta else p.tolist(),
        )
        for p in (model.a, model.b)
    ]  # fmt: skip


CHANGES: dict[str, Callable[[Any], Any]] = {
    "tied": lambda m: setattr(m.a, "data", m.b.data),
    "computed": lambda m: setattr(m.a, "data", m.b * 2),
    "transposed": lambda m: m.a.data.t_(),
    "transposed itself": lambda m: m.a.t_(),
    "written": lambda m: m.a.data.mul_(2),
    "a row": lambda m: m.a.data[0].zero_(),
    "frozen": lambda m: (m.a.requires_grad_(False), setattr(m.b, "requires_grad", False)),
    "gradient": lambda m: setattr(m.a, "grad", None),
    "hook": lambda m: m.a.register_hook(lambda g: g),
    "shared": lambda m: m.a.share_memory_(),
    "pinned": lambda m: m.a.pin_memory(),
    "detached": lambda m: m.a.detach_(),
}


@pytest.mark.parametrize("home", ["cpu", "meta"])
@pytest.mark.parametrize("name", CHANGES)
def test_the_model_comes_back(trace: Any, name: str, home: str) -> None:
    model = Changing(CHANGES[name], home)
    before = state(model)
    graph = trace(model, (2, 3))
    assert state(model) == before
    assert graph.outputs[0].shape == (2, 3)
    assert sum(layer.op == "linear" for layer in graph.layers) == 2
    assert "for real" not in graph.metadata["rung"]


def test_tied_data_is_the_other_weight(trace: Any) -> None:
    first, second = (layer for layer in trace(Changing(CHANGES["tied"]), (2, 3)).layers if layer.op == "linear")
    assert (first.inputs["weight"].name, second.inputs["weight"].name) == ("b", "b")


def test_computed_data_is_what_was_computed(trace: Any) -> None:
    product, first, second = trace(Changing(CHANGES["computed"]), (2, 3)).layers
    assert product.op == "mul"
    assert (first.inputs["weight"].name, second.inputs["weight"].name) == (product.y.name, "b")


def test_a_written_row_is_a_write_to_the_weight(trace: Any) -> None:
    write, first, _ = trace(Changing(CHANGES["a row"]), (2, 3)).layers
    assert write.op == "fill"
    assert first.inputs["weight"].name == write.outputs["alias0"].name
    assert write.inputs["alias0"].name == "a"


def test_data_of_another_shape_needs_a_real_run(trace: Any) -> None:
    """Where torch would refuse data without values under a real weight, the model is run for real."""
    model = Changing(lambda m: setattr(m.a, "data", torch.cat((m.b, m.b))[:3] + 1))
    before = state(model)
    trace(model, (2, 3))
    assert state(model) == before


def test_hooks_of_activations_are_not_called(trace: Any) -> None:
    calls: list[Any] = []

    def function(x: Any) -> Any:
        y = x * 2
        y.register_hook(calls.append).remove()
        y.retain_grad()
        return y

    assert [layer.op for layer in trace(function, (2, 3)).layers] == ["mul"]
    assert calls == []


def test_inputs_may_ask_for_gradients(trace: Any) -> None:
    flags: list[bool] = []
    graph = trace(lambda x: flags.append(x.requires_grad_().requires_grad) or x * 2, (2, 3))
    assert flags == [True]
    assert [layer.op for layer in graph.layers] == ["mul"]


def test_objects_made_in_silence_are_the_tensor_itself(trace: Any) -> None:
    """``nn.Parameter`` and ``as_subclass`` do not tell a function mode that they make a tensor."""
    graph = trace(lambda x: torch.nn.Parameter(x * 2).as_subclass(torch.Tensor) + 1, (2, 3))
    assert [layer.op for layer in graph.layers] == ["mul", "add"]
    assert graph.layers[1].x.name == graph.layers[0].y.name
    assert not graph.parameters


def test_a_module_made_in_the_forward(trace: Any) -> None:
    graph = trace(lambda x: torch.nn.Linear(3, 5)(x), (2, 3))
    assert graph.layers[-1].op == "linear"
    assert "for real" not in graph.metadata["rung"]
    assert sorted(p.spec.shape for p in graph.parameters.values()) == [(5,), (5, 3)]
